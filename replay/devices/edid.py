"""The EDID block that QEMU's displays show: what their monitor is and can do.

Source: VESA Enhanced EDID Standard (E-EDID) release A.2, EDID structure 1.4; CTA-861, EDID extension version 3; VESA
DisplayID 1.3 for the third block. Which monitor it is follows from QEMU's documented display properties `xres`, `yres`,
`xmax`, `ymax` and `refresh_rate`; the rest of it is fixed.

Follows QEMU 10: the timings of the preferred mode are shares of its size, no standard's.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

BLOCK: Final = 128
DISPLAY_DESCRIPTOR: Final = 18
FIRST_DESCRIPTOR: Final = 54

STANDARD_TIMINGS, STANDARD_TIMINGS_END = 38, 54
UNUSED_TIMING: Final = bytes((0x01, 0x01))
ASPECTS: Final = ((16, 10), (4, 3), (5, 4), (16, 9))
"""Bits 7-6 of a standard timing's second byte."""

DOTS_PER_INCH: Final = 100
LARGEST_IN_DESCRIPTOR: Final = 4096
"""A detailed timing descriptor has 12 bits for a size."""


class _Mode(NamedTuple):
    """A mode that may be listed: in the established timings, the standard ones, the third ones, and for CTA-861."""

    width: int
    height: int
    established: tuple[int, int] | None = None
    """Byte and bit of the block."""
    third: tuple[int, int] | None = None
    """Byte and bit of the descriptor of established timings III."""
    cta: int = 0
    """Video identification code."""


MODES: Final = (
    _Mode(5120, 2160, cta=125), _Mode(4096, 2160, cta=101), _Mode(3840, 2160, cta=96), _Mode(2560, 1080, cta=89),
    _Mode(2048, 1152), _Mode(1920, 1080, cta=31), _Mode(3840, 2160, cta=97),
    _Mode(1920, 1200, third=(10, 0)), _Mode(1600, 1200, third=(9, 2)), _Mode(1680, 1050, third=(9, 5)),
    _Mode(1440, 900, third=(8, 5)), _Mode(1280, 1024, third=(7, 1)), _Mode(1280, 960, third=(7, 3)),
    _Mode(1280, 768, third=(7, 6)), _Mode(1920, 1440, third=(11, 5)), _Mode(1856, 1392, third=(10, 3)),
    _Mode(1792, 1344, third=(10, 5)), _Mode(1440, 1050, third=(8, 1)), _Mode(1360, 768, third=(8, 7)),
    _Mode(1024, 768, established=(36, 3)), _Mode(800, 600, established=(35, 0)), _Mode(640, 480, established=(35, 5)),
)  # fmt: skip
"""In QEMU's order, which decides what finds room."""

HEADER: Final = bytes((0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00))
VENDOR, PRODUCT, WEEK, YEAR = "RHT", 0x1234, 42, 2014 - 1990
VERSION: Final = bytes((1, 4))
DIGITAL_8_BITS_DISPLAY_PORT: Final = 0xA5
GAMMA_2_2: Final = 220 - 100
SRGB_AND_PREFERRED_TIMING: Final = 0x06
SRGB: Final = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""Chromaticities: x and y of red, green, blue, white."""

TAG_NAME, TAG_RANGES, TAG_TIMINGS_III, TAG_DUMMY = 0xFC, 0xFD, 0xF7, 0x10
NAME: Final = b"QEMU Monitor"
RANGES: Final = bytes((50, 125, 30, 160, 255, 0x01)) + b"\n".ljust(7)
"""50-125 Hz, 30-160 kHz, up to 2550 MHz, range limits only."""
SEPARATE_SYNC: Final = 0x18

CTA_TAG, CTA_VERSION, CTA_VIDEO_BLOCK = 0x02, 0x03, 0x40
DISPLAY_ID_TAG, DISPLAY_ID_VERSION, DISPLAY_ID_STANDALONE = 0x70, 0x13, 0x03


class Monitor(NamedTuple):
    """What the monitor of a display is like. Sizes in pixels; 0 is no limit."""

    width: int = 1280
    height: int = 800
    max_width: int = 0
    max_height: int = 0
    refresh_millihertz: int = 75_000


class _Timings(NamedTuple):
    """The preferred mode's: pixels and lines, and the clock in units of 10 kHz."""

    width: int
    height: int
    x_blank: int
    y_blank: int
    x_front: int
    y_front: int
    x_sync: int
    y_sync: int
    clock: int


@cache
def generate(monitor: Monitor, size: int) -> bytes:
    """The blocks of a monitor, `size` bytes long: 128, 256 or 384."""
    timings = _timings(monitor)
    width_mm, height_mm = (pixels * 254 // 10 // DOTS_PER_INCH for pixels in (monitor.width, monitor.height))
    large = max(monitor.width, monitor.height) >= LARGEST_IN_DESCRIPTOR or timings.clock >= 1 << 16
    listed = [
        mode
        for mode in MODES
        if mode.width <= (monitor.max_width or mode.width) and mode.height <= (monitor.max_height or mode.height)
    ]
    codes = bytes(mode.cta for mode in listed if mode.cta)
    extended = size >= 2 * BLOCK
    third = large and size >= 3 * BLOCK

    standard, rest = _standard_timings(listed)
    descriptors = [] if large else [_detailed(timings, width_mm, height_mm)]
    descriptors += [_timings_iii(rest), _display(TAG_RANGES, RANGES), _display(TAG_NAME, NAME + b"\n")]
    first = bytearray(BLOCK)
    first[0:8] = HEADER
    first[8:12] = _vendor() + PRODUCT.to_bytes(2, "little")
    first[16:20] = bytes((WEEK, YEAR)) + VERSION
    first[20:25] = bytes((DIGITAL_8_BITS_DISPLAY_PORT, width_mm // 10 & 0xFF, height_mm // 10 & 0xFF, GAMMA_2_2,
                          SRGB_AND_PREFERRED_TIMING))  # fmt: skip
    first[25:35] = _chromaticities()
    for mode in listed:
        if mode.established:
            byte, position = mode.established
            first[byte] |= 1 << position
    first[STANDARD_TIMINGS:STANDARD_TIMINGS_END] = standard
    _place(first, FIRST_DESCRIPTOR, descriptors)
    first[126] = extended + third
    blocks = [_with_checksum(first)]
    if extended:
        blocks.append(_cta_block(codes, descriptors))
    if third:
        blocks.append(_display_id_block(timings))
    return b"".join(blocks).ljust(size, b"\0")[:size]


def _timings(monitor: Monitor) -> _Timings:
    width, height = monitor.width, monitor.height
    x_blank, y_blank = width * 35 // 100, height * 35 // 1000
    clock = monitor.refresh_millihertz * (width + x_blank) * (height + y_blank) // 10_000_000
    y_front = height * 5 // 1000
    return _Timings(width, height, x_blank, y_blank, width * 25 // 100, y_front, width * 3 // 100, y_front, clock)


def _standard_timings(listed: list[_Mode]) -> tuple[bytes, list[_Mode]]:
    """The standard timings, and what was listed after they were full."""
    found = b""
    for number, mode in enumerate(listed):
        if len(found) >= STANDARD_TIMINGS_END - STANDARD_TIMINGS:
            return found, listed[number:]
        if mode.established is None:
            found += _standard_timing(mode)
    missing = (STANDARD_TIMINGS_END - STANDARD_TIMINGS - len(found)) // 2
    return found + UNUSED_TIMING * missing, []


def _standard_timing(mode: _Mode) -> bytes:
    """Section 3.9: width and aspect ratio, 60 Hz; nothing if it cannot be told."""
    for code, (x, y) in enumerate(ASPECTS):
        if mode.width * y == mode.height * x and mode.width // 8 - 31 <= 0xFF:
            return bytes((mode.width // 8 - 31, code << 6))
    return b""


def _detailed(timings: _Timings, width_mm: int, height_mm: int) -> bytes:
    """Section 3.10.2."""

    def high(first: int, second: int) -> int:
        return (first >> 8 & 0xF) << 4 | second >> 8 & 0xF

    front, sync = timings.x_front, timings.x_sync
    return timings.clock.to_bytes(2, "little") + bytes((
        timings.width & 0xFF, timings.x_blank & 0xFF, high(timings.width, timings.x_blank),
        timings.height & 0xFF, timings.y_blank & 0xFF, high(timings.height, timings.y_blank),
        front & 0xFF, sync & 0xFF, (timings.y_front & 0xF) << 4 | timings.y_sync & 0xF,
        (front >> 8 & 3) << 6 | (sync >> 8 & 3) << 4 | (timings.y_front >> 4 & 3) << 2 | timings.y_sync >> 4 & 3,
        width_mm & 0xFF, height_mm & 0xFF, high(width_mm, height_mm), 0, 0, SEPARATE_SYNC,
    ))  # fmt: skip


def _display(tag: int, content: bytes) -> bytes:
    """Section 3.10.3."""
    return bytes((0, 0, 0, tag, 0)) + content.ljust(DISPLAY_DESCRIPTOR - 5)


def _timings_iii(rest: list[_Mode]) -> bytes:
    """Section 3.10.3.9."""
    descriptor = bytearray(_display(TAG_TIMINGS_III, bytes((10,)) + bytes(12)))
    for mode in rest:
        if mode.third:
            byte, position = mode.third
            descriptor[byte] |= 1 << position
    return bytes(descriptor)


def _place(block: bytearray, at: int, descriptors: list[bytes]) -> None:
    """Take descriptors as long as there is room, then dummies."""
    while at + DISPLAY_DESCRIPTOR < BLOCK - 1:
        descriptor = descriptors.pop(0) if descriptors else bytes((0, 0, 0, TAG_DUMMY)).ljust(DISPLAY_DESCRIPTOR, b"\0")
        block[at : at + DISPLAY_DESCRIPTOR] = descriptor
        at += DISPLAY_DESCRIPTOR


def _cta_block(codes: bytes, descriptors: list[bytes]) -> bytes:
    """CTA-861, section 7.5: the video data block, then more descriptors."""
    block = bytearray(BLOCK)
    start = 5 + len(codes)
    block[:5] = bytes((CTA_TAG, CTA_VERSION, start, 0, CTA_VIDEO_BLOCK | len(codes)))
    block[5:start] = codes
    _place(block, start, descriptors)
    return _with_checksum(block)


def _display_id_block(timings: _Timings) -> bytes:
    """DisplayID 1.3, section 4.4: one detailed timing, for what no descriptor can tell."""
    content = timings.clock.to_bytes(3, "little") + b"\x88"
    for value in (timings.width, timings.x_blank, timings.x_front, timings.x_sync,
                  timings.height, timings.y_blank, timings.y_front, timings.y_sync):  # fmt: skip
        content += (value - 1 & 0xFFFF).to_bytes(2, "little")
    header = bytes((DISPLAY_ID_VERSION, 3 + len(content), DISPLAY_ID_STANDALONE, 0, 0x03, 0x00, len(content)))
    section = header + content
    block = bytearray((DISPLAY_ID_TAG,)) + section + bytes((-sum(section) & 0xFF,))
    return _with_checksum(block.ljust(BLOCK, b"\0"))


def _with_checksum(block: bytearray) -> bytes:
    block[BLOCK - 1] = -sum(block[: BLOCK - 1]) & 0xFF
    return bytes(block)


def _vendor() -> bytes:
    """Three letters of five bits each."""
    code = 0
    for letter in VENDOR:
        code = code << 5 | ord(letter) - ord("@")
    return code.to_bytes(2, "big")


def _chromaticities() -> bytes:
    """Section 3.7: ten bits each, the two low ones first."""
    bits = [int(value * 1024 + 0.5) for value in SRGB]
    first, second = (sum((value & 3) << 6 - 2 * at for at, value in enumerate(four)) for four in (bits[:4], bits[4:]))
    return bytes((first, second, *(value >> 2 for value in bits)))
