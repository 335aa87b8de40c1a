"""A second witness: QEMU's own trace events ``memory_region_ops_read`` and ``_write``.

They fire for every access that reaches a device, ports included, after QEMU has split or widened the access to what
the device implements. They know no instruction, no time and no address space, but they come from another place in
QEMU than the recorder's callbacks: if both tell the same story, in the same order, the recording is complete.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

EVENTS: Final = ("memory_region_ops_read", "memory_region_ops_write")

_LINE: Final = re.compile(
    r"(?:.*[: ])?memory_region_ops_(read|write) cpu (-?\d+) mr \S+ addr (0x[0-9a-f]+) value (0x[0-9a-f]+) "
    r"size (\d+)(?: name '(.*)')?"
)


class Access(NamedTuple):
    """An access as the recorder saw it."""

    seq: int
    direction: str
    address: int
    size: int
    value: int
    region: str


class OpsEvent(NamedTuple):
    """An access as a device saw it."""

    direction: str
    address: int
    size: int
    value: int
    region: str


@dataclass(slots=True)
class Agreement:
    """How two witnesses of one run compare."""

    rules: Counter[str] = field(default_factory=Counter)
    """Recorded accesses by the rule that pairs them: "exact", "split", "widened", "swapped", "unassigned"."""
    unexplained: list[tuple[Access, tuple[OpsEvent, ...]]] = field(default_factory=list)
    """Recorded accesses that no rule pairs with the events that come next, and those events."""
    events_left: int = 0
    """Events that no recorded access accounts for."""

    @property
    def complete(self) -> bool:
        """Whether every access is explained, and every event accounted for."""
        return not self.unexplained and not self.events_left


def parse_events(lines: Iterable[str]) -> Iterator[OpsEvent]:
    """The events that the guest's CPUs caused; "cpu -1" is QEMU itself."""
    for line in lines:
        found = _LINE.match(line)
        if found and found[2] != "-1":
            yield OpsEvent(found[1][0], int(found[3], 16), int(found[5]), int(found[4], 16), found[6] or "")


def compare(accesses: Iterable[Access], events: Iterable[OpsEvent], limit: int = 20) -> Agreement:
    """Pair recorded accesses with QEMU's events, both in their order.

    Rules, each a thing QEMU is documented to do between the CPU and the device:

    - exact: the device saw what the guest asked.
    - split: the device implements narrower accesses; it saw several, at rising addresses.
    - widened: the device implements wider accesses only; the guest's is a part of what the device saw.
    - swapped: as exact or split, for a device of the other byte order.
    - unassigned: nothing is mapped there, so no device saw it.

    Comparing ends after `limit` unexplained accesses: by then the two are out of step.
    """
    agreement = Agreement()
    stream = iter(events)
    ahead: list[OpsEvent] = []
    for access in accesses:
        while len(ahead) < 8 and (event := next(stream, None)) is not None:
            ahead.append(event)
        rule, used = _pair(access, ahead)
        if rule is None:
            agreement.unexplained.append((access, tuple(ahead[:3])))
            if len(agreement.unexplained) >= limit:
                break
        else:
            agreement.rules[rule] += 1
            del ahead[:used]
    agreement.events_left = len(ahead) + sum(1 for _ in stream)
    return agreement


def _pair(access: Access, ahead: list[OpsEvent]) -> tuple[str | None, int]:
    """The rule that pairs `access` with the first events of `ahead`, and their number."""
    if ahead:
        first = ahead[0]
        if first.direction == access.direction:
            if (first.address, first.size, first.value) == (access.address, access.size, access.value):
                return "exact", 1
            shift = 8 * (access.address - first.address)
            if (
                first.size > access.size
                and 0 <= shift <= 8 * (first.size - access.size)
                and first.value >> shift & _mask(access.size) == access.value
            ):
                return "widened", 1
            for swapped in (False, True):
                used = _pieces(access, ahead, swapped)
                if used:
                    return "swapped" if swapped else "split", used
    return ("unassigned", 0) if not access.region else (None, 0)


def _pieces(access: Access, ahead: list[OpsEvent], swapped: bool) -> int:
    """Number of events that together make `access`; 0 if they do not."""
    data = bytearray()
    for used, event in enumerate(ahead, 1):
        if (event.direction, event.address) != (access.direction, access.address + len(data)):
            return 0
        data += (event.value & _mask(event.size)).to_bytes(event.size, "big" if swapped else "little")
        if len(data) >= access.size:
            return used if int.from_bytes(data, "little") == access.value and len(data) == access.size else 0
    return 0


def _mask(size: int) -> int:
    return (1 << 8 * size) - 1
