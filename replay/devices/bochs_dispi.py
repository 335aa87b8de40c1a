"""The registers of the Bochs display interface (DISPI) of a VGA: what is selected, and how sizes are corrected.

Source: Bochs VBE extension ("VBE DISPI"); QEMU documentation, "QEMU Standard VGA".

Follows QEMU: while the display is enabled, each write of a size is corrected to what fits the memory; the width is a
multiple of 8; VIRT_HEIGHT is as many lines as fit and cannot be written; GETCAPS makes XRES, YRES and BPP read the
largest values; enabling clears VIRT_WIDTH and the offsets.
"""

from __future__ import annotations

from typing import Final

ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, VIDEO_MEMORY_64K = range(11)
COUNT: Final = VIDEO_MEMORY_64K

ID0, ID5 = 0xB0C0, 0xB0C5
ENABLED, GETCAPS, DAC_8_BITS, LFB_ENABLED, NOCLEARMEM = 0x01, 0x02, 0x20, 0x40, 0x80

MAX_XRES, MAX_YRES, MAX_BPP = 16_000, 12_000, 32
CAPABILITIES: Final = {XRES: MAX_XRES, YRES: MAX_YRES, BPP: MAX_BPP}
DEPTHS: Final = {4: 4, 8: 8, 15: 16, 16: 16, 24: 24, 32: 32}
"""Bits per pixel, and how many of memory that takes."""
SIZES: Final = frozenset((XRES, YRES, BPP, VIRT_WIDTH, X_OFFSET, Y_OFFSET))

SHIFT_64K: Final = 16


class BochsDispi:
    """The registers of one display with `memory` bytes."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self.values = [0] * COUNT
        self.line_bytes = 0
        """Of the memory that one line takes."""
        self.reset()

    def reset(self) -> None:
        """Disable the display."""
        self.values[:] = [ID5] + [0] * (COUNT - 1)
        self.line_bytes = 0

    @property
    def enabled(self) -> bool:
        """Whether the display is in one of these modes instead of VGA's."""
        return bool(self.values[ENABLE] & ENABLED)

    def read(self, index: int) -> int:
        """The register of that number; 0 if there is none."""
        if index < COUNT:
            if self.values[ENABLE] & GETCAPS:
                return CAPABILITIES.get(index, self.values[index])
            return self.values[index]
        return self._memory >> SHIFT_64K if index == VIDEO_MEMORY_64K else 0

    def write_size(self, index: int, value: int) -> None:
        """Write one of `SIZES`."""
        self.values[index] = value
        self._correct()

    def write_id(self, value: int) -> None:
        """Ask for a version; those that are not known are not taken."""
        if ID0 <= value <= ID5:
            self.values[ID] = value

    def write_bank(self, value: int) -> int:
        """Choose what the window shows; returns its offset."""
        bank = self.values[BANK] = value & (self._memory >> SHIFT_64K) - 1
        return bank << SHIFT_64K

    def enable(self) -> None:
        """Get ready to show, as when ENABLED changes to 1."""
        values = self.values
        values[VIRT_WIDTH] = values[X_OFFSET] = values[Y_OFFSET] = 0
        values[ENABLE] |= ENABLED
        self._correct()

    def _correct(self) -> None:
        values = self.values
        if not values[ENABLE] & ENABLED:
            return
        if values[BPP] not in DEPTHS:
            values[BPP] = 8
        bits = DEPTHS[values[BPP]]
        values[XRES] = min(values[XRES] & ~7 or 8, MAX_XRES)
        values[VIRT_WIDTH] = max(min(values[VIRT_WIDTH] & ~7, MAX_XRES), values[XRES])
        self.line_bytes = line = values[VIRT_WIDTH] * bits // 8
        lines = self._memory // line
        values[YRES] = min(values[YRES] or 1, MAX_YRES, lines)
        values[X_OFFSET] = min(values[X_OFFSET], MAX_XRES)
        values[Y_OFFSET] = min(values[Y_OFFSET], MAX_YRES)
        shown = values[YRES] * line
        if values[X_OFFSET] * bits // 8 + values[Y_OFFSET] * line + shown > self._memory:
            values[Y_OFFSET] = 0
            if values[X_OFFSET] * bits // 8 + shown > self._memory:
                values[X_OFFSET] = 0
        values[VIRT_HEIGHT] = lines & 0xFFFF
