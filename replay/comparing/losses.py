"""What an imported recording lacks by its importer's own word, and so is no difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ..registers import Direction
from .places import Place, Places
from .streams import Accesses

SEEN_BY_DEVICES: Final = frozenset({"qemu"})
"""Formats of logs that tell of accesses as devices saw them: split or widened, and in the device's order of bytes."""

FIRST_ELEMENTS: Final = frozenset({"ftrace"})
"""Formats of logs that have of INS and OUTS the first element only."""

NO_PORTS: Final = frozenset({"mmiotrace"})

SPLIT: Final = "accesses that the log has in parts, as the device saw them"
WIDENED: Final = "accesses that the log has widened, as the device saw them"
SWAPPED: Final = "accesses that the log has in the device's order of bytes"
NOTIFICATIONS: Final = "virtio's notifications that QEMU takes by an ioeventfd, which the log does not have"
OWN: Final = "a device's own accesses in a CPU's thread (message-signalled interrupts)"
REFUSED: Final = "accesses to memory where no device is, which the log does not have"
ELEMENTS: Final = "elements of INS and OUTS after the first"
PORTS: Final = "accesses to ports, which the log does not have"

_INTERRUPTS: Final = {"lapic": (0xFF0, 0), "apic-msi": (0xFF0, 0), "gicv2m": (0xFFF, 0x040)}
"""Devices, and regions without a model, to which other devices write to raise an interrupt: a mask, and the offset
within it. A guest has no reason to write there."""

_NOTIFICATION: Final = "notify"
"""In the name of what virtio's drivers write to, and QEMU takes by an ioeventfd."""

_VIRTIO: Final = "virtio"

_SPLITS: Final = (4, 2, 1)

_Reach = tuple[Direction, int, int]
"""Direction, offset, size."""


def only_by_device(place: Place) -> str | None:
    """Why a log of a device's accesses may have one that no guest made; None: it may not."""
    mask, offset = _INTERRUPTS.get(place.device, (0, -1))
    return OWN if place.direction == "w" and place.offset & mask == offset else None


def only_by_guest(place: Place, name: str) -> str | None:
    """Why a log of a device's accesses may lack one that a guest made; None: it may not."""
    if place.space == "mmio":
        return REFUSED
    words = f"{place.device} {name}".lower()
    return NOTIFICATIONS if place.direction == "w" and _NOTIFICATION in words and _VIRTIO in words else None


@dataclass(slots=True)
class Recast:
    """How a recording's accesses to one device look in the log of a device's accesses."""

    splits: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By place: the places of the parts, each with its first bit in the value, and its mask."""
    widened: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By place: the wider place, and the first bit in its value."""
    split_count: int = 0

    def stream(self, stream: Iterable[Accesses]) -> Iterator[Accesses]:
        """The accesses, those that are split in their parts."""
        if not self.splits:
            yield from stream
            return
        splits = self.splits
        for accesses in stream:
            if splits.keys().isdisjoint(accesses.places):
                yield accesses
                continue
            places, values, seqs = columns = Accesses.none()
            for place, value, seq in zip(*accesses, strict=True):
                parts = splits.get(place)
                if parts is None:
                    places.append(place)
                    values.append(value)
                    seqs.append(seq)
                    continue
                self.split_count += 1
                places.extend(part for part, _, _ in parts)
                values.extend(value >> shift & mask for _, shift, mask in parts)
                seqs.extend([seq] * len(parts))
            yield columns


def recast(places: Places, full: Iterable[int], seen: Iterable[int]) -> Recast:
    """How to compare what a guest did with what a device saw.

    Args:
        places: of both.
        full: the places that the guest's accesses to a device reached.
        seen: those that the device's log has.
    """
    found = Recast()
    known = frozenset(seen)
    reaches = {_reach(places, number): number for number in known}
    for number in full:
        if number in known:
            continue
        direction, offset, size = _reach(places, number)
        part = next(
            (
                part
                for part in _SPLITS
                if part < size and all((direction, offset + at, part) in reaches for at in range(0, size, part))
            ),
            None,
        )
        if part is not None:
            found.splits[number] = []
            for at in range(0, size, part):
                piece = places.piece(number, at, part)
                if piece not in known:  # a part changed the bank of the next
                    piece = reaches[direction, offset + at, part]
                found.splits[number].append((piece, 8 * at, (1 << 8 * part) - 1))
            continue
        for wider in (2, 4, 8):
            base = offset & -wider
            wide = reaches.get((direction, base, wider))
            if wider > size and wide is not None and offset + size <= base + wider:
                found.widened[number] = (wide, 8 * (offset - base))
                break
    return found


def _reach(places: Places, number: int) -> _Reach:
    place = places[number]
    return place.direction, place.offset, place.size
