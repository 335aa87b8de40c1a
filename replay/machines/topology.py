"""How many CPUs a guest has, and their initial APIC IDs.

Source: QEMU documentation, "-smp"; Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, section
"Hierarchical Mapping of Shared Resources": each level of the topology has bits of its own in the ID.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Final

from ..guest import Guest
from .command import merged, number

LEVELS: Final = ("sockets", "dies", "modules", "cores", "threads")
"""Outermost first."""

MOST_CPUS: Final = 4096


def apic_ids(guest: Guest) -> list[int]:
    """The initial APIC ID of each CPU, by its number."""
    options = merged(guest, "smp", first="cpus")
    given = {level: number(options, level, 0) or 0 for level in LEVELS}
    cpus = number(options, "cpus", 0) or 0
    most = number(options, "maxcpus", 0) or 0
    counts = _counts(given, most or cpus)
    present = min(cpus or most or prod(counts), MOST_CPUS)
    recorded = guest.meta.get("smp")
    if isinstance(recorded, int) and 0 < recorded <= MOST_CPUS:
        present = recorded
    ids = []
    for place, _ in zip(product(*map(range, counts)), range(present), strict=False):
        apic_id = 0
        for count, index in zip(counts, place, strict=True):
            apic_id = apic_id << (count - 1).bit_length() | index
        ids.append(apic_id)
    return ids + list(range(len(ids), present))


def _counts(given: dict[str, int], most: int) -> list[int]:
    """How many there are of each level in the one above. What is not said is 1, but for the one that makes up `most`.

    That is cores, if they are not said, else sockets, else threads.
    """
    counts = {level: max(count, 1) for level, count in given.items()}
    free = next((level for level in ("cores", "sockets", "threads") if not given[level]), None)
    if free and most:
        counts[free] = max(most // prod(counts.values()), 1)
    return list(counts.values())
