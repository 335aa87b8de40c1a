"""The bus master function of one ATA channel, as in the PIIX3 and PIIX4: command, status, descriptor table address.

Source: Intel 82371SB (PIIX3) data sheet, sections 2.6.1 to 2.6.3 "BMICOM", "BMISTA", "BMIDTP"; SFF-8038i.

Modelled: the three registers, and when a transfer starts and ends as far as registers show it.

Not modelled: the descriptor table and the data, which no access shows. Every table is taken to be as long as its
transfer; where it is not, BMIDEA differs and is inferred.

Follows QEMU where the guest can see a difference from the data sheet:
- Words and double words read at BMICOM and BMISTA are all ones and written have no effect; the bytes between read FFh.
- A read or write at BMIDTP may have any size; its two lowest bits are 0.
- Clearing SSBM waits for the end of the transfer. Setting it sets BMIDEA whether or not a drive is ready.

Input from outside is inferred, in `assume`, as in ata_channel.py: when the host is done with a transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Register, RegisterMap, bit
from .ata_channel import AtaChannel
from .ata_identify import Identity
from .medium import Medium

_COMMAND: Final = (bit("SSBM", 0), bit("RWCON", 3, {0: "from memory", 1: "to memory"}))
_STATUS: Final = (
    bit("BMIDEA", 0), bit("IDE DMA Error", 1), bit("IDEINTS", 2), bit("DMA0CAP", 5), bit("DMA1CAP", 6)
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    Register("BMICOM", "Bus master IDE command", 0, "rw", _COMMAND, reset=0x00, source="2.6.1"),
    Register("BMISTA", "Bus master IDE status", 2, "rw", _STATUS, reset=0x00, source="2.6.2"),
    Register("BMIDTP", "Bus master IDE descriptor table pointer", 4, "rw", reset=0, width=32, source="2.6.3"),
)

BMICOM, BMISTA, BMIDTP = 0, 2, 4
SSBM: Final = 0x01
BMICOM_KEPT: Final = 0x09
BMIDEA, DMA_ERROR, IDEINTS = 0x01, 0x02, 0x04
CAPABLE: Final = 0x60


class PiixBusMaster(Device):
    """One channel's eight ports. It becomes the DMA engine of `channel`."""

    title = "PIIX3/4 bus master IDE, one channel"
    registers = REGISTERS
    width = 4

    def __init__(self, channel: AtaChannel) -> None:
        self._channel = channel
        self.reset()
        channel.bus_master = self

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`. Its channel has a disk, but no registers that a guest could reach."""
        return cls(AtaChannel(clock, Line(), ((Medium(256), Identity()), (None, Identity()))))

    def reset(self) -> None:
        """See `Device.reset`."""
        self._command = self._status = self._table = 0
        self._has_ended = False
        """Since SSBM was written."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= BMIDTP:
            return self._table >> 8 * (offset - BMIDTP) & (1 << 8 * size) - 1
        if size != 1:
            return (1 << 8 * size) - 1
        if offset == BMICOM:
            return self._command
        if offset == BMISTA:
            self._channel.note_read()
            return self._status
        return 0xFF

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._channel.note_write()
        if offset >= BMIDTP:
            shift = 8 * (offset - BMIDTP)
            mask = (1 << 8 * size) - 1 << shift
            self._table = (self._table & ~mask | value << shift & mask) & 0xFFFF_FFFC
        elif size == 1 and offset == BMICOM:
            self._write_command(value)
        elif size == 1 and offset == BMISTA:
            self._status = value & CAPABLE | self._status & BMIDEA | self._status & ~value & (DMA_ERROR | IDEINTS)

    def _write_command(self, value: int) -> None:
        """2.6.1: SSBM starts and stops the bus master."""
        changed = value ^ self._command
        self._has_ended = False
        self._command = value & BMICOM_KEPT
        if not changed & SSBM:
            return
        if value & SSBM:
            if not self._status & BMIDEA:
                self._status |= BMIDEA
                self._channel.dma_started()
        else:
            self._channel.dma_stopped()
            self._status &= ~BMIDEA

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: the host is done earlier or later than expected, or the table longer than needed."""
        if offset != BMISTA or size != 1:
            return False
        if self._has_ended and hw == self._status | BMIDEA:
            self._status = hw  # 2.6.2: the table was longer than the transfer
            return True
        shows = partial(self._shows, hw)
        return self._channel.assume_end(shows) or self._channel.assume_no_end(shows)

    def _shows(self, hw: int) -> bool:
        return self._status == hw

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"bmicom": self._command, "bmista": self._status, "bmidtp": self._table}

    # What the channel needs

    @property
    def active(self) -> bool:
        """Whether a transfer may run."""
        return bool(self._status & BMIDEA)

    def interrupt(self) -> None:
        """2.6.2: IDEINTS is set by INTRQ."""
        self._status |= IDEINTS

    def end(self) -> None:
        """The transfer has ended."""
        self._status &= ~BMIDEA
        self._has_ended = True

    def save(self) -> tuple[int, ...]:
        """See `ata_drive.BusMaster`."""
        return self._command, self._status, self._table

    def restore(self, saved: tuple[int, ...]) -> None:
        """See `ata_drive.BusMaster`."""
        self._command, self._status, self._table = saved
