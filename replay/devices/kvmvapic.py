"""QEMU's kvmvapic port, 7Eh: its option ROM reports there how it patches a guest's accesses to the local APIC's TPR.

Source: QEMU's option ROM kvmvapic.bin: it writes two bytes at each start, and QEMU answers by patching the guest.

Modelled: the port.

Not modelled: the patches, which take TPR of 32-bit Windows guests out of sight.

Follows QEMU: reads give all ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

REGISTERS: Final = RegisterMap(
    Register("VAPIC", "Written: report of the option ROM; reads all ones", 0, "rw", reset=0xFFFF, width=16)
)


class KvmVapic(Device):
    """The port."""

    title = "kvmvapic port"
    registers = REGISTERS
    width = 4

    def __init__(self) -> None:
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""
        self._reported = 0

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._reported = value

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"reported": self._reported}
