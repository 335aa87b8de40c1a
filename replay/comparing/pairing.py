"""Pairing two streams, window by window: which access of one recording is which of the other.

Accesses are the same if they are of the same direction, place and size, and writes if they have the same value, too.
What was read does not matter, so that a device that answers otherwise does not break the order.

A window has some thousand accesses, and grows where the streams do not fit: what one recording has more of is
recognised up to `WIDEST` accesses of a device, or any number of equal ones.
"""

from __future__ import annotations

from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import ne
from typing import Final, NamedTuple

from .alignment import Block, align, append, settle
from .streams import Accesses

USUAL: Final = 1 << 13
"""Accesses in a window, of which equal ones in a row count as one."""

WIDEST: Final = 1 << 16

MOST: Final = 1 << 17
"""Accesses in a window, counted each."""

_LONG_WAIT: Final = 16
"""A window with so many times fewer changes than the other is all of one wait, if nothing in them pairs."""

LONGEST_PERIOD: Final = 16
"""Accesses in a turn of a loop that is recognised."""

Symbols = Callable[[Accesses], Sequence[int]]
"""Numbers that are equal where accesses may be paired."""


class Step(NamedTuple):
    """A part of both streams that is settled: up to `end_a` and `end_b` of the accesses here."""

    a: Accesses
    b: Accesses
    symbols_a: array[int]
    symbols_b: array[int]
    before_a: array[int]
    """The symbols of the last few accesses before these."""
    before_b: array[int]
    blocks: list[Block]
    end_a: int
    end_b: int


class _Side:
    """A stream, of which a window can be seen."""

    def __init__(self, stream: Iterator[Accesses], symbols: Symbols) -> None:
        self._stream = stream
        self._of = symbols
        self.seen = Accesses.none()
        self.symbols: array[int] = array("Q")
        self.before: array[int] = array("Q")
        """The last few symbols that were dropped."""
        self.ended = False
        self.changes = 0
        """Accesses that are not equal to the one before."""

    def fill(self, size: int) -> None:
        while not self.ended and self.changes < size and len(self.symbols) < MOST:
            more = next(self._stream, None)
            if more is None:
                self.ended = True
                return
            for column, new in zip(self.seen, more, strict=True):
                column.extend(new)
            last = len(self.symbols)
            self.symbols.extend(self._of(more))
            self.changes += _changes(self.symbols, max(last - 1, 0))

    def drop(self, count: int) -> None:
        self.before = (self.before + self.symbols[:count])[-LONGEST_PERIOD:]
        for column in (*self.seen, self.symbols):
            del column[:count]
        self.changes = _changes(self.symbols, 0)

    @property
    def limit(self) -> int:
        """Up to where pairs are certain: what is to come does not change them."""
        return len(self.symbols) if self.ended else max(1, len(self.symbols) * 3 // 4)


def _changes(symbols: array[int], start: int) -> int:
    return sum(map(ne, symbols[start:-1], symbols[start + 1 :]))


def pair(stream_a: Iterator[Accesses], stream_b: Iterator[Accesses], symbols: Symbols) -> Iterator[Step]:
    """The steps that settle both streams."""
    a, b = _Side(stream_a, symbols), _Side(stream_b, symbols)
    size = USUAL
    while True:
        a.fill(size)
        b.fill(size)
        if not a.symbols and not b.symbols:
            return
        blocks = align(a.symbols, b.symbols)
        paired = sum(block.n for block in blocks)
        if 2 * paired < min(size, len(a.symbols), len(b.symbols)) and size < WIDEST and not (a.ended and b.ended):
            size *= 2
            continue
        step = _settled(a, b, _best(blocks, a, b))
        yield step
        a.drop(step.end_a)
        b.drop(step.end_b)
        size = USUAL


def _best(blocks: list[Block], a: _Side, b: _Side) -> list[Block]:
    """The longest subsequence, or one that fits better though it is shorter.

    A long wait counts for more in it than all that the guest did before and after: if two waits take longer in one
    recording and others in the other, the longest subsequence may pair the one's first with the other's second.
    """
    best = settle(blocks, a.symbols, b.symbols, a.seen.values, b.seen.values)
    left = missing(best, a.symbols, b.symbols)
    if not all(left):  # what only one of them has, no order of them can pair
        return best
    other = settle(_by_turns(a.symbols, b.symbols), a.symbols, b.symbols, a.seen.values, b.seen.values)
    return other if sum(missing(other, a.symbols, b.symbols)) < sum(left) else best


def _by_turns(a: array[int], b: array[int]) -> list[Block]:
    """Aligned so that what is in no loop comes first, and then, between these, all else."""
    turns_a, turns_b = _turns(a), _turns(b)
    blocks: list[Block] = []
    i = j = 0

    def between(i_end: int, j_end: int) -> None:
        for block in align(a[i:i_end], b[j:j_end]):
            append(blocks, i + block.i, j + block.j, block.n)

    for block in align([a[i] for i, _ in turns_a], [b[j] for j, _ in turns_b]):
        for k in range(block.n):
            (i_next, in_loop_a), (j_next, in_loop_b) = turns_a[block.i + k], turns_b[block.j + k]
            if not in_loop_a and not in_loop_b:
                between(i_next, j_next)
                append(blocks, i_next, j_next, 1)
                i, j = i_next + 1, j_next + 1
    between(len(a), len(b))
    return blocks


def _turns(symbols: array[int]) -> list[tuple[int, bool]]:
    """The places of accesses, of loops those of one turn; with whether they are in a loop."""
    found: list[tuple[int, bool]] = []
    at = 0
    while at < len(symbols):
        period = next(
            (
                p
                for p in _periods(len(symbols) - 1 - at)
                if symbols[at] == symbols[at + p] and symbols[at : at + p] == symbols[at + p : at + 2 * p]
            ),
            0,
        )
        if not period:
            found.append((at, False))
            at += 1
            continue
        found += ((at + k, True) for k in range(period))
        at += period + _run(symbols, at + period, len(symbols), period) // period * period
    return found


def missing(blocks: Sequence[Block], a: Sequence[int], b: Sequence[int]) -> tuple[int, int]:
    """How many accesses of each have no counterpart, and are not of a loop that ran more often."""
    counts = [0, 0]
    i = j = 0
    for block in (*blocks, Block(len(a), len(b), 0)):
        for side, symbols, start, end in ((0, a, i, block.i), (1, b, j, block.j)):
            if start < end:
                counts[side] += end - start - sum(repeated(symbols, start, end))
        i, j = block.i + block.n, block.j + block.n
    return counts[0], counts[1]


def _settled(a: _Side, b: _Side, blocks: Sequence[Block]) -> Step:
    """The part that what is to come does not change: up to the last pair before both limits."""
    limit_a, limit_b = a.limit, b.limit
    kept: list[Block] = []
    end_a, end_b = limit_a, limit_b
    if not (a.ended and b.ended):
        for i, j, n in blocks:
            within = min(n, limit_a - i, limit_b - j)
            if within <= 0:
                end_a, end_b = min(limit_a, i), min(limit_b, j)
                break
            kept.append(Block(i, j, within))
        if kept:
            end_a, end_b = kept[-1].i + kept[-1].n, kept[-1].j + kept[-1].n
        elif not blocks and a.symbols and a.changes * _LONG_WAIT < b.changes:
            end_b = 0
        elif not blocks and b.symbols and b.changes * _LONG_WAIT < a.changes:
            end_a = 0
    else:
        kept = list(blocks)
    return Step(a.seen, b.seen, a.symbols, b.symbols, a.before, b.before, kept, end_a, end_b)


def find_moved(step: Step, left_a: Sequence[int], left_b: Sequence[int]) -> list[tuple[int, int]]:
    """Of accesses without a counterpart in their place: those that the other recording has elsewhere in the window."""
    waiting: defaultdict[int, deque[int]] = defaultdict(deque)
    for j in left_b:
        waiting[step.symbols_b[j]].append(j)
    return [(i, waiting[symbol].popleft()) for i in left_a if waiting.get(symbol := step.symbols_a[i])]


def find_repeats(before: array[int], symbols: array[int], left: Sequence[int], gone: Collection[int] = ()) -> set[int]:
    """Of accesses without a counterpart: those of turns that a loop made more often.

    Args:
        before: symbols of some accesses before all others.
        symbols: of all others.
        left: the places of those without a counterpart, ascending.
        gone: the places of others, to look at the rest as if these had not been made.
    """
    if not left:
        return set()
    kept: Sequence[int] = range(-len(before), len(symbols))
    symbols = before + symbols
    if gone:
        kept = [k for k in kept if k not in gone]
        symbols = array("Q", [symbols[len(before) + k] for k in kept])
    found: set[int] = set()
    loose = set(left)
    at = [n for n, k in enumerate(kept) if k in loose]
    start = 0
    for n in range(1, len(at) + 1):
        if n == len(at) or at[n] != at[n - 1] + 1:
            first, end = at[start], at[n - 1] + 1
            going_on, beginning = repeated(symbols, first, end)
            found.update(kept[k] for k in (*range(first, first + going_on), *range(end - beginning, end)))
            start = n
    return found


def repeated(symbols: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """Of the accesses from `start` up to `end`: how many go on with the loop before them, and begin the one after them.

    A loop has turns of up to `LONGEST_PERIOD` accesses; parts of a turn are not counted.
    """
    before = max((_run(symbols, start, end, period) // period * period for period in _periods(start)), default=0)
    behind = len(symbols) - end
    after = max(
        (_run_back(symbols, start + before, end, period) // period * period for period in _periods(behind)),
        default=0,
    )
    return before, after


def _periods(context: int) -> range:
    return range(1, min(LONGEST_PERIOD, context) + 1)


def _run(symbols: Sequence[int], start: int, end: int, period: int) -> int:
    at = start
    while at < end and symbols[at] == symbols[at - period]:
        at += 1
    return at - start


def _run_back(symbols: Sequence[int], start: int, end: int, period: int) -> int:
    at = end
    while at > start and symbols[at - 1] == symbols[at - 1 + period]:
        at -= 1
    return end - at
