"""Where the accesses of each site go: looked up at a site's first access, and again when a registration changes there.

A boot has ten thousands of sites, most of which make one access, and its firmware moves devices a hundred times. So
looking up makes nothing but the callable that makes the access, and a change forgets only the sites that it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from .bus import BusRange, IoManager, MmioAddress, PioAddress, Route
from .device import Device, Window
from .verdict import Unclaimed

if TYPE_CHECKING:
    from .judging.watched import Watched
    from .trace.rows import PackedSite

# Bits of a site's kind, as trace/rows.py has them
SIZE: Final = 15
MMIO: Final = 16
WRITE: Final = 32

BACKGROUND_REGIONS: Final = frozenset(("", "io", "system"))
"""Names of regions that say no more than that nothing is there: QEMU's whole address spaces."""

_PAGE_BITS: Final = 12

_Entry = tuple[BusRange[Any], object]
"""A range and its device; a bus keeps it as long as it is registered."""


Reader = Callable[[], Any]
"""Makes a read. The answer may be anything that a model can give."""

Writer = Callable[[int], Any]
"""Makes a write."""


Ask = Callable[["Watched", "Target", Callable[..., Any], bool], Callable[..., Any]]
"""Gives what to call for an access instead of what makes it; with whether it is a read."""


Listen = Callable[["Watched", "Target", int, Callable[..., Any]], Callable[..., Any]]
"""Gives what to call for the accesses of a site, given by number, instead of what makes them."""


class StandIns(Protocol):
    """Who answers in the place of the board's devices."""

    def instead(self, device: Device) -> Device:
        """Who answers in the place of `device`; always the same one."""

    def elsewhere(self, number: int) -> Device:
        """Who answers the accesses of a site where nobody is, by address as offset."""


class Target(NamedTuple):
    """What an access reaches: an offset in a device's register space, and the access's size in bytes."""

    offset: int
    size: int


class Claim:
    """A range of a bus as one vCPU sees it."""

    __slots__ = ("device", "end", "first", "is_plain", "shift", "sites", "space", "vcpu", "watched")

    def __init__(
        self, device: object, first: int, end: int, space: int, vcpu: int, shift: int, watched: Watched
    ) -> None:
        self.first = first
        self.end = end
        """The address after its last one."""
        self.space = space
        """`MMIO` or 0."""
        self.vcpu = vcpu
        self.is_plain = False
        """Whether accesses go to a model, and all to what it gives for them."""
        self.device: Any = device
        """Who answers; for a `Window` the model behind it."""
        self.shift = shift
        """What to add to an address to get the offset in the device's register space."""
        self.watched = watched
        self.sites: list[int] = []
        """Numbers of the sites that were found to be of this claim."""


class Routes:
    """The routes of a trace's sites, and how often each was used.

    Args:
        io: the buses.
        sites: where accesses come from, by number.
        region_names: of the regions that `sites` tell of, by number.
        watch: gives the one to be judged for a device.
        ask: asked for what to call for an access, for those given to `guard`, and those with `observes`.
        stand_ins: who answers instead of the devices on the buses, if others do.
    """

    def __init__(
        self,
        io: IoManager,
        sites: Sequence[PackedSite],
        region_names: Mapping[int, str],
        watch: Callable[[object], Watched],
        ask: Ask,
        stand_ins: StandIns | None = None,
    ) -> None:
        self._io = io
        self._stand_ins = stand_ins
        self._sites = sites
        self._region_names = region_names
        self._watch = watch
        self._ask = ask
        self._guarded: set[Watched] = set()
        self.listen: Listen | None = None
        """Asked for what to call for all accesses that a device answers."""
        count = len(sites)
        self.readers: list[Reader | None] = [None] * count
        """What makes a site's reads. None if it does not read, if nobody is there, or if that is not known."""
        self.writers: list[Writer | None] = [None] * count
        """What makes a site's writes; where nobody is, of reads, too. None in both lists: ask `find`."""
        self.counts = [0] * count
        """Accesses that are not booked yet. Who makes an access counts it before."""
        self._claims: list[Claim | None] = [None] * count
        """Who answered a site's last access, if anybody did."""
        self._entries = self._registered()
        self._claims_of: dict[tuple[int, int], Claim] = {}
        """By id of a bus's entry, and vCPU."""
        self._last: Claim | None = None
        """That of the site that was looked up last: the next one is often beside it."""
        self._nobodys: dict[tuple[bool, int], list[int]] = {}
        """The sites where nobody is, by space and page."""
        self.is_selected: Sequence[bool] | None = None
        """By site, whether its accesses are judged; None: all are. The three that follow tell how to book."""
        self.judges = True
        """Whether accesses are judged at present. `settle` before it changes."""
        self.lists_unclaimed = True
        """Whether accesses that nobody answers are booked to `unclaimed`. If not, they are excluded."""
        self._unclaimed: dict[tuple[int, str, int], Unclaimed] = {}
        self.excluded_reads = self.excluded_writes = 0
        """Booked accesses that nobody answered, and that are not judged."""
        io.on_change(self._changed)

    def find(self, number: int) -> None:
        """Look up where a site's accesses go.

        A model is asked for the callable, and what it raises then goes on to the caller; `claimed` knows it by then.
        """
        address, kind, vcpu, _ = self._sites[number]
        size = kind & SIZE
        claim = self._last
        if (
            claim is None
            or not claim.first <= address <= claim.end - size
            or claim.space != kind & MMIO
            or claim.vcpu != vcpu
        ):
            io = self._io
            entry: _Entry | None = (io.mmio_bus.lookup if kind & MMIO else io.pio_bus.lookup)(address, size)
            if entry is None:
                self._nobodys.setdefault((kind & MMIO > 0, address >> _PAGE_BITS), []).append(number)
                if self._stand_ins is None:
                    self._claims[number] = None
                    self.writers[number] = _drop
                    return
                claim = self._claim_nobodys(self._stand_ins.elsewhere(number), number)
            else:
                found = self._claims_of.get((id(entry), vcpu))
                claim = self._last = self._claim(entry, number) if found is None else found
        claim.sites.append(number)
        self._claims[number] = claim
        if claim.is_plain:
            device = claim.device
            self._set(number, claim, (device.writer if kind & WRITE else device.reader)(address + claim.shift, size))
            return
        device, watched = claim.device, claim.watched
        access: Any
        if watched.retired is not None:
            access = _drop  # it is not even asked
        elif isinstance(device, Device):
            offset = address + claim.shift
            access = device.writer(offset, size) if kind & WRITE else device.reader(offset, size)
        else:
            route = self._resolve(address, kind)
            access = route.write if kind & WRITE else route.read
        if watched.observes or watched in self._guarded:
            access = self._ask(watched, Target(address + claim.shift, size), access, not kind & WRITE)
        self._set(number, claim, access)

    def _set(self, number: int, claim: Claim, access: Callable[..., Any]) -> None:
        """Make the accesses of a site so."""
        address, kind, _, _ = self._sites[number]
        if self.listen is not None:
            access = self.listen(claim.watched, Target(address + claim.shift, kind & SIZE), number, access)
        if kind & WRITE:
            self.writers[number] = access
        else:
            self.readers[number] = access

    def guard(self, watched: Watched) -> None:
        """Look all sites of a device up again, from now on asking what to call."""
        self._guarded.add(watched)
        for claim in self._claims_of.values():
            if claim.watched is watched:
                claim.is_plain = False
                self._forget(claim.sites)
                claim.sites.clear()

    def is_claimed(self, number: int) -> bool:
        """Whether somebody answered the last access of a site."""
        return self._claims[number] is not None

    def claimed(self, number: int) -> tuple[Watched, Target]:
        """Who answered the last access of a site that somebody answered, and what it reached."""
        claim = self._claims[number]
        assert claim is not None
        address, kind, _, _ = self._sites[number]
        return claim.watched, Target(address + claim.shift, kind & SIZE)

    def sites_of(self, watched: Watched, *, writes: bool = False) -> list[int]:
        """The sites, or only those that write, whose last access `watched` answered."""
        wanted = WRITE if writes else 0
        return [
            number
            for number, (claim, site) in enumerate(zip(self._claims, self._sites, strict=True))
            if claim is not None and claim.watched is watched and site[1] & wanted == wanted
        ]

    def judged(self, number: int) -> bool:
        """Whether an access of a site is judged now."""
        return self.judges and (self.is_selected is None or self.is_selected[number])

    def settle(self) -> None:
        """Book all accesses so far to those who answered them."""
        self._book(range(len(self.counts)))

    @property
    def unclaimed(self) -> list[Unclaimed]:
        """What was booked to nobody."""
        return list(self._unclaimed.values())

    # Who is where

    def _claim(self, entry: _Entry, number: int) -> Claim:
        """A new claim, that of site `number`."""
        bus_range, device = entry
        _, kind, vcpu, _ = self._sites[number]
        first = bus_range.base.value
        shift = -first
        if isinstance(device, Window) and isinstance(device.device, Device):
            shift += device.at
            device = device.device
        claim = Claim(device, first, first + bus_range.size, kind & MMIO, vcpu, shift, self._watch(device))
        self._claims[number] = self._claims_of[id(entry), vcpu] = claim
        if isinstance(device, Device):
            seen = device.seen_by(vcpu)
            if self._stand_ins is not None:
                seen = self._stand_ins.instead(seen)
            if seen is not device:
                claim.device = seen
                claim.watched = self._watch(seen)
            claim.is_plain = not claim.watched.observes and claim.watched not in self._guarded
        return claim

    def _claim_nobodys(self, device: Device, number: int) -> Claim:
        """A new claim of site `number` alone, for who answers where nobody is."""
        address, kind, vcpu, _ = self._sites[number]
        claim = Claim(device, address, address + (kind & SIZE), kind & MMIO, vcpu, 0, self._watch(device))
        self._claims_of[id(claim), vcpu] = claim
        claim.is_plain = claim.watched not in self._guarded
        return claim

    def _resolve(self, address: int, kind: int) -> Route:
        """The route to something that is no model."""
        size = kind & SIZE
        if kind & MMIO:
            return self._io.resolve_mmio(MmioAddress(address), size)
        return self._io.resolve_pio(PioAddress(address), size)

    def _registered(self) -> dict[int, tuple[bool, _Entry]]:
        """The entries of both buses, by id; and whether they are of the MMIO bus."""
        entries: dict[int, tuple[bool, _Entry]] = {id(entry): (False, entry) for entry in self._io.pio_bus}
        entries.update((id(entry), (True, entry)) for entry in self._io.mmio_bus)
        return entries

    def _changed(self) -> None:
        before, now = self._entries, self._registered()
        self._entries = now
        self._last = None
        gone = before.keys() - now.keys()
        if gone:
            for key in [key for key in self._claims_of if key[0] in gone]:
                self._forget(self._claims_of.pop(key).sites)
        for new in now.keys() - before.keys():
            is_mmio, (bus_range, _) = now[new]
            self._forget(self._take_nobodys(is_mmio, bus_range.base.value, bus_range.last.value))

    def _take_nobodys(self, is_mmio: bool, first: int, last: int) -> list[int]:
        """Remove, and return, the sites at addresses `first` to `last` where nobody was."""
        pages = range(first >> _PAGE_BITS, (last >> _PAGE_BITS) + 1)
        keys: Iterable[tuple[bool, int]] = ((is_mmio, page) for page in pages)
        if len(pages) > len(self._nobodys):
            keys = [key for key in self._nobodys if key[0] == is_mmio and key[1] in pages]
        taken: list[int] = []
        for key in keys:
            there = self._nobodys.get(key, ())
            inside = [number for number in there if first <= self._sites[number][0] <= last]
            if inside:
                taken += inside
                self._nobodys[key] = [number for number in there if not first <= self._sites[number][0] <= last]
        return taken

    def _forget(self, numbers: list[int]) -> None:
        """Book what these sites did so far, and have them looked up again."""
        self._book(numbers)
        for number in numbers:
            self.readers[number] = self.writers[number] = None

    # Booking

    def _book(self, numbers: Iterable[int]) -> None:
        counts, claims, sites = self.counts, self._claims, self._sites
        for number in numbers:
            count = counts[number]
            if not count:
                continue
            counts[number] = 0
            claim = claims[number]
            writes = count if sites[number][1] & WRITE else 0
            judged = self.judges and (self.is_selected is None or self.is_selected[number])
            if claim is not None:
                watched = claim.watched
                tally = watched.verdict.tally
                tally.exits += count
                tally.reads += count - writes
                tally.writes += writes
                if not judged:
                    watched.excluded_reads += count - writes
                    watched.excluded_writes += writes
            elif judged and self.lists_unclaimed:
                self._book_unclaimed(number, count)
            else:
                self.excluded_reads += count - writes
                self.excluded_writes += writes

    def _book_unclaimed(self, number: int, count: int) -> None:
        address, kind, _, region = self._sites[number]
        name = "" if region is None else self._region_names.get(region, "")
        if name in BACKGROUND_REGIONS:
            name = ""
        key = (kind & MMIO, name, 0 if name else address)
        row = self._unclaimed.get(key)
        if row is None:
            row = self._unclaimed[key] = Unclaimed("mmio" if kind & MMIO else "pio", name, address, address)
        if address < row.first:
            row.first = address
        if address + (kind & SIZE) - 1 > row.last:
            row.last = address + (kind & SIZE) - 1
        if kind & WRITE:
            row.writes += count
        else:
            row.reads += count


def _drop(value: int) -> None:
    """Where nobody is, nothing happens."""
