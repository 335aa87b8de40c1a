"""Header type 1: PCI-to-PCI Bridge Architecture 1.2, section 3.2, and QEMU where it differs."""

from __future__ import annotations

from vmdev.replay.clock import Clock
from vmdev.replay.devices.pci_bridge import PciBridge


def bridge(command: int = 3) -> PciBridge:
    device = PciBridge.alone(Clock())
    device.write(0x04, 2, command)
    return device


def test_the_header_says_that_it_is_a_bridge() -> None:
    assert bridge().read(0x0E, 1) == 1
    assert bridge().read(0x0A, 2) == 0x0604


def test_ports_are_forwarded_in_units_of_4_kib() -> None:
    """3.2.5.6."""
    device = bridge()
    device.write(0x1C, 2, 0xDFCF)
    assert device.read(0x1C, 2) == 0xD0C0
    assert device.forwards("pio") == [(0xC000, 0xDFFF)]
    device.write(0x1C, 2, 0xC0D0)
    assert device.forwards("pio") == []


def test_memory_is_forwarded_in_units_of_1_mib() -> None:
    """3.2.5.8 and 3.2.5.9."""
    device = bridge()
    device.write(0x20, 4, 0xFE9F_FE80)
    device.write(0x24, 4, 0xFE00_FDFF)
    assert device.read(0x24, 4) == 0xFE01_FDF1
    assert device.forwards("mmio") == [(0xFE80_0000, 0xFE9F_FFFF), (0xFDF0_0000, 0xFE0F_FFFF)]
    device.write(0x28, 4, 0x38)
    device.write(0x2C, 4, 0x38)
    assert device.forwards("mmio")[1] == (0x38_FDF0_0000, 0x38_FE0F_FFFF)
    device.write(0x2C, 4, 0x37)
    assert len(device.forwards("mmio")) == 1


def test_nothing_is_forwarded_without_the_commands_bits() -> None:
    """3.2.4.3."""
    device = bridge(command=0)
    assert device.forwards("pio") == []
    assert device.forwards("mmio") == []


def test_of_bridge_control_the_discard_status_is_cleared_by_one() -> None:
    """3.2.5.18."""
    device = bridge()
    device.write(0x3E, 2, 0xFFFF)
    assert device.read(0x3E, 2) == 0x0BFF
    device.poke(0x3E, 2, 0x0400)
    device.write(0x3E, 2, 0x0400)
    assert device.read(0x3E, 2) == 0


def test_a_reset_forgets_the_bus_numbers() -> None:
    device = bridge()
    device.write(0x18, 4, 0x0003_0201)
    device.reset()
    assert device.read(0x18, 4) == 0


def test_the_rom_is_behind_the_windows() -> None:
    device = PciBridge()
    device.add_bar(6, 0x1000)
    device.write(0x38, 4, 0xFFFF_FFFF)
    assert device.read(0x38, 4) == 0xFFFF_F001
