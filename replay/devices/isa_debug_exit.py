"""isa-debug-exit: a port by which a guest ends QEMU with an exit status of its own.

Source: QEMU, ``-device isa-debug-exit,help``; its exit status is the written value, times two, plus one.

Modelled: the ports, up to four.

Not modelled: the end, after which there is no access.

Follows QEMU, which alone has it: it reads 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

REGISTERS: Final = RegisterMap(Register("Exit", "Written: the exit status", 0, "rw", reset=0x00, width=32))


class IsaDebugExit(Device):
    """The ports."""

    title = "Port that ends QEMU (isa-debug-exit)"
    registers = REGISTERS
    width = 4
    kept_by_reset = ("written",)

    def __init__(self) -> None:
        self._written = 0

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`. There is nothing to reset."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._written = value

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `written` is the last exit status."""
        return {"written": self._written}
