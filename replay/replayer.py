"""The replayer: feeds the exits of a trace, in order, through a board's buses into its models.

Per exit the loop moves the clock, makes the access, and compares. Everything else is kept out of it: where a site's
accesses go is looked up once, and again when a registration changes there (`routes.py`), and only an answer that
differs from the recorded value is looked at closely, by the judge (`judging/`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from operator import length_hint
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from .agenda import Agenda
from .contracts import Clause, Contract, clauses
from .device import Device
from .errors import ContractError, ModelHungError, NothingComparedError, UnknownMachineError
from .guest import Guest
from .judging.context import Row
from .judging.judge import Exit, Judge
from .judging.ledger import Known, Ledger
from .judging.watched import Watched
from .provenance import provenance
from .registers import Direction, Register, RegisterMap
from .routes import WRITE, Reader, Routes, StandIns, Target, Writer
from .selection import Selection
from .verdict import ContractUse, KnownUse, Tally, TraceSummary, Verdict
from .watchdog import PATIENCE_S, Watchdog

if TYPE_CHECKING:
    from .machines.board import Board
    from .trace.rows import Access, Event, ExitRow, Interrupt, PackedSite, Site

PROGRESS_STEP: Final = 1 << 12
"""Exits between two calls of a progress function, at least."""

COLLECTION_STEP: Final = 50_000
"""Objects made, less those gone, between two collections of cyclic garbage."""

_WATCHED_NS: Final = 1_000_000_000
"""Timers that bring the guest's time on by this much, in ns, within the watchdog's patience are not taken to hang."""


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
    def packed_sites(self) -> Sequence[PackedSite]:
        """Where accesses come from, by number."""

    @property
    def region_names(self) -> Mapping[int, str]:
        """By their numbers in `packed_sites`."""

    def site(self, number: int) -> Site:
        """All about a site."""

    def accesses(self) -> Iterator[tuple[int, list[Access]]]:
        """All exits in order of seq, in lists that are not empty, each with the seq of its first."""

    def events(self) -> Sequence[Event]:
        """All events in order of seq."""

    def interrupts(self) -> Sequence[Interrupt]:
        """All interrupts that CPUs took, in order of seq; none if the trace does not tell."""

    def context(self, seq: int, site_ids: Collection[int], n: int) -> Sequence[ExitRow]:
        """The last `n` exits before `seq` at these sites, oldest first."""


Hear = Callable[[int, str, "Device | None", int, int, object], None]
"""Hears of a read: the exit's number, the device's name, the model, the offset in it, the size, and the answer."""


Follow = Callable[[str, "Device | None", int, int, Direction], Callable[[int], None]]
"""Asked for each place that accesses go to, with the name of who answers there, the model, and the offset, the size and
the direction of accesses: gives what to call after each of them, with its number."""


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
        stand_ins: who answers, and is judged, in the place of the board's devices. These are played all the same, but
            what they answer and what goes wrong in them counts for nothing.
        hear: told of each read that is judged, with its number, who answered, the model, what was reached, and the
            answer, which may be wrapped in a tuple.

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
        stand_ins: StandIns | None = None,
        hear: Hear | None = None,
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
        added = [board.contracts, contracts or {}]
        self._stand_ins = stand_ins
        judged = board.devices
        if stand_ins is not None:
            judged = {label: stand_ins.instead(device) for label, device in board.devices.items()}
        self._watched = _watch_all(judged, devices, added)
        if stand_ins is not None:
            for label, device in board.devices.items():
                self._watched.setdefault(id(device), Watched(label, device, judged=False))
        self._loose: dict[str, Watched] = {}
        """Culprits that are no device of the board, by name."""
        maps = {label: getattr(device, "registers", None) for label, device in board.devices.items()}
        self._ledger = Ledger(known, maps)
        self._judge = Judge(self, self._ledger, selection.until_divergence)
        self._routes = Routes(board.io, trace.packed_sites, trace.region_names, self._watch, self._guard, stand_ins)
        self._hear = hear
        self._follow: Follow | None = None
        if hear is not None:
            self._routes.listen = self._listen
        if selection.addresses:
            self._routes.is_selected = list(map(selection.holds, trace.packed_sites))
        self._routes.lists_unclaimed = not self._selected
        self._reporting: set[Watched] = set()
        """Devices whose writes the judge wants to hear of."""

        self._rows: list[Access] = []
        self._cursor: Iterator[Access] = iter(())
        """What is still to be made of `_rows`, whose last exit is the one before `_end_seq`."""
        self._end_seq = 0
        self._fires_timers = False
        """Whether the current row's access is still to be made, because timers come first."""
        self._unreached = 0
        """Bounds from which on exits are to be judged, and which were not reached yet."""
        self._is_over = False
        """Whether no later exit will be judged, so that none needs to be made."""
        self._own_code = False
        """Whether an exception now would be the replayer's own and not a model's."""
        self._is_playing = False
        self._next_ns = 0
        """When the exit is made that comes after what the agenda has."""
        self._step = 0
        """Goes up now and then while the replay gets on, besides `_cursor`: for the watchdog."""

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        observe: Callable[[int, Sequence[Access]], None] | None = None,
        follow: Follow | None = None,
    ) -> Verdict:
        """Replay everything.

        Args:
            progress: called now and then with the number of exits since the last call.
            observe: called with exits that have been replayed, and the seq of the first; `claim` tells then who
                answered.
            follow: gives what to call after each access that somebody answers, while the model is as it left it.

        Raises:
            NothingComparedError: no answer was compared, and no model failed.
            TraceError: the trace is damaged.
        """
        self._follow = follow
        if follow is not None:
            self._routes.listen = self._listen
        agenda = self._agenda()
        unreported = 0
        with _rare_collections(), Watchdog(self._position, self._patience_s, self._despair):
            for first, rows in self._trace.accesses():
                start = 0
                for seq, action in agenda.due(first, rows):
                    stop = seq - first
                    self._next_ns = rows[stop][0]
                    self._replay(seq, rows[start:stop])
                    start = stop
                    if not self._is_over:
                        with suppress(_Stop):
                            action(seq)
                        if self._judge.is_done:
                            self._end()
                self._replay(first + len(rows), rows[start:] if start else rows)
                if observe is not None:
                    observe(first, rows)
                unreported += len(rows)
                if progress is not None and unreported >= PROGRESS_STEP:
                    progress(unreported)
                    unreported = 0
        if progress is not None and unreported:
            progress(unreported)
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
        interrupts = self._trace.interrupts() if self._board.interrupts else ()
        if interrupts and self._board.interrupts:
            self._board.interrupts.begin()
            entries += [(interrupt.seq, partial(self._interrupt, interrupt)) for interrupt in interrupts]
        (first, last), (from_ns, to_ns) = self._selection.seqs, self._selection.times_ns
        timed: list[tuple[int, Callable[[int], None]]] = []
        for begin, end, into in ((first, last, entries), (from_ns, to_ns, timed)):
            if begin is not None:
                self._unreached += 1
                into.append((begin, self._begin))
            if end is not None:
                into.append((end + 1, self._end))
        self._routes.judges = self._judges
        return Agenda(entries, timed)

    def _begin(self, seq: int) -> None:
        """A bound is reached. What comes after the last one is judged."""
        self._routes.settle()
        self._unreached -= 1
        self._routes.judges = self._judges

    def _end(self, seq: int = 0) -> None:
        """Nothing that comes after is judged."""
        self._routes.settle()
        self._is_over = True
        self._routes.judges = False

    @property
    def _judges(self) -> bool:
        """Whether exits are judged at present."""
        return not self._unreached and not self._is_over

    # The loop

    def _replay(self, end: int, rows: list[Access]) -> None:
        """Replay these exits, the last of which is the one before number `end`."""
        self._rows = rows
        self._end_seq = end
        self._cursor = iter(rows)
        if not self._is_over:
            self._is_playing = True
            try:
                self._play()
            except _Stop:
                self._end()
                if self._fires_timers:  # before an access that is not made any more
                    _, site, _ = rows[self.seq() - end]
                    self._routes.counts[site] += 1
                self._fires_timers = self._own_code = False
            self._is_playing = False
        counts = self._routes.counts
        for _, site, _ in self._cursor:  # of what is not made any more
            counts[site] += 1

    def _play(self) -> None:
        clock, routes, cursor = self._board.clock, self._routes, self._cursor
        readers, writers, counts = routes.readers, routes.writers, routes.counts
        while True:
            try:
                for t_ns, site, value in cursor:
                    if t_ns >= clock.deadline_ns:
                        self._advance(t_ns)
                    else:
                        clock.now_ns = t_ns
                    counts[site] += 1
                    read = readers[site]
                    if read is not None:
                        if (answer := read()) != value:
                            self._differs(t_ns, site, value, answer)
                        continue
                    write = writers[site]
                    if write is not None:
                        write(value)
                        continue
                    routes.find(site)
                    read, write = readers[site], writers[site]
                    if write is not None:
                        write(value)
                    elif read is not None and (answer := read()) != value:
                        self._differs(t_ns, site, value, answer)
                return
            except Exception as error:  # a model's, which must not end the replay
                if self._own_code:
                    raise
                self._access_raised(t_ns, site, value, error)

    def seq(self) -> int:
        """Number of the exit that is being made."""
        return self._end_seq - length_hint(self._cursor) - 1

    def _advance(self, t_ns: int, seq: int | None = None, access_ns: int | None = None) -> None:
        """Fire the timers due up to `t_ns`. One that raises is not armed any more, so going on gets further.

        They fire before the exit that is being made, or else before exit `seq`, which is made at `access_ns`.
        """
        clock = self._board.clock
        self._fires_timers = True
        while True:
            try:
                clock.advance(t_ns, access_ns)
                break
            except Exception as error:
                owner = self._owner_of_timer()
                if isinstance(error, ModelHungError) and clock.firing is not None:
                    clock.firing.cancel()
                self._outside_fault(owner, self.seq() if seq is None else seq, clock.now_ns, error)
        self._fires_timers = False

    def _reset(self, t_ns: int, seq: int) -> None:
        """Reset the machine.

        The trace has the time of the access before it. Until QEMU resets the machine, all processors are halted, so
        that time counted in instructions may jump to the next timer; firmware comes to its first access soon after.
        """
        clock = self._board.clock
        self._is_playing = True
        self._step += 1
        self._advance(max(t_ns, clock.now_ns), seq)
        if clock.counts_instructions and clock.deadline_ns <= self._next_ns:
            self._advance(clock.deadline_ns, seq, self._next_ns)
        for watched in (*self._watched.values(), *self._loose.values()):
            watched.heal()

        def failed(name: str, error: Exception) -> None:
            self._outside_fault(self._watched[id(self._board.devices[name])], seq, t_ns, error)

        self._board.reset(failed)
        self._is_playing = False

    def _interrupt(self, interrupt: Interrupt, seq: int) -> None:
        """Let a CPU take an interrupt.

        The trace has the time of the access before it. What asked for the interrupt may have come later: timers that
        are due before the next access fire one by one, until a controller has something for the CPU.
        """
        clock, interrupts = self._board.clock, self._board.interrupts
        assert interrupts is not None
        self._advance(max(interrupt.t_ns, clock.now_ns), seq, self._next_ns)
        self._is_playing = True
        self._step += 1
        try:
            while not interrupts.take(interrupt.vcpu, interrupt.to_pc):
                if clock.deadline_ns > self._next_ns or not interrupts.waits(interrupt.to_pc):
                    break
                self._advance(clock.deadline_ns, seq, self._next_ns)
        except Exception as error:
            self._outside_fault(self._watched[id(self._board.devices[interrupts.name])], seq, clock.now_ns, error)
        self._is_playing = False

    def _input(self, event: Event, seq: int) -> None:
        """Give a device what it received from outside, as the trace's event tells."""
        self._advance(max(event.t_ns, self._board.clock.now_ns), seq)
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
            where, name = "the beginning", "a timer"
            if self._rows:
                seq = self.seq()
                where = f"exit {seq:,}"
                _, site, _ = self._rows[seq - self._end_seq]
                if not self._fires_timers and self._routes.is_claimed(site):
                    name = self._routes.claimed(site)[0].name
            self._give_up(f"a model hangs and cannot be ended, at {where} of {name}")

    # Where accesses go

    def _watch(self, device: object) -> Watched:
        watched = self._watched.get(id(device))
        if watched is None:  # put on the bus by hand, not with Board.add
            name = type(device).__name__
            watched = self._watched[id(device)] = Watched(name, device, not self._selected)
        return watched

    def _guard(self, watched: Watched, target: Target, access: Callable[..., Any], is_read: bool) -> Callable[..., Any]:
        """What to call for an access to a device of which not every access is like another."""
        if watched.retired is not None:
            return partial(_raise, watched.retired, watched.retired.__traceback__)
        offset, size = target
        if is_read:
            seen = not watched.observes.isdisjoint(range(offset, offset + size))
            return partial(_read_wrapped, access) if seen else access
        return partial(self._report_write, watched, target, access) if watched in self._reporting else access

    def _listen(self, watched: Watched, target: Target, number: int, access: Callable[..., Any]) -> Callable[..., Any]:
        """What to call for accesses of which somebody wants to hear."""
        is_write = self._trace.packed_sites[number][1] & WRITE
        if self._hear is not None and not is_write:
            access = self._overheard(self._hear, watched, target, number, access)
        if self._follow is not None:
            self._own_code = True
            after = self._follow(watched.name, watched.model, target.offset, target.size, "w" if is_write else "r")
            self._own_code = False
            access = partial(self._followed, access, after)
        return access

    def _overheard(self, hear: Hear, watched: Watched, target: Target, number: int, read: Reader) -> Reader:
        def overheard() -> Any:
            answer = read()
            if watched.judged and self._routes.judged(number):
                hear(self.seq(), watched.name, watched.model, *target, answer)
            return answer

        return overheard

    def _followed(self, access: Callable[..., Any], after: Callable[[int], None], *value: int) -> Any:
        """Make an access, and say so, also if the model fails."""
        try:
            return access(*value)
        finally:
            self._own_code = True
            after(self.seq())
            self._own_code = False

    def _report_write(self, watched: Watched, target: Target, write: Writer, value: int) -> None:
        write(value)
        self._own_code = True
        self._judge.wrote(watched, target)
        self._own_code = False

    def _retire(self, watched: Watched, error: ModelHungError) -> None:
        """Do not call a model any more that hung: it may do so at every access."""
        if watched.retired is None:
            watched.retired = error
            self._routes.guard(watched)

    # What the judge is for

    def _differs(self, t_ns: int, number: int, value: int, answer: object) -> None:
        """Judge an answer that is not simply the recorded value."""
        self._own_code = True
        self._judge.differs(self._exit(t_ns, number, value), answer)
        if self._judge.is_done:
            raise _Stop
        self._own_code = False

    def _access_raised(self, t_ns: int, number: int, value: int, error: Exception) -> None:
        self._own_code = True
        at = self._exit(t_ns, number, value)
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

    def _exit(self, t_ns: int, number: int, value: int) -> Exit:
        """The exit that is being made."""
        watched, target = self._routes.claimed(number)
        judged = watched.judged and self._routes.judged(number)
        return Exit(self.seq(), t_ns, self._trace.site(number), value, watched, target, judged)

    def _owner_of_timer(self) -> Watched:
        """Whose timer fired last."""
        timer = self._board.clock.firing
        owner = getattr(timer and timer.callback, "__self__", None)
        watched = self._watched.get(id(owner))
        if watched is None:
            name = "clock" if owner is None else type(owner).__name__
            watched = self._loose.setdefault(name, Watched(name, owner, judged=self._stand_ins is None))
        return watched

    def accesses(self, watched: Watched, seq: int, n: int) -> list[Row]:
        """See `Claims`."""
        numbers = self._routes.sites_of(watched)
        rows = self._trace.context(seq, numbers, n) if numbers else ()
        return [(row, self._trace.site(row[2]), self._routes.claimed(row[2])[1]) for row in rows]

    def claim(self, number: int) -> tuple[str, Device | None, int] | None:
        """Who answered the last access of a site: its name, the model, and the offset in it; None if nobody did.

        The model is None if it is something on the bus that is no `Device`.
        """
        if not self._routes.is_claimed(number):
            return None
        watched, target = self._routes.claimed(number)
        return watched.name, watched.model, target.offset

    def note_answers(self, note: Callable[[int, int], None]) -> None:
        """Have `note` called with the seq and the model's answer of each read that diverges, but for known ones."""
        self._judge.note = note

    def until_next_ns(self) -> int:
        """See `Claims`. Nobody knows it at the end of the exits at hand."""
        sites = self._trace.packed_sites
        at = len(self._rows) - 1 - length_hint(self._cursor)
        t_ns, site, _ = self._rows[at]
        vcpu = sites[site][2]
        later = islice(self._rows, at + 1, None)
        return max(next((then_ns - t_ns for then_ns, other, _ in later if sites[other][2] == vcpu), 0), 0)

    def has_written(self, watched: Watched, register: Register) -> bool:
        """See `Claims`."""
        first, end = register.offset, register.offset + register.width // 8
        targets = (self._routes.claimed(number)[1] for number in self._routes.sites_of(watched, writes=True))
        return any(target.offset < end and first < target.offset + target.size for target in targets)

    def report_writes(self, watched: Watched) -> None:
        """See `Claims`."""
        if watched not in self._reporting and watched.model is not None:
            self._reporting.add(watched)
            self._routes.guard(watched)

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
            imported=origin.sentence if (origin := provenance(guest.meta)) else "",
        )
        self._routes.settle()
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
        rows = self._routes.unclaimed
        verdict.unclaimed = sorted(rows, key=lambda row: (-row.reads, -row.writes, row.space, row.first))
        reads, writes = sum(row.reads for row in rows), sum(row.writes for row in rows)
        excluded_reads, excluded_writes = self._routes.excluded_reads, self._routes.excluded_writes
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


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python look for cyclic garbage less often: a replay makes a callable for each site, and keeps all of them."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECTION_STEP, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _watch_all(
    devices: Mapping[str, Device], selected: Collection[str], added: Sequence[Mapping[str, Iterable[Contract]]]
) -> dict[int, Watched]:
    """Who judges each device, by the device's identity; `added` are contracts besides those of the models."""
    unknown = [repr(name) for contracts in added for name in contracts if name not in devices]
    if unknown:
        raise ContractError(f"there is no device {' or '.join(unknown)} for a contract; devices: {', '.join(devices)}")
    watched: dict[int, Watched] = {}
    for name, device in devices.items():
        registers = getattr(device, "registers", None) or RegisterMap()
        found = clauses(name, registers, getattr(device, "contracts", ()), _of(name, added))
        watched[id(device)] = Watched(name, device, not selected or name in selected, found)
    return watched


def _of(name: str, added: Iterable[Mapping[str, Iterable[Contract]]]) -> list[Contract]:
    return [contract for contracts in added for contract in contracts.get(name, ())]


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


def _read_wrapped(read: Callable[[], object]) -> object:
    """A read whose answer is always shown to the judge, as it equals no recorded value."""
    return (read(),)


def _raise(error: Exception, traceback: TracebackType | None, *value: int) -> NoReturn:
    """An access to a model that is not called any more: it fails as it did before."""
    raise error.with_traceback(traceback)
