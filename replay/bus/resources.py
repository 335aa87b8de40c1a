# Copyright (C) 2019 Alibaba Cloud. All rights reserved.
# SPDX-License-Identifier: Apache-2.0
"""What a device needs and what it was given: a port of rust-vmm/vm-device, src/resources.rs.

vm-device as a whole is licensed Apache-2.0 OR BSD-3-Clause; this file of it says Apache-2.0, and so does its port.

Constraints are what a device asks for, resources are what a board allocated for it. Both are plain data: nothing here
allocates, and nothing is checked before `IoManager` registers the address ranges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class ResourceConstraint:
    """What a device asks for; one subclass for each kind. Make the usual ones with the methods of this class."""

    __slots__ = ()

    @staticmethod
    def new_pio(size: int) -> PioAddressConstraint:
        """`size` I/O ports, anywhere."""
        return PioAddressConstraint(range=None, align=1, size=size)

    @staticmethod
    def pio_with_constraints(size: int, range: tuple[int, int] | None, align: int) -> PioAddressConstraint:
        """`size` I/O ports within `range`, the first one a multiple of `align`."""
        return PioAddressConstraint(range=range, align=align, size=size)

    @staticmethod
    def new_mmio(size: int) -> MmioAddressConstraint:
        """`size` bytes of memory addresses, anywhere, from a multiple of 4 KiB on."""
        return MmioAddressConstraint(range=None, align=0x1000, size=size)

    @staticmethod
    def mmio_with_constraints(size: int, range: tuple[int, int] | None, align: int) -> MmioAddressConstraint:
        """`size` bytes of memory addresses within `range`, from a multiple of `align` on."""
        return MmioAddressConstraint(range=range, align=align, size=size)

    @staticmethod
    def new_legacy_irq(irq: int | None) -> LegacyIrqConstraint:
        """A legacy interrupt: `irq`, or any one."""
        return LegacyIrqConstraint(irq=irq)

    @staticmethod
    def new_kvm_mem_slot(size: int, slot: int | None) -> KvmMemSlotConstraint:
        """`size` KVM memory slots, from `slot` on if given."""
        return KvmMemSlotConstraint(slot=slot, size=size)


@dataclass(frozen=True, slots=True)
class PioAddressConstraint(ResourceConstraint):
    """A range of I/O ports."""

    range: tuple[int, int] | None
    """The lowest and the highest address that it may have, both inclusive; None: any."""
    align: int
    size: int


@dataclass(frozen=True, slots=True)
class MmioAddressConstraint(ResourceConstraint):
    """A range of memory addresses."""

    range: tuple[int, int] | None
    """The lowest and the highest address that it may have, both inclusive; None: any."""
    align: int
    size: int


@dataclass(frozen=True, slots=True)
class LegacyIrqConstraint(ResourceConstraint):
    """A legacy interrupt."""

    irq: int | None
    """Its number; None: any."""


@dataclass(frozen=True, slots=True)
class PciMsiIrqConstraint(ResourceConstraint):
    """PCI MSI interrupts."""

    size: int
    """How many."""


@dataclass(frozen=True, slots=True)
class PciMsixIrqConstraint(ResourceConstraint):
    """PCI MSI-X interrupts."""

    size: int
    """How many."""


@dataclass(frozen=True, slots=True)
class GenericIrqConstraint(ResourceConstraint):
    """Generic message signalled interrupts."""

    size: int
    """How many."""


@dataclass(frozen=True, slots=True)
class KvmMemSlotConstraint(ResourceConstraint):
    """KVM memory slots."""

    slot: int | None
    """The first one; None: any."""
    size: int
    """How many."""


class MsiIrqType(Enum):
    """Kinds of message signalled interrupts."""

    PCI_MSI = "PCI MSI"
    PCI_MSIX = "PCI MSI-X"
    GENERIC_MSI = "generic MSI"


class Resource:
    """What a device was given; one subclass for each kind."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PioAddressRange(Resource):
    """I/O ports."""

    base: int
    size: int


@dataclass(frozen=True, slots=True)
class MmioAddressRange(Resource):
    """Memory addresses."""

    base: int
    size: int


@dataclass(frozen=True, slots=True)
class LegacyIrq(Resource):
    """A legacy interrupt."""

    irq: int


@dataclass(frozen=True, slots=True)
class MsiIrq(Resource):
    """Message signalled interrupts."""

    ty: MsiIrqType
    base: int
    size: int


@dataclass(frozen=True, slots=True)
class MacAddress(Resource):
    """The address of a network card. vm-device spells it ``MacAddresss``."""

    address: str


@dataclass(frozen=True, slots=True)
class KvmMemSlot(Resource):
    """A KVM memory slot."""

    slot: int


class DeviceResources:
    """All resources of one device, in the order in which they were appended. Duplicates are kept."""

    __slots__ = ("_resources",)

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._resources = list(resources)

    def append(self, entry: Resource) -> None:
        """Add `entry` at the end."""
        self._resources.append(entry)

    def get_pio_address_ranges(self) -> list[tuple[int, int]]:
        """(base, size) of all ranges of I/O ports."""
        return [(entry.base, entry.size) for entry in self._resources if isinstance(entry, PioAddressRange)]

    def get_mmio_address_ranges(self) -> list[tuple[int, int]]:
        """(base, size) of all ranges of memory addresses."""
        return [(entry.base, entry.size) for entry in self._resources if isinstance(entry, MmioAddressRange)]

    def get_legacy_irq(self) -> int | None:
        """The first legacy interrupt."""
        return next((entry.irq for entry in self._resources if isinstance(entry, LegacyIrq)), None)

    def get_pci_msi_irqs(self) -> tuple[int, int] | None:
        """(base, size) of the first PCI MSI interrupts."""
        return self._get_msi_irqs(MsiIrqType.PCI_MSI)

    def get_pci_msix_irqs(self) -> tuple[int, int] | None:
        """(base, size) of the first PCI MSI-X interrupts."""
        return self._get_msi_irqs(MsiIrqType.PCI_MSIX)

    def get_generic_msi_irqs(self) -> tuple[int, int] | None:
        """(base, size) of the first generic message signalled interrupts."""
        return self._get_msi_irqs(MsiIrqType.GENERIC_MSI)

    def get_mac_address(self) -> str | None:
        """The first network card's address."""
        return next((entry.address for entry in self._resources if isinstance(entry, MacAddress)), None)

    def get_kvm_mem_slots(self) -> list[int]:
        """All KVM memory slots."""
        return [entry.slot for entry in self._resources if isinstance(entry, KvmMemSlot)]

    def get_all_resources(self) -> tuple[Resource, ...]:
        """All resources."""
        return tuple(self._resources)

    def _get_msi_irqs(self, ty: MsiIrqType) -> tuple[int, int] | None:
        found = (entry for entry in self._resources if isinstance(entry, MsiIrq) and entry.ty is ty)
        return next(((entry.base, entry.size) for entry in found), None)
