"""The replayer: feeds the exits of a trace, in order, through a board's buses into its models.

Per exit the loop moves the clock, makes the access, and compares. Everything else is kept out of it: where a site's
accesses go is looked up once and again when a registration changes, exits are counted a chunk at a time, and only an
answer that differs from the recorded value is looked at closely, by the judge (`judge.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter, length_hint
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from .agenda import Agenda
from .bus import MmioAddress, PioAddress, Route
from .context import Row
from .contracts import Clause, Contract, clauses
from .device import Device
from .errors import BusError, ContractError, ModelHungError, NothingComparedError, UnknownMachineError
from .guest import Guest
from .judge import MASK_64, Exit, Judge
from .ledger import Known, Ledger
from .registers import Register, RegisterMap
from .selection import Selection
from .verdict import ContractUse, KnownUse, Tally, TraceSummary, Unclaimed, Verdict
from .watchdog import PATIENCE_S, Watchdog
from .watched import Watched

if TYPE_CHECKING:
    from .machines.board import Board
    from .trace.rows import Event, ExitRow, Site

BACKGROUND_REGIONS: Final = frozenset(("", "io", "system"))
"""Names of regions that say no more than that nothing is there: QEMU's whole address spaces."""

NOBODY: Final = object()
"""The answer where no device is."""

_WATCHED_NS: Final = 1_000_000_000
"""Timers that bring the guest's time on by this much, in ns, within the watchdog's patience are not taken to hang."""

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


class _Stop(BaseException):
    """Nothing that follows is judged."""


class Replayer:
    """One replay of one trace into one fresh board.

    Args:
        trace: the recording.
        board: built for the trace's guest; it is used up.
        devices: names of the devices to judge; the others are replayed, but not judged. Empty: all.
        name: the trace's name, for the verdict.
        selection: what else to judge by; its devices count as `devices` do.
        contracts: contracts besides those of the models, by device.
        known: known divergences.
        strict: whether reads that nothing answers count as divergences.
        patience_s: processor time after which an access is ended, in seconds.
        give_up: called, from another thread, with what to say, when that is impossible; it should end the process.

    Raises:
        UnknownMachineError: the board has no device of a name in `devices`.
        ContractError: a contract or a known divergence names what the board does not have.
    """

    def __init__(
        self,
        trace: Trace,
        board: Board,
        *,
        devices: Collection[str] = (),
        name: str = "",
        selection: Selection | None = None,
        contracts: Mapping[str, Iterable[Contract]] | None = None,
        known: Iterable[Known] = (),
        strict: bool = False,
        patience_s: float = PATIENCE_S,
        give_up: Callable[[str], None] | None = None,
    ) -> None:
        self._selection = selection = selection or Selection()
        devices = (*devices, *selection.devices)
        unknown = [repr(device) for device in devices if device not in board.devices]
        if unknown:
            names = ", ".join(board.devices)
            raise UnknownMachineError(f"{board.machine} has no device {' or '.join(unknown)}; its devices: {names}")
        self._trace = trace
        self._board = board
        self._name = name
        self._strict = strict
        self._patience_s = patience_s
        self._give_up = give_up
        self._selected = tuple(device for device in board.devices if device in devices)
        self._sites = trace.sites
        self._watched = _watch_all(board.devices, devices, contracts or {})
        self._loose: dict[str, Watched] = {}
        """Culprits that are no device of the board, by name."""
        maps = {label: getattr(device, "registers", None) for label, device in board.devices.items()}
        self._ledger = Ledger(known, maps)
        self._judge = Judge(self, self._ledger, selection.until_divergence)
        self._unclaimed: dict[tuple[str, str, int], Unclaimed] = {}
        self._unclaimed_reads = self._unclaimed_writes = 0
        self._excluded_reads = self._excluded_writes = 0
        """Where no device is."""

        # By site. A route stays, when it is stale, until the site's next access.
        count = len(self._sites)
        self._is_selected = [True] * count if not selection.addresses else list(map(selection.holds, self._sites))
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
        self._reporting: set[Watched] = set()
        """Devices whose writes the judge wants to hear of."""

        self._rows: list[ExitRow] = []
        self._cursor: Iterator[ExitRow] = iter(())
        self._counted = 0
        """How many of `_rows` are in `_site_exits`."""
        self._fires_timers = False
        """Whether the current row's access is still to be made, because timers come first."""
        self._site_exits: Counter[int] = Counter()
        self._unreached = 0
        """Bounds from which on exits are to be judged, and which were not reached yet."""
        self._is_over = False
        """Whether no later exit will be judged, so that none needs to be made."""
        self._own_code = False
        """Whether an exception now would be the replayer's own and not a model's."""
        self._is_playing = False
        self._step = 0
        """Goes up now and then while the replay gets on, besides `_cursor`: for the watchdog."""
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
        agenda = self._agenda()
        with Watchdog(self._position, self._patience_s, self._despair):
            for rows in self._trace.exits():
                start = 0
                for seq, action in agenda.due(rows):
                    stop = bisect_left(rows, seq, key=_SEQ)
                    self._replay(rows[start:stop])
                    start = stop
                    if not self._is_over:
                        with suppress(_Stop):
                            action(seq)
                        if self._judge.is_done:
                            self._end()
                self._replay(rows[start:] if start else rows)
                if observe is not None:
                    observe(rows)
                if progress is not None:
                    progress(len(rows))
        self._settle()
        return self._verdict()

    def _agenda(self) -> Agenda:
        """Everything that happens between exits."""
        entries: list[tuple[int, Callable[[int], None]]] = []
        # The first reset is power-on, which the board's models have behind them. Several vCPUs may report one reset.
        resets: set[int] = set()
        for event in self._trace.events():
            if event.kind == "reset" and event.seq > 0 and event.seq not in resets:
                resets.add(event.seq)
                entries.append((event.seq, partial(self._reset, event.t_ns)))
            elif event.kind in self._board.inputs:
                entries.append((event.seq, partial(self._input, event)))
        (first, last), (from_ns, to_ns) = self._selection.seqs, self._selection.times_ns
        timed: list[tuple[int, Callable[[int], None]]] = []
        for begin, end, into in ((first, last, entries), (from_ns, to_ns, timed)):
            if begin is not None:
                self._unreached += 1
                into.append((begin, self._begin))
            if end is not None:
                into.append((end + 1, self._end))
        return Agenda(entries, timed)

    def _begin(self, seq: int) -> None:
        """A bound is reached. What comes after the last one is judged."""
        self._settle()
        self._unreached -= 1

    def _end(self, seq: int = 0) -> None:
        """Nothing that comes after is judged."""
        self._settle()
        self._is_over = True

    @property
    def _judges(self) -> bool:
        """Whether exits are judged at present."""
        return not self._unreached and not self._is_over

    # The loop

    def _replay(self, rows: list[ExitRow]) -> None:
        self._rows = rows
        self._counted = 0
        if not self._is_over:
            self._is_playing = True
            try:
                self._play(rows)
            except _Stop:
                self._count(self._begun())
                self._fires_timers = self._own_code = False
                self._end()
            self._is_playing = False
        self._count(len(rows))

    def _play(self, rows: list[ExitRow]) -> None:
        clock = self._board.clock
        readers, writers = self._readers, self._writers
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
                return
            except Exception as error:  # a model's, which must not end the replay
                if self._own_code:
                    raise
                self._access_raised(seq, t_ns, site, value, error)

    def _begun(self) -> int:
        """How many of the current rows were made, or are being made."""
        return len(self._rows) - length_hint(self._cursor) - self._fires_timers

    def _advance(self, seq: int, t_ns: int) -> None:
        """Fire the timers due up to `t_ns`. One that raises is not armed any more, so going on gets further."""
        clock = self._board.clock
        self._fires_timers = True
        while True:
            try:
                clock.advance(t_ns)
                break
            except Exception as error:
                owner = self._owner_of_timer()
                if isinstance(error, ModelHungError) and clock.firing is not None:
                    clock.firing.cancel()
                self._outside_fault(owner, seq, clock.now_ns, error)
        self._fires_timers = False

    def _reset(self, t_ns: int, seq: int) -> None:
        self._is_playing = True
        self._step += 1
        self._advance(seq, max(t_ns, self._board.clock.now_ns))
        for watched in (*self._watched.values(), *self._loose.values()):
            watched.heal()

        def failed(name: str, error: Exception) -> None:
            self._outside_fault(self._watched[id(self._board.devices[name])], seq, t_ns, error)

        self._board.reset(failed)
        self._is_playing = False

    def _input(self, event: Event, seq: int) -> None:
        """Give a device what it received from outside, as the trace's event tells."""
        self._advance(seq, max(event.t_ns, self._board.clock.now_ns))
        name, receive = self._board.inputs[event.kind]
        self._is_playing = True
        self._step += 1
        try:
            receive(event.detail)
        except Exception as error:
            self._outside_fault(self._watched[id(self._board.devices[name])], seq, event.t_ns, error)
        self._is_playing = False

    def _position(self) -> object | None:
        """Where a model stands, for the watchdog; None while none runs. Guest time that passes is progress, too."""
        if not self._is_playing or (self._own_code and not self._judge.asking):
            return None
        return self._step, length_hint(self._cursor), self._board.clock.now_ns // _WATCHED_NS, self._judge.asking

    def _despair(self) -> None:
        """A model hangs where nothing reaches it."""
        if self._give_up is not None:
            row = self._rows[max(self._begun() - 1, 0)] if self._rows else None
            owner = None if row is None else self._owners[row[2]]
            where = f"exit {row[0]:,}" if row else "the beginning"
            self._give_up(f"a model hangs and cannot be ended, at {where} of {owner.name if owner else 'a timer'}")

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
            self._enter(number, self._watch(route.device), route)
        self._own_code = False

    def _enter(self, number: int, owner: Watched, route: Route) -> None:
        """Enter into the tables who answers a site."""
        site = self._sites[number]
        self._routes[number] = route
        self._owners[number] = owner
        wide = site.size == 8
        if owner.retired is not None:
            self._refuse(number, owner.retired)
        elif site.direction == "r":
            read: Callable[[], object] = partial(_read_signed, route.read) if wide else route.read
            if owner.observes and not owner.observes.isdisjoint(range(route.offset, route.offset + route.size)):
                read = partial(_read_wrapped, route.read)
            self._readers[number] = read
        else:
            write = partial(_write_unsigned, route.write) if wide else route.write
            if owner in self._reporting:
                write = partial(self._report_write, owner, route, write)
            self._writers[number] = write

    def _watch(self, device: object) -> Watched:
        watched = self._watched.get(id(device))
        if watched is None:  # put on the bus by hand, not with Board.add
            name = type(device).__name__
            watched = self._watched[id(device)] = Watched(name, device, not self._selected)
        return watched

    def _forget_routes(self) -> None:
        """Registrations changed: book what happened so far to its owners, and look everything up again."""
        self._count(max(self._counted, self._begun()))
        self._settle()
        self._readers[:] = self._first_readers
        self._writers[:] = self._first_writers

    def _report_write(self, owner: Watched, route: Route, write: Callable[[int], None], value: int) -> None:
        write(value)
        self._own_code = True
        self._judge.wrote(owner, route)
        self._own_code = False

    def _retire(self, watched: Watched, error: ModelHungError) -> None:
        """Do not call a model any more that hung: it may do so at every access."""
        if watched.retired is None:
            watched.retired = error
            for number, owner in enumerate(self._owners):
                if owner is watched:
                    self._refuse(number, error)

    def _refuse(self, number: int, error: ModelHungError) -> None:
        refusal = partial(_raise, error, error.__traceback__)
        if self._sites[number].direction == "r":
            self._readers[number] = refusal
        else:
            self._writers[number] = refusal

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
            writes = count - reads
            owner = self._owners[number]
            judged = self._judges and self._is_selected[number]
            if owner is not None:
                tally = owner.verdict.tally
                tally.exits += count
                tally.reads += reads
                tally.writes += writes
                if not judged:
                    owner.excluded_reads += reads
                    owner.excluded_writes += writes
            elif judged and not self._selected:
                self._book_unclaimed(number, reads, writes)
            else:
                self._excluded_reads += reads
                self._excluded_writes += writes
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
        self._judge.differs(self._exit(seq, t_ns, number, value), answer)
        if self._judge.is_done:
            raise _Stop
        self._own_code = False

    def _access_raised(self, seq: int, t_ns: int, number: int, value: int, error: Exception) -> None:
        self._own_code = True
        at = self._exit(seq, t_ns, number, value)
        self._judge.access_raised(at, error)
        if isinstance(error, ModelHungError):
            self._retire(at.watched, error)
        if self._judge.is_done:
            raise _Stop
        self._own_code = False

    def _outside_fault(self, watched: Watched, seq: int, t_ns: int, error: Exception) -> None:
        """A model failed in a timer, at a reset or at an input."""
        self._own_code = True
        self._judge.outside_fault(watched, seq, t_ns, error, watched.judged and self._judges)
        if isinstance(error, ModelHungError):
            self._retire(watched, error)
        if self._judge.is_done:
            raise _Stop
        self._own_code = False

    def _exit(self, seq: int, t_ns: int, number: int, value: int) -> Exit:
        site = self._sites[number]
        watched, route = self._claimed(number)
        judged = watched.judged and self._judges and self._is_selected[number]
        return Exit(seq, t_ns, site, value & (1 << 8 * site.size) - 1, watched, route, judged)

    def _owner_of_timer(self) -> Watched:
        """Whose timer fired last."""
        timer = self._board.clock.firing
        owner = getattr(timer and timer.callback, "__self__", None)
        watched = self._watched.get(id(owner))
        if watched is None:
            name = "clock" if owner is None else type(owner).__name__
            watched = self._loose.setdefault(name, Watched(name, owner, judged=True))
        return watched

    def accesses(self, watched: Watched, seq: int, n: int) -> list[Row]:
        """See `Claims`."""
        numbers = [number for number, owner in enumerate(self._owners) if owner is watched]
        rows = self._trace.context(seq, numbers, n) if numbers else ()
        return [(row, self._sites[row[2]], self._claimed(row[2])[1]) for row in rows]

    def claim(self, number: int) -> tuple[str, Device | None, int] | None:
        """Who answered the last access of a site: its name, the model, and the offset in it; None if nobody did.

        The model is None if it is something on the bus that is no `Device`.
        """
        watched, route = self._owners[number], self._routes[number]
        return None if watched is None or route is None else (watched.name, watched.model, route.offset)

    def has_written(self, watched: Watched, register: Register) -> bool:
        """See `Claims`."""
        first, end = register.offset, register.offset + register.width // 8
        return any(
            owner is watched and route is not None and site.direction == "w"
            and route.offset < end and first < route.offset + route.size
            for owner, route, site in zip(self._owners, self._routes, self._sites, strict=True)
        )  # fmt: skip

    def report_writes(self, watched: Watched) -> None:
        """See `Claims`."""
        if watched in self._reporting or watched.model is None:
            return
        self._reporting.add(watched)
        for number, owner in enumerate(self._owners):
            route = self._routes[number]
            if owner is watched and route is not None and self._writers[number] is not self._first_writers[number]:
                self._enter(number, watched, route)

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
        verdict = Verdict(
            summary,
            self._board.machine,
            self._selected,
            self._selection.words,
            self._strict,
            divergences=self._judge.divergences,
            folds=self._judge.folds,
        )
        for watched in (*self._watched.values(), *self._loose.values()):
            watched.close()
            verdict.totals.add(watched.verdict.tally)
            if watched.verdict.tally.exits or watched.verdict.tally.roots:
                verdict.devices.append(watched.verdict)
            verdict.contracts += map(_contract_use, watched.clauses)
        verdict.known = list(map(self._known_use, self._ledger.entries))
        self._add_unclaimed(verdict)
        return _approve(verdict)

    def _known_use(self, entry: Known) -> KnownUse:
        judged = not self._selected or entry.device in self._selected
        whole = judged and not self._selection.is_partial
        return KnownUse(
            entry.device, entry.register, entry.bits, entry.reason, entry.link, entry.reads, entry.first_seq,
            entry.last_seq, stale=whole and not entry.reads,
        )  # fmt: skip

    def _add_unclaimed(self, verdict: Verdict) -> None:
        verdict.unclaimed = sorted(
            self._unclaimed.values(), key=lambda row: (-row.reads, -row.writes, row.space, row.first)
        )
        reads, writes = self._unclaimed_reads, self._unclaimed_writes
        excluded_reads, excluded_writes = self._excluded_reads, self._excluded_writes
        verdict.totals.add(
            Tally(
                exits=reads + writes + excluded_reads + excluded_writes,
                reads=reads + excluded_reads,
                writes=writes + excluded_writes,
                unclaimed_reads=reads,
                unclaimed_writes=writes,
                excluded=excluded_reads + excluded_writes,
            )
        )


def _watch_all(
    devices: Mapping[str, Device], selected: Collection[str], contracts: Mapping[str, Iterable[Contract]]
) -> dict[int, Watched]:
    """Who judges each device, by the device's identity."""
    unknown = [repr(name) for name in contracts if name not in devices]
    if unknown:
        raise ContractError(f"there is no device {' or '.join(unknown)} for a contract; devices: {', '.join(devices)}")
    watched: dict[int, Watched] = {}
    for name, device in devices.items():
        registers = getattr(device, "registers", None) or RegisterMap()
        found = clauses(name, registers, getattr(device, "contracts", ()), contracts.get(name, ()))
        watched[id(device)] = Watched(name, device, not selected or name in selected, found)
    return watched


def _contract_use(clause: Clause) -> ContractUse:
    contract = clause.contract
    return ContractUse(
        clause.device, clause.register.name, contract.words, clause.area, contract.reason, clause.reads, clause.bits
    )


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


def _read_wrapped(read: Callable[[], object]) -> object:
    """A read whose answer is always shown to the judge, as it equals no recorded value."""
    return (read(),)


def _raise(error: Exception, traceback: TracebackType | None, *value: int) -> NoReturn:
    """An access to a model that is not called any more: it fails as it did before."""
    raise error.with_traceback(traceback)


def _write_unsigned(write: Callable[[int], None], value: int) -> None:
    write(value & MASK_64)
