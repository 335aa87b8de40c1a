"""Traces as tests: what becomes of each device of a trace, and blessing it. `vmdev bless` and the pytest plugin use it.

No pytest here, and no output.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vmdev.replay import goldens
from vmdev.replay.device import Window
from vmdev.replay.errors import GoldenError, TraceError, VmdevError
from vmdev.replay.goldens import REST, Changes, Golden, Part
from vmdev.replay.machines import Board
from vmdev.replay.printable import printable
from vmdev.replay.report.text import first_root, in_short, sentence
from vmdev.replay.report.wording import number
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.verdict import Verdict

from .judging import Judging, notes

_MMIO: Final = 16
_SIZE: Final = 15
"""Bits of a site's kind, as replay/trace/rows.py has them."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A trace that was replayed."""

    verdict: Verdict
    notes: list[str]
    """What the user should know of the trace."""
    golden: Golden | None
    """The one beside the trace."""
    parts: dict[str, Part]
    """What a golden made now would have."""


@dataclass(slots=True)
class Replays:
    """Replays each trace once, as long as it is asked for in the same way."""

    _done: dict[tuple[Path, Judging], Replayed | VmdevError | OSError] = field(default_factory=dict)

    def replay(self, trace: Path, judging: Judging) -> Replayed:
        """What came of a trace.

        Raises:
            VmdevError, OSError: it cannot be replayed.
        """
        key = (trace.resolve(), judging)
        if key not in self._done:
            try:
                self._done[key] = replay(trace, judging)
            except (VmdevError, OSError) as error:
                self._done[key] = error.with_traceback(None)
        found = self._done[key]
        if isinstance(found, Replayed):
            return found
        raise found


def replay(trace: Path, judging: Judging) -> Replayed:
    """Replay a trace, and read its golden.

    Raises:
        VmdevError, OSError: it cannot be replayed, or what is beside it cannot be used.
    """
    golden = goldens.read_beside(trace)
    with TraceReader(trace) as reader:
        told = notes(reader)
        verdict = judging.replayer(reader).run()
    return Replayed(verdict, told, golden, goldens.parts(verdict))


def devices_of(trace: Path, judging: Judging) -> list[str]:
    """The devices that a trace may reach, without a replay.

    Left out are those whose places the guest never accesses. Those that have no place until the guest gives them one
    stay in, but where a golden knows better.

    Raises:
        VmdevError, OSError: the trace cannot be read, or there is no board for it.
    """
    with TraceReader(trace) as reader:
        board = judging.board_for(reader.guest)
        sites = reader.packed_sites
    placed = {id(device) for bus in (board.io.pio_bus, board.io.mmio_bus) for device in _models(bus)}
    reached = set(_reached(board, ((address, kind) for address, kind, _, _ in sites)))
    blessed = None
    with suppress(GoldenError):  # which is told when the trace is replayed
        blessed = goldens.read_beside(trace)
    return [
        name
        for name, device in board.devices.items()
        if id(device) in reached or (id(device) not in placed and (blessed is None or name in blessed.parts))
    ]


def _models(bus: Iterable[tuple[object, object]]) -> Iterator[object]:
    for _, device in bus:
        yield device.device if isinstance(device, Window) else device


def _reached(board: Board, places: Iterable[tuple[int, int]]) -> Iterator[int]:
    for address, kind in places:
        bus = board.io.mmio_bus if kind & _MMIO else board.io.pio_bus
        entry = bus.lookup(address, kind & _SIZE)
        if entry is not None:
            yield from map(id, _models([entry]))


# What is wrong with it


def failure(replayed: Replayed, names: Iterable[str]) -> str:
    """What is wrong with these devices, and what a golden has of them: "" if nothing is. The first line says it all."""
    verdict = replayed.verdict
    names = list(names)
    if replayed.golden is None:
        return _disagreement(verdict, names)
    changes = Changes()
    for name in names:
        changes.add(goldens.compare_part(name, replayed.golden.parts.get(name), replayed.parts.get(name)))
    if not changes:
        return ""
    roots = [root for root in verdict.roots if root.device in names]
    counts = f"{number(len(changes.regressions), 'regression')}, {number(len(changes.improvements), 'improvement')}"
    headline = f"not as blessed: {counts}"
    blocks = [f"{headline}; {in_short(roots[0])}" if roots else headline, "\n".join(changes.lines)]
    if roots:
        blocks.append(first_root(verdict, roots[0].device))
    blocks.append('Once that is as it should be: pytest --vmdev-bless="the reason", or vmdev bless.')
    return "\n".join(printable(line) for block in blocks for line in block.splitlines())


def _disagreement(verdict: Verdict, names: list[str]) -> str:
    """As `failure`, where nothing was blessed."""
    blocks = []
    for device in verdict.devices:
        if device.name in names and (device.tally.roots or device.tally.consequences):
            roots = [root for root in verdict.roots if root.device == device.name]
            rest = f"; {number(device.tally.roots, 'root')}, {number(device.tally.consequences, 'consequence')}"
            blocks.append((in_short(roots[0]) if roots else device.name) + rest)
            blocks.append(first_root(verdict, device.name))
    if REST in names:
        blocks += [
            f"stale: nothing diverges any more in {use.device}.{use.register}, which the ledger says"
            for use in verdict.stale
        ]
        if verdict.unanswered:
            blocks.append(f"{number(verdict.unanswered, 'read')} not answered, and --strict or vmdev_strict wants all")
    return "\n".join(blocks)


def told(trace: str, replayed: Replayed) -> str:
    """In a line, what was checked of a trace."""
    totals = replayed.verdict.totals
    unclaimed = totals.unclaimed_reads + totals.unclaimed_writes
    explained = totals.learned + totals.assumed
    counts = [number(totals.exits, "exit")]
    counts += [f"{number(explained, 'read')} learned or assumed"] if explained else []
    counts += [f"{unclaimed:,} unclaimed"] if unclaimed else []
    counts += ["as blessed" if replayed.golden.parts == replayed.parts else "not as blessed"] if replayed.golden else []
    return printable(f"{trace}: {sentence(replayed.verdict)} {', '.join(counts)}.")


# Blessing


def require_a_person(reason: str) -> None:
    """Refuse to bless where nobody looks at what is blessed.

    Raises:
        GoldenError: this is continuous integration, or there is no reason.
    """
    if "CI" in os.environ:
        raise GoldenError("nothing is blessed in continuous integration: CI is set in the environment")
    if not reason.strip():
        raise GoldenError("a verdict is blessed for a reason: say which")


def require_whole(trace: Path, replayed: Replayed) -> None:
    """Refuse to bless a trace that was cut off.

    Raises:
        TraceError: it was.
    """
    if not replayed.verdict.trace.closed:
        raise TraceError(f"{trace}: the recording was cut off: an unclosed trace is not blessed; record it again")


def bless(trace: Path, found: Mapping[str, Part | None], reason: str) -> Changes:
    """Let the trace's golden have these parts; None takes one out. Others stay. What changed is returned.

    A golden in which nothing changes is not written, and keeps its reason.

    Raises:
        GoldenError: the golden that is there is none.
        OSError: it cannot be written.
    """
    golden = goldens.read_beside(trace)
    before = golden.parts if golden else {}
    after = {**before, **{name: part for name, part in found.items() if part is not None}}
    for name, part in found.items():
        if part is None:
            after.pop(name, None)
    changes = goldens.compare(before, after)
    if golden is None or changes:
        Golden(reason.strip(), after).write(goldens.path_for(trace))
    return changes
