"""Standard hot-plug controller: SHPC 1.0, section 4.7, and QEMU where it differs."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.pci_shpc import CMD, CMD_STATUS, INT_LOCATOR, SERR_INT, SIZE, SLOT_0, PciShpc
from vmdev.replay.irq import Line

OCCUPIED, EMPTY = 0x7F00_0036, 0x7F00_0D3F


def command(shpc: PciShpc, code: int, target: int = 0) -> int:
    shpc.write(CMD, 2, code | target << 8)
    return shpc.read(CMD_STATUS, 2)


def slot(shpc: PciShpc, number: int) -> int:
    return shpc.read(SLOT_0 + 4 * (number - 1), 4)


def test_slots_after_a_reset() -> None:
    shpc = PciShpc(lambda: (1, 31))
    assert [slot(shpc, n) for n in (1, 2, 31)] == [OCCUPIED, EMPTY, OCCUPIED]
    assert shpc.read(0x0C, 4) == 0xE001_011F
    assert shpc.read(SIZE - 1, 4) == 0x7F


def test_a_command_sets_indicators_and_state() -> None:
    """4.7.3.1."""
    shpc = PciShpc(lambda: (1,))
    assert command(shpc, 0b01_10_00, 1) == 0
    assert slot(shpc, 1) & 0x3F == 0b01_10_10
    assert shpc.read(SERR_INT, 4) == 0x1000F
    assert command(shpc, 0b00_00_10, 2) == 0
    assert slot(shpc, 2) & 3 == 2


@pytest.mark.parametrize(
    ("code", "target", "status"),
    [(0x01, 1, 4), (0x02, 0, 4), (0x4A, 1, 4), (0x41, 1, 8), (0x40, 1, 0), (0x48, 1, 4), (0x49, 0, 4)],
)
def test_commands_that_are_refused(code: int, target: int, status: int) -> None:
    assert command(PciShpc(lambda: (1,)), code, target) == status


def test_a_slot_that_is_switched_off_loses_its_card() -> None:
    shpc = PciShpc(lambda: (1,))
    assert command(shpc, 0b00_11_11, 1) == 0
    assert slot(shpc, 1) == 0x7F09_0D3F
    shpc.write(SLOT_0 + 2, 1, 0x09)
    assert slot(shpc, 1) == EMPTY


def test_a_slot_that_keeps_its_light_keeps_its_card() -> None:
    shpc = PciShpc(lambda: (1,))
    command(shpc, 0b00_00_11, 1)
    assert slot(shpc, 1) & 0xC00 == 0


def test_all_slots_are_powered_or_enabled_at_once() -> None:
    shpc = PciShpc(lambda: (1,))
    command(shpc, 0b00_00_11, 1)
    assert command(shpc, 0x48) == 0
    assert [slot(shpc, n) & 0xF for n in (1, 2)] == [0b0101, 0b1111]
    assert command(shpc, 0x49) == 0
    assert slot(shpc, 1) & 3 == 2


def test_events_interrupt_as_their_masks_allow() -> None:
    line = Line()
    shpc = PciShpc(lambda: (1,), line)
    command(shpc, 0b00_11_11, 1)
    assert shpc.read(INT_LOCATOR, 4) == 0
    shpc.write(SLOT_0 + 3, 1, 0)
    assert shpc.read(INT_LOCATOR, 4) == 0b10
    assert not line.level
    shpc.write(SERR_INT, 4, 0)
    assert shpc.read(INT_LOCATOR, 4) == 0b11
    assert line.level
    shpc.write(SERR_INT, 4, 0x10000)
    shpc.write(SLOT_0 + 2, 1, 0xFF)
    assert not line.level
    assert shpc.state()["locator"] == 0
