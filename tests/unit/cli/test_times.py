from __future__ import annotations

import click
import pytest

from vmdev.cli.times import TimeType, parse_time


@pytest.mark.parametrize(
    ("text", "t_ns"),
    [
        ("0", 0),
        ("1.5", 1_500_000_000),
        ("1.5s", 1_500_000_000),
        ("500 ms", 500_000_000),
        ("17us", 17_000),
        ("0.000000001s", 1),
        ("9007199254740993ns", 9007199254740993),  # 2**53 + 1: no float
        ("2min", 120_000_000_000),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_times_are_exact(text: str, t_ns: int) -> None:
    assert parse_time(text) == t_ns


def test_a_number_alone_is_in_the_unit_that_is_usual() -> None:
    assert parse_time("1000", unit="ns") == 1000
    assert parse_time("1.5us", unit="ns") == 1500


def test_a_bound_may_be_later_than_any_trace() -> None:
    assert parse_time("9223372036854775808", unit="ns", latest_ns=None) == 2**63


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 h", "1e3", "1.s", " 1s", "5m", "\u0661s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time like"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("0.5ns", "not a whole number"), ("9223372036854775808ns", "later than a trace can hold")],
)
def test_a_time_that_no_trace_can_hold_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_time(text)


def test_an_option_says_what_it_wants() -> None:
    assert TimeType().convert("1.5ms", None, None) == 1_500_000
    with pytest.raises(click.BadParameter, match=r"a time like 1\.5s"):
        TimeType().convert("soon", None, None)
