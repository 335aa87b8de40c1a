"""The memories on QEMU's SMBus: eight serial EEPROMs of 256 bytes (24C02) at addresses 50h to 57h, full of zeros.

Source: Atmel AT24C02 data sheet, "Device Operation"; System Management Bus Specification 2.0, section 5.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FIRST, LAST = 0x50, 0x57
SIZE: Final = 256


class Eeproms:
    """The bus with its memories."""

    def __init__(self) -> None:
        self._contents = {address: bytearray(SIZE) for address in range(FIRST, LAST + 1)}
        self._offsets = dict.fromkeys(self._contents, 0)

    def answers(self, address: int) -> bool:
        """Whether somebody has this address."""
        return address in self._contents

    def send(self, address: int, data: Iterable[int]) -> None:
        """Write: the first byte is the offset, the others are stored from there on."""
        for number, byte in enumerate(data):
            if number == 0:
                self._offsets[address] = byte
            else:
                self._contents[address][self._offsets[address]] = byte
                self._offsets[address] = (self._offsets[address] + 1) % SIZE

    def receive(self, address: int) -> int:
        """Read the byte at the offset, and move on."""
        value = self._contents[address][self._offsets[address]]
        self._offsets[address] = (self._offsets[address] + 1) % SIZE
        return value
