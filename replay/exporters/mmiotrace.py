"""Linux's mmiotrace, as `importers.mmiotrace` reads it.

Source: Linux's Documentation/trace/mmiotrace.rst, "Trace Log Format", version 20070824.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from ..clock import NANOSECONDS_PER_SECOND
from ..guest import PciFunction, Region
from ..printable import printable
from ..trace.reader import TraceReader
from ..trace.rows import Event, ExitRow
from ..trace.schema import U64_MASK

VERSION: Final = "20070824"

_RESOURCES: Final = 7
"""Six BARs and the ROM."""


class Mmiotrace:
    """Accesses to memory, and what was mapped where."""

    name: ClassVar[str] = "mmiotrace"
    title: ClassVar[str] = "Linux mmiotrace"
    losses: ClassVar[tuple[str, ...]] = (
        "ports",
        "CPU numbers and instructions",
        "the names of regions, but for BARs of PCI functions",
        "events but markers, and interrupts",
    )

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self._regions: dict[tuple[int, int], tuple[int, Region]] = {}
        """The places that are accessed, each with its number as a map."""
        self._sites: dict[int, tuple[str, str] | None] = {}
        self._t_ns = 0
        self.left_out = 0
        """Accesses to ports."""

    def begin(self) -> Iterable[str]:
        """The version, PCI functions, and the mappings."""
        yield f"VERSION {VERSION}"
        guest = self._reader.guest
        yield from map(_pci_device, guest.functions)
        used = {(site.region, site.address) for site in self._reader.sites if site.space == "mmio"}
        names = {name for name, _ in used}
        for region in guest.regions:
            place = (region.first, region.last)
            if region.space == "mmio" and region.name in names and place not in self._regions:
                number = len(self._regions) + 1
                self._regions[place] = (number, region)
                yield f"MAP 0.000000000 {number} {region.first:#x} 0x0 {region.size:#x} 0x0 0"

    def exits(self, rows: Sequence[ExitRow]) -> Iterable[str]:
        """A line each."""
        for _, t_ns, number, value in rows:
            if number not in self._sites:
                self._sites[number] = self._site(number)
            found = self._sites[number]
            self._t_ns = t_ns
            if found is None:
                self.left_out += 1
                continue
            before, middle, after = found[0], _time(t_ns), found[1]
            yield f"{before} {middle} {after.replace('VALUE', f'{value & U64_MASK:#x}')}"

    def event(self, event: Event) -> Iterable[str]:
        """A marker, if it is one."""
        if event.kind == "marker":
            yield f"MARK {_time(event.t_ns)} {printable(event.detail)}"

    def _site(self, number: int) -> tuple[str, str] | None:
        """What is in front of the time, and what is behind it, in which VALUE stands for the value."""
        site = self._reader.site(number)
        if site.space == "pio":
            return None
        here = (
            map_number
            for map_number, region in self._regions.values()
            if region.name == site.region and region.first <= site.address <= region.last
        )
        direction = site.direction.upper()
        return f"{direction} {site.size}", f"{next(here, 0)} {site.address:#x} VALUE {site.pc:#x} 0"


def _time(t_ns: int) -> str:
    return f"{t_ns // NANOSECONDS_PER_SECOND}.{t_ns % NANOSECONDS_PER_SECOND:09}"


def _pci_device(function: PciFunction) -> str:
    """A line as Linux's /proc/bus/pci/devices has it: bases with their type in the lowest bits, then sizes."""
    bases, sizes = [0] * _RESOURCES, [0] * _RESOURCES
    for bar in function.bars:
        if bar.address is None or not 0 <= bar.number < _RESOURCES:
            continue
        kind = 1 if bar.is_io else (4 if bar.is_64 else 0) | (8 if bar.prefetch else 0)
        bases[bar.number] = bar.address | kind
        sizes[bar.number] = bar.size
    place = f"{function.bus:02x}{function.slot << 3 | function.function:02x}"
    numbers = " ".join(f"{number:x}" for number in (*bases, *sizes))
    driver = printable(function.qdev_id)
    return f"PCIDEV {place} {function.vendor_id:04x}{function.device_id:04x} 0 {numbers} {driver}".rstrip()
