"""The diagnostic port."""

from __future__ import annotations

from vmdev.replay.devices.port80 import Port80


def test_reads_give_all_ones_whatever_was_written() -> None:
    """QEMU."""
    port = Port80()
    port.write(0, 1, 0x42)
    assert port.read(0, 1) == 0xFF
    assert port.read_any(0, 2) == 0xFFFF
    assert port.read_any(0, 4) == 0xFFFF_FFFF


def test_the_state_shows_the_last_code() -> None:
    port = Port80()
    for code in (0x01, 0x42):
        port.write(0, 1, code)
    assert port.state() == {"code": 0x42, "writes": 2}
    port.reset()
    assert port.state() == {"code": 0, "writes": 0}
