"""How busy a guest kept its devices: exits along the recording, and by register. Plain data, for pictures.

It is gathered while a trace is replayed, because only then it is known which device an access reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from .device import Device
from .naming import unbanked_name
from .routes import WRITE

if TYPE_CHECKING:
    from .trace.rows import Access, PackedSite

COLUMNS: Final = 240
"""Parts of equal length into which a recording is cut."""

NOBODY: Final = "(no device)"

_SITE: Final = itemgetter(1)

Claim = Callable[[int], tuple[str, Device | None, int] | None]
"""Who answered the last access of a site: name, model and offset; `vmdev.replay.replayer.Replayer.claim`."""


@dataclass(slots=True)
class RegisterUse:
    """Accesses at one offset."""

    offset: int
    names: list[str] = field(default_factory=list)
    """Of the registers there that do not depend on a bank: one for reads and one for writes, where they differ."""
    reads: int = 0
    writes: int = 0


@dataclass(slots=True)
class DeviceUse:
    """Accesses to one device."""

    name: str
    exits: list[int]
    """In each part of the recording."""
    registers: dict[int, RegisterUse] = field(default_factory=dict)
    """By offset, in the order of their first access; empty where no device is."""


class Activity:
    """What `Replayer.run` shows to its observer, added up.

    Args:
        sites: the trace's `packed_sites`.
        first_exit: the number of the trace's first exit.
        exits: how many it has.
        claim: asked after each chunk of exits.
    """

    def __init__(self, sites: Sequence[PackedSite], first_exit: int, exits: int, claim: Claim) -> None:
        self.first_exit = first_exit
        self.length = max(1, -(-exits // COLUMNS))
        """Exits in each part but the last."""
        self.times_ns: list[int] = []
        """When the first exit of each part was made."""
        self.devices: dict[str, DeviceUse] = {}
        """By name; `NOBODY` for where no device is."""
        self._columns = -(-exits // self.length)
        self._sites = sites
        self._claim = claim

    def column(self, seq: int) -> int:
        """The part that exit number `seq` is in."""
        return (seq - self.first_exit) // self.length

    def __call__(self, first: int, rows: Sequence[Access]) -> None:
        """Add the exits from number `first` on, in order and without a gap."""
        start = 0
        while start < len(rows):
            seq = first + start
            column = self.column(seq)
            stop = min(len(rows), start + (column + 1) * self.length - (seq - self.first_exit))
            if column == len(self.times_ns):
                self.times_ns.append(rows[start][0])
            for number, count in Counter(map(_SITE, rows[start:stop])).items():
                self._add(number, column, count)
            start = stop

    def _add(self, number: int, column: int, count: int) -> None:
        name, model, offset = self._claim(number) or (NOBODY, None, 0)
        device = self.devices.get(name)
        if device is None:
            device = self.devices[name] = DeviceUse(name, [0] * self._columns)
        device.exits[column] += count
        if name == NOBODY:
            return
        is_read = not self._sites[number][1] & WRITE
        register = device.registers.setdefault(offset, RegisterUse(offset))
        name_there = unbanked_name(model, offset, "r" if is_read else "w") if model else None
        if name_there and name_there not in register.names:
            register.names.append(name_there)
        if is_read:
            register.reads += count
        else:
            register.writes += count
