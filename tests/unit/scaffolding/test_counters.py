"""Counters: their frequency, width, direction and phase."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffolds import built
from vmdev.replay.scaffolding.counters import LEAST_VALUES, CounterRule, find_counter
from vmdev.replay.scaffolding.layout import Event

SECOND = 1_000_000_000


def counter_events(
    hz: int,
    bits: int,
    *,
    size: int = 4,
    start_ns: int = 0,
    down: bool = False,
    reads: int = 400,
    span_ns: int = 3 * SECOND,
    noise_ns: int = 0,
    seed: int = 1,
) -> list[Event]:
    dice = random.Random(seed)
    times = sorted(dice.randrange(max(0, start_ns), max(0, start_ns) + span_ns) for _ in range(reads))
    found = []
    for seq, t_ns in enumerate(times):
        count = (t_ns - start_ns + dice.randint(-noise_ns, noise_ns)) * hz // SECOND
        found.append(Event(seq, t_ns, False, (-count if down else count) & (1 << bits) - 1, (1 << 8 * size) - 1))
    return found


def rule_of(events: list[Event], is_exact: bool = True) -> CounterRule:
    rule = find_counter(events, is_exact)
    assert rule is not None
    return rule


@pytest.mark.parametrize("hz", [3_579_545, 1_193_182, 32_768, 100_000_000, 62_500_000, 24_000_000, 1_000, 999_983])
def test_the_frequency_is_found(hz: int) -> None:
    events = counter_events(hz, 32)
    rule = rule_of(events)
    assert rule.low_hz <= hz <= rule.high_hz
    assert rule.high_hz - rule.low_hz <= 1
    assert (rule.counts, rule.phase_ns) == ("up", 0)
    assert all(rule.value(event.t_ns) == event.value for event in events)


def test_of_several_frequencies_the_usual_one_is_taken() -> None:
    rule = rule_of(counter_events(3_579_545, 32, span_ns=SECOND // 100, reads=60))
    assert rule.low_hz < rule.hz == 3_579_545 < rule.high_hz


def test_of_several_frequencies_the_roundest_one_is_taken() -> None:
    rule = rule_of(counter_events(25_000_000, 32, span_ns=SECOND // 1000, reads=40))
    assert rule.low_hz < rule.hz == 25_000_000 < rule.high_hz


def test_a_counter_that_wraps_shows_its_width() -> None:
    rule = rule_of(counter_events(3_579_545, 16, reads=2_000))
    assert (rule.bits, rule.has_wrapped, rule.hz) == (16, True, 3_579_545)


def test_a_counter_that_does_not_wrap_may_be_as_wide_as_its_register() -> None:
    rule = rule_of(counter_events(1_000, 24))
    assert (rule.bits, rule.has_wrapped) == (32, False)


def test_a_counter_may_go_down() -> None:
    rule = rule_of(counter_events(1_193_182, 16, size=2, down=True, reads=3_000))
    assert (rule.counts, rule.bits, rule.hz) == ("down", 16, 1_193_182)


def test_a_counter_may_have_been_started_late() -> None:
    start_ns = 1_234_567_000
    events = counter_events(10_000_000, 32, start_ns=start_ns)
    rule = rule_of(events)
    assert abs(rule.phase_ns + start_ns) < 100
    assert rule.start_ns[0] <= start_ns <= rule.start_ns[1]


def test_a_counter_may_have_a_time_of_day() -> None:
    """Such as a clock that counts seconds since 1970."""
    events = counter_events(1, 32, start_ns=-1_700_000_000 * SECOND, span_ns=60 * SECOND)
    rule = rule_of(events)
    assert rule.hz == 1
    assert all(rule.value(event.t_ns) == event.value for event in events)


def test_a_few_reads_before_it_was_set_do_not_matter() -> None:
    events = counter_events(10_000_000, 32, reads=1_000)
    odd = [Event(-2, 0, False, 77, events[0].mask), Event(-1, 1, False, 78, events[0].mask)]
    assert rule_of([*odd, *events]).hz == 10_000_000


def test_what_is_written_last_is_where_it_starts() -> None:
    write = Event(-1, 0, True, 500, 0xFFFF_FFFF)
    events = [event._replace(value=event.value + 500 & 0xFFFF_FFFF) for event in counter_events(1_000_000, 32)]
    rule = rule_of([write, *events])
    assert (rule.base, rule.hz, rule.phase_ns) == (500, 1_000_000, 0)


def test_reads_of_its_lower_half_belong_to_it() -> None:
    events = [
        event._replace(value=event.value & 0xFFFF_FFFF, mask=0xFFFF_FFFF) if number % 3 == 0 else event
        for number, event in enumerate(counter_events(1_000_000_000, 64, size=8))
    ]
    assert rule_of(events).hz == 1_000_000_000


def test_with_the_hosts_clock_it_is_found_about() -> None:
    events = counter_events(3_579_545, 24, noise_ns=20_000, reads=3_000)
    assert find_counter(events, is_exact=True) is None
    rule = rule_of(events, is_exact=False)
    assert rule.low_hz <= 3_579_545 <= rule.high_hz
    assert rule.tolerance_ticks > 0


@pytest.mark.parametrize(
    "values",
    [
        [7] * 50,
        [*range(LEAST_VALUES - 1)] * 9,
        [n * n * 7919 % 65_521 for n in range(50)],
        [1 << n for n in range(30)],
    ],
)
def test_what_is_no_counter_is_none(values: list[int]) -> None:
    assert find_counter([Event(n, 1_000 * n, False, value, 0xFFFF_FFFF) for n, value in enumerate(values)]) is None


def test_two_values_at_one_time_are_of_no_counter() -> None:
    assert find_counter([Event(n, n // 2, False, n, 0xFF) for n in range(40)]) is None


def test_a_register_that_is_always_written_is_no_counter() -> None:
    events = [Event(n, 1_000 * n, n % 2 == 0, n, 0xFF) for n in range(40)]
    assert find_counter(events) is None


def test_reads_of_its_upper_half_alone_tell_nothing() -> None:
    assert find_counter([Event(n, 1_000 * n, False, n << 8, 0xFF00) for n in range(40)]) is None


@given(
    hz=st.integers(100, 200_000_000), start_ns=st.integers(0, SECOND), seed=st.integers(0, 1000),
    span_ns=st.integers(SECOND // 100, 20 * SECOND),
)  # fmt: skip
def test_whatever_is_found_explains_nearly_all_reads(hz: int, start_ns: int, seed: int, span_ns: int) -> None:
    events = counter_events(hz, 32, start_ns=start_ns, span_ns=span_ns, seed=seed, reads=100)
    rule = find_counter(events)
    if rule is not None:
        assert sum(rule.value(event.t_ns) != event.value for event in events) <= len(events) // 100


# Models


def accesses(events: list[Event], offset: int = 0, size: int = 4) -> list[Any]:
    return [(f"r{size}", offset, event.value, event.t_ns) for event in events]


def test_a_model_counts(capsys: pytest.CaptureFixture[str]) -> None:
    model = built(accesses(counter_events(3_579_545, 16, reads=2_000)))
    assert model.matches() == 2_000
    assert "hz=3_579_545" in model.text
    assert "the only whole frequency that explains all reads" in model.text
    assert "counts up at 3,579,545 Hz, 16 bits wide" in model.said
    model.clock.advance(SECOND)
    assert model.device.read(0, 4) == 3_579_545 & 0xFFFF
    assert model.device.state() == {"R0": 3_579_545 & 0xFFFF}


def test_a_model_counts_down() -> None:
    model = built(accesses(counter_events(1_193_182, 16, size=2, down=True, reads=3_000), size=2))
    assert model.matches() == 3_000
    assert 'counts="down"' in model.text


def test_a_model_starts_when_it_is_told_to() -> None:
    """A write to another register came when the counter was at 0."""
    start_ns = 1_000_000_000
    start: list[Any] = [("w4", 4, 0, 5), ("w4", 4, 3, start_ns)]
    model = built([*start, *accesses(counter_events(1_000_000, 32, start_ns=start_ns))])
    assert model[0].counter.started_by == (4, 3)
    assert model.matches() == 400
    assert "from when R4 was written" in model.said
    model.clock.advance(SECOND)
    assert model.device.read(0, 4) == 0
    model.device.write(4, 4, 1)
    model.clock.advance(3 * SECOND)
    assert model.device.read(0, 4) == 2_000_000
    model.device.reset()
    assert model.device.read(0, 4) == 0


def test_a_model_says_where_it_cannot_know_what_started_it() -> None:
    model = built(accesses(counter_events(1_000_000, 32, start_ns=1_234_000_000)))
    assert model.matches() == 400
    assert "PHASE_NS: Final = -1_234_000_000" in model.text
    assert "from a time that is this recording's" in model.said


def test_a_model_from_a_recording_by_the_hosts_clock_has_a_tolerance() -> None:
    model = built(accesses(counter_events(3_579_545, 24, noise_ns=20_000, reads=3_000)), clock="host")
    (contract,) = model.device.contracts
    assert (contract.rule, contract.register) == ("time", "R0")
    assert "about, between" in model.text


def test_without_times_there_are_no_counters() -> None:
    model = built(accesses(counter_events(3_579_545, 24)), clock="none")
    assert model[0].counter is None
