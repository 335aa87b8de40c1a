"""Which elements of two sequences belong together: their longest common subsequence.

It is exact, and quick: a row of the usual table is one integer with a bit for each column, so that a row takes a few
additions (Crochemore, Iliopoulos, Pinzon and Reid, "A fast and practical bit-vector algorithm for the longest common
subsequence problem", 2001), and a large table is halved, so that memory stays small (Hirschberg 1975).

Elements are numbers that are equal where the accesses may be paired. Where that leaves a choice, as among the turns of
a polling loop, `settle` takes the one in which most values agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

LEAF_BITS: Final = 1 << 24
"""A table of up to so many bits is kept as a whole."""

_STEP: Final = 4096
"""Elements that are compared at a time."""

_FEW: Final = 16
"""Of an element that occurs no more often than this, the places are kept and no mask."""


class Block(NamedTuple):
    """``a[i + k]`` is paired with ``b[j + k]`` for k from 0 to n - 1."""

    i: int
    j: int
    n: int


def align(a: Sequence[int], b: Sequence[int]) -> list[Block]:
    """As many pairs of equal elements as there can be, in order. No block follows another without a gap."""
    start = common_prefix(a, b)
    end = _common_suffix(a, b, start)
    blocks: list[Block] = []
    append(blocks, 0, 0, start)
    of_a, of_b = range(start, len(a) - end), range(start, len(b) - end)
    in_both = {a[i] for i in of_a} & {b[j] for j in of_b}
    if in_both:
        left, right = [i for i in of_a if a[i] in in_both], [j for j in of_b if b[j] in in_both]
        for i, j in _pairs([a[i] for i in left], [b[j] for j in right]):
            append(blocks, left[i], right[j], 1)
    append(blocks, len(a) - end, len(b) - end, end)
    return blocks


def settle(
    blocks: Sequence[Block], a: Sequence[int], b: Sequence[int], values_a: Sequence[int], values_b: Sequence[int]
) -> list[Block]:
    """The blocks of `align`, with each gap that only one side has moved to where most values agree.

    An element more in a row of equal ones may be any of them: what a poll got when it was ready belongs to what it got
    when it was ready in the other recording, however often it asked before.
    """
    settled = [Block(0, 0, 0)]
    for right in (*blocks, Block(len(a), len(b), 0)):
        while moved := _better_place(left := settled[-1], right, a, b, values_a, values_b):
            right = Block(right.i + moved, right.j + moved, right.n - moved)
            settled[-1] = Block(left.i, left.j, left.n + moved)
            if settled[-1].n or len(settled) == 1:
                break
            settled.pop()
        settled.append(right)
    return [block for block in settled if block.n]


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many elements are equal from the start on."""
    length = min(len(a), len(b))
    for at in range(0, length, _STEP):
        stop = min(at + _STEP, length)
        if a[at:stop] != b[at:stop]:
            return next(k for k in range(at, stop) if a[k] != b[k])
    return length


def _common_suffix(a: Sequence[int], b: Sequence[int], start: int) -> int:
    """How many elements are equal from the end back, but for the first `start`."""
    length = min(len(a), len(b)) - start
    for at in range(0, length, _STEP):
        stop = min(at + _STEP, length)
        if a[len(a) - stop : len(a) - at] != b[len(b) - stop : len(b) - at]:
            return next(k for k in range(at, stop) if a[len(a) - 1 - k] != b[len(b) - 1 - k])
    return length


def append(blocks: list[Block], i: int, j: int, n: int) -> None:
    """Add a block behind the others, to the last one if it adjoins it."""
    if not n:
        return
    if blocks:
        before = blocks[-1]
        if (before.i + before.n, before.j + before.n) == (i, j):
            blocks[-1] = Block(before.i, before.j, before.n + n)
            return
    blocks.append(Block(i, j, n))


# The longest common subsequence


def _pairs(a: Sequence[int], b: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The pairs of a longest common subsequence, in order."""
    waiting = [(0, len(a), 0, len(b))]
    while waiting:
        i, i_end, j, j_end = waiting.pop()
        if i == i_end or j == j_end:
            continue
        if (i_end - i) * (j_end - j) <= LEAF_BITS or j_end - j == 1:
            yield from ((i + x, j + y) for x, y in _trace_back(a[i:i_end], b[j:j_end]))
            continue
        middle = (j + j_end) // 2
        before = _lengths(a[i:i_end], b[j:middle])
        after = _lengths(a[i:i_end][::-1], b[middle:j_end][::-1])[::-1]
        cut = i + max(range(i_end - i + 1), key=lambda k: before[k] + after[k])
        waiting += [(cut, i_end, middle, j_end), (i, cut, j, middle)]


def _rows(a: Sequence[int], b: Sequence[int]) -> Iterator[int]:
    """For each element of b a row of the table of lengths: bit i is 0 where the length grows at ``a[i]``."""
    mask = _masks(a)
    full = row = (1 << len(a)) - 1
    for element in b:
        here = row & mask(element)
        row = (row + here | row - here) & full
        yield row


def _masks(a: Sequence[int]) -> Callable[[int], int]:
    """What gives, for an element, a bit for each place in `a` where it is."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for i, element in enumerate(a):
        places[element].append(i)
    many: dict[int, int] = {}
    for element, found in places.items():
        if len(found) > _FEW:
            mask = bytearray(len(a) // 8 + 1)
            for i in found:
                mask[i >> 3] |= 1 << (i & 7)
            many[element] = int.from_bytes(mask, "little")

    def of(element: int) -> int:
        mask = many.get(element)
        return sum(1 << i for i in places.get(element, ())) if mask is None else mask

    return of


def _lengths(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """How long a common subsequence of ``a[:i]`` and b can be, for each i from 0 to all."""
    row = (1 << len(a)) - 1
    for row in _rows(a, b):  # noqa: B007  (the last one is wanted)
        pass
    grows = (1 - (digit == "1") for digit in reversed(f"{row:0{len(a)}b}"))
    return list(accumulate(grows, initial=0))


def _trace_back(a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
    rows = list(_rows(a, b))
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        if rows[j - 1] >> i - 1 & 1:
            i -= 1  # as long without it
        elif j > 1 and not rows[j - 2] >> i - 1 & 1:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


# Where gaps are


def _better_place(
    left: Block, right: Block, a: Sequence[int], b: Sequence[int], values_a: Sequence[int], values_b: Sequence[int]
) -> int:
    """By how many pairs to lengthen the block on the left of a gap, at the cost of the one on its right.

    Negative: to shorten it.
    """
    if left.i + left.n == right.i:
        shift = right.j - left.j - left.n  # what b has more
    elif left.j + left.n == right.j:
        a, b, values_a, values_b = b, a, values_b, values_a
        left, right = Block(left.j, left.i, left.n), Block(right.j, right.i, right.n)
        shift = right.j - left.j - left.n
    else:
        return 0
    best = gained = moved = 0
    i, j = right.i, right.j
    for k in range(right.n):  # pairs go from the right to the left
        if a[i + k] != b[j + k - shift]:
            break
        gained += (values_a[i + k] == values_b[j + k - shift]) - (values_a[i + k] == values_b[j + k])
        if gained > best:
            best, moved = gained, k + 1
    gained = 0
    i, j = right.i - 1, right.j - 1
    for k in range(left.n):
        if a[i - k] != b[j - k]:
            break
        gained += (values_a[i - k] == values_b[j - k]) - (values_a[i - k] == values_b[j - k - shift])
        if gained > best:
            best, moved = gained, -(k + 1)
    return moved
