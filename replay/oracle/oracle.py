"""Plays a trace to an implementation of its devices, ahead of the replay, and keeps the answers.

The exits go in the trace's order, each at its own time. What is not an access is not there: no vCPU runs, so nobody
takes an interrupt; no memory of the guest is written but by devices. What can be done about the first is done: the
8259A has a command by which software polls, and the read that follows is an interrupt acknowledge (8259A data sheet,
"Poll Command"). The guest ends each interrupt with a command (EOI), so before that, the acknowledge is made up for.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import OracleError
from ..replayer import Trace
from ..routes import MMIO, SIZE, WRITE
from . import protocol

if TYPE_CHECKING:
    from ..guest import Guest
    from ..trace.rows import Access, Event, ExitRow, Interrupt, PackedSite, Site

PICS: Final = (0x20, 0xA0)
"""The command ports of the 8259A pair."""

SERIAL_INPUT: Final = "serial-input"
"""The kind of events that tell of a character that a serial port received: ``serial0 41``."""

_CHARACTER: Final = re.compile(r" ([0-9a-f]{1,2})$")

_PIC_REGION: Final = "pic"
_OCW2: Final = 0x18
"""Of a write to a command port: bits that are 0 in an OCW2."""
_EOI: Final = 0x20
_POLL: Final = 0x0C

_IGNORED: Final = -1
_TIME: Final = -2
"""What a reply is for, where it is not the answer to a read."""


class Hardware(Protocol):
    """Who speaks the qtest protocol."""

    @property
    def name(self) -> str:
        """What it is, for reports."""

    @property
    def is_first_cpu(self) -> bool:
        """Whether its accesses are those of the first CPU, rather than of none."""

    def send(self, commands: bytes) -> None:
        """Take commands, each a line."""

    def replies(self, count: int) -> list[bytes]:
        """The next replies, in the order of the commands."""

    def reset(self) -> None:
        """Make sure that the machine has been reset since the last call."""

    def feed(self, character: int) -> bool:
        """Let the guest's serial port receive a character. False: none can be fed."""


@dataclass(slots=True)
class Batch:
    """Exits that were sent, and what is known of their answers."""

    first: int
    rows: list[Access]
    answers: list[int | None]
    """By place in `rows`; None for writes, and where nobody could be asked."""
    awaited: list[int] = field(default_factory=list)
    """What each reply still to come is for."""


class Oracle:
    """A trace whose exits are played to `hardware` before the replay gets them.

    It has all that the replayer needs of a trace. The answers to the exits that the replay has at present are in
    `answers`, by number of the exit less `first`.
    """

    def __init__(self, trace: Trace, hardware: Hardware) -> None:
        self._trace = trace
        self.hardware = hardware
        self.first = 0
        self.rows: Sequence[Access] = ()
        self.answers: Sequence[int | None] = ()
        self.untimely = 0
        """Times that could not be set."""
        self.acknowledged = 0
        """Interrupts that were acknowledged in the place of the CPU."""
        sites = trace.packed_sites
        names = trace.region_names
        self._words = [word.encode() for word in protocol.commands(sites)]
        self._sizes = [kind & SIZE for _, kind, _, _ in sites]
        self._writes = [bool(kind & WRITE) for _, kind, _, _ in sites]
        machine, is_first = trace.guest.machine, hardware.is_first_cpu
        self.is_reachable = [
            not protocol.needs_cpu(site, "" if site[3] is None else names.get(site[3], ""), machine, is_first=is_first)
            for site in sites
        ]
        self._ends_interrupts = [
            kind & (MMIO | WRITE) == WRITE and address in PICS and region is not None
            and names.get(region) == _PIC_REGION
            for address, kind, _, region in sites
        ]  # fmt: skip
        self.is_fed = True
        """Whether all serial input could be played."""
        self._time_ns = 0
        self._sent: deque[Batch] = deque()

    # What the replayer needs of a trace

    @property
    def guest(self) -> Guest:
        """See `Trace`."""
        return self._trace.guest

    @property
    def closed(self) -> bool:
        """See `Trace`."""
        return self._trace.closed

    @property
    def exit_count(self) -> int:
        """See `Trace`."""
        return self._trace.exit_count

    @property
    def packed_sites(self) -> Sequence[PackedSite]:
        """See `Trace`."""
        return self._trace.packed_sites

    @property
    def region_names(self) -> Mapping[int, str]:
        """See `Trace`."""
        return self._trace.region_names

    def site(self, number: int) -> Site:
        """See `Trace`."""
        return self._trace.site(number)

    def events(self) -> Sequence[Event]:
        """See `Trace`."""
        return self._trace.events()

    def interrupts(self) -> Sequence[Interrupt]:
        """See `Trace`."""
        return self._trace.interrupts()

    def context(self, seq: int, site_ids: Collection[int], n: int) -> Sequence[ExitRow]:
        """See `Trace`."""
        return self._trace.context(seq, site_ids, n)

    def accesses(self) -> Iterator[tuple[int, list[Access]]]:
        """See `Trace`. While the replay is at some exits, those after them are being answered."""
        stops = deque(self._stops())
        for first, rows in self._trace.accesses():
            self._play(first, rows, stops)
            while len(self._sent) > 1:
                yield self._hand_over()
        while self._sent:
            yield self._hand_over()

    def _hand_over(self) -> tuple[int, list[Access]]:
        batch = self._sent.popleft()
        self._collect(batch)
        self.first, self.rows, self.answers = batch.first, batch.rows, batch.answers
        return batch.first, batch.rows

    # Playing

    def _stops(self) -> Iterator[Event]:
        """The events before which all that was sent has to be answered: resets, each once, and serial input."""
        reset = 0  # the first is power-on, and several vCPUs may report one
        for event in self.events():
            if event.kind == SERIAL_INPUT or (event.kind == "reset" and event.seq > reset):
                reset = event.seq if event.kind == "reset" else reset
                yield event

    def _play(self, first: int, rows: list[Access], stops: deque[Event]) -> None:
        batch = Batch(first, rows, [None] * len(rows))
        self._sent.append(batch)
        start = 0
        while stops and stops[0].seq < first + len(rows):
            event = stops.popleft()
            end = max(start, event.seq - first)
            self._send(batch, start, end)
            start = end
            for sent in self._sent:
                self._collect(sent)
            if event.kind == "reset":
                self.hardware.reset()
            else:
                self._feed(event)
        self._send(batch, start, len(rows))

    def _send(self, batch: Batch, start: int, end: int) -> None:
        """Send the exits of a batch from place `start` up to, not including, `end`."""
        words, writes, reachable, ends = self._words, self._writes, self.is_reachable, self._ends_interrupts
        lines: list[bytes] = []
        awaited = batch.awaited
        time_ns = self._time_ns
        for place in range(start, end):
            t_ns, site, value = batch.rows[place]
            if not reachable[site]:
                continue
            if t_ns > time_ns:
                time_ns = t_ns
                lines.append(b"clock_set %d" % t_ns)
                awaited.append(_TIME)
            if not writes[site]:
                lines.append(words[site])
                awaited.append(place)
                continue
            if ends[site] and value & (_OCW2 | _EOI) == _EOI:
                port = self.packed_sites[site][0]
                lines += (b"outb %#x %d" % (port, _POLL), b"inb %#x" % port)
                awaited += (_IGNORED, _IGNORED)
                self.acknowledged += 1
            lines.append(b"%b %d" % (words[site], value))
            awaited.append(_IGNORED)
        self._time_ns = time_ns
        if lines:
            lines.append(b"")
            self.hardware.send(b"\n".join(lines))

    def _feed(self, event: Event) -> None:
        """Let the serial port receive the character that an event tells of, at the event's time."""
        if event.t_ns > self._time_ns:
            self._time_ns = event.t_ns
            self.hardware.send(f"{protocol.clock_set(event.t_ns)}\n".encode())
            self.hardware.replies(1)
        found = _CHARACTER.search(event.detail)
        self.is_fed &= found is not None and self.hardware.feed(int(found[1], 16))

    def _collect(self, batch: Batch) -> None:
        """Wait for all answers to what was sent of a batch."""
        awaited, answers, rows, sizes = batch.awaited, batch.answers, batch.rows, self._sizes
        if not awaited:
            return
        for place, reply in zip(awaited, self.hardware.replies(len(awaited)), strict=True):
            if place >= 0:
                answers[place] = answer = protocol.value(reply, sizes[rows[place][1]])
                if answer is None:
                    raise OracleError(f"{self.hardware.name} answered exit {batch.first + place} with {_shown(reply)}")
            elif reply.startswith(protocol.FAILURE):
                if place == _IGNORED:
                    raise OracleError(f"{self.hardware.name} refused a command: {_shown(reply)}")
                self.untimely += 1
        batch.awaited = []


def _shown(reply: bytes) -> str:
    return repr(reply[:80].decode(errors="replace"))
