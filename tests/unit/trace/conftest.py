from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vmdev.replay.guest import PciFunction, Region
from vmdev.replay.trace import TraceWriter

EXITS = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's trace is, or will be."""
    return tmp_path / "trace.db"


@pytest.fixture
def trace(path: Path) -> Path:
    """A closed trace of ten exits, by turns a read of port 0x71 (site 0) and a write of the local APIC (site 1)."""
    with TraceWriter(path, meta={"machine": "pc", "target": "x86_64", "clock": "virtual"}) as writer:
        writer.add_regions(0, 0, [Region("pio", 0, 0xFFFF, "io"), Region("pio", 0x71, 0x71, "rtc", offset=1)])
        writer.add_pci_function(PciFunction(0, 1, 3, 0x8086, 0x7113, 0x0680))
        writer.add_event("reset", vcpu=0)
        read = writer.add_site(address=0x71, direction="r", pc=0xFEC18, insn=b"\xe4\x71", text="inb $0x71, %al")
        write = writer.add_site(
            address=0xFEE000B0, direction="w", size=4, space="mmio", pc=(1 << 64) - 16, region="apic-msi"
        )
        for seq in range(EXITS):
            writer.add_exit(100 * seq, write if seq % 2 else read, seq)
        writer.resolve_regions()
    return path


@pytest.fixture
def damage(trace: Path) -> Callable[..., None]:
    """Changes the trace with SQL that its format forbids."""

    def run(*statements: str) -> None:
        with closing(sqlite3.connect(trace)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return run


@pytest.fixture
def damage_untyped(trace: Path) -> Callable[[str], None]:
    """Changes the trace with SQL that ignores the columns' types, as flipped bits do."""

    def redefine(sql: str) -> None:
        with closing(sqlite3.connect(trace)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'exit'", (sql,))
            connection.commit()

    def run(statement: str) -> None:
        with closing(sqlite3.connect(trace)) as connection:
            (strict,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'exit'").fetchone()
        redefine(strict.replace("NOT NULL", "").replace("STRICT", ""))
        with closing(sqlite3.connect(trace)) as connection:
            connection.execute(statement)
            connection.commit()
        redefine(strict)

    return run
