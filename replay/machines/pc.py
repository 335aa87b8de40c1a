"""The PC and its kin: pc (i440FX), q35, isapc, microvm.

Source: IBM PC AT Technical Reference, system board I/O map and interrupts, for what all of them share; QEMU's
``info mtree -f`` for what a machine really has. A trace carries that map: a device is built where the map shows its
region, in any snapshot. A trace without a map gets the machine's usual devices at their usual places.

Modelled: 8254, port 61h, MC146818, the 8259A pair with ELCR, UARTs, ACPI PM timer, port 92h, port 80h, debug console.
Not modelled: everything else; accesses to it are unclaimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..devices.acpi_pm_timer import AcpiPmTimer
from ..devices.debugcon import DebugCon
from ..devices.i8254 import I8254
from ..devices.i8259 import I8259Pair
from ..devices.mc146818 import Mc146818
from ..devices.port61 import Port61
from ..devices.port80 import Port80
from ..devices.port92 import Port92
from ..devices.uart16550 import Uart16550
from ..errors import DeviceConfigError
from ..guest import Guest
from ..irq import Line
from .board import Board

PIC_MASTER, PIC_SLAVE, PIC_ELCR = 0x20, 0xA0, 0x4D0
PIT = 0x40
PORT61 = 0x61
RTC = 0x70
PORT80 = 0x80
PORT92 = 0x92

IRQ_PIT, IRQ_RTC = 0, 8

COM_PORTS: Final = {0x3F8: ("com1", 4), 0x2F8: ("com2", 3), 0x3E8: ("com3", 4), 0x2E8: ("com4", 3)}
"""First port of each: its name and interrupt."""

AT_REGIONS: Final = {
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

ACPI_REGIONS: Final = {"acpi-tmr": (0x608,)}
"""Where SeaBIOS puts the PIIX4's and the ICH9's power management ports: 600h."""

MICROVM_REGIONS: Final = {name: AT_REGIONS[name] for name in ("pic", "elcr", "pit", "rtc", "serial")}


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where a guest had regions of which name: its map, or the usual places if it has none."""

    guest: Guest
    usual: dict[str, tuple[int, ...]]

    def of(self, name: str) -> list[int]:
        """The first port of each place at which the region was mapped, ascending."""
        if not any(region.space == "pio" for region in self.guest.regions):
            return sorted(self.usual.get(name, ()))
        return sorted({region.first - region.offset for region in self.guest.find_regions(name)})


def build_pc(guest: Guest) -> Board:
    """i440FX with PIIX4."""
    return _build("pc", guest, AT_REGIONS | ACPI_REGIONS)


def build_q35(guest: Guest) -> Board:
    """Q35 with ICH9."""
    return _build("q35", guest, AT_REGIONS | ACPI_REGIONS)


def build_isapc(guest: Guest) -> Board:
    """An AT compatible without PCI."""
    return _build("isapc", guest, AT_REGIONS)


def build_microvm(guest: Guest) -> Board:
    """QEMU's microvm with its optional ISA devices."""
    return _build("microvm", guest, MICROVM_REGIONS)


def _build(machine: str, guest: Guest, usual: dict[str, tuple[int, ...]]) -> Board:
    board = Board(machine, guest.step_ns)
    ports = _Ports(guest, usual)
    pic = _add_pic(board, ports)
    _add_timers(board, ports, pic)
    _add_uarts(board, ports, pic)
    _add_odd_ports(board, ports)
    return board


def _add_pic(board: Board, ports: _Ports) -> I8259Pair | None:
    if PIC_MASTER not in ports.of("pic"):
        return None
    places = [(PIC_MASTER, 2, 0), (PIC_SLAVE, 2, 2)]
    if PIC_ELCR in ports.of("elcr"):
        places.append((PIC_ELCR, 2, 4))
    return board.add("pic", I8259Pair(), pio=places)


def _add_timers(board: Board, ports: _Ports, pic: I8259Pair | None) -> None:
    """The 8254 with port 61h, the real-time clock, the ACPI timer."""
    if PIT in ports.of("pit"):
        pit = board.add("pit", I8254(board.clock, _interrupt(board, pic, IRQ_PIT)), pio=[(PIT, 4)])
        if PORT61 in ports.of("pcspk"):
            board.add("port61", Port61(pit), pio=[(PORT61, 1)])
    if RTC in ports.of("rtc"):
        base = _rtc_base(ports.guest)
        board.add("rtc", Mc146818(board.clock, _interrupt(board, pic, IRQ_RTC), base), pio=[(RTC, 2)])
    # Firmware moves the power management ports; the timer counts wherever it is read.
    if places := ports.of("acpi-tmr"):
        board.add("pmtimer", AcpiPmTimer(board.clock), pio=[(port, 4) for port in places])


def _add_uarts(board: Board, ports: _Ports, pic: I8259Pair | None) -> None:
    for port in ports.of("serial"):
        # A UART elsewhere sits on a PCI card, whose interrupt is not modelled.
        name, irq = COM_PORTS.get(port, (f"serial@{port:x}", None))
        line = board.line() if irq is None else _interrupt(board, pic, irq)
        uart = Uart16550(board.clock, line, outside=ports.guest.has_typed_input)
        board.add(name, uart, pio=[(port, 8)])


def _add_odd_ports(board: Board, ports: _Ports) -> None:
    if PORT80 in ports.of("ioport80"):
        board.add("port80", Port80(), pio=[(PORT80, 1)])
    if PORT92 in ports.of("port92"):
        board.add("port92", Port92(), pio=[(PORT92, 1)])
    for number, port in enumerate(ports.of("isa-debugcon")):
        name = f"debugcon{number}" if number else "debugcon"
        board.add(name, DebugCon(), pio=[(port, 1)])


def _interrupt(board: Board, pic: I8259Pair | None, irq: int) -> Line:
    """A line to the interrupt controller's input `irq`; two lines may share one, where the last change counts."""
    line = board.line()
    if pic is not None:
        line.connect(pic.request(irq))
    return line


def _rtc_base(guest: Guest) -> datetime | None:
    if guest.rtc_base is None:
        return None
    try:
        base = datetime.fromisoformat(guest.rtc_base)
    except ValueError:
        raise DeviceConfigError(f"the trace's RTC base is not an ISO 8601 time: {guest.rtc_base!r}") from None
    return base.replace(tzinfo=UTC) if base.tzinfo is None else base.astimezone(UTC)
