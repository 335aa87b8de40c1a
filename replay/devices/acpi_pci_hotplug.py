"""QEMU's ACPI PCI hot-plug registers, with which ACPI's byte code plugs and unplugs cards.

Source: QEMU, docs/specs/acpi_pci_hotplug.rst.

Modelled: all registers: nothing is ever plugged or unplugged by the host, and no card has an ACPI index.

Not modelled: cards that the host plugs while the guest runs.

Follows QEMU: only accesses of four bytes count; the byte selectors that are read only answer for the selected bus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

UP, DOWN, EJECT, REMOVABLE, SELECT, INDEX = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
SIZE: Final = 0x18
BUSES: Final = 256

REGISTERS: Final = RegisterMap(
    Register("PCI_UP", "Slots with a card to be plugged", UP, "r", width=32, reset=0),
    Register("PCI_DOWN", "Slots with a card to be unplugged", DOWN, "r", width=32, reset=0),
    Register("PCI_EJ", "Eject the cards in these slots", EJECT, "rw", width=32, reset=0),
    Register("PCI_RMV", "Slots whose cards can be removed", REMOVABLE, "r", width=32),
    Register("PCI_SEL", "The bus that the other registers are about", SELECT, "rw", width=32),
    Register("PCI_AIDX", "ACPI index of the card in the slot that was written", INDEX, "rw", width=32, reset=0),
)


class AcpiPciHotplug(Device):
    """The registers.

    Args:
        fixed_slots: of bus 0, a bit for each slot whose card cannot be removed.
    """

    title = "QEMU ACPI PCI hot-plug registers"
    registers = REGISTERS
    kept_by_reset = ("select",)
    width = 4

    def __init__(self, fixed_slots: int = 0) -> None:
        self._fixed_slots = fixed_slots
        self._select = 0

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if size != 4 or self._select >= BUSES:
            return 0
        if offset == SELECT:
            return self._select
        if offset == REMOVABLE:
            return 0xFFFF_FFFF & ~(0 if self._select else self._fixed_slots)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if size == 4 and offset == SELECT:
            self._select = value

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"select": self._select}
