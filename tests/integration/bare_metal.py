"""Guests that say themselves which rows their trace must have: see guests/rows.inc."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

GUESTS = Path(__file__).with_name("guests")


class Row(NamedTuple):
    """An access, as the guest expects it or as the trace has it."""

    cpu: int
    pc: int
    space: str
    direction: str
    address: int
    size: int
    value: int
    string: int
    region: str

    def __str__(self) -> str:
        """For pytest's difference of two lists."""
        return (
            f"cpu{self.cpu} {self.pc:#x}: {self.space} {self.direction} {self.address:#x} size {self.size} "
            f"value {self.value:#x}{' string' * self.string} {self.region}"
        )


@dataclass(frozen=True)
class Target:
    """How guests of one architecture are built."""

    tools: str
    """What the names of the assembler and its companions begin with."""
    assembler: tuple[str, ...]
    linker: tuple[str, ...]
    firmware: bool = False
    """A flat image of the section .text instead of an ELF file."""
    big_endian: bool = False


X86 = Target("", ("--64",), ("-m", "elf_x86_64", "-Ttext=0xf0000"), firmware=True)
AARCH64 = Target("aarch64-linux-gnu-", ("-march=armv8.4-a",), ("-Ttext=0x40080000",))
ARM = Target("arm-linux-gnueabi-", ("-march=armv7ve",), ("-Ttext=0x40080000",))
RISCV64 = Target("riscv64-linux-gnu-", ("-march=rv64gc",), ("-Ttext=0x80000000",))
M68K = Target("m68k-linux-gnu-", ("-m68040",), ("-Ttext=0x10000",), big_endian=True)


@dataclass(frozen=True)
class Guest:
    """A guest that is built."""

    image: Path
    rows: list[Row]


def _rows(data: bytes, target: Target) -> list[Row]:
    """The section .rows."""
    fields = struct.Struct(f"{'>' if target.big_endian else '<'}2s3BIQQ")
    rows = []
    while data:
        kind, size, cpu, string, pc, address, value = fields.unpack_from(data)
        region, _, data = data[fields.size :].partition(b"\0")
        space, direction = kind.decode()
        rows.append(
            Row(cpu, pc, {"p": "pio", "m": "mmio"}[space], direction, address, size, value, string, region.decode())
        )
    return rows


def build(source: str, directory: Path, target: Target) -> Guest:
    """Assemble and link a guest; what it expects comes with it."""
    unlinked, linked, rows = directory / "guest.o", directory / "guest.elf", directory / "rows.bin"

    def run(tool: str, *arguments: str | Path) -> None:
        subprocess.run([target.tools + tool, *arguments], check=True)

    run("as", *target.assembler, "--fatal-warnings", "-I", GUESTS, "-o", unlinked, GUESTS / source)
    run("ld", *target.linker, "-e", "start", "--build-id=none", "-o", linked, unlinked)
    run("objcopy", "-O", "binary", "-j", ".rows", "--set-section-flags", ".rows=alloc", linked, rows)
    image = linked
    if target.firmware:
        image = directory / "guest.bin"
        run("objcopy", "-O", "binary", "-j", ".text", linked, image)
    return Guest(image, _rows(rows.read_bytes(), target))


def _accesses(trace: Path) -> list[Row]:
    """What was recorded; addresses and values without SQLite's sign."""
    query = (
        "SELECT vcpu, pc, space, direction, address, size, value, string, region "
        "FROM exit JOIN site ON site.id = exit.site ORDER BY seq"
    )
    with contextlib.closing(sqlite3.connect(trace)) as connection:
        rows = [Row(*row) for row in connection.execute(query)]
    mask = (1 << 64) - 1
    return [row._replace(pc=row.pc & mask, address=row.address & mask, value=row.value & mask) for row in rows]


def record(
    vmdev: Vmdev, trace: Path, options: Sequence[str], command: Sequence[str | Path], *, fast_misses: int = 0
) -> list[Row]:
    """Record a guest; returns what was accessed. With --mmio full, fast must miss as many of it as given."""
    done = vmdev("record", "-o", trace, *options, "--", *command, timeout=60)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(sqlite3.connect(trace)) as connection:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
    assert meta["closed"] == 1
    assert meta.get("mmio_fast_misses", fast_misses) == fast_misses
    return _accesses(trace)


def check(recorded: list[Row], expected: list[Row]) -> None:
    """Each vCPU's rows are what the guest says: nothing missing, nothing more, in this order."""
    for cpu in sorted({row.cpu for row in [*recorded, *expected]}):
        assert [str(row) for row in recorded if row.cpu == cpu] == [str(row) for row in expected if row.cpu == cpu]
