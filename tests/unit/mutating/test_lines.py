"""Which lines of a model are run."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

import pytest

from vmdev.replay.device import Device
from vmdev.replay.mutating.lines import Lines

SOURCE = """
from vmdev.replay.device import Device

ONE = 1


class Model(Device):
    def read(self, offset, size):
        if offset:
            return [each for each in range(offset)]

        def inner():
            return 5

        return inner

    def write(self, offset, size, value):
        self.value = value
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Device]:
    (tmp_path / "lines_model.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lines_model", raising=False)
    found: type[Device] = importlib.import_module("lines_model").Model
    return found


def test_lines_of_functions_are_told_apart_by_whether_they_were_run(model: type[Device]) -> None:
    lines = Lines(model)
    (file,) = lines.all
    assert file == inspect.getsourcefile(model)
    assert lines.missed == {file: [9, 10, 12, 13, 15, 18]}
    before = sys.gettrace()
    lines.watch(lambda: model().read(0, 1))
    assert sys.gettrace() is before
    assert lines.missed == {file: [10, 13, 18]}


def test_what_is_run_adds_up(model: type[Device]) -> None:
    first, second, both = Lines(model), Lines(model), Lines()
    first.watch(lambda: model().read(0, 1))
    second.watch(lambda: model().write(0, 1, 2))
    both.add(first)
    both.add(second)
    assert [*both.missed.values()] == [[10, 13]]


def test_an_exception_ends_the_watch(model: type[Device]) -> None:
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        Lines(model).watch(lambda: 1 // 0)
    assert sys.gettrace() is before


def test_the_base_class_has_no_lines() -> None:
    assert Lines(Device).all == {}
