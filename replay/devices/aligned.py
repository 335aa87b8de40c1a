"""Devices in memory: an unaligned access of a CPU reaches them in aligned pieces."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..device import Device


class AlignedDevice(Device):
    """Base class of models whose `read` and `write` take aligned accesses only.

    QEMU splits what a CPU accesses in device memory, lowest address first, into the largest aligned pieces that the
    device takes.
    """

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        fits = size <= self.width and not offset & size - 1
        return partial(self.read if fits else self.read_any, offset, size)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`."""
        fits = size <= self.width and not offset & size - 1
        return partial(self.write if fits else self.write_any, offset, size)

    def read_any(self, offset: int, size: int) -> int:
        """See `Device.read_any`."""
        piece = self._piece(offset, size)
        return self.read(offset, size) if piece == size else self.read_pieces(offset, size, piece)

    def write_any(self, offset: int, size: int, value: int) -> None:
        """See `Device.write_any`."""
        self.write_pieces(offset, size, value, self._piece(offset, size))

    def _piece(self, offset: int, size: int) -> int:
        """Bytes of the pieces in which an access arrives."""
        piece = min(size, self.width)
        while offset & piece - 1:
            piece >>= 1
        return piece


class WholeRegisterDevice(AlignedDevice):
    """Base class of models whose registers of 32 bits are accessed whole, however narrow the access.

    QEMU reads such a register, from which a narrow access takes the low bits, and writes it zero-extended. Where it
    splits an access it does not cut the pieces to their size, so that they mix.
    """

    width = 4

    def read_any(self, offset: int, size: int) -> int:
        """See `Device.read_any`."""
        piece = self._piece(offset, size)
        if piece == size or piece == self.width:
            return super().read_any(offset, size)
        mixed = 0
        for at in range(0, size, piece):
            value = self.read(offset + at & ~3, 4)
            if piece == 2:
                value = (value & 0xFF) << 8 | value >> 8 & 0xFF
            mixed = mixed << 8 * piece | value
        return int.from_bytes((mixed & (1 << 8 * size) - 1).to_bytes(size, "big"), "little")

    def write_any(self, offset: int, size: int, value: int) -> None:
        """See `Device.write_any`."""
        piece = self._piece(offset, size)
        for at in range(0, size, piece):
            self.write(offset + at, piece, value >> 8 * at & 0xFFFF_FFFF)
