"""Parallel NOR flash: the data sheet's commands, the query table, and what QEMU does at once or leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.cfi_flash import BLOCK_BYTES, CfiFlash

SIZE = 4 * BLOCK_BYTES
READ_ARRAY, READ_STATUS, CLEAR_STATUS, ERASE, PROGRAM, BUFFER, LOCK, CONFIRM = (
    0xFF,
    0x70,
    0x50,
    0x20,
    0x40,
    0xE8,
    0x60,
    0xD0,
)
READY, ERASE_ERROR, PROGRAM_ERROR = 0x80, 0x20, 0x10


def send(flash: CfiFlash, offset: int, *values: int) -> None:
    for value in values:
        flash.write(offset, 1, value)


def array(flash: CfiFlash, offset: int) -> int | None:
    """A byte of the array; None if only a recording knows it."""
    send(flash, 0, READ_ARRAY)
    answer = flash.read(offset, 1)
    return None if isinstance(answer, Unknown) else answer


def buffered(flash: CfiFlash, offset: int, data: bytes, confirm: int = CONFIRM) -> None:
    send(flash, offset, BUFFER, len(data) - 1)
    for at, value in enumerate(data):
        send(flash, offset + at, value)
    send(flash, offset, confirm)


def test_the_array_is_learned_byte_by_byte() -> None:
    flash = CfiFlash(SIZE)
    answer = flash.read(8, 4)
    assert isinstance(answer, Unknown)
    assert (answer.mask, answer.kind) == (0xFFFF_FFFF, "learned")
    answer.learn(0x44332211)
    assert flash.read(8, 4) == 0x44332211
    half = flash.read(10, 4)
    assert isinstance(half, Unknown)
    assert (half.known, half.mask) == (0x4433, 0xFFFF_0000)
    half.learn(0x6655_0000)
    assert flash.read(10, 4) == 0x66554433


@pytest.mark.parametrize("command", [0x40, 0x10])
def test_a_program_command_takes_one_value_and_shows_the_status(command: int) -> None:
    flash = CfiFlash(SIZE)
    send(flash, 5, command, 0x5A)
    assert flash.read(0, 1) == READY
    assert flash.bank(0) == "status"
    assert array(flash, 5) == 0x5A
    assert flash.bank(0) == "array"
    assert array(flash, 6) is None


def test_a_wide_value_programs_as_many_bytes() -> None:
    flash = CfiFlash(SIZE)
    flash.write(8, 4, PROGRAM)
    flash.write(8, 4, 0x04030201)
    send(flash, 0, READ_ARRAY)
    assert flash.read(8, 4) == 0x04030201


def test_erasing_makes_a_block_ff() -> None:
    flash = CfiFlash(SIZE)
    send(flash, BLOCK_BYTES + 7, ERASE, CONFIRM)
    assert flash.read(0, 2) == READY
    assert flash.read(0, 4) == READY << 16 | READY, "QEMU: in every second byte"
    assert [array(flash, at) for at in (BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES - 1, 2 * BLOCK_BYTES)] == [
        None, 0xFF, 0xFF, None,
    ]  # fmt: skip


@pytest.mark.parametrize("value", [READ_ARRAY, 0x12])
def test_an_erase_that_is_not_confirmed_leads_to_read_array(value: int) -> None:
    flash = CfiFlash(SIZE)
    send(flash, 0, ERASE, value)
    assert flash.bank(0) == "array"


@given(st.integers(0, SIZE - 256).map(lambda at: at & -256), st.integers(0, 100), st.binary(min_size=2, max_size=100))
def test_a_buffer_is_programmed_when_it_is_confirmed(block: int, at: int, data: bytes) -> None:
    flash = CfiFlash(SIZE)
    buffered(flash, block + at, data)
    assert flash.read(0, 1) == READY
    assert bytes(array(flash, block + at + i) or 0 for i in range(len(data))) == data


def test_a_buffer_that_is_not_confirmed_is_dropped() -> None:
    flash = CfiFlash(SIZE)
    buffered(flash, 0, b"ab", confirm=0x00)
    assert flash.bank(0) == "array"
    assert array(flash, 0) is None


def test_a_buffer_cannot_leave_its_256_bytes() -> None:
    flash = CfiFlash(SIZE)
    buffered(flash, 0xFF, b"ab")
    send(flash, 0, READ_STATUS)
    assert flash.read(0, 1) == READY | PROGRAM_ERROR
    assert array(flash, 0xFF) is None
    send(flash, 0, CLEAR_STATUS, READ_STATUS)
    assert flash.read(0, 1) == 0
    send(flash, 0, READ_ARRAY)
    buffered(flash, 0x40, b"cd")
    assert array(flash, 0x40) == ord("c")


def test_a_buffer_of_one_byte_fails() -> None:
    """QEMU."""
    flash = CfiFlash(SIZE)
    buffered(flash, 0, b"a")
    send(flash, 0, READ_STATUS)
    assert flash.read(0, 1) == READY | PROGRAM_ERROR


def test_a_read_only_flash_tells_errors() -> None:
    flash = CfiFlash(SIZE, read_only=True)
    for commands, error in (((ERASE, CONFIRM), ERASE_ERROR), ((PROGRAM, 1), PROGRAM_ERROR)):
        send(flash, 0, *commands)
        assert flash.read(0, 1) == READY | error
        send(flash, 0, CLEAR_STATUS)
    buffered(flash, 0, b"ab")
    send(flash, 0, READ_STATUS)
    assert flash.read(0, 1) & PROGRAM_ERROR
    assert array(flash, 0) is None


@pytest.mark.parametrize(
    ("value", "mode"), [(CONFIRM, "status"), (0x01, "status"), (READ_ARRAY, "array"), (0x33, "array")]
)
def test_lock_bits(value: int, mode: str) -> None:
    flash = CfiFlash(SIZE)
    send(flash, 0, LOCK, value)
    assert flash.bank(0) == mode


def test_identifiers_are_0() -> None:
    """QEMU's PCs."""
    flash = CfiFlash(SIZE)
    send(flash, 0, 0x90)
    assert flash.bank(0) == "identifier"
    assert [flash.read(at, 4) for at in range(3)] == [0, 0, 0]
    send(flash, 0, READ_STATUS)
    assert flash.bank(0) == "status"


def test_the_query_table() -> None:
    """JESD68.01, 4.3: identification, geometry."""
    flash = CfiFlash(0x84000)
    send(flash, 0x55, 0x98)
    query = [flash.read(at, 1) for at in range(0x100)]
    assert bytes(query[0x10:0x13]) == b"QRY"
    assert (query[0x13], query[0x15]) == (1, 0x31), "Intel's commands"
    assert bytes(query[0x31:0x36]) == b"PRI10"
    assert query[0x27] == 14, "QEMU: 528 KiB is 33 times 2**14"
    assert query[0x2D] + 1 + 256 * query[0x2E] == 0x84
    assert (query[0x2F] | query[0x30] << 8) * 256 == BLOCK_BYTES
    assert 1 << query[0x2A] == 256
    assert query[0x52:] == [0] * (0x100 - 0x52)
    assert flash.read(0x110, 4) == ord("Q"), "one byte of it, whatever the access"
    send(flash, 0, 0x12)
    assert flash.bank(0) == "query"
    send(flash, 0, READ_ARRAY)
    assert flash.bank(0) == "array"


@pytest.mark.parametrize("command", [0x00, 0xF0, 0x28, 0x77])
def test_other_commands_lead_to_read_array(command: int) -> None:
    flash = CfiFlash(SIZE)
    send(flash, 0, READ_STATUS, command)
    assert flash.bank(0) == "array"


def test_a_reset_leads_to_read_array_and_keeps_what_is_stored() -> None:
    flash = CfiFlash(SIZE)
    send(flash, 0, PROGRAM, 0x12)
    send(flash, 0, BUFFER, 3, 1)
    flash.reset()
    assert flash.bank(0) == "array"
    assert flash.state()["buffered"] == 0
    assert array(flash, 0) == 0x12
    assert flash.registers.find(0x1234, "r", "status") is not None
