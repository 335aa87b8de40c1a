"""ICH9 LPC bridge: data sheet 316972, section 13.1, and QEMU."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.ich9_lpc import (
    ACPI_CNTL,
    GEN_PMCON_1,
    LPC_EN,
    PIRQA_ROUT,
    PIRQE_ROUT,
    PMBASE,
    RCBA,
    Ich9Lpc,
)


def test_pmbase_needs_acpi_en() -> None:
    """13.1.13 and 13.1.14."""
    device = Ich9Lpc()
    device.write(PMBASE, 4, 0xFFFF_0678)
    assert device.read(PMBASE, 4) == 0x0600
    assert device.pm_base is None
    device.write(ACPI_CNTL, 1, 0x80)
    assert device.pm_base == 0x600
    device.write(PMBASE, 4, 0)
    assert device.pm_base is None


@pytest.mark.parametrize(("value", "interrupt"), [(0, 9), (1, 10), (2, 11), (3, None), (4, 20), (5, 21)])
def test_sci(value: int, interrupt: int | None) -> None:
    device = Ich9Lpc()
    device.write(ACPI_CNTL, 1, value)
    assert device.sci == interrupt


def test_request_lines() -> None:
    """13.1.18 and 13.1.20."""
    device = Ich9Lpc()
    assert {device.route(n) for n in range(8)} == {None}
    device.write(PIRQA_ROUT + 1, 1, 0x0A)
    device.write(PIRQE_ROUT + 3, 1, 0x7B)
    assert (device.route(1), device.route(7)) == (10, 11)


def test_rcba() -> None:
    """13.1.38."""
    device = Ich9Lpc()
    assert device.rcba is None
    device.write(RCBA, 4, 0xFED1_C001)
    assert device.rcba == 0xFED1_C000
    device.reset()
    assert device.rcba is None


def test_the_smi_lock_cannot_be_undone() -> None:
    """13.8.1.1."""
    device = Ich9Lpc()
    device.write(GEN_PMCON_1, 2, 0x0013)
    assert device.is_smi_locked
    device.write(GEN_PMCON_1, 2, 0)
    assert device.read(GEN_PMCON_1, 2) == 0x0010


@pytest.mark.parametrize(("ports", "value"), [((), 0), ((0x3F8,), 1), ((0x3F8, 0x2F8, 0x378, 0x3F2), 15)])
def test_lpc_en_tells_of_isa_ports(ports: tuple[int, ...], value: int) -> None:
    assert Ich9Lpc(ports).read(LPC_EN, 2) == value
