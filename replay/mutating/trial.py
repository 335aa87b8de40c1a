"""One trace as a test of one model: which mutants a replay of it tells from the model.

The trace is replayed once to see what it does with the model. That alone tells which mutants it cannot kill, and,
where nothing excuses a wrong answer, which of those with faulty reads it kills. For the others the trace is replayed
until the first answer that is not the model's; not all of it, but

- near: only the exits at the model, if it then answers, and drives its lines, as in the whole trace. A mutant that
  shows nothing there, and leaves its lines and all other devices as the model does, survives;
- far: for the rest, the exits at all devices that a fault may reach.

Where either needs exits at other devices, they stay.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from ..device import Device
from ..errors import MutatingError, NothingComparedError, UnknownMachineError
from ..minimizing import Bench, Slice, Source
from ..registers import Register
from ..routes import WRITE
from ..selection import Selection
from ..verdict import Tally, Verdict
from .batch import Batch, Spoiled
from .faults import OF_LINES, OF_READS, Chances, Mutant, apply, mutants_of
from .influence import affected
from .lines import Lines
from .survey import Survey, Use

if TYPE_CHECKING:
    from ..irq import Line
    from ..machines.board import Board
    from ..replayer import Trace
    from ..trace.rows import Access

BATCHES_MAX: Final = 64
"""So often a replay of many mutants is begun anew, because one of them changed the model."""

HEAVY: Final = 50
"""Exits at a device that are more than the fiftieth part of all are worth a try to do without."""

COMPARED: Final = ("reads", "writes", "masked", "learned", "assumed", "unmodelled")
"""Counts of a device that have to be as in the whole trace."""

_SITE: Final = itemgetter(1)


class TimeIsUpError(Exception):
    """The limit is reached."""


@dataclass(slots=True)
class Tried:
    """What became of the mutants."""

    killed: set[Mutant] = field(default_factory=set)
    survived: dict[Mutant, str] = field(default_factory=dict)
    """With the reason."""
    waiting: list[Mutant] = field(default_factory=list)
    """Those that take a replay."""


class _End(NamedTuple):
    """How a replay ended."""

    verdict: Verdict | None
    """None: it compared nothing."""
    states: Mapping[str, Mapping[str, int]]
    """Of all devices; not if something diverged."""
    lines: Sequence[tuple[int, int]]
    """Of the model's lines: how often each changed, and a number for when and how."""


class _Part(NamedTuple):
    """A part of the trace, and how a replay of it ends without a fault."""

    slice: Slice
    end: _End


class Trial:
    """One trace, prepared: it has been replayed into the model.

    Args:
        trace: the recording.
        bench: how it is replayed.
        device: the model's name on the board.
        progress: called now and then with the number of exits since the last call.

    Raises:
        UnknownMachineError: the board has no such device.
        MutatingError: it has no registers, or a model fails in this trace.
    """

    def __init__(self, trace: Trace, bench: Bench, device: str, progress: Callable[[int], None] | None = None) -> None:
        self._trace = trace
        self._bench = bench
        self._device = device
        self._guest = trace.guest
        self._parts: dict[bool, _Part] = {}
        """By whether it is the far one."""
        self._amended: dict[int, int] = {}
        self._sites: dict[str, set[int]] = {}
        """By device: the sites whose accesses it ever answered."""
        self._site_counts: Counter[int] = Counter()
        self._last_seq = 0
        board = self._board()
        model = board.devices[device]
        self.model = type(model).__name__
        self.registers: list[Register] = list(getattr(model, "registers", None) or ())
        if not self.registers:
            raise MutatingError(f"{device} declares no registers, so there are none to put faults into")
        self._assumes = type(model).assume is not Device.assume
        self._kinds = frozenset(board.inputs)
        self._affected = affected(board, device)
        watches = self._watch(board)
        self._survey = Survey(model, looks_deeper=True)
        replayer = bench.replayer(trace, board, Selection())
        replayer.note_answers(self._amended.__setitem__)

        def observe(first: int, rows: Sequence[Access]) -> None:
            self._last_seq = first + len(rows) - 1
            counts = Counter(map(_SITE, rows))
            self._site_counts.update(counts)
            for number in counts:
                claim = replayer.claim(number)
                if claim is not None:
                    self._sites.setdefault(claim[0], set()).add(number)

        verdict = replayer.run(progress, observe)
        _refuse_faults(verdict)
        names = {register.name for register in self.registers}
        self.registers += [use.register for name, use in self.uses.items() if name not in names]
        self._verdict = verdict
        self._whole = _End(verdict, _states(board), [watch.seen for watch in watches])
        changes = [count for count, _ in self._whole.lines]
        self._chances = Chances(self._survey.uses, self._survey.resets, changes)
        self._excused = self._find_excused()

    @property
    def uses(self) -> Mapping[str, Use]:
        """What the trace does with each register that it accesses, by name."""
        return self._survey.uses

    @property
    def undeclared(self) -> Mapping[int, Sequence[int]]:
        """By offset that no register is declared for: reads and writes."""
        return self._survey.undeclared

    @property
    def touches(self) -> bool:
        """Whether anything in the trace accesses the model."""
        return bool(self._survey.uses or self._survey.undeclared)

    @property
    def accessed(self) -> list[str]:
        """All devices that the trace accesses."""
        return [device.name for device in self._verdict.devices if device.tally.exits]

    @property
    def diverging(self) -> int:
        """Reads that diverge without any fault. Mutants are compared with the model's answers there."""
        return len(self._amended)

    def screen(self) -> Tried:
        """What is known without a replay of each mutant."""
        tried = Tried()
        twice = [name for name, use in self.uses.items() if use.reading_changes]
        for mutant in mutants_of(self.registers, len(self._chances.changes), twice):
            reason = self._chances.hopeless(mutant)
            if reason:
                tried.survived[mutant] = reason
            elif mutant.kind in OF_READS and not self._assumes and mutant.register not in self._excused:
                tried.killed.add(mutant)
            else:
                tried.waiting.append(mutant)
        return tried

    def prepare(self, far: bool) -> None:
        """Find the exits that `kills` takes.

        Raises:
            MutatingError: a second replay gives other answers.
        """
        names = self._affected if far else frozenset((self._device,))
        packed = self._trace.packed_sites
        needed = {number for name in names for number in self._sites.get(name, ())}
        others: dict[tuple[str, int], set[int]] = {}
        for name, sites in self._sites.items():
            for number in sites - needed:
                others.setdefault((name, packed[number][1] & WRITE), set()).add(number)
        heavy_reads = [sites for (_, kind), sites in others.items() if not kind and self._is_heavy(sites, None)]
        everything = needed.union(*others.values())
        light = everything.difference(*heavy_reads)
        writes = needed.union(*(sites for (_, kind), sites in others.items() if kind))
        source = self._source(light)
        for kept in (needed, writes, light):
            found = self._as_whole(source, kept, names)
            if found is not None:
                break
        else:
            source, kept = self._source(None), everything
            found = self._as_whole(source, kept, names)
        if found is None:
            raise MutatingError(f"{self._device} answers otherwise when the trace is replayed once more")
        if kept is not needed:
            for sites in sorted(others.values(), key=self._weight, reverse=True):
                if sites <= kept and self._is_heavy(sites, kept):
                    less = self._as_whole(source, kept - sites, names)
                    if less is not None:
                        kept, found = kept - sites, less
        self._parts[far] = found

    def batch(self, mutants: Iterable[Mutant], deadline_s: float | None = None) -> tuple[set[Mutant], list[Mutant]]:
        """Try as many as possible of these in one replay: those that it tells from the model, and all others.

        After `prepare` of the near part. If time is up, all that is left are others. They come in an order in which
        they are worth trying: those of single bits last.
        """
        killed: set[Mutant] = set()
        others = sorted(mutants, key=lambda mutant: bool(mutant.bits))
        waiting = [each for each in others if each.kind in OF_READS and each.register not in self._excused]
        for _ in range(BATCHES_MAX):
            if not waiting or (deadline_s is not None and time.monotonic() > deadline_s):
                break
            board = self._board()
            batch = Batch(board.devices[self._device], waiting, self._survey.explained, self._survey.plan)
            try:
                self._run(self._parts[False].slice, board)
                waiting = []
            except Spoiled:
                waiting = [each for each in waiting if each not in batch.killed and each not in batch.unsure]
            killed |= batch.killed
        return killed, [each for each in others if each not in killed]

    def kills(self, mutant: Mutant, far: bool, deadline_s: float | None = None) -> bool | None:
        """Whether a replay tells it from the model; None if only the far one can tell. After `prepare`.

        Raises:
            TimeIsUpError: `deadline_s`, of `time.monotonic`, has passed.
        """
        if not far and mutant.kind in OF_LINES:
            return None

        def observe(first: int, rows: Sequence[Access]) -> None:
            if deadline_s is not None and time.monotonic() > deadline_s:
                raise TimeIsUpError

        observe(0, ())
        part, base = self._parts[far]
        board = self._board()
        apply(mutant, board, self._device, self._survey.plan)
        end = self._run(part, board, observe)
        if end.verdict is not None and end.verdict.roots:
            return True
        if far or mutant.kind in OF_READS:
            return False
        same = end.lines == base.lines and all(
            end.states[name] == state for name, state in base.states.items() if name != self._device
        )
        return False if same else None

    def lines(self) -> Lines:
        """Which lines of the model's source the exits at the model run. After `prepare` of the near part."""
        lines = Lines(type(self._board().devices[self._device]))
        lines.watch(lambda: self._run(self._parts[False].slice, self._board()))
        return lines

    def exits(self, far: bool) -> int:
        """How many a replay takes. After `prepare`."""
        return self._parts[far].slice.exit_count

    def why_it_survived(self, mutant: Mutant) -> str:
        """A replay did not tell it from the model: why."""
        if mutant.kind not in OF_READS:
            return "no read depends on it"
        return self._excused.get(mutant.register, "what differs is taken for input from outside")

    def _board(self) -> Board:
        board = self._bench.board(self._guest)
        if self._device not in board.devices:
            names = ", ".join(board.devices)
            raise UnknownMachineError(f"{board.machine} has no device {self._device!r}; its devices: {names}")
        return board

    def _find_excused(self) -> dict[str, str]:
        """By register that may be wrong: why."""
        contracts, known = self._verdict.contracts, self._verdict.known
        return {
            **{use.register: "a contract excuses what differs" for use in contracts if use.device == self._device},
            **{use.register: "what differs is listed as known" for use in known if use.device == self._device},
        }

    # Parts of the trace

    def _as_whole(self, source: Source, sites: Collection[int], names: Collection[str]) -> _Part | None:
        """The exits at some sites, if the models of these names answer there, and end, as in the whole trace."""
        last = len(source.items) - 1
        kept = [
            number
            for number, item in enumerate(source.items)
            if not isinstance(item, tuple) or item[1] in sites or number == last
        ]
        part = Slice(source, kept)
        end = self._run(part, self._board())
        return _Part(part, end) if self._is_as_whole(end, names) else None

    def _weight(self, sites: Collection[int]) -> int:
        """How many exits come from some sites."""
        return sum(map(self._site_counts.__getitem__, sites))

    def _is_heavy(self, sites: Collection[int], among: Collection[int] | None) -> bool:
        """Whether some sites make more than the fiftieth part of the exits, of all or of those of other sites."""
        total = self._site_counts.total() if among is None else self._weight(among)
        return HEAVY * self._weight(sites) > total

    def _source(self, sites: set[int] | None) -> Source:
        return Source(self._trace, self._last_seq + 1, self._kinds, sites, self._amended)

    def _is_as_whole(self, end: _End, names: Collection[str]) -> bool:
        """Whether the models of these names answered, and ended, as in the whole trace."""
        return (
            end.verdict is not None
            and not end.verdict.roots
            and end.lines == self._whole.lines
            and all(end.states.get(name) == self._whole.states.get(name) for name in names)
            and all(_counts(end.verdict, name) == _counts(self._verdict, name) for name in names)
        )

    def _watch(self, board: Board) -> list[_Watch]:
        return [_Watch(board, line) for line in board.lines.get(self._device, ())]

    def _run(self, part: Slice, board: Board, observe: Callable[[int, Sequence[Access]], None] | None = None) -> _End:
        """Replay a part until the first wrong answer."""
        watches = self._watch(board)
        verdict = None
        with suppress(NothingComparedError):
            verdict = self._bench.replayer(part, board, Selection(until_divergence=True)).run(observe=observe)
        is_over = verdict is not None and verdict.roots
        return _End(verdict, {} if is_over else _states(board), [watch.seen for watch in watches])


class _Watch:
    """Notes the changes of a line."""

    def __init__(self, board: Board, line: Line) -> None:
        self.seen = (0, 0)
        """How many, and a number for when and how."""
        self._clock = board.clock
        line.connect(self._note)

    def _note(self, level: bool) -> None:
        count, mark = self.seen
        self.seen = count + 1, hash((mark, self._clock.now_ns, level))


def _refuse_faults(verdict: Verdict) -> None:
    for divergence in verdict.divergences:
        if divergence.cause == "fault":
            what = divergence.detail.strip().splitlines()[-1]
            raise MutatingError(
                f"{divergence.device} fails at exit {divergence.seq:,}: {what}; mend that first: mutants of a model "
                "that fails tell nothing"
            )


def _counts(verdict: Verdict, name: str) -> list[int]:
    tally = next((device.tally for device in verdict.devices if device.name == name), Tally())
    return [getattr(tally, count) for count in COMPARED]


def _states(board: Board) -> dict[str, Mapping[str, int]]:
    states: dict[str, Mapping[str, int]] = {}
    for name, device in board.devices.items():
        try:
            states[name] = dict(device.state())
        except Exception:  # a model's own affair
            states[name] = {}
    return states
