"""Network cards on PCI.

Source: QEMU's ``info pci`` for BARs and identities.
"""

from __future__ import annotations

from typing import Final

from ..devices.e1000_identities import I82574L, PHY_IDENTITIES
from ..devices.ne2000 import Ne2000
from .messages import FunctionMessages
from .pci_cards import CARDS, Card
from .peripherals import FIRST_MAC, Peripherals, integer
from .topology import apic_ids
from .wiring import Wiring

INTEL: Final = 0x8086
E1000_REVISION: Final = 3

REALTEK, RTL8029 = 0x10EC, 0x8029
NE2000_SPAN: Final = 0x20
NE2000_PORTS: Final = (0x300, 0x320, 0x340, 0x360, 0x280, 0x380)
NE2000_IRQS: Final = (9, 10, 11, 3, 4, 5)
"""Where QEMU puts cards on ISA that have no place of their own."""


def add_e1000(wiring: Wiring) -> None:
    """Intel 8254x."""
    functions = wiring.pci.find(INTEL, *PHY_IDENTITIES)
    if not functions:
        return
    from ..devices.e1000 import E1000, IO_AT  # thousands of registers take long to import

    peripherals = Peripherals(wiring.guest)
    found = peripherals.on_pci([function.what for function in functions], _is_e1000)
    for function, (_, mac) in zip(functions, found, strict=True):
        nic = wiring.board.add(f"e1000@{function.name}", E1000(
            wiring.board.clock, function.intx, mac or FIRST_MAC, function.what.device_id,
            has_vet=peripherals.machine_version >= (6, 1), foresees=len(apic_ids(wiring.guest)) > 1,
        ))  # fmt: skip
        function.show(0, nic)
        function.show(1, nic, at=IO_AT)


def add_e1000e(wiring: Wiring) -> None:
    """Intel 82574L. Its flash is empty: nothing answers in that BAR."""
    functions = wiring.pci.find(INTEL, I82574L)
    if not functions:
        return
    from ..devices.e1000e import HOST_CLOCK, E1000e  # as above
    from ..devices.e1000e_registers import IO_AT

    peripherals = Peripherals(wiring.guest)
    found = peripherals.on_pci([function.what for function in functions], "e1000e".__eq__)
    kind = type("E1000e", (E1000e,), {"contracts": HOST_CLOCK}) if wiring.guest.clock != "virtual" else E1000e
    for function, (_, mac) in zip(functions, found, strict=True):
        nic = wiring.board.add(f"e1000e@{function.name}", kind(
            wiring.board.clock, function.intx, FunctionMessages(function), mac or FIRST_MAC,
            has_vet=peripherals.machine_version >= (6, 1),
        ))  # fmt: skip
        function.show(0, nic)
        function.show(2, nic, at=IO_AT)


def add_ne2000(wiring: Wiring) -> None:
    """Cards with a DP8390: Realtek's RTL8029 on PCI, Novell's on ISA."""
    peripherals = Peripherals(wiring.guest)
    functions = wiring.pci.find(REALTEK, RTL8029)
    found = peripherals.on_pci([function.what for function in functions], "ne2k_pci".__eq__)
    for function, (_, mac) in zip(functions, found, strict=True):
        function.show(0, wiring.board.add(f"ne2000@{function.name}", Ne2000(function.intx, mac or FIRST_MAC)))
    cards = {
        integer(options, "iobase", NE2000_PORTS[0]): (integer(options, "irq", NE2000_IRQS[0]), mac)
        for options, mac in zip(peripherals.devices, peripherals.macs, strict=True)
        if options.get("driver") == "ne2k_isa"
    }
    built_in = [mac for model, mac in peripherals.built_in_nics if model in ("", "ne2k_isa")]
    cards |= {port: (irq, mac) for port, irq, mac in zip(NE2000_PORTS, NE2000_IRQS, built_in, strict=False)}
    for region in wiring.guest.find_regions("ne2000"):
        if region.size == NE2000_SPAN and region.first in cards:
            irq, mac = cards[region.first]
            card = Ne2000(wiring.irq(irq), mac)
            wiring.board.add(f"ne2000@{region.first:x}", card, pio=[(region.first, NE2000_SPAN)])


def _is_e1000(driver: str) -> bool:
    return driver == "e1000" or driver.startswith("e1000-")


for _device_id in PHY_IDENTITIES:
    CARDS[INTEL, _device_id] = Card(E1000_REVISION)
