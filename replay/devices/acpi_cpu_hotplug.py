"""QEMU's ACPI CPU hot-plug registers: the old bitmap of CPUs and the new registers that firmware switches to.

Source: QEMU, docs/specs/acpi_cpu_hotplug.rst.

Modelled: all registers, with the CPUs that the machine started with; no event ever happens.

Not modelled: CPUs that the host plugs while the guest runs; what the guest says about events (_OST).

Follows QEMU: the bitmap is replaced for good by a write of 0 at its beginning; of an absent CPU everything reads 0. The
APIC identifiers are the numbers of the CPUs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap, bit

SELECTOR, FLAGS, COMMAND, DATA = 0, 4, 5, 8
LEGACY_SIZE: Final = 0x20
GET_NEXT, OST_EVENT, OST_STATUS, GET_ID = 0, 1, 2, 3

LEGACY, MODERN = "bitmap", "registers"

REGISTERS: Final = RegisterMap(
    *(Register(f"CPUS[{n}]", "Present CPUs, a bit each", n, "rw", bank=LEGACY) for n in range(LEGACY_SIZE)),
    Register("DATA2", "Command data, upper half", SELECTOR, "r", bank=MODERN, width=32),
    Register("SELECTOR", "The CPU that the other registers are about", SELECTOR, "w", bank=MODERN, width=32),
    Register(
        "FLAGS", "Present, events", FLAGS, "rw",
        (bit("ENABLED", 0), bit("INSERT", 1), bit("REMOVE", 2), bit("EJECT", 3), bit("FW_REMOVE", 4)), MODERN,
    ),
    Register("COMMAND", "What the data are", COMMAND, "w", bank=MODERN),
    Register("DATA", "Command data", DATA, "rw", bank=MODERN, width=32),
    banks=(LEGACY, MODERN),
)  # fmt: skip


class AcpiCpuHotplug(Device):
    """The registers of a machine.

    Args:
        present: how many CPUs it has.
        possible: how many it can have.
    """

    title = "QEMU ACPI CPU hot-plug registers"
    registers = REGISTERS
    kept_by_reset = ("modern", "selector", "command")
    width = 4

    def __init__(self, present: int = 1, possible: int = 1) -> None:
        self._present = present
        self._possible = max(present, possible)
        self._is_modern = self._was_modern = False
        self._selector = 0
        self._command = 0

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def bank(self, offset: int) -> str:
        """See `Device.bank`."""
        return MODERN if self._was_modern else LEGACY

    def reset(self) -> None:
        """See `Device.reset`."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        self._was_modern = self._is_modern
        if not self._is_modern:
            return (1 << self._present) - 1 >> 8 * offset & (1 << 8 * size) - 1
        if self._selector >= self._possible:
            return 0
        if offset == FLAGS:
            return int(self._selector < self._present)
        if offset == DATA and self._command in (GET_NEXT, GET_ID):
            return self._selector & (1 << 8 * size) - 1
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._was_modern = self._is_modern
        if not self._is_modern:
            self._is_modern = offset == 0 and value == 0
        elif offset == SELECTOR:
            self._selector = value
        elif offset == COMMAND and self._selector < self._possible and value <= GET_ID:
            self._command = value

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"modern": int(self._is_modern), "selector": self._selector, "command": self._command}
