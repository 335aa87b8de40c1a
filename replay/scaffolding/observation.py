"""What a recorded guest did to one device: its accesses, by offset in the device's register space.

The device is one of the machine's, or a region of the trace's map, or a range of addresses. Of a device of the machine
a replay tells which accesses are its own, also while it moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..bus import BusRange
from ..device import Device, Window
from ..errors import DeviceConfigError, NothingComparedError, ScaffoldError, UnknownMachineError
from ..guest import Guest
from ..machines import Board, Replacement, build
from ..registers import RegisterMap
from ..replayer import Replayer
from ..routes import BACKGROUND_REGIONS, MMIO, SIZE, WRITE
from ..selection import AddressRange
from ..trace.reader import TraceReader
from ..trace.rows import KIND_STRING, Access
from ..trace.schema import U64_MASK

MOST_ACCESSES: Final = 500_000
"""No more are looked at."""


class Seen(NamedTuple):
    """An access to the device."""

    seq: int
    t_ns: int
    offset: int
    size: int
    """Bytes."""
    is_write: bool
    value: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of the device's register space was seen."""

    space: str
    """"pio" or "mmio"."""
    base: int
    size: int
    at: int = 0
    """The offset that `base` shows."""

    def __str__(self) -> str:
        end = f"-{self.base + self.size - 1:#x}" if self.size > 1 else ""
        return f"{self.space} {self.base:#x}{end}{f' at offset {self.at:#x}' if self.at else ''}"


@dataclass(slots=True)
class Observation:
    """All that a trace shows of a device."""

    trace: str
    """The trace's name."""
    machine: str
    name: str
    """What it is called in the trace."""
    title: str
    """What it is, if that is known."""
    places: tuple[Place, ...]
    is_of_machine: bool = False
    """Whether the machine that vmdev builds has a device of that name."""
    is_needed: bool = False
    """Whether other devices of that machine ask more of it than a `Device` has."""
    clock: str = "virtual"
    """The trace's clock, see `Guest`."""
    accesses: list[Seen] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    """Resets after power-on, each before the exit of that number."""
    strings: set[int] = field(default_factory=set)
    """Offsets of string instructions' accesses."""
    total: int = 0
    """Number of accesses, of which only the first `MOST_ACCESSES` are here."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of the choice."""

    @property
    def reads(self) -> int:
        """Number of reads among `accesses`."""
        return sum(not seen.is_write for seen in self.accesses)

    @property
    def option(self) -> str:
        """What ``vmdev replay --device`` takes before and behind the model: ``com1={}`` or ``x={}@pio:0x3f8-0x3ff``."""
        if self.is_of_machine:
            return f"{self.name}={{}}"
        place = self.places[0]
        return f"{self.name}={{}}@{place.space}:{place.base:#x}-{place.base + place.size - 1:#x}"


def observe_device(reader: TraceReader, name: str) -> Observation:
    """What the guest did to a device of the machine, or if there is none of that name, to a region.

    Raises:
        ScaffoldError: there is neither, or it was not accessed.
    """
    try:
        board = build(reader.guest)
    except UnknownMachineError:
        board = Board(reader.guest.machine)
    if name in board.devices:
        return _of_machine(reader, board, name)
    used = _used_regions(reader) - BACKGROUND_REGIONS
    if name in used | {region.name for region in reader.guest.regions} - BACKGROUND_REGIONS:
        return _of_region(reader, name)
    known = ", ".join(dict.fromkeys([*board.devices, *sorted(used)])) or "none"
    raise ScaffoldError(f"{reader.path}: the trace has no device or region {name!r}; there are {known}")


def observe_range(reader: TraceReader, asked: AddressRange, name: str | None = None) -> Observation:
    """What the guest did at a range of addresses.

    Raises:
        ScaffoldError: nothing.
    """
    has_ports = reader.guest.target in ("i386", "x86_64")
    space = asked.space or ("pio" if has_ports and asked.last < 1 << 16 else "mmio")
    where = AddressRange(space, asked.first, asked.last)
    offsets = {}
    for number, (address, kind, _, _) in enumerate(reader.packed_sites):
        if asked.first <= address and where.holds("mmio" if kind & MMIO else "pio", address, kind & SIZE):
            offsets[number] = address - asked.first
    place = Place(space, asked.first, asked.last - asked.first + 1)
    return _fill(reader, _observation(reader, name or f"{space}-{asked.first:x}", (place,)), offsets)


# Devices of the machine


def _of_machine(reader: TraceReader, board: Board, name: str) -> Observation:
    """A replay tells which accesses are the device's, also while it moves."""
    device = board.devices[name]
    found = _observation(reader, name, (), getattr(device, "title", ""))
    found.is_of_machine = True
    found.is_needed = _is_needed(reader.guest, name)
    sites = reader.packed_sites
    replayer = Replayer(reader, board, devices=(name,))

    def observe(first: int, rows: Sequence[Access]) -> None:
        offsets: dict[int, int | None] = {}
        for seq, (t_ns, number, value) in enumerate(rows, first):
            if number not in offsets:
                claim = replayer.claim(number)
                offsets[number] = claim[2] if claim and claim[0] == name else None
            offset = offsets[number]
            if offset is not None:
                _note(found, seq, t_ns, offset, sites[number][1], value)

    with suppress(NothingComparedError):
        replayer.run(observe=observe)
    found.places = tuple(_places_of(board, device))
    return _checked(reader, found)


def _places_of(board: Board, device: Device) -> Iterator[Place]:
    """Where the device is when the replay is over."""
    for bus, space in ((board.io.pio_bus, "pio"), (board.io.mmio_bus, "mmio")):
        entries: Iterable[tuple[BusRange[Any], object]] = bus
        for found, there in entries:
            at = there.at if isinstance(there, Window) else 0
            if (there.device if isinstance(there, Window) else there) is device:
                yield Place(space, found.base.value, found.size, at)


def _is_needed(guest: Guest, name: str) -> bool:
    """Whether the board cannot be built with a model in this one's place that has no more than a `Device`."""

    class Plain(Device):
        registers = RegisterMap()

        def reset(self) -> None:
            pass

    try:
        build(guest, replacements={name: Replacement(lambda *_: Plain())})
    except (DeviceConfigError, AttributeError):
        return True
    return False


# Addresses


def _of_region(reader: TraceReader, name: str) -> Observation:
    """The place of a region that was accessed most; a region that moved, or that several devices have, has others."""
    sites = _region_sites(reader, name)
    if not sites:
        raise ScaffoldError(f"{reader.path}: the guest did not access {name}")
    counts = reader.count_by_site()
    offered: dict[tuple[str, int], tuple[int, int]] = {}
    """By space and base: the size, and how often it was accessed."""
    members: dict[tuple[str, int], dict[int, int]] = {}
    maps = {(r.space, r.first, r.last, r.offset): r for r in reader.guest.regions if r.name == name}.values()
    for number in sites:
        address, kind, _, _ = reader.packed_sites[number]
        space = "mmio" if kind & MMIO else "pio"
        region = next((r for r in maps if r.space == space and r.first <= address <= r.last), None)
        base = region.first - region.offset if region else address & -_PAGE if kind & MMIO else address
        end = max(address + (kind & SIZE), region.last + 1 if region else 0)
        size, count = offered.get((space, base), (0, 0))
        offered[space, base] = max(size, end - base), count + counts[number]
        members.setdefault((space, base), {})[number] = address - base
    chosen = max(offered, key=lambda key: offered[key][1])
    place = Place(*chosen, offered[chosen][0])
    found = _observation(reader, name, (place,))
    if len(offered) > 1:
        others = ", ".join(str(Place(*key, offered[key][0])) for key in sorted(offered) if key != chosen)
        found.notes.append(
            f"{name} is at {place}, where it was accessed most, and at {others}: name those by --address"
        )
    return _fill(reader, found, members[chosen])


_PAGE: Final = 0x1000


def _region_sites(reader: TraceReader, name: str) -> list[int]:
    wanted = {number for number, region in reader.region_names.items() if region == name}
    return [number for number, site in enumerate(reader.packed_sites) if site[3] in wanted]


def _used_regions(reader: TraceReader) -> set[str]:
    return {reader.region_names.get(site[3], "") for site in reader.packed_sites if site[3] is not None}


def _fill(reader: TraceReader, found: Observation, offsets: Mapping[int, int]) -> Observation:
    """Gather the accesses of sites, each with its offset."""
    sites = reader.packed_sites
    for rows in reader.find(site_ids=list(offsets)):
        for seq, t_ns, number, value in rows:
            _note(found, seq, t_ns, offsets[number], sites[number][1], value & U64_MASK)
    return _checked(reader, found)


# All of them


def _observation(reader: TraceReader, name: str, places: tuple[Place, ...], title: str = "") -> Observation:
    guest = reader.guest
    resets = sorted({event.seq for event in reader.events() if event.kind == "reset" and event.seq})
    return Observation(reader.path.name, guest.machine, name, title, places, clock=guest.clock, resets=resets)


def _note(found: Observation, seq: int, t_ns: int, offset: int, kind: int, value: int) -> None:
    found.total += 1
    if len(found.accesses) < MOST_ACCESSES:
        found.accesses.append(Seen(seq, t_ns, offset, kind & SIZE, kind & WRITE > 0, value))
        if kind & KIND_STRING:
            found.strings.add(offset)


def _checked(reader: TraceReader, found: Observation) -> Observation:
    if not found.accesses:
        raise ScaffoldError(f"{reader.path}: the guest did not access {found.name}")
    if found.total > len(found.accesses):
        found.notes.append(f"only the first {len(found.accesses):,} of {found.total:,} accesses are looked at")
    return found
