"""The PCI functions of a guest, built from what its trace tells (identities, BARs) and from what is known of them.

Of a card that nobody knows the first reads teach the rest.

Source: QEMU's ``query-pci`` and ``info mtree -f``, which the trace carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ..devices.i440fx import I440Fx
from ..devices.ich9_lpc import Ich9Lpc
from ..devices.msix_table import ENTRY_SIZE
from ..devices.pci_bridge import PciBridge
from ..devices.pci_config import (
    CAPABILITIES_POINTER,
    HEADER_SIZE,
    HEADER_TYPE,
    INTERRUPT_PIN,
    MULTI_FUNCTION,
    PROG_IF,
    REVISION_ID,
    STATUS,
    SUBSYSTEM_VENDOR_ID,
    PciConfig,
)
from ..devices.pci_host import PciHost
from ..devices.piix3 import Piix3
from ..devices.piix4_pm import Piix4Pm
from ..devices.q35_mch import Q35Mch
from ..guest import Guest, PciFunction
from .pci import Function, Pci
from .pci_card_kinds import CardContext, MsixPlace
from .pci_cards import CARDS
from .peripherals import Options, Peripherals, has_address, has_id

PCI_BRIDGE: Final = 0x0604
NO_VENDOR: Final = 0xFFFF
STATUS_KIND: Final = 0x06B0
"""Bits of the status register that say what a function can do."""
SIZE, SIZE_EXPRESS = 256, 4096


CHIPSET: Final[dict[tuple[int, int], Callable[[Guest], PciConfig]]] = {
    (0x8086, 0x1237): lambda guest: I440Fx(ram_below_4g(guest)),
    (0x8086, 0x7000): lambda guest: Piix3(),
    (0x8086, 0x7113): lambda guest: Piix4Pm(isa_ports(guest)),
    (0x8086, 0x29C0): lambda guest: Q35Mch(),
    (0x8086, 0x2918): lambda guest: Ich9Lpc(isa_ports(guest)),
}
"""Functions with models of their own."""

DRIVERS: Final = {(0x1B36, 0x0001): "pci-bridge", (0x1B36, 0x000C): "pcie-root-port"}
"""QEMU's names of cards whose options matter here."""


def add_functions(pci: Pci, guest: Guest, host: PciHost, *, has_ecam: bool) -> None:
    """Put all functions of `guest` on the board, with `host` in front of them."""
    pci.host = host
    parents = bridges_of(guest.functions)
    built: dict[PciFunction, Function] = {}
    for what in guest.functions:
        if what.vendor_id == NO_VENDOR:
            continue  # a virtual function that is not enabled
        above = parents.get(what.bus)
        if what.bus and above not in built:
            continue  # nobody knows behind which bridge it is
        parent = built[above] if above is not None else None
        built[what] = add_function(pci, guest, what, parent, has_ecam=has_ecam)


def add_function(
    pci: Pci, guest: Guest, what: PciFunction, parent: Function | None = None, *, has_ecam: bool = False
) -> Function:
    """Put one function on the board."""
    chip = CHIPSET.get((what.vendor_id, what.device_id))
    if chip is not None:
        return pci.add(what, chip(guest), parent)
    card = CARDS.get((what.vendor_id, what.device_id))
    is_express = card is None or (card.is_express(what) if callable(card.is_express) else card.is_express)
    is_behind_port = parent is not None and parent.config.size == SIZE_EXPRESS
    is_on_express = has_ecam if parent is None else is_behind_port
    size = SIZE_EXPRESS if is_on_express and is_express else SIZE
    kind = PciBridge if what.class_code == PCI_BRIDGE else PciConfig
    config = kind(what.vendor_id, what.device_id, what.class_code, size=size)
    for bar in what.bars:
        config.add_bar(bar.number, bar.size, is_io=bar.is_io, is_64=bar.is_64, prefetch=bar.prefetch)
    function = pci.add(what, config, parent)
    peripherals = Peripherals(guest)
    context = CardContext(
        msix=find_msix(guest, what),
        has_ecam=is_on_express,
        is_behind_port=is_behind_port,
        is_multifunction=is_multifunction(peripherals, guest, what),
        options=options_of(peripherals, guest, what),
    )
    if card is not None:
        card.build(function, context)
    else:
        learn_all(config)
        if context.msix is not None:
            function.show_msix(None, *context.msix)
    return function


def is_multifunction(peripherals: Peripherals, guest: Guest, what: PciFunction) -> bool:
    """Whether the header says so: of the ICH9's functions, and where the option does."""
    if guest.machine == "q35" and (what.bus, what.slot) == (0, 0x1F):
        return True
    return any(
        device.get("multifunction") in ("on", "true") and (has_id(device, what) or has_address(device, what))
        for device in peripherals.devices
    )


def options_of(peripherals: Peripherals, guest: Guest, what: PciFunction) -> Options:
    """The properties of the ``-device`` option of a function whose kind is in `DRIVERS`."""
    driver = DRIVERS.get((what.vendor_id, what.device_id))
    alike = [f for f in guest.functions if (f.vendor_id, f.device_id) == (what.vendor_id, what.device_id)]
    return peripherals.on_pci(alike, lambda name: name == driver)[alike.index(what)][0]


def isa_ports(guest: Guest) -> frozenset[int]:
    """The ports of ISA devices that chipsets tell firmware of: where the map of the start has anything."""
    ports = {r.first for r in guest.regions if r.space == "pio" and r.snapshot == 0 and r.name != "io"}
    if any(r.space == "pio" and r.snapshot == 0 and r.name == "fdc" for r in guest.regions):
        ports.add(0x3F2)
    return frozenset(ports)


def ram_below_4g(guest: Guest) -> int:
    """Size of the memory that begins at address 0: its last piece below the PCI hole is mapped from the start."""
    return max(
        (r.last + 1 for r in guest.regions if r.space == "mmio" and r.name == "pc.ram" and r.last < 1 << 32), default=0
    )


def learn_all(config: PciConfig) -> None:
    """Let the first reads teach what a function is beyond its identities and BARs."""
    config.learn(STATUS, 2, STATUS_KIND)
    for offset, size in ((REVISION_ID, 1), (PROG_IF, 1), (CAPABILITIES_POINTER, 1), (INTERRUPT_PIN, 1)):
        config.learn(offset, size)
    config.learn(HEADER_TYPE, 1, MULTI_FUNCTION)
    if not isinstance(config, PciBridge):
        config.learn(SUBSYSTEM_VENDOR_ID, 4)
    for offset in range(HEADER_SIZE, config.size, 4):
        config.learn(offset, 4)


def bridges_of(functions: Iterable[PciFunction]) -> dict[int, PciFunction]:
    """By bus number the bridge that the bus is behind.

    The trace tells the numbers that buses had in the end, but not whose they are. Firmware and kernels number buses
    depth first in the order of slots, so the bridges are taken in that order.
    """
    on_bus: dict[int, list[PciFunction]] = {}
    for function in functions:
        on_bus.setdefault(function.bus, []).append(function)
    found: dict[int, PciFunction] = {}
    last = 0

    def walk(bus: int) -> None:
        nonlocal last
        for function in sorted(on_bus.get(bus, ()), key=lambda f: (f.slot, f.function)):
            if function.class_code == PCI_BRIDGE:
                last += 1
                found[last] = function
                walk(last)

    walk(0)
    return found


def find_msix(guest: Guest, what: PciFunction) -> MsixPlace | None:
    """Where the map shows MSI-X tables within the function's BARs."""
    table = pending = None
    vectors = 0
    for bar in what.bars:
        if bar.is_io or bar.address is None:
            continue
        for region in guest.regions:
            first = region.first - region.offset
            if region.space == "mmio" and bar.address <= first < bar.address + bar.size:
                if region.name == "msix-table":
                    vectors = max(vectors, (region.offset + region.size) // ENTRY_SIZE)
                    table = bar.number, first - bar.address
                elif region.name == "msix-pba":
                    pending = bar.number, first - bar.address
    return MsixPlace(vectors, table, pending) if vectors and table and pending else None
