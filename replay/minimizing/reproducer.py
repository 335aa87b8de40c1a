"""A minimized divergence as the source of a short test, which fails on this model and passes on a right one.

Its accesses go to the model itself, built by its `alone`, if it then answers as it does on the board, from the same
state. Else the test builds the board, of a guest of which no more is said than that needs.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, NamedTuple

from ..clock import Clock
from ..device import Device
from ..errors import MinimizingError
from ..guest import Guest
from ..irq import Line
from ..naming import decode, pieces
from ..registers import Direction
from ..reproducing import read, write
from ..trace.rows import Event, Interrupt
from .minimizer import Bench, Minimized, Minimizer, first_divergence
from .slices import Slice

COMMENT_MAX: Final = 60


class BoardSource(NamedTuple):
    """How a test builds the board."""

    imports: tuple[str, ...] = ("from vmdev.replay.machines import build",)
    expression: str = "build(GUEST)"


class _Step(NamedTuple):
    """A line of the test."""

    t_ns: int
    device: str
    """Empty: what the board is told."""
    offset: int = 0
    size: int = 0
    direction: Direction = "r"
    value: int = 0
    comment: str = ""
    call: str = ""
    """Instead of an access."""


class Reproducer:
    """Writes the test of one divergence.

    Args:
        minimizer: has run.
        found: its result.
        bench: how it was replayed.
        board: how a test builds the board.
        name: the trace's.
        command: what wrote the test.
    """

    def __init__(
        self, minimizer: Minimizer, found: Minimized, bench: Bench, board: BoardSource, name: str, command: str
    ) -> None:
        self._minimizer = minimizer
        self._found = found
        self._bench = bench
        self._board = board
        self._name = name
        self._command = command
        self.reason = ""
        """Why the test needs the board; empty if it does not."""

    def source(self) -> str:
        """The test.

        Raises:
            MinimizingError: there is none that fails as it should, or a contract is about the register.
        """
        root = self._found.root
        names = (root.register or f"offset {root.offset or 0:#x}").split("+")
        if any(device == root.device and register in names for device, register in self._found.contracts):
            raise MinimizingError(
                f"a contract excuses bits of {root.device}.{root.register}, which a test of single accesses cannot "
                "tell; replay the minimized trace instead"
            )
        steps = self._steps()
        text = self._alone(steps)
        if text is None:
            text = self._on_board(steps)
        return text

    # What the test does

    def _steps(self) -> list[_Step]:
        found = self._found
        part = Slice(found.source, found.kept, stops=set(found.kept))
        board = self._bench.board(found.source.guest)
        comments: dict[int, str] = {}

        def observe(first: int, rows: Sequence[tuple[int, int, int]]) -> None:
            item = part.exits[first + len(rows) - 1]
            if item in found.owners:
                name, offset = found.owners[item]
                site = part.site(rows[-1][1])
                if name in board.devices:
                    comments[item] = _comment(board.devices[name], offset, site.size, site.direction, rows[-1][2])

        first_divergence(self._bench, part, board, observe)
        steps: list[_Step] = []
        for item in found.kept:
            what = found.source.items[item]
            if isinstance(what, Event):
                call = "board.reset()" if what.kind == "reset" else f"board.inputs[{what.kind!r}][1]({what.detail!r})"
                steps.append(_Step(what.t_ns, "", call=call))
            elif isinstance(what, Interrupt):
                steps.append(_Step(what.t_ns, "", call=f"board.interrupts.take({what.vcpu}, {what.to_pc:#x})"))
            elif item in found.owners:
                name, offset = found.owners[item]
                if name not in board.devices:
                    raise MinimizingError(f"{name} is no device of the board that a test could reach by its name")
                site = found.source.site(what[1])
                steps.append(_Step(what[0], name, offset, site.size, site.direction, what[2], comments.get(item, "")))
        return steps

    # The two kinds of tests

    def _alone(self, steps: Sequence[_Step]) -> str | None:
        """A test of the device by itself; None, with `reason`, if that will not do."""
        root = self._found.root
        others = sorted({step.device for step in steps} - {root.device})
        if others:
            what = [name for name in others if name] or [next(step.call for step in steps if not step.device)]
            if not (others == [""] and all(step.device or step.call == "board.reset()" for step in steps)):
                self.reason = f"{root.device} alone does not show it: it takes {', '.join(what)}, too"
                return None
        device = self._bench.board(self._found.source.guest).devices[root.device]
        built = _built_alone(type(device))
        if built is None:
            self.reason = f"{type(device).__name__} cannot be built alone"
            return None
        expression, imports, make = built
        guest = self._found.source.guest
        step = f"step_ns={guest.step_ns}" if guest.step_ns else ""
        timed = True
        try:
            with_times = _made(make, steps, guest.step_ns, timed=True)
            timed = with_times != _made(make, steps, guest.step_ns, timed=False)
        except Exception:  # a fault of the model's, which the test is to show
            with_times = None
        if with_times is not None and with_times[1] != dict(self._found.root.state):
            self.reason = f"{root.device} alone is not in the same state as on the board"
            return None
        setup = [f"clock = Clock({step})", f"{_variable(root.device)} = {expression}"]
        text = self._text(steps, imports, setup, timed, {root.device: _variable(root.device)})
        wrong = self._not_as_promised(text)
        if wrong:
            self.reason = f"{root.device} alone does not show it: {wrong}"
            return None
        return text

    def _on_board(self, steps: Sequence[_Step]) -> str:
        guest = self._minimizer.smallest_guest()
        literal, names = _literal(guest)
        imports = [*self._board.imports, f"from vmdev.replay.guest import {', '.join(sorted(names))}"]
        devices = {step.device: _variable(step.device) for step in steps if step.device}
        setup = [f"board = {self._board.expression}", "clock = board.clock"]
        if any(step.call.startswith("board.interrupts") for step in steps):
            setup.append("board.interrupts.begin()")
        setup += [f"{variable} = board.devices[{name!r}]" for name, variable in devices.items()]
        text = self._text(steps, imports, setup, True, devices, f"GUEST = {literal}\n\n\n")
        wrong = self._not_as_promised(text)
        if wrong:
            raise MinimizingError(f"no test of single accesses shows it: {wrong}; replay the minimized trace instead")
        return text

    # Text

    def _text(
        self,
        steps: Sequence[_Step],
        imports: Sequence[str],
        setup: Sequence[str],
        timed: bool,
        devices: Mapping[str, str],
        before: str = "",
    ) -> str:
        root = self._found.root
        place = f"{root.device}.{root.register or f'offset {root.offset or 0:#x}'}"
        used = {"read" if step.direction == "r" else "write" for step in steps if step.device}
        lines = sorted(
            {
                *imports,
                *([] if "board = " in setup[0] else ["from vmdev.replay.clock import Clock"]),
                f"from vmdev.replay.reproducing import {', '.join(sorted(used))}",
            },
            key=lambda line: (line.split()[1].startswith("vmdev"), line.split()[1]),
        )
        body = [*setup]
        now = -1
        for at, step in enumerate(steps):
            if timed and step.t_ns != now:
                body.append(f"clock.advance({step.t_ns:_})")
                now = step.t_ns
            comment = f"  # {step.comment}" if step.comment else ""
            if step.call:
                only = next(iter(devices.values()))
                body.append(step.call if "board = " in setup[0] else f"{only}.reset()")
                continue
            where = f"{devices[step.device]}, {step.offset:#x}, {step.size}"
            if step.direction == "w":
                body.append(f"write({where}, {step.value:#x}){comment}")
            elif at < len(steps) - 1:
                body.append(f"read({where}, {step.value:#x}){comment}")
            else:
                shown = ":#x" if root.cause == "value" else "!r"
                body += [
                    f"hw = {step.value:#x}",
                    f"model = read({where}, hw){comment}",
                    f'assert model == hw, f"{place}: hw={{hw:#x}} model={{model{shown}}}{self._fields()}"',
                ]
        if root.cause == "fault":
            body.append(f"# it raised {self._fault()}" if "Error" in self._fault() else f"# {self._fault()}")
        code = "\n".join(f"    {line}" for line in body)
        said = (
            f"hw={root.hw:#x}, model={root.model:#x}" if root.hw is not None and root.model is not None else "a fault"
        )
        head = f'"""{place}, seq {root.seq:,} of {self._name}: {said}.\n\nWritten by `{self._command}`.\n"""\n\n'
        return f"{head}{_sorted_imports(lines)}\n\n\n{before}def test_{_variable(place)}() -> None:\n{code}\n"

    def _fields(self) -> str:
        names = ", ".join(field.name for field in self._found.root.fields)
        return f" in {names}" if names else ""

    def _fault(self) -> str:
        return "".join(self._found.root.detail.strip().splitlines()[-1:])

    # The check

    def _not_as_promised(self, text: str) -> str:
        """What is wrong with how the test fails; empty if it fails as it should."""
        root = self._found.root
        namespace: dict[str, Any] = {"__name__": "reproducer"}
        try:
            exec(compile(text, "<the test>", "exec"), namespace)  # what was just written, with models already in use
            (test,) = [value for name, value in namespace.items() if name.startswith("test_")]
        except Exception as error:
            return f"it cannot be imported ({type(error).__name__}: {error})"
        try:
            test()
        except AssertionError as error:
            if root.cause == "value" and root.hw is not None and root.model is not None:
                place = f"{root.device}.{root.register or f'offset {root.offset or 0:#x}'}"
                if str(error) == f"{place}: hw={root.hw:#x} model={root.model:#x}{self._fields()}":
                    return ""
                return f"it fails with {str(error)!r}"
            return "" if root.cause == "fault" else f"it fails with {error}"
        except Exception as error:
            if root.cause == "fault" and type(error).__name__ in self._fault():
                return ""
            return f"it fails with {type(error).__name__}: {error}"
        return "it passes"


def _comment(device: Device, offset: int, size: int, direction: Direction, value: int) -> str:
    try:
        found = [piece for piece in pieces(device, offset, size, direction) if piece.register]
    except Exception:  # a model's
        return ""
    names = "+".join(piece.register.name for piece in found if piece.register)
    register = found[0].register if len(found) == 1 else None
    decoded = decode(register, value) if register is not None and register.width == 8 * size else ""
    if decoded and len(decoded) <= COMMENT_MAX:
        return f"{names}: {decoded}"
    return names


def _variable(name: str) -> str:
    found = re.sub(r"\W+", "_", name).strip("_").lower()
    return (
        f"device_{found}"
        if not found or found[0].isdigit() or found in ("board", "clock", "hw", "model", "read", "write")
        else found
    )


def _built_alone(model: type[Device]) -> tuple[str, list[str], Callable[[Clock], Device]] | None:
    """How one is built by itself: the expression, its imports, and what does it."""
    if "." in model.__qualname__ or model.__module__ == "__main__":
        return None
    name = model.__name__
    imports = [f"from {model.__module__} import {name}"]
    for base in model.__mro__:
        if "alone" in vars(base):
            if base is not Device and _same_constructor(model, base):
                return f"{name}.alone(clock)", imports, model.alone
            break
    asked = [
        parameter for parameter in inspect.signature(model).parameters.values() if parameter.default is parameter.empty
    ]
    offered = {"clock": "clock", "irq": "Line()"}
    if any(
        parameter.name not in offered or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD for parameter in asked
    ):
        return None
    if any(parameter.name == "irq" for parameter in asked):
        imports.append("from vmdev.replay.irq import Line")
    arguments = ", ".join(offered[parameter.name] for parameter in asked)

    def make(clock: Clock) -> Device:
        given: dict[str, Any] = {"clock": clock, "irq": Line()}
        return model(*(given[parameter.name] for parameter in asked))

    return f"{name}({arguments})", imports, make


def _same_constructor(model: type[Device], base: type[Device]) -> bool:
    """Whether `alone` of `base` can build a `model`."""
    return model is base or model.__init__ is base.__init__


def _made(
    make: Callable[[Clock], Device], steps: Sequence[_Step], step_ns: int, timed: bool
) -> tuple[int, Mapping[str, int]]:
    """The last answer, and the state after it."""
    clock = Clock(step_ns=step_ns)
    device = make(clock)
    answer = 0
    for step in steps:
        if timed:
            clock.advance(step.t_ns)
        if step.call:
            device.reset()
        elif step.direction == "r":
            answer = read(device, step.offset, step.size, step.value)
        else:
            write(device, step.offset, step.size, step.value)
    return answer, dict(device.state())


def _literal(guest: Guest) -> tuple[str, set[str]]:
    """Source for a guest, without what is as by default; and the classes that it names."""
    names: set[str] = set()

    def show(value: Any, indent: int) -> str:
        if is_dataclass(value) and not isinstance(value, type):
            names.add(type(value).__name__)
            parts = []
            for each in fields(value):
                part = getattr(value, each.name)
                default = each.default_factory() if each.default_factory is not MISSING else each.default
                if default is MISSING or part != default:
                    parts.append(f"{each.name}={show(part, indent + 4)}")
            return f"{type(value).__name__}({', '.join(parts)})"
        if isinstance(value, tuple):
            inner = "".join(f"{' ' * (indent + 4)}{show(each, indent + 4)},\n" for each in value)
            return f"(\n{inner}{' ' * indent})"
        if isinstance(value, int) and not isinstance(value, bool) and value > 9:
            return hex(value)
        if isinstance(value, Mapping):
            return repr(dict(value))
        return repr(value)

    return show(guest, 0), names


def _sorted_imports(lines: Sequence[str]) -> str:
    own = [line for line in lines if not line.split()[1].startswith("vmdev")]
    ours = [line for line in lines if line.split()[1].startswith("vmdev")]
    return "\n\n".join("\n".join(group) for group in (own, ours) if group)
