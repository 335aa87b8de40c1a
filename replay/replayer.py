"""The replayer: feeds the exits of a trace, in order, through a board's buses into its models.

Per exit the loop moves the clock, makes the access, and compares. Everything else is kept out of it: where a site's
accesses go is looked up once and again when a registration changes, exits are counted a chunk at a time, and only an
answer that differs from the recorded value is looked at closely, by the judge (`judge.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from operator import itemgetter, length_hint
from typing import TYPE_CHECKING, Final, Protocol

from .bus import MmioAddress, PioAddress, Route
from .device import Device
from .errors import BusError, NothingComparedError, UnknownMachineError
from .guest import Guest
from .judge import MASK_64, Exit, Judge, Watched
from .verdict import Tally, TraceSummary, Unclaimed, Verdict

if TYPE_CHECKING:
    from .machines.board import Board
    from .trace.rows import Event, ExitRow, Site

BACKGROUND_REGIONS: Final = frozenset(("", "io", "system"))
"""Names of regions that say no more than that nothing is there: QEMU's whole address spaces."""

NOBODY: Final = object()
"""The answer where no device is."""

_SEQ: Final = itemgetter(0)
_SITE: Final = itemgetter(2)


class Trace(Protocol):
    """What the replayer needs of a trace: `vmdev.replay.trace.reader.TraceReader` has it."""

    @property
    def guest(self) -> Guest:
        """What was recorded."""

    @property
    def closed(self) -> bool:
        """False if the recording was cut off."""

    @property
    def exit_count(self) -> int:
        """Number of exits."""

    @property
    def sites(self) -> Sequence[Site]:
        """All sites, by id."""

    def exits(self) -> Iterator[list[ExitRow]]:
        """All exits in order of seq, in lists that are not empty."""

    def events(self) -> Sequence[Event]:
        """All events in order of seq."""

    def context(self, seq: int, site_ids: Collection[int], n: int) -> Sequence[ExitRow]:
        """The last `n` exits before `seq` at these sites, oldest first."""


class Replayer:
    """One replay of one trace into one fresh board.

    Args:
        trace: the recording.
        board: built for the trace's guest; it is used up.
        devices: names of the devices to judge; the others are replayed, but not judged. Empty: all.
        name: the trace's name, for the verdict.

    Raises:
        UnknownMachineError: the board has no device of a name in `devices`.
    """

    def __init__(self, trace: Trace, board: Board, *, devices: Collection[str] = (), name: str = "") -> None:
        unknown = [repr(device) for device in devices if device not in board.devices]
        if unknown:
            known = ", ".join(board.devices)
            raise UnknownMachineError(f"{board.machine} has no device {' or '.join(unknown)}; its devices: {known}")
        self._trace = trace
        self._board = board
        self._name = name
        self._selected = tuple(device for device in board.devices if device in devices)
        self._sites = trace.sites
        self._watched = {
            id(device): Watched(label, device, not devices or label in devices)
            for label, device in board.devices.items()
        }
        self._loose: dict[str, Watched] = {}
        """Culprits that are no device of the board, by name."""
        self._judge = Judge(self)
        self._unclaimed: dict[tuple[str, str, int], Unclaimed] = {}
        self._unclaimed_reads = self._unclaimed_writes = 0

        # By site. A route stays, when it is stale, until the site's next access.
        count = len(self._sites)
        self._routes: list[Route | None] = [None] * count
        self._owners: list[Watched | None] = [None] * count
        self._first_readers = [
            partial(self._first_read, number) if site.direction == "r" else None
            for number, site in enumerate(self._sites)
        ]
        self._first_writers = [partial(self._first_write, number) for number in range(count)]
        self._readers: list[Callable[[], object] | None] = [*self._first_readers]
        """None: the site writes, or nobody is there."""
        self._writers: list[Callable[[int], None]] = [*self._first_writers]

        self._rows: list[ExitRow] = []
        self._cursor: Iterator[ExitRow] = iter(())
        self._counted = 0
        """How many of `_rows` are in `_site_exits`."""
        self._fires_timers = False
        """Whether the current row's access is still to be made, because timers come first."""
        self._site_exits: Counter[int] = Counter()
        self._own_code = False
        """Whether an exception now would be the replayer's own and not a model's."""
        board.io.on_change(self._forget_routes)

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        observe: Callable[[Sequence[ExitRow]], None] | None = None,
    ) -> Verdict:
        """Replay everything.

        Args:
            progress: called now and then with the number of exits since the last call.
            observe: called with the exits themselves, when they have been replayed; `claim` tells then who answered.

        Raises:
            NothingComparedError: no answer was compared, and no model failed.
            TraceError: the trace is damaged.
        """
        # The first reset is power-on, which the board's models have behind them. Several vCPUs may report one reset.
        resets = {event.seq: event.t_ns for event in self._trace.events() if event.kind == "reset" and event.seq > 0}
        pending = sorted(resets.items(), reverse=True)
        for rows in self._trace.exits():
            start = 0
            while pending and pending[-1][0] <= rows[-1][0]:
                seq, t_ns = pending.pop()
                stop = bisect_left(rows, seq, key=_SEQ)
                self._replay(rows[start:stop])
                self._reset(seq, t_ns)
                start = stop
            self._replay(rows[start:] if start else rows)
            if observe is not None:
                observe(rows)
            if progress is not None:
                progress(len(rows))
        self._settle()
        return self._verdict()

    # The loop

    def _replay(self, rows: list[ExitRow]) -> None:
        clock = self._board.clock
        readers, writers = self._readers, self._writers
        self._rows = rows
        self._counted = 0
        self._cursor = cursor = iter(rows)
        while True:
            try:
                for seq, t_ns, site, value in cursor:
                    if t_ns >= clock.deadline_ns:
                        self._advance(seq, t_ns)
                    else:
                        clock.now_ns = t_ns
                    read = readers[site]
                    if read is None:
                        writers[site](value)
                    elif (answer := read()) != value:
                        self._differs(seq, t_ns, site, value, answer)
                break
            except Exception as error:  # a model's, which must not end the replay
                if self._own_code:
                    raise
                self._access_raised(seq, t_ns, site, value, error)
        self._count(len(rows))

    def _advance(self, seq: int, t_ns: int) -> None:
        """Fire the timers due up to `t_ns`. One that raises is not armed any more, so going on gets further."""
        clock = self._board.clock
        self._fires_timers = True
        while True:
            try:
                clock.advance(t_ns)
                break
            except Exception as error:
                self._outside_fault(self._owner_of_timer(), seq, clock.now_ns, error)
        self._fires_timers = False

    def _reset(self, seq: int, t_ns: int) -> None:
        self._advance(seq, max(t_ns, self._board.clock.now_ns))
        for watched in (*self._watched.values(), *self._loose.values()):
            watched.heal()

        def failed(name: str, error: Exception) -> None:
            self._outside_fault(self._watched[id(self._board.devices[name])], seq, t_ns, error)

        self._board.reset(failed)

    # Where accesses go

    def _first_read(self, number: int) -> object:
        self._route(number)
        read = self._readers[number]
        return NOBODY if read is None else read()

    def _first_write(self, number: int, value: int) -> None:
        self._route(number)
        self._writers[number](value)

    def _route(self, number: int) -> None:
        """Look up where a site's accesses go, and enter it into the tables."""
        self._own_code = True
        site = self._sites[number]
        io = self._board.io
        try:
            if site.space == "pio":
                route = io.resolve_pio(PioAddress(site.address), site.size, site.vcpu)
            else:
                route = io.resolve_mmio(MmioAddress(site.address), site.size, site.vcpu)
        except BusError:
            self._routes[number] = self._owners[number] = None
            self._readers[number] = None
            self._writers[number] = _drop
        else:
            self._routes[number] = route
            self._owners[number] = self._watch(route.device)
            wide = site.size == 8
            if site.direction == "r":
                self._readers[number] = partial(_read_signed, route.read) if wide else route.read
            else:
                self._writers[number] = partial(_write_unsigned, route.write) if wide else route.write
        self._own_code = False

    def _watch(self, device: object) -> Watched:
        watched = self._watched.get(id(device))
        if watched is None:  # put on the bus by hand, not with Board.add
            name = type(device).__name__
            watched = self._watched[id(device)] = Watched(name, device, not self._selected)
        return watched

    def _forget_routes(self) -> None:
        """Registrations changed: book what happened so far to its owners, and look everything up again."""
        begun = len(self._rows) - length_hint(self._cursor)
        self._count(max(self._counted, begun - self._fires_timers))
        self._settle()
        self._readers[:] = self._first_readers
        self._writers[:] = self._first_writers

    # Counting

    def _count(self, stop: int) -> None:
        """Count the current rows up to number `stop` by their sites."""
        rows = self._rows
        if self._counted or stop < len(rows):
            rows = rows[self._counted : stop]
        self._site_exits.update(map(_SITE, rows))
        self._counted = stop

    def _settle(self) -> None:
        """Book the counted exits to the present owners of their sites."""
        for number, count in self._site_exits.items():
            reads = count if self._sites[number].direction == "r" else 0
            owner = self._owners[number]
            if owner is None:
                self._book_unclaimed(number, reads, count - reads)
            else:
                tally = owner.verdict.tally
                tally.exits += count
                tally.reads += reads
                tally.writes += count - reads
        self._site_exits.clear()

    def _book_unclaimed(self, number: int, reads: int, writes: int) -> None:
        self._unclaimed_reads += reads
        self._unclaimed_writes += writes
        site = self._sites[number]
        region = "" if site.region in BACKGROUND_REGIONS else site.region
        key = (site.space, region, 0 if region else site.address)
        row = self._unclaimed.get(key)
        if row is None:
            row = self._unclaimed[key] = Unclaimed(site.space, region, site.address, site.address)
        row.first = min(row.first, site.address)
        row.last = max(row.last, site.address + site.size - 1)
        row.reads += reads
        row.writes += writes

    # What the judge is for

    def _differs(self, seq: int, t_ns: int, number: int, value: int, answer: object) -> None:
        """Judge an answer that is not simply the recorded value."""
        if answer is NOBODY:
            return
        self._own_code = True
        self._judge.differs(Exit.of(seq, t_ns, self._sites[number], value, self._claimed(number)), answer)
        self._own_code = False

    def _access_raised(self, seq: int, t_ns: int, number: int, value: int, error: Exception) -> None:
        self._own_code = True
        self._judge.access_raised(Exit.of(seq, t_ns, self._sites[number], value, self._claimed(number)), error)
        self._own_code = False

    def _outside_fault(self, watched: Watched, seq: int, t_ns: int, error: Exception) -> None:
        """A model failed in a timer or at a reset."""
        self._own_code = True
        self._judge.outside_fault(watched, seq, t_ns, error)
        self._own_code = False

    def _owner_of_timer(self) -> Watched:
        """Whose timer fired last."""
        timer = self._board.clock.firing
        owner = getattr(timer and timer.callback, "__self__", None)
        watched = self._watched.get(id(owner))
        if watched is None:
            name = "clock" if owner is None else type(owner).__name__
            watched = self._loose.setdefault(name, Watched(name, owner, judged=True))
        return watched

    def context(self, watched: Watched, seq: int, n: int) -> list[tuple[ExitRow, Site, Route]]:
        """The last `n` exits before `seq` that `watched` answered, oldest first."""
        numbers = [number for number, owner in enumerate(self._owners) if owner is watched]
        rows = self._trace.context(seq, numbers, n) if numbers else ()
        return [(row, self._sites[row[2]], self._claimed(row[2])[1]) for row in rows]

    def claim(self, number: int) -> tuple[str, Device | None, int] | None:
        """Who answered the last access of a site: its name, the model, and the offset in it; None if nobody did.

        The model is None if it is something on the bus that is no `Device`.
        """
        watched, route = self._owners[number], self._routes[number]
        return None if watched is None or route is None else (watched.name, watched.model, route.offset)

    def _claimed(self, number: int) -> tuple[Watched, Route]:
        """Who answers a site that somebody answers."""
        watched, route = self._owners[number], self._routes[number]
        assert watched is not None
        assert route is not None
        return watched, route

    # The result

    def _verdict(self) -> Verdict:
        guest = self._trace.guest
        summary = TraceSummary(
            name=self._name,
            machine=guest.machine,
            target=guest.target,
            clock=guest.clock,
            exits=self._trace.exit_count,
            closed=self._trace.closed,
        )
        verdict = Verdict(summary, self._board.machine, self._selected, divergences=self._judge.divergences)
        for watched in (*self._watched.values(), *self._loose.values()):
            watched.close()
            verdict.totals.add(watched.verdict.tally)
            if watched.verdict.tally.exits or watched.verdict.tally.roots:
                verdict.devices.append(watched.verdict)
        self._add_unclaimed(verdict)
        return _approve(verdict)

    def _add_unclaimed(self, verdict: Verdict) -> None:
        reads, writes = self._unclaimed_reads, self._unclaimed_writes
        unclaimed = Tally(exits=reads + writes, reads=reads, writes=writes)
        if self._selected:
            unclaimed.excluded = reads + writes
        else:
            unclaimed.unclaimed_reads = reads
            unclaimed.unclaimed_writes = writes
            verdict.unclaimed = sorted(
                self._unclaimed.values(), key=lambda row: (-row.reads, -row.writes, row.space, row.first)
            )
        verdict.totals.add(unclaimed)


def _approve(verdict: Verdict) -> Verdict:
    """Refuse a verdict whose counts do not add up, or that has nothing to say."""
    totals = verdict.totals
    for name, tally in (("the totals", totals), *((device.name, device.tally) for device in verdict.devices)):
        if tally.outcomes != tally.exits or tally.reads + tally.writes != tally.exits or tally.matched < 0:
            raise AssertionError(f"the counts of {name} do not add up: {tally}")
    if totals.checked == 0 and totals.roots == 0:
        raise NothingComparedError(
            f"no read was compared: of {totals.exits} exits {totals.delivered} were delivered writes, "
            f"{totals.unclaimed_reads + totals.unclaimed_writes} unclaimed, {totals.unmodelled} unmodelled, "
            f"{totals.learned} learned, {totals.assumed} assumed, {totals.excluded} excluded"
        )
    return verdict


def _drop(value: int) -> None:
    """Where nobody is, nothing happens."""


def _read_signed(read: Callable[[], object]) -> object:
    """A read of 8 bytes as SQLite stores it. What is no such value comes in a tuple, which equals no recorded value."""
    answer = read()
    if type(answer) is int and 0 <= answer <= MASK_64:
        return answer if answer < 1 << 63 else answer - (1 << 64)
    return (answer,)


def _write_unsigned(write: Callable[[int], None], value: int) -> None:
    write(value & MASK_64)
