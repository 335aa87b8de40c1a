"""What all PCs have since the IBM PC AT, and the odd ports that came later: timers, RTC, 8259A pair, UARTs.

Source: IBM PC AT Technical Reference, system board I/O map and interrupts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from ..devices.acpi_pm_timer import AcpiPmTimer
from ..devices.debugcon import DebugCon
from ..devices.i8254 import I8254
from ..devices.i8259 import I8259Pair
from ..devices.mc146818 import Mc146818
from ..devices.parallel_port import PORTS as PARALLEL_PORTS
from ..devices.parallel_port import ParallelPort
from ..devices.port61 import Port61
from ..devices.port80 import Port80
from ..devices.port92 import Port92
from ..devices.uart16550 import Uart16550
from ..errors import DeviceConfigError
from ..guest import Guest
from .command import arguments, merged
from .wiring import Wiring

PIC_MASTER, PIC_SLAVE, PIC_ELCR = 0x20, 0xA0, 0x4D0
PIT = 0x40
PORT61 = 0x61
RTC = 0x70
PORT80 = 0x80
PORT92 = 0x92

IRQ_PIT, IRQ_LPT, IRQ_RTC = 0, 7, 8

COM_PORTS: Final = {0x3F8: ("com1", 4), 0x2F8: ("com2", 3), 0x3E8: ("com3", 4), 0x2E8: ("com4", 3)}
"""First port of each: its name and interrupt."""

LPT_PORTS: Final = {0x378: ("lpt1", 7), 0x278: ("lpt2", 7), 0x3BC: ("lpt3", 7)}
"""First port of each: its name and interrupt."""

REGIONS: Final = {
    "pic": (PIC_MASTER, PIC_SLAVE),
    "elcr": (PIC_ELCR, PIC_ELCR + 1),
    "pit": (PIT,),
    "pcspk": (PORT61,),
    "rtc": (RTC,),
    "ioport80": (PORT80,),
    "port92": (PORT92,),
    "serial": (0x3F8,),
}
"""QEMU's regions of an AT compatible, by name, with their first ports."""


def add_pic(wiring: Wiring) -> None:
    """The 8259A pair with ELCR."""
    if PIC_MASTER not in wiring.places("pic"):
        return
    places = [(PIC_MASTER, 2, 0), (PIC_SLAVE, 2, 2)]
    if PIC_ELCR in wiring.places("elcr"):
        places.append((PIC_ELCR, 2, 4))
    pic = wiring.board.add("pic", I8259Pair(), pio=places)
    wiring.add_controller(pic.request)


def add_timers(wiring: Wiring) -> None:
    """The 8254 with port 61h, the real-time clock, the ACPI timer."""
    board = wiring.board
    if PIT in wiring.places("pit"):
        pit = board.add("pit", I8254(board.clock, wiring.irq(IRQ_PIT)), pio=[(PIT, 4)])
        if PORT61 in wiring.places("pcspk"):
            board.add("port61", Port61(pit), pio=[(PORT61, 1)])
    if RTC in wiring.places("rtc"):
        base = _rtc_base(wiring.guest)
        independent = base is None and (_follows_the_host(wiring.guest) or _began_later(wiring.guest))
        rtc = Mc146818(board.clock, wiring.irq(IRQ_RTC), base, independent=independent)
        board.add("rtc", rtc, pio=[(RTC, 2)])
    # Firmware moves the power management ports, and so does acpi.py; without PCI in the trace they are everywhere.
    if not wiring.pci.functions and (places := wiring.places("acpi-tmr")):
        board.add("pmtimer", AcpiPmTimer(board.clock), pio=[(port, 4) for port in places])


def add_uarts(wiring: Wiring) -> None:
    """COM1 to COM4, and UARTs elsewhere, which sit on PCI cards and whose interrupt is not modelled.

    The first of them is the one that `record --serial-input` feeds; the trace's events tell of each byte.
    """
    board = wiring.board
    ports = wiring.places("serial")
    first = next((port for port in COM_PORTS if port in ports), None)
    for port in ports:
        name, irq = COM_PORTS.get(port, (f"serial@{port:x}", None))
        line = board.line() if irq is None else wiring.irq(irq)
        uart = Uart16550(board.clock, line, outside=wiring.guest.has_typed_input)
        uart = board.add(name, uart, pio=[(port, 8)])
        if port == first and hasattr(uart, "receive"):  # a user's model may not have it
            board.inputs["serial-input"] = (name, partial(_receive, uart))


def add_parallel_ports(wiring: Wiring) -> None:
    """LPT1 to LPT3."""
    for port in wiring.places("parallel"):
        name, irq = LPT_PORTS.get(port, (f"parallel@{port:x}", IRQ_LPT))
        wiring.board.add(name, ParallelPort(wiring.irq(irq)), pio=[(port, PARALLEL_PORTS)])


def add_odd_ports(wiring: Wiring) -> None:
    """Ports 80h and 92h, and the debug console."""
    board = wiring.board
    if PORT80 in wiring.places("ioport80"):
        board.add("port80", Port80(), pio=[(PORT80, 1)])
    if PORT92 in wiring.places("port92"):
        board.add("port92", Port92(), pio=[(PORT92, 1)])
    for number, port in enumerate(wiring.places("isa-debugcon")):
        name = f"debugcon{number}" if number else "debugcon"
        board.add(name, DebugCon(), pio=[(port, 1)])


def _receive(uart: Uart16550, detail: str) -> None:
    """The byte that an event tells of: ``serial0 41``."""
    uart.receive(int(detail.rpartition(" ")[2], 16))


def _follows_the_host(guest: Guest) -> bool:
    """Whether the time of day does, as it does unless QEMU is told otherwise."""
    return bool(arguments(guest)) and merged(guest, "rtc").get("clock", "host") != "vm"


def _began_later(guest: Guest) -> bool:
    """Whether time 0 is not the machine's start, but the first line of a log, anywhere in a second."""
    return "imported" in guest.meta


def _rtc_base(guest: Guest) -> datetime | None:
    if guest.rtc_base is None:
        return None
    try:
        base = datetime.fromisoformat(guest.rtc_base)
    except ValueError:
        raise DeviceConfigError(f"the trace's RTC base is not an ISO 8601 time: {guest.rtc_base!r}") from None
    return base.replace(tzinfo=UTC) if base.tzinfo is None else base.astimezone(UTC)
