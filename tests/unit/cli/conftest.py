from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vmdev.cli.main import main
from vmdev.replay.guest import PciFunction, Region
from vmdev.replay.trace import TraceWriter
from vmdev.replay.trace.writer import MetaValue

ESCAPE = "\x1b[31m"
"""Makes a terminal write in red, and stands for all that it obeys."""


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs ``vmdev`` with arguments."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="vmdev")

    return run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A closed trace of six exits at three devices."""
    path = tmp_path / "trace.db"
    meta: dict[str, MetaValue] = {
        "machine": "pc",
        "machine_type": "pc-i440fx-10.0",
        "target": "x86_64",
        "smp": 2,
        "qemu": "10.0.2",
        "plugin_api": 4,
        "vmdev": "0.1.0",
        "started": "2026-11-22T20:11:59+00:00",
        "mmio": "fast",
        "end_reason": "guest",
        "clock": "virtual",
        "icount_shift": 5,
        "rtc_base": "2026-01-01T00:00:00",
        "seed": "0",
        "async_sources": [],
        "images": [{"name": "disk.img", "size": 5120, "sha256": "ab12"}, {"name": "big.img", "size": 1 << 31}],
        "command": ["qemu-system-x86_64", "-M", "pc", "-append", "a b"],
    }
    with TraceWriter(path, meta=meta) as writer:
        writer.add_regions(0, 0, [Region("pio", 0x70, 0x70, "rtc-index"), Region("pio", 0x71, 0x71, "rtc")])
        writer.add_pci_function(PciFunction(0, 1, 3, 0x8086, 0x7113, 0x0680))
        writer.add_event("reset", vcpu=0)
        index = writer.add_site(address=0x70, direction="w", pc=0xFEC16, insn=b"\xe6\x70")
        data = writer.add_site(address=0x71, direction="r", pc=0xFEC18, insn=b"\xe4\x71")
        apic = writer.add_site(
            address=0xFEE00300, direction="w", size=4, space="mmio", pc=0xFFFFFFFF81000000, vcpu=1,
            insn=b"\x89\x07", region="apic-msi",
        )  # fmt: skip
        stray = writer.add_site(address=0x999, direction="r", size=2, insn=b"\x66\xed", pc=0x7000000)
        writer.add_exit(416, index, 0x8F)
        writer.add_exit(448, data, 0x00)
        writer.add_exit(1_000_000, index, 0x0A)
        writer.add_exit(1_000_032, data, 0x26)
        writer.add_exit(2_500_000, apic, 0xC4500)
        writer.add_exit(1_000_000_000, stray, 0xFFFF)
        writer.resolve_regions()
    return path


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A trace whose every text tries to reach the terminal."""
    path = tmp_path / "hostile.db"
    meta: dict[str, MetaValue] = {
        key: ESCAPE for key in ("machine", "qemu", "command", "images", "async_sources", "end_reason")
    }
    with TraceWriter(path, meta=meta) as writer:
        writer.add_event(f"kind{ESCAPE}")
        site = writer.add_site(address=0x70, direction="w", text=f"out {ESCAPE}", region=f"name{ESCAPE}\n\x7f")
        writer.add_exit(0, site, 0)
    return path
