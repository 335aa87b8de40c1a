"""Parts of a trace, held in memory: what a replay is made of again and again while a trace is minimized."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from ..guest import Guest
from ..trace.rows import Access, Event, ExitRow, Interrupt, PackedSite, Site

if TYPE_CHECKING:
    from ..replayer import Trace

Item = Access | Event | Interrupt
"""An exit, or what happens between exits."""

CHUNK: Final = 1024


class Source:
    """The exits of a trace up to one of them, with what happened between them and matters to a replay.

    Args:
        trace: the recording.
        end: number of the exit after the last one to take.
        kinds: the kinds of events to take besides resets.
        sites: those whose exits to take, besides the last exit; None: all.
        amended: by number of an exit, another value to take for it.
    """

    def __init__(
        self,
        trace: Trace,
        end: int,
        kinds: Container[str] = (),
        sites: Container[int] | None = None,
        amended: Mapping[int, int] | None = None,
    ) -> None:
        self.guest: Guest = trace.guest
        self.closed = trace.closed
        self.packed_sites = trace.packed_sites
        self.region_names: Mapping[int, str] = trace.region_names
        self.site: Callable[[int], Site] = cache(trace.site)
        self.items: list[Item] = []
        """In order."""
        self.seqs: list[int] = []
        """Of each item: the trace's number of the exit that it is or that it comes before."""
        between: list[Event | Interrupt] = [
            event for event in trace.events() if event.kind in kinds or (event.kind == "reset" and event.seq > 0)
        ]
        between = sorted([*between, *trace.interrupts()], key=lambda item: item.seq)[::-1]
        amended = amended or {}
        for first, rows in trace.accesses():
            for seq, row in enumerate(rows[: end - first], first):
                if sites is not None and row[1] not in sites and seq != end - 1:
                    continue
                if seq in amended:
                    row = (*row[:2], amended[seq])
                while between and between[-1].seq <= seq:
                    self.items.append(between.pop())
                    self.seqs.append(seq)
                self.items.append(row)
                self.seqs.append(seq)
            if first + len(rows) >= end:
                break


class Slice:
    """Some items of a source, as a trace of its own: `vmdev.replay.replayer.Trace`.

    Args:
        source: where they are from.
        kept: which, ascending.
        stops: of these, exits that end a chunk, so that a replay can be observed right after them.
    """

    def __init__(self, source: Source, kept: Sequence[int], stops: Container[int] = ()) -> None:
        self._source = source
        self.guest = source.guest
        self.closed = True
        self.region_names = source.region_names
        self._events: list[Event] = []
        self._interrupts: list[Interrupt] = []
        self._rows: list[Access] = []
        self._ends: list[int] = []
        self.exits: list[int] = []
        """The items that are exits, by seq."""
        numbers: dict[int, int] = {}
        items, rows = source.items, self._rows
        for index in kept:
            item = items[index]
            if type(item) is tuple:
                t_ns, site, value = item
                rows.append((t_ns, numbers.setdefault(site, len(numbers)), value))
                self.exits.append(index)
                if index in stops:
                    self._ends.append(len(rows))
            elif isinstance(item, Event):
                self._events.append(replace(item, seq=len(rows)))
            elif isinstance(item, Interrupt):
                self._interrupts.append(replace(item, seq=len(rows)))
        self.sites = list(numbers)
        """The source's numbers of the sites that occur, in order of their first occurrence."""
        self.packed_sites: list[PackedSite] = [source.packed_sites[number] for number in self.sites]

    @property
    def exit_count(self) -> int:
        """See `Trace`."""
        return len(self._rows)

    def site(self, number: int) -> Site:
        """See `Trace`."""
        return self._source.site(self.sites[number])._replace(id=number)

    def accesses(self) -> Iterator[tuple[int, list[Access]]]:
        """See `Trace`."""
        ends = self._ends or range(CHUNK, len(self._rows), CHUNK)
        start = 0
        for end in (*ends, len(self._rows)):
            if end > start:
                yield start, self._rows[start:end]
                start = end

    def events(self) -> Sequence[Event]:
        """See `Trace`."""
        return self._events

    def interrupts(self) -> Sequence[Interrupt]:
        """See `Trace`."""
        return self._interrupts

    def context(self, seq: int, site_ids: Collection[int], n: int) -> list[ExitRow]:
        """See `Trace`."""
        wanted = set(site_ids)
        found: list[ExitRow] = []
        for at in range(min(seq, len(self._rows)) - 1, -1, -1):
            t_ns, site, value = self._rows[at]
            if site in wanted:
                found.append((at, t_ns, site, value))
                if len(found) >= n:
                    break
        return found[::-1]

    def position(self, item: int) -> int:
        """The seq of the first exit that is `item` or later."""
        return bisect_left(self.exits, item)
