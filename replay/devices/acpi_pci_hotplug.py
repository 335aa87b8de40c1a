"""QEMU's ACPI PCI hot-plug registers, with which ACPI's byte code plugs and unplugs cards.

Source: QEMU, docs/specs/acpi_pci_hotplug.rst.

Modelled: all registers: nothing is ever plugged or unplugged by the host; the ACPI indices of the cards on bus 0.

Not modelled: cards that the host plugs while the guest runs.

Follows QEMU: only accesses of four bytes count; the index is read once for each write of a slot.
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
        indices: the ACPI indices of the cards on bus 0, by slot; the others have 0.
    """

    title = "QEMU ACPI PCI hot-plug registers"
    registers = REGISTERS
    kept_by_reset = ("select", "index")
    width = 4

    def __init__(self, fixed_slots: int = 0, indices: Mapping[int, int] | None = None) -> None:
        self._fixed_slots = fixed_slots
        self._indices = {} if indices is None else indices
        self._select = 0
        self._index = 0

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
        if offset == INDEX:
            index, self._index = self._index, 0
            return index
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if size == 4 and offset == SELECT:
            self._select = value
        elif size == 4 and offset == INDEX and value and not self._select:
            slot = (value & -value).bit_length() - 1
            self._index = self._indices.get(slot, 0)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"select": self._select, "index": self._index}
