"""From a trace to another format: which exits, and in what order with the events. A format is an exporter's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from ..errors import VmdevError
from ..selection import AddressRange, Bounds
from ..trace.reader import TraceReader
from ..trace.rows import Event, ExitRow, Site

_LATEST_NS: Final = (1 << 63) - 1


class Exporter(Protocol):
    """Puts a trace into a format."""

    name: ClassVar[str]
    title: ClassVar[str]
    losses: ClassVar[tuple[str, ...]]
    """What the format has no place for."""
    left_out: int
    """Exits that could not be exported, so far."""

    def __init__(self, reader: TraceReader) -> None: ...

    def begin(self) -> Iterable[str]:
        """Lines before all others, without their ends."""

    def exits(self, rows: Sequence[ExitRow]) -> Iterable[str]:
        """The lines of exits."""

    def event(self, event: Event) -> Iterable[str]:
        """The lines of an event."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to export. All that is given must hold."""

    regions: tuple[str, ...] = ()
    """Names of regions; empty: all."""
    addresses: tuple[AddressRange, ...] = ()
    """Accesses that touch any of them; empty: all."""
    seqs: Bounds = (None, None)
    times_ns: Bounds = (None, None)

    def check(self, reader: TraceReader) -> None:
        """Raise `VmdevError` if the trace has no region of one of the names."""
        known = {site.region for site in reader.sites} | {region.name for region in reader.regions}
        for name in self.regions:
            if name not in known:
                used = ", ".join(sorted({site.region for site in reader.sites} - {""})) or "none"
                raise VmdevError(f"the trace has no region {name!r}; accessed were: {used}")

    def holds(self, site: Site) -> bool:
        """Whether a site's exits are wanted, as far as it tells."""
        if self.regions and site.region not in self.regions:
            return False
        return not self.addresses or any(each.holds(site.space, site.address, site.size) for each in self.addresses)

    def is_within(self, event: Event) -> bool:
        """Whether an event is between the bounds."""
        return _is_within(event.seq, self.seqs) and _is_within(event.t_ns, self.times_ns)


def export(reader: TraceReader, exporter: Exporter, choice: Choice) -> Iterator[str]:
    """The text of an export, in pieces.

    Raises:
        VmdevError: the trace has no region of one of the names, or is damaged.
    """
    choice.check(reader)
    wanted = [site.id for site in reader.sites if choice.holds(site)]
    (first, last), (from_ns, to_ns) = choice.seqs, choice.times_ns
    chunks = reader.find(
        first or 0,
        None if last is None else last + 1,
        site_ids=None if len(wanted) == len(reader.sites) else wanted,
        from_ns=from_ns or 0,
        to_ns=_LATEST_NS if to_ns is None else to_ns,
    )
    events = deque(event for event in reader.events() if choice.is_within(event))
    yield _text(exporter.begin())
    for rows in chunks:
        start = 0
        while events and events[0].seq <= rows[-1][0]:
            event = events.popleft()
            place = next(at for at in range(start, len(rows)) if rows[at][0] >= event.seq)
            yield _text(exporter.exits(rows[start:place]))
            yield _text(exporter.event(event))
            start = place
        yield _text(exporter.exits(rows[start:]))
    for event in events:
        yield _text(exporter.event(event))


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _is_within(number: int, bounds: Bounds) -> bool:
    first, last = bounds
    return (first is None or first <= number) and (last is None or number <= last)
