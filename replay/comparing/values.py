"""The values of pairs, compared; what differs, by register."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..naming import Piece
from ..registers import Direction, Register
from .alignment import Block
from .comparison import Difference
from .pairing import Step
from .places import Places

Diverging = frozenset[tuple[str, str]] | None
"""Devices and registers of which a model answered otherwise than recorded; None: that is not known."""


@dataclass(slots=True)
class _Found:
    """The pairs of one place that differ."""

    count: int = 0
    swapped: int = 0
    """Those that are equal but for the order of their bytes."""
    parts: dict[int, Difference] = field(default_factory=dict)
    """By number of the part of the place."""


class Values:
    """Compares the values of pairs of accesses to one device.

    Args:
        places: what is accessed.
        widened: by place, the wider one that stands for it in the other recording, and the first bit in its values.
        diverging: of both recordings.
    """

    def __init__(
        self, places: Places, widened: Mapping[int, tuple[int, int]], diverging: tuple[Diverging, Diverging]
    ) -> None:
        self._places = places
        self._widened = widened
        self._diverging = diverging
        self._pairs: Counter[int] = Counter()
        self._found: dict[int, _Found] = {}

    @property
    def widened_count(self) -> int:
        """Pairs of an access and a wider one."""
        return sum(count for place, count in self._pairs.items() if place in self._widened)

    @property
    def differing_count(self) -> int:
        """Pairs that differ."""
        return sum(found.count for found in self._found.values())

    def compare(self, step: Step, block: Block) -> None:
        """Compare the pairs of a block."""
        i, j, n = block
        places = step.a.places[i : i + n]
        if not self._widened:
            self._pairs.update(places)
            values_a, values_b = step.a.values[i : i + n], step.b.values[j : j + n]
            if values_a == values_b:
                return
            for k, (a, b) in enumerate(zip(values_a, values_b, strict=True)):
                if a != b:
                    self._differ(step, i + k, j + k, places[k], a, b)
            return
        for k in range(n):
            place, a, b = places[k], step.a.values[i + k], step.b.values[j + k]
            if place in self._widened:
                b = self._narrowed(place, b)
            elif step.b.places[j + k] in self._widened:
                place = step.b.places[j + k]
                a = self._narrowed(place, a)
            self._pairs[place] += 1
            if a != b:
                self._differ(step, i + k, j + k, place, a, b)

    def _narrowed(self, place: int, value: int) -> int:
        """What the value of the wider access has of this place."""
        _, shift = self._widened[place]
        return value >> shift & (1 << 8 * self._places[place].size) - 1

    def _differ(self, step: Step, i: int, j: int, place: int, a: int, b: int) -> None:
        found = self._found.setdefault(place, _Found())
        found.count += 1
        found.swapped += a == int.from_bytes(b.to_bytes(self._places[place].size, "little"), "big")
        for number, part in enumerate(self._places.parts(place)):
            full = (1 << part.bits) - 1
            part_a, part_b = (a >> part.start & full) << part.shift, (b >> part.start & full) << part.shift
            if part_a != part_b:
                known = found.parts.get(number)
                if known is None:
                    known = found.parts[number] = self._difference(place, part)
                    known.seq_a, known.seq_b = step.a.seqs[i], step.b.seqs[j]
                    known.value_a, known.value_b = part_a, part_b
                known.count += 1
                known.bits |= part_a ^ part_b

    def _difference(self, place: int, part: Piece) -> Difference:
        where, register = self._places[place], part.register
        return Difference(
            where.device,
            self._places.part_name(place, part),
            where.direction,
            width=register.width if register else part.bits,
            is_declared=register is not None,
        )

    def drop_swapped(self) -> int:
        """Forget what differs only in the order of bytes, at every access to a place; how many pairs that were."""
        swapped = [place for place, found in self._found.items() if found.swapped == found.count]
        return sum(self._found.pop(place).count for place in swapped)

    def differences(self) -> list[Difference]:
        """What differs, by register."""
        pairs = self._pairs_by_register()
        found: dict[tuple[str, Direction], Difference] = {}
        for place, of_place in self._found.items():
            for number, part in of_place.parts.items():
                key = (part.register, part.direction)
                register = self._places.parts(place)[number].register
                known = found.setdefault(key, part)
                if known is not part:
                    _merge(known, part)
                known.pairs = pairs[key]
                known.fields = _fields(register, known.bits)
        for difference in found.values():
            difference.models_agree = self._do_models_agree(difference)
        return list(found.values())

    def _pairs_by_register(self) -> Counter[tuple[str, Direction]]:
        pairs: Counter[tuple[str, Direction]] = Counter()
        for place, count in self._pairs.items():
            for name in {self._places.part_name(place, part) for part in self._places.parts(place)}:
                pairs[name, self._places[place].direction] += count
        return pairs

    def _do_models_agree(self, difference: Difference) -> bool | None:
        """Whether the models answer a register as recorded, in both recordings."""
        of_a, of_b = self._diverging
        if difference.direction == "w" or not difference.is_declared or of_a is None or of_b is None:
            return None
        return (difference.device, difference.register) not in of_a | of_b


def _merge(known: Difference, other: Difference) -> None:
    """Add what was found at another place of the same register."""
    known.count += other.count
    known.bits |= other.bits
    if other.seq_a < known.seq_a:
        known.seq_a, known.seq_b, known.value_a, known.value_b = (
            other.seq_a, other.seq_b, other.value_a, other.value_b,
        )  # fmt: skip


def _fields(register: Register | None, bits: int) -> tuple[str, ...]:
    return tuple(field.name for field in register.fields if field.mask & bits) if register else ()
