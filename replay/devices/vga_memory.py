"""Display memory of a VGA, and how the window at A0000h-BFFFFh shows it.

Source: IBM VGA technical reference (PS/2 Hardware Interface Technical Reference, Video Subsystem, 1992): "Memory",
"Sequencer Registers", "Graphics Controller Registers".

The four planes are interleaved: byte 4 * n + p is byte n of plane p. Addresses in the window count from A0000h.

Follows QEMU: the CRT controller's word and doubleword modes shift the addresses of the host, too; a latch is loaded in
odd/even modes as in others; chain 4 shows the memory byte by byte.

Part of the memory can be written without any access to the device: the guest has it as RAM, in the linear frame buffer
or, in chain-4 modes, in the window itself. Such bytes are unknown until they are written or read through the window;
what a read then shows is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from ..device import Unknown

APERTURES: Final = ((0, 0x20000), (0, 0x10000), (0x10000, 0x8000), (0x18000, 0x8000))
"""By GR06 bits 3-2: where the window shows memory, and how much."""
OUTSIDE: Final = 0xFF
"""What the window reads where it shows nothing."""

SR02, SR04 = 2, 4
SR04_SEQUENTIAL, SR04_CHAIN_4 = 0x04, 0x08
GR00, GR01, GR02, GR03, GR04, GR05, GR06, GR07, GR08 = range(9)
GR05_WRITE_MODE, GR05_READ_MODE_1, GR05_ODD_EVEN = 0x03, 0x08, 0x10
GR06_CHAIN_ODD_EVEN: Final = 0x02
CR14, CR17 = 0x14, 0x17
CR14_DOUBLEWORD, CR17_BYTE = 0x40, 0x40

ALL_PLANES: Final = 0x0F
SPREAD: Final = tuple(sum(0xFF << 8 * plane for plane in range(4) if mask >> plane & 1) for mask in range(16))
"""Four bits as masks of four bytes."""
PLANES: Final = tuple(tuple(plane for plane in range(4) if mask >> plane & 1) for mask in range(16))
"""Four bits as numbers of planes."""
EVERY: Final = 0x0101_0101
"""Times a byte: that byte in each plane."""


class VgaMemory:
    """The planes, the latches, and the way from the window to them.

    Args:
        size: bytes of memory, a power of two.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.planes = bytearray(size)
        self._unknown: bytearray | None = None
        """Set bits mark what was written unseen; None: nothing was."""
        self._latch = self._latch_unknown = 0
        self._start = self._length = self._bank = 0
        self._alias: tuple[int, int] | None = None
        self._whole = False
        self._chain_4 = self._raw_chain_4 = self._chain_odd_even = False
        self._read_odd_even = self._write_odd_even = self._read_mode_1 = False
        self._read_shift = self._write_shift = 0
        self._map_mask = self._read_map = self._write_mode = self._rotate = self._function = 0
        self._set = self._set_enable = self._bit_mask = self._compare = self._care = 0
        self._plain = False
        """What is written comes into the planes as it is."""
        self.read = self._read
        self.write = self._write

    @property
    def latch(self) -> int:
        """The latches, plane 0 in the low byte."""
        return self._latch

    def configure(
        self, sr: Sequence[int], raw_sr04: int, gr: Sequence[int], cr: Sequence[int], bank: int, linear: bool
    ) -> None:
        """Take over registers that decide what the window shows.

        Args:
            sr: the sequencer's registers as they work.
            raw_sr04: SR04 as it reads, which a read of the window looks at, too.
            gr: the graphics controller's registers.
            cr: the CRT controller's registers.
            bank: offset of what the 64 KiB window shows.
            linear: the guest uses the linear frame buffer.
        """
        gr5, gr6 = gr[GR05], gr[GR06]
        aperture = gr6 >> 2 & 3
        self._start, self._length = APERTURES[aperture]
        self._bank = bank if aperture == 1 else 0
        self._map_mask = sr[SR02] & ALL_PLANES
        self._chain_4 = bool(sr[SR04] & SR04_CHAIN_4)
        self._raw_chain_4 = bool(raw_sr04 & SR04_CHAIN_4)
        self._write_odd_even = not sr[SR04] & SR04_SEQUENTIAL
        self._read_odd_even = bool(gr5 & GR05_ODD_EVEN)
        self._chain_odd_even = bool(gr6 & GR06_CHAIN_ODD_EVEN)
        word = not cr[CR17] & CR17_BYTE
        if cr[CR14] & CR14_DOUBLEWORD:
            self._read_shift = self._write_shift = 2
        else:
            self._read_shift = int(word and self._read_odd_even)
            self._write_shift = int(word and self._write_odd_even)
        self._write_mode = gr5 & GR05_WRITE_MODE
        self._read_mode_1 = bool(gr5 & GR05_READ_MODE_1)
        self._read_map = gr[GR04] & 3
        self._rotate, self._function = gr[GR03] & 7, gr[GR03] >> 3 & 3
        self._set, self._set_enable = SPREAD[gr[GR00] & ALL_PLANES], SPREAD[gr[GR01] & ALL_PLANES]
        self._compare, self._care = SPREAD[gr[GR02] & ALL_PLANES], SPREAD[gr[GR07] & ALL_PLANES]
        self._bit_mask = gr[GR08]
        ram = self._chain_4 and self._map_mask == ALL_PLANES
        self._share((self._bank, self._length) if ram else None, linear)
        self._choose()

    def fill(self, size: int) -> None:
        """Clear the first `size` bytes."""
        size = min(size, self.size)
        self.planes[:size] = bytes(size)
        if self._unknown is not None:
            self._unknown[:size] = bytes(size)

    def _share(self, alias: tuple[int, int] | None, linear: bool) -> None:
        """The guest has memory as RAM from now on: through the window, through the linear frame buffer.

        What it had until now may have been written.
        """
        if self._whole and not linear:
            self._forget(0, self.size)
        if self._alias is not None and self._alias != alias:
            self._forget(*self._alias)
        self._alias, self._whole = alias, linear

    def _forget(self, at: int, size: int) -> None:
        if self._unknown is None:
            self._unknown = bytearray(self.size)
        size = min(size, self.size - at)
        self._unknown[at : at + size] = b"\xff" * size

    def _choose(self) -> None:
        """In text modes even addresses are in plane 0 and odd ones in plane 1, which is quickly done."""
        text = self._chain_odd_even and not self._chain_4 and self._start != 0 and not self._whole
        reads = self._read_odd_even and self._read_shift == 1 and self._read_map < 2 and not self._read_mode_1
        writes = self._write_odd_even and self._write_shift == 1 and self._map_mask == 3
        unchanged = self._bit_mask == 0xFF and not (self._rotate or self._function or self._set_enable)
        self._plain = self._write_mode == 0 and unchanged
        self.read = self._read_text if text and reads else self._read
        self.write = self._write_text if text and writes and self._plain else self._write

    # Text modes

    def _read_text(self, address: int, size: int) -> int:
        at = address - self._start
        if size == 1 or at & 1 or not 0 <= at <= self._length - size:
            return self._read(address, size)
        at <<= 1
        end = at + 2 * size
        if self._unknown is not None:
            if any(self._unknown[at:end:4]) or any(self._unknown[at + 1 : end : 4]):
                return self._read(address, size)
            self._latch_unknown = int.from_bytes(self._unknown[end - 4 : end], "little")
        self._latch = latch = int.from_bytes(self.planes[end - 4 : end], "little")
        if size == 2:
            return latch & 0xFFFF
        shown = bytearray(size)
        shown[::2], shown[1::2] = self.planes[at:end:4], self.planes[at + 1 : end : 4]
        return int.from_bytes(shown, "little")

    def _write_text(self, address: int, size: int, value: int) -> None:
        at = address - self._start
        if size == 1 or at & 1 or not 0 <= at <= self._length - size:
            self._write(address, size, value)
            return
        at <<= 1
        planes = self.planes
        if size == 2:
            planes[at] = value & 0xFF
            planes[at + 1] = value >> 8
        else:
            written = value.to_bytes(size, "little")
            planes[at : at + 2 * size : 4], planes[at + 1 : at + 2 * size : 4] = written[::2], written[1::2]
        if self._unknown is not None:
            known = bytes(size // 2)
            self._unknown[at : at + 2 * size : 4] = self._unknown[at + 1 : at + 2 * size : 4] = known

    # All modes. A wide access is one for every byte, lowest address first.

    def _read(self, address: int, size: int) -> int:
        if size == 1:
            return self._read_byte(address)
        value = unknown = 0
        lessons: list[tuple[int, Unknown]] = []
        for number in range(size):
            answer = self._read_byte(address + number)
            if isinstance(answer, Unknown):
                lessons.append((8 * number, answer))
                unknown |= answer.mask << 8 * number
                answer = answer.known
            value |= answer << 8 * number
        if not lessons:
            return value

        def learn(shown: int) -> None:
            for shift, lesson in lessons:
                lesson.learn(shown >> shift & lesson.mask)

        return Unknown(value, unknown, learn, "assumed")

    def _write(self, address: int, size: int, value: int) -> None:
        for number in range(size):
            self._write_byte(address + number, value >> 8 * number & 0xFF)

    def _read_byte(self, address: int) -> int:
        at = address - self._start
        if not 0 <= at < self._length:
            return OUTSIDE
        at += self._bank
        if self._chain_4:
            plane = at & 3
            at &= ~3
        elif self._read_odd_even:
            plane = self._read_map & 2 | at & 1
        else:
            plane = self._read_map
        if self._chain_odd_even:
            at &= ~1
        at = at >> self._read_shift << 2
        if at >= self.size:
            return OUTSIDE
        if self._chain_4 and self._raw_chain_4:
            return self._known(self.planes[at | plane], at | plane, 0xFF)
        latch = self._latch = int.from_bytes(self.planes[at : at + 4], "little")
        self._latch_unknown = 0
        if self._unknown is not None:
            self._latch_unknown = int.from_bytes(self._unknown[at : at + 4], "little")
        if self._whole:
            self._latch_unknown = (1 << 32) - 1
        if not self._read_mode_1:
            return self._known(latch >> 8 * plane & 0xFF, at | plane, 0xFF)
        differs = (latch ^ self._compare) & self._care
        differs |= differs >> 16
        value = ~(differs | differs >> 8) & 0xFF
        unsure = self._latch_unknown & self._care
        unsure |= unsure >> 16
        unsure = (unsure | unsure >> 8) & 0xFF
        return Unknown(value, unsure, _ignore, "assumed") if unsure else value

    def _known(self, value: int, at: int, mask: int) -> int:
        """The answer of a read that shows one byte of memory, of which some bits may be unknown."""
        if self._whole or (self._alias is not None and 0 <= at - self._alias[0] < self._alias[1]):
            return Unknown(0, 0xFF, _ignore, "assumed")  # it may change until the next read
        if self._unknown is None or not (unknown := self._unknown[at]):
            return value
        return Unknown(value, unknown, partial(self._learn, at, unknown), "assumed")

    def _learn(self, at: int, mask: int, value: int) -> None:
        self.planes[at] = self.planes[at] & ~mask | value
        if self._unknown is not None:
            self._unknown[at] = 0

    def _write_byte(self, address: int, value: int) -> None:
        at = address - self._start
        if not 0 <= at < self._length:
            return
        at += self._bank
        mask = self._map_mask
        plane = at & 3
        if self._chain_4:
            mask &= 1 << plane
            at &= ~3
        else:
            if self._write_odd_even:
                mask &= 0b1010 if at & 1 else 0b0101
            if self._chain_odd_even:
                at &= ~1
        at = at >> self._write_shift << 2
        if at >= self.size:
            return
        if self._chain_4:
            if mask:
                self._store(at, value << 8 * plane, SPREAD[mask], 0)
            return
        if self._plain:
            for plane in PLANES[mask]:
                self.planes[at + plane] = value
            if self._unknown is not None:
                for plane in PLANES[mask]:
                    self._unknown[at + plane] = 0
            return
        latch = self._latch
        mode = self._write_mode
        if mode == 1:
            self._store(at, latch, SPREAD[mask], self._latch_unknown)
            return
        bits = self._bit_mask
        if mode == 2:
            data = SPREAD[value & ALL_PLANES]
        else:
            value = (value >> self._rotate | value << 8 - self._rotate) & 0xFF
            if mode == 3:
                bits &= value
                data = self._set
            else:
                data = value * EVERY & ~self._set_enable | self._set & self._set_enable
        if self._function == 1:
            data &= latch
        elif self._function == 2:
            data |= latch
        elif self._function == 3:
            data ^= latch
        bits *= EVERY
        unknown = self._latch_unknown
        if unknown and not self._function:
            unknown &= ~bits
        self._store(at, data & bits | latch & ~bits, SPREAD[mask], unknown)

    def _store(self, at: int, data: int, mask: int, unknown: int) -> None:
        """Write the bytes of four planes that `mask` covers; `unknown` marks bits of them."""
        planes = self.planes
        old = int.from_bytes(planes[at : at + 4], "little")
        planes[at : at + 4] = (old & ~mask | data & mask).to_bytes(4, "little")
        if self._unknown is not None:
            old = int.from_bytes(self._unknown[at : at + 4], "little")
            self._unknown[at : at + 4] = (old & ~mask | unknown & mask).to_bytes(4, "little")


def _ignore(value: int) -> None:
    """What is read may be another value the next time."""
