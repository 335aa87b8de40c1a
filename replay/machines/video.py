"""Displays: the VGA and its siblings.

Source: QEMU documentation, "QEMU Standard VGA" (docs/specs/standard-vga), for where the parts of a display are.
"""

from __future__ import annotations

from typing import Final

from ..devices import edid
from ..devices import vga_registers as regs
from ..devices.vga import Vga
from .wiring import Wiring

VGA_PORTS, DISPI_PORTS, WINDOW = 0x3C0, 0x1CE, 0xA0000

MAPPED_PORTS, MAPPED_DISPI, MAPPED_QEXT = 0x400, 0x500, 0x600
"""Offsets in BAR 2."""
MIB: Final = 1 << 20
PCI_MEMORY, ISA_MEMORY = 16 * MIB, 8 * MIB


def add_vga(wiring: Wiring) -> None:
    """The adapter at the VGA's ports."""
    if VGA_PORTS not in wiring.places("vga"):
        return
    pio = [(first, last - first + 1, first - regs.FIRST_PORT) for first, last in _ranges(wiring, "vga")]
    pio += [
        (first, last - first + 1, regs.DISPI_INDEX_PORT + first - DISPI_PORTS) for first, last in _ranges(wiring, "vbe")
    ]
    mmio = [(WINDOW, 0x20000, regs.WINDOW)]
    for name, size, at in (
        ("edid", 384, regs.EDID),
        ("vga ioports remapped", 32, regs.ATTRIBUTE),
        ("bochs dispi interface", regs.DISPI_BYTES, regs.DISPI),
        ("qemu extended regs", regs.QEXT_BYTES, regs.QEXT),
    ):
        mmio += [(base, size, at) for base in wiring.places(name, "mmio")]
    memory = [region.size for region in wiring.guest.find_regions("vga.vram", "mmio") if region.size >= MIB]
    monitor = edid.generate(edid.Monitor(), 384)
    wiring.board.add("vga", Vga(max(memory, default=PCI_MEMORY), monitor), pio=pio, mmio=mmio)


def _ranges(wiring: Wiring, name: str) -> list[tuple[int, int]]:
    return sorted({(region.first, region.last) for region in wiring.guest.find_regions(name)})
