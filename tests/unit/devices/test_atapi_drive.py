"""ATAPI CD/DVD drive: the packet protocol (ATA/ATAPI-6, 8.23, 9.8), and MMC-5 commands as QEMU's drive knows them."""

from __future__ import annotations

import pytest
from ata_port import BSY, COMMAND, DATA, DRDY, DRQ, DSC, ERR, ERROR, STATUS, Port
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.ata_identify import Identity
from vmdev.replay.devices.ata_registers import LBA_HIGH, LBA_MID, SECTOR_COUNT
from vmdev.replay.devices.atapi_replies import CD_MAX_SECTORS
from vmdev.replay.devices.medium import Medium

READY = DRDY | DSC
PACKET, IDENTIFY_PACKET = 0xA0, 0xA1
SENSE = (0x03, 0, 0, 0, 18)
BLOCKS = 300


def drive(medium: Medium | None = None, *, dma: bool = False, identity: Identity | None = None) -> Port:
    medium = Medium(BLOCKS * 4, zeros=True) if medium is None else medium
    return Port(medium, cd=True, dma=dma, identities=(identity or Identity(), Identity()))


def dvd() -> Port:
    return drive(Medium(CD_MAX_SECTORS + 4, zeros=True))


def without_medium() -> Port:
    return drive(Medium(0))


def packet(port: Port, *given: int, limit: int = 0xFFFE, features: int = 0) -> int:
    """Send a packet; the status after it."""
    port.command(PACKET, lba=limit << 8, features=features)
    assert port.status() == READY | DRQ
    assert port.read(SECTOR_COUNT) == 1
    port.send(bytes(given).ljust(12, b"\0"))
    return port.status()


def receive(port: Port) -> bytes:
    """All data of a reply, piece by piece."""
    data = b""
    while port.status() & DRQ:
        count = port.read(LBA_MID) | port.read(LBA_HIGH) << 8
        assert port.read(SECTOR_COUNT) & 7 == 2
        assert count
        assert count % 2 == 0
        data += port.block(count // 2)
        if port.status() & BSY:
            port.wait()
    assert port.read(STATUS) == READY
    assert port.read(SECTOR_COUNT) & 7 == 3
    return data


def reply(port: Port, *given: int, limit: int = 0xFFFE) -> bytes:
    assert packet(port, *given, limit=limit) & ~BSY in (READY, READY | DRQ)
    if port.status() & BSY:
        port.wait()
    return receive(port)


def sense(port: Port, *given: int) -> tuple[int, int]:
    """The sense key and code with which a command fails."""
    assert packet(port, *given) == DRDY | ERR
    assert port.read(ERROR) & 0x0F == 0
    data = reply(port, *SENSE)
    assert (len(data), data[0], data[7]) == (18, 0xF0, 10)
    assert port.read(ERROR) == 0
    return data[2], data[12]


NO_MEDIUM, BAD_FIELD, BAD_COMMAND, OUT_OF_RANGE = (2, 0x3A), (5, 0x24), (5, 0x20), (5, 0x21)


# ATA commands


def test_identify_packet_device() -> None:
    port = drive(identity=Identity(wwn=5))
    port.command(IDENTIFY_PACKET)
    block = port.block()
    assert block[:2] == b"\xc0\x85"
    names = b"".join(block[at : at + 2][::-1] for at in range(54, 94, 2))
    assert names.rstrip() == b"QEMU DVD-ROM"
    assert block[168:170] == b"\0\1"
    port.command(0xEF, 0x22, features=3)
    port.command(IDENTIFY_PACKET)
    assert port.block()[126:128] == b"\x07\x04"


@pytest.mark.parametrize("code", [0xEC, 0x20])
def test_identify_device_and_read_sectors_show_the_signature_and_abort(code: int) -> None:
    """8.15.5.2, 8.34.4."""
    port = drive()
    port.command(code, 9, 0x123456)
    assert (port.read(STATUS), port.read(ERROR)) == (DRDY | ERR, 4)
    assert port.signature() == (1, 1, 0x14, 0xEB)


def test_other_ata_commands_abort() -> None:
    port = drive()
    for code in (0x30, 0xC8, 0xF8, 0xE0):
        port.command(code)
        assert port.read(STATUS) == DRDY | ERR


def test_device_reset_is_taken_while_busy() -> None:
    """8.7."""
    port = drive()
    packet(port, 0x28, 0, 0, 0, 0, 0, 0, 0, 1)
    assert port.status() & BSY
    port.write(COMMAND, 0x08)
    assert port.status() == 0
    assert port.signature() == (1, 1, 0x14, 0xEB)
    port.wait()
    assert port.status() == 0


def test_a_diagnostic_does_not_interrupt() -> None:
    """QEMU."""
    port = drive()
    port.command(0x90)
    assert (port.status(), port.read(ERROR)) == (0, 1)
    assert not port.irq.level


def test_a_flush_needs_a_medium() -> None:
    for port, status in ((drive(), READY), (without_medium(), DRDY | ERR)):
        port.command(0xE7)
        port.wait()
        assert port.status() == status


def test_overlapped_commands_abort() -> None:
    port = drive()
    port.command(PACKET, features=2)
    assert port.status() == DRDY | ERR


# The packet protocol


def test_a_reply_is_cut_at_the_allocation_length() -> None:
    assert len(reply(drive(), 0x12, 0, 0, 0, 6)) == 6


def test_the_last_byte_of_an_odd_reply_cannot_be_read() -> None:
    """QEMU."""
    port = drive()
    packet(port, 0x12, 0, 0, 0, 5)
    assert port.words(4) == [0x8005, 0x2100, 0, 0]
    assert port.status() == READY | DRQ


@given(st.integers(2, 100))
def test_the_byte_count_limit_cuts_a_reply_into_pieces(limit: int) -> None:
    """8.23: pieces but the last are even."""
    port = drive()
    assert packet(port, 0x12, 0, 0, 0, 36, limit=limit) == READY | DRQ
    assert port.read(LBA_MID) == min(36, limit & ~1)
    assert len(receive(port)) == 36


def test_a_limit_of_0_aborts_the_ata_command() -> None:
    port = drive()
    assert packet(port, 0x12, 0, 0, 0, 36, limit=0) == DRDY | ERR
    assert port.read(ERROR) == 4
    assert packet(port, 0x00, limit=0) == READY


def test_a_limit_of_1_offers_nothing() -> None:
    """QEMU."""
    port = drive()
    assert packet(port, 0x12, 0, 0, 0, 36, limit=1) == READY | DRQ
    assert port.read(DATA, 2) == 0


def test_a_limit_of_ffff_is_one_less() -> None:
    port = drive(Medium(BLOCKS * 4, zeros=True))
    packet(port, 0x28, 0, 0, 0, 0, 0, 0, 0, 40, limit=0xFFFF)
    port.wait()
    assert (port.read(LBA_MID), port.read(LBA_HIGH)) == (0xFE, 0xFF)
    assert receive(port) == bytes(40 * 2048)


# Commands without data


def test_test_unit_ready() -> None:
    assert packet(drive(), 0x00) == READY
    assert sense(without_medium(), 0x00) == NO_MEDIUM


def test_an_unknown_command_is_illegal() -> None:
    assert sense(drive(), 0xFF) == BAD_COMMAND
    assert sense(drive(), 0x5A, 0, 0x3F) == BAD_FIELD


def test_seek_within_the_medium() -> None:
    assert packet(drive(), 0x2B, 0, 0, 0, 1, 0x2B) == READY
    assert sense(drive(), 0x2B, 0, 0, 0, 1, 0x2C) == OUT_OF_RANGE
    assert packet(drive(), 0xBB) == READY


def test_a_locked_tray_does_not_open() -> None:
    port = drive()
    packet(port, 0x1E, 0, 0, 0, 1)
    assert sense(port, 0x1B, 0, 0, 0, 2) == (2, 0x53)
    assert packet(port, 0x1B, 0, 0, 0, 0x12) == READY  # a power condition
    empty = without_medium()
    packet(empty, 0x1E, 0, 0, 0, 1)
    assert sense(empty, 0x1B, 0, 0, 0, 2) == (5, 0x53)


@pytest.mark.parametrize("dma", [False, True])
def test_with_an_open_tray_nothing_is_read(dma: bool) -> None:
    port = drive(dma=dma)
    assert packet(port, 0x1B, 0, 0, 0, 2) == READY
    assert reply(port, 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8)[5] == 1
    packet(port, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, features=int(dma))
    if port.master:
        port.master.write(0, 1, 1)
    port.wait()
    assert port.status() == DRDY | ERR
    assert port.read(ERROR) == 0x20
    packet(port, 0x1B, 0, 0, 0, 3)
    assert port.channel.state()["unit0_tray_open"] == 0


# Replies


def test_inquiry() -> None:
    data = reply(drive(), 0x12, 0, 0, 0, 255)
    assert data == bytes((5, 0x80, 0, 0x21, 31, 0, 0, 0)) + b"QEMU    QEMU DVD-ROM    2.5+"


def test_inquiry_of_vital_product_data() -> None:
    port = drive(identity=Identity(wwn=0x0102))
    assert reply(port, 0x12, 1, 0x00, 0, 255) == bytes((5, 0, 0, 2, 0, 0x83))
    for room, length in ((28, 28), (100, 100), (112, 112), (255, 112)):
        data = reply(port, 0x12, 1, 0x83, 0, room)
        assert (len(data), data[3]) == (length, length - 4)
    assert data[-8:] == (0x0102).to_bytes(8, "big")
    assert sense(port, 0x12, 1, 0x83, 0, 27) == (5, 0x4B)
    assert sense(port, 0x12, 1, 0x55, 0, 255) == BAD_FIELD


def test_mode_sense() -> None:
    port = drive()
    error = reply(port, 0x5A, 0, 0x01, 0, 0, 0, 0, 0, 255)
    assert error == bytes((0, 14, 0x70, 0, 0, 0, 0, 0, 1, 6, 0, 5, 0, 0, 0, 0))
    assert len(reply(port, 0x5A, 0, 0x0E, 0, 0, 0, 0, 0, 255)) == 24
    assert reply(port, 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255)[14] == 0x29
    packet(port, 0x1E, 0, 0, 0, 1)
    assert reply(port, 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255)[14] == 0x2B
    assert sense(port, 0x5A, 0, 0xC1) == (5, 0x39)
    assert sense(port, 0x5A, 0, 0x41) == BAD_FIELD


def test_the_audio_page_keeps_what_was_in_the_buffer() -> None:
    """QEMU sets only some of its bytes."""
    port = drive()
    reply(port, 0x12, 0, 0, 0, 255)
    data = reply(port, 0x5A, 0, 0x0E, 0, 0, 0, 0, 0, 255, 0x77, 0x66)
    assert data[8:24] == b"\x0e\x0e" + b"\x66\0" + b"    " + b"Q\0M\0 \0V\0"


def test_read_capacity() -> None:
    assert reply(drive(), 0x25) == bytes((0, 0, 1, 0x2B, 0, 0, 8, 0))
    assert sense(without_medium(), 0x25) == NO_MEDIUM


def test_read_toc() -> None:
    port = drive()
    lead_out = bytes((0, 0x16, 0xAA, 0))
    assert reply(port, 0x43, 0, 0, 0, 0, 0, 0, 0, 255) == bytes(
        (0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0)
    ) + lead_out + bytes((0, 0, 1, 0x2C))
    assert reply(port, 0x43, 2, 0, 0, 0, 0, 0xAA, 0, 255) == bytes((0, 10, 1, 1)) + lead_out + bytes((0, 0, 6, 0))
    assert reply(port, 0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0x40) == bytes((0, 10, 1, 1)) + bytes(8)
    for is_msf in (0, 2):
        assert len(reply(port, 0x43, is_msf, 0, 0, 0, 0, 0, 0, 255, 0x80)) == 48
    assert sense(port, 0x43, 0, 0, 0, 0, 0, 2, 0, 255) == BAD_FIELD
    assert sense(port, 0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0xC0) == BAD_FIELD


def test_get_configuration_tells_the_profile() -> None:
    for port, profile in ((drive(), 8), (dvd(), 16), (without_medium(), 0)):
        data = reply(port, 0x46, 0, 0, 0, 0, 0, 0, 0, 255)
        assert (len(data), data[7]) == (20, profile)
        assert (data[14], data[18]) == (profile == 16, profile == 8)
    assert sense(drive(), 0x46, 0, 0, 1) == BAD_FIELD


def test_event_status() -> None:
    assert reply(drive(), 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8) == bytes((0, 4, 4, 0x10, 0, 2, 0, 0))
    assert reply(without_medium(), 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8)[5] == 0
    assert reply(drive(), 0x4A, 1, 0, 0, 0x02, 0, 0, 0, 8) == bytes((0, 0, 0x80, 0x10))
    assert sense(drive(), 0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8) == BAD_FIELD


def test_disc_information_and_mechanism_status() -> None:
    assert reply(drive(), 0x51, 0, 0, 0, 0, 0, 0, 0, 255)[:9] == bytes((0, 32, 14, 1, 1, 1, 1, 0x20, 0))
    assert sense(drive(), 0x51, 1) == BAD_FIELD
    assert reply(drive(), 0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8) == bytes((0, 0, 0, 0, 0, 1, 0, 0))


def test_dvd_structure() -> None:
    command = (0xAD, 0, 0, 0, 0, 0, 0)
    assert sense(drive(), *command, 0, 8, 4) == (5, 0x30)
    assert len(reply(drive(), *command, 0xFF, 8, 4)) == 20
    port = dvd()
    physical = reply(port, *command, 0, 8, 4)
    assert (len(physical), physical[:2]) == (2052, b"\x08\x02")
    assert physical[12:16] == (CD_MAX_SECTORS // 4).to_bytes(4, "big")
    assert len(reply(port, *command, 1, 8, 4)) == 8
    assert reply(port, *command, 4, 8, 4) == b"\x08\x02" + bytes(2050)
    assert sense(port, *command, 3, 8, 4) == BAD_FIELD


# Reading


def test_read_10_and_12() -> None:
    assert reply(drive(), 0x28, 0, 0, 0, 0, 5, 0, 0, 2) == bytes(4096)
    assert reply(drive(), 0xA8, 0, 0, 0, 0, 5, 0, 0, 0, 2) == bytes(4096)
    assert packet(drive(), 0x28) == READY
    assert sense(drive(), 0x28, 0, 0, 0, 1, 0x2B, 0, 0, 2) == OUT_OF_RANGE
    assert sense(without_medium(), 0x28, 0, 0, 0, 0, 0, 0, 0, 1) == NO_MEDIUM


def test_read_cd() -> None:
    command = (0xBE, 0, 0, 0, 0, 75, 0, 0, 1)
    assert reply(drive(), *command, 0x10) == bytes(2048)
    raw = reply(drive(), *command, 0xF8)
    assert len(raw) == 2352
    assert raw[:16] == b"\0" + b"\xff" * 10 + b"\0" + bytes((0, 3, 0, 1))
    assert packet(drive(), *command, 0x00) == READY
    assert packet(drive(), 0xBE) == READY
    assert sense(drive(), *command, 0x08) == BAD_FIELD
    assert packet(drive(), *command, 0x10, limit=0) == DRDY | ERR


@pytest.mark.parametrize("command", [(0x28, 0, 0, 0, 0, 1, 0, 0, 2), (0xBE, 0, 0, 0, 0, 1, 0, 0, 2, 0xF8)])
def test_a_sector_is_assumed_once_and_then_checked(command: tuple[int, ...]) -> None:
    port = drive(Medium(BLOCKS * 4))
    packet(port, *command)
    port.wait()
    number = unknown = 0
    while port.status() & DRQ:
        answer = port.channel.reader(DATA, 2)()
        if isinstance(answer, Unknown):
            assert answer.kind == "assumed"
            answer.learn(number & 0xFFFF)
            unknown += 1
        number += 1
    assert unknown == 2048
    first = 8 if command[0] == 0xBE else 0
    assert reply(port, 0x28, 0, 0, 0, 0, 1, 0, 0, 1) == b"".join((first + n).to_bytes(2, "little") for n in range(1024))


def test_an_unknown_size_is_learned_from_read_capacity() -> None:
    port = drive(Medium())
    packet(port, 0x43, 0, 0, 0, 0, 0, 0, 0, 255)
    answers = [port.channel.reader(DATA, 2)() for _ in range(10)]
    assert [isinstance(answer, Unknown) for answer in answers] == [False] * 8 + [True] * 2
    packet(port, 0x46, 0, 0, 0, 0, 0, 0, 0, 255)
    answers = [port.channel.reader(DATA, 2)() for _ in range(10)]
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Unknown)] == [3, 7, 9]
    packet(port, 0x25)
    for lesson in (0x0000, 0x2B01, 0, 0):
        port.read(DATA, 2, lesson)
    assert port.channel.state()["unit0_medium_sectors"] == BLOCKS * 4


# DMA


def test_a_reply_by_dma_is_done_as_soon_as_the_bus_master_runs() -> None:
    port = drive(dma=True)
    assert port.master
    assert packet(port, 0x12, 0, 0, 0, 36, features=1) == READY | DRQ
    port.master.write(0, 1, 9)
    assert port.read(STATUS) == READY
    assert port.read(SECTOR_COUNT) & 7 == 3
    assert port.master.read(2, 1) == 4


def test_a_read_by_dma_takes_the_host_a_while() -> None:
    port = drive(dma=True)
    assert port.master
    assert packet(port, 0x28, 0, 0, 0, 0, 0, 0, 0, 8, features=1) == READY | DRQ | BSY
    port.master.write(0, 1, 9)
    assert port.status() == READY | DRQ | BSY
    port.wait()
    assert port.read(STATUS) == READY
