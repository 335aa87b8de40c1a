"""Whether a register shows a free-running counter: its frequency, width, direction and phase, from values and times.

A counter of `hz` shows ``(now_ns + phase_ns) * hz // 10**9``, so a value v that was read at t says that
(t + phase) * hz lies between v and v + 1 ticks. All reads together leave few frequencies, often one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, floor
from typing import Final, Literal

from ..clock import NANOSECONDS_PER_SECOND
from .layout import Event

LEAST_VALUES: Final = 8
"""Different values; fewer may be anything."""

MOST_SAMPLES: Final = 2000
"""Reads that the frequency is estimated from."""

EXPLAINED: Final = 0.99
"""The part of the reads that a counter has to explain."""

SLACK_TICKS: Final = 2_000
"""How far off a read may be where times are the host's."""

LARGEST_HZ: Final = NANOSECONDS_PER_SECOND

KNOWN_HZ: Final = {
    3_579_545: "ACPI timer", 1_193_182: "PC interval timer", 14_318_180: "PC oscillator", 32_768: "watch crystal",
    1_843_200: "UART crystal", 62_500_000: "QEMU's Arm timers",
}  # fmt: skip
"""Frequencies that are usual, though they are not round."""


@dataclass(frozen=True, slots=True)
class CounterRule:
    """What the register shows."""

    hz: int
    low_hz: int
    high_hz: int
    """Frequencies from `low_hz` to `high_hz` explain the reads as well."""
    bits: int
    """Its width."""
    has_wrapped: bool
    """Whether the width was seen."""
    counts: Literal["up", "down"]
    phase_ns: int
    """What to add to the clock."""
    start_ns: tuple[int, int] = (0, 0)
    """From when to when on the clock it may have stood at `base`, to the nanosecond; (0, 0) if that may be 0."""
    base: int = 0
    """What was written to it last."""
    started_by: tuple[int, int] | None = None
    """The register, by its offset, and the bits of it, whose setting started it."""
    tolerance_ticks: int = 0
    """How far off reads may be, if the recording's clock is not the device's."""

    def value(self, now_ns: int) -> int:
        """What it shows."""
        count = (now_ns + self.phase_ns) * self.hz // NANOSECONDS_PER_SECOND
        return self.base + (count if self.counts == "up" else -count) & (1 << self.bits) - 1

    def explains(self, now_ns: int, value: int, mask: int) -> bool:
        """Whether a read of the bits in `mask` is as it should be."""
        off = self.value(now_ns) - value
        return min(off & mask, -off & mask) <= self.tolerance_ticks


def find_counter(events: Sequence[Event], is_exact: bool = True) -> CounterRule | None:
    """The counter that a register shows; None if it shows none.

    Args:
        events: what was done to the register. What was before its last write does not count.
        is_exact: whether the times are the device's own.
    """
    masks = Counter(event.mask for event in events if not event.is_write)
    full = masks.most_common(1)[0][0] if masks else 0
    if not full or full & full + 1:
        return None  # mostly it was not read from its lowest bit on
    width = full.bit_length()
    last = max((at for at, event in enumerate(events) if event.is_write and event.mask & full), default=-1)
    base = events[last].value & full if last >= 0 else 0
    reads = [(event.t_ns, event.value - base & full) for event in events[last + 1 :] if event.mask == full]
    if len({value for _, value in reads}) < LEAST_VALUES or sum(masks.values()) < EXPLAINED * len(events):
        return None
    # It may have been stopped or set at first, in ways that are not known
    for skipped in (0, *(1 << step for step in range(20) if 1 << step <= (1 - EXPLAINED) * len(reads))):
        found = _find(reads[skipped:], width, is_exact)
        if found is not None:
            return replace(found, base=base)
    return None


def _find(reads: Sequence[tuple[int, int]], width: int, is_exact: bool) -> CounterRule | None:
    samples = reads if len(reads) <= MOST_SAMPLES else [*reads[: MOST_SAMPLES // 2], *reads[-MOST_SAMPLES // 2 :]]
    largest = max(value for _, value in reads).bit_length()
    directions: tuple[Literal["up"], Literal["down"]] = ("up", "down")
    for counts in directions:
        for bits in dict.fromkeys((largest, width)):
            found = _fit(reads, samples, bits, counts, is_exact)
            if found is not None:
                return found if found.has_wrapped else replace(found, bits=width)
    return None


def _fit(
    reads: Sequence[tuple[int, int]],
    samples: Sequence[tuple[int, int]],
    bits: int,
    counts: Literal["up", "down"],
    is_exact: bool,
) -> CounterRule | None:
    modulus = 1 << bits
    slack = 1 if is_exact else SLACK_TICKS
    going_up = [(t_ns, value if counts == "up" else -value % modulus) for t_ns, value in samples]
    line = _unwrapped(going_up, modulus, slack)
    if line is None:
        return None
    if is_exact:
        bounds = _frequencies(line)
        if bounds is None:
            return None
        low, high = bounds
        hz = _nicest(low, high)
        phase_ns, start_ns = _phase(line, hz, modulus)
    else:
        (t0, v0), (t1, v1) = line[0], line[-1]
        rate = (v1 - v0) * NANOSECONDS_PER_SECOND / (t1 - t0)
        spread = max(1.0, slack * NANOSECONDS_PER_SECOND / (t1 - t0))
        low, high = max(1, floor(rate - spread)), ceil(rate + spread)
        hz = _nicest(low, high)
        phase_ns, start_ns = v0 * NANOSECONDS_PER_SECOND // hz - t0, (0, 0)
        if abs(phase_ns) * hz < slack * NANOSECONDS_PER_SECOND:
            phase_ns = 0
    if phase_ns is None or not 0 < hz <= LARGEST_HZ:
        return None
    has_wrapped = any(b[1] // modulus > a[1] // modulus for a, b in pairwise(line))
    tolerance = 0 if is_exact else slack
    rule = CounterRule(hz, low, high, bits, has_wrapped, counts, phase_ns, start_ns, tolerance_ticks=tolerance)
    off = sum(not rule.explains(t_ns, value, modulus - 1) for t_ns, value in reads)
    return rule if off <= (1 - EXPLAINED) * len(reads) else None


def _unwrapped(samples: Sequence[tuple[int, int]], modulus: int, slack: int) -> list[tuple[int, int]] | None:
    """The samples with the wraps added up, as long as it is known how many there were; None if they are no line."""
    pairs = [(b[0] - a[0], (b[1] - a[1] + slack - 1) % modulus - slack + 1) for a, b in pairwise(samples)]
    low, high = 0.0, float(LARGEST_HZ)  # ticks in 10**9 ns
    for elapsed, moved in sorted(pairs):
        if elapsed <= 0:
            if moved >= slack:
                return None
            continue
        whole = round((((low + high) / 2) * elapsed / NANOSECONDS_PER_SECOND - moved) / modulus)
        if (high - low) * elapsed / NANOSECONDS_PER_SECOND > modulus / 2:
            if low > 0:
                continue  # it cannot be told how often it wrapped
            whole = 0
        moved += max(0, whole) * modulus
        low = max(low, (moved - slack) * NANOSECONDS_PER_SECOND / elapsed)
        high = min(high, (moved + slack) * NANOSECONDS_PER_SECOND / elapsed)
        if low > high:
            return None
    line = [samples[0]]
    for elapsed, moved in pairs:
        t_ns, value = line[-1]
        if (high - low) * elapsed / NANOSECONDS_PER_SECOND > modulus / 2:
            break
        expected = (low + high) / 2 * elapsed / NANOSECONDS_PER_SECOND
        line.append((t_ns + elapsed, value + moved + max(0, round((expected - moved) / modulus)) * modulus))
    return line if len(line) > LEAST_VALUES and line[-1][1] > line[0][1] else None


def _room(line: Sequence[tuple[int, int]], hz: int) -> tuple[int, int]:
    """Between which phases, in 10**-9 ticks, a counter of `hz` explains all samples; none if first >= second."""
    offsets = [value * NANOSECONDS_PER_SECOND - hz * t_ns for t_ns, value in line]
    return max(offsets), min(offsets) + NANOSECONDS_PER_SECOND


def _frequencies(line: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The whole frequencies that explain all samples: they are neighbours, as the room is concave in the frequency."""

    def room(hz: int) -> int:
        first, after = _room(line, hz)
        return after - first

    (t0, v0), (t1, v1) = line[0], line[-1]
    low = max(1, (v1 - v0 - 1) * NANOSECONDS_PER_SECOND // (t1 - t0))
    high = (v1 - v0 + 1) * NANOSECONDS_PER_SECOND // (t1 - t0) + 1
    left, right = low, high
    while right - left > 2:
        third = (right - left) // 3
        if room(left + third) < room(right - third):
            left += third
        else:
            right -= third
    best = max(range(left, right + 1), key=room)
    if room(best) <= 0:
        return None
    return _edge(room, low, best), _edge(room, high, best)


def _edge(room: Callable[[int], int], outside: int, inside: int) -> int:
    """The last frequency with room on the way from `inside` to `outside`."""
    if room(outside) > 0:
        return outside
    while abs(outside - inside) > 1:
        middle = (outside + inside) // 2
        if room(middle) > 0:
            inside = middle
        else:
            outside = middle
    return inside


def _nicest(low: int, high: int) -> int:
    """Of some frequencies a usual one, or else the roundest."""
    for hz in KNOWN_HZ:
        if low <= hz <= high:
            return hz
    step = 10 ** len(str(high))
    for unit in _units(step):
        first = -(-low // unit) * unit
        if first <= high:
            return first
    return low


def _units(step: int) -> Iterator[int]:
    while step >= 1:
        yield from (step, step // 2, step // 4, step // 5)[: 4 if step % 4 == 0 and step > 4 else 1]
        step //= 10


def _phase(line: Sequence[tuple[int, int]], hz: int, modulus: int) -> tuple[int | None, tuple[int, int]]:
    """What to add to the clock, in ns: 0 if that is possible; None if no whole number will do. And when it was at 0."""
    first, after = _room(line, hz)
    turn = modulus * NANOSECONDS_PER_SECOND
    if -(-first // turn) * turn < after:
        return 0, (0, 0)
    phase = -(-first // hz)
    return (phase if phase * hz < after else None), (-(after // hz), -phase)
