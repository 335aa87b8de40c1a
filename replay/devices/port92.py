"""System control port A of the PS/2 and its descendants, port 0x92: gate A20 and fast reset.

Source: IBM Personal System/2 Hardware Interface Technical Reference, "System Control Port A (Hex 0092)".

Modelled: gate A20 as a line; all bits as they read back.

Not modelled: the reset itself (the recording shows that the processor started again); what the other bits do.

Follows QEMU where the guest can see a difference from the reference: all eight bits can be written and read back; A20
reads 0 after power-on; a reset clears only the fast reset bit, and gate A20 stays as it was. A wide access at this port
writes or reads the same register once for every byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit

REGISTERS: Final = RegisterMap(
    Register(
        "Port A", "System control port A", 0, "rw",
        (
            bit("Fast reset", 0), bit("A20", 1, {0: "masked", 1: "passed"}), bit("Reserved 2", 2),
            bit("Security lock", 3), bit("Watchdog status", 4), bit("Reserved 5", 5), Field("Fixed disk light", 7, 6),
        ),
        reset=0x00,
    ),
)  # fmt: skip

FAST_RESET, A20 = 0x01, 0x02


class Port92(Device):
    """Port 0x92. `a20` is driven by its gate A20 bit, at writes only."""

    title = "System control port A: A20, fast reset"
    registers = REGISTERS
    kept_by_reset = ("value", "a20")

    def __init__(self, a20: Line | None = None) -> None:
        self.a20 = Line() if a20 is None else a20
        self._value = 0
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`. Gate A20 and the other bits are kept."""
        self._value &= ~FAST_RESET

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return self._value

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._value = value
        self.a20.set(bool(value & A20))

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"value": self._value, "a20": int(self.a20.level)}
