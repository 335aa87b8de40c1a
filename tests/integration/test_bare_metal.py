"""Guests of a few instructions, assembled here: what they access is known to the bit."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration


def assemble(source: str, directory: Path) -> Path:
    """A firmware image from a file beside this one."""
    path = Path(__file__).with_name(source)
    elf, image = directory / "image.o", directory / "image.bin"
    subprocess.run(["as", "--32", "-o", elf, path], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", elf, image], check=True)
    return image


@pytest.mark.parametrize("clock", ["virtual", "host"])
def test_refused_port_accesses_are_not_recorded(vmdev: Vmdev, tmp_path: Path, clock: str) -> None:
    """Intel SDM volume 1, 19.5.2: the I/O permission bitmap. QEMU tells of an access before it is checked."""
    image, trace = assemble("refused_io.S", tmp_path), tmp_path / "t.db"
    guest = ("-M", "pc", "-nodefaults", "-display", "none", "-no-reboot", "-bios", str(image))
    done = vmdev("record", "-o", trace, "--clock", clock, "--", *guest)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(sqlite3.connect(trace)) as connection:
        accesses = connection.execute("SELECT direction, address, value FROM access ORDER BY seq").fetchall()
        events = connection.execute("SELECT seq, kind, detail FROM event ORDER BY rowid").fetchall()
    assert accesses == [("w", "0x70", "0x5a"), ("r", "0x92", "0"), ("w", "0x64", "0xfe")]
    assert [(seq, kind) for seq, kind, _ in events] == [(0, "reset"), (0, "refused-io"), (0, "refused-io")]
    assert all("port 0x80 size 1" in detail for _, kind, detail in events if kind == "refused-io")


def test_guest_that_ends_qemu_with_a_status_of_its_own_is_recorded_whole(vmdev: Vmdev, tmp_path: Path) -> None:
    """The debug exit device calls exit(): QEMU's status is the guest's, and the recorder still ends in order."""
    image, trace = assemble("debug_exit.S", tmp_path), tmp_path / "t.db"
    guest = (
        "-M",
        "pc",
        "-nodefaults",
        "-display",
        "none",
        "-bios",
        str(image),
        "-device",
        "isa-debug-exit,iobase=0xf4",
    )
    done = vmdev("record", "-o", trace, "--", *guest)
    assert done.returncode == 0, done.stderr
    assert "QEMU itself ended with status 33" in done.stderr
    assert vmdev("info", trace).stdout.startswith(f"{trace}: complete\n")
