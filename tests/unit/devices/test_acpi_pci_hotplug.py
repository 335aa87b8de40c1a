"""QEMU's PCI hot-plug registers: docs/specs/acpi_pci_hotplug.rst."""

from __future__ import annotations

from vmdev.replay.devices.acpi_pci_hotplug import EJECT, INDEX, REMOVABLE, SELECT, UP, AcpiPciHotplug


def test_nothing_is_plugged_and_bridges_cannot_be_removed() -> None:
    device = AcpiPciHotplug(0b1011)
    assert [device.read(offset, 4) for offset in (UP, EJECT, REMOVABLE, SELECT)] == [0, 0, 0xFFFF_FFF4, 0]
    device.write(SELECT, 4, 1)
    assert [device.read(offset, 4) for offset in (REMOVABLE, SELECT)] == [0xFFFF_FFFF, 1]
    device.write(SELECT, 4, 256)
    assert device.read(SELECT, 4) == device.read(REMOVABLE, 4) == 0


def test_indices_are_read_once() -> None:
    device = AcpiPciHotplug(indices={9: 3})
    device.write(INDEX, 4, 1 << 9)
    assert [device.read(INDEX, 4), device.read(INDEX, 4)] == [3, 0]
    device.write(INDEX, 4, 1 << 8)
    assert device.read(INDEX, 4) == 0
    device.write(SELECT, 4, 1)
    device.write(INDEX, 4, 1 << 9)
    assert device.read(INDEX, 4) == 0


def test_only_four_bytes_count() -> None:
    device = AcpiPciHotplug()
    device.write(SELECT, 1, 5)
    assert device.read(SELECT, 4) == device.read(REMOVABLE, 2) == 0
    device.write(EJECT, 4, 1)
    device.reset()
    assert device.state() == {"select": 0, "index": 0}
