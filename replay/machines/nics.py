"""Network cards on PCI.

Source: QEMU's ``info pci`` for BARs and identities.
"""

from __future__ import annotations

from typing import Final

from ..devices.e1000 import E1000, IO_AT, PHY_IDENTITIES
from .pci_cards import CARDS, Card
from .peripherals import FIRST_MAC, Peripherals
from .wiring import Wiring

INTEL: Final = 0x8086
E1000_REVISION: Final = 3


def add_e1000(wiring: Wiring) -> None:
    """Intel 8254x."""
    functions = wiring.pci.find(INTEL, *PHY_IDENTITIES)
    peripherals = Peripherals(wiring.guest)
    found = peripherals.on_pci([function.what for function in functions], _is_e1000)
    for function, (_, mac) in zip(functions, found, strict=True):
        nic = E1000(
            wiring.board.clock, function.intx, mac or FIRST_MAC, function.what.device_id,
            has_vet=peripherals.machine_version >= (6, 1),
        )  # fmt: skip
        wiring.board.add(f"e1000@{function.name}", nic)
        function.show(0, nic)
        function.show(1, nic, at=IO_AT)


def _is_e1000(driver: str) -> bool:
    return driver == "e1000" or driver.startswith("e1000-")


for _device_id in PHY_IDENTITIES:
    CARDS[INTEL, _device_id] = Card(E1000_REVISION)
