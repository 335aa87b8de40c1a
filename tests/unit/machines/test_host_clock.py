"""Contracts of recordings by the host's clock."""

from __future__ import annotations

import pytest

from vmdev.replay.clock import Clock
from vmdev.replay.devices.catalog import CATALOG
from vmdev.replay.guest import Guest, Region
from vmdev.replay.machines import build
from vmdev.replay.machines.host_clock import BYTE_TOLERANCE_NS, TOLERANCE_NS, contracts


def rules(name: str) -> dict[str, tuple[str, int | None, int | None, str | None]]:
    found = contracts({name: CATALOG[name].alone(Clock())}).get(name, [])
    return {one.register: (one.rule, one.ns, one.ticks, one.field) for one in found}


@pytest.mark.parametrize(
    ("name", "register", "rule"),
    [
        ("acpi_pm_timer", "PM_TMR", ("time", TOLERANCE_NS, None, None)),
        ("hpet", "MAIN_CNT", ("time", TOLERANCE_NS, None, None)),
        ("local_apic", "Current_Count", ("time", None, TOLERANCE_NS, None)),
        ("i8254", "Counter 2", ("time", BYTE_TOLERANCE_NS, None, None)),
        ("port61", "NMI_SC", ("mask", None, None, "TMR2_OUT_STS")),
        ("mc146818", "Register A", ("mask", None, None, "UIP")),
    ],
)
def test_counters_have_a_tolerance_and_bits_of_a_moment_are_not_compared(
    name: str, register: str, rule: tuple[str, int | None, int | None, str | None]
) -> None:
    assert rules(name)[register] == rule


def test_half_a_byte_counters_range_is_more_than_its_tolerance() -> None:
    assert BYTE_TOLERANCE_NS * 1_193_182 < 127 * 10**9


def test_the_digits_of_a_clock_are_compared() -> None:
    assert set(rules("mc146818")) == {"Register A"}


def test_what_does_not_follow_time_has_no_contract() -> None:
    assert rules("uart16550") == {}


@pytest.mark.parametrize(("clock", "expected"), [("host", True), ("virtual", False)])
def test_only_recordings_by_the_hosts_clock_have_them(clock: str, expected: bool) -> None:
    guest = Guest("pc", clock=clock, regions=(Region("pio", 0x40, 0x43, "pit"),))
    assert bool(build(guest).contracts) == expected
