"""pvpanic: a port by which a guest tells that it panicked.

Source: QEMU documentation, "PVPANIC device" (docs/specs/pvpanic).

Modelled: the port.

Not modelled: what happens when the guest tells something, which is QEMU's business.

Follows QEMU: a wide access at this port is one of each byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap, bit

PANICKED, CRASH_LOADED, SHUTDOWN = 0x01, 0x02, 0x04
ALL_EVENTS: Final = PANICKED | CRASH_LOADED | SHUTDOWN

REGISTERS: Final = RegisterMap(
    Register(
        "Events", "Read: which are supported; written: those that happened", 0, "rw",
        (bit("Panicked", 0), bit("Crash loaded", 1), bit("Shutdown", 2)), reset=ALL_EVENTS,
    )
)  # fmt: skip


class PvPanic(Device):
    """The port. `events` are those that it supports."""

    title = "pvpanic port"
    registers = REGISTERS
    kept_by_reset = ("events", "told")

    def __init__(self, events: int = ALL_EVENTS) -> None:
        self._events = events
        self._told = 0

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`. There is nothing to reset."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return self._events

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._told = value

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `told` is what the guest wrote last."""
        return {"events": self._events, "told": self._told}
