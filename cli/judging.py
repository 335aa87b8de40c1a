"""What ``vmdev replay`` judges, in which models, and by which rules: its options, and the replay they ask for."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from vmdev.replay.contracts import Contract
from vmdev.replay.device import Device
from vmdev.replay.errors import UserModelError
from vmdev.replay.guest import Guest
from vmdev.replay.judging import rulefiles
from vmdev.replay.judging.ledger import Known
from vmdev.replay.machines import Board, Placement, Replacement, build
from vmdev.replay.minimizing import Bench, BoardSource
from vmdev.replay.printable import printable
from vmdev.replay.replayer import Hear, Replayer, Trace
from vmdev.replay.routes import StandIns
from vmdev.replay.selection import AddressRange, Bounds, Selection
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.user_models import find_model, load_board, make, span
from vmdev.replay.watchdog import PATIENCE_S

from .filters import AddressType
from .ranges import bounds, parse_integer, parse_time

TROUBLE: Final = 2

_PLACED_MODEL: Final = re.compile(r"(?P<name>[^=]+)=(?P<model>[^@=]+)(?:@(?P<place>.+))?")


@dataclass(frozen=True, slots=True)
class UserModel:
    """A model to put on the board."""

    name: str
    model: str | type[Device]
    """``package.module:Class``, or the name of an installed model or of one of vmdev's; or the class itself."""
    place: AddressRange | None
    """None: where the device of that name is."""


class DeviceType(click.ParamType[str | UserModel]):
    """NAME, or NAME=MODEL[@PLACE]."""

    name = "device"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | UserModel:
        """Read an option's value."""
        if isinstance(value, UserModel) or "=" not in str(value):
            return value if isinstance(value, UserModel) else str(value)
        found = _PLACED_MODEL.fullmatch(str(value))
        if found is None:
            self.fail(f"must be like com1 or com1=my_uart:Uart@pio:0x3f8, not {value!r}", param, ctx)
        place = None
        if found["place"] is not None:
            place = AddressType().convert(found["place"], param, ctx)
            if not place.space:
                place = AddressRange("pio" if place.last < 1 << 16 else "mmio", place.first, place.last)
        return UserModel(found["name"], found["model"], place)


@dataclass(frozen=True, slots=True)
class Rules:
    """Where an answer may differ."""

    contracts: dict[str, list[Contract]]
    known: list[Known]


@dataclass(frozen=True, slots=True)
class Judging:
    """All of it, as plain data."""

    machine: str | None = None
    board: Path | Callable[[Guest], Board] | None = None
    """A Python file with a function of that name, or the function."""
    devices: tuple[str | UserModel, ...] = ()
    addresses: tuple[AddressRange, ...] = ()
    seqs: Bounds = (None, None)
    times_ns: Bounds = (None, None)
    until_divergence: bool = False
    contracts: tuple[Path, ...] = ()
    known: tuple[Path, ...] = ()
    strict: bool = False
    access_limit_s: float = PATIENCE_S

    def replayer(self, reader: TraceReader) -> Replayer:
        """The replay of a trace that is asked for.

        Raises:
            VmdevError: a model, a board or a file of rules cannot be used, or there is no such machine or device.
        """
        bench = self.bench(reader.path)
        return bench.replayer(reader, bench.board(reader.guest), bench.selection)

    def bench(self, path: Path) -> Bench:
        """How the trace at `path`, and parts of it, are replayed. The files of rules are read once.

        Raises:
            VmdevError: a file of rules cannot be used.
        """
        rules = self.rules(path)

        def replayer(trace: Trace, board: Board, selection: Selection) -> Replayer:
            return self.replay(trace, board, selection, path.name, rules)

        return Bench(self.board_for, replayer, self.selection)

    @property
    def selection(self) -> Selection:
        """What is judged."""
        return Selection(
            tuple(device for device in self.devices if isinstance(device, str)),
            self.addresses,
            self.seqs,
            self.times_ns,
            self.until_divergence,
        )

    def rules(self, path: Path) -> Rules:
        """Where answers of the models may differ from those of the trace at `path`.

        Raises:
            VmdevError: a file of rules cannot be used.
        """
        contracts = _merged(map(rulefiles.read_contracts, _files(self.contracts, path, rulefiles.CONTRACTS_SUFFIX)))
        known = [
            entry for file in _files(self.known, path, rulefiles.KNOWN_SUFFIX) for entry in rulefiles.read_known(file)
        ]
        return Rules(contracts, known)

    def given_rules(self) -> Rules:
        """As `rules`, of the files that were named alone: those beside the trace are about the models."""
        contracts = _merged(map(rulefiles.read_contracts, self.contracts))
        return Rules(contracts, [entry for file in self.known for entry in rulefiles.read_known(file)])

    def replay(
        self,
        trace: Trace,
        board: Board,
        selection: Selection,
        name: str,
        rules: Rules,
        stand_ins: StandIns | None = None,
        hear: Hear | None = None,
    ) -> Replayer:
        """A replay into `board`; the last two as `Replayer` takes them."""
        return Replayer(
            trace,
            board,
            name=name,
            selection=selection,
            contracts=rules.contracts,
            known=[replace(entry) for entry in rules.known],
            strict=self.strict,
            patience_s=self.access_limit_s,
            give_up=_give_up,
            stand_ins=stand_ins,
            hear=hear,
        )

    @property
    def model_options(self) -> list[str]:
        """The values of --device that bring models."""
        models = [device for device in self.devices if isinstance(device, UserModel)]
        return [f"{each.name}={each.model}{f'@{each.place}' if each.place else ''}" for each in models]

    def board_source(self) -> BoardSource:
        """Source for the board that `board_for` gives."""
        machine = f", {self.machine!r}" if self.machine is not None else ""
        models = [device for device in self.devices if isinstance(device, UserModel)]
        if self.board is not None and not isinstance(self.board, Path):
            name = self.board.__name__
            return BoardSource((f"from {self.board.__module__} import {name}",), f"{name}(GUEST)")
        if self.board is not None:
            own = ("from pathlib import Path", "from vmdev.replay.user_models import load_board")
            return BoardSource(own, f"load_board(Path({str(self.board)!r}), GUEST)")
        if not models:
            return BoardSource(expression=f"build(GUEST{machine})")
        imports = ["from vmdev.replay.user_models import make"]
        needed = {"build", "Replacement"}
        parts = []
        for each in models:
            found = find_model(each.model) if isinstance(each.model, str) else each.model
            imports.append(f"from {found.__module__} import {found.__qualname__}")
            place = ""
            if each.place is not None:
                needed.add("Placement")
                at = _placement(each.place, found)
                place = f", {each.place.space}=(Placement({at.base:#x}, {at.size}),)"
            parts.append(f"{each.name!r}: Replacement(make({found.__qualname__}, GUEST){place})")
        imports.append(f"from vmdev.replay.machines import {', '.join(sorted(needed))}")
        return BoardSource(tuple(imports), f"build(GUEST{machine}, replacements={{{', '.join(parts)}}})")

    def board_for(self, guest: Guest) -> Board:
        """The board that is asked for, for a guest."""
        models = [device for device in self.devices if isinstance(device, UserModel)]
        if self.board is not None:
            if self.machine is not None or models:
                other = "--machine" if self.machine is not None else "--device NAME=MODEL"
                raise UserModelError(f"--board and {other} exclude each other: the board's file says what is on it")
            return load_board(self.board, guest) if isinstance(self.board, Path) else self.board(guest)
        return build(guest, self.machine, {model.name: _replacement(model, guest) for model in models})


def _replacement(what: UserModel, guest: Guest) -> Replacement:
    model = find_model(what.model) if isinstance(what.model, str) else what.model
    if what.place is None:
        return Replacement(make(model, guest))
    place = _placement(what.place, model)
    on_pio = what.place.space == "pio"
    return Replacement(make(model, guest), pio=(place,) if on_pio else (), mmio=() if on_pio else (place,))


def _placement(place: AddressRange, model: type[Device]) -> Placement:
    return Placement(place.first, span(model) if place.first == place.last else place.last - place.first + 1)


def _files(given: Iterable[Path], trace: Path, suffix: str) -> list[Path]:
    """The files of rules: those that were given, or else the one beside the trace, if there is one."""
    beside = rulefiles.beside(trace, suffix)
    return list(given) or ([beside] if beside else [])


def _merged(files: Iterable[dict[str, list[Contract]]]) -> dict[str, list[Contract]]:
    merged: dict[str, list[Contract]] = {}
    for contracts in files:
        for device, found in contracts.items():
            merged.setdefault(device, []).extend(found)
    return merged


def _give_up(what: str) -> NoReturn:
    """A model hangs where nothing reaches it, so the process has to end."""
    print(f"Error: {printable(what)}", file=sys.stderr, flush=True)
    os._exit(TROUBLE)


Command = TypeVar("Command", bound=Callable[..., Any])

_FILE: Final = click.Path(path_type=Path)

_BOARD: Final = (
    click.option("--machine", metavar="NAME", help="The machine to replay into; by default the one that was recorded."),
    click.option(
        "--board", type=_FILE, metavar="FILE.py",
        help="Replay into the board that the function board(guest) of a Python file returns.",
    ),
)  # fmt: skip

_WHERE: Final = (
    *_BOARD,
    click.option(
        "--device", "devices", type=DeviceType(), metavar="NAME", multiple=True,
        help="Judge only this device; repeatable. NAME=package.module:Class@pio:0x3f8 puts a model of yours in place "
        "of ours, without the part from @ on where ours is.",
    ),
)  # fmt: skip

_WHICH: Final = (
    click.option(
        "--address", "addresses", type=AddressType(), metavar="RANGE", multiple=True,
        help="Judge only accesses that touch these ports or addresses, such as 0x70-0x71, 0x3f8+8 or mmio:0xfed00000; "
        "repeatable.",
    ),
    click.option("--seq", "seqs", metavar="A:B", callback=bounds(parse_integer), help="Judge only exits A to B."),
    click.option(
        "--time", "times_ns", metavar="A:B", callback=bounds(parse_time),
        help="Judge only from A to B, in ns or like 20us, 1.5ms, 2s.",
    ),
    click.option("--until-divergence", is_flag=True, help="End at the first root divergence."),
)  # fmt: skip

_RULES: Final = (
    click.option(
        "--contracts", type=_FILE, metavar="FILE", multiple=True,
        help="Where an answer need not equal the recorded one; by default TRACE.contracts.toml beside the trace.",
    ),
    click.option(
        "--known", type=_FILE, metavar="FILE", multiple=True,
        help="Divergences that are known, and do not fail; by default TRACE.known.toml beside the trace.",
    ),
    click.option("--strict", is_flag=True, help="Reads that nothing answers count as divergences."),
    click.option(
        "--access-limit", "access_limit_s", type=click.FloatRange(min=0.1), default=PATIENCE_S, show_default=True,
        metavar="S", help="Seconds after which a model that does not come back is ended.",
    ),
)  # fmt: skip


def judging_options(command: Command) -> Command:
    """Give a command the options that `Judging` is made of, under the names of its members."""
    return _with((*_WHERE, *_WHICH, *_RULES), command)


def whole_options(command: Command) -> Command:
    """As `judging_options`, without those that choose a part of the trace."""
    return _with((*_WHERE, *_RULES), command)


def board_options(command: Command) -> Command:
    """As `judging_options`, only those that say what to replay into, without --device."""
    return _with(_BOARD, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def notes(reader: TraceReader) -> list[str]:
    """What the user should know of a trace before its verdict."""
    found = []
    if not reader.closed:
        found.append("the recording was cut off: it may end before its guest did")
    if "filter" in reader.meta:
        excluded, asked = reader.meta.get("excluded", "some"), reader.meta["filter"]
        found.append(f"{excluded} accesses were left out, and models miss them; recorded was {asked}")
    if reader.first_exit:
        where = "are in the files before it" if "part" in reader.meta else "were not kept"
        found.append(f"exits before {reader.first_exit} {where}; models begin as after a reset")
    return [f"WARNING: {reader.path}: {note}" for note in found]
