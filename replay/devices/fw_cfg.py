"""QEMU firmware configuration device, fw_cfg, at its I/O ports: selector, data and DMA address registers.

Source: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device" (docs/specs/fw_cfg); the names in brackets
below are its section headings.

Modelled: selector, data register and data offset; items that the machine's configuration fixes, all others learned
byte by byte; reads as 0 of what cannot be selected; the DMA address register as it reads.

Not modelled: what a DMA transfer moves, since its control structure and its data are in memory, which no trace shows.
A transfer may also select another item, so what the data register reads after one is unknown until the next write of
the selector: learned, but not remembered. The interface in memory that other machines have.

Follows QEMU where the guest can see a difference from its documentation: reads of the selector's first port are reads
of the data register; reads wider than a byte of the data register are refused, and give 0, as does an unaligned read
of the DMA address register; a reset selects item 0 and keeps the upper half of the DMA address.

Register space: offset 0 is port 510h.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..registers import Field, Register, RegisterMap, bit

_DATA, _DMA = "Data Register", "Guest-side DMA Interface"

SIGNATURE_HIGH, SIGNATURE_LOW = int.from_bytes(b"QEMU", "little"), int.from_bytes(b" CFG", "little")

REGISTERS: Final = RegisterMap(
    Register(
        "Selector", "Item that the data register shows", 0, "w",
        (bit("Architecture", 15), bit("Write", 14), Field("Key", 13, 0)),
        width=16, source="Selector (Control) Register",
    ),
    Register("Data alias", "The next byte of the item, too", 0, "r", reset=ord("Q"), source="QEMU"),
    Register("Data", "The next byte of the item; writes are ignored", 1, "r", reset=ord("Q"), source=_DATA),
    Register(
        "DMA address high", "Bits 63-32, big-endian; reads as 'QEMU'", 4, "rw",
        reset=SIGNATURE_HIGH, width=32, source=_DMA,
    ),
    Register(
        "DMA address low", "Bits 31-0, big-endian, starts a transfer; reads as ' CFG'", 8, "rw",
        reset=SIGNATURE_LOW, width=32, source=_DMA,
    ),
)  # fmt: skip

DMA_HIGH, DMA_LOW = 4, 8
DMA_SIGNATURE: Final = b"QEMU CFG"

KEY_SIGNATURE, KEY_ID, KEY_UUID, KEY_RAM_SIZE, KEY_NOGRAPHIC, KEY_NB_CPUS = range(6)
KEY_BOOT_MENU, KEY_MAX_CPUS = 0x0E, 0x0F
KEY_IRQ0_OVERRIDE: Final = 0x8002

KEY_ITEM: Final = 0x3FFF
KEY_ARCHITECTURE: Final = 0x8000
ITEMS: Final = 0x40
"""How many numbers of items there are: 0x20 well-known ones and as many files."""

ID_TRADITIONAL, ID_DMA = 1, 2

NOTHING: Final = -1
"""Selected by a key that is out of range."""
UNKNOWN: Final = -2
"""What is selected after a DMA transfer."""


class FwCfg(Device):
    """The device.

    Args:
        dma: it has the DMA interface.
        items: what is known of the items, whole, by key. Signature and ID always are.
    """

    title = "QEMU firmware configuration"
    registers = REGISTERS
    width = 8
    kept_by_reset = ("dma_address", "learned")

    def __init__(self, *, dma: bool = True, items: Mapping[int, bytes] | None = None) -> None:
        self._items = {
            **(items or {}),
            KEY_SIGNATURE: b"QEMU",
            KEY_ID: (ID_TRADITIONAL | (ID_DMA if dma else 0)).to_bytes(4, "little"),
        }
        self._learned: dict[int, bytearray] = {}
        """The beginnings of other items, by key, as far as they were read."""
        self._key = self._offset = 0
        self._dma_address = 0
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`. Item 0 is selected."""
        self._select(KEY_SIGNATURE)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`. A byte of an item is `Unknown` when nothing fixes it and it was not read before."""
        if offset >= DMA_HIGH:
            at = offset - DMA_HIGH
            if at % size:
                return 0  # QEMU refuses the access
            return int.from_bytes(DMA_SIGNATURE[at : at + size], "little")
        return self._read_data() if size == 1 and offset <= 1 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`. QEMU takes no other sizes than these."""
        if offset <= 1 and size == 2:
            self._select(value)
        elif size == 4 and offset == DMA_HIGH:
            self._dma_address = _swap(value) << 32
        elif size == 4 and offset == DMA_LOW:
            self._transfer()

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `key` is -1 if nothing is selected, -2 if it is not known what is."""
        return {
            "key": self._key,
            "offset": self._offset,
            "dma_address": self._dma_address,
            "learned": sum(map(len, self._learned.values())),
        }

    def _select(self, key: int) -> None:
        self._key = key & (KEY_ARCHITECTURE | KEY_ITEM) if key & KEY_ITEM < ITEMS else NOTHING
        self._offset = 0

    def _read_data(self) -> int:
        key, offset = self._key, self._offset
        if key == NOTHING:
            return 0
        if key == UNKNOWN:
            return Unknown(0, 0xFF, _forget)
        self._offset = offset + 1
        item = self._items.get(key)
        if item is not None:
            return item[offset] if offset < len(item) else 0
        learned = self._learned.setdefault(key, bytearray())
        return learned[offset] if offset < len(learned) else Unknown(0, 0xFF, partial(self._learn, learned, offset))

    def _learn(self, item: bytearray, offset: int, value: int) -> None:
        if offset == len(item):
            item.append(value)

    def _transfer(self) -> None:
        """Do the transfer whose control structure is at the DMA address, which is then 0."""
        self._dma_address = 0
        self._key = UNKNOWN


def _swap(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little"), "big")


def _forget(value: int) -> None:
    """The recorded byte belongs to an unknown item."""
