from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint

import pytest
from click.testing import Result

from vmdev.replay import user_models
from vmdev.replay.devices.catalog import CATALOG
from vmdev.replay.registers import Field, Register, RegisterMap, bit

Run = Callable[..., Result]


class Banked:
    title = "A banked device"
    registers = RegisterMap(
        Register("DR", "Data", 0, "rw", bank="A", reset=0),
        Register("SR", "Status", 4, "r", (bit("BUSY", 0), Field("MODE", 3, 2, {1: "slow", 2: "fast"})), width=16),
        banks=("A", "B"),
    )


class Plain:
    title = "A plain device"
    registers = RegisterMap(Register("DR", "Data", 0, "rw"))


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, type]:
    found = {"banked": Banked, "plain": Plain}
    monkeypatch.setattr("vmdev.cli.devices.CATALOG", found)
    return found


def test_every_device_has_a_line(run: Run) -> None:
    result = run("devices")
    assert result.exit_code == 0
    assert [line.split(None, 1) for line in result.stdout.splitlines()] == [
        [name, model.title] for name, model in CATALOG.items()
    ]


@pytest.mark.parametrize("name", CATALOG)
def test_registers_of_every_device_can_be_shown(run: Run, name: str) -> None:
    result = run("devices", name)
    assert result.exit_code == 0
    for register in CATALOG[name].registers:
        assert f"  {register.name}  " in result.stdout


@pytest.mark.usefixtures("catalog")
def test_registers_and_fields(run: Run) -> None:
    assert run("devices", "banked").stdout == (
        "banked: A banked device\n"
        "\n"
        "offset  access  bits  bank  reset  name   description\n"
        "   0x0  rw         8  A     0x0    DR     Data\n"
        "   0x4  r         16               SR     Status\n"
        "                                     3:2    MODE (0x1 slow, 0x2 fast)\n"
        "                                     0      BUSY\n"
    )


@pytest.mark.usefixtures("catalog")
def test_device_without_banks_has_no_such_column(run: Run) -> None:
    assert run("devices", "plain").stdout.splitlines()[2:] == [
        "offset  access  bits  reset  name  description",
        "   0x0  rw         8         DR    Data",
    ]


@pytest.mark.usefixtures("catalog")
def test_unknown_device(run: Run) -> None:
    result = run("devices", "vax")
    assert result.exit_code == 2
    assert result.stderr == "Error: there is no device 'vax'; known devices: banked, plain\n"


def test_installed_models_are_listed_last(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = user_models.ENTRY_POINTS
    entries = [
        EntryPoint("acme", "vmdev.replay.devices.port92:Port92", group),
        EntryPoint("gone", "nowhere:Gone", group),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
    lines = run("devices").stdout.splitlines()
    assert lines[-2].split(maxsplit=1) == [
        "acme=vmdev.replay.devices.port92:Port92", "System control port A: A20, fast reset"
    ]  # fmt: skip
    assert lines[-1].startswith("gone=nowhere:Gone")
    assert "cannot be used: gone (nowhere:Gone): cannot be imported: ModuleNotFoundError" in lines[-1]
    assert run("devices", "acme").stdout.startswith("acme: System control port A")
    assert run("devices", "gone").exit_code == 2
