"""SMBus host controller: ICH9 data sheet, section 19.2; SMBus 2.0, section 5.5; QEMU where it differs."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.smbus_eeprom import Eeproms
from vmdev.replay.devices.smbus_host import (
    AUX_CTL,
    BLOCK,
    BLOCK_DB,
    BYTE,
    BYTE_DATA,
    E32B,
    HST_CMD,
    HST_CNT,
    HST_D0,
    HST_D1,
    HST_STS,
    I2C_READ,
    INTREN,
    KILL,
    LAST_BYTE,
    QUICK,
    START,
    WORD_DATA,
    XMIT_SLVA,
    SmbusHost,
)
from vmdev.replay.irq import Line

BUSY, INTR, DEV_ERR, FAILED, DONE = 0x01, 0x02, 0x04, 0x10, 0x80
EEPROM, NOBODY = 0x51, 0x60


class Machine:
    def __init__(self, *, has_buffer: bool = False) -> None:
        self.line = Line()
        self.host = SmbusHost(self.line, has_buffer=has_buffer)

    def get(self, offset: int) -> int:
        return self.host.read(offset, 1)

    def put(self, offset: int, value: int) -> None:
        self.host.write(offset, 1, value)

    def start(self, protocol: int, address: int, *, reads: bool, command: int = 0, control: int = 0) -> None:
        self.put(XMIT_SLVA, address << 1 | reads)
        self.put(HST_CMD, command)
        self.put(HST_CNT, START | protocol << 2 | control)

    def transfer(self, protocol: int, address: int = EEPROM, *, reads: bool = False, command: int = 0) -> int:
        """Make a transfer and clear its status, which is returned."""
        self.start(protocol, address, reads=reads, command=command)
        assert self.get(HST_STS) & BUSY
        status = self.get(HST_STS)
        self.put(HST_STS, 0xFF)
        return status

    def write_bytes(self, offset: int, *values: int) -> None:
        for at, value in enumerate(values):
            self.put(HST_D0, value)
            assert self.transfer(BYTE_DATA, command=offset + at) == INTR


def test_a_transfer_is_made_when_the_status_is_read() -> None:
    """QEMU."""
    machine = Machine()
    machine.start(QUICK, EEPROM, reads=False)
    assert [machine.get(HST_STS), machine.get(HST_STS)] == [BUSY, INTR]
    assert machine.get(HST_CNT) == 0


@pytest.mark.parametrize("protocol", [QUICK, BYTE, BYTE_DATA, WORD_DATA, BLOCK, I2C_READ])
@pytest.mark.parametrize("reads", [False, True])
def test_nobody_answers_at_other_addresses(protocol: int, reads: bool) -> None:
    machine = Machine(has_buffer=True)
    assert machine.transfer(protocol, NOBODY, reads=reads) == DEV_ERR


@pytest.mark.parametrize("protocol", [4, 7])
def test_process_calls_are_errors(protocol: int) -> None:
    """QEMU."""
    assert Machine().transfer(protocol) == DEV_ERR


def test_an_error_that_is_not_cleared_stops_the_next_transfer() -> None:
    machine = Machine()
    machine.start(QUICK, NOBODY, reads=False)
    machine.get(HST_STS)
    machine.start(QUICK, EEPROM, reads=False)
    machine.get(HST_STS)
    assert machine.get(HST_STS) == DEV_ERR


def test_bytes_and_words() -> None:
    machine = Machine()
    machine.write_bytes(4, 0x5A, 0xA5)
    assert machine.transfer(BYTE_DATA, reads=True, command=4) == INTR
    assert machine.get(HST_D0) == 0x5A
    assert machine.transfer(WORD_DATA, reads=True, command=4) == INTR
    assert (machine.get(HST_D0), machine.get(HST_D1)) == (0x5A, 0xA5)
    machine.put(HST_D0, 0x34)
    machine.put(HST_D1, 0x12)
    assert machine.transfer(WORD_DATA, command=0xFF) == INTR
    assert machine.transfer(BYTE, command=0) == INTR
    assert machine.transfer(BYTE, reads=True) == INTR
    assert machine.get(HST_D0) == 0x12, "the offset wraps"


def test_interrupts() -> None:
    """19.2.3, bit 0. Then a transfer is made at once."""
    machine = Machine()
    machine.start(QUICK, EEPROM, reads=False, control=INTREN)
    assert machine.line.level
    assert machine.get(HST_STS) == INTR
    machine.put(HST_STS, INTR)
    assert not machine.line.level


def test_kill_fails_the_transfer() -> None:
    """19.2.3, bit 1."""
    machine = Machine()
    machine.put(HST_CNT, START | KILL)
    assert machine.get(HST_STS) & FAILED


def test_a_block_is_read_through_the_buffer() -> None:
    """19.2.8."""
    machine = Machine(has_buffer=True)
    machine.write_bytes(0x10, 3, 7, 8, 9)
    assert machine.transfer(BLOCK, reads=True, command=0x10) == INTR
    assert machine.get(HST_D0) == 3
    assert [machine.get(BLOCK_DB) for _ in range(3)] == [7, 8, 9]


def test_a_block_longer_than_the_buffer_is_empty() -> None:
    """QEMU."""
    machine = Machine(has_buffer=True)
    machine.write_bytes(0x10, 33)
    machine.transfer(BLOCK, reads=True, command=0x10)
    assert machine.get(HST_D0) == 0


def test_a_block_is_written_through_the_buffer() -> None:
    machine = Machine(has_buffer=True)
    for value in (5, 6):
        machine.put(BLOCK_DB, value)
    machine.put(HST_D0, 2)
    assert machine.transfer(BLOCK, command=0x20) == INTR
    machine.transfer(BLOCK, reads=True, command=0x20)
    assert [machine.get(BLOCK_DB) for _ in range(2)] == [5, 6]
    machine.put(HST_D0, 3)
    assert machine.transfer(BLOCK, command=0x20) == DEV_ERR, "nothing is in the buffer"


def test_a_block_is_read_byte_by_byte() -> None:
    """19.2.1, bit 7."""
    machine = Machine()
    machine.write_bytes(0x10, 3, 7, 8, 9)
    machine.start(BLOCK, EEPROM, reads=True, command=0x10)
    machine.get(HST_STS)
    read = []
    for number in range(3):
        assert machine.get(HST_STS) == BUSY | DONE
        read.append(machine.get(BLOCK_DB))
        if number == 1:
            machine.put(HST_CNT, BLOCK << 2 | LAST_BYTE)
        machine.put(HST_STS, DONE)
        if number == 1:
            break
    assert read == [7, 8]
    assert machine.get(HST_STS) == INTR
    assert machine.get(BLOCK_DB) == 9


def test_a_block_is_written_byte_by_byte() -> None:
    machine = Machine()
    machine.put(HST_D0, 2)
    machine.put(BLOCK_DB, 0x11)
    machine.start(BLOCK, EEPROM, reads=False, command=0x30)
    machine.get(HST_STS)
    assert machine.get(HST_STS) == BUSY | DONE
    machine.put(BLOCK_DB, 0x22)
    machine.put(HST_STS, DONE)
    assert machine.get(HST_STS) == BUSY | DONE
    machine.put(HST_STS, DONE)
    assert machine.get(HST_STS) == INTR
    machine.put(HST_STS, 0xFF)
    values = []
    for command in (0x30, 0x31, 0x32):
        machine.transfer(BYTE_DATA, reads=True, command=command)
        values.append(machine.get(HST_D0))
    assert values == [2, 0x11, 0x22]


def test_a_block_written_to_nobody_fails_at_its_end() -> None:
    machine = Machine()
    machine.put(HST_D0, 1)
    machine.start(BLOCK, NOBODY, reads=False)
    machine.get(HST_STS)
    assert machine.get(HST_STS) & DONE
    machine.put(HST_STS, DONE)
    assert machine.get(HST_STS) & DEV_ERR


def test_i2c_blocks_are_read_from_an_offset() -> None:
    """19.2.3, I2C read."""
    machine = Machine()
    machine.write_bytes(0x40, 1, 2, 3)
    machine.put(HST_D1, 0x40)
    machine.start(I2C_READ, EEPROM, reads=True)
    machine.get(HST_STS)
    assert machine.get(BLOCK_DB) == 1
    machine.put(HST_STS, DONE)
    assert machine.get(BLOCK_DB) == 2
    machine.put(HST_CNT, I2C_READ << 2 | LAST_BYTE)
    machine.put(HST_STS, DONE)
    assert machine.get(BLOCK_DB) == 3
    assert machine.get(HST_STS) == INTR


def test_a_start_ends_a_block_that_was_not_finished() -> None:
    machine = Machine()
    machine.put(HST_D1, 0)
    machine.start(I2C_READ, EEPROM, reads=True)
    machine.get(HST_STS)
    assert machine.transfer(QUICK) & INTR
    assert machine.host.state()["i2c_read"] == 0


def test_with_i2c_enable_blocks_have_no_length() -> None:
    """HOSTC, bit 2."""
    machine = Machine(has_buffer=True)
    machine.host.is_i2c = True
    machine.put(BLOCK_DB, 0x77)
    machine.put(HST_D0, 1)
    assert machine.transfer(BLOCK, command=0x50) == INTR
    machine.transfer(BYTE, command=0x50)
    machine.transfer(BLOCK, reads=True)
    assert machine.get(HST_D0) == 32
    assert machine.get(BLOCK_DB) == 0x77


def test_auxiliary_control_has_two_bits() -> None:
    machine = Machine()
    machine.put(AUX_CTL, 0xFF)
    assert machine.get(AUX_CTL) == E32B | 1


def test_the_slaves_registers_read_0() -> None:
    machine = Machine()
    machine.put(0x11, 5)
    assert machine.get(0x11) == machine.get(0x10) == 0


def test_stopping_forgets_the_status() -> None:
    machine = Machine()
    machine.start(QUICK, NOBODY, reads=False, control=INTREN)
    machine.host.reset()
    assert machine.get(HST_STS) == DEV_ERR
    machine.host.stop()
    assert machine.get(HST_STS) == 0


def test_eeproms_are_at_50h_to_57h() -> None:
    memories = Eeproms()
    assert [address for address in range(0x80) if memories.answers(address)] == list(range(0x50, 0x58))
