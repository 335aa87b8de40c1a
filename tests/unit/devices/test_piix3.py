"""PIIX3 function 0: data sheet 290550, section 2.2, and QEMU."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.piix3 import PIRQRC, Piix3


def test_identities() -> None:
    device = Piix3()
    assert [device.read(offset, 4) for offset in (0x00, 0x04, 0x08, 0x0C)] == [
        0x7000_8086, 0x0200_0000, 0x0601_0000, 0x0080_0000,
    ]  # fmt: skip


def test_reset_values() -> None:
    device = Piix3()
    for offset in range(0x40, 0x100, 4):
        device.write(offset, 4, 0)
    device.reset()
    expected = {
        0x4C: 0x0003_004D,
        0x60: 0x8080_8080,
        0x68: 0x0200,
        0x70: 0x80,
        0x74: 0x0C0C_0000,
        0x78: 2,
        0xA0: 8,
        0xA8: 0x0F,
    }
    assert {offset: device.read(offset, 4) for offset in range(0x40, 0x100, 4) if device.read(offset, 4)} == expected


@pytest.mark.parametrize(("value", "interrupt"), [(0x80, None), (0x0B, 11), (0x00, 0), (0x1B, None)])
def test_where_a_request_goes(value: int, interrupt: int | None) -> None:
    """2.2.11, and QEMU where any of bits 7-4 is set."""
    device = Piix3()
    device.write(PIRQRC + 2, 1, value)
    assert device.route(2) == interrupt
    assert device.route(3) is None
