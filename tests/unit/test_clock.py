"""The clock: timers fire in order, each seeing its own time."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vmdev.replay.clock import MAX_FIRINGS_AT_ONCE, NEVER, Clock, first_ns_of_tick, ticks
from vmdev.replay.errors import TimerLoopError


class Log:
    """A timer that writes down when it fired."""

    def __init__(self, clock: Clock, name: str = "") -> None:
        self.clock = clock
        self.fired: list[int] = []
        self.timer = clock.timer(self.fire)

    def fire(self) -> None:
        self.fired.append(self.clock.now_ns)


def test_timer_fires_at_its_deadline_and_once() -> None:
    clock = Clock()
    log = Log(clock)
    log.timer.arm(100)
    clock.advance(99)
    assert log.fired == []
    clock.advance(100)
    clock.advance(1000)
    assert log.fired == [100]
    assert log.timer.deadline_ns == NEVER
    assert clock.now_ns == 1000


def test_timers_fire_in_order_of_deadline_then_of_arming() -> None:
    clock = Clock()
    order: list[str] = []
    for name, deadline_ns in (("b", 20), ("a", 10), ("c", 20)):
        clock.timer(lambda name=name: order.append(name)).arm(deadline_ns)
    clock.advance(30)
    assert order == ["a", "b", "c"]


def test_rearming_replaces_the_deadline() -> None:
    clock = Clock()
    log = Log(clock)
    log.timer.arm(10)
    log.timer.arm(50)
    clock.advance(40)
    assert log.fired == []
    log.timer.arm(45)
    clock.advance(100)
    assert log.fired == [45]


def test_cancelled_timer_does_not_fire() -> None:
    clock = Clock()
    log = Log(clock)
    log.timer.arm(10)
    log.timer.cancel()
    clock.advance(100)
    assert log.fired == []


def test_timer_armed_by_a_timer_fires_on_the_way() -> None:
    clock = Clock()
    fired: list[int] = []

    def periodic() -> None:
        fired.append(clock.now_ns)
        timer.arm(clock.now_ns + 10)

    timer = clock.timer(periodic)
    timer.arm(10)
    clock.advance(35)
    assert fired == [10, 20, 30]


def test_what_falls_due_during_an_instruction_comes_after_its_access() -> None:
    """Icount: an access at t precedes a timer due at t - step + 1 or later."""
    clock = Clock(step_ns=32)
    log = Log(clock)
    log.timer.arm(100)
    assert clock.deadline_ns == 132
    clock.advance(131)
    assert (log.fired, clock.now_ns) == ([], 131)
    clock.advance(132)
    assert len(log.fired) == 1


def test_timer_without_end_is_named() -> None:
    clock = Clock()

    def runaway() -> None:
        timer.arm(clock.now_ns)

    timer = clock.timer(runaway)
    timer.arm(10)
    with pytest.raises(TimerLoopError, match=r"runaway fired \d+ times at 10 ns"):
        clock.advance(20)
    assert clock.firing is timer


def test_many_firings_are_fine_while_time_goes_on() -> None:
    clock = Clock()
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        timer.arm(clock.now_ns + 1)

    timer = clock.timer(tick)
    timer.arm(1)
    clock.advance(MAX_FIRINGS_AT_ONCE + 10)
    assert count == MAX_FIRINGS_AT_ONCE + 10


@given(st.lists(st.integers(0, 1000), max_size=20), st.lists(st.integers(0, 1000), max_size=5))
def test_no_access_before_deadline_ns_misses_a_timer(deadlines: list[int], stops: list[int]) -> None:
    clock = Clock()
    logs = [Log(clock) for _ in deadlines]
    for log, deadline_ns in zip(logs, deadlines, strict=True):
        log.timer.arm(deadline_ns)
    for stop in sorted(stops):
        if stop >= clock.deadline_ns:
            clock.advance(stop)
        for log, deadline_ns in zip(logs, deadlines, strict=True):
            assert bool(log.fired) == (deadline_ns <= stop)


@given(st.integers(0, 1 << 50), st.sampled_from([1_193_182, 3_579_545, 100_000_000, 32_768]))
def test_first_nanosecond_of_a_tick(tick: int, frequency_hz: int) -> None:
    first_ns = first_ns_of_tick(tick, frequency_hz)
    assert ticks(first_ns, frequency_hz) == tick
    assert not first_ns or ticks(first_ns - 1, frequency_hz) < tick


@given(st.sampled_from([0, 1, 32]), st.lists(st.integers(0, 100), max_size=4), st.integers(0, 100), st.integers(0, 100))
def test_what_is_done_at_once_when_a_timers_time_is_over_is_what_the_timer_would_do(
    step_ns: int, others: list[int], now_ns: int, deadline_ns: int
) -> None:
    clock = Clock(step_ns=step_ns)
    fired: list[int] = []
    for other_ns in others:
        clock.timer(lambda: fired.append(-1)).arm(other_ns)
    clock.advance(now_ns)
    fired.clear()
    if clock.timer(lambda: fired.append(clock.now_ns)).is_over(deadline_ns):
        fired.append(clock.now_ns)
    other = Clock(step_ns=step_ns)
    expected: list[int] = []
    for other_ns in others:
        other.timer(lambda: expected.append(-1)).arm(other_ns)
    other.advance(now_ns)
    expected.clear()
    other.timer(lambda: expected.append(other.now_ns)).arm(deadline_ns)
    for later_ns in (now_ns, 300):
        clock.advance(later_ns)
        other.advance(later_ns)
        assert fired == expected


# How late a timer is


def late(step_ns: int, deadline_ns: int, to_ns: int, access_ns: int | None = None) -> list[int]:
    clock = Clock(step_ns=step_ns)
    seen: list[int] = []
    clock.timer(lambda: seen.append(clock.lateness_ns)).arm(deadline_ns)
    clock.advance(to_ns, access_ns)
    return seen


def test_a_running_processor_comes_to_a_timer_with_its_next_instruction() -> None:
    assert late(32, 100, 320) == [28]


def test_a_halted_processor_goes_on_from_the_deadline() -> None:
    assert late(32, 100, 100 + 320) == [0]


def test_the_next_access_tells_which_if_there_is_none_at_the_end() -> None:
    assert late(32, 100, 132, 320) == [28]


def test_without_instructions_to_count_nothing_is_late() -> None:
    assert late(0, 100, 320) == [0]


class Plain:
    """Timers as simple as can be: of those that are due, the earliest, and of several the one armed first."""

    def __init__(self, count: int) -> None:
        self.armed: list[tuple[int, int] | None] = [None] * count
        self.order = 0

    def arm(self, number: int, deadline_ns: int) -> None:
        self.order += 1
        self.armed[number] = deadline_ns, self.order

    def advance(self, to_ns: int) -> list[int]:
        due = [(*armed, number) for number, armed in enumerate(self.armed) if armed is not None and armed[0] <= to_ns]
        for _, _, number in due:
            self.armed[number] = None
        return [number for _, _, number in sorted(due)]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("arm"), st.integers(0, 3), st.integers(0, 40)),
            st.tuples(st.just("cancel"), st.integers(0, 3), st.just(0)),
            st.tuples(st.just("advance"), st.just(0), st.integers(0, 10)),
        ),
        max_size=60,
    ),
    st.sampled_from([0, 2, 1000]),
)
@example([("arm", 2, 1), ("arm", 0, 1), ("arm", 2, 0), ("arm", 2, 1), ("advance", 0, 1)], 0)
def test_timers_fire_as_plain_ones_do(steps: list[tuple[str, int, int]], most: int) -> None:
    clock, plain = Clock(), Plain(4)
    clock._most = most
    fired: list[int] = []
    timers = [clock.timer(lambda number=number: fired.append(number)) for number in range(4)]  # type: ignore[misc]
    expected: list[int] = []
    for what, number, time_ns in steps:
        if what == "arm":
            # Armed for the time for which it is armed already, a timer keeps its place.
            if timers[number].deadline_ns != clock.now_ns + time_ns:
                plain.arm(number, clock.now_ns + time_ns)
            timers[number].arm(clock.now_ns + time_ns)
        elif what == "cancel":
            timers[number].cancel()
            plain.armed[number] = None
        else:
            expected += plain.advance(clock.now_ns + time_ns)
            clock.advance(clock.now_ns + time_ns)
            assert sorted(fired) == sorted(expected)
        for timer in timers:
            assert timer.deadline_ns == NEVER or clock.deadline_ns <= timer.deadline_ns
    assert fired == expected


def test_a_timer_that_is_armed_again_and_again_takes_no_more_memory() -> None:
    clock = Clock()
    timer, other = clock.timer(lambda: None), clock.timer(lambda: None)
    other.arm(1 << 40)
    for n in range(5000):
        timer.arm((1 << 50) - n)
    assert len(clock._heap) < 2100
    timer.cancel()
    clock.advance(1 << 41)
    assert other.deadline_ns == NEVER
