"""Which devices an answer may rest on: those that a model's attributes lead to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from ..bus import IoManager
from ..clock import Clock, Timer
from ..device import Device
from ..irq import Line

_NOT_FOLLOWED: Final = (Clock, Timer, Line, IoManager, ModuleType, type, str, bytes, bytearray, int, float)


def reached(device: object, wanted: Mapping[int, str], limit: int = 100_000) -> list[int]:
    """The ids of `wanted` that a device knows: to which its attributes lead, but for lines, which go outwards."""
    found: list[int] = []
    seen: set[int] = {id(device)}
    left: list[Any] = [device]
    while left and len(seen) < limit:
        for each in _attributes(left.pop()):
            if (
                id(each) in seen
                or isinstance(each, _NOT_FOLLOWED)
                or type(each).__name__ in ("Board", "Wiring", "Guest")
            ):
                continue
            seen.add(id(each))
            if id(each) in wanted:
                found.append(id(each))
            left.append(each)
    return found


def _attributes(thing: Any) -> Iterable[Any]:
    if isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from thing
    elif isinstance(thing, (MethodType, BuiltinMethodType)):
        yield thing.__self__
    elif isinstance(thing, FunctionType):
        for cell in thing.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # empty
                continue
    else:
        yield from getattr(thing, "__dict__", {}).values()
        for kind in type(thing).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if not name.startswith("__"):
                    value = getattr(thing, name, None)
                    if value is not None:
                        yield value
        for name in ("func", "args"):
            if hasattr(thing, name):  # functools.partial
                yield getattr(thing, name)


def drives(lines: Sequence[Line], devices: Mapping[str, Device], controllers: Iterable[str]) -> bool:
    """Whether any of these lines leads to one of the devices."""
    targets = {id(devices[name]): name for name in controllers if name in devices}
    return any(reached(sink, targets) for line in lines for sink in line._sinks)
