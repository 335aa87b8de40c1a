"""Places: what accesses reach, numbered alike in both recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ..naming import Piece
from ..registers import Direction

NOBODY: Final = "(no device)"


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a device, as accesses of one kind reach it."""

    device: str
    """Name on the board; where no model is, that of the region, or `NOBODY`."""
    direction: Direction
    offset: int
    """In the device's register space, in the region, or, of nobody's, in the address space."""
    size: int
    """Bytes."""
    banks: tuple[str | None, ...] = ()
    """Of each byte, if any is banked."""
    space: str = ""
    """Of nobody's: "pio" or "mmio"."""


class Places:
    """All places of two recordings, by their numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Place, int] = {}
        self._places: list[Place] = []
        self._parts: list[tuple[Piece, ...]] = []
        self._writes: list[bool] = []

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Place:
        return self._places[number]

    def number(self, place: Place, parts: Callable[[], tuple[Piece, ...]] | None = None) -> int:
        """The number of a place. `parts` tells, of a new one, how it is cut into registers."""
        if not any(place.banks) and place.banks:
            place = replace(place, banks=())
        found = self._numbers.get(place)
        if found is None:
            found = self._numbers[place] = len(self._places)
            self._places.append(place)
            self._writes.append(place.direction == "w")
            self._parts.append(parts() if parts else (Piece(None, 0, 8 * place.size, 0),))
        return found

    def is_write(self, number: int) -> bool:
        """Whether accesses there are writes."""
        return self._writes[number]

    def parts(self, number: int) -> tuple[Piece, ...]:
        """The registers of a place, and where they are in the value of an access."""
        return self._parts[number]

    def part_name(self, number: int, part: Piece) -> str:
        """What to call one of its parts."""
        if part.register is not None:
            return part.register.name
        place = self._places[number]
        at = place.offset + part.start // 8
        return f"{place.space} {at:#x}" if place.space else f"offset {at:#x}"

    def piece(self, number: int, at: int, size: int) -> int:
        """The place of `size` of its bytes, from byte `at` on."""
        place = self._places[number]
        banks = place.banks[at : at + size]
        smaller = replace(place, offset=place.offset + at, size=size, banks=banks)
        return self.number(smaller, lambda: _cut(self._parts[number], 8 * at, 8 * size))


def _cut(parts: tuple[Piece, ...], start: int, bits: int) -> tuple[Piece, ...]:
    found = []
    for part in parts:
        first, end = max(part.start, start), min(part.start + part.bits, start + bits)
        if first < end:
            found.append(Piece(part.register, first - start, end - first, part.shift + first - part.start))
    return tuple(found)
