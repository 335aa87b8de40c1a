"""Memory hidden for system management mode."""

from __future__ import annotations

from vmdev.replay.devices.blackhole import Blackhole


def test_nothing_is_seen() -> None:
    device = Blackhole()
    device.write(0x1234, 4, 0)
    device.reset()
    assert [device.read_any(0x1234, size) for size in (1, 2, 4, 8)] == [0xFF, 0xFFFF, 0xFFFF_FFFF, (1 << 64) - 1]
    assert not device.state()
