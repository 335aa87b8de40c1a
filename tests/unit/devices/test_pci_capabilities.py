"""Capabilities: PCI 3.0 section 6.8, power management 1.2 section 3.2, PCI Express 3.0 section 7.8."""

from __future__ import annotations

import pytest

from vmdev.replay.devices import pci_capabilities as caps
from vmdev.replay.devices.pci_config import PciConfig


def config(size: int = 256) -> PciConfig:
    return PciConfig(0x1234, 1, 0x0200, size=size)


def names(device: PciConfig) -> dict[int, str]:
    return {register.offset: register.name for register in device.own_registers}


@pytest.mark.parametrize(
    ("options", "content", "written"),
    [
        ({}, "05008000 00000000 00000000 0000", "05008100 fcffffff ffffffff ffff"),
        ({"is_64": False}, "05000000 00000000 0000", "05000100 fcffffff ffff"),
        (
            {"vectors": 4, "masks": True},
            "05008401 00000000 00000000 00000000 00000000 00000000",
            "0500a501 fcffffff ffffffff ffff0000 0f000000 00000000",
        ),
    ],
)
def test_msi(options: dict[str, int], content: str, written: str) -> None:
    """6.8.1. More messages than there are cannot be enabled."""
    device = config()
    heard: list[int] = []
    at = caps.add_msi(device, 0x50, changed=lambda: heard.append(1), **options)  # type: ignore[arg-type]
    size = len(bytes.fromhex(content))
    assert bytes(device.read(at + n, 1) for n in range(size)) == bytes.fromhex(content)
    for n in range(0, size, 2):
        device.write(at + n, 2, 0xFFFF)
    assert bytes(device.read(at + n, 1) for n in range(size)) == bytes.fromhex(written)
    assert heard
    device.reset()
    assert bytes(device.read(at + n, 1) for n in range(size)) == bytes.fromhex(content)
    assert names(device)[at + 2] == "MSI.MC"


def test_msix() -> None:
    """6.8.2."""
    device = config()
    at = caps.add_msix(device, 0x70, 5, (3, 0x1000), (4, 0x2000))
    assert [device.read(at + n, 4) for n in (0, 4, 8)] == [0x0004_0011, 0x1003, 0x2004]
    device.write(at + 2, 2, 0xFFFF)
    device.write(at + 4, 4, 0)
    assert [device.read(at + n, 4) for n in (0, 4)] == [0xC004_0011, 0x1003]


def test_power_management() -> None:
    device = config()
    at = caps.add_power_management(device, status=8, writable=3, clears=0x8000)
    device.poke(at + 4, 2, 0x8008)
    device.write(at + 4, 2, 0xFFFF)
    assert device.read(at, 4) == 0x0003_0001
    assert device.read(at + 4, 2) == 0x000B


def test_vendor_and_subsystem() -> None:
    device = config()
    assert caps.add_vendor(device, b"\x10\x01\x04\x00") == 0x40
    assert caps.add_subsystem(device, 0x1B36, 2, 0x50) == 0x50
    assert device.read(0x40, 4) == 0x0110_0009
    assert device.read(0x42, 4) == 0x0004_0110
    assert device.read(0x54, 4) == 0x0002_1B36


@pytest.mark.parametrize(("version", "control"), [(1, 0), (2, 0xF)])
def test_express(version: int, control: int) -> None:
    """7.8. QEMU: of version 1 nothing is reported."""
    device = config(4096)
    at = caps.add_express(device, 0x80, caps.INTEGRATED, version=version, resets=True)
    assert device.read(at + 2, 2) == 0x90 | version
    assert device.read(at + 4, 4) == 0x1000_8020
    device.write(at + 8, 2, 0xFFFF)
    assert device.read(at + 8, 2) == control
    assert device.read(at + 12, 4) == 0x0411
    device.write(at + 0x28, 2, 0xFFFF)
    assert device.read(at + 0x28, 2) == (0x8000 if version == 2 else 0xFFFF)
    assert device.read(at + 0x24, 4) == (0x0030_0000 if version == 2 else 0)


@pytest.mark.parametrize("speeds", [0, 0x1E])
def test_a_slot_answers_each_command_at_once(speeds: int) -> None:
    """7.8.10 and 7.8.11."""
    device = config(4096)
    at = caps.add_express(device, 0x54, caps.ROOT_PORT)
    caps.add_slot(device, at, 3, speeds)
    assert device.read(at + 0x14, 4) == 0x001A_007B
    assert device.read(at + 0x18, 4) == 0x0000_03C0
    device.write(at + 0x18, 2, 0x0001)
    assert device.read(at + 0x18, 4) == 0x0010_0001
    device.write(at + 0x1A, 2, 0x0010)
    assert device.read(at + 0x1A, 2) == 0
    assert device.read(at + 0x2C, 4) == speeds


def test_the_number_of_a_slot_may_be_unknown() -> None:
    device = config(4096)
    caps.add_slot(device, 0x54, None, 0)
    answer = device.read(0x68, 4)
    assert getattr(answer, "mask", None) == 0xFFF8_0000


@pytest.mark.parametrize("is_root", [False, True])
def test_error_reporting(is_root: bool) -> None:
    """7.10."""
    device = config(4096)
    caps.add_errors(device, 0x100, 0x140, is_root=is_root)
    caps.add_extended(device, 0x140, 0x03, 1, 0, 12)
    assert [device.read(0x100 + n, 4) for n in (0, 8, 0xC, 0x14, 0x18, 0x40)] == [
        0x1402_0001, 0x0240_0000, 0x0046_2030, 0xE000, 0xA0, 0x0001_0003,
    ]  # fmt: skip
    device.write(0x12C, 4, 0xFF)
    assert device.read(0x12C, 4) == (7 if is_root else 0)


def test_a_space_of_256_bytes_has_no_extended_capabilities() -> None:
    device = config()
    caps.add_errors(device, 0x100, 0)
    caps.add_extended(device, 0x140, 0x03, 1, 0, 12)
    assert not device.own_registers
