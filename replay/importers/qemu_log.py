"""QEMU's trace log: ``-trace 'memory_region_ops_*' -D FILE``, backend "log", of any accelerator.

Source: QEMU's system/trace-events, scripts/tracetool/backend/log.py, and what QEMU 7 to 10 print. A line is, with
``-msg timestamp=on``, preceded by ``thread@seconds.microseconds:``, or in newer QEMU by an ISO 8601 time.

The event comes from the memory core: after QEMU has split or widened an access to what the device implements. Its
address is absolute, but for regions that are mapped by an alias: there it may be the address within the region.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from ..guest import Region
from .records import (
    MAX_CPUS,
    NO_HINTS,
    Access,
    Hints,
    Importer,
    MalformedLineError,
    Note,
    Record,
    Skipped,
    checked_size,
)
from .records import seconds_to_ns as _ns

_EVENT: Final = re.compile(
    r"memory_region_ops_(read|write) cpu (-?[0-9]{1,9}) mr \S{1,40} addr (0x[0-9a-f]{1,16}) "
    r"value (0x[0-9a-f]{1,16}) size ([0-9]{1,4})(?: name '(.*)')?\s*"
)
_STAMP: Final = re.compile(r"[0-9]{1,10}@([0-9]{1,10})\.([0-9]{6}):")
_ISO_STAMP: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{1,9})Z ?.{0,80}")
_REFUSAL: Final = re.compile(r"Invalid (read|write) at addr 0x[0-9a-fA-F]{1,16}, size [0-9]{1,4}, ")

_KEYWORD: Final = "memory_region_ops_"

_PORTS: Final = 1 << 16
_X86: Final = ("i386", "x86_64")

_MAX_PLACES: Final = 1 << 18
"""Places that are remembered."""

NOT_A_CPU: Final = "accesses of no CPU (DMA, timers)"
REFUSED: Final = "accesses that no device accepted (lines of invalid_mem), of which the log has neither value nor CPU"


class QemuLog(Importer):
    """Reads the log. With a region map, ports and aliased addresses are told by it."""

    name = "qemu"
    title = "QEMU trace log of memory_region_ops_*"

    def __init__(self, hints: Hints = NO_HINTS) -> None:
        super().__init__(hints)
        self._regions: dict[str, list[Region]] = {}
        for region in hints.regions:
            self._regions.setdefault(region.name, []).append(region)
        for regions in self._regions.values():
            regions.sort(key=lambda region: -region.snapshot)
        self._places: dict[tuple[str, int], tuple[Literal["pio", "mmio"], int]] = {}
        self._timed = True
        self._named = True

    @classmethod
    def recognises(cls, line: str) -> bool:
        """Whether the line has the event's name."""
        return _KEYWORD in line

    def feed(self, line: str) -> Sequence[Record] | None:
        """The access of a line."""
        start = line.find(_KEYWORD)
        if start < 0:
            refusal = _REFUSAL.search(line)
            return (Note("invalid-access", line[refusal.start() :]), Skipped(REFUSED)) if refusal else None
        found = _EVENT.fullmatch(line, start)
        if found is None:
            raise MalformedLineError("not as QEMU writes memory_region_ops_*")
        kind, cpu_text, address_text, value_text, size_text, name = found.groups()
        cpu = int(cpu_text)
        if cpu < 0:
            return (Skipped(NOT_A_CPU),)
        if cpu >= MAX_CPUS:
            raise MalformedLineError(f"there is no CPU {cpu}")
        size = checked_size(int(size_text))
        if name is None:
            self._named, name = False, ""
        elif name == "(null)":
            name = ""
        t_ns = self._time(line[:start]) if start else None
        if t_ns is None:
            self._timed = False
        address = int(address_text, 16)
        place = self._places.get((name, address))
        if place is None:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            place = self._places[name, address] = self._place(name, address)
        space, address = place
        return (Access(space, "r" if kind == "read" else "w", address, size, int(value_text, 16), cpu, t_ns, 0, name),)

    @property
    def losses(self) -> Sequence[str]:
        """What the log lacks."""
        space = (
            "port or memory told by the region map, and addresses of aliases with it"
            if self._regions
            else "port or memory not told: on x86, addresses below 0x10000 are taken for ports"
        )
        return [
            "no PC, no instruction",
            *([] if self._timed else ["no times"]),
            *([] if self._named else ["no names of regions (an old QEMU)"]),
            space,
            "accesses as devices saw them: split or widened to what each implements, in its order of bytes",
            "a device's own accesses in a CPU's thread (message-signalled interrupts) are among the CPU's",
            "no stores that an ioeventfd takes (virtio's notifications), no accesses to memory where no device is",
            "no resets",
        ]

    def _time(self, prefix: str) -> int | None:
        found = _STAMP.fullmatch(prefix)
        if found:
            return _ns(found[1], found[2])
        found = _ISO_STAMP.fullmatch(prefix)
        if found is None:
            return None
        try:
            moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        except ValueError:
            raise MalformedLineError(f"{found[1]} is no time") from None
        seconds = int(moment.timestamp())
        return _ns(str(max(0, seconds)), found[2])

    def _place(self, name: str, address: int) -> tuple[Literal["pio", "mmio"], int]:
        """The address space and the address in it."""
        regions = self._regions.get(name, ()) if name else ()
        for region in regions:
            if region.first <= address <= region.last:
                return _space(region), address
        for region in regions:
            if 0 <= address - region.offset <= region.last - region.first:
                return _space(region), region.first + address - region.offset
        if regions:
            return _space(regions[0]), address
        return "pio" if self.hints.target in _X86 and address < _PORTS else "mmio", address


def _space(region: Region) -> Literal["pio", "mmio"]:
    return "pio" if region.space == "pio" else "mmio"
