"""Renode's log of accesses to peripherals: ``sysbus LogAllPeripheralsAccess true``.

Source: Renode's documentation, "Execution tracing", and its classes ReadLoggingWrapper, WriteLoggingWrapper and
SystemBus.DecorateWithCPUNameAndPC for what a line is:
``16:23:57.2345 [INFO] uart0: [cpu: 0x8000ABCD] ReadUInt32 from 0x4 (Status), returned 0x80.``

A line has the offset within the peripheral, not its address. Equal lines in a row are one line, with their number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..guest import Region
from .records import MAX_CPUS, NO_HINTS, Access, Area, Hints, Importer, MalformedLineError, Record, seconds_to_ns

_ACCESS: Final = re.compile(
    r"(Read|Write)(Byte|UInt8|Word|UInt16|DoubleWord|UInt32|QuadWord|UInt64) (from|to) 0x([0-9A-Fa-f]{1,16})"
    r"(?: \(([^()]{0,200})\))?, (returned|value) 0x([0-9A-Fa-f]{1,16})\.?(?: \(([0-9]{1,9})\))?\s*"
)
_STARTS: Final = re.compile(r"(?:Read|Write)(?:Byte|UInt|Word|DoubleWord|QuadWord)[0-9]{0,2} (?:from|to) 0x")
_PREFIX: Final = re.compile(
    r"(?:([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{1,7}) +)?\[[A-Z]{1,10}\] +(?:([^\[\]]{1,200}): +)?"
    r"(?:\[([^\[\]:]{1,64})(?:: 0x([0-9A-Fa-f]{1,16}))?\] +)?"
)
_SIZES: Final = {
    "Byte": 1, "UInt8": 1, "Word": 2, "UInt16": 2, "DoubleWord": 4, "UInt32": 4, "QuadWord": 8, "UInt64": 8,
}  # fmt: skip

_PAGE: Final = 0x1000
_SPACING: Final = 1 << 32
"""Of the addresses that are made up, and the first of them."""

_MAX_PERIPHERALS: Final = 4096
_MAX_REPEATS: Final = 4096

_DAY_NS: Final = 86_400_000_000_000


class Renode(Importer):
    """Reads the log. Peripherals are put at the places that the user gives, and else at addresses made up."""

    name = "renode"
    title = "Renode log of peripheral accesses"

    def __init__(self, hints: Hints = NO_HINTS) -> None:
        super().__init__(hints)
        self._bases: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._cpus: dict[str, int] = {}
        self._made_up = 0
        self._timed = True
        self._has_pcs = True
        self._days_ns = 0
        self._last_ns = 0

    @classmethod
    def recognises(cls, line: str) -> bool:
        """Whether the line has an access in Renode's words."""
        return _STARTS.search(line) is not None

    def feed(self, line: str) -> Sequence[Record] | None:
        """The accesses of a line: several, if it was repeated."""
        start = _STARTS.search(line)
        if start is None:
            return None
        found = _ACCESS.fullmatch(line, start.start())
        if found is None:
            raise MalformedLineError("not as Renode logs an access")
        verb, width, preposition, offset_text, _, what, value, repeats_text = found.groups()
        if (verb, preposition, what) not in (("Read", "from", "returned"), ("Write", "to", "value")):
            raise MalformedLineError(f"{verb} {preposition} and {what} do not go together")
        prefix = _PREFIX.fullmatch(line, 0, start.start())
        if prefix is None:
            raise MalformedLineError("what is before the access is not as Renode writes it")
        hour, minute, second, fraction, name, cpu, pc = prefix.groups()
        offset, repeats = int(offset_text, 16), int(repeats_text or 1)
        if offset >= _SPACING:
            raise MalformedLineError(f"no peripheral has an offset {offset:#x}")
        if not 1 <= repeats <= _MAX_REPEATS:
            raise MalformedLineError(f"it stands for {repeats} accesses; up to {_MAX_REPEATS} are believed")
        if not pc:
            self._has_pcs = False
        access = Access(
            "mmio",
            "r" if verb == "Read" else "w",
            self._base(name or "") + offset,
            _SIZES[width],
            int(value, 16),
            self._cpu(cpu or ""),
            None if hour is None else self._time(hour, minute, second, fraction),
            int(pc or "0", 16),
            name or "",
        )
        if access.t_ns is None:
            self._timed = False
        self._ends[name or ""] = max(self._ends.get(name or "", 0), offset + access.size)
        return (access,) * repeats

    def finish(self) -> Sequence[Record]:
        """Where the peripherals are."""
        return [
            Area(Region("mmio", base, base + (self._ends[name] + _PAGE - 1) // _PAGE * _PAGE - 1, name))
            for name, base in self._bases.items()
            if name and name in self._ends
        ]

    @property
    def losses(self) -> Sequence[str]:
        """What the log lacks."""
        return [
            "" if self._has_pcs else "no PC of some accesses",
            "no instructions",
            "times by the host's clock, when a line was logged, not of the guest's" if self._timed else "no times",
            "offsets within peripherals, not addresses"
            + (f": addresses of {self._made_up} peripherals are made up" if self._made_up else ": put as you said"),
            "no resets, no interrupts",
        ]

    def _base(self, name: str) -> int:
        base = self._bases.get(name)
        if base is None:
            if len(self._bases) >= _MAX_PERIPHERALS:
                raise MalformedLineError(f"more than {_MAX_PERIPHERALS} peripherals")
            base = self.hints.places.get(name)
            if base is None:
                self._made_up += 1
                base = self._made_up * _SPACING
            self._bases[name] = base
        return base

    def _cpu(self, name: str) -> int:
        if name not in self._cpus:
            if len(self._cpus) >= MAX_CPUS:
                raise MalformedLineError(f"more than {MAX_CPUS} CPUs")
            self._cpus[name] = len(self._cpus)
        return self._cpus[name]

    def _time(self, hour: str, minute: str, second: str, fraction: str) -> int:
        """The time since the midnight before the log began."""
        t_ns = seconds_to_ns(str((int(hour) * 60 + int(minute)) * 60 + int(second)), fraction) + self._days_ns
        if t_ns + _DAY_NS // 2 < self._last_ns and self._days_ns < 1000 * _DAY_NS:
            self._days_ns += _DAY_NS
            t_ns += _DAY_NS
        self._last_ns = t_ns
        return t_ns
