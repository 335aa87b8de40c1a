"""MC146818, interrupts and reset: the data sheet's statements (section in the docstring) and what QEMU does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.devices.mc146818 import Mc146818
from vmdev.replay.irq import Line

SECOND = 1_000_000_000
HOUR, DAY = 3600 * SECOND, 86400 * SECOND

SEC, SEC_ALARM, MIN_ALARM, HOURS_ALARM = 0, 1, 3, 5
A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D
SHUTDOWN, CENTURY = 0x0F, 0x32

DV_RUN, DV_RESET = 0x20, 0x60
SET, PIE, AIE, UIE, SQWE, DM, H24 = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
IRQF, PF, AF, UF = 0x80, 0x40, 0x20, 0x10
EVERY = 0xC0


def bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


class Machine:
    """A clock chip that knows the time, the virtual clock, and the changes of IRQ 8 as (ns, level)."""

    def __init__(self, base: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.clock = Clock()
        self.edges: list[tuple[int, bool]] = []
        self.rtc = Mc146818(self.clock, Line(lambda level: self.edges.append((self.clock.now_ns, level))), base)

    def advance(self, ns: int) -> None:
        self.clock.advance(self.clock.now_ns + ns)

    def read(self, index: int) -> int:
        self.rtc.write(0, 1, index)
        return self.rtc.read(1, 1)

    def write(self, index: int, value: int) -> None:
        self.rtc.write(0, 1, index)
        self.rtc.write(1, 1, value)

    def set_alarm(self, hour: int, minute: int, second: int) -> None:
        for index, value in ((HOURS_ALARM, hour), (MIN_ALARM, minute), (SEC_ALARM, second)):
            self.write(index, value)


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Interrupt flags


def test_update_sets_uf_and_reading_clears_it(machine: Machine) -> None:
    """Register C: UF after each update cycle; cleared by a read."""
    machine.advance(SECOND - 1)
    assert machine.read(C) == 0
    machine.advance(1)
    assert [machine.read(C), machine.read(C)] == [UF, 0]
    machine.advance(SECOND)
    assert machine.read(C) == UF


@pytest.mark.parametrize(
    ("enable", "flags", "at_ns"),
    [(UIE, IRQF | UF, SECOND), (AIE, IRQF | UF | AF, 10 * SECOND), (PIE, IRQF | PF, 32 * SECOND // 32768 + 1)],
)
def test_enabled_flag_asserts_irq_until_register_c_is_read(enable: int, flags: int, at_ns: int) -> None:
    """Interrupts: a flag and its enable both set assert IRQ; Register C: reading releases it."""
    machine = Machine()
    machine.set_alarm(EVERY, EVERY, 0x10)
    machine.write(B, enable | H24)
    machine.clock.advance(at_ns)
    machine.advance(1000)
    assert machine.edges == [(at_ns, True)]
    assert machine.read(C) == flags
    assert machine.edges == [(at_ns, True), (at_ns + 1000, False)]


def test_flag_that_is_set_when_it_is_enabled_asserts_irq_at_once(machine: Machine) -> None:
    """Interrupts. QEMU: taking the enable away releases IRQ and keeps the flag."""
    machine.advance(SECOND)
    machine.write(B, UIE | H24)
    machine.write(B, H24)
    machine.write(B, UIE | H24)
    assert [level for _, level in machine.edges] == [True, False, True]
    assert machine.read(C) == IRQF | UF


def test_set_clears_uie_and_the_flags_go_on(machine: Machine) -> None:
    """Register B, UIE: cleared by SET going high."""
    machine.write(B, SET | UIE | H24)
    assert machine.read(B) == SET | H24
    machine.advance(SECOND)
    assert machine.read(C) == UF


def test_register_b_keeps_all_other_bits(machine: Machine) -> None:
    machine.write(B, 0x7F)
    assert machine.read(B) == 0x7F


def test_registers_c_and_d_ignore_writes(machine: Machine) -> None:
    """Register C and D are read-only; VRT reads 1."""
    machine.advance(SECOND)
    machine.write(C, 0x00)
    machine.write(D, 0x00)
    assert (machine.read(C), machine.read(D)) == (UF, 0x80)


# Alarm


def test_alarm_is_at_midnight_after_power_on() -> None:
    """QEMU: all alarm cells are 0."""
    machine = Machine(datetime(2026, 1, 1, 23, 59, 58, tzinfo=UTC))
    assert [machine.read(index) for index in (HOURS_ALARM, MIN_ALARM, SEC_ALARM)] == [0, 0, 0]
    machine.advance(2 * SECOND - 1)
    assert machine.read(C) == UF
    machine.advance(1)
    assert machine.read(C) == UF | AF
    machine.advance(DAY - 1)
    assert machine.read(C) == UF
    machine.advance(1)
    assert machine.read(C) == UF | AF


@given(
    start=st.tuples(st.sampled_from([0, 11, 12, 23]), st.sampled_from([0, 58, 59]), st.integers(0, 59)),
    fields=st.tuples(*[st.one_of(st.none(), st.integers(-1, 2))] * 3),
    binary=st.booleans(),
)
def test_alarm_comes_when_all_fields_match_or_are_dont_care(
    start: tuple[int, int, int], fields: tuple[int | None, int | None, int | None], binary: bool
) -> None:
    """Time, Calendar, and Alarm Locations: an alarm cell of 0xC0-0xFF matches every value."""
    formats = H24 | DM if binary else H24
    encode = int if binary else bcd
    time = datetime(2026, 1, 1, *start, tzinfo=UTC)
    machine = Machine(time)
    machine.write(B, formats)
    wanted = tuple(
        None if delta is None else (now + delta) % top
        for now, delta, top in zip(start, fields, (24, 60, 60), strict=True)
    )
    machine.set_alarm(*(0xFF if want is None else encode(want) for want in wanted))
    for _ in range(150):
        machine.advance(SECOND)
        time += timedelta(seconds=1)
        now = (time.hour, time.minute, time.second)
        due = all(want in (None, part) for want, part in zip(wanted, now, strict=True))
        assert machine.read(C) == (UF | AF if due else UF), time


EDGES = [0, 1, 30, 58, 59]


@given(
    start=st.tuples(st.sampled_from([0, 11, 23]), st.sampled_from(EDGES), st.sampled_from(EDGES)),
    fields=st.tuples(*[st.one_of(st.none(), st.integers(-2, 2))] * 2, st.sampled_from([None, -2, -1, 1, 2])),
)
@example(start=(11, 59, 59), fields=(0, None, None))
@example(start=(11, 30, 59), fields=(None, 0, None))
def test_alarm_needs_no_reader(start: tuple[int, int, int], fields: tuple[int | None, int | None, int | None]) -> None:
    """Interrupts: AF interrupts at the first match, though UF stays set and no update interrupts."""
    machine = Machine(datetime(2026, 1, 1, *start, tzinfo=UTC) - timedelta(seconds=1))
    machine.set_alarm(0x06, 0x06, 0x06)  # not midnight, which may be now
    machine.advance(SECOND)
    hour, minute, second = (
        None if delta is None else (now + delta) % top
        for now, delta, top in zip(start, fields, (24, 60, 60), strict=True)
    )
    machine.set_alarm(*(EVERY if want is None else bcd(want) for want in (hour, minute, second)))
    machine.write(B, AIE | H24)
    now = start[0] * 3600 + start[1] * 60 + start[2]
    due = next(
        time
        for time in range(now + 1, now + 86401)
        if hour in (None, time // 3600 % 24) and minute in (None, time // 60 % 60) and second in (None, time % 60)
    )
    machine.advance(DAY)
    assert machine.edges == [((1 + due - now) * SECOND, True)]


def test_no_alarm_while_set_holds_the_time(machine: Machine) -> None:
    """Register B, SET."""
    machine.set_alarm(EVERY, EVERY, 0x05)
    machine.advance(3 * SECOND)
    machine.write(B, SET | AIE | H24)
    machine.advance(10 * SECOND)
    assert [machine.read(C), machine.edges] == [UF, []]


@pytest.mark.parametrize(
    ("now", "alarm", "after_s"),
    [
        ((10, 30, 5), (0x10, 0x30, 0x75), 10),
        ((10, 29, 0), (0x10, 0x30, 0x5A), 120),
        ((1, 0, 0), (0x30, 0x00, 0x00), 5 * 3600),
        ((10, 0, 0), (EVERY, 0x5A, 0x00), 3600),
    ],
)
def test_alarm_values_out_of_range_wrap(now: tuple[int, int, int], alarm: tuple[int, int, int], after_s: int) -> None:
    """QEMU; the data sheet leaves them undefined."""
    machine = Machine(datetime(2026, 1, 1, *now, tzinfo=UTC))
    machine.set_alarm(*alarm)
    machine.write(B, AIE | H24)
    machine.advance(DAY)
    assert machine.edges == [(after_s * SECOND, True)]


def test_alarm_at_the_present_second_comes_a_day_later(machine: Machine) -> None:
    """QEMU, when no update corrects that: the next match of minute and hour is a minute later."""
    machine.advance(5 * SECOND)
    machine.set_alarm(EVERY, EVERY, 0x05)
    machine.advance(DAY - 1)
    assert machine.read(C) == UF
    machine = Machine()
    machine.advance(5 * SECOND)
    machine.set_alarm(EVERY, EVERY, 0x05)
    machine.advance(DAY)
    assert machine.read(C) == UF | AF


def test_alarm_of_the_afternoon_set_in_the_morning_comes_too_late() -> None:
    """QEMU in 12-hour mode: before noon 1 PM counts as 81 modulo 12 hours, and no update corrects that."""
    machine = Machine(datetime(2026, 1, 1, 11, tzinfo=UTC))
    machine.write(B, 0)
    machine.advance(SECOND)
    machine.set_alarm(0x81, 0, 0)
    machine.advance(22 * HOUR - SECOND - 1)
    assert machine.read(C) == UF
    machine = Machine(datetime(2026, 1, 1, 12, tzinfo=UTC))
    machine.write(B, 0)
    machine.set_alarm(0x81, 0, 0)
    machine.advance(HOUR)
    assert machine.read(C) == UF | AF


# Periodic interrupt


@pytest.mark.parametrize(
    ("rate", "frequency_hz"),
    [(1, 256), (2, 128), *((rate, 65536 >> rate) for rate in range(3, 16))],
)
def test_periodic_rates(machine: Machine, rate: int, frequency_hz: int) -> None:
    """Table 5, 32.768 kHz. QEMU counts from the last tick of the time base, and comes 1 ns late."""
    machine.advance(10_000)
    machine.write(A, DV_RUN | rate)
    machine.write(B, PIE | H24)
    due = []
    for _ in range(5):
        machine.clock.advance(machine.clock.deadline_ns)
        if machine.read(C) & PF:
            due.append(machine.clock.now_ns)
    ticks = [number * SECOND // frequency_hz + 1 for number in range(1, len(due) + 1)]
    assert len(due) >= 2
    assert due == ticks


def test_no_periodic_interrupt_without_rate_or_enable(machine: Machine) -> None:
    """Table 5: rate 0 is none. QEMU: PF needs PIE; in the data sheet it is set without."""
    machine.write(A, DV_RUN)
    machine.write(B, PIE | H24)
    machine.advance(SECOND // 2)
    assert machine.read(C) == 0
    machine.write(A, DV_RUN | 6)
    machine.write(B, H24)
    machine.advance(SECOND // 4)
    assert machine.read(C) == 0


def test_new_rate_counts_what_passed_of_the_old_period(machine: Machine) -> None:
    """QEMU: 500 ms are due after 100 ms more if 400 ms of the old period have passed; at once if the new is shorter."""
    machine.write(A, DV_RUN | 15)
    machine.write(B, PIE | H24)
    machine.advance(SECOND * 2 // 5)
    machine.write(A, DV_RUN | 14)
    machine.advance(0)
    assert machine.read(C) == IRQF | PF
    machine.write(A, DV_RUN | 15)
    machine.advance(SECOND // 4 - 1)
    assert machine.read(C) == 0
    machine.advance(SECOND // 4)
    assert machine.read(C) == IRQF | PF


def test_periodic_interrupt_goes_on_in_divider_reset(machine: Machine) -> None:
    """QEMU; the data sheet's rates come out of the divider that is reset."""
    machine.write(B, PIE | H24)
    machine.write(A, DV_RESET | 6)
    machine.advance(SECOND)
    assert machine.read(C) == IRQF | PF


# Reset


def test_reset_clears_enables_flags_and_irq_only(machine: Machine) -> None:
    """Signal Descriptions, RESET. QEMU keeps UIE, which the data sheet clears."""
    machine.write(0x40, 0x5A)
    machine.write(A, DV_RUN | 3)
    machine.write(SEC_ALARM, 0x30)
    machine.write(B, 0x7F)
    machine.advance(5 * SECOND)
    machine.rtc.reset()
    assert machine.edges[-1] == (5 * SECOND, False)
    assert (machine.read(B), machine.read(C), machine.read(A)) == (0x7F & ~(PIE | AIE | SQWE), 0, DV_RUN | 3)
    assert (machine.read(SEC), machine.read(SEC_ALARM), machine.read(0x40)) == (5, 0x30, 0x5A)


def test_periodic_timer_survives_reset_once(machine: Machine) -> None:
    """QEMU."""
    machine.write(B, PIE | H24)
    machine.rtc.reset()
    machine.advance(SECOND // 2)
    assert [machine.read(C), machine.edges] == [PF, []]
    machine.advance(SECOND // 4)
    assert machine.read(C) == 0


@pytest.mark.parametrize(("before", "after"), [(0x05, 0x00), (0xFE, 0xFE)])
def test_reset_clears_the_shutdown_status_unless_resuming(machine: Machine, before: int, after: int) -> None:
    """QEMU's PC: 0xFE marks a resume from suspend."""
    assert machine.read(SHUTDOWN) == 0
    machine.write(SHUTDOWN, before)
    machine.rtc.reset()
    assert machine.read(SHUTDOWN) == after


# Any sequence

operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from([*range(0x0C), CENTURY]), st.integers(0, 0xFF)),
        st.tuples(st.just("write"), st.just(B), st.sampled_from([H24, UIE | H24, PIE | AIE | UIE | H24, SET, PIE])),
        st.tuples(st.just("write"), st.just(A), st.sampled_from([0x26, 0x2F, 0x66, 0x36])),
        st.tuples(st.just("read"), st.sampled_from([*range(0x0E), C, C, A]), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 3 * SECOND), st.integers(0, 3 * SECOND)),
        st.tuples(st.just("reset"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(operations)
def test_irq_is_the_or_of_enabled_flags_and_time_needs_no_steps(script: list[tuple[str, int, int]]) -> None:
    """Register C: IRQF = PF·PIE + AF·AIE + UF·UIE. Waiting in two steps or in one leaves the same state."""
    one, two = Machine(), Machine()
    for name, first, second in script:
        for machine in (one, two):
            if name == "write":
                machine.write(first, second)
            elif name == "read":
                assert 0 <= machine.read(first) <= 0xFF
            elif name == "reset":
                machine.rtc.reset()
            elif machine is one:
                machine.advance(first + second)
            else:
                machine.advance(first)
                machine.advance(second)
            state = machine.rtc.state()
            irqf = state["Register C"] & state["Register B"] & (PF | AF | UF) != 0
            assert (state["Register C"] & IRQF != 0, state["irq8"]) == (irqf, irqf)
        assert one.rtc.state() == two.rtc.state()
    assert one.edges == two.edges
