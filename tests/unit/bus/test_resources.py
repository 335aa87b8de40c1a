"""Resources: cases DR1 to DR9 and RC1 to RC6 of vm-device's own tests."""

from __future__ import annotations

import pytest

from vmdev.replay.bus import (
    DeviceResources,
    GenericIrqConstraint,
    KvmMemSlot,
    KvmMemSlotConstraint,
    LegacyIrq,
    LegacyIrqConstraint,
    MacAddress,
    MmioAddressConstraint,
    MmioAddressRange,
    MsiIrq,
    MsiIrqType,
    PciMsiIrqConstraint,
    PciMsixIrqConstraint,
    PioAddressConstraint,
    PioAddressRange,
    Resource,
    ResourceConstraint,
)

MAC = "00:08:63:66:86:88"
ENTRIES: tuple[Resource, ...] = (
    PioAddressRange(0, 5),
    MmioAddressRange(0x1234_5678, 0x8765_4321),
    LegacyIrq(0x168),
    MsiIrq(MsiIrqType.PCI_MSI, 0x6666, 0x8888),
    MsiIrq(MsiIrqType.PCI_MSIX, 0x8888, 0x16666),
    MsiIrq(MsiIrqType.GENERIC_MSI, 0x16688, 0x16888),
    MacAddress(MAC),
    KvmMemSlot(0x100),
)


@pytest.fixture
def resources() -> DeviceResources:
    resources = DeviceResources()
    for entry in ENTRIES:
        resources.append(entry)
    return resources


def test_get_pio_address_ranges(resources: DeviceResources) -> None:
    """DR1; vm-device calls it `get_pio_address_ranges`."""
    assert resources.get_pio_address_ranges() == [(0, 5)]


def test_get_mmio_address_ranges(resources: DeviceResources) -> None:
    """DR2."""
    assert resources.get_mmio_address_ranges() == [(0x1234_5678, 0x8765_4321)]


def test_get_legacy_irq(resources: DeviceResources) -> None:
    """DR3."""
    assert resources.get_legacy_irq() == 0x168


def test_get_pci_msi_irqs(resources: DeviceResources) -> None:
    """DR4."""
    assert resources.get_pci_msi_irqs() == (0x6666, 0x8888)


def test_pci_msix_irqs(resources: DeviceResources) -> None:
    """DR5."""
    assert resources.get_pci_msix_irqs() == (0x8888, 0x16666)


def test_get_generic_msi_irqs(resources: DeviceResources) -> None:
    """DR6."""
    assert resources.get_generic_msi_irqs() == (0x16688, 0x16888)


def test_get_mac_address(resources: DeviceResources) -> None:
    """DR7."""
    assert resources.get_mac_address() == MAC


def test_get_kvm_slot(resources: DeviceResources) -> None:
    """DR8."""
    assert resources.get_kvm_mem_slots() == [0x100]


def test_get_all_resources(resources: DeviceResources) -> None:
    """DR9."""
    assert len(resources.get_all_resources()) == 8
    assert resources.get_all_resources() == ENTRIES


def test_resource_constraint_rc1_new_pio() -> None:
    assert ResourceConstraint.new_pio(2) == PioAddressConstraint(range=None, align=1, size=2)


def test_resource_constraint_rc2_pio_with_constraints() -> None:
    made = ResourceConstraint.pio_with_constraints(2, (15, 16), 2)
    assert made == PioAddressConstraint(range=(15, 16), align=2, size=2)


def test_resource_constraint_rc3_new_mmio() -> None:
    assert ResourceConstraint.new_mmio(0x2000) == MmioAddressConstraint(range=None, align=0x1000, size=0x2000)


def test_resource_constraint_rc4_mmio_with_constraints() -> None:
    made = ResourceConstraint.mmio_with_constraints(0x2000, (0, 0x3000), 0x4000)
    assert made == MmioAddressConstraint(range=(0, 0x3000), align=0x4000, size=0x2000)
    made = ResourceConstraint.mmio_with_constraints(0x2000, (0, 0x2000), 0x2000)
    assert made == MmioAddressConstraint(range=(0, 0x2000), align=0x2000, size=0x2000)


def test_resource_constraint_rc5_new_legacy_irq() -> None:
    assert ResourceConstraint.new_legacy_irq(0x123) == LegacyIrqConstraint(irq=0x123)


def test_resource_constraint_rc6_new_kvm_mem_slot() -> None:
    assert ResourceConstraint.new_kvm_mem_slot(0x1000, 0x2000) == KvmMemSlotConstraint(slot=0x2000, size=0x1000)


@pytest.mark.parametrize("kind", [PciMsiIrqConstraint, PciMsixIrqConstraint, GenericIrqConstraint])
def test_message_signalled_interrupts_are_asked_for_by_number(
    kind: type[PciMsiIrqConstraint | PciMsixIrqConstraint | GenericIrqConstraint],
) -> None:
    constraint = kind(4)
    assert isinstance(constraint, ResourceConstraint)
    assert constraint.size == 4


def test_nothing_was_given() -> None:
    resources = DeviceResources()
    assert resources.get_pio_address_ranges() == []
    assert resources.get_mmio_address_ranges() == []
    assert resources.get_legacy_irq() is None
    assert resources.get_pci_msi_irqs() is None
    assert resources.get_pci_msix_irqs() is None
    assert resources.get_generic_msi_irqs() is None
    assert resources.get_mac_address() is None
    assert resources.get_kvm_mem_slots() == []
    assert resources.get_all_resources() == ()


def test_all_address_ranges_and_slots_in_order_with_duplicates() -> None:
    resources = DeviceResources()
    for base in (7, 3, 7):
        resources.append(PioAddressRange(base, 1))
        resources.append(MmioAddressRange(base, 2))
        resources.append(KvmMemSlot(base))
    assert resources.get_pio_address_ranges() == [(7, 1), (3, 1), (7, 1)]
    assert resources.get_mmio_address_ranges() == [(7, 2), (3, 2), (7, 2)]
    assert resources.get_kvm_mem_slots() == [7, 3, 7]


def test_only_the_first_interrupt_and_the_first_mac_address() -> None:
    entries = [LegacyIrq(4), LegacyIrq(3), MacAddress("first"), MacAddress("second")]
    entries += [MsiIrq(ty, base, 1) for base in (5, 6) for ty in MsiIrqType]
    resources = DeviceResources(entries)
    assert resources.get_legacy_irq() == 4
    assert resources.get_mac_address() == "first"
    assert resources.get_pci_msi_irqs() == (5, 1)
    assert resources.get_pci_msix_irqs() == (5, 1)
    assert resources.get_generic_msi_irqs() == (5, 1)


def test_a_copy_is_independent() -> None:
    """`DeviceResources` is Clone in vm-device."""
    first = DeviceResources(ENTRIES)
    second = DeviceResources(first.get_all_resources())
    second.append(LegacyIrq(1))
    assert first.get_all_resources() == ENTRIES
    assert len(second.get_all_resources()) == 9
