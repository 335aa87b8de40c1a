"""What a trace tells of its guest's PCI: which bridge a bus is behind, where MSI-X tables are, what firmware is told.

Source: QEMU's ``query-pci`` and ``info mtree -f``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..devices.msix_table import ENTRY_SIZE
from ..guest import Guest, PciFunction
from .command import is_on, merged
from .pci_card_kinds import MsixPlace

PCI_BRIDGE: Final = 0x0604


def isa_ports(guest: Guest) -> frozenset[int]:
    """The ports of ISA devices that chipsets tell firmware of: where the map of the start has anything."""
    ports = {r.first for r in guest.regions if r.space == "pio" and r.snapshot == 0 and r.name != "io"}
    if any(r.space == "pio" and r.snapshot == 0 and r.name == "fdc" for r in guest.regions):
        ports.add(0x3F2)
    return frozenset(ports)


def has_smm(guest: Guest) -> bool:
    """Whether the machine has system management mode, as it has unless QEMU is told otherwise."""
    return is_on(merged(guest, "M", "machine", first="type"), "smm", default=True)


def ram_below_4g(guest: Guest) -> int:
    """Size of the memory that begins at address 0: its last piece below the PCI hole is mapped from the start."""
    return max(
        (r.last + 1 for r in guest.regions if r.space == "mmio" and r.name == "pc.ram" and r.last < 1 << 32), default=0
    )


def bridges_of(functions: Iterable[PciFunction]) -> dict[int, PciFunction]:
    """By bus number the bridge that the bus is behind.

    The trace tells the numbers that buses had in the end, but not whose they are. Firmware and kernels number buses
    depth first in the order of slots, so the bridges are taken in that order. What is left are root buses of their own.
    """
    on_bus: dict[int, list[PciFunction]] = {}
    for function in functions:
        on_bus.setdefault(function.bus, []).append(function)
    found: dict[int, PciFunction] = {}
    seen = set()
    last = 0

    def walk(bus: int) -> None:
        nonlocal last
        seen.add(bus)
        for function in sorted(on_bus.get(bus, ()), key=lambda f: (f.slot, f.function)):
            if function.class_code == PCI_BRIDGE:
                last += 1
                found[last] = function
                walk(last)

    walk(0)
    for bus in sorted(on_bus):
        if bus not in seen:
            last = bus
            walk(bus)
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
