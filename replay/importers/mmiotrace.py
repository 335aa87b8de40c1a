"""Linux's mmiotrace: what a driver does to real hardware.

Source: Linux's Documentation/trace/mmiotrace.rst, "Trace Log Format", version 20070824, and what
kernel/trace/trace_mmiotrace.c prints: lost events are a MARK at time 0, and the data of UNKNOWN is the opcode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from ..guest import PciFunction, Region
from .records import (
    NO_HINTS,
    U64_MAX,
    Access,
    Area,
    Function,
    Hints,
    Importer,
    MalformedLineError,
    Note,
    Record,
    Skipped,
    checked_size,
    seconds_to_ns,
)

VERSION: Final = "20070824"

_HEX: Final = "0x([0-9a-f]{1,16})"
_TIME: Final = r"([0-9]{1,10})\.([0-9]{1,9})"
_ID: Final = "(-?[0-9]{1,10})"

_ACCESS: Final = re.compile(rf"[RW] ([0-9]{{1,3}}) {_TIME} {_ID} {_HEX} {_HEX} {_HEX} {_ID}\s*")
_MAP: Final = re.compile(rf"MAP {_TIME} {_ID} {_HEX} {_HEX} {_HEX} {_HEX} {_ID}\s*")
_UNMAP: Final = re.compile(rf"UNMAP {_TIME} {_ID} {_HEX} {_ID}\s*")
_MARK: Final = re.compile(rf"MARK {_TIME} ?(.*)")
_UNKNOWN: Final = re.compile(rf"UNKNOWN {_TIME} {_ID} {_HEX} ([0-9a-fx,]{{1,40}}) {_HEX} {_ID}\s*")
_LOST: Final = re.compile(r"Lost ([0-9]{1,18}) events\.\s*")
_PCIDEV: Final = re.compile(
    r"PCIDEV\s+([0-9a-f]{4})\s+([0-9a-f]{4})([0-9a-f]{4})\s+[0-9a-f]{1,16}((?:\s+[0-9a-f]{1,16}){14})(?:\s+(.*))?"
)
_RECOGNISED: Final = re.compile(
    rf"VERSION {VERSION}\s*|(?:[RW] [1248] {_TIME} {_ID} 0x|(?:UN)?MAP {_TIME} {_ID} 0x|PCIDEV [0-9a-f]{{4}}\s).*"
)

_MAX_MAPS: Final = 1 << 16

_RESOURCES: Final = 7
"""Six BARs and the ROM."""

LOST: Final = "events that mmiotrace says it lost"
UNKNOWN_OPCODE: Final = "accesses by instructions that mmiotrace could not decode"


class Mmiotrace(Importer):
    """Reads the log. Accesses are named by the BAR of PCIDEV that their mapping lies in, else by their mapping."""

    name = "mmiotrace"
    title = "Linux mmiotrace"

    def __init__(self, hints: Hints = NO_HINTS) -> None:
        super().__init__(hints)
        self._maps: dict[int, str] = {}
        """Names of what is mapped, by map id."""
        self._bars: list[Region] = []
        self._areas: set[tuple[int, int]] = set()
        self._has_pcs = True

    @classmethod
    def recognises(cls, line: str) -> bool:
        """Whether the line is the version, or a record with all that it begins with."""
        return _RECOGNISED.fullmatch(line) is not None

    def feed(self, line: str) -> Sequence[Record] | None:
        """The records of a line."""
        keyword = line.partition(" ")[0].rstrip()
        if keyword in ("R", "W"):
            return (self._access(line),)
        handler = self._HANDLERS.get(keyword)
        if handler is None:
            if not keyword or keyword.startswith("#"):
                return None
            raise MalformedLineError("no keyword of mmiotrace begins it")
        return handler(self, line)

    @property
    def losses(self) -> Sequence[str]:
        """What the log lacks."""
        return [
            *([] if self._has_pcs else ["PC not recorded of some accesses"]),
            "no instructions",
            "no CPU numbers: all accesses are CPU 0's",
            "memory that drivers map with ioremap only: no ports, no accesses of firmware or of user space",
            "on several CPUs, accesses may be missing without notice",
            "times by the host's clock",
            "no resets, no interrupts",
        ]

    def _access(self, line: str) -> Access:
        found = _ACCESS.fullmatch(line)
        if found is None:
            raise MalformedLineError(f"{line[0]} takes width, time, map id, physical, value, PC, PID")
        width, whole, fraction, number, address, value, pc, _ = found.groups()
        if int(pc, 16) == 0:
            self._has_pcs = False
        direction: Literal["r", "w"] = "r" if line[0] == "R" else "w"
        return Access(
            "mmio", direction, int(address, 16), checked_size(int(width)), int(value, 16), 0,
            seconds_to_ns(whole, fraction), int(pc, 16), self._maps.get(int(number), ""),
        )  # fmt: skip

    def _map(self, line: str) -> Sequence[Record]:
        found = _MAP.fullmatch(line)
        if found is None:
            raise MalformedLineError("MAP takes time, map id, physical, virtual, length, PC, PID")
        number, first, virtual, length = int(found[3]), int(found[4], 16), found[5], int(found[6], 16)
        last = first + length - 1
        if not 0 < length <= U64_MAX or last > U64_MAX:
            raise MalformedLineError(f"nothing can be mapped at {first:#x} with length {length:#x}")
        if len(self._maps) >= _MAX_MAPS:
            raise MalformedLineError(f"more than {_MAX_MAPS} mappings at a time")
        bar = next((bar for bar in self._bars if bar.first <= first and last <= bar.last), None)
        self._maps[number] = bar.name if bar else f"map {number}"
        note = Note("map", f"map {number} physical {first:#x} virtual 0x{virtual} length {length:#x}")
        if bar or (first, last) in self._areas or len(self._areas) >= _MAX_MAPS:
            return (note,)
        self._areas.add((first, last))
        return (note, Area(Region("mmio", first, last, self._maps[number])))

    def _unmap(self, line: str) -> Sequence[Record]:
        found = _UNMAP.fullmatch(line)
        if found is None:
            raise MalformedLineError("UNMAP takes time, map id, PC, PID")
        self._maps.pop(int(found[3]), None)
        return (Note("unmap", f"map {int(found[3])}"),)

    def _mark(self, line: str) -> Sequence[Record]:
        found = _MARK.fullmatch(line)
        if found is None:
            raise MalformedLineError("MARK takes time and text")
        lost = _LOST.fullmatch(found[3])
        if lost and int(found[1]) == 0:
            return (Note("lost", f"{int(lost[1])} events, before here"), Skipped(LOST, int(lost[1])))
        return (Note("marker", found[3]),)

    def _version(self, line: str) -> Sequence[Record]:
        if line.split()[1:] != [VERSION]:
            raise MalformedLineError(f"only version {VERSION} is known")
        return ()

    def _lspci(self, line: str) -> Sequence[Record]:
        return (Note("lspci", line[len("LSPCI") :].strip()),)

    def _unknown(self, line: str) -> Sequence[Record]:
        found = _UNKNOWN.fullmatch(line)
        if found is None:
            raise MalformedLineError("UNKNOWN takes time, map id, physical, data, PC, PID")
        return (
            Note("unknown-opcode", f"pc 0x{found[6]} address 0x{found[4]} opcode {found[5]}"),
            Skipped(UNKNOWN_OPCODE),
        )

    def _pcidev(self, line: str) -> Sequence[Record]:
        found = _PCIDEV.fullmatch(line)
        if found is None:
            raise MalformedLineError("PCIDEV takes a line of /proc/bus/pci/devices")
        place, vendor, device, numbers, driver = found.groups()
        resources = [int(number, 16) for number in numbers.split()]
        bus, slot, function = int(place[:2], 16), int(place[2:], 16) >> 3, int(place[2:], 16) & 7
        bars: list[Mapping[str, object]] = []
        areas: list[Area] = []
        for number, (flags, size) in enumerate(zip(resources[:_RESOURCES], resources[_RESOURCES:], strict=True)):
            is_io = bool(flags & 1) and number < _RESOURCES - 1
            first = flags & ~(0x3 if is_io else 0xF)
            last = first + size - 1
            if not size or not first or last > (0xFFFF if is_io else U64_MAX):
                continue
            bar: dict[str, Any] = {"bar": number, "type": "io" if is_io else "memory", "address": first, "size": size}
            if not is_io:
                bar |= {"prefetch": bool(flags & 8), "mem_type_64": flags & 6 == 4}
            if first <= (1 << 63) - 1 and size <= (1 << 63) - 1:
                bars.append(bar)
            what = "rom" if number == _RESOURCES - 1 else f"bar{number}"
            region = Region("pio" if is_io else "mmio", first, last, f"{bus:02x}:{slot:02x}.{function} {what}")
            areas.append(Area(region))
            if not is_io and len(self._bars) < 4096:
                self._bars.append(region)
        identity = PciFunction(bus, slot, function, int(vendor, 16), int(device, 16), 0, (driver or "").strip())
        return (Function(identity, bars), *areas)

    _HANDLERS: Final[Mapping[str, Callable[[Mmiotrace, str], Sequence[Record]]]] = {
        "MAP": _map,
        "UNMAP": _unmap,
        "MARK": _mark,
        "VERSION": _version,
        "LSPCI": _lspci,
        "PCIDEV": _pcidev,
        "UNKNOWN": _unknown,
    }
