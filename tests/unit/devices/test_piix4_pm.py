"""PIIX4 function 3: data sheet 290562, sections 7.1 and 7.2, and QEMU."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.piix4_pm import APMC_EN, DEVACTB, DEVRESB, DEVRESE, PMBA, PMREGMISC, SMBBA, SMBHSTCFG, Piix4Pm


def test_identities() -> None:
    device = Piix4Pm()
    assert [device.read(offset, 4) for offset in (0x00, 0x04, 0x08, 0x3C)] == [
        0x7113_8086, 0x0280_0000, 0x0680_0003, 0x0100,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ports", "values"),
    [((), (0x10, 0x00)), ((0x3F8,), (0x10, 0x08)), ((0x3F8, 0x2F8, 0x378), (0x90, 0x98))],
)
def test_device_resources_tell_of_isa_ports(ports: tuple[int, ...], values: tuple[int, int]) -> None:
    device = Piix4Pm(ports)
    assert (device.read(DEVRESB, 1), device.read(DEVRESE, 1)) == values


def test_without_smm_firmware_finds_it_set_up() -> None:
    device = Piix4Pm(has_smm=False)
    assert device.read(DEVACTB, 4) == APMC_EN
    device.write(DEVACTB, 4, 0)
    device.reset()
    assert device.read(DEVACTB, 4) == APMC_EN
    assert Piix4Pm().read(DEVACTB, 4) == 0


def test_the_ports_are_where_they_are_enabled() -> None:
    device = Piix4Pm()
    device.write(PMBA, 4, 0x0601)
    assert device.pm_base is None
    device.write(PMREGMISC, 1, 1)
    assert device.pm_base == 0x600
    device.reset()
    assert device.pm_base is None


def test_smbus_is_on_from_the_start_and_survives_a_reset() -> None:
    device = Piix4Pm()
    assert device.smbus_base == 0xB100
    device.write(SMBBA, 4, 0x0701)
    device.reset()
    assert device.smbus_base == 0x700
    device.write(SMBHSTCFG, 1, 0)
    assert device.smbus_base is None
