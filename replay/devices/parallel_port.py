"""Parallel port of a PC: data, status and control registers (SPP), with a printer that is always ready.

Source: National Semiconductor PC87332 SuperI/O data sheet, "Parallel Port": the registers DTR, STR and CTR in SPP mode;
IEEE 1284 for the names of the signals.

Modelled: the three registers; ACK and BUSY as the printer handles a character; the interrupt.

Not modelled: what is printed; EPP and ECP, which QEMU has on a parallel port of the host only.

Follows QEMU where the guest can see a difference from the data sheet:
- The printer takes a character when STROBE is set while SLIN and INIT are; BUSY and ACK then go on a step with each
  read of the status. INIT cleared puts the status back.
- STROBE cleared with SLIN set asks for an interrupt, if IRQE was set before; a read of the status ends it.
- With the direction turned to input DTR reads FFh, else what was written. Reserved bits of CTR read 1.
- The EPP time-out bit is 1 after a reset. Offsets 3 to 7 read FFh. A word is two bytes; four bytes reach nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Register, RegisterMap, bit

DTR, STR, CTR, EPP_ADDRESS = range(4)
PORTS: Final = 8

STR_TIMEOUT, STR_ERROR, STR_SLCT, STR_PE, STR_ACK, STR_BUSY = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
"""BUSY, ACK and ERR are low when active: 1 means not busy."""
CTR_STROBE, CTR_AFD, CTR_INIT, CTR_SLIN, CTR_IRQE, CTR_DIRECTION = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
CTR_RESERVED: Final = 0xC0

READY: Final = STR_BUSY | STR_ACK | STR_SLCT | STR_ERROR
RESET_STR: Final = READY | STR_TIMEOUT
RESET_CTR: Final = CTR_RESERVED | CTR_SLIN | CTR_INIT

REGISTERS: Final = RegisterMap(
    Register("DTR", "Data", DTR, "rw", reset=0xFF),
    Register(
        "STR", "Status; writes are ignored", STR, "rw",
        (bit("Time-out", 0), bit("ERR", 3), bit("SLCT", 4), bit("PE", 5), bit("ACK", 6), bit("BUSY", 7)),
        reset=RESET_STR,
    ),
    Register(
        "CTR", "Control", CTR, "rw",
        (bit("STB", 0), bit("AFD", 1), bit("INIT", 2), bit("SLIN", 3), bit("IRQE", 4), bit("Direction", 5)),
        reset=RESET_CTR,
    ),
    Register("EPP address", "Not there", EPP_ADDRESS, "rw", reset=0xFF),
    *(Register(f"EPP data {at}", "Not there", EPP_ADDRESS + 1 + at, "rw", reset=0xFF) for at in range(4)),
)  # fmt: skip


class ParallelPort(Device):
    """One port. `irq` is a level."""

    title = "Parallel port"
    registers = REGISTERS
    width = 4

    def __init__(self, irq: Line) -> None:
        self._irq = irq
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(Line())

    def reset(self) -> None:
        """See `Device.reset`."""
        self._data = 0xFF
        self._status, self._control = RESET_STR, RESET_CTR
        self._irq.set(False)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if size == 1:
            return self._read_byte(offset)
        if size == 2:
            return self._read_byte(offset) | self._read_byte(offset + 1) << 8
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if size <= 2:
            self._write_byte(offset, value & 0xFF)
        if size == 2:
            self._write_byte(offset + 1, value >> 8)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"dtr": self._data, "str": self._status, "ctr": self._control, "irq": int(self._irq.level)}

    def _read_byte(self, offset: int) -> int:
        if offset == STR:
            return self._read_str()
        if offset == CTR:
            return self._control
        return self._data if offset == DTR and not self._control & CTR_DIRECTION else 0xFF

    def _read_str(self) -> int:
        """The printer's answer to a character takes two reads once STROBE is cleared: ACK, then both back."""
        status = self._status
        if not status & STR_BUSY and not self._control & CTR_STROBE:
            self._status = status & ~STR_ACK if status & STR_ACK else status | STR_ACK | STR_BUSY
        self._irq.set(False)
        return status

    def _write_byte(self, offset: int, value: int) -> None:
        if offset == DTR:
            self._data = value
        elif offset == CTR:
            self._write_ctr(value)

    def _write_ctr(self, value: int) -> None:
        if not value & CTR_INIT:
            self._status = READY
        elif value & CTR_SLIN:
            if value & CTR_STROBE:
                self._status &= ~STR_BUSY
            elif self._control & CTR_IRQE:
                self._irq.set(True)
        self._control = value | CTR_RESERVED
