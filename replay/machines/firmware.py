"""What firmware asks for its configuration, and where it is stored: fw_cfg and flash.

Source: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device"; the contents of well-known items are those
that its command line describes.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from ..devices import fw_cfg
from ..devices.cfi_flash import CfiFlash
from ..devices.fw_cfg import FwCfg
from ..guest import Guest
from . import command
from .wiring import Wiring

FW_CFG, FW_CFG_DMA = 0x510, 0x514


FLASHES: Final = ("system.flash0", "system.flash1")
ABOVE_ISA: Final = 1 << 20
"""Below it is a copy of the firmware's end, which cannot be written."""

DEFAULT_RAM: Final = "128M"


def add_fw_cfg(wiring: Wiring) -> None:
    """The firmware configuration device."""
    if FW_CFG not in wiring.places("fwcfg"):
        return
    places = [(FW_CFG, 2, 0)]
    dma = FW_CFG_DMA in wiring.places("fwcfg.dma")
    if dma:
        places.append((FW_CFG_DMA, 8, fw_cfg.DMA_HIGH))
    wiring.board.add("fwcfg", FwCfg(dma=dma, items=_items(wiring.guest)), pio=places)


def add_flash(wiring: Wiring) -> None:
    """Flash chips below 4 GiB: the firmware, and often its variables in another one."""
    for unit, name in enumerate(FLASHES):
        regions = [region for region in wiring.guest.find_regions(name, "mmio") if region.first >= ABOVE_ISA]
        if not regions:
            continue
        base = min(region.first for region in regions)
        size = max(region.last for region in regions) - base + 1
        flash = CfiFlash(size, read_only=_is_read_only(wiring.guest, unit))
        wiring.board.add(f"flash{unit}", flash, mmio=[(base, size)])


def _is_read_only(guest: Guest, unit: int) -> bool:
    """By ``-drive if=pflash``, or by ``-machine pflash0=NODE`` with ``-blockdev``."""
    drives = [command.parameters(text, "file") for text in command.values(guest, "drive")]
    flashes = [drive for drive in drives if drive.get("if") == "pflash"]
    for number, drive in enumerate(flashes):
        if command.number(drive, "unit", number) == unit:
            return command.is_on(drive, "readonly") or command.is_on(drive, "read-only")
    node = command.merged(guest, "M", "machine", first="type").get(f"pflash{unit}")
    for text in command.values(guest, "blockdev"):
        device = command.parameters(text, "driver")
        if node is not None and device.get("node-name") == node:
            return command.is_on(device, "read-only")
    return False


def _items(guest: Guest) -> dict[int, bytes]:
    """Items that follow from the command line. What it does not say for sure is left out, and learned."""
    if not command.arguments(guest) or command.has(guest, "readconfig"):
        return {}
    machine = command.merged(guest, "M", "machine", first="type")
    graphics = command.is_on(machine, "graphics", True) and not command.has(guest, "nographic")
    menu = command.is_on(command.merged(guest, "boot", first="order"), "menu")
    items = {
        fw_cfg.KEY_NOGRAPHIC: (not graphics).to_bytes(2, "little"),
        fw_cfg.KEY_BOOT_MENU: menu.to_bytes(2, "little"),
        fw_cfg.KEY_IRQ0_OVERRIDE: (1).to_bytes(4, "little"),
    }
    uuid = _uuid(guest)
    if uuid is not None:
        items[fw_cfg.KEY_UUID] = uuid
    ram = command.size(command.merged(guest, "m", first="size").get("size", DEFAULT_RAM))
    if ram is not None and "memory-backend" not in machine:
        items[fw_cfg.KEY_RAM_SIZE] = ram.to_bytes(8, "little")
    smp = command.merged(guest, "smp", first="cpus")
    cpus = command.number(smp, "cpus", 1)
    if cpus is not None and set(smp) <= {"cpus"}:
        items[fw_cfg.KEY_NB_CPUS] = cpus.to_bytes(2, "little")
        if cpus == 1:
            items[fw_cfg.KEY_MAX_CPUS] = items[fw_cfg.KEY_NB_CPUS]
    return items


def _uuid(guest: Guest) -> bytes | None:
    """The item has it in the order of its text, as RFC 4122 does."""
    given = command.values(guest, "uuid")
    if not given:
        return bytes(16)
    try:
        return UUID(given[-1]).bytes
    except ValueError:
        return None
