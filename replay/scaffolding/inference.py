"""What each register of a device is, from what was done to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from .behaviour import Behaviour, infer, replay
from .counters import CounterRule, find_counter
from .descriptions import Described
from .layout import Area, Block, Event, lay_out
from .observation import Observation
from .selectors import Selector, cells_of, find_selectors

LEAST_EXPLAINED: Final = 0.75
"""A register of which a lesser part of the reads is explained answers none."""

STATUS_VALUES: Final = 8
STATUS_EXPLAINED: Final = 0.5
"""The same for a status: it showed no more than `STATUS_VALUES` values, each some times, and came back to one."""


@dataclass(slots=True)
class Cell:
    """A register, or behind a selector one of several."""

    selected: int
    """The selector's value; 0 without one."""
    reads: int
    writes: int
    values: Counter[int]
    """What was read, how often."""
    behaviour: Behaviour | None = None
    """None: reads have no rule, or there were none."""
    matched: int = 0
    """Reads that the behaviour explains."""
    varying: int = 0
    """Bits that it does not explain in all reads."""
    missed: Sequence[int] = ()
    """The numbers of the other reads."""

    @property
    def is_explained(self) -> bool:
        """Whether every read is."""
        return self.matched == self.reads


@dataclass(slots=True)
class Inferred:
    """What is at one offset."""

    offset: int
    size: int
    """Bytes."""
    cells: list[Cell]
    selector: Selector | None = None
    selects: list[int] = field(default_factory=list)
    """Offsets of the registers that it selects."""
    counter: CounterRule | None = None
    is_string: bool = False
    """Whether string instructions were used."""
    described: list[Described] = field(default_factory=list)
    """What a description says is here: one, or one for reads and one for writes."""

    @property
    def reads(self) -> int:
        """How often it was read."""
        return sum(cell.reads for cell in self.cells)

    @property
    def writes(self) -> int:
        """How often it was written."""
        return sum(cell.writes for cell in self.cells)

    @property
    def matched(self) -> int:
        """Reads that are explained."""
        return sum(cell.matched for cell in self.cells)

    @property
    def bits(self) -> int:
        """All of its bits."""
        return (1 << 8 * self.size) - 1


@dataclass(slots=True)
class Inference:
    """All of a device."""

    registers: list[Inferred]
    blocks: list[Block]
    is_cut: bool
    left_out: int
    reads: int
    """How often the device was read."""
    matched: int
    """How many of these reads the registers explain, in all their parts."""


def infer_device(seen: Observation, described: Sequence[Described] = ()) -> Inference:
    """What a device's registers are.

    Args:
        seen: what the guest did.
        described: what is known of them.
    """
    layout = lay_out(seen.accesses, {each.offset: each.size for each in described}.items())
    selectors = find_selectors(layout.areas)
    by_offset = {area.offset: area for area in layout.areas}
    registers = []
    for area in layout.areas:
        here = [each for each in described if each.offset == area.offset]
        registers.append(_register(seen, area, by_offset, selectors.get(area.offset), here))
    for register in registers:
        register.selects = [offset for offset, selector in selectors.items() if selector.offset == register.offset]
    reads = {access.seq for access in seen.accesses if not access.is_write}
    missed = {seq for register in registers for cell in register.cells for seq in cell.missed}
    matched = len((reads & layout.reached) - missed) + sum(block.matched for block in layout.blocks)
    return Inference(registers, layout.blocks, layout.is_cut, layout.left_out, len(reads), matched)


def _register(
    seen: Observation,
    area: Area,
    by_offset: dict[int, Area],
    selector: Selector | None,
    described: list[Described],
) -> Inferred:
    found = Inferred(area.offset, area.size, [], selector, described=described)
    found.is_string = area.offset in seen.strings
    known = next((each for each in described if "r" in each.access), described[0] if described else None)
    if selector is not None:
        cells = cells_of(area, by_offset[selector.offset], selector)
        found.cells = [_cell(key, cells[key], found.bits, seen.resets, None) for key in sorted(cells)]
        return found
    counter = find_counter(area.events, seen.clock == "virtual") if seen.clock != "none" else None
    if counter is not None:
        found.counter = counter = _started(counter, by_offset.values())
        reads = [event for event in area.events if not event.is_write]
        values = Counter(event.value for event in reads)
        missed = [event.seq for event in reads if not counter.explains(event.t_ns, event.value, event.mask)]
        cell = Cell(0, len(reads), len(area.events) - len(reads), values, None, len(reads) - len(missed), missed=missed)
        found.cells = [cell]
        return found
    found.cells = [_cell(0, area.events, found.bits, seen.resets, known)]
    return found


def _started(counter: CounterRule, areas: Iterable[Area]) -> CounterRule:
    """The counter with the write that started it, if there was one at the time."""
    first_ns, last_ns = counter.start_ns
    if last_ns <= 0:
        return counter
    for area in areas:
        before = 0
        for event in area.events:
            if not event.is_write:
                continue
            if event.t_ns > last_ns:
                break
            new = event.value & ~before
            if event.t_ns >= first_ns and new:
                return replace(counter, phase_ns=-event.t_ns, started_by=(area.offset, new))
            before = before & ~event.mask | event.value
    return counter


def _cell(
    selected: int, events: Sequence[Event], full: int, resets: Sequence[int], described: Described | None
) -> Cell:
    values = Counter(event.value for event in events if not event.is_write)
    reads = values.total()
    cell = Cell(selected, reads, len(events) - reads, values)
    known = described.behaviour if described is not None else None
    if not reads:
        if known is not None and described is not None and "r" in described.access:
            cell.behaviour = known
        return cell
    behaviour = infer(events, full, resets, known)
    replayed = replay(events, behaviour, resets)
    cell.varying = sum(1 << bit for bit in replayed.wrong)
    is_status = len(values) <= STATUS_VALUES and reads >= 4 * len(values) and _returns(events)
    needed = STATUS_EXPLAINED if is_status else LEAST_EXPLAINED
    if replayed.matched >= needed * reads:
        cell.behaviour, cell.matched, cell.missed = behaviour, replayed.matched, replayed.missed
    else:
        cell.missed = [event.seq for event in events if not event.is_write]
    return cell


def _returns(events: Iterable[Event]) -> bool:
    """Whether a value that was read gave way to another and came back: else it just went on, as time does."""
    read = [event.value for event in events if not event.is_write]
    runs = [value for value, _ in groupby(read)]
    return len(runs) > len(set(runs))
