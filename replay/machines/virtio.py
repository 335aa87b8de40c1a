"""virtio devices: on the slots of a microvm, and on PCI.

Source: QEMU's machine microvm, which has its transports at consecutive addresses and fills them from the last one.
"""

from __future__ import annotations

import re

from ..devices.virtio_device import VirtioDevice
from ..devices.virtio_mmio import VirtioMmio, registers_for
from .command import is_on
from .peripherals import Peripherals
from .virtio_context import Context, kind_of
from .virtio_setups import build
from .wiring import Wiring


def add_virtio_mmio(wiring: Wiring) -> None:
    """The slots for devices in memory; most are empty. Their interrupts go nowhere: the host says when they come."""
    places = wiring.places("virtio-mmio", "mmio")
    if not places:
        return
    peripherals = Peripherals(wiring.guest)
    transport = peripherals.properties({"driver": "virtio-mmio"})
    legacy = is_on(transport, "force-legacy", True)
    devices = _in_slots(peripherals, len(places), is_modern=not legacy)
    for slot, base in enumerate(places):
        device = devices.get(slot)
        kind = _showing(device) if device is not None else VirtioMmio
        slot_device = kind(device, wiring.board.line(), legacy=legacy, same_maximum=wiring.guest.qemu_version < (11, 0))
        wiring.board.add(f"virtio-mmio@{base:x}", slot_device, mmio=[(base, 0x200)])


def _in_slots(peripherals: Peripherals, slots: int, *, is_modern: bool) -> dict[int, VirtioDevice]:
    """Which device is in which slot: where its ``bus`` says, else in the last one that is free."""
    found: dict[int, VirtioDevice] = {}
    for options, mac in zip(peripherals.devices, peripherals.macs, strict=True):
        driver = options.get("driver", "")
        if not kind_of(driver) or not driver.endswith("-device"):
            continue
        named = re.fullmatch(r"virtio-mmio-bus\.(\d+)", options.get("bus", ""))
        free = [slot for slot in range(slots) if slot not in found]
        if named or free:
            context = Context(peripherals, options, mac, is_pci=False, is_modern=is_modern)
            found[int(named[1]) if named else free[-1]] = build(context, 0)
    return found


def _showing(device: VirtioDevice) -> type[VirtioMmio]:
    """The transport with the names of a device's configuration space."""
    return type("VirtioMmio", (VirtioMmio,), {"registers": registers_for(type(device))})
