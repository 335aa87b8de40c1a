"""PIIX bus master IDE: command, status and descriptor table pointer (82371SB data sheet, section 2.6)."""

from __future__ import annotations

import pytest
from ata_port import BSY, CONTROL, DRDY, DRQ, DSC, NIEN, SRST, STATUS, Port

from vmdev.replay.devices.medium import Medium
from vmdev.replay.devices.piix_bmdma import BMICOM, BMIDEA, BMIDTP, BMISTA, IDEINTS, SSBM, PiixBusMaster

READ_DMA, READ, IDENTIFY = 0xC8, 0x20, 0xEC


def port() -> tuple[Port, PiixBusMaster]:
    made = Port(dma=True)
    assert made.master
    return made, made.master


def test_the_command_register_keeps_two_bits() -> None:
    _, master = port()
    master.write(BMICOM, 1, 0xFF)
    assert master.read(BMICOM, 1) == 0x09


def test_the_descriptor_table_pointer_is_of_double_words() -> None:
    """2.6.3: bits 1:0 are reserved."""
    _, master = port()
    master.write(BMIDTP, 4, 0x1234_567F)
    assert master.read(BMIDTP, 4) == 0x1234_567C
    master.write(BMIDTP + 2, 2, 0xABCD)
    master.write(BMIDTP + 1, 1, 0xEF)
    assert master.read(BMIDTP, 4) == 0xABCD_EF7C
    assert master.read(BMIDTP + 3, 1) == 0xAB


@pytest.mark.parametrize("size", [2, 4])
def test_wide_accesses_of_command_and_status_do_nothing(size: int) -> None:
    """QEMU."""
    _, master = port()
    master.write(BMICOM, size, 1)
    assert master.read(BMICOM, size) == (1 << 8 * size) - 1
    assert master.read(BMICOM, 1) == 0
    assert master.read(1, 1) == 0xFF
    master.write(1, 1, 0xFF)


def test_capable_bits_are_written_and_ideints_is_cleared_by_1() -> None:
    """2.6.2."""
    made, master = port()
    made.command(IDENTIFY)
    assert master.read(BMISTA, 1) == IDEINTS
    master.write(BMISTA, 1, 0x60)
    assert master.read(BMISTA, 1) == 0x60 | IDEINTS
    master.write(BMISTA, 1, 0x24)
    assert master.read(BMISTA, 1) == 0x20


def test_nien_keeps_ideints_clear() -> None:
    """QEMU: what does not reach INTRQ does not reach the bus master."""
    made, master = port()
    made.write(CONTROL, NIEN)
    made.command(IDENTIFY)
    assert master.read(BMISTA, 1) == 0


def test_a_transfer_from_start_to_end() -> None:
    """2.6.1: SSBM starts, BMIDEA is set until the end."""
    made, master = port()
    made.command(READ_DMA, 2, 5)
    assert made.status() == DRDY | DSC | DRQ
    made.wait()
    assert made.status() == DRDY | DSC | DRQ  # it waits for SSBM
    master.write(BMICOM, 1, 0x09)
    assert master.read(BMISTA, 1) == BMIDEA
    made.wait()
    assert master.read(BMISTA, 1) == IDEINTS
    assert made.read(STATUS) == DRDY | DSC
    assert made.signature() == (0, 7, 0, 0)


def test_ssbm_may_come_before_the_command() -> None:
    made, master = port()
    master.write(BMICOM, 1, SSBM)
    made.command(READ_DMA, 1)
    made.wait()
    assert master.read(BMISTA, 1) == IDEINTS


def test_clearing_ssbm_waits_for_the_end() -> None:
    """QEMU."""
    made, master = port()
    made.command(READ_DMA, 1)
    master.write(BMICOM, 1, SSBM)
    master.write(BMICOM, 1, 0)
    assert master.read(BMISTA, 1) == IDEINTS
    assert made.status() == DRDY | DSC


def test_clearing_ssbm_without_a_transfer_clears_bmidea() -> None:
    _, master = port()
    master.write(BMICOM, 1, SSBM)
    master.write(BMICOM, 1, 0)
    assert master.read(BMISTA, 1) == 0


def test_pio_does_not_wait_for_the_bus_master() -> None:
    made, master = port()
    made.command(READ, 1)
    master.write(BMICOM, 1, SSBM)
    master.write(BMICOM, 1, 0)
    assert made.status() == DRDY | DSC | BSY


def test_an_earlier_or_later_end_is_assumed() -> None:
    made, master = port()
    made.command(READ_DMA, 1)
    master.write(BMICOM, 1, SSBM)
    assert master.assume(BMISTA, 1, IDEINTS, master.read(BMISTA, 1))
    assert made.status() == DRDY | DSC
    made.command(READ_DMA, 1)
    master.write(BMICOM, 1, 0)
    master.write(BMISTA, 1, IDEINTS)
    master.write(BMICOM, 1, SSBM)
    made.wait()
    assert master.assume(BMISTA, 1, BMIDEA, master.read(BMISTA, 1))
    assert made.status() == DRDY | DSC | DRQ


def test_a_table_longer_than_the_transfer_leaves_bmidea_set() -> None:
    """2.6.2: interrupt 1, active 1."""
    made, master = port()
    made.command(READ_DMA, 1)
    master.write(BMICOM, 1, SSBM)
    made.wait()
    assert master.assume(BMISTA, 1, BMIDEA | IDEINTS, master.read(BMISTA, 1))
    assert master.read(BMISTA, 1) == BMIDEA | IDEINTS


def test_nothing_else_is_assumed() -> None:
    made, master = port()
    made.command(READ_DMA, 1)
    master.write(BMICOM, 1, SSBM)
    before = (dict(master.state()), dict(made.channel.state()))
    assert not master.assume(BMISTA, 1, 0x60, master.read(BMISTA, 1))
    assert not master.assume(BMICOM, 1, 0, 1)
    assert (dict(master.state()), dict(made.channel.state())) == before


def test_srst_lets_a_transfer_end() -> None:
    """QEMU."""
    made, master = port()
    made.command(READ_DMA, 1)
    master.write(BMICOM, 1, SSBM)
    made.write(CONTROL, SRST)
    made.wait()
    assert master.read(BMISTA, 1) == IDEINTS
    assert made.signature() == (1, 1, 0, 0)


def test_device_reset_lets_a_transfer_end() -> None:
    made = Port(Medium(400, zeros=True), cd=True, dma=True)
    assert made.master
    made.command(0xA0, lba=0x100, features=1)
    made.send(bytes((0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)))
    made.master.write(BMICOM, 1, SSBM)
    made.write(STATUS, 0x08)
    assert made.master.read(BMISTA, 1) == IDEINTS
    assert made.status() == 0


def test_a_hardware_reset_clears_all() -> None:
    made, master = port()
    master.write(BMIDTP, 4, 0x1000)
    master.write(BMICOM, 1, 9)
    made.channel.reset()
    assert master.state() == {"bmicom": 0, "bmista": 0, "bmidtp": 0}
