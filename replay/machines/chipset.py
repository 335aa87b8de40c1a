"""Chipsets: i440FX with PIIX3 and PIIX4, Q35 with ICH9. PCI configuration access, reset control, interrupt routing.

Source: QEMU's ``info mtree -f`` and ``query-pci`` for what a machine has.
"""

from __future__ import annotations

from typing import Final

from ..devices.pci_host import ECAM, ICH9_RESET_BITS, PIIX3_RESET_BITS, PORTS, PciHost
from .pci_functions import add_functions
from .wiring import Wiring

CONFIG_PORTS: Final = 0xCF8
ECAM_SIZE: Final = 0x1000_0000


def add_pci(wiring: Wiring) -> None:
    """Configuration access and the functions behind it."""
    if not wiring.guest.functions or CONFIG_PORTS not in wiring.places("pci-conf-idx"):
        return
    bits = PIIX3_RESET_BITS if wiring.places("piix-reset-control") else 0
    bits = ICH9_RESET_BITS if wiring.places("lpc-reset-control") else bits
    host = wiring.board.add("pci", PciHost(bits), pio=[(CONFIG_PORTS, PORTS)])
    ecam = wiring.places("pcie-mmcfg-mmio", "mmio")
    add_functions(wiring.pci, wiring.guest, host, has_ecam=bool(ecam))
    for base in ecam:
        view = wiring.pci.view
        view.change([], [view.claim("mmio", base, ECAM_SIZE, host, ECAM, priority=3)])
