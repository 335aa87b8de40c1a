"""Displays: the VGA with its ISA and PCI siblings, and bochs-display.

Source: QEMU documentation, "QEMU Standard VGA" (docs/specs/standard-vga), for where the parts of a display are, and
the properties of its displays, by which their monitors are described.
"""

from __future__ import annotations

from typing import Final

from ..device import Device
from ..devices import edid
from ..devices import vga_registers as regs
from ..devices.bochs_display import BochsDisplay
from ..devices.vga import Vga
from ..guest import PciFunction, Region
from . import command
from .pci import Function
from .wiring import Wiring

VGA_PORTS, DISPI_PORTS, WINDOW = 0x3C0, 0x1CE, 0xA0000
QEMU, QEMU_DISPLAY, VGA_CLASS = 0x1234, 0x1111, 0x0300

BAR_MEMORY, BAR_REGISTERS = 0, 2
MAPPED_PORTS, MAPPED_DISPI, MAPPED_QEXT = 0x400, 0x500, 0x600
"""Offsets in BAR 2, which begins with the EDID block."""
MAPPED_PORTS_BYTES: Final = 0x20

ISA_MEMORY: Final = 8 << 20
LARGEST_EDID: Final = 3 * edid.BLOCK
DRIVERS: Final = ("VGA", "secondary-vga", "bochs-display")


def add_displays(wiring: Wiring) -> None:
    """All displays: those on PCI, and that of a machine without it."""
    has_vga = False
    for function in wiring.pci.find(QEMU, QEMU_DISPLAY):
        is_vga = function.what.class_code == VGA_CLASS and not has_vga
        has_vga |= is_vga
        _add_pci_display(wiring, function, is_vga)
    if not has_vga and VGA_PORTS in wiring.places("vga") and not wiring.pci.find_class(VGA_CLASS):
        memory = [region.size for region in wiring.guest.find_regions("vga.vram", "mmio") if region.size >= 1 << 20]
        _add_vga(wiring, "vga", Vga(max(memory, default=ISA_MEMORY)))


def _add_pci_display(wiring: Wiring, function: Function, is_vga: bool) -> None:
    inside = _regions_inside(wiring, function.what)
    config = function.config
    memory = config.bars[BAR_MEMORY].size
    mapped = [region.offset + region.size for region in inside if region.name == "edid"]
    monitor = edid.generate(_monitor(wiring, function.what), max(mapped, default=LARGEST_EDID))
    device: Device
    if is_vga:
        device = _add_vga(wiring, "vga", Vga(memory, monitor))
    elif any(region.name == "bochs-display-mmio" for region in inside):
        device = wiring.board.add(f"bochs-display@{function.name}", BochsDisplay(memory, monitor))
    else:
        device = wiring.board.add(f"vga@{function.name}", Vga(memory, monitor, legacy=False))
    if BAR_REGISTERS not in config.bars:
        return
    if mapped or not inside:
        function.show(BAR_REGISTERS, device, at=regs.EDID, size=len(monitor))
    for first, size, at in (
        (MAPPED_PORTS, MAPPED_PORTS_BYTES, regs.ATTRIBUTE),
        (MAPPED_DISPI, regs.DISPI_BYTES, regs.DISPI),
        (MAPPED_QEXT, regs.QEXT_BYTES, regs.QEXT),
    ):
        if isinstance(device, Vga) or at != regs.ATTRIBUTE:
            function.show(BAR_REGISTERS, device, at=at, first=first, size=size)


def _add_vga(wiring: Wiring, name: str, vga: Vga) -> Vga:
    """A VGA with its ports and its window."""
    pio = [(first, size, first - regs.FIRST_PORT) for first, size in _ranges(wiring, "vga")]
    pio += [(first, size, regs.DISPI_INDEX_PORT + first - DISPI_PORTS) for first, size in _ranges(wiring, "vbe")]
    return wiring.board.add(name, vga, pio=pio, mmio=[(WINDOW, regs.WINDOW_BYTES, regs.WINDOW)])


def _ranges(wiring: Wiring, name: str) -> list[tuple[int, int]]:
    return sorted({(region.first, region.size) for region in wiring.guest.find_regions(name)})


def _regions_inside(wiring: Wiring, what: PciFunction) -> list[Region]:
    """What the map shows in the registers' BAR, where the guest left it."""
    bar = next((bar for bar in what.bars if bar.number == BAR_REGISTERS and bar.address is not None), None)
    if bar is None or bar.address is None:
        return []
    last = bar.address + bar.size - 1
    return [region for region in wiring.guest.regions if region.space == "mmio" and bar.address <= region.first <= last]


def _monitor(wiring: Wiring, what: PciFunction) -> edid.Monitor:
    """The monitor as the command line describes it, by options -global and -device.

    A device is found by its identification, or if it is the only one of its kind.
    """
    found: dict[str, str] = {}
    for text in command.values(wiring.guest, "global"):
        for name, value in command.parameters(text).items():
            driver, _, prop = name.partition(".")
            if driver in DRIVERS:
                found[prop] = value
    devices = [command.parameters(text, "driver") for text in command.values(wiring.guest, "device")]
    devices = [device for device in devices if device.get("driver") in DRIVERS]
    named = [device for device in devices if what.qdev_id and device.get("id") == what.qdev_id]
    kind = [device for device in devices if (device["driver"] == "VGA") == (what.class_code == VGA_CLASS)]
    for device in named or (kind if len(kind) == 1 else []):
        found |= device
    names = ("xres", "yres", "xmax", "ymax", "refresh_rate")
    given = (command.number(found, name, 0) or 0 for name in names)
    return edid.Monitor(*(value or default for value, default in zip(given, edid.Monitor(), strict=True)))
