"""Which registers another register selects: index and data pairs, and banks that a bit switches.

Behind a selector a register is several: its cells. That is believed where the recorded reads are explained much better
so than by a single register, each cell's first read not counting, as it explains itself. And the selector must have
gone to and fro: a register that merely looks different later on is not selected.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from .layout import Area, Event

MOST_EVENTS: Final = 10_000
"""Of a register, those that are looked at."""

MOST_WORK: Final = 3_000_000
"""Accesses, counted at each look at them, after which the search ends."""

MOST_SELECTORS: Final = 12
"""Those that are written most."""

INDEX_VALUES: Final = 4
"""An index has so many values at least. Then it is one even if its cells were hardly read twice, so that it explains
little."""

PER_INDEX: Final = 8
"""Accesses to the data for each to the index, at most."""

AGREES: Final = 0.75
"""The part of the second and later reads of such cells that must be explained."""

PAIRS: Final = 4
PAIRS_AGREE: Final = 0.6
"""A bit of an index makes no difference if there are so many pairs of cells that differ by it alone, and this part of
them had the same."""

STAYS: Final = 0.95
"""And without it this part of what was explained must still be."""

MOST_CELLS: Final = 1024

LEAST_CHANGES: Final = 4
"""How often the selector must have changed between the accesses of what it selects."""

LEAST_GAIN: Final = 2
"""Reads that a selector must explain beyond those that are explained without."""

FOLLOWS: Final = 0.5
"""An index is one if at least this part of the accesses to its data came while it was the last of all other registers
to be written."""


class Selector(NamedTuple):
    """What selects a register's cells."""

    offset: int
    """Of the register that does it."""
    mask: int
    """Its bits that matter."""
    is_index: bool
    """Whether each value is a cell, and not some bits a bank."""


def find_selectors(areas: Sequence[Area]) -> dict[int, Selector]:
    """The selectors of the registers that have one, by offset."""
    writers = [area for area in areas if len({event.value for event in area.events if event.is_write}) > 1]
    writers = sorted(writers, key=lambda area: -len(area.events))[:MOST_SELECTORS]
    timelines = {writer.offset: _Timeline(writer) for writer in writers}
    behind = _behind(areas)
    by_offset = {area.offset: area for area in areas}
    found: dict[int, Selector] = {}
    work = 0
    for area in sorted(areas, key=lambda area: -len(area.events)):
        events = area.events[:MOST_EVENTS]
        plain = _score(events, [0] * len(events))
        reads = sum(not event.is_write for event in events)
        if reads <= plain + 1:
            continue  # it is explained without one
        best: tuple[bool, int] = False, 0
        for writer in writers:
            if writer is area or work > MOST_WORK:
                continue
            values = timelines[writer.offset].at(events)
            follows = behind[writer.offset, area.offset] >= FOLLOWS * len(area.events)
            for selector in _candidates(writer, follows and len(events) <= PER_INDEX * len(writer.events)):
                work += len(events)
                keys = [value & selector.mask for value in values]
                gain = _gain(area, events, selector, keys, plain)
                if gain is not None and (selector.is_index, gain) > best:
                    found[area.offset], best = selector, (selector.is_index, gain)
        if area.offset in found:
            found[area.offset] = _slimmed(by_offset, area.offset, found[area.offset])
    return found


def _gain(area: Area, events: Sequence[Event], selector: Selector, keys: Sequence[int], plain: int) -> int | None:
    """How many more reads a selector explains than are explained without it; None: it is not to be believed.

    Args:
        area: what may be selected.
        events: what was done to it.
        selector: the selector.
        keys: its values at the events.
        plain: how many reads are explained without it.
    """
    count = len(set(keys))
    if _changes(keys) < LEAST_CHANGES or count > MOST_CELLS:
        return None
    reads = sum(not event.is_write for event in events)
    gain = _score(events, keys) - plain
    enough = gain >= max(LEAST_GAIN, reads // 50)
    if not selector.is_index:
        return gain if enough else None
    if selector.offset > area.offset and gain < reads // 4:
        return None  # an index behind its data is unusual, so it takes more to believe it
    return gain if count >= INDEX_VALUES and (enough or _agrees(events, keys)) else None


def cells_of(area: Area, selecting: Area, selector: Selector) -> dict[int, list[Event]]:
    """The events of each cell, by the selector's value."""
    cells: dict[int, list[Event]] = {}
    for event, value in zip(area.events, _Timeline(selecting).at(area.events), strict=True):
        cells.setdefault(value & selector.mask, []).append(event)
    return cells


def _candidates(writer: Area, is_index: bool) -> Iterator[Selector]:
    """The whole register, if it may be an index, and each bit that its writes change."""
    if is_index:
        yield Selector(writer.offset, (1 << 8 * writer.size) - 1, True)
    writes = [event.value for event in writer.events if event.is_write]
    changing = 0
    for value in writes:
        changing |= value ^ writes[0]
    while changing:
        low = changing & -changing
        yield Selector(writer.offset, low, False)
        changing ^= low


def _behind(areas: Sequence[Area]) -> Counter[tuple[int, int]]:
    """How many accesses of one register came when of all others another one was written last."""
    order = sorted((event.seq, area.offset, event.is_write) for area in areas for event in area.events)
    found: Counter[tuple[int, int]] = Counter()
    last: int | None = None
    before: int | None = None
    """The last written register, and the last one before that was another."""
    for _, offset, is_write in order:
        other = before if offset == last else last
        if other is not None:
            found[other, offset] += 1
        if is_write and offset != last:
            last, before = offset, last
    return found


class _Timeline:
    """What was last written to a register at any time."""

    def __init__(self, writer: Area) -> None:
        writes = [event for event in writer.events if event.is_write]
        self._seqs = [event.seq for event in writes]
        self._values = [0]
        for event in writes:
            self._values.append(self._values[-1] & ~event.mask | event.value)

    def at(self, events: Iterable[Event]) -> list[int]:
        """The value at each of some events; 0 before the first write."""
        return [self._values[bisect_left(self._seqs, event.seq)] for event in events]


def _changes(keys: Sequence[int]) -> int:
    return sum(a != b for a, b in pairwise(keys))


def _score(events: Sequence[Event], keys: Sequence[int], price: int = 1) -> int:
    """Reads that are as most of their cell's, or as written last, less `price` for each cell."""
    constant: dict[int, dict[tuple[int, int], int]] = {}
    kept: dict[int, int] = {}
    for event, key, (value, known) in _remembered(events, keys):
        if event.is_write:
            continue
        shown = event.value, event.mask
        counts = constant.get(key)
        if counts is None:
            counts = constant[key] = {}
            kept[key] = 0
        counts[shown] = counts.get(shown, 0) + 1
        if not (event.value ^ value) & known & event.mask:
            kept[key] += 1
    return sum(max(*counts.values(), kept[key]) - price for key, counts in constant.items())


def _agrees(events: Sequence[Event], keys: Sequence[int]) -> bool:
    """Whether cells that were read again mostly had what they had before, or what was written."""
    again = same = 0
    for event, _, (value, known) in _remembered(events, keys):
        if not event.is_write and known & event.mask:
            again += 1
            same += not (event.value ^ value) & known & event.mask
    return again > 0 and same >= AGREES * again


def _remembered(events: Sequence[Event], keys: Sequence[int]) -> Iterator[tuple[Event, int, tuple[int, int]]]:
    """Each event, its cell, and what was written there last, or else read first, before it: value and known bits."""
    memory: dict[int, tuple[int, int]] = {}
    for event, key in zip(events, keys, strict=True):
        value, known = memory.get(key, (0, 0))
        yield event, key, (value, known)
        new = event.mask if event.is_write else event.mask & ~known
        memory[key] = value & ~new | event.value & new, known | new


def _slimmed(by_offset: Mapping[int, Area], offset: int, selector: Selector) -> Selector:
    """An index without the bits that make no difference: with and without each, mostly the same was found."""
    if not selector.is_index:
        return selector
    events = by_offset[offset].events[:MOST_EVENTS]
    values = _Timeline(by_offset[selector.offset]).at(events)
    usual: dict[int, Counter[int]] = {}
    for event, value in zip(events, values, strict=True):
        usual.setdefault(value, Counter())[event.value] += 1
    common = {value: counts.most_common(1)[0][0] for value, counts in usual.items()}
    mask = selector.mask
    explained = _score(events, [value & mask for value in values], 0)
    for bit in range(mask.bit_length()):
        pairs = [(common[value], common[value ^ 1 << bit]) for value in common if value ^ 1 << bit in common]
        same = [one for one, other in pairs if one == other]
        if len(pairs) < 2 * PAIRS or len(same) < PAIRS_AGREE * len(pairs) or len({*same} - {0}) < 2:
            continue
        fewer = mask & ~(1 << bit)
        if _score(events, [value & fewer for value in values], 0) >= STAYS * explained:
            mask = fewer
    return selector._replace(mask=mask)
