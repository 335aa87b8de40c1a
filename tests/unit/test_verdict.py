"""Outcomes and their sums."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.verdict import Divergence, Tally, TraceSummary, Verdict

COUNTS = [field.name for field in fields(Tally)]
TRACE = TraceSummary("boot.db", "pc", "x86_64", "virtual", 1, True)


def test_checked_are_the_exits_that_were_compared() -> None:
    tally = Tally(matched=5, masked=2, diverged=3, learned=100, assumed=100, unmodelled=100, delivered=100)
    assert tally.checked == 10
    assert tally.agreement == 0.7


def test_agreement_is_unknown_if_nothing_was_checked() -> None:
    assert Tally(exits=3, writes=3, delivered=3).agreement is None


@pytest.mark.parametrize(
    "outcome",
    [
        "matched", "masked", "learned", "assumed", "diverged", "unmodelled", "unclaimed_reads", "delivered",
        "unclaimed_writes", "excluded",
    ],
)  # fmt: skip
def test_each_outcome_counts_once(outcome: str) -> None:
    assert Tally(**{outcome: 3}).outcomes == 3


@pytest.mark.parametrize("count", ["exits", "reads", "writes", "roots", "consequences"])
def test_what_is_no_outcome_does_not_count(count: str) -> None:
    assert Tally(**{count: 3}).outcomes == 0


TALLIES = st.builds(Tally, **{name: st.integers(0, 1000) for name in COUNTS})


@given(TALLIES, TALLIES)
def test_adding_adds_every_count(one: Tally, other: Tally) -> None:
    expected = {name: getattr(one, name) + getattr(other, name) for name in COUNTS}
    one.add(other)
    assert {name: getattr(one, name) for name in COUNTS} == expected


def test_a_verdict_without_divergences_agrees() -> None:
    assert Verdict(TRACE, "pc", totals=Tally(matched=1)).agrees


@pytest.mark.parametrize("count", ["roots", "consequences"])
def test_a_divergence_of_any_kind_disagrees(count: str) -> None:
    assert not Verdict(TRACE, "pc", totals=Tally(**{count: 1})).agrees


def test_roots_are_picked_in_order() -> None:
    first = Divergence(1, 0, "rtc", "root", "value")
    second = Divergence(2, 0, "rtc", "consequence", "value")
    third = Divergence(3, 0, "pit", "root", "fault")
    assert Verdict(TRACE, "pc", divergences=[first, second, third]).roots == [first, third]
