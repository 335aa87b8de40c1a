"""What a disk holds, as far as a replay can know it: sectors that the guest wrote or has seen, and images of zeros.

A sector that the guest reads for the first time is input from outside. Once it was read or written by programmed I/O
its content is known and later reads of it are checked. What DMA writes is not recorded, so it is forgotten.
"""

from __future__ import annotations

from typing import Final

SECTOR: Final = 512
"""Bytes of a sector of a medium, whatever the drive calls a sector."""

ZEROS: Final = bytes(SECTOR)
ONES: Final = b"\1" * SECTOR


class Medium:
    """The content of a disk.

    Args:
        sectors: its size in sectors of 512 bytes; None if only the recording knows it.
        zeros: it is known that all bytes were 0 when the guest was started.
        read_only: writes are refused.
    """

    __slots__ = ("_data", "_unknown", "read_only", "sectors", "zeros")

    def __init__(self, sectors: int | None = None, *, zeros: bool = False, read_only: bool = False) -> None:
        self.sectors = sectors
        self.zeros = zeros
        self.read_only = read_only
        self._data: dict[int, bytearray] = {}
        self._unknown: dict[int, bytes | bytearray] = {}
        """Of sectors that are partly known, or were forgotten: for each byte 1 if it is unknown."""

    def holds(self, first: int, count: int) -> bool:
        """Whether `count` sectors from `first` on are all within the medium. If its size is unknown they are."""
        return first >= 0 and (self.sectors is None or first + count <= self.sectors)

    def read(self, first: int, count: int) -> tuple[bytearray, bytearray | None]:
        """The bytes of `count` sectors, and, if any of them is unknown, a byte for each: 1 if it is."""
        data, unknown = bytearray(), bytearray()
        for number in range(first, first + count):
            data += self._data.get(number, ZEROS)
            if number in self._unknown:
                unknown += self._unknown[number]
            else:
                unknown += ZEROS if self.zeros or number in self._data else ONES
        return data, unknown if 1 in unknown else None

    def write(self, first: int, data: bytes | bytearray) -> None:
        """Take whole sectors from the guest."""
        for at in range(0, len(data), SECTOR):
            number = first + at // SECTOR
            self._data[number] = bytearray(data[at : at + SECTOR])
            self._unknown.pop(number, None)

    def forget(self, first: int, count: int) -> None:
        """The guest wrote sectors in a way that the recording does not show."""
        for number in range(first, first + count):
            self._data.pop(number, None)
            if self.zeros:
                self._unknown[number] = ONES
            else:
                self._unknown.pop(number, None)

    def forget_written(self) -> None:
        """Any of the sectors that the guest wrote may have changed."""
        for number in list(self._data):
            self.forget(number, 1)

    def teach(self, position: int, data: bytes) -> None:
        """The bytes at `position`, within one sector, are these: a recorded read showed it."""
        number, at = divmod(position, SECTOR)
        unknown = self._unknown.get(number)
        if unknown is None:
            if self.zeros or number in self._data:
                return
            unknown = ONES
        if isinstance(unknown, bytes):
            unknown = self._unknown[number] = bytearray(unknown)
            self._data[number] = bytearray(SECTOR)
        self._data[number][at : at + len(data)] = data
        unknown[at : at + len(data)] = bytes(len(data))
        if 1 not in unknown:
            del self._unknown[number]

    def state(self) -> dict[str, int]:
        """For a divergence's sake: the size (-1: unknown), and how many sectors are known, wholly or in part."""
        return {
            "sectors": -1 if self.sectors is None else self.sectors,
            "known_sectors": len(self._data),
            "partly_known_sectors": len(self._unknown),
        }
