"""bochs-display: the DISPI registers as plain memory, as QEMU has them."""

from __future__ import annotations

import pytest

from vmdev.replay.devices import bochs_dispi, edid
from vmdev.replay.devices import vga_registers as regs
from vmdev.replay.devices.bochs_display import BochsDisplay


def at(index: int) -> int:
    return regs.DISPI + 2 * index


@pytest.mark.parametrize("index", range(1, 10))
def test_registers_keep_what_is_written_and_outlive_a_reset(index: int) -> None:
    display = BochsDisplay()
    display.write(at(index), 2, 0xFFFF)
    display.reset()
    assert display.read(at(index), 2) == 0xFFFF


def test_version_and_memory_are_fixed() -> None:
    display = BochsDisplay(32 << 20)
    for index in (bochs_dispi.ID, bochs_dispi.VIDEO_MEMORY_64K):
        display.write(at(index), 2, 0)
    assert display.read(at(bochs_dispi.ID), 2) == 0xB0C5
    assert display.read(at(bochs_dispi.VIDEO_MEMORY_64K), 2) == 512
    assert display.read(at(bochs_dispi.VIDEO_MEMORY_64K), 4) == 0xFFFF_0000 | 512, "nothing comes after it"


def test_accesses_of_other_sizes() -> None:
    display = BochsDisplay()
    display.write(at(bochs_dispi.XRES), 4, 600 << 16 | 800)
    assert display.read(at(bochs_dispi.XRES), 8) == 600 << 16 | 800
    assert display.read(at(bochs_dispi.XRES), 1) == 800 & 0xFF
    display.write(at(bochs_dispi.XRES), 1, 0x40)
    assert display.read(at(bochs_dispi.XRES), 2) == 0x40


def test_byte_order_takes_two_values() -> None:
    display = BochsDisplay()
    assert display.read(regs.QEXT, 4) == 8
    assert display.read(regs.QEXT, 8) >> 32 == regs.LITTLE_ENDIAN
    display.write(regs.QEXT + 4, 4, regs.BIG_ENDIAN)
    display.write(regs.QEXT + 4, 4, 1)
    assert display.read(regs.QEXT + 4, 4) == regs.BIG_ENDIAN
    assert display.read(regs.QEXT + 4, 2) == display.read(regs.QEXT, 2) == 0


def test_edid() -> None:
    display = BochsDisplay(monitor=edid.generate(edid.Monitor(), 256))
    assert display.read(regs.EDID + 1, 1) == 0xFF
    assert display.read(regs.EDID + 256, 1) == 0
