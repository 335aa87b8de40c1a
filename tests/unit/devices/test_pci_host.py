"""Mechanism #1, ECAM and reset control, and what QEMU makes of odd accesses."""

from __future__ import annotations

import pytest

from vmdev.replay.device import Unknown
from vmdev.replay.devices.pci_bridge import PciBridge
from vmdev.replay.devices.pci_config import PciConfig
from vmdev.replay.devices.pci_host import ECAM, ICH9_RESET_BITS, PIIX3_RESET_BITS, PciHost, function_name

ENABLE = 1 << 31


def host() -> PciHost:
    device = PciHost(ICH9_RESET_BITS)
    device.attach(PciConfig(0x8086, 0x29C0, 0x0600), 0)
    device.attach(PciConfig(0x1234, 0x1111, 0x0300, size=4096), 0x10)
    return device


def test_config_address_takes_four_bytes_only() -> None:
    """QEMU; the specification has the same of DWORDs."""
    device = host()
    device.write(0, 4, ENABLE | 0x1000)
    device.write(0, 1, 0x55)
    device.write(2, 2, 0x5555)
    assert device.read(0, 4) == ENABLE | 0x1000


@pytest.mark.parametrize(("offset", "size", "value"), [(0, 1, 0x04), (0, 2, 0x1004), (2, 2, 0x1004), (3, 1, 0x04)])
def test_narrow_reads_of_config_address_give_its_low_bits(offset: int, size: int, value: int) -> None:
    """QEMU."""
    device = host()
    device.write(0, 4, ENABLE | 0x1004)
    assert device.read(offset, size) == value


def test_config_data_reaches_the_addressed_function() -> None:
    device = host()
    device.write(0, 4, ENABLE | 0x1000)
    assert [device.reader(4, 4)(), device.reader(4, 2)(), device.reader(6, 2)(), device.reader(7, 1)()] == [
        0x1111_1234, 0x1234, 0x1111, 0x11,
    ]  # fmt: skip
    device.write(0, 4, ENABLE | 0x1004)
    device.write(5, 1, 0x01)
    assert device.read(4, 2) == 0x0100


def test_nothing_answers_with_all_ones() -> None:
    device = host()
    for address in (0x1000, ENABLE | 0x1800, ENABLE | 0x10000):
        device.write(0, 4, address)
        device.write(4, 4, 0)
        assert device.read(4, 4) == device.reader(4, 4)() == 0xFFFF_FFFF
        assert device.reader(4, 1)() == 0xFF


def test_low_bits_of_config_address_are_ored() -> None:
    """QEMU."""
    device = host()
    device.write(0, 4, ENABLE | 0x1002)
    assert device.read(4, 2) == 0x1111
    assert device.read(6, 2) == 0x1111


def test_ecam_reaches_all_of_a_function() -> None:
    """PCI Express 7.2.2."""
    device = host()
    at = ECAM + (2 << 15)
    assert device.read(at, 4) == 0x1111_1234
    device.write(at + 0x100, 4, 0x55)
    assert device.read(at + 0x100, 4) == 0x55
    assert device.reader(at + 0x100, 2)() == 0x55


def test_ecam_ends_where_a_function_does() -> None:
    device = host()
    device.write(ECAM + 0x100, 4, 0)
    assert device.read(ECAM + 0x100, 4) == 0xFFFF_FFFF
    assert device.read(ECAM + (5 << 15), 2) == 0xFFFF
    device.write(ECAM + (5 << 15), 2, 0)
    assert device.reader(ECAM, 8)() == 0x29C0_8086


@pytest.mark.parametrize(("bits", "kept"), [(PIIX3_RESET_BITS, 0x02), (ICH9_RESET_BITS, 0x0A)])
def test_reset_control_keeps_the_kind_of_reset(bits: int, kept: int) -> None:
    device = PciHost(bits)
    device.write(1, 1, 0xFB)
    assert device.read(1, 1) == kept
    device.write(1, 1, 0x06)
    assert device.read(1, 1) == kept, "the reset itself"
    device.reset()
    assert device.read(1, 1) == 0


def test_without_reset_control_its_port_is_config_address() -> None:
    device = PciHost()
    device.write(0, 4, 0x1234)
    device.write(1, 1, 0)
    assert device.read(1, 1) == 0x34


def test_a_reset_leaves_config_address_alone() -> None:
    device = host()
    device.write(0, 4, ENABLE)
    device.reset()
    assert device.read(0, 4) == ENABLE


# Buses


def bridged() -> tuple[PciHost, PciBridge, PciBridge]:
    device = PciHost()
    outer, inner = PciBridge(1, 1), PciBridge(1, 2)
    device.attach(outer, 0x20)
    device.attach(inner, 0x08, outer)
    device.attach(PciConfig(1, 3), 0x10, inner)
    device.attach(PciConfig(1, 4), 0, root=0x40)
    return device, outer, inner


def identity(device: PciHost, bus: int, devfn: int) -> int | None:
    config = device.function(bus, devfn)
    return None if config is None else config.read(2, 2)


def test_bus_numbers_are_those_of_the_bridges() -> None:
    device, outer, inner = bridged()
    assert identity(device, 0, 0x20) == 1
    assert identity(device, 1, 0x08) is None
    outer.write(0x18, 4, 0x02_01_00)
    inner.write(0x18, 4, 0x02_02_01)
    assert [identity(device, 1, 0x08), identity(device, 2, 0x10)] == [2, 3]
    outer.write(0x1A, 1, 1)
    assert identity(device, 2, 0x10) is None
    outer.write(0x1A, 1, 2)
    outer.write(0x3E, 2, 0x40)
    assert identity(device, 1, 0x08) is None


def test_other_root_buses_have_fixed_numbers() -> None:
    device, _, _ = bridged()
    assert identity(device, 0x40, 0) == 4
    assert identity(device, 0x41, 0) is None


# Names


def named(device: PciHost, offset: int) -> str | None:
    register = device.registers.find(offset, "r", device.bank(offset))
    return None if register is None else register.name


def test_registers_are_named_after_their_functions() -> None:
    device = host()
    assert function_name(0, 0x0B) == "00:01.3"
    assert named(device, 0) == "CONFIG_ADDRESS"
    assert named(device, 1) == "RST_CNT"
    assert named(device, 4) == "CONFIG_DATA", "nothing is addressed"
    device.write(0, 4, ENABLE | 0x1004)
    assert [named(device, offset) for offset in (4, 5, 6, 7)] == ["00:02.0 COMMAND", None, "00:02.0 STATUS", None]
    device.write(0, 4, ENABLE | 0x1040)
    assert named(device, 5) == "00:02.0 0x41"
    assert named(device, ECAM + 4) == "00:00.0 COMMAND"
    assert named(device, ECAM + (9 << 15)) is None
    assert device.registers.find(4, "r", "00:1f.0 4") is not None, "a function that was there before"


def test_the_state_has_that_of_the_addressed_function() -> None:
    device = host()
    assert "vid" not in device.state() or device.state()["vid"] == 0x8086
    device.write(0, 4, ENABLE | 0x1000)
    assert device.state()["vid"] == 0x1234
    device.write(0, 4, ENABLE | 0x1800)
    assert "vid" not in device.state()


def test_what_a_function_does_not_know_its_host_does_not_either() -> None:
    device = PciHost()
    config = PciConfig(1, 2)
    config.learn(8, 1)
    device.attach(config, 0)
    device.write(0, 4, ENABLE | 8)
    assert isinstance(device.read(4, 4), Unknown)
