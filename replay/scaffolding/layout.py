"""Which registers there are: the offsets and sizes that the guest accessed, made areas that each access is cut into.

A register is where accesses start. Where accesses overlap, the bytes are shared, as in a 32-bit register that is also
read by bytes, or they are not, as at an IDE drive's data port, whose word covers the byte register behind it: what the
recorded reads say decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from .observation import Seen

MANY: Final = 512
"""Registers; of more, stretches are looked at as memory."""

BLOCK_REGISTERS: Final = 64
"""The least number of registers, one behind the other, that may be memory."""

BLOCK_GAP: Final = 64
"""Bytes that nobody accessed may lie between them, at most."""

MOST_REGISTERS: Final = 1024
"""Those that are accessed most are looked at, the others are left out."""


class Event(NamedTuple):
    """An access as far as it reaches one register."""

    seq: int
    t_ns: int
    is_write: bool
    value: int
    """In place, and 0 elsewhere."""
    mask: int
    """The register's bits that it reaches."""


@dataclass(slots=True)
class Area:
    """A register's place, and what was done there."""

    offset: int
    size: int
    """Bytes."""
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """Memory: bytes that read as they were written."""

    offset: int
    size: int
    reads: int = 0
    writes: int = 0
    matched: int = 0
    """Reads that are so."""


class Shares(NamedTuple):
    """What an access reaches of one area."""

    area: Area
    start: int
    """First bit within the access."""
    bits: int
    shift: int
    """First bit within the area."""


@dataclass(slots=True)
class Layout:
    """All areas, by offset."""

    areas: list[Area] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    is_cut: bool = False
    """Whether some accesses reach a part of a register that is not its lowest, or several registers."""
    left_out: int = 0
    """Registers beyond `MOST_REGISTERS`."""
    reached: set[int] = field(default_factory=set)
    """The numbers of the accesses that reach areas with all their bytes."""


def lay_out(accesses: Sequence[Seen], described: Iterable[tuple[int, int]] = ()) -> Layout:
    """The registers of a device, with what was done to each.

    Args:
        accesses: all that was done.
        described: offsets and sizes in bytes of the registers that are known from elsewhere.
    """
    by_offset: dict[int, list[Seen]] = {}
    for seen in accesses:
        by_offset.setdefault(seen.offset, []).append(seen)
    places = {(seen.offset, seen.size) for seen in accesses}
    layout = Layout()
    areas = [Area(offset, size) for offset, size in described]
    known = {area.offset + at for area in areas for at in range(area.size)}
    rest = sorted(place for place in places if not known & set(range(place[0], place[0] + place[1])))
    for group in _overlapping(rest):
        areas += [Area(*place) for place in _registers(group, by_offset)]
    if len(areas) > MANY:
        areas = _without_blocks(areas, layout, by_offset)
    if len(areas) > MOST_REGISTERS:
        areas.sort(key=lambda area: -len(by_offset.get(area.offset, ())))
        layout.left_out = len(areas) - MOST_REGISTERS
        del areas[MOST_REGISTERS:]
    layout.areas = sorted(areas, key=lambda area: (area.offset, area.size))
    _deal(layout, accesses)
    return layout


def _overlapping(places: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Places that touch each other, directly or not, together."""
    group: list[tuple[int, int]] = []
    end = 0
    for offset, size in places:
        if group and offset >= end:
            yield group
            group = []
        group.append((offset, size))
        end = max(end, offset + size)
    if group:
        yield group


def _registers(group: Sequence[tuple[int, int]], by_offset: Mapping[int, list[Seen]]) -> list[tuple[int, int]]:
    """The registers in a group of overlapping places, as offset and size."""
    starts = sorted({offset for offset, _ in group})
    apart = [(start, max(size for offset, size in group if offset == start)) for start in starts]
    if len(apart) == 1:
        return apart
    here = _at(starts, by_offset)
    if _matches(here, is_shared=False) > _matches(here, is_shared=True):
        return apart
    bounds = sorted({bound for offset, size in group for bound in (offset, offset + size)})
    if (bounds[0], bounds[-1] - bounds[0]) in group:
        return [(bounds[0], bounds[-1] - bounds[0])]
    return [(low, high - low) for low, high in pairwise(bounds)]


def _at(offsets: Iterable[int], by_offset: Mapping[int, list[Seen]]) -> list[Seen]:
    """All accesses at these offsets, in order."""
    return sorted(seen for offset in offsets for seen in by_offset.get(offset, ()))


def _matches(accesses: Iterable[Seen], is_shared: bool) -> int:
    """How many bytes were read as they were written or read last, if places share bytes, or each has its own."""
    memory: dict[tuple[int, int], int] = {}
    matched = 0
    for _, _, offset, size, is_write, value in accesses:
        for at in range(size):
            key = (offset + at, 0) if is_shared else (offset, at)
            byte = value >> 8 * at & 0xFF
            matched += not is_write and memory.get(key) == byte
            memory[key] = byte
    return matched


def _without_blocks(areas: list[Area], layout: Layout, by_offset: Mapping[int, list[Seen]]) -> list[Area]:
    """The areas that are not memory; memory becomes blocks."""
    left: list[Area] = []
    stretch: list[Area] = []
    for area in [*sorted(areas, key=lambda area: area.offset), None]:
        if area is not None and (not stretch or area.offset <= stretch[-1].offset + stretch[-1].size + BLOCK_GAP):
            stretch.append(area)
            continue
        first = stretch[0].offset
        block = Block(first, max(one.offset + one.size for one in stretch) - first)
        if len(stretch) >= BLOCK_REGISTERS and _is_memory(block, _at(range(first, first + block.size), by_offset)):
            layout.blocks.append(block)
        else:
            left += stretch
        stretch = [area] if area is not None else []
    return left


def _is_memory(block: Block, accesses: Iterable[Seen]) -> bool:
    """Whether at least half of the reads of a block are as it was written, 0 before; its counts are set.

    Args:
        block: the block.
        accesses: all that was done to it.
    """
    memory: dict[int, int] = {}
    for _, _, offset, size, is_write, value in accesses:
        found = 0
        for at in range(size):
            found |= memory.get(offset + at, 0) << 8 * at
            if is_write:
                memory[offset + at] = value >> 8 * at & 0xFF
        block.writes += is_write
        block.reads += not is_write
        block.matched += not is_write and found == value
    return 2 * block.matched >= block.reads


def _deal(layout: Layout, accesses: Sequence[Seen]) -> None:
    """Give each area its share of each access, and blocks theirs."""
    starts = {area.offset: area for area in layout.areas}
    covering: dict[int, Area] = {}
    for area in layout.areas:
        covering.update((area.offset + at, area) for at in range(area.size) if area.offset + at not in starts)
    covering |= starts
    shares: dict[tuple[int, int], list[Shares]] = {}
    for seq, t_ns, offset, size, is_write, value in accesses:
        parts = shares.get((offset, size))
        if parts is None:
            parts = shares[offset, size] = list(_shares(covering, starts, offset, size))
            layout.is_cut |= len(parts) > 1 or any(part.shift for part in parts)
        if sum(part.bits for part in parts) == 8 * size:
            layout.reached.add(seq)
        for area, start, bits, shift in parts:
            full = (1 << bits) - 1
            area.events.append(Event(seq, t_ns, is_write, (value >> start & full) << shift, full << shift))


def _shares(covering: dict[int, Area], starts: dict[int, Area], offset: int, size: int) -> Iterator[Shares]:
    at = 0
    while at < size:
        area = covering.get(offset + at)
        if area is None:
            at += 1
            continue
        into = offset + at - area.offset
        length = min(size - at, area.size - into)
        if at or into:  # what does not begin where a register begins, ends where the next one does
            length = next((step for step in range(1, length) if offset + at + step in starts), length)
        yield Shares(area, 8 * at, 8 * length, 8 * into)
        at += length
