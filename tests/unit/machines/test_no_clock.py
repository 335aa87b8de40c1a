"""Contracts of recordings without times."""

from __future__ import annotations

import pytest

from vmdev.replay.clock import Clock
from vmdev.replay.devices.catalog import CATALOG
from vmdev.replay.guest import Guest
from vmdev.replay.machines import build
from vmdev.replay.machines.no_clock import contracts


@pytest.mark.parametrize(
    ("name", "register", "field"),
    [("acpi_pm_timer", "PM_TMR", None), ("i8254", "Counter 2", None), ("mc146818", "Seconds", None)],
)
def test_what_time_changes_is_not_compared(name: str, register: str, field: str | None) -> None:
    found = contracts({name: CATALOG[name].alone(Clock())})[name]
    assert (register, "mask", field) in {(one.register, one.rule, one.field) for one in found}


def test_a_device_without_time_is_compared() -> None:
    assert contracts({"port80": CATALOG["port80"].alone(Clock())}) == {}


def test_boards_have_them_where_there_is_no_clock() -> None:
    assert "pmtimer" in build(Guest("pc", clock="none")).contracts
    assert build(Guest("pc")).contracts == {}
