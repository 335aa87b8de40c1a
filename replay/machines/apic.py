"""What PCs have for interrupts and time beyond the AT's chips: HPET, I/O APICs, local APICs.

Source: QEMU's boards: which interrupt reaches which input, what their HPETs can do, how CPUs get their APIC IDs.
"""

from __future__ import annotations

from functools import partial

from ..devices.hpet import IRQ_PIT, IRQ_RTC, MOST_TIMERS, TIMERS, Hpet
from ..devices.i8254 import I8254
from ..devices.i8259 import I8259Pair
from ..devices.ioapic import PINS, IoApic
from ..devices.local_apic import LocalApic
from ..devices.local_apic_bus import ApicBus
from .acknowledges import Acknowledges
from .command import is_on, number, parameters, values
from .topology import apic_ids
from .wiring import Sink, Wiring

Q35_INT_ROUTE_CAP, INT_ROUTE_CAP = 0xFF0104, 0x4
"""GSI 2, 8 and 16 to 23 on q35; 2 alone on other boards."""


def add_apics(wiring: Wiring) -> None:
    """The I/O APICs, each with 24 GSIs, and a local APIC for each CPU."""
    board = wiring.board
    pic = board.devices.get("pic")
    pair = pic if isinstance(pic, I8259Pair) else None
    bus = ApicBus()
    version = number(_properties(wiring, "ioapic"), "version", 0x20) or 0
    for index, place in enumerate(wiring.places("ioapic", "mmio")):
        name = f"ioapic{index}" if index else "ioapic"
        ioapic = IoApic(board.clock, bus.msi, pair.extint if pair else lambda: 0, version)
        if isinstance(board.add(name, ioapic, mmio=[(place, 0x1000)]), IoApic):  # else it is a user's model
            bus.add_io(ioapic.end)
            wiring.add_gsi_controller(partial(_input, ioapic, index * PINS))
    cpus: dict[int, LocalApic] = {}
    places = wiring.places("apic-msi", "mmio")
    if places or pair:
        board.interrupts = Acknowledges("lapic" if places else "pic", pair, cpus)
    if not places:
        return
    wiring.add_msi_target(bus.msi)
    reachable: set[int] = set()
    for cpu, apic_id in enumerate(apic_ids(wiring.guest)):
        local = LocalApic(board.clock, bus, cpu, apic_id, partial(_reach, pair, reachable, cpu))
        cpus[cpu] = local
        # One place leads to all of them.
        board.add(f"lapic{cpu}" if cpu else "lapic", local, mmio=[] if cpu else [(at, 0x100000) for at in places])
        if pair:
            pair.intr.connect(local.lint0)


def _input(ioapic: IoApic, first: int, gsi: int) -> Sink:
    """Where a GSI leads to, if it is one of this I/O APIC's."""
    return ioapic.pin(gsi - first) if first <= gsi < first + PINS else lambda level: None


def _reach(pair: I8259Pair | None, reachable: set[int], cpu: int, reaches: bool) -> None:
    """The CPUs that acknowledge the 8259A pair."""
    if reaches:
        reachable.add(cpu)
    else:
        reachable.discard(cpu)
    if pair:
        pair.reach(bool(reachable))


def _properties(wiring: Wiring, driver: str) -> dict[str, str]:
    """What ``-global driver.property=value`` sets for a device of the board."""
    found: dict[str, str] = {}
    for text in values(wiring.guest, "global"):
        for name, value in parameters(text).items():
            if name.startswith(f"{driver}."):
                found[name.removeprefix(f"{driver}.")] = value
    return found


class _Outputs(dict[int, Sink]):
    """What drives each interrupt. An input counts as driven from its first use on."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        self._wiring = wiring

    def __missing__(self, gsi: int) -> Sink:
        sink = self[gsi] = self._wiring.input(gsi)
        return sink


def add_hpet(wiring: Wiring) -> None:
    """The HPET, between the 8254 and the RTC and their interrupts."""
    board = wiring.board
    places = wiring.places("hpet", "mmio")
    if not places:
        return
    outputs = _Outputs(wiring)
    pit = board.devices.get("pit")
    options = _properties(wiring, "hpet")
    hpet = Hpet(
        board.clock,
        outputs,
        timers=min(max(number(options, "timers", TIMERS) or 0, TIMERS), MOST_TIMERS),
        int_route_cap=Q35_INT_ROUTE_CAP if wiring.guest.machine == "q35" else INT_ROUTE_CAP,
        msi=wiring.msi if is_on(options, "msi") else None,
        pit_enabled=pit.enable_irq0 if isinstance(pit, I8254) else None,
        exact=wiring.guest.clock == "virtual",
    )
    if board.add("hpet", hpet, mmio=[(place, 0x400) for place in places]) is hpet:  # else it is a user's model
        outputs[IRQ_PIT] = wiring.intercept(IRQ_PIT, hpet.pit)
        outputs[IRQ_RTC] = wiring.intercept(IRQ_RTC, hpet.rtc)
