"""ATA disk: the commands of ATA/ATAPI-6, section 8, as QEMU's disk knows them."""

from __future__ import annotations

import pytest
from ata_port import BSY, COMMAND, CONTROL, DATA, DEVICE, DRDY, DRQ, DSC, ERR, ERROR, HOB, STATUS, Port
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.ata_channel import AtaChannel
from vmdev.replay.devices.ata_identify import Identity, standard_geometry
from vmdev.replay.devices.ata_registers import LBA_HIGH, LBA_LOW, LBA_MID, SECTOR_COUNT
from vmdev.replay.devices.medium import Medium
from vmdev.replay.irq import Line

READY = DRDY | DSC
READ, READ_EXT, READ_MULTIPLE, READ_DMA = 0x20, 0x24, 0xC4, 0xC8
WRITE, WRITE_EXT, WRITE_MULTIPLE, WRITE_DMA, WRITE_DMA_EXT = 0x30, 0x34, 0xC5, 0xCA, 0x35
IDENTIFY, SET_FEATURES, SET_MULTIPLE, FLUSH, SMART, TRIM = 0xEC, 0xEF, 0xC6, 0xE7, 0xB0, 0x06
SECTOR_A, SECTOR_B = b"\xa5" * 512, bytes(range(256)) * 2


def word(block: bytes, number: int) -> int:
    return int.from_bytes(block[2 * number : 2 * number + 2], "little")


def text(block: bytes, first: int, words: int) -> str:
    pairs = (block[2 * number : 2 * number + 2][::-1] for number in range(first, first + words))
    return b"".join(pairs).decode()


def identify(port: Port) -> bytes:
    port.command(IDENTIFY)
    assert port.read(STATUS) == READY | DRQ
    return port.block()


def refused(port: Port) -> bool:
    return port.status() == DRDY | ERR and port.read(ERROR) == 0x04 and port.irq.level


def write(port: Port, lba: int, data: bytes, code: int = WRITE) -> None:
    port.command(code, len(data) // 512 & 0xFF, lba)
    size = 512 * (16 if code == WRITE_MULTIPLE else 1)
    for at in range(0, len(data), size):
        port.send(data[at : at + size])
        port.wait()


def read(port: Port, lba: int, count: int, code: int = READ) -> bytes:
    port.command(code, count & 0xFF, lba)
    data = b""
    while len(data) < 512 * count:
        port.wait()
        data += port.block(min(256 * (16 if code == READ_MULTIPLE else 1), 256 * count - len(data) // 2))
    return data


# IDENTIFY DEVICE (8.15)


def test_identify_tells_model_serial_number_and_firmware() -> None:
    block = identify(Port())
    assert text(block, 10, 10).strip() == "QM00001"
    assert text(block, 23, 4) == "2.5+    "
    assert text(block, 27, 20).strip() == "QEMU HARDDISK"


def test_properties_change_what_identify_tells() -> None:
    identity = Identity("S1", "Big", "9", 0x5000_1234_5678_9ABC, (10, 4, 17), 3, 7200, False, False)
    block = identify(Port(identities=(identity, Identity())))
    assert (text(block, 10, 10).strip(), text(block, 23, 4).strip(), text(block, 27, 20).strip()) == ("S1", "9", "Big")
    assert [word(block, number) for number in range(108, 112)] == [0x5000, 0x1234, 0x5678, 0x9ABC]
    assert [word(block, number) for number in (1, 3, 6, 69, 85, 106, 169, 217)] == [
        10, 4, 17, 0, 0x4001, 0x6003, 0, 7200
    ]  # fmt: skip


def test_identify_tells_the_size() -> None:
    sectors = (1 << 28) + 5
    block = identify(Port(Medium(sectors, zeros=True)))
    assert word(block, 60) | word(block, 61) << 16 == (1 << 28) - 1
    assert word(block, 100) | word(block, 101) << 16 == sectors
    assert (word(block, 1), word(block, 3), word(block, 6)) == (16383, 16, 63)


@pytest.mark.parametrize(("sectors", "cylinders"), [(1, 2), (3 * 1008, 3), (1 << 30, 16383)])
def test_the_standard_geometry_has_16_heads_and_63_sectors(sectors: int, cylinders: int) -> None:
    """QEMU."""
    assert standard_geometry(sectors) == (cylinders, 16, 63)


def test_a_geometry_that_a_partition_table_may_suggest_is_learned() -> None:
    port = Port(Medium(2048))
    port.command(IDENTIFY)
    answers = [port.channel.reader(DATA, 2)() for _ in range(256)]
    unknown = {number for number, answer in enumerate(answers) if isinstance(answer, Unknown)}
    assert unknown == {1, 3, 4, 6, 54, 55, 56, 57, 58}
    for number, value in ((54, 4), (55, 2), (56, 17), (3, 2)):
        answer = answers[number]
        assert isinstance(answer, Unknown)
        assert answer.kind == "learned"
        answer.learn(value)
    port.command(IDENTIFY)
    assert port.words(57)[54:] == [4, 2, 17]
    port.channel.reset()
    port.command(0x27, device=0x00)  # READ NATIVE MAX shows that sector 2047 has cylinder 60, head 0, sector 8
    assert [port.read(offset) for offset in (LBA_LOW, LBA_MID, LBA_HIGH, DEVICE)] == [8, 60, 0, 0xA0]


def test_an_unknown_size_is_learned() -> None:
    port = Port(Medium())
    port.command(IDENTIFY)
    for number in range(256):
        port.read(DATA, 2, lesson={60: 5, 100: 5}.get(number, 0))
    port.command(READ, 1, 5)
    assert refused(port)


def test_a_packet_command_is_refused() -> None:
    port = Port()
    for code in (0xA0, 0xA1, 0x08, 0x00, 0xFF):
        port.command(code)
        assert refused(port)


# SET FEATURES (8.46) and SET MULTIPLE MODE (8.39)


@pytest.mark.parametrize(
    ("mode", "words"),
    [(0x00, (7, 7, 0x3F)), (0x0C, (7, 7, 0x3F)), (0x12, (0x0407, 7, 0x3F)), (0x22, (7, 0x0407, 0x3F)),
     (0x45, (7, 7, 0x203F))],
)  # fmt: skip
def test_the_transfer_mode_shows_in_identify(mode: int, words: tuple[int, int, int]) -> None:
    port = Port()
    identify(port)
    port.command(SET_FEATURES, mode, features=3)
    assert port.read(STATUS) == READY
    block = identify(port)
    assert (word(block, 62), word(block, 63), word(block, 88)) == words


def test_a_mode_before_the_first_identify_does_not_show() -> None:
    """QEMU."""
    port = Port()
    port.command(SET_FEATURES, 0x22, features=3)
    assert word(identify(port), 63) == 7


def test_the_write_cache_can_be_switched() -> None:
    port = Port()
    port.command(SET_FEATURES, features=0x82)
    assert port.status() & BSY  # it flushes
    port.wait()
    assert port.status() == READY
    assert word(identify(port), 85) == 0x4001
    port.command(SET_FEATURES, features=0x02)
    assert word(identify(port), 85) == 0x4021


def test_unknown_features_are_refused() -> None:
    port = Port()
    for features, count in ((0x10, 0), (0x03, 0x18)):
        port.command(SET_FEATURES, count, features=features)
        assert refused(port)
    port.command(SET_FEATURES, features=0xAA)
    assert port.status() == READY


@pytest.mark.parametrize("count", [3, 17, 32])
def test_a_block_has_a_power_of_2_of_sectors_up_to_16(count: int) -> None:
    port = Port()
    port.command(SET_MULTIPLE, count)
    assert refused(port)


def test_set_multiple_to_0_disables_the_commands() -> None:
    port = Port()
    for count in (8, 0):
        port.command(SET_MULTIPLE, count)
        assert port.status() == READY
    for code in (READ_MULTIPLE, WRITE_MULTIPLE):
        port.command(code, 1)
        assert refused(port)


# Reading and writing


def test_what_was_written_is_read() -> None:
    port = Port()
    write(port, 5, SECTOR_A + SECTOR_B)
    assert read(port, 4, 4) == bytes(512) + SECTOR_A + SECTOR_B + bytes(512)
    assert port.status() == READY


@given(st.integers(0, 40), st.integers(1, 20), st.sampled_from((READ, READ_MULTIPLE, READ_EXT)), st.booleans())
def test_every_way_of_reading_shows_the_same(first: int, count: int, code: int, in_blocks: bool) -> None:
    port = Port()
    written = bytes(number * 7 & 0xFF for number in range(512 * 20))
    write(port, 10, written, WRITE_MULTIPLE if in_blocks else WRITE)
    disk = bytes(5120) + written + bytes(512 * 60)
    if code == READ_EXT:
        write_hob_clear(port)
    assert read(port, first, count, code) == disk[512 * first : 512 * (first + count)]


def write_hob_clear(port: Port) -> None:
    for offset in (SECTOR_COUNT, LBA_LOW, LBA_MID, LBA_HIGH):
        port.write(offset, 0)


def test_the_registers_show_the_next_sector() -> None:
    """8.34: and the count of those that are left."""
    port = Port()
    port.command(READ, 3, 0x0FF)
    port.wait()
    assert port.signature() == (2, 0x00, 0x01, 0x00)


def test_ext_commands_have_48_bit_addresses() -> None:
    """6.2: the bytes written first are the high ones."""
    port = Port(Medium(1 << 40, zeros=True))
    port.write(DEVICE, 0x40)
    for offset, high, low in ((SECTOR_COUNT, 0, 2), (LBA_LOW, 0x44, 0x11), (LBA_MID, 0x05, 0x22), (LBA_HIGH, 0, 0x33)):
        port.write(offset, high)
        port.write(offset, low)
    port.write(COMMAND, WRITE_EXT)
    port.send(SECTOR_A)
    port.wait()
    assert port.signature() == (1, 0x12, 0x22, 0x33)
    port.write(CONTROL, HOB)
    assert [port.read(offset) for offset in (LBA_LOW, LBA_MID, LBA_HIGH)] == [0x44, 0x05, 0]
    assert port.channel.state()["unit0_medium_known_sectors"] == 1


def test_cylinder_head_and_sector_count_from_1() -> None:
    port = Port()
    write(port, 63 + 1, SECTOR_A)  # cylinder 0, head 1, sector 2
    port.command(READ, 1, 2, device=0x01)
    port.wait()
    assert port.block() == SECTOR_A
    assert (port.read(LBA_LOW), port.read(DEVICE)) == (3, 0xA1)


@pytest.mark.parametrize("code", [READ, READ_EXT, READ_MULTIPLE, READ_DMA, WRITE_DMA])
def test_beyond_the_end_is_refused(code: int) -> None:
    port = Port(dma=True)
    port.command(code, 2, 2047)
    if code in (READ, READ_EXT):
        port.wait()
        port.block()
    elif port.master:
        port.master.write(0, 1, 1)
    assert refused(port)


def test_a_write_beyond_the_end_is_refused_after_its_data() -> None:
    port = Port()
    port.command(WRITE, 1, 2048)
    port.send(SECTOR_A)
    assert refused(port)


def test_sector_0_of_a_cylinder_is_refused() -> None:
    port = Port()
    port.command(READ, 1, 0, device=0x00)
    assert refused(port)


def test_a_count_of_0_is_256_sectors() -> None:
    port = Port()
    port.command(READ, 0)
    port.wait()
    assert port.channel.state()["unit0_count"] == 255


def test_writes_ask_for_data_at_once_and_interrupt_after_each_block() -> None:
    """9.6."""
    port = Port()
    port.command(WRITE, 2)
    assert port.status() == READY | DRQ
    assert not port.irq.level
    assert port.read(DATA, 2) == 0
    port.send(SECTOR_A)
    assert port.status() == READY | BSY
    port.wait()
    assert port.read(STATUS) == READY | DRQ
    port.send(SECTOR_A)
    port.wait()
    assert port.read(STATUS) == READY


def test_data_beyond_the_block_is_ignored() -> None:
    port = Port()
    port.command(WRITE, 1)
    port.send(SECTOR_B[:510])
    port.write(DATA, 0xFFFF_FFFF, 4)
    port.send(SECTOR_B[510:])
    port.send(SECTOR_A)
    port.wait()
    assert read(port, 0, 1) == SECTOR_B


def test_reading_data_offered_in_words_does_not_reach_beyond_the_end() -> None:
    port = Port()
    port.command(IDENTIFY)
    port.words(255)
    assert port.read(DATA, 4) == 0
    port.write(DATA, 0x1234, 2)
    port.words(1)
    assert port.status() == READY


# What only the recording knows


def test_a_sector_is_assumed_once_and_then_checked() -> None:
    port = Port(Medium(16))
    port.command(READ, 1)
    port.wait()
    for number in range(256):
        answer = port.channel.reader(DATA, 2)()
        assert isinstance(answer, Unknown)
        assert answer.kind == "assumed"
        answer.learn(number)
    assert read(port, 0, 1) == b"".join(number.to_bytes(2, "little") for number in range(256))


def test_a_block_of_known_and_unknown_sectors() -> None:
    port = Port(Medium(16))
    write(port, 1, SECTOR_A)
    port.command(READ_MULTIPLE, 2)
    port.wait()
    known = [isinstance(port.channel.reader(DATA, 4)(), Unknown) for _ in range(256)]
    assert known == [True] * 128 + [False] * 128


def test_what_dma_writes_is_unknown() -> None:
    port = Port(dma=True)
    assert port.master
    write(port, 1, SECTOR_A)
    port.command(WRITE_DMA, 2, 0)
    port.master.write(0, 1, 1)
    port.wait()
    port.command(READ, 3)
    port.wait()
    assert isinstance(port.channel.reader(DATA, 2)(), Unknown)
    assert port.channel.state()["unit0_medium_known_sectors"] == 0


def test_after_trim_only_what_was_never_written_is_known() -> None:
    port = Port(dma=True)
    assert port.master
    write(port, 1, SECTOR_A)
    port.command(TRIM, 1, features=1)
    port.master.write(0, 1, 1)
    port.wait()
    assert port.status() == READY
    assert read(port, 0, 1) == bytes(512)
    port.command(READ, 1, 1)
    port.wait()
    assert isinstance(port.channel.reader(DATA, 2)(), Unknown)
    port.command(TRIM, 1, features=0)
    port.wait()


# The other commands


@pytest.mark.parametrize("code", [0x10, 0x70, 0x91, 0x40, 0x41, 0x42])
def test_commands_without_effect_end_with_dsc(code: int) -> None:
    port = Port()
    port.command(code, 1)
    assert port.read(STATUS) == READY


@pytest.mark.parametrize("code", [0x94, 0x95, 0x96, 0x97, 0x99, 0xE0, 0xE1, 0xE2, 0xE3, 0xE6])
def test_power_management_ends_without_dsc(code: int) -> None:
    """QEMU."""
    port = Port()
    port.command(code)
    assert port.read(STATUS) == DRDY


@pytest.mark.parametrize("code", [0x98, 0xE5])
def test_the_disk_is_always_active_or_idle(code: int) -> None:
    """8.5."""
    port = Port()
    port.command(code)
    assert port.read(SECTOR_COUNT) == 0xFF


def test_the_native_max_address_is_the_last_sector() -> None:
    """8.32."""
    port = Port()
    port.command(0xF8)
    assert port.signature()[1:] == (0xFF, 0x07, 0x00)


def test_security_freeze_lock_succeeds() -> None:
    port = Port()
    port.command(0xF5, 7)
    assert port.status() == READY
    assert port.read(SECTOR_COUNT) == 0


def test_a_diagnostic_shows_the_signature() -> None:
    """8.9."""
    port = Port()
    port.command(0x90, 5, 0x123456)
    assert port.read(DEVICE) == 0xA0
    assert port.signature() == (1, 1, 0, 0)
    assert (port.read(STATUS), port.read(ERROR)) == (READY, 1)


def test_a_flush_takes_the_host_a_while() -> None:
    """8.12; QEMU leaves DSC clear meanwhile."""
    port = Port()
    port.command(FLUSH)
    assert port.status() == DRDY | BSY
    port.wait()
    assert port.read(STATUS) == READY


def test_commands_of_an_absent_device_0() -> None:
    port = Port(second=Medium(16), empty=True)
    for code in (READ, READ_DMA, WRITE, SET_FEATURES, 0xF8, TRIM, READ_MULTIPLE):
        port.command(code, 1)
        assert refused(port), hex(code)
    port.command(FLUSH)
    assert port.status() == READY


def test_without_bus_master_a_dma_command_waits_for_ever() -> None:
    """QEMU's ISA channels."""
    port = Port()
    port.command(READ_DMA, 1)
    port.wait()
    assert port.status() == READY | DRQ


INITIALIZE, NATIVE_MAX, REVERT, KEEP = 0x91, 0xF8, 0xCC, 0x66


def next_place(port: Port) -> tuple[int, int, int]:
    """Cylinder, head and sector after the first sector of cylinder 1 was read."""
    port.command(READ, 1, 0x000101, device=0x00)
    port.wait()
    port.block()
    return port.read(LBA_MID), port.read(DEVICE) & 0xF, port.read(LBA_LOW)


def test_initialize_device_parameters_sets_what_addresses_count_by() -> None:
    """ATA-5, 8.16; IDENTIFY shows it if it has not been made before."""
    port = Port()
    port.command(INITIALIZE, 1, device=0x01)
    assert next_place(port) == (1, 1, 1)
    assert [word(identify(port), number) for number in (1, 3, 6, 57)] == [2, 2, 1, 4]


def test_the_native_max_address_counts_by_the_native_geometry() -> None:
    """8.32."""
    port = Port()
    port.command(INITIALIZE, 1, device=0x01)
    port.command(NATIVE_MAX, device=0x00)
    assert [port.read(offset) for offset in (LBA_LOW, LBA_MID, DEVICE)] == [32, 2, 0xA0]


def test_a_reset_undoes_the_parameters_only_if_it_is_asked_to() -> None:
    """8.46.14: once."""
    port = Port()
    port.command(INITIALIZE, 1, device=0x01)
    port.reset()
    assert next_place(port) == (1, 1, 1)
    port.command(SET_FEATURES, features=REVERT)
    port.command(SET_FEATURES, features=KEEP)
    port.reset()
    assert next_place(port) == (1, 1, 1)
    port.command(SET_FEATURES, features=REVERT)
    port.reset()
    assert next_place(port) == (1, 0, 2)


def test_a_disk_of_no_sectors_a_track_has_no_places() -> None:
    """QEMU ends at a division by zero."""
    port = Port()
    port.command(INITIALIZE, 0)
    port.command(READ, 1, 0x000001, device=0x00)
    port.wait()
    assert port.read(STATUS) == READY | DRQ


def test_an_absent_device_has_no_parameters_and_no_smart() -> None:
    port = Port(second=Medium(16), empty=True)
    port.command(INITIALIZE, 1)
    assert refused(port)
    smart(port, 0xDA)
    assert refused(port)


# SMART (8.41)


def smart(port: Port, features: int, lba: int = 0xC24F00) -> None:
    port.command(SMART, 1, lba, features)


def test_smart_needs_its_key_and_to_be_enabled() -> None:
    port = Port()
    smart(port, 0xD0, 0)
    assert refused(port)
    smart(port, 0xD9)
    smart(port, 0xDA)
    assert refused(port)
    smart(port, 0xD8)
    smart(port, 0xDA)
    assert port.signature()[2:] == (0x4F, 0xC2)
    assert port.status() == READY


@pytest.mark.parametrize(("features", "lba"), [(0xD0, 0xC24F00), (0xD1, 0xC24F00), (0xD5, 0xC24F01), (0xD5, 0xC24F06)])
def test_smart_blocks_have_a_checksum(features: int, lba: int) -> None:
    port = Port()
    smart(port, features, lba)
    block = port.block()
    assert block[0] == 1
    assert sum(block) & 0xFF == 0


@pytest.mark.parametrize(
    ("features", "lba"), [(0xD5, 0xC24F00), (0xD2, 0xC24F01), (0xD4, 0xC24F03), (0x00, 0xC24F00)]
)  # fmt: skip
def test_smart_refuses_what_it_does_not_know(features: int, lba: int) -> None:
    port = Port()
    smart(port, features, lba)
    assert refused(port)


def test_smart_autosave_shows_in_the_data() -> None:
    port = Port()
    for lba, shown in ((0xC24F00, 0x02), (0xC24FF1, 0x82)):
        smart(port, 0xD2, lba)
        smart(port, 0xD0)
        assert port.block()[362] == shown


def test_smart_self_tests_are_logged_21_at_most() -> None:
    port = Port()
    for number in range(22):
        smart(port, 0xD4, 0xC24F00 + number % 3)
    smart(port, 0xD5, 0xC24F06)
    log = port.block()
    assert log[508] == 1
    assert log[2:6] == bytes((0, 0, 0x34, 0x12))
    assert log[26:30] == bytes((1, 0, 0x34, 0x12))


# Anything


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from((1, 2, 4)), st.integers(0, 0xFFFF_FFFF)), max_size=60))
def test_no_guest_can_make_it_fail(writes: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    channel = AtaChannel(clock, Line(), ((Medium(64), Identity()), (Medium(), Identity())), (False, True))
    for offset, size, value in writes:
        channel.write(offset, size, value & (1 << 8 * size) - 1)
        for at, width in ((offset, size), (DATA, 2)):
            answer = channel.read(at, width)
            if isinstance(answer, Unknown):
                answer.learn(value & answer.mask)
        channel.assume(STATUS, 1, value & 0xFF, channel.read(STATUS, 1))
        clock.advance(clock.now_ns + value % 5000)
