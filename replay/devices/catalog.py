"""All device models, by short name: what `vmdev devices` lists and what the shared contract tests run over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..clock import Clock
from ..device import Device
from ..irq import Line
from .acpi_pm_timer import AcpiPmTimer
from .debugcon import DebugCon
from .i8254 import I8254
from .i8259 import I8259Pair
from .mc146818 import Mc146818
from .port61 import Port61
from .port80 import Port80
from .port92 import Port92
from .uart16550 import Uart16550


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One device model."""

    title: str
    """What it is, in one line."""
    model: type[Device]
    make: Callable[[Clock], Device]
    """A device of its own, with lines that lead nowhere and nothing configured."""


CATALOG: Final[dict[str, CatalogEntry]] = {
    "acpi_pm_timer": CatalogEntry("ACPI power management timer", AcpiPmTimer, AcpiPmTimer),
    "debugcon": CatalogEntry("Bochs and QEMU debug console", DebugCon, lambda clock: DebugCon()),
    "i8254": CatalogEntry("Interval timer (PIT)", I8254, lambda clock: I8254(clock, Line())),
    "i8259": CatalogEntry("Interrupt controllers (PIC), two in cascade", I8259Pair, lambda clock: I8259Pair()),
    "mc146818": CatalogEntry("Real-time clock and CMOS RAM", Mc146818, lambda clock: Mc146818(clock, Line(), None)),
    "port61": CatalogEntry("System control port B: speaker", Port61, lambda clock: Port61(I8254(clock, Line()))),
    "port80": CatalogEntry("Diagnostic port: POST codes", Port80, lambda clock: Port80()),
    "port92": CatalogEntry("System control port A: A20, fast reset", Port92, lambda clock: Port92()),
    "uart16550": CatalogEntry("Serial port (UART) with FIFOs", Uart16550, lambda clock: Uart16550(clock, Line())),
}
