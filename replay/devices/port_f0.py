"""Coprocessor port of the AT, F0h: a write ends the coprocessor's error interrupt.

Source: IBM PC AT Technical Reference, "I/O address map": 0F0 clear math coprocessor busy.

Modelled: the port; IRQ 13 as a line that a write lowers.

Not modelled: what raises IRQ 13 (the processor's FERR#), which no recording shows.

Follows QEMU: reads give all ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Register, RegisterMap

REGISTERS: Final = RegisterMap(
    Register("Coprocessor busy", "Written: end the coprocessor's error; reads all ones", 0, "rw", reset=0xFF)
)


class PortF0(Device):
    """The port."""

    title = "Coprocessor port"
    registers = REGISTERS

    def __init__(self, irq13: Line) -> None:
        self._irq13 = irq13
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(Line())

    def reset(self) -> None:
        """See `Device.reset`."""
        self._irq13.set(False)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._irq13.set(False)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"irq13": int(self._irq13.level)}
