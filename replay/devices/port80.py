"""The diagnostic port 0x80: firmware writes its progress there, for a card with a display; others use it as a delay.

Source: IBM Personal Computer AT Technical Reference, "Manufacturing test port"; the answer to reads is QEMU's.

Modelled: the last code, for a look at the state; reads give all ones, since nothing drives the bus.

Not modelled: the AT's DMA page register at this address, which reads back what was written.

Follows QEMU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

REGISTERS: Final = RegisterMap(Register("POST", "Diagnostic code", 0, "rw", reset=0xFF))

OPEN_BUS: Final = 0xFF


class Port80(Device):
    """Port 0x80."""

    title = "Diagnostic port: POST codes"
    registers = REGISTERS

    def __init__(self) -> None:
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""
        self._code = 0
        self._writes = 0

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return OPEN_BUS

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._code = value
        self._writes += 1

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"code": self._code, "writes": self._writes}
