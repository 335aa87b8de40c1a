"""From a log to a trace: numbers, times and counts. What the log tells is an importer's business.

A log comes from strangers. Whatever is in it, an import ends with a trace or one error, and its memory is bounded: by
the sites of a trace, which are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ..errors import ImportFailedError
from ..trace.writer import TraceWriter
from .lines import MAX_LINE, Line
from .records import U64_MAX, Access, Area, Function, Importer, MalformedLineError, Note, Record, Skipped

MAX_SITES: Final = 1 << 20
"""More combinations of instruction, address and size than these are no log of devices."""

MAX_NOTES: Final = 100_000
MAX_AREAS: Final = 10_000
MAX_FUNCTIONS: Final = 10_000

MAX_DETAIL: Final = 1000
"""Characters of an event's detail, of a region's name, or of another text from the log."""

TOLD: Final = 10
"""Malformed lines that are kept, with their numbers."""

STEP_NS: Final = 1000
"""Without times: about as long as an access to a port of the ISA bus takes."""

TOO_MANY: Final = "events, regions and functions beyond the limits of an import"
NARROWED: Final = "values wider than their accesses, of which the lower part was taken"
SPLIT: Final = "accesses of 3, 5, 6 or 7 bytes, stored as several"
BACK: Final = "times before the one of the access before, taken as equal to it"
UNTIMED: Final = "accesses without a time among others with one, taken as made at the time of the one before"


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A line that could not be read."""

    number: int
    """From 1."""
    why: str
    text: str
    """Its beginning, as it was; not safe to print."""


@dataclass(slots=True)
class Imported:
    """What an import has found."""

    lines: int = 0
    accesses: int = 0
    other_lines: int = 0
    """Lines that are no record of the format."""
    malformed: int = 0
    first_malformed: list[MalformedLine] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    """What the trace does not hold as the log tells it, by what that is."""
    losses: list[str] = field(default_factory=list)
    """What the log never had."""


class Import:
    """One import into a trace that is open for writing.

    Args:
        importer: reads the log.
        writer: takes what it reads.
        rtc_base: the RTC's time when such a machine starts. How long before the first line that was, a log with times
            does not tell: reads of the RTC have to teach it, and this is not used.
    """

    def __init__(self, importer: Importer, writer: TraceWriter, rtc_base: str | None = None) -> None:
        self._importer = importer
        self._rtc_base = rtc_base
        self._writer = writer
        self._found = Imported()
        self._timed: bool | None = None
        self._first_ns = 0
        self._now_ns = 0
        self._cpus = 0
        self._sites: dict[tuple[object, ...], int] = {}
        self._snapshot_rows = self._functions = self._events = 0

    def run(self, lines: Iterable[Line], progress: Callable[[int], None] | None = None) -> Imported:
        """Read all lines, and write what is known at the end. `progress` is called with bytes that were read.

        Raises:
            ImportFailedError: the log has no access, or too many places that make some.
            TraceError: the trace cannot be written.
        """
        found = self._found
        feed, done = self._importer.feed, 0
        for line in lines:
            found.lines += 1
            done += line.length
            if progress is not None and done > 1 << 20:
                progress(done)
                done = 0
            try:
                if line.length > MAX_LINE:
                    raise MalformedLineError(f"it has {line.length} bytes; up to {MAX_LINE} are read")
                records = feed(line.text)
            except MalformedLineError as error:
                found.malformed += 1
                if len(found.first_malformed) < TOLD:
                    found.first_malformed.append(MalformedLine(line.number, str(error), line.text[:80]))
                continue
            if records is None:
                found.other_lines += 1
                continue
            for record in records:
                self._take(record)
        for record in self._importer.finish():
            self._take(record)
        if not found.accesses:
            raise ImportFailedError(
                f"no access in {found.lines:,} lines, {found.malformed:,} of them malformed: is it a "
                f"{self._importer.title}?"
            )
        found.losses = [loss for loss in self._importer.losses if loss]
        self._conclude()
        return found

    def _take(self, record: Record) -> None:
        if isinstance(record, Access):
            self._access(record)
        elif isinstance(record, Skipped):
            self._found.notes[record.why] += record.times
        elif isinstance(record, Note):
            self._events += 1
            if self._is_within(self._events, MAX_NOTES):
                self._cpus = max(self._cpus, (record.vcpu or 0) + 1)
                self._writer.add_event(record.kind, record.detail[:MAX_DETAIL], self._now_ns, record.vcpu)
        elif isinstance(record, Area):
            self._snapshot_rows += 1
            if self._is_within(self._snapshot_rows, MAX_AREAS):
                self._writer.add_regions(0, 0, [record.region])
        else:
            self._function(record)

    def _function(self, record: Function) -> None:
        self._functions += 1
        if self._is_within(self._functions, MAX_FUNCTIONS):
            self._writer.add_pci_function(record.function, record.bars)

    def _is_within(self, number: int, limit: int) -> bool:
        if number > limit:
            self._found.notes[TOO_MANY] += 1
        return number <= limit

    def _access(self, access: Access) -> None:
        size, value = access.size, access.value
        if value >> 8 * size:
            self._found.notes[NARROWED] += 1
            value &= (1 << 8 * size) - 1
        t_ns = self._time(access.t_ns)
        self._cpus = max(self._cpus, access.vcpu + 1)
        self._found.accesses += 1
        if size in (1, 2, 4, 8):
            self._writer.add_exit(t_ns, self._site(access, access.address, size), value)
            return
        self._found.notes[SPLIT] += 1
        at = 0
        while at < size:
            part = next(part for part in (4, 2, 1) if part <= size - at)
            site = self._site(access, access.address + at & U64_MAX, part)
            self._writer.add_exit(t_ns, site, value >> 8 * at & (1 << 8 * part) - 1)
            at += part

    def _site(self, access: Access, address: int, size: int) -> int:
        key = (access.vcpu, access.pc, access.space, access.direction, address, size, access.string, access.region)
        site = self._sites.get(key)
        if site is None:
            if len(self._sites) >= MAX_SITES:
                raise ImportFailedError(
                    f"more than {MAX_SITES:,} different places of accesses: is it a log of devices?"
                )
            site = self._sites[key] = self._writer.add_site(
                address=address,
                direction=access.direction,
                size=size,
                space=access.space,
                pc=access.pc,
                vcpu=access.vcpu,
                string=access.string,
                region=access.region[:MAX_DETAIL],
            )
        return site

    def _time(self, t_ns: int | None) -> int:
        """The trace's time of an access: since the first one, and never back."""
        if self._timed is None:
            self._timed = t_ns is not None
            self._first_ns = t_ns or 0
        if not self._timed:
            self._now_ns += STEP_NS
        elif t_ns is None:
            self._found.notes[UNTIMED] += 1
        elif t_ns - self._first_ns < self._now_ns:
            self._found.notes[BACK] += 1
        else:
            self._now_ns = t_ns - self._first_ns
        return self._now_ns

    def _conclude(self) -> None:
        found, clock = self._found, "host" if self._timed else "none"
        writer = self._writer
        writer.set_meta("clock", clock)
        writer.set_meta(
            "clock_source", "the imported log" if self._timed else "none: each access is 1 us after another"
        )
        if self._rtc_base is not None and not self._timed:
            writer.set_meta("rtc_base", self._rtc_base)
        writer.set_meta("smp", max(1, self._cpus))
        writer.set_meta(
            "imported",
            {
                "format": self._importer.name,
                "title": self._importer.title,
                "lines": found.lines,
                "accesses": found.accesses,
                "other_lines": found.other_lines,
                "malformed": found.malformed,
                "first_malformed": [{"line": line.number, "why": line.why} for line in found.first_malformed],
                "notes": dict(found.notes),
                "losses": found.losses,
            },
        )
