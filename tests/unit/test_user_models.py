"""Models and boards that users bring."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from vmdev.replay import user_models
from vmdev.replay.devices.port92 import Port92
from vmdev.replay.devices.uart16550 import Uart16550
from vmdev.replay.errors import DeviceConfigError, UnknownMachineError, UserModelError
from vmdev.replay.guest import Guest
from vmdev.replay.machines import Board, Placement, Replacement, build

GUEST = Guest("pc")

MODEL = """
from vmdev.replay.device import Device
from vmdev.replay.registers import Register, RegisterMap

class Mine(Device):
    title = "Mine"
    registers = RegisterMap(Register("DATA", "Data", 0, "rw"), Register("WIDE", "Wide", 4, "r", width=32))

    def __init__(self, clock, irq, *, guest, other=None, note="none", **rest):
        self.given = (clock, irq, guest, other, note)

class Greedy(Mine):
    def __init__(self, disk):
        pass

class Broken(Mine):
    def __init__(self):
        raise ValueError("no such thing")

class Bare(Device):
    pass

class NoDevice:
    pass
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_models.py").write_text(MODEL)
    yield tmp_path
    sys.modules.pop("my_models", None)


def test_a_model_is_found_in_the_current_directory() -> None:
    model = user_models.find_model("my_models:Mine")
    assert model.title == "Mine"
    assert user_models.span(model) == 8


def test_a_model_of_vmdev_is_found_by_its_name() -> None:
    assert user_models.find_model("uart16550") is Uart16550


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Mine", "nowhere cannot be imported: ModuleNotFoundError"),
        ("my_models:Yours", "my_models has no Yours"),
        ("my_models:NoDevice", "is no subclass of vmdev.replay.device.Device"),
        ("my_models:Bare", "declares no registers"),
        ("uart", "there is no model 'uart'; write package.module:Class, or one of "),
    ],
)
def test_what_cannot_be_used_is_named(name: str, message: str) -> None:
    with pytest.raises(UserModelError, match=message):
        user_models.find_model(name)


def test_a_module_that_fails_is_named(module: Path) -> None:
    (module / "failing.py").write_text("1 / 0")
    with pytest.raises(UserModelError, match="failing cannot be imported: ZeroDivisionError: division by zero"):
        user_models.find_model("failing:Mine")


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, user_models.ENTRY_POINTS)


def test_installed_models_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry("mine", "my_models:Mine"), entry("gone", "nowhere:Gone")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
    user_models._look_here()
    assert [found.name for found in user_models.installed()] == ["gone", "mine"]
    assert user_models.find_model("mine").title == "Mine"
    assert user_models.describe(entries[0]) == "Mine"
    assert user_models.describe(entries[1]).startswith("cannot be used: gone (nowhere:Gone): cannot be imported")


def replaced(model: str, name: str, **places: tuple[Placement, ...]) -> Board:
    make = user_models.make(user_models.find_model(model), GUEST)
    return build(GUEST, replacements={name: Replacement(make, **places)})


def test_a_model_is_built_with_what_its_constructor_asks_for() -> None:
    board = replaced("my_models:Mine", "com1")
    clock, irq, guest, other, note = board.devices["com1"].given  # type: ignore[attr-defined]
    assert clock is board.clock
    assert irq is board.lines["com1"][0]
    assert guest is GUEST
    assert isinstance(other, Uart16550)
    assert note == "none"


def test_the_line_of_a_replaced_model_leads_where_it_did() -> None:
    board = replaced("uart16550", "com1")
    requests: list[bool] = []
    board.lines["com1"][0].connect(requests.append)
    board.devices["com1"].write(1, 1, 0x02)
    assert requests == [True]


def test_a_model_can_sit_elsewhere() -> None:
    board = replaced("my_models:Mine", "com1", pio=(Placement(0x2E8, 8),))
    places = {found.base.value: device for found, device in board.io.pio_bus}
    assert places[0x2E8] is board.devices["com1"]
    assert 0x3F8 not in places


def test_a_model_of_another_name_takes_the_place_and_the_line_of_what_sat_there() -> None:
    plain = build(GUEST)
    board = replaced("my_models:Mine", "mine", pio=(Placement(0x3F8, 8),))
    assert set(board.devices) == set(plain.devices) - {"com1"} | {"mine"}
    assert board.devices["mine"].given[1] is board.lines["com1"][0]  # type: ignore[attr-defined]


def test_a_model_of_another_name_needs_a_place() -> None:
    with pytest.raises(DeviceConfigError, match="pc has no device 'mine' to replace, so say where it sits"):
        replaced("my_models:Mine", "mine")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("my_models:Greedy", "my_models:Greedy: its constructor asks for 'disk'; it can have clock, irq"),
        ("my_models:Broken", "my_models:Broken: it cannot be built: ValueError: no such thing"),
    ],
)
def test_a_model_that_cannot_be_built_is_named(model: str, message: str) -> None:
    with pytest.raises(UserModelError, match=message):
        replaced(model, "com1")


def test_a_model_that_lacks_what_others_need_is_named() -> None:
    with pytest.raises(DeviceConfigError, match=r"Mine lacks what other devices need of it: .*'request'"):
        replaced("my_models:Mine", "pic")


BOARD = """
from vmdev.replay.devices.port92 import Port92
from vmdev.replay.machines import Board

def board(guest):
    board = Board(f"my {guest.machine}")
    board.add("port92", Port92(), pio=[(0x92, 1)])
    return board
"""


def test_a_board_is_built_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my_board.py"
    path.write_text(BOARD)
    board = user_models.load_board(path, GUEST)
    assert board.machine == "my pc"
    assert isinstance(board.devices["port92"], Port92)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("board = 1", r"has no function board\(guest\)"),
        ("def board(guest): raise ValueError('no')", r"board\(guest\) failed: ValueError: no"),
        ("def board(guest): return 7", r"board\(guest\) returned 7, which is no"),
    ],
)
def test_a_board_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "my_board.py"
    path.write_text(text)
    with pytest.raises(UserModelError, match=message):
        user_models.load_board(path, GUEST)


def test_a_board_that_was_edited_within_the_same_second_is_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "edited.py"
    for name in ("one", "two"):
        path.write_text(f"from vmdev.replay.machines import Board\n\ndef board(guest):\n    return Board({name!r})\n")
        os.utime(path, (1, 1))
        assert user_models.load_board(path, GUEST).machine == name


def test_a_board_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserModelError, match="is no Python file"):
        user_models.load_board(tmp_path / "none.py", GUEST)


def test_models_that_say_where_they_sit_need_no_known_machine() -> None:
    guest = Guest("virt", "aarch64")
    model = user_models.find_model("my_models:Mine")
    placed = Replacement(user_models.make(model, guest), mmio=(Placement(0x9000_0000, 8),))
    board = build(guest, replacements={"mine": placed})
    assert (board.machine, list(board.devices)) == ("virt", ["mine"])
    for replacements in ({}, {"mine": placed, "other": Replacement(user_models.make(model, guest))}):
        with pytest.raises(UnknownMachineError, match="virt"):
            build(guest, replacements=replacements)
    with pytest.raises(UnknownMachineError, match="there is no machine 'virt'"):
        build(guest, "virt", {"mine": placed})
