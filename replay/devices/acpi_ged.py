"""ACPI generic event device of QEMU's microvm: the event selector, and the sleep and reset registers.

Source: ACPI Specification 6.5, sections 5.6.9 "Interrupt-signaled ACPI events", 4.8.3.7 "Sleep Control and Status
Registers", 4.8.3.6 "Reset Register"; QEMU for the layout.

Modelled: all registers as they read back: there is never an event.

Not modelled: events from the host (power button, hot-plug); sleep and reset, which the recording shows.

Follows QEMU: all registers read 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Field, Register, RegisterMap, bit

EVENT, SLEEP_CONTROL, SLEEP_STATUS, RESET = 0, 4, 5, 6
REGS: Final = SLEEP_CONTROL
"""Where the sleep and reset registers begin in the register space."""
EVENT_SIZE, REGS_SIZE = 4, 3

REGISTERS: Final = RegisterMap(
    Register("GED_SEL", "Events, cleared by reading", EVENT, "r", width=32, reset=0, source="QEMU"),
    Register(
        "SLEEP_CONTROL_REG", "Sleep control", SLEEP_CONTROL, "rw", (Field("SLP_TYPx", 4, 2), bit("SLP_EN", 5)), reset=0
    ),
    Register("SLEEP_STATUS_REG", "Sleep status", SLEEP_STATUS, "rw", (bit("WAK_STS", 7),), reset=0),
    Register("RESET_REG", "Reset", RESET, "rw", reset=0),
)


class AcpiGed(Device):
    """The selector at offset 0, the other registers from `REGS` on."""

    title = "ACPI generic event device"
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
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {}
