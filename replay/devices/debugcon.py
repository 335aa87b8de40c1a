"""The debug console of Bochs and QEMU (`isa-debugcon`): a port whose written bytes are text, most often 0xE9 or 0x402.

Source: Bochs User Manual, "port_e9_hack"; the rest is QEMU's, observed.

Modelled: the constant by which firmware recognises the port; the text, the end of which is kept for reports.

Not modelled: what the host did with the text.

Follows QEMU: only single bytes reach the port; a wider read gives 0 and a wider write is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

REGISTERS: Final = RegisterMap(
    Register("DEBUG", "Written: text; read: the port's mark", 0, "rw", reset=0xE9, nature="configuration")
)

READBACK: Final = 0xE9
KEPT_BYTES: Final = 1 << 16


class DebugCon(Device):
    """The port. `readback` is what it answers: QEMU's property of that name."""

    title = "Bochs and QEMU debug console"
    registers = REGISTERS
    width = 4

    def __init__(self, readback: int = READBACK) -> None:
        self._readback = readback & 0xFF
        self._log = bytearray()
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    @property
    def text(self) -> str:
        """What was written since the last reset: at most the last 65,536 bytes, as Latin-1."""
        return self._log[-KEPT_BYTES:].decode("latin-1")

    def reset(self) -> None:
        """See `Device.reset`."""
        self._log.clear()
        self._written = 0

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return self._readback if size == 1 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if size != 1:
            return
        self._written += 1
        log = self._log
        log.append(value)
        if len(log) >= 2 * KEPT_BYTES:
            del log[:-KEPT_BYTES]  # seldom, so that a write costs little

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"readback": self._readback, "written": self._written, "last": self._log[-1] if self._log else 0}
