"""The longest common subsequence, against the plain way to find it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.comparing import alignment
from vmdev.replay.comparing.alignment import Block, align, settle

FEW = st.lists(st.integers(0, 3), max_size=14)
MANY = st.lists(st.integers(0, 30), max_size=40)


def longest(a: Sequence[int], b: Sequence[int]) -> int:
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if x == y else max(lengths[i][j + 1], lengths[i + 1][j])
    return lengths[-1][-1]


def paired(blocks: Sequence[Block]) -> int:
    return sum(block.n for block in blocks)


def agreeing(blocks: Sequence[Block], a: Sequence[int], b: Sequence[int]) -> int:
    return sum(a[block.i + k] == b[block.j + k] for block in blocks for k in range(block.n))


def check(blocks: Sequence[Block], a: Sequence[int], b: Sequence[int]) -> None:
    """They pair equal elements, in order, each once."""
    i = j = 0
    for block in blocks:
        assert block.n > 0
        assert block.i >= i
        assert block.j >= j
        assert a[block.i : block.i + block.n] == b[block.j : block.j + block.n]
        i, j = block.i + block.n, block.j + block.n
    assert i <= len(a)
    assert j <= len(b)


@pytest.mark.parametrize("leaf", [1, 1 << 24])
def test_alignment_is_the_longest(leaf: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "LEAF_BITS", leaf)

    @given(FEW | MANY, FEW | MANY)
    def holds(a: list[int], b: list[int]) -> None:
        blocks = align(a, b)
        check(blocks, a, b)
        assert paired(blocks) == longest(a, b)
        ends = [(block.i + block.n, block.j + block.n) for block in blocks]
        assert not {(block.i, block.j) for block in blocks} & set(ends), "blocks that adjoin are one"

    holds()


@given(MANY)
def test_equal_sequences_are_one_block(a: list[int]) -> None:
    assert align(a, list(a)) == ([Block(0, 0, len(a))] if a else [])


def test_elements_that_occur_often_are_found() -> None:
    a = [n % 3 for n in range(600)]
    b = [n % 3 for n in range(1, 500)]
    assert paired(align(a, b)) == longest(a, b)


@given(FEW, FEW, st.data())
def test_settling_keeps_the_pairs_and_never_makes_fewer_values_agree(a: list[int], b: list[int], data: object) -> None:
    draw = data.draw  # type: ignore[attr-defined]
    values_a = draw(st.lists(st.integers(0, 1), min_size=len(a), max_size=len(a)))
    values_b = draw(st.lists(st.integers(0, 1), min_size=len(b), max_size=len(b)))
    before = align(a, b)
    after = settle(before, a, b, values_a, values_b)
    check(after, a, b)
    assert paired(after) == paired(before)
    assert agreeing(after, values_a, values_b) >= agreeing(before, values_a, values_b)


@pytest.mark.parametrize(
    ("values_a", "values_b", "agree"),
    [
        ([0, 0, 1], [0, 0, 0, 0, 1], 3),
        ([0, 0, 0, 0, 1], [0, 0, 1], 3),
        ([1], [0, 0, 1], 1),
        ([0, 1], [1], 1),
        ([0, 5, 5], [0, 0, 5, 5], 3),
    ],
)
def test_a_poll_that_took_longer_ends_with_what_ended_it(values_a: list[int], values_b: list[int], agree: int) -> None:
    a, b = [7] * len(values_a), [7] * len(values_b)
    assert agreeing(settle(align(a, b), a, b, values_a, values_b), values_a, values_b) == agree


def test_a_block_may_move_as_a_whole() -> None:
    a, b = [1, 9], [1, 2, 1, 9]
    assert settle([Block(0, 0, 1), Block(1, 3, 1)], a, b, [5, 0], [4, 0, 5, 0]) == [Block(0, 2, 2)]
    a, b = [1, 1, 9], [1, 1, 1, 9]
    assert settle([Block(0, 0, 2), Block(2, 3, 1)], a, b, [5, 6, 0], [4, 5, 6, 0]) == [Block(0, 1, 3)]
