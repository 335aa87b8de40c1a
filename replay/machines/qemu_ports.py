"""Ports that QEMU's machines have for guests that know QEMU: pvpanic, isa-debug-exit, VMware's backdoor.

Source: QEMU's ``info mtree -f``, which the trace carries, and the properties of these devices.
"""

from __future__ import annotations

from ..devices.isa_debug_exit import IsaDebugExit
from ..devices.pvpanic import ALL_EVENTS, PvPanic
from ..devices.vmport import VmPort
from . import command
from .wiring import Wiring


def add_qemu_ports(wiring: Wiring) -> None:
    """All of them."""
    board, guest = wiring.board, wiring.guest
    for port in wiring.places("pvpanic"):
        board.add("pvpanic", PvPanic(_events(wiring)), pio=[(port, 1)])
    for region in guest.find_regions("isa-debug-exit"):
        board.add(f"debug-exit@{region.first:x}", IsaDebugExit(), pio=[(region.first, region.size)])
    for port in wiring.places("vmport"):
        board.add("vmport", VmPort(), pio=[(port, 4)])


def _events(wiring: Wiring) -> int:
    for text in command.values(wiring.guest, "device"):
        device = command.parameters(text, "driver")
        if device.get("driver") == "pvpanic":
            return command.number(device, "events", ALL_EVENTS) or 0
    return ALL_EVENTS
