"""82093AA I/O APIC: turns 24 interrupt lines into messages to local APICs.

Source: Intel 82093AA I/O Advanced Programmable Interrupt Controller data sheet (290566-001), section 3 "Register
Description". Version 20h and the EOI register: Intel ICH data sheets, "APIC registers".

Modelled: all registers; edge and level pins, masks, remote IRR with its end of interrupt, delivery to local APICs.

Not modelled: polarity (QEMU's lines are never inverted); arbitration, delivery status (a message arrives at once).

Follows QEMU where the guest can see a difference from the data sheet:
- It is version 20h, but for `-global ioapic.version=0x11`: 24 pins, and an EOI register at 40h, written with a vector.
- IOWIN answers and takes accesses of four bytes only; IOREGSEL any. Everything else reads 0. The registers repeat every
  256 bytes.
- The arbitration ID is always the ID. Reserved bits of the redirection table are kept, but ID has four bits.
- A pin that becomes edge-triggered loses its remote IRR, as drivers expect that have no EOI register.
- An edge at a masked pin is lost. A level pin that is unmasked while high delivers at once, and again at every EOI
  while it stays high; after 10,000 of those in a row the next waits 10 ms.
- A pin in mode ExtINT acknowledges the 8259A pair when it delivers, and takes its vector; if it is pending and masked,
  too.

A request at a level pin that no model drives (its device is not on the board) is input from outside: it is assumed when
remote IRR shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND, Clock
from ..device import Device
from ..registers import Field, Register, RegisterMap, bit
from .misaligned import read_pieces, write_pieces

PINS: Final = 24
IOREGSEL, IOWIN, EOIR = 0x00, 0x10, 0x40
INDEX_ID, INDEX_VER, INDEX_ARB, INDEX_TABLE = 0x00, 0x01, 0x02, 0x10
REPEATS: Final = 0x100
"""Bytes after which the registers repeat."""

DELIVERY_SHIFT: Final = 8
REMOTE_IRR, LEVEL, MASKED = 1 << 14, 1 << 15, 1 << 16
READ_ONLY: Final = REMOTE_IRR | 1 << 12
EXTINT: Final = 0b111
MASK_32, MASK_64 = (1 << 32) - 1, (1 << 64) - 1

STORM: Final = 10_000
STORM_PAUSE_NS: Final = NANOSECONDS_PER_SECOND // 100

MSI_BASE: Final = 0xFEE0_0000
MSI_LOGICAL, MSI_LEVEL = 1 << 2, 1 << 15

DELIVERY_MODES: Final = {0: "fixed", 1: "lowest priority", 2: "SMI", 4: "NMI", 5: "INIT", 7: "ExtINT"}
TRIGGER_MODES: Final = {0: "edge", 1: "level"}

_ID: Final = (Field("ID", 27, 24),)
_LOW: Final = (
    bit("INTERRUPT_MASK", 16), bit("TRIGGER_MODE", 15, TRIGGER_MODES), bit("REMOTE_IRR", 14, nature="interrupt"),
    bit("INTPOL", 13), bit("DELIVS", 12), bit("DESTMOD", 11, {0: "physical", 1: "logical"}),
    Field("DELMOD", 10, 8, DELIVERY_MODES), Field("INTVEC", 7, 0),
)  # fmt: skip


def _bank(index: int) -> str:
    return f"index {index:#04x}"


def _indexed(index: int, name: str, title: str, fields: tuple[Field, ...], reset: int, access: str = "rw") -> Register:
    return Register(name, title, IOWIN, "r" if access == "r" else "rw", fields, _bank(index), reset, 32)


REGISTERS: Final = RegisterMap(
    Register("IOREGSEL", "Index of the register at IOWIN", IOREGSEL, "rw", (Field("APIC_REGISTER", 7, 0),), reset=0),
    _indexed(INDEX_ID, "IOAPICID", "Identification", _ID, 0),
    _indexed(
        INDEX_VER, "IOAPICVER", "Version", (Field("MAX_REDIRECTION_ENTRY", 23, 16), Field("VERSION", 7, 0)), 0x170020
    ),
    _indexed(INDEX_ARB, "IOAPICARB", "Arbitration ID", _ID, 0),
    *(
        register
        for n in range(PINS)
        for register in (
            _indexed(INDEX_TABLE + 2 * n, f"IOREDTBL{n}", f"Redirection of pin {n}, bits 31:0", _LOW, MASKED),
            _indexed(
                INDEX_TABLE + 2 * n + 1, f"IOREDTBL{n}_HIGH", f"Redirection of pin {n}, bits 63:32",
                (Field("DEST", 31, 24),), 0,
            ),
        )
    ),
    Register("EOIR", "End of interrupt: a vector", EOIR, "rw", (Field("VECTOR", 7, 0),), reset=0, width=32),
    banks=tuple(map(_bank, (INDEX_ID, INDEX_VER, INDEX_ARB, *range(INDEX_TABLE, INDEX_TABLE + 2 * PINS)))),
)  # fmt: skip


class IoApic(Device):
    """One I/O APIC.

    Args:
        clock: the machine's virtual clock.
        send: delivers a message, given address and data, as MSI has them.
        extint: acknowledges the 8259A pair and returns its vector.
        version: 0x20 or 0x11.
    """

    title = "I/O APIC"
    registers = REGISTERS
    width = 4

    def __init__(
        self,
        clock: Clock,
        send: Callable[[int, int], None],
        extint: Callable[[], int] = lambda: 0,
        version: int = 0x20,
    ) -> None:
        self._clock = clock
        self._send = send
        self._extint = extint
        self._version = version
        self._undriven = (1 << PINS) - 1
        """Pins that no model drives: what arrives there is input from outside."""
        self._again = clock.timer(self._service)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, lambda address, data: None)

    def reset(self) -> None:
        """See `Device.reset`."""
        self._id = self._index = self._irr = 0
        self._table = [MASKED] * PINS
        self._ends = [0] * PINS
        """How often in a row the end of a pin's interrupt found the next one."""
        self._again.cancel()

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        state = {"IOREGSEL": self._index, "IOAPICID": self._id, "irr": self._irr}
        state |= {f"IOREDTBL{n}": entry for n, entry in enumerate(self._table)}
        state |= {f"ends{n}": ends for n, ends in enumerate(self._ends)}
        return state | {"again_ns": self._again.deadline_ns}

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: the index."""
        return _bank(self._index) if offset % REPEATS == IOWIN else None

    def pin(self, number: int) -> Callable[[bool], None]:
        """The input of pin `number`."""
        self._undriven &= ~(1 << number)
        return partial(self._drive, number)

    # Accesses

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        return self._read_window if offset == IOWIN and size == 4 else super().reader(offset, size)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`."""
        return self._write_index if offset == IOREGSEL and size == 4 else super().writer(offset, size)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset & size - 1:
            return read_pieces(self.read, offset, size)
        offset %= REPEATS
        if offset == IOREGSEL:
            return self._index
        return self._read_window() if offset == IOWIN and size == 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset & size - 1:
            write_pieces(self.write, offset, size, value)
            return
        offset %= REPEATS
        if offset == IOREGSEL:
            self._write_index(value)
        elif offset == IOWIN and size == 4:
            self._write_window(value)
        elif offset == EOIR and size == 4 and self._version == 0x20:
            self.end(value)

    def _write_index(self, value: int) -> None:
        self._index = value & 0xFF

    def _read_window(self) -> int:
        index = self._index
        if INDEX_TABLE <= index < INDEX_TABLE + 2 * PINS:
            entry = self._table[index - INDEX_TABLE >> 1]
            return entry >> 32 if index & 1 else entry & MASK_32
        if index == INDEX_VER:
            return self._version | PINS - 1 << 16
        return self._id << 24 if index in (INDEX_ID, INDEX_ARB) else 0

    def _write_window(self, value: int) -> None:
        index = self._index
        if INDEX_TABLE <= index < INDEX_TABLE + 2 * PINS:
            number = index - INDEX_TABLE >> 1
            entry = self._table[number]
            new = entry & MASK_32 | value << 32 if index & 1 else entry & ~MASK_32 | value
            new = new & ~READ_ONLY | entry & READ_ONLY
            self._table[number] = new if new & LEVEL else new & ~REMOTE_IRR
            self._ends[number] = 0
            self._service()
        elif index == INDEX_ID:
            self._id = value >> 24 & 0xF

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: a level has come at a pin that no model drives."""
        number = self._index - INDEX_TABLE >> 1
        if offset % REPEATS != IOWIN or size != 4 or self._index & 1 or not 0 <= number < PINS:
            return False
        waits_for_level = hw & LEVEL and not hw & MASKED and self._undriven >> number & 1
        if hw != model | REMOTE_IRR or not waits_for_level:
            return False
        self._drive(number, True)
        self._drive(number, False)
        return True

    # Interrupts

    def end(self, vector: int) -> None:
        """The end of a level interrupt, from a local APIC or the EOI register."""
        for number, entry in enumerate(self._table):
            if entry & 0xFF != vector or not entry & LEVEL or not entry & REMOTE_IRR:
                continue
            self._table[number] = entry & ~REMOTE_IRR
            if entry & MASKED or not self._irr >> number & 1:
                self._ends[number] = 0
            elif self._ends[number] < STORM - 1:
                self._ends[number] += 1
                self._service()
            else:
                self._ends[number] = 0
                self._again.arm(min(self._again.deadline_ns, self._clock.now_ns + STORM_PAUSE_NS))

    def _drive(self, number: int, level: bool) -> None:
        entry = self._table[number]
        if not level:
            if entry & LEVEL:
                self._irr &= ~(1 << number)
        elif entry & LEVEL:
            self._irr |= 1 << number
            if not entry & REMOTE_IRR:
                self._service()
        elif not entry & MASKED:
            self._irr |= 1 << number
            self._service()

    def _service(self) -> None:
        """Deliver what is pending and not masked."""
        above = -1
        while waiting := self._irr & above:
            mask = waiting & -waiting  # the lowest
            above = -mask << 1
            number = mask.bit_length() - 1
            entry = self._table[number]
            mode = entry >> DELIVERY_SHIFT & 0b111
            vector = self._extint() if mode == EXTINT else entry & 0xFF
            if entry & MASKED:
                continue
            address = MSI_BASE | entry >> 44 & 0xFFFF0 | (MSI_LOGICAL if entry >> 11 & 1 else 0)
            if entry & LEVEL:
                self._table[number] = entry | REMOTE_IRR
                if entry & REMOTE_IRR:
                    continue
                self._send(address, vector | mode << 8 | MSI_LEVEL)
            else:
                self._irr &= ~mask
                self._send(address, vector | mode << 8)
