"""Network cards on PCI.

Source: QEMU's ``info pci`` for BARs and identities.
"""

from __future__ import annotations

from typing import Final

from ..devices.e1000 import E1000, IO_AT, PHY_IDENTITIES
from ..devices.e1000e import DEVICE_ID as E1000E_ID
from ..devices.e1000e import HOST_CLOCK, E1000e
from ..devices.e1000e_registers import IO_AT as E1000E_IO_AT
from .messages import FunctionMessages
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


def add_e1000e(wiring: Wiring) -> None:
    """Intel 82574L. Its flash is empty: nothing answers in that BAR."""
    functions = wiring.pci.find(INTEL, E1000E_ID)
    peripherals = Peripherals(wiring.guest)
    found = peripherals.on_pci([function.what for function in functions], "e1000e".__eq__)
    kind = type("E1000e", (E1000e,), {"contracts": HOST_CLOCK}) if wiring.guest.clock == "host" else E1000e
    for function, (_, mac) in zip(functions, found, strict=True):
        nic = kind(
            wiring.board.clock, function.intx, FunctionMessages(function), mac or FIRST_MAC,
            has_vet=peripherals.machine_version >= (6, 1),
        )  # fmt: skip
        wiring.board.add(f"e1000e@{function.name}", nic)
        function.show(0, nic)
        function.show(2, nic, at=E1000E_IO_AT)


def _is_e1000(driver: str) -> bool:
    return driver == "e1000" or driver.startswith("e1000-")


for _device_id in PHY_IDENTITIES:
    CARDS[INTEL, _device_id] = Card(E1000_REVISION)
