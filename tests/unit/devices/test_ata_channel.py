"""ATA channel: registers, selection, reset, interrupt, the host's pace (ATA/ATAPI-6, sections 6.2, 7 and 9)."""

from __future__ import annotations

import pytest
from ata_port import BSY, CONTROL, DATA, DEVICE, DRDY, DRQ, DSC, ERR, ERROR, HOB, NIEN, SRST, STATUS, Port
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.devices.ata_channel import EXPECTED_NS
from vmdev.replay.devices.ata_registers import LBA_HIGH, LBA_LOW, LBA_MID, SECTOR_COUNT
from vmdev.replay.devices.medium import Medium

READY = DRDY | DSC
DISK, CD, ABSENT = (1, 1, 0, 0), (1, 1, 0x14, 0xEB), (1, 1, 0xFF, 0xFF)
IDENTIFY, READ, WRITE, FLUSH, NOP_LIKE = 0xEC, 0x20, 0x30, 0xE7, 0x70


# Which drives are there


def test_without_drives_all_registers_read_0() -> None:
    """QEMU."""
    port = Port(empty=True)
    port.write(SECTOR_COUNT, 0x55)
    assert [port.read(offset) for offset in range(1, 9)] == [0] * 8


def test_an_absent_device_1_shows_registers_but_no_status() -> None:
    """QEMU: both devices receive what is written (7.4)."""
    port = Port()
    port.write(DEVICE, 0x10)
    assert port.read(STATUS) == port.read(CONTROL) == port.read(ERROR) == 0
    assert port.signature() == ABSENT
    port.write(SECTOR_COUNT, 0x55)
    assert port.read(SECTOR_COUNT) == 0x55
    assert port.read(DEVICE) == 0xB0


def test_an_absent_device_1_takes_no_command() -> None:
    port = Port()
    port.command(NOP_LIKE, device=0x10)
    assert not port.irq.level
    assert port.read(STATUS) == 0


def test_an_absent_device_0_beside_device_1_aborts_commands() -> None:
    """QEMU."""
    port = Port(second=Medium(16), empty=True)
    assert port.status() == READY
    assert port.signature() == ABSENT
    port.command(IDENTIFY)
    assert port.read(STATUS) == DRDY | ERR
    assert port.read(ERROR) == 0x04


def test_the_device_register_selects_and_its_obsolete_bits_read_1() -> None:
    """7.7."""
    port = Port(second=Medium(16), cd=True)
    assert port.signature() == CD
    port.write(DEVICE, 0x10)
    assert port.signature() == DISK
    assert port.read(DEVICE) == 0xB0


# The command block


@given(st.integers(1, 5), st.integers(0, 0xFF), st.integers(0, 0xFF))
def test_hob_shows_what_was_written_before(offset: int, older: int, newer: int) -> None:
    """6.2: each write moves the content on, and clears HOB."""
    port = Port()
    port.write(offset, older)
    port.write(offset, newer)
    port.write(CONTROL, HOB)
    assert port.read(offset) == older
    port.write(LBA_LOW if offset != LBA_LOW else LBA_MID, 0)
    if offset != ERROR:
        assert port.read(offset) == newer
    assert port.channel.bank(offset) == "HOB=0"


def test_byte_reads_of_the_data_register_are_ones_and_word_reads_without_drq_0() -> None:
    """QEMU."""
    port = Port()
    port.write(DATA, 0x12)
    assert port.read(DATA) == 0xFF
    assert port.read(DATA, 2) == port.read(DATA, 4) == 0


def test_wide_accesses_of_other_registers_are_taken_apart() -> None:
    """QEMU: words are two bytes, double words nothing."""
    port = Port()
    port.write(SECTOR_COUNT, 0x3412, 2)
    port.write(LBA_MID, 0x5678_9ABC, 4)
    assert port.read(SECTOR_COUNT, 2) == 0x3412
    assert port.read(SECTOR_COUNT, 4) == 0xFFFF_FFFF
    assert port.read(STATUS, 2) == 0xFF00 | READY
    port.write(STATUS, 0xFF00 | NOP_LIKE, 2)
    assert port.irq.level


def test_a_busy_device_ignores_its_command_block() -> None:
    """7.4: while BSY or DRQ is set."""
    port = Port()
    port.command(IDENTIFY)
    for offset in (SECTOR_COUNT, DEVICE, STATUS):
        port.write(offset, 0x91)
    assert port.status() == READY | DRQ
    assert port.read(SECTOR_COUNT) == 0
    assert port.read(DEVICE) == 0xE0


def test_data_can_be_moved_in_words_and_double_words() -> None:
    port = Port()
    port.command(IDENTIFY)
    assert port.read(DATA, 2) == 0x0040
    assert port.read(DATA, 4) == 2
    assert port.channel.state()["unit0_data_left"] == 506


# Interrupts


def test_a_command_interrupts_until_status_is_read() -> None:
    """7.15; the alternate status leaves the interrupt alone (7.3)."""
    port = Port()
    port.command(NOP_LIKE)
    port.read(CONTROL)
    assert port.irq.level
    assert port.read(STATUS) == READY
    assert port.edges == [True, False]


def test_the_next_command_ends_the_interrupt() -> None:
    """QEMU."""
    port = Port()
    port.command(NOP_LIKE)
    port.command(READ, 1)
    assert port.edges == [True, False]


def test_nien_masks_interrupts() -> None:
    """7.8."""
    port = Port()
    port.write(CONTROL, NIEN)
    port.command(NOP_LIKE)
    assert not port.edges


def test_device_1_interrupts_as_well() -> None:
    port = Port(second=Medium(16))
    port.command(NOP_LIKE, device=0x10)
    assert port.irq.level


# Reset


def test_after_power_on_every_present_device_is_ready_with_error_0() -> None:
    """QEMU; 9.1 gives packet devices a status of 0 and a diagnostic code."""
    port = Port(cd=True)
    assert (port.status(), port.read(ERROR)) == (READY, 0)


def test_srst_makes_both_devices_busy_and_leaves_signatures() -> None:
    """9.2."""
    port = Port(second=Medium(16))
    port.write(SECTOR_COUNT, 0x77)
    port.write(CONTROL, SRST)
    assert port.channel.state()["unit0_status"] & port.channel.state()["unit1_status"] & BSY
    port.wait()
    port.write(CONTROL, 0)
    assert (port.status(), port.read(ERROR)) == (READY, 1)
    assert port.signature() == DISK


def test_srst_clears_the_device_register_but_keeps_the_selection() -> None:
    """QEMU."""
    port = Port(second=Medium(16), cd=True)
    port.write(DEVICE, 0x1F)
    port.reset()
    assert port.read(DEVICE) == 0xA0
    assert port.signature() == DISK


def test_a_packet_device_clears_its_status_at_srst() -> None:
    """9.10."""
    port = Port(cd=True)
    port.reset()
    assert (port.status(), port.read(ERROR)) == (0, 1)
    assert port.signature() == CD


def test_srst_interrupts_unless_masked() -> None:
    """QEMU."""
    port = Port()
    port.write(CONTROL, SRST)
    port.wait()
    assert port.irq.level
    port.read(STATUS)
    port.write(CONTROL, SRST | NIEN)
    port.wait()
    assert not port.irq.level


def test_srst_ends_a_transfer() -> None:
    port = Port()
    port.command(READ, 2)
    port.wait()
    port.reset()
    assert port.status() == READY
    assert port.read(DATA, 2) == 0


def test_a_hardware_reset_selects_device_0_and_keeps_the_disk() -> None:
    port = Port()
    port.command(WRITE, 1)
    port.send(b"\x5a" * 512)
    port.wait()
    port.write(DEVICE, 0x10)
    port.channel.reset()
    assert port.channel.state()["selected"] == 0
    port.command(READ, 1)
    port.wait()
    assert port.block() == b"\x5a" * 512


# The host's pace


def test_a_transfer_is_taken_to_have_ended_after_a_while() -> None:
    port = Port()
    port.command(READ, 1)
    assert port.status() == READY | BSY
    port.clock.advance(port.clock.now_ns + EXPECTED_NS - 1)
    assert port.status() == READY | BSY
    port.wait()
    assert port.read(STATUS) == READY | DRQ


def test_an_earlier_end_is_assumed() -> None:
    port = Port()
    port.command(READ, 1)
    assert port.channel.assume(STATUS, 1, READY | DRQ, port.read(STATUS))
    assert port.status() == READY | DRQ
    assert not port.irq.level  # the read that showed it ended the interrupt


def test_a_later_end_is_assumed_and_expected_again() -> None:
    port = Port()
    port.command(READ, 1)
    port.wait()
    assert port.channel.assume(CONTROL, 1, READY | BSY, port.read(CONTROL))
    assert port.status() == READY | BSY
    assert not port.irq.level
    port.wait()
    assert port.status() == READY | BSY
    port.wait()
    assert port.status() == READY | DRQ


def test_a_guest_that_polls_is_expected_to_see_the_end() -> None:
    port = Port()
    port.write(CONTROL, NIEN)
    port.command(FLUSH)
    port.wait()
    assert port.status() == DRDY | BSY
    assert port.channel.assume(CONTROL, 1, READY, DRDY | BSY)


def test_a_second_read_confirms_the_end() -> None:
    port = Port()
    port.command(FLUSH)
    port.wait()
    port.status()
    assert not port.channel.assume(CONTROL, 1, DRDY | BSY, port.status())


@pytest.mark.parametrize("hw", [0x00, READY | ERR, 0xFF])
def test_nothing_else_is_assumed(hw: int) -> None:
    port = Port()
    port.command(READ, 1)
    before = dict(port.channel.state())
    assert not port.channel.assume(STATUS, 1, hw, port.read(STATUS))
    assert port.channel.state() == before
    port.wait()
    before = dict(port.channel.state())
    assert not port.channel.assume(CONTROL, 1, hw, port.status())
    assert port.channel.state() == before


def test_other_registers_can_show_the_end_too() -> None:
    port = Port()
    port.command(READ, 3)
    assert port.channel.assume(SECTOR_COUNT, 1, 2, port.read(SECTOR_COUNT))
    assert not port.channel.assume(SECTOR_COUNT, 2, 0, 0)
    assert not port.channel.assume(DATA, 1, 0, 0xFF)


def test_data_can_show_the_end_too() -> None:
    port = Port()
    port.command(WRITE, 1)
    port.send(b"\x12\x34" * 256)
    port.wait()
    port.command(READ, 1)
    assert not port.channel.assume(DATA, 2, 0x9999, port.read(DATA, 2))
    assert port.channel.assume(DATA, 2, 0x3412, port.read(DATA, 2))
    assert port.read(DATA, 4) == 0x3412_3412
    unknown = Port(Medium(16))
    unknown.command(READ, 1)
    assert unknown.channel.assume(DATA, 4, 0x1234_5678, unknown.read(DATA, 4))
    unknown.words(254)
    unknown.command(READ, 1)
    unknown.wait()
    assert unknown.read(DATA, 2) == 0x5678
    unknown.read(DATA, 2)
    unknown.command(0x08)


def test_partly_known_data_must_fit_what_is_known() -> None:
    medium = Medium(16)
    medium.teach(0, b"\x11")
    port = Port(medium)
    port.command(READ, 1)
    assert not port.channel.assume(DATA, 2, 0x2222, port.read(DATA, 2))
    assert port.channel.assume(DATA, 2, 0x2211, port.read(DATA, 2))


def test_a_reset_that_lasts_can_be_followed_by_a_write_of_device_control() -> None:
    port = Port()
    port.write(CONTROL, SRST)
    port.wait()
    port.write(CONTROL, NIEN)
    assert port.channel.assume(STATUS, 1, READY | BSY, port.read(STATUS))
    assert port.channel.state()["control"] == NIEN
    assert port.channel.assume(STATUS, 1, READY, READY | BSY)


def test_a_write_confirms_the_end() -> None:
    port = Port()
    port.command(FLUSH)
    port.wait()
    port.write(LBA_HIGH, 1)
    assert not port.channel.assume(CONTROL, 1, DRDY | BSY, port.status())
