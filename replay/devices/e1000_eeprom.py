"""The EEPROM of a gigabit controller: its content, and the Microwire interface through which drivers clock it out.

Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, revision 4.0, 5.3 and 5.6
"EEPROM Device Interface"; Microwire as in data sheets of the 93C46.

Follows QEMU in the words that the manual leaves to the board.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .e1000_registers import EECD_CS, EECD_DI, EECD_DO, EECD_FWE, EECD_GNT, EECD_PRES, EECD_REQ, EECD_SK

WORDS: Final = 64
CHECKSUM_WORD: Final = 0x3F
CHECKSUM: Final = 0xBABA
DEVICE_ID_WORDS: Final = (11, 13)
READ_OPCODE: Final = 6
COMMAND_BITS: Final = 9


def content(template: Sequence[int], device_id: int, mac: int) -> tuple[int, ...]:
    """The words: a board's template with the MAC address, the device identification, and a sum of BABAh."""
    words = list(template)
    words[:3] = _mac_words(mac)
    for word in DEVICE_ID_WORDS:
        words[word] = device_id
    words[CHECKSUM_WORD] = CHECKSUM - sum(words[:CHECKSUM_WORD]) & 0xFFFF
    return tuple(words)


def _mac_words(mac: int) -> list[int]:
    """Three words, the first byte of the address lowest."""
    data = mac.to_bytes(6, "big")
    return [data[at] | data[at + 1] << 8 for at in (0, 2, 4)]


class Microwire:
    """The serial interface behind EECD: what was clocked in, and which bit is clocked out."""

    __slots__ = ("bits_in", "bits_out", "pins", "reading", "value", "words")

    def __init__(self, words: Sequence[int]) -> None:
        self.words = words
        self.pins = 0
        """Bits of EECD that the driver last wrote."""
        self.value = self.bits_in = self.bits_out = self.reading = 0

    def read(self) -> int:
        """EECD: the pins, with DO as the EEPROM drives it; it is high until a word is read."""
        value = EECD_PRES | EECD_GNT | self.pins
        at = self.bits_out & 0xFFFF
        if not self.reading or self.words[at >> 4 & 0x3F] >> (at & 0xF ^ 0xF) & 1:
            value |= EECD_DO
        return value

    def write(self, value: int) -> None:
        """Take the pins. DI is clocked in by a rising edge of SK, the next bit is put out by a falling edge."""
        changed = value ^ self.pins
        self.pins = value & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ)
        if not value & EECD_CS:
            return
        if changed & EECD_CS:
            self.value = self.bits_in = self.bits_out = self.reading = 0
        if not changed & EECD_SK:
            return
        if not value & EECD_SK:
            self.bits_out = self.bits_out + 1 & 0xFFFF
            return
        self.value = (self.value << 1 | bool(value & EECD_DI)) & 0xFFFF_FFFF
        self.bits_in = self.bits_in + 1 & 0xFFFF
        if self.bits_in == COMMAND_BITS and not self.reading:
            self.bits_out = ((self.value & 0x3F) << 4) - 1 & 0xFFFF
            self.reading = int(self.value >> 6 & 7 == READ_OPCODE)
