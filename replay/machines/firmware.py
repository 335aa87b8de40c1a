"""What firmware asks for its configuration and where it lies: fw_cfg.

Source: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device"; the contents of well-known items are those
that its command line describes.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from ..devices import fw_cfg
from ..devices.fw_cfg import FwCfg
from ..guest import Guest
from . import command
from .wiring import Wiring

FW_CFG, FW_CFG_DMA = 0x510, 0x514


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
