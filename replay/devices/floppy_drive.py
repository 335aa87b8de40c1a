"""A floppy disk drive: the geometry of its medium and where its head is.

Source: QEMU's documented drive types and formats: a raw image's size decides what kind of medium it is.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .medium import Medium

RATE_500K, RATE_300K, RATE_250K, RATE_1M = range(4)


class Format(NamedTuple):
    """A kind of medium."""

    sectors: int
    """Of a track."""
    tracks: int
    heads: int
    rate: int


def _formats(rate: int, heads: int, *shapes: tuple[int, int]) -> tuple[Format, ...]:
    return tuple(Format(sectors, tracks, heads, rate) for sectors, tracks in shapes)


FORMATS: Final = (
    *_formats(RATE_500K, 2, (18, 80), (20, 80), (21, 80), (21, 82), (21, 83), (22, 80), (23, 80), (24, 80)),
    *_formats(RATE_1M, 2, (36, 80), (39, 80), (40, 80), (44, 80), (48, 80)),
    *_formats(RATE_250K, 2, (9, 80), (10, 80), (10, 82), (10, 83), (13, 80), (14, 80)),
    *_formats(RATE_500K, 2, (15, 80), (18, 82), (18, 83)),
    *_formats(RATE_250K, 2, (11, 80)),
    *_formats(RATE_300K, 2, (9, 40)),
    *_formats(RATE_300K, 1, (9, 40)),
    *_formats(RATE_300K, 2, (10, 41), (10, 42)),
    *_formats(RATE_250K, 2, (8, 40)),
    *_formats(RATE_250K, 1, (8, 40), (9, 80)),
)
"""In order of preference: the first one of the medium's size."""
USUAL: Final = FORMATS[0]
FALLBACK: Final = Format(36, 80, 2, RATE_1M)
"""Of a medium of another size: that of QEMU's default type of drive."""

UNBOUNDED: Final = 0xFF
SAME_TRACK, OTHER_TRACK, BAD_TRACK, BAD_SECTOR = range(4)
"""How a seek ends."""


class FloppyDrive:
    """One drive.

    Args:
        medium: what is in it; None: nothing.
        present: there is a drive at all.
        spins_empty: whether READ ID finds sectors without a medium, as before QEMU 11.
    """

    def __init__(self, medium: Medium | None = None, *, present: bool = True, spins_empty: bool = False) -> None:
        self.present = present
        self.medium = medium
        self.finds_sectors = medium is not None or spins_empty or not present
        self.head = self.track = self.sector = 0
        self.perpendicular = 0
        self.changed = True
        """DSKCHG: no seek has moved the head since the medium was put in."""
        self.is_protected = medium is None or medium.read_only
        self.heads, self.rate = 1, RATE_500K
        self.last_sector = self.max_track = 0
        if medium is not None:
            sectors, tracks, self.heads, self.rate = _format_of(medium)
            self.last_sector, self.max_track = sectors, tracks
        elif present:
            self.last_sector = self.max_track = UNBOUNDED  # an empty drive seeks everywhere

    def position(self) -> int:
        """The number of the sector under the head."""
        return self._number(self.head, self.track, self.sector)

    def _number(self, head: int, track: int, sector: int) -> int:
        return (track * self.heads + head) * self.last_sector + sector - 1

    def seek(self, head: int, track: int, sector: int) -> int:
        """Go there; how it ended."""
        if track > self.max_track or (head and self.heads == 1):
            return BAD_TRACK
        if sector > self.last_sector:
            return BAD_SECTOR
        result = SAME_TRACK
        if self._number(head, track, sector) != self.position():
            self.head = head
            if track != self.track:
                self.changed = self.changed and self.medium is None
                result = OTHER_TRACK
            self.track, self.sector = track, sector
        return BAD_TRACK if self.medium is None else result

    def recalibrate(self) -> None:
        """Go to track 0."""
        self.seek(0, 0, 1)

    def state(self, prefix: str) -> dict[str, int]:
        """What matters, by name."""
        state = {
            f"{prefix}head": self.head,
            f"{prefix}track": self.track,
            f"{prefix}sector": self.sector,
            f"{prefix}last_sector": self.last_sector,
            f"{prefix}perpendicular": self.perpendicular,
            f"{prefix}changed": int(self.changed),
        }
        if self.medium is not None:
            state |= {f"{prefix}medium_{name}": value for name, value in self.medium.state().items()}
        return state


def _format_of(medium: Medium) -> Format:
    if medium.sectors is None:
        return USUAL
    sizes = {shape.sectors * shape.tracks * shape.heads: shape for shape in reversed(FORMATS)}
    return sizes.get(medium.sectors, FALLBACK)
