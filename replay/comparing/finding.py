"""How what differs is found: device by device, accesses are paired, and the values of each pair compared."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..registers import Direction
from . import losses
from .alignment import Block, align
from .comparison import Comparison, DeviceCounts, Subject, Unpaired
from .pairing import Step, find_moved, find_repeats, pair
from .places import Places
from .streams import Accesses, Streams
from .values import Values

_WRITE: Final = 1 << 63
"""Marks the symbols of writes, so that none is that of a read."""

_ENDS_OF_INTERRUPT: Final = {"PIC1_OCW2": 0x20, "PIC2_OCW2": 0x20, "EOI": 0, "EOIR": 0}
"""Registers whose writes with these bits end an interrupt: there are as many as interrupts came, and when they came."""

_Rows = dict[tuple[str, Direction], Unpaired]


@dataclass(frozen=True, slots=True)
class Recording:
    """One of two recordings, gathered."""

    subject: Subject
    streams: Streams
    diverging: frozenset[tuple[str, str]] | None = None
    """Devices and registers of which a model answered otherwise than recorded; None: that is not known."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Accesses that the other recording cannot have, by why; they are in no stream."""


def compare(a: Recording, b: Recording, places: Places, progress: Callable[[int], None] | None = None) -> Comparison:
    """Compare two recordings whose places are numbered alike.

    `progress` is called with the number of accesses of both that were dealt with since the last call.
    """
    result = Comparison(a.subject, b.subject)
    for recording in (a, b):
        for what, count in recording.left_out.items():
            _count(result.declared, what, count)
    for device in dict.fromkeys((*a.streams.counts, *b.streams.counts)):
        _Device(device, a, b, places, result).run(progress)
    return result


class _Device:
    """The comparison of one device."""

    def __init__(self, device: str, a: Recording, b: Recording, places: Places, result: Comparison) -> None:
        self._places = places
        self._result = result
        self._counts = DeviceCounts(device)
        self._streams = [a.streams.read(device), b.streams.read(device)]
        self._log: int | None = None
        """Which of the two is a log of what the device saw, if the other is not."""
        self._recast = losses.Recast()
        of_devices = [each.subject.format in losses.SEEN_BY_DEVICES for each in (a, b)]
        if of_devices[0] != of_devices[1]:
            self._log = of_devices.index(True)
            log, other = (a, b) if of_devices[0] else (b, a)
            self._recast = losses.recast(places, other.streams.places(device), log.streams.places(device))
            self._streams[1 - self._log] = self._recast.stream(self._streams[1 - self._log])
        self._values = Values(places, self._recast.widened, (a.diverging, b.diverging))
        self._missing: _Rows = {}
        self._moved: _Rows = {}
        self._repeats: _Rows = {}

    def run(self, progress: Callable[[int], None] | None) -> None:
        """Add what differs to the result."""
        for step in pair(self._streams[0], self._streams[1], self._symbols):
            self._take(step)
            if progress is not None:
                progress(step.end_a + step.end_b)
        result, counts, values = self._result, self._counts, self._values
        swapped = values.drop_swapped() if self._log is not None else 0
        for what, count in (
            (losses.SPLIT, self._recast.split_count), (losses.WIDENED, values.widened_count), (losses.SWAPPED, swapped),
        ):  # fmt: skip
            _count(result.declared, what, count)
        counts.differing = values.differing_count
        result.differences += values.differences()
        result.missing += self._missing.values()
        result.moved += self._moved.values()
        result.repeats += self._repeats.values()
        result.devices.append(counts)

    def _symbols(self, accesses: Accesses) -> array[int]:
        """What tells which accesses can be the same: the place, and of writes the value."""
        places, widened = self._places, self._recast.widened
        symbols = array("Q")
        for place, value in zip(accesses.places, accesses.values, strict=True):
            if place in widened:
                place, shift = widened[place]
                value <<= shift
            symbols.append(hash((place, value)) & _WRITE - 1 | _WRITE if places.is_write(place) else place)
        return symbols

    def _take(self, step: Step) -> None:
        counts, compare_values = self._counts, self._values.compare
        counts.a += step.end_a
        counts.b += step.end_b
        left_a: list[int] = []
        left_b: list[int] = []
        i = j = 0
        for block in (*step.blocks, Block(step.end_a, step.end_b, 0)):
            for one in (*self._of_other_values(step, i, block.i, j, block.j), block):
                left_a += range(i, one.i)
                left_b += range(j, one.j)
                i, j = one.i + one.n, one.j + one.n
                counts.pairs += one.n
                compare_values(step, one)
        self._sort(step, left_a, left_b)

    def _sort(self, step: Step, left_a: list[int], left_b: list[int]) -> None:
        """Tell loops that ran more often, what was made in another order, and what only one of them has."""
        repeats_a, repeats_b = (
            find_repeats(step.before_a, step.symbols_a, left_a),
            find_repeats(step.before_b, step.symbols_b, left_b),
        )
        moved = find_moved(step, [k for k in left_a if k not in repeats_a], [k for k in left_b if k not in repeats_b])
        for i, j in moved:
            self._counts.moved += 1
            self._values.compare(step, Block(i, j, 1))
            self._add(self._moved, 0, step.a, i)
            self._add(self._moved, 1, step.b, j)
        for side, accesses, before, symbols, left, repeats, gone in (
            (0, step.a, step.before_a, step.symbols_a, left_a, repeats_a, {i for i, _ in moved}),
            (1, step.b, step.before_b, step.symbols_b, left_b, repeats_b, {j for _, j in moved}),
        ):
            rest = [k for k in left if k not in gone]
            if gone:
                repeats |= find_repeats(before, symbols, rest, gone)
            for k in rest:
                self._add_unpaired(side, accesses, k, k in repeats or self._ends_interrupt(accesses, k))

    def _of_other_values(self, step: Step, i: int, i_end: int, j: int, j_end: int) -> list[Block]:
        """Of accesses between two pairs, the writes that are the same but for their values."""
        if i == i_end or j == j_end:
            return []
        left, right = self._identities(step.a.places[i:i_end]), self._identities(step.b.places[j:j_end])
        return [Block(i + block.i, j + block.j, block.n) for block in align(left, right)]

    def _identities(self, places: Sequence[int]) -> list[int]:
        widened = self._recast.widened
        return [widened[place][0] if place in widened else place for place in places]

    def _ends_interrupt(self, accesses: Accesses, k: int) -> bool:
        place = accesses.places[k]
        bits = _ENDS_OF_INTERRUPT.get(self._name(place))
        return bits is not None and self._places.is_write(place) and accesses.values[k] & bits == bits

    def _add_unpaired(self, side: int, accesses: Accesses, k: int, is_repeat: bool) -> None:
        """Count an access without a counterpart."""
        counts, place = self._counts, accesses.places[k]
        reason = self._declared(side, place)
        if reason is not None:
            _count(self._result.declared, reason, 1)
        else:
            self._add(self._repeats if is_repeat else self._missing, side, accesses, k)
        if side == 0:
            counts.declared_a += reason is not None
            counts.repeats_a += reason is None and is_repeat
            counts.only_a += reason is None and not is_repeat
        else:
            counts.declared_b += reason is not None
            counts.repeats_b += reason is None and is_repeat
            counts.only_b += reason is None and not is_repeat

    def _declared(self, side: int, place: int) -> str | None:
        """Why the other recording cannot have an access, by its importer's own word."""
        if self._log is None:
            return None
        where = self._places[place]
        return losses.only_by_device(where) if side == self._log else losses.only_by_guest(where, self._name(place))

    def _add(self, rows: _Rows, side: int, accesses: Accesses, k: int) -> None:
        place = accesses.places[k]
        name, direction = self._name(place), self._places[place].direction
        row = rows.get((name, direction))
        if row is None:
            row = rows[name, direction] = Unpaired(self._counts.device, name, direction)
        if side == 0:
            row.a += 1
            if row.seq_a is None:
                row.seq_a, row.value_a = accesses.seqs[k], accesses.values[k]
        else:
            row.b += 1
            if row.seq_b is None:
                row.seq_b, row.value_b = accesses.seqs[k], accesses.values[k]

    def _name(self, place: int) -> str:
        return "+".join(self._places.part_name(place, part) for part in self._places.parts(place))


def _count(counts: dict[str, int], what: str, count: int) -> None:
    if count:
        counts[what] = counts.get(what, 0) + count
