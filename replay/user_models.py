"""Models and boards that users bring: found by module or entry point, and built with what they ask for.

A model's constructor is called with what its parameters are called:

    clock   the machine's `Clock`
    irq     the interrupt `Line` of the device that it replaces; a line that leads nowhere if there was none
    lines   all lines of that device
    guest   what the trace says of the recorded machine (`Guest`)
    board   the `Board`
    other   the model of vmdev's that it replaces, or None

Other parameters need defaults. A board's file has a function ``board(guest: Guest) -> Board``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Final

from .device import Device
from .errors import UserModelError
from .guest import Guest
from .irq import Line
from .machines import Board
from .machines.replacement import Make
from .registers import RegisterMap

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS: Final = "vmdev.devices"
"""The group of entry points by which installed packages offer models: ``name = "package.module:Class"``."""


def installed() -> Iterator[EntryPoint]:
    """The entry points of installed models, by name."""
    from importlib.metadata import entry_points  # not needed, and slow to import, for a replay with vmdev's own

    yield from sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)


def find_model(name: str) -> type[Device]:
    """The model of that name: ``package.module:Class``, an installed one, or one of vmdev's own.

    Raises:
        UserModelError: there is none, it cannot be imported, or it is no model.
    """
    if ":" not in name:
        from .devices.catalog import CATALOG  # imports all models

        if name in CATALOG:
            return CATALOG[name]
        for entry in installed():
            if entry.name == name:
                return _model(_loaded(entry), name)
        known = ", ".join([*CATALOG, *(entry.name for entry in installed())])
        raise UserModelError(f"there is no model {name!r}; write package.module:Class, or one of {known}")
    module_name, _, class_name = name.partition(":")
    _look_here()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserModelError(f"{name}: {module_name} cannot be imported: {_short(error)}") from error
    if not hasattr(module, class_name):
        raise UserModelError(f"{name}: {module_name} has no {class_name}")
    return _model(getattr(module, class_name), name)


def make(model: type[Device], guest: Guest) -> Make:
    """What builds such a model for a board. What that raises is a `UserModelError`."""

    def build(board: Board, lines: Sequence[Line], other: Device | None) -> Device:
        offered: dict[str, object] = {
            "clock": board.clock,
            "irq": lines[0] if lines else Line(),
            "lines": tuple(lines),
            "guest": guest,
            "board": board,
            "other": other,
        }
        name = f"{model.__module__}:{model.__qualname__}"
        given = {}
        for parameter in inspect.signature(model).parameters.values():
            if parameter.name in offered and parameter.kind in (
                parameter.POSITIONAL_OR_KEYWORD,
                parameter.KEYWORD_ONLY,
            ):
                given[parameter.name] = offered[parameter.name]
            elif parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                raise UserModelError(
                    f"{name}: its constructor asks for {parameter.name!r}; it can have {', '.join(offered)}"
                )
        try:
            return model(**given)
        except Exception as error:
            raise UserModelError(f"{name}: it cannot be built: {_short(error)}") from error

    return build


def span(model: type[Device]) -> int:
    """Bytes of the model's register space, as far as registers are declared."""
    return max((register.offset + (register.width + 7) // 8 for register in model.registers), default=1)


def load_board(path: Path, guest: Guest) -> Board:
    """The board that the function ``board`` of a Python file builds for a guest.

    Raises:
        UserModelError: the file cannot be imported, or has no such function, or that raises or returns something else.
    """
    _look_here(path.resolve().parent)
    name = f"vmdev_board_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_AsItIsNow(name, str(path)))
    if spec is None or spec.loader is None or path.suffix != ".py" or not path.is_file():
        raise UserModelError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserModelError(f"{path}: cannot be imported: {_short(error)}") from error
    function = getattr(module, "board", None)
    if not callable(function):
        raise UserModelError(f"{path}: has no function board(guest)")
    try:
        board = function(guest)
    except Exception as error:
        raise UserModelError(f"{path}: board(guest) failed: {_short(error)}") from error
    if not isinstance(board, Board):
        raise UserModelError(f"{path}: board(guest) returned {board!r}, which is no vmdev.replay.machines.Board")
    return board


def describe(entry: EntryPoint) -> str:
    """An installed model's title, or why it cannot be used."""
    try:
        model = _model(_loaded(entry), entry.name)
    except UserModelError as error:
        return f"cannot be used: {error}"
    return str(getattr(model, "title", model.__name__))


def _loaded(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:
        raise UserModelError(f"{entry.name} ({entry.value}): cannot be imported: {_short(error)}") from error


def _model(found: object, name: str) -> type[Device]:
    if not isinstance(found, type) or not issubclass(found, Device):
        raise UserModelError(f"{name}: is no subclass of vmdev.replay.device.Device")
    if not isinstance(getattr(found, "registers", None), RegisterMap):
        raise UserModelError(f"{name}: declares no registers: it needs a RegisterMap of that name")
    return found


class _AsItIsNow(SourceFileLoader):
    """Keeps no bytecode: of a file that is edited twice within a second, Python would take the first one's."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _look_here(directory: Path | None = None) -> None:
    """Let modules of a directory, by default the current one, be imported."""
    place = str(directory or Path.cwd())
    if place not in sys.path:
        sys.path.insert(0, place)


def _short(error: Exception) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
