"""Parallel NOR flash with Intel's command set, which PCs have their UEFI firmware and its variables in: cfi.pflash01.

Source: Intel StrataFlash Memory (J3) data sheet, "Device Operations" and its table of commands; JEDEC JESD68.01,
Common Flash Interface; the query table's contents are those of QEMU's machines.

Modelled: read array, status, identifier and query; program, buffered program, block erase, lock bits, clear status;
a flash that is read-only.

Not modelled: time, all is done at once; suspend and resume; protection, beyond taking the commands. Chips side by
side and identifiers, which no PC has here.

Follows QEMU where the guest can see a difference from the data sheet:
- In read array mode the guest has the flash as memory, so that its reads are no accesses.
- Programming replaces a byte; it need not be erased.
- Erasing happens with its first command; the second one confirms nothing. Status bits of errors stay until cleared.
- Clear status register leads to read array mode, and so do commands that are not known.
- The number of bytes that a buffer takes is one more than was said; it cannot leave its 256 bytes. A program error
  before the confirmation drops the buffer.
- Wide reads of status show it in every second byte; wide reads of identifiers and query show one byte.
- The identifiers are 0. The size in the query table is the largest power of two that divides the flash's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..registers import Direction, Register, RegisterMap, bit

ARRAY, STATUS, IDENTIFIER, QUERY = "array", "status", "identifier", "query"
_STATUS: Final = (
    bit("WSMS", 7, {0: "busy", 1: "ready"}), bit("ESS", 6), bit("ECLBS", 5), bit("PSLBS", 4), bit("VPENS", 3),
    bit("PSS", 2), bit("DPS", 1),
)  # fmt: skip


class FlashMap(RegisterMap):
    """A map in which what is at offset 0 is at all."""

    def find(self, offset: int, direction: Direction, bank: str | None = None) -> Register | None:
        """See `RegisterMap.find`."""
        return super().find(0, direction, bank)


REGISTERS: Final = FlashMap(
    Register("Array", "What is stored", 0, "r", (), ARRAY),
    Register("Status", "Status register", 0, "r", _STATUS, STATUS, reset=0x80),
    Register("Identifier", "Manufacturer and device", 0, "r", (), IDENTIFIER, reset=0x00),
    Register("Query", "Common flash interface query", 0, "r", (), QUERY, reset=0x00),
    Register("Command", "Command, or what it needs next", 0, "w"),
    banks=(ARRAY, STATUS, IDENTIFIER, QUERY),
)

READ_ARRAY: Final = 0xFF
PROGRAM, PROGRAM_SETUP, BLOCK_ERASE, CLEAR_STATUS, LOCK_BITS = 0x10, 0x40, 0x20, 0x50, 0x60
READ_STATUS, READ_IDENTIFIER, READ_QUERY, WRITE_TO_BUFFER = 0x70, 0x90, 0x98, 0xE8
CONFIRM, SET_LOCK = 0xD0, 0x01
MODES: Final = {READ_ARRAY: ARRAY, READ_IDENTIFIER: IDENTIFIER, READ_QUERY: QUERY}
"""What is read after a command, if it is not the status."""

SR_READY, SR_ERASE_ERROR, SR_PROGRAM_ERROR = 0x80, 0x20, 0x10
BUFFER_BYTES: Final = 256
BLOCK_BYTES: Final = 4096
NO_BUFFER: Final = -1


class CfiFlash(Device):
    """One flash chip of eight bits.

    Args:
        size: bytes, a multiple of `BLOCK_BYTES`.
        read_only: nothing can be erased or programmed.
    """

    title = "Parallel NOR flash, Intel commands (CFI)"
    registers = REGISTERS
    width = 4
    kept_by_reset = ("known",)

    def __init__(self, size: int, *, read_only: bool = False) -> None:
        self._size = size
        self._read_only = read_only
        self._array = bytearray(size)
        self._unknown = bytearray(b"\1") * size
        """Bytes that only the recording knows, which nobody has read or programmed yet."""
        self._buffer: dict[int, int] = {}
        self._query = _query_table(size)
        self._steps: Mapping[int, Callable[[int, int, int], None]] = {
            PROGRAM: self._program, PROGRAM_SETUP: self._program, BLOCK_ERASE: self._confirm_erase,
            LOCK_BITS: self._finish_lock, READ_QUERY: self._leave_query, WRITE_TO_BUFFER: self._fill_buffer,
        }  # fmt: skip
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(16 * BLOCK_BYTES)

    def reset(self) -> None:
        """See `Device.reset`. What is stored stays."""
        self._status = SR_READY
        self._read_array()

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`. A byte of the array is `Unknown` as long as only the recording knows it."""
        mode = MODES.get(self._command, STATUS)
        if mode == STATUS:
            return self._status | self._status << 16 if size == 4 else self._status
        if mode == QUERY:
            index = offset & 0xFF
            return self._query[index] if index < len(self._query) else 0
        return self._read_bytes(offset, size) if mode == ARRAY else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if self._cycle:
            self._steps[self._command](offset, size, value)
        else:
            self._start(offset, value & 0xFF)

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: what reads show."""
        return MODES.get(self._command, STATUS)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `known` is how many bytes of the array are."""
        return {
            "command": self._command,
            "cycle": self._cycle,
            "status": self._status,
            "count": self._count,
            "buffer_at": self._buffer_at,
            "buffered": len(self._buffer),
            "known": self._unknown.count(0),
        }

    def _read_array(self) -> None:
        self._command = READ_ARRAY
        self._cycle = 0
        """How many writes of the command are done that need more of them."""
        self._count = 0
        self._drop_buffer()

    def _drop_buffer(self) -> None:
        self._buffer_at = NO_BUFFER
        self._buffer.clear()

    def _read_bytes(self, offset: int, size: int) -> int:
        known = unknown = 0
        for at in range(min(size, self._size - offset)):
            if self._unknown[offset + at]:
                unknown |= 0xFF << 8 * at
            else:
                known |= self._array[offset + at] << 8 * at
        return Unknown(known, unknown, partial(self._learn, offset, size)) if unknown else known

    def _learn(self, offset: int, size: int, value: int) -> None:
        for at in range(min(size, self._size - offset)):
            if self._unknown[offset + at]:
                self._store(offset + at, value >> 8 * at & 0xFF)

    def _store(self, offset: int, value: int) -> None:
        self._array[offset] = value
        self._unknown[offset] = 0

    # Commands, by the number of the write

    def _start(self, offset: int, command: int) -> None:
        if command in (READ_STATUS, READ_IDENTIFIER):
            self._command = command
            return
        if command not in self._steps:
            if command == CLEAR_STATUS:
                self._status = 0
            self._read_array()
            return
        if command == BLOCK_ERASE:
            self._erase(offset & -BLOCK_BYTES)
        elif command == WRITE_TO_BUFFER:
            self._status |= SR_READY
        self._command = command
        self._cycle = 1

    def _erase(self, first: int) -> None:
        if self._read_only:
            self._status |= SR_ERASE_ERROR
        else:
            length = min(BLOCK_BYTES, self._size - first)
            self._array[first : first + length] = b"\xff" * length
            self._unknown[first : first + length] = bytes(length)
        self._status |= SR_READY

    def _confirm_erase(self, offset: int, size: int, value: int) -> None:
        if value & 0xFF == CONFIRM:
            self._done()
        else:
            self._read_array()

    def _program(self, offset: int, size: int, value: int) -> None:
        if self._read_only:
            self._status |= SR_PROGRAM_ERROR
        else:
            for at in range(min(size, self._size - offset)):
                self._store(offset + at, value >> 8 * at & 0xFF)
        self._done()

    def _finish_lock(self, offset: int, size: int, value: int) -> None:
        if value & 0xFF in (CONFIRM, SET_LOCK):
            self._done()
        else:
            self._read_array()

    def _leave_query(self, offset: int, size: int, value: int) -> None:
        if value & 0xFF == READ_ARRAY:
            self._read_array()

    def _fill_buffer(self, offset: int, size: int, value: int) -> None:
        """The count; then the bytes; then the confirmation."""
        if self._cycle == 1:
            self._count = value & 0xFF
            self._cycle = 2
        elif self._cycle == 2:
            if self._buffer_at == NO_BUFFER and self._count:
                self._buffer_at = offset & -BUFFER_BYTES
            if self._read_only or self._buffer_at == NO_BUFFER:
                self._status |= SR_PROGRAM_ERROR
            else:
                self._put_into_buffer(offset, size, value)
            self._status |= SR_READY
            if self._count:
                self._count -= 1
            else:
                self._cycle = 3
        elif value & 0xFF == CONFIRM and not self._status & SR_PROGRAM_ERROR:
            for at, byte in self._buffer.items():
                self._store(at, byte)
            self._drop_buffer()
            self._done()
        else:
            self._read_array()

    def _put_into_buffer(self, offset: int, size: int, value: int) -> None:
        if offset < self._buffer_at or offset + size > self._buffer_at + BUFFER_BYTES:
            self._status |= SR_PROGRAM_ERROR
            return
        for at in range(min(size, self._size - offset)):
            self._buffer[offset + at] = value >> 8 * at & 0xFF

    def _done(self) -> None:
        """The status is read from now on."""
        self._cycle = 0
        self._status |= SR_READY


def _query_table(size: int) -> bytes:
    """What QEMU's machines answer to a query, by JESD68.01's offsets."""
    table = bytearray(0x52)
    table[0x10:0x17] = b"QRY\x01\x00\x31\x00"  # Intel's commands; their table is at 31h
    table[0x1B:0x27] = bytes((0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0))  # voltages, times
    blocks = size // BLOCK_BYTES - 1
    table[0x27] = (size & -size).bit_length() - 1
    table[0x28] = 2  # 8 and 16 bits
    table[0x2A] = BUFFER_BYTES.bit_length() - 1
    table[0x2C] = 1  # one kind of erase block: how many, how large
    table[0x2D:0x31] = bytes((blocks & 0xFF, blocks >> 8 & 0xFF, BLOCK_BYTES >> 8 & 0xFF, BLOCK_BYTES >> 16))
    table[0x31:0x36] = b"PRI10"
    table[0x3F] = 1
    return bytes(table)
