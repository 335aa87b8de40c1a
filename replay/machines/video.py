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
MAPPED: Final = {
    "vga ioports remapped": regs.ATTRIBUTE, "bochs dispi interface": regs.DISPI, "qemu extended regs": regs.QEXT,
}  # fmt: skip
"""QEMU's names of these parts, with their places in the model's register space."""

ISA_MEMORY: Final = 8 << 20
LARGEST_EDID: Final = 3 * edid.BLOCK
VGA, SECONDARY_VGA, BOCHS_DISPLAY = "VGA", "secondary-vga", "bochs-display"
"""QEMU's names of the devices."""


def add_displays(wiring: Wiring) -> None:
    """All displays: those on PCI; that of a machine without it; the VGA that is a part of another kind of display."""
    displays = [(function, _driver(wiring, function.what)) for function in wiring.pci.find(QEMU, QEMU_DISPLAY)]
    for function, driver in displays:
        alike = [other.what for other, of in displays if of == driver]
        _add_pci_display(wiring, function, driver, _monitor(wiring, function.what, driver, alike))
    if VGA_PORTS in wiring.places("vga") and "vga" not in wiring.board.devices:
        memory = [region.size for region in wiring.guest.find_regions("vga.vram", "mmio") if region.size >= 1 << 20]
        vga = _add_vga(wiring, Vga(max(memory, default=ISA_MEMORY)))
        for function in wiring.pci.find_class(VGA_CLASS):
            _show_as_mapped(wiring, function, vga)


def _driver(wiring: Wiring, what: PciFunction) -> str:
    """What QEMU calls such a device."""
    if what.class_code == VGA_CLASS:
        return VGA
    is_bochs = any(region.name == "bochs-display-mmio" for region in _regions_inside(wiring, what))
    return BOCHS_DISPLAY if is_bochs else SECONDARY_VGA


def _add_pci_display(wiring: Wiring, function: Function, driver: str, monitor: edid.Monitor) -> None:
    inside = _regions_inside(wiring, function.what)
    if BAR_MEMORY not in function.config.bars:
        return  # nothing tells how much it has, nor where
    memory = function.config.bars[BAR_MEMORY].size
    mapped = [region.offset + region.size for region in inside if region.name == "edid"]
    blocks = edid.generate(monitor, max(mapped, default=LARGEST_EDID))
    device: Device
    if driver == VGA:
        device = _add_vga(wiring, Vga(memory, blocks))
    elif driver == SECONDARY_VGA:
        device = wiring.board.add(f"vga@{function.name}", Vga(memory, blocks, legacy=False))
    else:
        device = wiring.board.add(f"bochs-display@{function.name}", BochsDisplay(memory, blocks))
    if BAR_REGISTERS not in function.config.bars:
        return
    function.show(BAR_REGISTERS, device, at=regs.HOLES)  # under the others
    if mapped or not inside:
        function.show(BAR_REGISTERS, device, at=regs.EDID, size=len(blocks))
    for first, size, at in (
        (MAPPED_PORTS, MAPPED_PORTS_BYTES, regs.ATTRIBUTE),
        (MAPPED_DISPI, regs.DISPI_BYTES, regs.DISPI),
        (MAPPED_QEXT, regs.QEXT_BYTES, regs.QEXT),
    ):
        if driver != BOCHS_DISPLAY or at != regs.ATTRIBUTE:
            function.show(BAR_REGISTERS, device, at=at, first=first, size=size)


def _add_vga(wiring: Wiring, vga: Vga) -> Vga:
    """A VGA with its ports and its window."""
    pio = [(first, size, first - regs.FIRST_PORT) for first, size in _ranges(wiring, "vga")]
    pio += [(first, size, regs.DISPI_INDEX_PORT + first - DISPI_PORTS) for first, size in _ranges(wiring, "vbe")]
    return wiring.board.add("vga", vga, pio=pio, mmio=[(WINDOW, regs.WINDOW_BYTES, regs.WINDOW)])


def _ranges(wiring: Wiring, name: str) -> list[tuple[int, int]]:
    return sorted({(region.first, region.size) for region in wiring.guest.find_regions(name)})


def _show_as_mapped(wiring: Wiring, function: Function, vga: Vga) -> None:
    """Registers in memory that the map shows in some BAR, as in virtio-vga."""
    for bar in function.what.bars:
        for region in _regions_inside(wiring, function.what, bar.number):
            at = MAPPED.get(region.name)
            if at is not None and bar.address is not None:
                function.show(bar.number, vga, at=at, first=region.first - bar.address, size=region.size)


def _regions_inside(wiring: Wiring, what: PciFunction, number: int = BAR_REGISTERS) -> list[Region]:
    """What the map shows in a BAR, where the guest left it."""
    bar = next((bar for bar in what.bars if bar.number == number and bar.address is not None), None)
    if bar is None or bar.address is None or bar.is_io:
        return []
    last = bar.address + bar.size - 1
    found = (region for region in wiring.guest.regions if region.space == "mmio")
    return list({(r.name, r.first): r for r in found if bar.address <= r.first <= last}.values())


def _monitor(wiring: Wiring, what: PciFunction, driver: str, alike: list[PciFunction]) -> edid.Monitor:
    """The monitor as the command line describes it, by options -global and -device.

    Devices that it does not name are taken in order: QEMU gives them slots in the order in which it finds them.
    """
    found: dict[str, str] = {}
    for text in command.values(wiring.guest, "global"):
        for name, value in command.parameters(text).items():
            of, _, prop = name.partition(".")
            if of == driver:
                found[prop] = value
    devices = [command.parameters(text, "driver") for text in command.values(wiring.guest, "device")]
    devices = [device for device in devices if device.get("driver") == driver]
    named = [device for device in devices if what.qdev_id and device.get("id") == what.qdev_id]
    if named:
        found |= named[0]
    elif len(devices) == len(alike):
        found |= devices[alike.index(what)]
    names = ("xres", "yres", "xmax", "ymax", "refresh_rate")
    given = (command.number(found, name, 0) or 0 for name in names)
    return edid.Monitor(*(value or default for value, default in zip(given, edid.Monitor(), strict=True)))
