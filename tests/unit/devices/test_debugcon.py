"""The debug console."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.debugcon import KEPT_BYTES, DebugCon


def write(console: DebugCon, text: bytes) -> None:
    for value in text:
        console.write(0, 1, value)


def test_reads_give_the_mark() -> None:
    """Bochs User Manual, port_e9_hack: by it the guest knows the port."""
    console = DebugCon()
    write(console, b"x")
    assert console.read(0, 1) == 0xE9


def test_the_mark_can_be_chosen() -> None:
    """QEMU's property `readback`."""
    assert DebugCon(readback=0x42).read(0, 1) == 0x42


def test_written_bytes_are_text() -> None:
    console = DebugCon()
    write(console, b"SeaBIOS (version 1.16)\n\xff")
    assert console.text == "SeaBIOS (version 1.16)\n\xff"
    assert console.state() == {"readback": 0xE9, "written": 24, "last": 0xFF}
    console.reset()
    assert console.text == ""


@pytest.mark.parametrize("size", [2, 4])
def test_only_bytes_reach_the_port(size: int) -> None:
    """QEMU."""
    console = DebugCon()
    console.write_any(0, size, 0x41)
    assert console.text == ""
    assert console.read_any(0, size) == 0


def test_the_end_of_a_long_text_is_kept() -> None:
    console = DebugCon()
    write(console, b"x" * KEPT_BYTES)
    assert console.text == "x" * KEPT_BYTES
    for _ in range(3):
        write(console, b"y" * (KEPT_BYTES // 2))
        assert len(console.text) == KEPT_BYTES
    write(console, b"end")
    assert console.text == "y" * (KEPT_BYTES - 3) + "end"
    assert console.state()["written"] == KEPT_BYTES * 5 // 2 + 3
