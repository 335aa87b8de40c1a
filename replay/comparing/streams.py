"""Streams: the accesses of one recording, by device, each with the place that it reaches.

What a place is depends on the accesses before it: index registers, banks, address spaces that move. So the recording is
replayed, and its models are asked after each access. What no model answers is placed by the region map.

A stream is kept in a file, and read in pieces: memory does not grow with the recording.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, Literal, NamedTuple

from ..device import Device
from ..guest import Guest, Region
from ..naming import Piece, pieces
from ..registers import Direction, RegisterMap
from ..routes import BACKGROUND_REGIONS, MMIO, SIZE, WRITE
from .places import NOBODY, Place, Places

if TYPE_CHECKING:
    from ..trace.rows import Access, PackedSite

STRING: Final = 64
"""Bit of a site's kind, as trace/rows.py has it."""

BLOCK: Final = 4096
"""Accesses that are written and read at a time."""

_UNHEARD: Final = -1


class Accesses(NamedTuple):
    """Some accesses of a device, in order. Each has its place's number, its value, and its seq."""

    places: array[int]
    values: array[int]
    seqs: array[int]

    @classmethod
    def none(cls) -> Accesses:
        """None yet."""
        return cls(array("I"), array("Q"), array("Q"))


class Streams:
    """The streams of one recording. A context manager."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="vmdev-compare-")  # noqa: SIM115  (`__exit__` closes it)
        self._written: dict[str, list[tuple[int, int]]] = {}
        self._pending: dict[str, Accesses] = {}
        self._places: dict[str, set[int]] = {}
        self.counts: dict[str, int] = {}
        """Accesses by device."""

    def __enter__(self) -> Streams:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def pending(self, device: str, place: int) -> Accesses:
        """Where accesses to one of a device's places are appended; `keep` is to be called now and then."""
        if device not in self._pending:
            self._pending[device] = Accesses.none()
            self._written[device] = []
            self._places[device] = set()
            self.counts[device] = 0
        self._places[device].add(place)
        return self._pending[device]

    def places(self, device: str) -> Collection[int]:
        """The places of a device that were accessed."""
        return self._places.get(device, ())

    def keep(self, at_least: int = BLOCK) -> None:
        """Write what is pending of devices that have so many accesses."""
        for device, columns in self._pending.items():
            count = len(columns.places)
            if count >= at_least:
                self._written[device].append((self._file.tell(), count))
                self.counts[device] += count
                for column in columns:
                    self._file.write(column.tobytes())
                    del column[:]

    def read(self, device: str) -> Iterator[Accesses]:
        """The accesses of a device, in order, in pieces. All must have been kept."""
        for at, count in self._written.get(device, ()):
            self._file.seek(at)
            found = Accesses.none()
            for column in found:
                column.frombytes(self._file.read(count * column.itemsize))
            yield found


class Gatherer:
    """Fills streams with what a replay tells.

    Args:
        streams: to be filled.
        places: of both recordings.
        sites: the trace's.
        region_names: the trace's.
        guest: the trace's; its region map tells the offsets in regions.
        first: number of the first exit.
        devices: names of the devices on the board, which no region is to be taken for.
        wanted: the devices to gather; empty: all.
        firsts_only: of INS and OUTS, only the first element of a row.
        no_ports: no accesses to ports.
    """

    def __init__(
        self,
        streams: Streams,
        places: Places,
        sites: Sequence[PackedSite],
        region_names: Mapping[int, str],
        guest: Guest,
        first: int,
        devices: Collection[str] = (),
        wanted: frozenset[str] = frozenset(),
        firsts_only: bool = False,
        no_ports: bool = False,
    ) -> None:
        self._streams = streams
        self._places = places
        self._sites = sites
        self._region_names = region_names
        self._regions: dict[str, list[Region]] = {}
        for region in reversed(guest.regions):
            self._regions.setdefault(region.name, []).append(region)
        self._devices = devices
        self._wanted = wanted
        self._firsts_only = firsts_only
        self._no_ports = no_ports
        self._next = first
        self._heard: array[int] = array("l")
        self._of_site: dict[int, int] = {}
        self._columns: dict[int, Accesses | None] = {}
        self._banked: dict[int, tuple[RegisterMap, frozenset[int]]] = {}
        self._last_string = -1
        self.elements = 0
        """Elements of INS and OUTS that were left out."""
        self.ports = 0
        """Accesses to ports that were left out."""

    def follow(
        self, name: str, model: Device | None, offset: int, size: int, direction: Direction
    ) -> Callable[[int], None]:
        """What to call, with its seq, after each access of that kind."""
        if model is None or not self._is_banked(model, offset, size):
            known: list[int] = []

            def after(seq: int) -> None:
                if not known:
                    known.append(self._place(name, model, offset, size, direction, ()))
                self._hear(seq, known[0])

            return after
        numbers: dict[tuple[str | None, ...], int] = {}
        byte_offsets = range(offset, offset + size)

        def after_banked(seq: int) -> None:
            banks: tuple[str | None, ...] = ()
            with suppress(Exception):
                banks = tuple(map(model.bank, byte_offsets))
            number = numbers.get(banks)
            if number is None:
                number = numbers[banks] = self._place(name, model, offset, size, direction, banks)
            self._hear(seq, number)

        return after_banked

    def __call__(self, first: int, rows: Sequence[Access]) -> None:
        """Add exits, the first of which is number `first`. All must be given, in order."""
        heard, of_site, columns_of = self._heard, self._of_site, self._columns
        heard.extend([_UNHEARD] * (len(rows) - len(heard)))
        for seq, number, (_, site, value) in zip(range(first, first + len(rows)), heard, rows, strict=True):
            if number < 0:
                number = of_site[site] if site in of_site else self._unclaimed(site)
            if self._firsts_only and self._is_repeated(site):
                self.elements += 1
                continue
            if self._no_ports and not self._sites[site][1] & MMIO:
                self.ports += 1
                continue
            columns = columns_of[number] if number in columns_of else self._columns_for(number)
            if columns is not None:
                columns.places.append(number)
                columns.values.append(value)
                columns.seqs.append(seq)
        del heard[:]
        self._next = first + len(rows)
        self._streams.keep()

    def _hear(self, seq: int, number: int) -> None:
        heard = self._heard
        missing = seq - self._next - len(heard)
        if missing > 0:
            heard.extend([_UNHEARD] * missing)
        heard.append(number)

    def _is_repeated(self, site: int) -> bool:
        """Whether an access is an element of INS or OUTS right after another."""
        last, self._last_string = self._last_string, site if self._sites[site][1] & STRING else -1
        return last == self._last_string != -1

    def _columns_for(self, number: int) -> Accesses | None:
        device = self._places[number].device
        columns = self._streams.pending(device, number) if not self._wanted or device in self._wanted else None
        self._columns[number] = columns
        return columns

    def _place(
        self,
        name: str,
        model: Device | None,
        offset: int,
        size: int,
        direction: Direction,
        banks: tuple[str | None, ...],
    ) -> int:
        place = Place(name, direction, offset, size, banks)

        def parts() -> tuple[Piece, ...]:
            if model is not None:
                with suppress(Exception):  # a user's model may have no register map
                    return tuple(pieces(model, offset, size, direction))
            return (Piece(None, 0, 8 * size, 0),)

        return self._places.number(place, parts)

    def _is_banked(self, model: Device, offset: int, size: int) -> bool:
        """Whether what is at these bytes depends on a bank."""
        registers = model.registers
        if type(registers) is not RegisterMap:
            return True  # it finds registers in a way of its own
        known = self._banked.get(id(registers))
        if known is None:
            offsets = frozenset(
                register.offset + into
                for register in registers
                if register.bank is not None
                for into in range(register.width // 8)
            )
            known = self._banked[id(registers)] = (registers, offsets)  # kept, so that no other map gets its id
        return not known[1].isdisjoint(range(offset, offset + size))

    def _unclaimed(self, site: int) -> int:
        """The place of a site that no model answers."""
        address, kind, _, region_number = self._sites[site]
        space: Literal["pio", "mmio"] = "mmio" if kind & MMIO else "pio"
        name = "" if region_number is None else self._region_names.get(region_number, "")
        direction: Direction = "w" if kind & WRITE else "r"
        if name in BACKGROUND_REGIONS:
            place = Place(NOBODY, direction, address, kind & SIZE, space=space)
        else:
            label = f"{name} (region)" if name in self._devices else name
            place = Place(label, direction, self._offset(name, space, address), kind & SIZE)
        number = self._of_site[site] = self._places.number(place)
        return number

    def _offset(self, name: str, space: str, address: int) -> int:
        """An address within its region; the address itself if the map does not have it."""
        for region in self._regions.get(name, ()):
            if region.space == space and region.first <= address <= region.last:
                return address - region.first + region.offset
        return address
