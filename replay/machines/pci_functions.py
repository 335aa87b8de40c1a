"""The PCI functions of a guest, built from what its trace tells (identities, BARs) and from what is known of them.

Of a card that nobody knows the first reads teach the rest.

Source: QEMU's ``query-pci`` and ``info mtree -f``, which the trace carries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

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
from ..guest import Guest, PciFunction
from .pci import Function, Pci
from .pci_cards import CARDS

PCI_BRIDGE: Final = 0x0604
STATUS_KIND: Final = 0x06B0
"""Bits of the status register that say what a function can do."""
SIZE, SIZE_EXPRESS = 256, 4096


class MsixPlace(NamedTuple):
    """Where a function's MSI-X table is."""

    vectors: int
    table: tuple[int, int]
    """BAR and offset in it."""
    pending: tuple[int, int]


def add_functions(pci: Pci, guest: Guest, host: PciHost, *, has_ecam: bool) -> None:
    """Put all functions of `guest` on the board, with `host` in front of them."""
    pci.host = host
    parents = bridges_of(guest.functions)
    built: dict[PciFunction, Function] = {}
    for what in guest.functions:
        above = parents.get(what.bus)
        if what.bus and above not in built:
            continue  # nobody knows behind which bridge it is
        parent = built[above] if above is not None else None
        built[what] = add_function(pci, guest, what, parent, has_ecam=has_ecam)


def add_function(
    pci: Pci, guest: Guest, what: PciFunction, parent: Function | None = None, *, has_ecam: bool = False
) -> Function:
    """Put one function on the board."""
    card = CARDS.get((what.vendor_id, what.device_id))
    size = SIZE_EXPRESS if has_ecam and (card is None or card.is_express) else SIZE
    kind = PciBridge if what.class_code == PCI_BRIDGE else PciConfig
    config = kind(what.vendor_id, what.device_id, what.class_code, size=size)
    for bar in what.bars:
        config.add_bar(bar.number, bar.size, is_io=bar.is_io, is_64=bar.is_64, prefetch=bar.prefetch)
    function = pci.add(what, config, parent)
    place = find_msix(guest, what)
    if card is not None:
        card.build(function, place)
    else:
        learn_all(config)
        if place is not None:
            function.show_msix(None, *place)
    return function


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
