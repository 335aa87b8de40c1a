"""Access to a virtio device's registers through its configuration space, for guests that cannot reach the BAR.

Source: VIRTIO 1.2, 4.1.4.9 "PCI configuration access capability".

What only a recording knows is learned and assumed as by an access to the BAR, if the guest reads as many bytes as the
capability says.

Follows QEMU, which does not look at the capability's BAR: all registers are in one.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ..device import Unknown
from ..devices.pci_config import PciConfig
from ..devices.virtio_pci import VirtioPci
from .messages import capabilities

CAP_VENDOR: Final = 0x09
PCI_CFG: Final = 5
CFG_TYPE, OFFSET, LENGTH, DATA = 3, 8, 12, 16
"""Parts of the capability."""


def add_access(config: PciConfig, modern: VirtioPci, size: int) -> None:
    """Let the capability reach the `size` bytes of registers."""
    at = next((at for at in capabilities(config, CAP_VENDOR) if config.peek(at + CFG_TYPE, 1) == PCI_CFG), None)
    if at is None:
        return

    def place() -> tuple[int, int] | None:
        length = config.peek(at + LENGTH, 4)
        offset = config.peek(at + OFFSET, 4) & -length
        return (offset, length) if length in (1, 2, 4) and offset + length <= size else None

    def read(size: int) -> Unknown | None:
        where = place()
        if where is None:
            return None
        answer = modern.read(*where)
        if not isinstance(answer, Unknown):
            config.poke(at + DATA, where[1], answer)
            return None
        config.poke(at + DATA, where[1], answer.known)
        return Unknown(answer.known, answer.mask, partial(learn, answer), answer.kind) if size == where[1] else None

    def learn(answer: Unknown, value: int) -> None:
        answer.learn(value)
        config.poke(at + DATA, config.peek(at + LENGTH, 4), answer.known | value)

    def assume(size: int, hw: int, model: int) -> bool:
        where = place()
        if where is None or where[1] != size or not modern.assume(*where, hw, model):
            return False
        config.poke(at + DATA, size, hw)
        return True

    def write() -> None:
        where = place()
        if where is not None:
            modern.write(*where, config.peek(at + DATA, where[1]))

    config.before_reads(at + DATA, 4, read, assume)
    config.watch(at + DATA, 4, write, on_reset=False)
