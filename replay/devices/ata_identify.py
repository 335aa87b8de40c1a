"""The data blocks by which an ATA disk and an ATAPI drive describe themselves: IDENTIFY (PACKET) DEVICE and SMART.

Source: ATA/ATAPI-6 (T13/1410D) sections 8.15 "IDENTIFY DEVICE", 8.16 "IDENTIFY PACKET DEVICE" and 8.41 "SMART".

What a QEMU drive says is fixed by its properties and by its medium's size, so all of it is computed. Only what the
trace does not tell, the size of an image in a format of its own or the geometry that a partition table suggests, is
left to be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_MULTIPLE: Final = 16
"""Most sectors of a block of READ MULTIPLE: QEMU's."""
LBA28_MAX: Final = (1 << 28) - 1
CHS_WORDS: Final = (1, 3, 4, 6, 54, 55, 56, 57, 58)
SIZE_WORDS: Final = (60, 61, 100, 101, 102, 103)

STANDARD_HEADS, STANDARD_SECTORS = 16, 63
MAX_CYLINDERS, MIN_CYLINDERS = 16383, 2


@dataclass(frozen=True, slots=True)
class Identity:
    """What a drive's properties say about it. The defaults are QEMU's."""

    serial: str = "QM00001"
    model: str = ""
    """Empty: by the kind of the drive."""
    firmware: str = "2.5+"
    wwn: int = 0
    geometry: tuple[int, int, int] | None = None
    """Cylinders, heads, sectors per track; None if the medium decides."""
    physical_block_exponent: int = 0
    rotation_rate: int = 0
    discards: bool = True
    write_cache: bool = True


def standard_geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track of a disk that has no partition table."""
    cylinders = sectors // (STANDARD_HEADS * STANDARD_SECTORS)
    return min(max(cylinders, MIN_CYLINDERS), MAX_CYLINDERS), STANDARD_HEADS, STANDARD_SECTORS


def disk_block(identity: Identity, sectors: int | None, chs: tuple[int, int, int], multiple: int) -> bytearray:
    """IDENTIFY DEVICE (8.15). Words that depend on an unknown size are 0."""
    block = bytearray(512)
    cylinders, heads, track = chs
    words = {
        0: 0x0040, 1: cylinders, 3: heads, 4: 512 * track, 5: 512, 6: track, 20: 3, 21: 512, 22: 4,
        47: 0x8000 | MAX_MULTIPLE, 48: 1, 49: 0x0B00, 51: 0x0200, 52: 0x0200, 53: 0x0007,
        54: cylinders, 55: heads, 56: track, 59: 0x0100 | multiple if multiple else 0,
        62: 0x0007, 63: 0x0007, 64: 0x0003, 65: 120, 66: 120, 67: 120, 68: 120,
        69: 0x4000 if identity.discards else 0, 80: 0x00F0, 81: 0x0016, 82: 0x4021, 83: 0x7400,
        84: 0x4100 if identity.wwn else 0x4000, 85: write_cache_word(identity.write_cache), 86: 0x3400,
        87: 0x4100 if identity.wwn else 0x4000, 88: 0x203F, 93: 0x6001, 106: 0x6000 | identity.physical_block_exponent,
        169: 1 if identity.discards else 0, 217: identity.rotation_rate,
    }  # fmt: skip
    for number, word in words.items():
        put_word(block, number, word)
    _put_words(block, 57, cylinders * heads * track, 2)
    _put_words(block, 60, min(sectors or 0, LBA28_MAX), 2)
    _put_words(block, 100, sectors or 0, 4)
    _put_names(block, identity, "QEMU HARDDISK")
    return block


def packet_block(identity: Identity) -> bytearray:
    """IDENTIFY PACKET DEVICE (8.16)."""
    block = bytearray(512)
    has_name = 0x0100 if identity.wwn else 0
    words = {
        0: 0x85C0, 20: 3, 21: 512, 22: 4, 48: 1, 49: 0x0300, 53: 0x0007, 62: 0x0007, 63: 0x0007, 64: 0x0003,
        65: 180, 66: 180, 67: 300, 68: 180, 71: 30, 72: 30, 80: 0x001E, 84: has_name, 87: has_name, 88: 0x203F,
    }  # fmt: skip
    for number, word in words.items():
        put_word(block, number, word)
    _put_names(block, identity, "QEMU DVD-ROM")
    return block


def put_word(block: bytearray, number: int, word: int) -> None:
    """Set one word of a block."""
    block[2 * number : 2 * number + 2] = (word & 0xFFFF).to_bytes(2, "little")


def get_word(block: bytearray, number: int) -> int:
    """One word of a block."""
    return int.from_bytes(block[2 * number : 2 * number + 2], "little")


def write_cache_word(enabled: bool) -> int:
    """Word 85, the only one of the enabled features that the guest can change: the write cache."""
    return 0x4021 if enabled else 0x4001


def _put_words(block: bytearray, first: int, value: int, count: int) -> None:
    for number in range(count):
        put_word(block, first + number, value >> 16 * number)


def _put_names(block: bytearray, identity: Identity, model: str) -> None:
    for first, text, length in (
        (10, identity.serial, 20),
        (23, identity.firmware, 8),
        (27, identity.model or model, 40),
    ):
        padded = pad(text, length)
        block[2 * first : 2 * first + length : 2] = padded[1::2]  # the first character is in the high byte
        block[2 * first + 1 : 2 * first + length : 2] = padded[::2]
    for number in range(4):
        put_word(block, 108 + number, identity.wwn >> 16 * (3 - number))


def pad(text: str, length: int) -> bytes:
    """`text` as `length` characters, filled up with spaces."""
    return text.encode("latin-1", "replace")[:length].ljust(length)


# SMART

MAX_TESTS: Final = 21
NO_TEST: Final = 0xFF
_ATTRIBUTES: Final = (
    # identifier, flags, value, worst, raw value, threshold
    (1, 0x0003, 100, 100, bytes(6), 6),
    (3, 0x0003, 100, 100, b"\x10\0\0\0\0\0", 0),
    (4, 0x0002, 100, 100, b"\x64\0\0\0\0\0", 20),
    (5, 0x0003, 100, 100, bytes(6), 36),
    (9, 0x0003, 100, 100, b"\x01\0\0\0\0\0", 0),
    (12, 0x0003, 100, 100, bytes(6), 0),
    (190, 0x0003, 69, 69, b"\x1f\0\x1f\x1f\0\0", 50),
)
"""QEMU's: read errors, spin-up time, starts, reallocations, hours, power cycles, temperature."""


def smart_thresholds() -> bytearray:
    """SMART READ THRESHOLDS."""
    block = _smart_block()
    for number, (identifier, *_, threshold) in enumerate(_ATTRIBUTES):
        block[2 + 12 * number : 4 + 12 * number] = bytes((identifier, threshold))
    return _with_checksum(block)


def smart_data(autosave: bool) -> bytearray:
    """SMART READ DATA (8.41.5.8)."""
    block = _smart_block()
    for number, (identifier, flags, value, worst, raw, _) in enumerate(_ATTRIBUTES):
        at = 2 + 12 * number
        block[at : at + 11] = bytes((identifier, flags & 0xFF, flags >> 8, value, worst)) + raw
    block[362:376] = bytes((0x82 if autosave else 0x02, 0, 0x20, 0x01, 0, 0x19, 0x03, 0, 0x01, 0, 0x02, 0x36, 0x01, 0))
    return _with_checksum(block)


def smart_error_log() -> bytearray:
    """SMART READ LOG, summary of errors: there are none."""
    return _with_checksum(_smart_block())


def smart_test_log(count: int, kinds: bytes | bytearray) -> bytearray:
    """SMART READ LOG, self-tests: the kinds of those that were run, each ended well at hour 1234h; 255: none."""
    block = _smart_block()
    for number, kind in enumerate(kinds):
        if kind != NO_TEST:
            block[2 + 24 * number : 6 + 24 * number] = bytes((kind, 0x00, 0x34, 0x12))
    block[508] = count
    return _with_checksum(block)


def _smart_block() -> bytearray:
    block = bytearray(512)
    block[0] = 0x01
    return block


def _with_checksum(block: bytearray) -> bytearray:
    block[511] = -sum(block[:511]) & 0xFF
    return block
