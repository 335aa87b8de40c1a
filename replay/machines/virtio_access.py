"""Access to a virtio device's registers through its configuration space, for guests that cannot reach the BAR.

Source: VIRTIO 1.2, 4.1.4.9 "PCI configuration access capability".

Not modelled: learning what only a recording knows; it reads 0 here.

Follows QEMU, which does not look at the capability's BAR: all registers are in one.
"""

from __future__ import annotations

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

    def read() -> None:
        where = place()
        if where is not None:
            answer = modern.read(*where)
            config.poke(at + DATA, where[1], answer.known if isinstance(answer, Unknown) else answer)

    def write() -> None:
        where = place()
        if where is not None:
            modern.write(*where, config.peek(at + DATA, where[1]))

    config.before_reads(at + DATA, 4, read)
    config.watch(at + DATA, 4, write, on_reset=False)
