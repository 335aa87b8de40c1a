"""MSI-X table and pending bit array of a PCI function.

Source: PCI Local Bus Specification 3.0, sections 6.8.2.6 to 6.8.2.9 and 6.8.3.

Modelled: the entries, masking, pending bits, and the message that an unmasked vector sends, as a callback.

Not modelled: what the message does.

Follows QEMU where the guest can see a difference from the specification: all bits of an entry can be written and read
back; the pending bits ignore writes; a byte or a word reads 0 and is not written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap, bit

ENTRY_SIZE: Final = 16
PENDING: Final = 0x8000
"""Where the pending bits begin in the register space: after the most entries there can be."""

ENABLE, MASK_ALL = 0x8000, 0x4000
"""Bits of message control."""

_ALONE_VECTORS: Final = 2


def _names(vectors: int) -> RegisterMap:
    registers = []
    for vector in range(vectors):
        at = vector * ENTRY_SIZE
        named = partial(Register, width=32, part=f"vector {vector}")
        registers += [
            named(f"Address {vector}", "Message address", at, "rw", reset=0),
            named(f"Upper address {vector}", "Message upper address", at + 4, "rw", reset=0),
            named(f"Data {vector}", "Message data", at + 8, "rw", reset=0),
            named(f"Control {vector}", "Vector control", at + 12, "rw", (bit("Mask", 0),), reset=1),
        ]
    pending = [
        Register(f"Pending {n}", "Pending bits", PENDING + 4 * n, "r", width=32, reset=0, nature="interrupt")
        for n in range(_pending_size(vectors) // 4)
    ]
    return RegisterMap(*registers, *pending)


def _pending_size(vectors: int) -> int:
    return (vectors + 63) // 64 * 8


class MsixTable(Device):
    """The table at offset 0, the pending bits at `PENDING`.

    Args:
        vectors: how many entries it has.
        send: takes the address and the data of each message.
    """

    title = "MSI-X table and pending bits"
    registers = _names(_ALONE_VECTORS)
    width = 4

    def __init__(self, vectors: int, send: Callable[[int, int], None] = lambda address, data: None) -> None:
        self.vectors = vectors
        self.table_size = vectors * ENTRY_SIZE
        self.pending_size = _pending_size(vectors)
        self.registers = _names(vectors)
        self._send = send
        self._control = 0
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(_ALONE_VECTORS)

    def reset(self) -> None:
        """See `Device.reset`."""
        self._entries = [0, 0, 0, 1] * self.vectors
        self._pending = 0
        self._control = 0

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if size != 4 or offset & 3:
            return 0
        if offset < self.table_size:
            return self._entries[offset >> 2]
        return self._pending >> 8 * (offset - PENDING) & 0xFFFF_FFFF if offset >= PENDING else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if size == 4 and not offset & 3 and offset < self.table_size:
            self._entries[offset >> 2] = value
            if offset & 0xC == 0xC:
                self._release()

    def control(self, value: int) -> None:
        """Take message control of the capability, which enables or masks all vectors."""
        self._control = value
        self._release()

    def notify(self, vector: int) -> None:
        """Send the message of `vector`, or note that it is pending."""
        if vector >= self.vectors:
            return
        if self._control & (ENABLE | MASK_ALL) == ENABLE and not self._entries[4 * vector + 3] & 1:
            low, high, data, _ = self._entries[4 * vector : 4 * vector + 4]
            self._send(low | high << 32, data)
        else:
            self._pending |= 1 << vector

    def _release(self) -> None:
        """Send what is pending and not masked any more."""
        pending = self._pending
        while pending and self._control & (ENABLE | MASK_ALL) == ENABLE:
            vector = pending.bit_length() - 1
            pending &= ~(1 << vector)
            if not self._entries[4 * vector + 3] & 1:
                self._pending &= ~(1 << vector)
                self.notify(vector)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        state = {"pending": self._pending, "control": self._control}
        for vector in range(self.vectors):
            entry = self._entries[4 * vector : 4 * vector + 4]
            state |= dict(zip((f"{n}_{vector}" for n in ("low", "high", "data", "mask")), entry, strict=True))
        return state
