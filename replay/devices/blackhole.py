"""Memory that only system management mode may see, as others see it: TSEG and the SMRAM at SMBASE of the Q35.

Source: Intel 3 Series Express Chipset Family data sheet (316966), section 3.4 on TSEG; QEMU for SMRAM at SMBASE.

Modelled: reads give all ones, writes go nowhere.

Not modelled: what system management mode sees there, which is memory and in no recording.

Follows QEMU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

ALL_ONES: Final = 0xFFFF_FFFF

REGISTERS: Final = RegisterMap(Register("SMRAM", "Hidden memory", 0, "rw", reset=ALL_ONES, width=32))


class Blackhole(Device):
    """A range of any size."""

    title = "Memory hidden for system management mode"
    registers = REGISTERS
    width = 4

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`. There is no state."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {}
