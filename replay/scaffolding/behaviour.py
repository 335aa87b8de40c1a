"""What the bits of a register do at reads and writes: the rules that are looked for, each as a mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from .layout import Event

RULES: Final = {
    "kept": "read as they were last written",
    "ones_clear": "are cleared by writing ones",
    "ones_set": "are set by writing ones",
    "ones_toggle": "are toggled by writing ones",
    "zeros_clear": "are cleared by writing zeros",
    "zeros_set": "are set by writing zeros",
    "writes_clear": "are cleared by any write",
    "writes_set": "are set by any write",
    "reads_clear": "are cleared by reading",
    "reads_set": "are set by reading",
}
"""The members of `Behaviour` that are rules, and what their bits do. Bits under none of them never change."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A register's value after a reset, and by rule the bits that obey it."""

    reset: int = 0
    kept: int = 0
    ones_clear: int = 0
    ones_set: int = 0
    ones_toggle: int = 0
    zeros_clear: int = 0
    zeros_set: int = 0
    writes_clear: int = 0
    writes_set: int = 0
    reads_clear: int = 0
    reads_set: int = 0

    def after_write(self, state: int, value: int, mask: int) -> int:
        """The state after a write of the bits in `mask`."""
        kept = self.kept & mask
        state = state & ~kept | value & kept
        state ^= value & self.ones_toggle
        state = (state | value & self.ones_set) & ~(value & self.ones_clear)
        zeros = ~value & mask
        state = (state | zeros & self.zeros_set) & ~(zeros & self.zeros_clear)
        return (state | self.writes_set & mask) & ~(self.writes_clear & mask)

    def after_read(self, state: int) -> int:
        """The state after a read of any part."""
        return (state | self.reads_set) & ~self.reads_clear

    @property
    def is_fixed(self) -> bool:
        """Whether it never changes."""
        return not any(mask for _, mask in self.rules())

    def rules(self) -> Iterator[tuple[str, int]]:
        """The rules that it has, with their bits."""
        for rule in RULES:
            mask = getattr(self, rule)
            if mask:
                yield rule, mask


SPECIAL: Final = 1
"""Reads more than this that a rule must explain beyond the plain ones, which are: always the same, and as written."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How well a behaviour explains what was read."""

    matched: int
    """Reads that it explains in every bit."""
    wrong: Counter[int]
    """By bit: reads that it does not explain."""
    missed: Sequence[int]
    """The numbers of the reads that it does not explain."""


def replay(events: Iterable[Event], behaviour: Behaviour, resets: Sequence[int] = ()) -> Replayed:
    """Let a register with this behaviour answer what was recorded."""
    state = behaviour.reset
    matched = 0
    wrong: Counter[int] = Counter()
    differences: Counter[int] = Counter()
    missed: list[int] = []
    waiting = iter(resets)
    next_reset = next(waiting, None)
    after_write, after_read = behaviour.after_write, behaviour.after_read
    reading = bool(behaviour.reads_clear | behaviour.reads_set)
    for seq, _, is_write, value, mask in events:
        while next_reset is not None and seq >= next_reset:
            state = behaviour.reset
            next_reset = next(waiting, None)
        if is_write:
            state = after_write(state, value, mask)
            continue
        different = (state ^ value) & mask
        if different:
            differences[different] += 1
            missed.append(seq)
        else:
            matched += 1
        if reading:
            state = after_read(state)
    for different, count in differences.items():
        while different:
            low = different & -different
            wrong[low.bit_length() - 1] += count
            different ^= low
    return Replayed(matched, wrong, missed)


def infer(
    events: Sequence[Event], full: int, resets: Sequence[int] = (), described: Behaviour | None = None
) -> Behaviour:
    """The behaviour that explains the most of what was read, chosen bit by bit.

    Args:
        events: what was done to the register.
        full: all of its bits.
        resets: when the device was reset, as numbers of exits.
        described: what a description says. It is followed in the bits in which nothing explains more.
    """
    usual = _usual(events)
    first, is_known = _first(events, usual)
    if described is not None:
        first = first & is_known | described.reset & ~is_known
    written = 0
    for event in events:
        if event.is_write:
            written |= event.mask
    plain = [Behaviour(usual)]
    if written:
        plain.insert(0, Behaviour(first, kept=full))
    if described is not None:
        plain.insert(0, replace(described, reset=first))
    special = [Behaviour(first, reads_clear=full)]
    if written:
        special += [Behaviour(first, ones_clear=full), Behaviour(first, ones_set=full)]
    replayed = [(candidate, replay(events, candidate, resets)) for candidate in (*plain, *special)]
    # Bit by bit the one that explains the most; of equal ones that which explains most by itself
    by_merit = sorted(replayed[: len(plain)], key=lambda pair: -pair[1].matched)
    if described is not None:
        by_merit.sort(key=lambda pair: pair is not replayed[0])
    chosen = dict.fromkeys((field.name for field in fields(Behaviour)), 0)
    for bit in range(full.bit_length()):
        best, fewest = by_merit[0][0], by_merit[0][1].wrong[bit]
        for candidate, found in by_merit[1:]:
            if found.wrong[bit] < fewest:
                best, fewest = candidate, found.wrong[bit]
        for candidate, found in replayed[len(plain) :]:
            if found.wrong[bit] + SPECIAL < fewest:
                best, fewest = candidate, found.wrong[bit]
        for name in chosen:
            chosen[name] |= getattr(best, name) & 1 << bit
    return Behaviour(**chosen)


def _usual(events: Iterable[Event]) -> int:
    """Each bit as it was read most often."""
    values: Counter[tuple[int, int]] = Counter()
    for _, _, is_write, value, mask in events:
        if not is_write:
            values[value, mask] += 1
    balance: Counter[int] = Counter()
    for (value, mask), count in values.items():
        while mask:
            low = mask & -mask
            balance[low] += count if value & low else -count
            mask ^= low
    return sum(low for low, more in balance.items() if more > 0)


def _first(events: Iterable[Event], usual: int) -> tuple[int, int]:
    """Each bit as it was read before it was first written, and which were; the others as usual if never written."""
    value = known = written = 0
    for event in events:
        if event.is_write:
            written |= event.mask
        else:
            new = event.mask & ~known & ~written
            value |= event.value & new
            known |= new
    return value | usual & ~known & ~written, known
