"""The smallest trace that still shows a divergence: replays of fewer and fewer accesses.

First whole devices are left out, then reads, then everything but what has to stay (`needs.py`), and what is left by
delta debugging. A slice holds if it ends with the same divergence and nothing wrong before it, and if the device, and
those that it asks, are then in the same state as after the whole recording, and interrupts that it may be about came
when they came: what put them there has not been left out, so that a right model would answer as the recorded device
did. Where that leaves many accesses, further stages do without the others' state, without any, and at last without
most of the rest.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ..device import Device
from ..errors import MinimizingError, NothingComparedError, VmdevError
from ..guest import Guest, PciFunction, Region
from ..routes import MMIO, WRITE
from ..selection import Selection
from ..verdict import Divergence
from .ddmin import ddmin
from .needs import SEVERAL, Census, Use, closure
from .reach import drives, reached
from .slices import Slice, Source

if TYPE_CHECKING:
    from ..machines.board import Board
    from ..replayer import Replayer, Trace
    from ..trace.rows import Access

FEW_OF_ANOTHER: Final = 8
"""Accesses that stay for the sake of a device that acts on the wrong one, at most; if it takes more, none does."""

FIRST_TRY: Final = 32
"""Accesses besides those that stay."""

A_LOT: Final = 2000
"""Exits; of so many, the search among single ones takes long."""

PROGRESS_S: Final = 0.2


class Stage(NamedTuple):
    """How careful to be."""

    share: float
    """Of the time limit, at its end."""
    enough: int
    """Exits; if more are left, the next stage is tried."""
    others: bool
    """The models on which the answer may rest have to be in the same state."""
    own: bool
    """The model itself has to be."""
    lines: bool
    """Interrupts that the answer may be about have to come when they came."""
    several: int
    """See `Census.pins`."""


STAGES: Final = (
    Stage(0.5, 30, others=True, own=True, lines=True, several=SEVERAL),
    Stage(0.7, 60, others=False, own=True, lines=True, several=SEVERAL),
    Stage(0.9, 100, others=False, own=False, lines=True, several=SEVERAL),
    Stage(1.0, 0, others=False, own=False, lines=False, several=0),
)


class Signature(NamedTuple):
    """What makes two divergences the same."""

    device: str
    register: str | None
    cause: str
    cause_class: str
    hw: int | None
    model: int | None
    fault: str
    """The last line of what a model's failure was told as."""
    fields: tuple[str, ...]

    @classmethod
    def of(cls, divergence: Divergence) -> Signature:
        """That of a divergence."""
        fault = divergence.detail.strip().splitlines()[-1:] if divergence.cause == "fault" else []
        return cls(
            divergence.device,
            divergence.register,
            divergence.cause,
            divergence.cause_class,
            divergence.hw,
            divergence.model,
            "".join(fault),
            tuple(each.name for each in divergence.fields),
        )


class Bench(NamedTuple):
    """How slices are replayed."""

    board: Callable[[Guest], Board]
    """A fresh one for a guest."""
    replayer: Callable[[Trace, Board, Selection], Replayer]
    selection: Selection = Selection()
    """What is judged."""


@dataclass(slots=True)
class Minimized:
    """What is left, and what was found on the way."""

    source: Source
    kept: list[int]
    """Items of the source."""
    root: Divergence
    """As the whole recording shows it."""
    found: Divergence
    """The same in what is left."""
    exits_before: int
    same_state: bool
    """Whether the models are in the same state as after the whole recording."""
    owners: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """By item: the device, and the offset in it."""
    watched: tuple[str, ...] = ()
    """The device, and those on which its answer may rest."""
    replays: int = 0
    seconds: float = 0.0
    timed_out: bool = False
    contracts: tuple[tuple[str, str], ...] = ()
    """Devices and registers that contracts are about."""

    @property
    def slice(self) -> Slice:
        """What is left, as a trace."""
        return Slice(self.source, self.kept)

    @property
    def exits(self) -> list[tuple[int, Access]]:
        """The exits that are left: the item, and the exit as the source has it."""
        kept = ((item, self.source.items[item]) for item in self.kept)
        return [(item, access) for item, access in kept if isinstance(access, tuple)]


class _Result(NamedTuple):
    root: Divergence | None
    states: Mapping[str, Mapping[str, int]]
    signals: Sequence[tuple[bool, int]] = ()
    """Of each line on which the answer may rest, the level, and when it last rose, in ns."""


class _TimeIsUpError(Exception):
    """The limit is reached."""


class Minimizer:
    """Minimizes one trace.

    Args:
        trace: the recording.
        bench: how it is replayed.
        time_limit_s: after which the best so far is the result; None: never.
        tell: called now and then with how far it got.
    """

    def __init__(
        self, trace: Trace, bench: Bench, time_limit_s: float | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self._trace = trace
        self._bench = bench
        self._tell = tell or (lambda text: None)
        self._began = time.monotonic()
        self._limit_s = time_limit_s
        self._told = 0.0
        self._replays = 0
        self._tried: dict[tuple[int, ...], bool] = {}
        self._may_simplify = True
        self._stage = STAGES[0]

    def run(self) -> Minimized | None:
        """The result; None if nothing diverges."""
        selection = self._bench.selection
        self._guest = self._trace.guest
        board = self._board()
        kinds = frozenset(board.inputs)
        try:
            verdict = self._bench.replayer(self._trace, board, _until(selection)).run()
        except NothingComparedError:
            return None
        self._replays += 1
        if not verdict.roots:
            return None
        root = verdict.roots[0]
        self._source = source = Source(self._trace, root.seq + 1, kinds)
        everything = list(range(len(source.items)))
        self._signature = Signature.of(root)
        self._last = everything[-1]
        self._watched: tuple[str, ...] = (root.device,)
        self._lines: Sequence[tuple[str, int]] = ()
        # Bounds are of the whole trace; in a slice they can only mean its last exit.
        self._selection = Selection(selection.devices, selection.addresses)
        self._only_last = selection.seqs != (None, None) or selection.times_ns != (None, None)
        self._owners: dict[int, tuple[str, int]] = {}
        owners = self._owners
        self._watched = tuple(self._related(board, root))
        self._acting = self._acting_on(board, root)
        self._lines = self._lines_to(board, root)
        whole = self._replay(everything, owners=owners)
        if whole.root is None or Signature.of(whole.root) != self._signature:
            raise MinimizingError(
                f"{root.device} diverges at exit {root.seq}, but not when the exits up to it are replayed once more: a "
                "model depends on more than these"
            )
        self._whole = whole
        found = None
        for self._may_simplify in (True, False):
            self._guest = self._trace.guest
            self._best = everything
            same, timed_out = self._by_stages(everything, owners)
            self._small, self._guest = self._guest, self._trace.guest
            found = self._replay(self._best).root
            if found is not None and Signature.of(found) == self._signature:
                break
        assert found is not None  # at the latest when nothing was simplified
        return Minimized(
            source,
            self._best,
            root,
            found,
            self._trace.exit_count,
            same.issuperset(self._watched),
            owners,
            self._watched,
            self._replays,
            time.monotonic() - self._began,
            timed_out,
            tuple((use.device, use.register) for use in verdict.contracts),
        )

    def smallest_guest(self) -> Guest:
        """After `run`: what a board needs to know of the guest to show the divergence, and not much more."""
        self._limit_s = None
        guest = self._small
        reached = {self._owners[item][0] for item in self._best if item in self._owners}
        regions, functions, facts = list(dict.fromkeys(guest.regions)), list(guest.functions), list(guest.meta)
        always = functions if self._shows_functions(reached) else []
        parts = [*regions, *(() if always else functions), *facts]

        def build(chosen: Sequence[int]) -> Guest:
            kept = [*always, *(parts[number] for number in chosen)]
            return replace(
                guest,
                regions=tuple(part for part in kept if isinstance(part, Region)),
                functions=tuple(part for part in kept if isinstance(part, PciFunction)),
                meta={part: guest.meta[part] for part in kept if isinstance(part, str)},
            )

        def holds(chosen: Sequence[int]) -> bool:
            return self._try(build(chosen)) and reached <= self._board().devices.keys()

        smallest = build(ddmin(range(len(parts)), holds))
        if self._try(replace(smallest, rtc_base=None)):
            return replace(smallest, rtc_base=None)
        return smallest

    def _shows_functions(self, names: Iterable[str]) -> bool:
        """Whether one of these devices gives access to PCI functions: then it has to have them all."""
        devices = self._board().devices
        return any(callable(getattr(devices.get(name), "function", None)) for name in names)

    def _try(self, guest: Guest, items: Sequence[int] | None = None) -> bool:
        """Whether a board for this guest shows the same."""
        self._guest = guest
        self._tried.clear()
        try:
            return self._holds(self._best if items is None else items)
        except (VmdevError, LookupError, ValueError):  # no board can be built of so little
            return False

    # Steps

    def _by_stages(
        self, everything: Sequence[int], owners: Mapping[int, tuple[str, int]]
    ) -> tuple[frozenset[str], bool]:
        """Find the best, at first very carefully. Which models are in the same state, and whether time was up."""
        device = self._signature.device
        same: frozenset[str] = frozenset()
        timed_out = False
        for self._stage in STAGES:
            before = self._best
            self._same = self._watched if self._stage.others else (device,) if self._stage.own else ()
            self._pinning = [*(self._watched if self._stage.others else (device,)), *self._acting]
            self._tried.clear()
            try:
                self._reduce(before, owners)
                timed_out = False
            except _TimeIsUpError:
                timed_out = True
            if self._best is not before:
                same = frozenset(self._same)
            if self._best is not everything and self._exits(self._best) <= self._stage.enough:
                break
        return same, timed_out

    def _reduce(self, items: Sequence[int], owners: Mapping[int, tuple[str, int]]) -> None:
        """From `items`, which hold, to the best."""
        kept = self._without_devices(items, owners)
        self._simplify_guest(kept, owners)
        needs, pinned = self._needs(kept, owners)
        pinned = set(closure([*pinned, self._last], needs))
        kept = self._only_late(kept, pinned, needs)
        kept = self._without_reads(kept, pinned, owners)
        free = [item for item in kept if item not in pinned]

        def holds(chosen: Sequence[int]) -> bool:
            return self._holds(closure([*pinned, *chosen], needs))

        def worth(left: int, size: int) -> bool:
            """Where most of a lot has to stay, being less careful saves more."""
            return self._stage is STAGES[-1] or left < A_LOT or size > len(free) // 16 or left < len(free) // 2

        ddmin(free, holds, worth)

    def _without_devices(self, items: Sequence[int], owners: Mapping[int, tuple[str, int]]) -> list[int]:
        """Leave out all exits of a device, of as many devices as possible."""
        by_owner: dict[str, list[int]] = {}
        between: list[int] = []
        for item in items:
            if type(self._source.items[item]) is not tuple:
                between.append(item)
            else:
                by_owner.setdefault(owners[item][0] if item in owners else "", []).append(item)
        mine = [item for name in self._pinning for item in by_owner.get(name, ())]
        if self._holds(alone := sorted({*mine, self._last})) or self._holds(alone := sorted({*alone, *between})):
            return alone
        kept = list(items)
        for name, exits in sorted(by_owner.items(), key=lambda entry: -len(entry[1])):
            if name not in self._pinning:
                gone = {*exits} - {self._last}
                if self._holds(candidate := [item for item in kept if item not in gone]):
                    kept = candidate
        return kept

    def _only_late(
        self, items: list[int], pinned: Collection[int], needs: Sequence[Mapping[int, Sequence[int]]]
    ) -> list[int]:
        """Leave out all but the last ones, besides those that stay: short replays are tried first."""
        free = [item for item in items if item not in pinned]
        count = FIRST_TRY
        while count < len(free) // 2:
            if self._holds(candidate := closure([*pinned, *free[-count:]], needs)):
                return candidate
            count *= 4
        return items

    def _without_reads(
        self, items: list[int], pinned: Collection[int], owners: Mapping[int, tuple[str, int]]
    ) -> list[int]:
        """Leave out the reads of as many devices as possible: most do nothing."""
        source = self._source
        reads: dict[str, set[int]] = {}
        for item in items:
            access = source.items[item]
            if type(access) is tuple and item not in pinned and not source.packed_sites[access[1]][1] & WRITE:
                reads.setdefault(owners[item][0] if item in owners else "", set()).add(item)
        groups = sorted(reads.values(), key=len, reverse=True)
        for gone in (set().union(*groups), *(groups if len(groups) > 1 else ())):
            if gone and self._holds(candidate := [item for item in items if item not in gone]):
                items = candidate
        return items

    def _simplify_guest(self, items: Sequence[int], owners: Mapping[int, tuple[str, int]]) -> None:
        """Build smaller boards from now on, if they do: only what the memory map has where exits go."""
        if not self._may_simplify:
            return
        source = self._source
        numbers = {item[1] for item in map(source.items.__getitem__, items) if type(item) is tuple}
        sites = [source.packed_sites[number] for number in numbers]
        places = {
            space: sorted({address for address, kind, *_ in sites if bool(kind & MMIO) == (space == "mmio")})
            for space in ("pio", "mmio")
        }

        def is_used(region: Region) -> bool:
            there = places.get(region.space, [])
            at = bisect_left(there, region.first)
            return at < len(there) and there[at] <= region.last

        regions = {
            (region.space, region.first, region.last, region.name): region
            for region in self._trace.guest.regions
            if is_used(region)
        }
        before = self._guest
        reached = {owners[item][0] for item in items if item in owners}
        functions = self._trace.guest.functions if self._shows_functions(reached) else ()
        if not self._try(replace(self._trace.guest, regions=tuple(regions.values()), functions=functions), items):
            self._guest = before
            self._tried.clear()

    def _board(self) -> Board:
        return self._bench.board(self._guest)

    def _needs(
        self, items: Sequence[int], owners: Mapping[int, tuple[str, int]]
    ) -> tuple[list[dict[int, list[int]]], set[int]]:
        """What the accesses of each device need, and what has to stay."""
        source = self._source
        exits = {item for item in items if item in owners}
        part = Slice(source, items, stops=exits)
        board = self._board()
        censuses: dict[str, Census] = {}

        def observe(first: int, rows: Sequence[tuple[int, int, int]]) -> None:
            item = part.exits[first + len(rows) - 1]
            if item not in owners:
                return
            name, offset = owners[item]
            device = board.devices.get(name)
            if device is None:
                return
            _, number, value = rows[-1]
            site = part.site(number)
            census = censuses.get(name)
            if census is None:
                census = censuses[name] = Census(device)
            census.add(item, offset, site.size, site.direction, value)

        self._run(part, board, observe)
        needs = [census.selectors() for census in censuses.values()]
        pinned: set[int] = set()
        mine = self._use_of_root(censuses)
        for name in self._pinning:
            if name in censuses:
                found = censuses[name].pins(mine if name == self._signature.device else None, self._stage.several)
                if name not in self._acting or len(found) <= FEW_OF_ANOTHER:
                    pinned |= found
        resets = [item for item in items if getattr(source.items[item], "kind", "") == "reset"]
        return needs, {*pinned, *resets[-1:]}

    def _use_of_root(self, censuses: Mapping[str, Census]) -> Use | None:
        census = censuses.get(self._signature.device)
        return next((use for use in reversed(census.uses) if use.item == self._last), None) if census else None

    # Replays

    def _holds(self, kept: Sequence[int]) -> bool:
        """Whether these items, of which the last is the divergence, show the same."""
        key = tuple(kept)
        known = self._tried.get(key)
        if known is not None:
            return known
        if self._limit_s is not None and time.monotonic() - self._began > self._limit_s * self._stage.share:
            raise _TimeIsUpError
        result = self._replay(kept)
        shows = (
            result.root is not None
            and Signature.of(result.root) == self._signature
            and all(result.states.get(name) == self._whole.states.get(name) for name in self._same)
            and (not self._stage.lines or result.signals == self._whole.signals)
        )
        self._tried[key] = shows
        if shows and len(kept) < len(self._best):
            self._best = list(kept)
        now = time.monotonic()
        if now - self._told > PROGRESS_S:
            self._told = now
            self._tell(f"{self._exits(self._best):,} exits left, {self._replays:,} replays, {now - self._began:.0f} s")
        return shows

    def _replay(self, kept: Sequence[int], owners: dict[int, tuple[str, int]] | None = None) -> _Result:
        part = Slice(self._source, kept)
        board = self._board()
        lines = [board.lines[name][number] for name, number in self._lines if name in board.lines]
        rises = [0] * len(lines)

        def note(number: int, level: bool) -> None:
            if level:
                rises[number] = board.clock.now_ns

        for number, line in enumerate(lines):
            line.connect(partial(note, number))
        root = self._run(part, board, None, owners)
        if root is None or root.seq != part.position(self._last):
            return _Result(None, {})
        states = {name: _state(board.devices[name]) for name in self._watched if name in board.devices}
        return _Result(root, states, list(zip((line.level for line in lines), rises, strict=True)))

    def _run(
        self,
        part: Slice,
        board: Board,
        observe: Callable[[int, Sequence[tuple[int, int, int]]], None] | None,
        owners: dict[int, tuple[str, int]] | None = None,
    ) -> Divergence | None:
        """The first divergence."""
        self._replays += 1
        selection = _until(self._selection)
        if self._only_last:
            selection = Selection(
                selection.devices, selection.addresses, (part.exit_count - 1, None), until_divergence=True
            )
        replayer = self._bench.replayer(part, board, selection)
        if owners is not None:

            def observe(first: int, rows: Sequence[tuple[int, int, int]]) -> None:
                for seq, (_, number, _) in enumerate(rows, first):
                    claim = replayer.claim(number)
                    if claim is not None:
                        owners[part.exits[seq]] = claim[0], claim[2]

        return _first(replayer, observe)

    def _exits(self, items: Iterable[int]) -> int:
        return sum(type(self._source.items[item]) is tuple for item in items)

    def _related(self, board: Board, root: Divergence) -> list[str]:
        """The device of a divergence, and those on which its answer may rest."""
        names = {id(device): name for name, device in board.devices.items()}
        if root.device not in board.devices:
            return [root.device]
        found = [root.device]
        found += [names[each] for each in reached(board.devices[root.device], names) if names[each] != root.device]
        return found

    def _acting_on(self, board: Board, root: Divergence) -> list[str]:
        """Devices that act on that of a divergence: it need not know them. A command to one may switch the other."""
        device = board.devices.get(root.device)
        if device is None:
            return []
        wanted = {id(device): root.device}
        return [name for name, other in board.devices.items() if name not in self._watched and reached(other, wanted)]

    def _lines_to(self, board: Board, root: Divergence) -> list[tuple[str, int]]:
        """The lines to a controller that shows interrupts wrongly: one that misses them does not tell that they came.

        Each by the device that drives it, and its number among that device's.
        """
        if root.cause_class != "interrupt":
            return []
        return [
            (name, number)
            for name, lines in board.lines.items()
            if name in board.devices and name != root.device
            for number, line in enumerate(lines)
            if drives((line,), board.devices, (root.device,))
        ]


def first_divergence(
    bench: Bench,
    part: Slice,
    board: Board,
    observe: Callable[[int, Sequence[tuple[int, int, int]]], None] | None = None,
) -> Divergence | None:
    """Replay a minimized slice once more."""
    selection = Selection(bench.selection.devices, bench.selection.addresses, until_divergence=True)
    return _first(bench.replayer(part, board, selection), observe)


def _first(
    replayer: Replayer, observe: Callable[[int, Sequence[tuple[int, int, int]]], None] | None
) -> Divergence | None:
    try:
        roots = replayer.run(observe=observe).roots
    except NothingComparedError:
        return None
    return roots[0] if roots else None


def _until(selection: Selection) -> Selection:
    return Selection(selection.devices, selection.addresses, selection.seqs, selection.times_ns, until_divergence=True)


def _state(device: Device) -> Mapping[str, int]:
    try:
        return dict(device.state())
    except Exception:  # a model's own affair
        return {}
