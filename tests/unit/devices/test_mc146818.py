"""MC146818, time and RAM: the data sheet's statements (section in the docstring) and what QEMU does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.mc146818 import REGISTERS, Mc146818
from vmdev.replay.irq import Line

SECOND = 1_000_000_000
UIP_NS = 244_140

SEC, SEC_ALARM, MIN, HOURS, WEEKDAY, DATE, MONTH, YEAR = 0, 1, 2, 4, 6, 7, 8, 9
A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D
CENTURY, CENTURY_PS2 = 0x32, 0x37
TIME = (SEC, MIN, HOURS, WEEKDAY, DATE, MONTH, YEAR, CENTURY)
DAY_OF_TIME = (DATE, MONTH, YEAR, CENTURY)

UIP, DV_RUN, DV_RESET = 0x80, 0x20, 0x60
SET, UIE, DM, H24, UF = 0x80, 0x10, 0x04, 0x02, 0x10

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


class Machine:
    """A clock chip and the virtual clock."""

    def __init__(self, base: datetime | None = NEW_YEAR, *, independent: bool = False) -> None:
        self.clock = Clock()
        self.rtc = Mc146818(self.clock, Line(), base, independent=independent)

    def advance(self, ns: int) -> None:
        self.clock.advance(self.clock.now_ns + ns)

    def ask(self, index: int) -> int:
        """The model's answer, as it is."""
        self.rtc.write(0, 1, index)
        return self.rtc.read(1, 1)

    def read(self, index: int) -> int:
        answer = self.ask(index)
        assert not isinstance(answer, Unknown)
        return answer

    def write(self, index: int, value: int) -> None:
        self.rtc.write(0, 1, index)
        self.rtc.write(1, 1, value)

    def teach(self, index: int, value: int) -> None:
        answer = self.ask(index)
        assert isinstance(answer, Unknown)
        assert (answer.known, answer.mask, answer.kind) == (0, 0xFF, "learned")
        answer.learn(value)

    def set_time(self, hour: int, minute: int, second: int) -> None:
        """In the present formats, as the data sheet says: SET, the time, SET off."""
        formats = self.read(B) & ~SET
        self.write(B, formats | SET)
        for index, value in ((HOURS, hour), (MIN, minute), (SEC, second)):
            self.write(index, value)
        self.write(B, formats)

    def time(self) -> str:
        """Hours, minutes and seconds as the cells show them: in BCD they read as a person writes them."""
        return ":".join(f"{self.read(index):02x}" for index in (HOURS, MIN, SEC))

    def date(self) -> str:
        century, year, month, day = (self.read(index) for index in (CENTURY, YEAR, MONTH, DATE))
        return f"{century:02x}{year:02x}-{month:02x}-{day:02x}"


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Addressing


def test_index_selects_the_cell_that_the_data_port_shows(machine: Machine) -> None:
    machine.write(0x40, 0x12)
    machine.write(0x41, 0x34)
    assert (machine.read(0x40), machine.read(0x41)) == (0x12, 0x34)
    assert machine.rtc.bank(1) == "index 0x41"
    assert machine.rtc.bank(0) is None


def test_nmi_bit_of_the_index_selects_nothing(machine: Machine) -> None:
    machine.write(0x40, 0x12)
    assert machine.read(0x80 | 0x40) == 0x12


def test_index_reads_as_ff_and_stays(machine: Machine) -> None:
    """QEMU; on a PC port 0x70 cannot be read back."""
    machine.read(D)
    assert machine.rtc.read(0, 1) == 0xFF
    assert machine.rtc.read(1, 1) == 0x80


def test_word_write_selects_and_writes(machine: Machine) -> None:
    machine.rtc.write_any(0, 2, 0x5A40)
    assert machine.read(0x40) == 0x5A


def test_ps2_century_is_the_same_cell(machine: Machine) -> None:
    assert machine.read(CENTURY_PS2) == 0x20
    assert machine.rtc.bank(1) == "index 0x32"


def test_every_cell_is_declared_under_its_bank(machine: Machine) -> None:
    for index in range(0x80):
        machine.rtc.write(0, 1, index)
        assert REGISTERS.find(1, "r", machine.rtc.bank(1)) is not None
    found = REGISTERS.find(1, "r", "index 0x0b")
    assert found is not None
    assert found.field_differences(0x82, 0x06) == [("SET", "1", "0"), ("DM", "0 (BCD)", "1 (binary)")]
    found = REGISTERS.find(1, "r", "index 0x0a")
    assert found is not None
    assert found.field_differences(0x26, 0x66) == [("DV", "0b010 (32.768 kHz)", "0b110 (divider reset)")]


# Time and calendar


def test_clock_starts_at_the_base_and_counts_whole_seconds() -> None:
    """Update Cycle: once per second."""
    machine = Machine(datetime(2026, 6, 15, 11, 59, 57, tzinfo=UTC))
    assert (machine.date(), machine.time(), machine.read(WEEKDAY)) == ("2026-06-15", "11:59:57", 2)
    machine.advance(SECOND - 1)
    assert machine.time() == "11:59:57"
    machine.advance(1)
    assert machine.time() == "11:59:58"
    machine.advance(2 * SECOND)
    assert machine.time() == "12:00:00"


@pytest.mark.parametrize(
    "base",
    [
        datetime(2026, 1, 1, 8, 30),
        datetime(2026, 1, 1, 10, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 1, 1, 8, 30, 0, 999_999, tzinfo=UTC),
    ],
)
def test_base_is_utc_in_whole_seconds(base: datetime) -> None:
    machine = Machine(base)
    machine.advance(SECOND - 1)
    assert (machine.date(), machine.time()) == ("2026-01-01", "08:30:00")


@pytest.mark.parametrize(
    ("last_day", "next_day", "weekday"),
    [
        (datetime(2024, 2, 28, 23, 59, 59), "2024-02-29", 5),
        (datetime(2024, 2, 29, 23, 59, 59), "2024-03-01", 6),
        (datetime(2023, 2, 28, 23, 59, 59), "2023-03-01", 4),
        (datetime(2000, 2, 28, 23, 59, 59), "2000-02-29", 3),
        (datetime(2100, 2, 28, 23, 59, 59), "2100-03-01", 2),
        (datetime(1999, 12, 31, 23, 59, 59), "2000-01-01", 7),
        (datetime(2026, 4, 30, 23, 59, 59), "2026-05-01", 6),
        (datetime(2022, 12, 31, 23, 59, 59), "2023-01-01", 1),
    ],
)  # fmt: skip
def test_midnight_goes_on_to_the_next_date(last_day: datetime, next_day: str, weekday: int) -> None:
    """Time, Calendar, and Alarm Locations: months of all lengths, leap years; 1 is Sunday. Centuries: QEMU."""
    machine = Machine(last_day)
    machine.advance(SECOND)
    assert (machine.date(), machine.time(), machine.read(WEEKDAY)) == (next_day, "00:00:00", weekday)


@pytest.mark.parametrize(
    ("hour", "binary_24", "binary_12", "bcd_12"),
    [(0, 0, 12, 0x12), (1, 1, 1, 0x01), (11, 11, 11, 0x11), (12, 12, 0x8C, 0x92), (13, 13, 0x81, 0x81),
     (23, 23, 0x8B, 0x91)],
)  # fmt: skip
def test_formats_of_the_hour(hour: int, binary_24: int, binary_12: int, bcd_12: int) -> None:
    """Table 3: BCD or binary by DM, 1-12 with PM in bit 7 or 0-23 by 24/12."""
    machine = Machine(datetime(2026, 1, 1, hour, 45, tzinfo=UTC))
    assert machine.read(HOURS) == bcd(hour)
    for formats, shown in ((DM | H24, binary_24), (DM, binary_12), (0, bcd_12)):
        machine.write(B, formats)
        assert machine.read(HOURS) == shown
        machine.set_time(shown, machine.read(MIN), 0)
        assert machine.read(HOURS) == shown
        machine.write(B, H24)
        assert machine.time() == f"{hour:02}:45:00"


def test_dm_shows_all_cells_in_binary() -> None:
    """Register B, DM."""
    machine = Machine(datetime(2059, 12, 31, 23, 58, 57, tzinfo=UTC))
    machine.write(B, DM | H24)
    assert [machine.read(index) for index in TIME] == [57, 58, 23, 4, 31, 12, 59, 20]


def test_set_holds_the_cells(machine: Machine) -> None:
    """Register B, SET."""
    machine.write(B, SET | H24)
    machine.advance(90 * SECOND)
    assert machine.time() == "00:00:00"


def test_end_of_set_starts_the_clock_at_the_cells_without_a_change_of_phase(machine: Machine) -> None:
    """Register B, SET: initialization; the divider runs on."""
    machine.advance(SECOND // 4)
    machine.write(B, SET | H24)
    for index, value in zip(TIME, (0x58, 0x59, 0x23, 1, 0x28, 0x02, 0x24, 0x20), strict=True):
        machine.write(index, value)
    machine.advance(SECOND // 2)
    machine.write(B, H24)
    assert (machine.date(), machine.time(), machine.read(WEEKDAY)) == ("2024-02-28", "23:59:58", 4)
    machine.advance(SECOND // 4 - 1)
    assert machine.time() == "23:59:58"
    machine.advance(1)
    assert machine.time() == "23:59:59"
    machine.advance(SECOND)
    assert (machine.date(), machine.time()) == ("2024-02-29", "00:00:00")


def test_end_of_set_reads_the_cells_in_the_old_format(machine: Machine) -> None:
    """QEMU: SET off and DM on in one write."""
    machine.write(B, SET | H24)
    machine.write(MIN, 0x30)
    machine.write(B, DM | H24)
    assert machine.read(MIN) == 30


def test_time_written_while_running_starts_a_new_second(machine: Machine) -> None:
    """QEMU; the data sheet asks for SET first."""
    machine.advance(SECOND * 3 // 4)
    machine.write(MIN, 0x30)
    machine.advance(SECOND - 1)
    assert (machine.time(), machine.read(C)) == ("00:30:00", 0)
    machine.advance(1)
    assert (machine.time(), machine.read(C)) == ("00:30:01", UF)


@pytest.mark.parametrize(
    ("index", "value", "shown"),
    [
        (SEC, 0x75, "2026-01-01 00:01:15"),
        (MIN, 0x99, "2026-01-01 01:39:00"),
        (HOURS, 0x7F, "2026-01-04 13:00:00"),
        (SEC, 0xC0, "2025-12-31 23:59:59"),
        (DATE, 0x00, "2025-12-31 00:00:00"),
        (DATE, 0xFF, "2025-12-30 00:00:00"),
        (MONTH, 0x13, "2027-01-01 00:00:00"),
        (CENTURY, 0x23, "1741-06-12 00:25:27"),
        (CENTURY, 0xC5, "1679-08-30 22:43:42"),
    ],
)
def test_values_out_of_range_carry_over(machine: Machine, index: int, value: int, shown: str) -> None:
    """QEMU; the data sheet leaves them undefined."""
    machine.write(index, value)
    assert f"{machine.date()} {machine.time()}" == shown


def test_day_of_the_week_follows_from_the_date(machine: Machine) -> None:
    """QEMU; the data sheet counts it on its own."""
    machine.write(B, SET | H24)
    machine.write(WEEKDAY, 2)
    assert machine.read(WEEKDAY) == 2
    machine.write(B, H24)
    assert machine.read(WEEKDAY) == 5


# Divider


@pytest.mark.parametrize("reset_code", [0x60, 0x70])
def test_divider_reset_stops_the_clock_and_its_end_starts_it_half_a_second_on(reset_code: int) -> None:
    """Divider Control: the first update comes half a second after the divider reset is removed."""
    machine = Machine()
    machine.advance(SECOND * 9 // 10)
    machine.write(A, reset_code | 6)
    machine.advance(10 * SECOND)
    assert machine.time() == "00:00:00"
    machine.write(A, DV_RUN | 6)
    machine.advance(SECOND // 2 - 1)
    assert (machine.time(), machine.read(A)) == ("00:00:00", UIP | DV_RUN | 6)
    machine.advance(1)
    assert (machine.time(), machine.read(C)) == ("00:00:01", UF)


def test_divider_reset_stops_updates(machine: Machine) -> None:
    """Divider Control: interrupts do not operate then."""
    machine.write(B, UIE | H24)
    machine.write(A, DV_RESET)
    machine.advance(3 * SECOND)
    assert machine.read(C) == 0


@pytest.mark.parametrize(("divider", "runs"), [(0, True), (1, True), (2, True), (3, False), (4, False), (5, False)])
def test_divider_codes_that_let_the_clock_run(machine: Machine, divider: int, runs: bool) -> None:
    """QEMU: all time bases are alike, and the test codes stop the clock."""
    machine.read(C)
    machine.write(A, divider << 4 | 6)
    machine.advance(5 * SECOND + 1)
    assert machine.time() == ("00:00:05" if runs else "00:00:01")  # the update timer has run once
    assert machine.read(C) == UF


def test_set_forgoes_the_half_second(machine: Machine) -> None:
    """QEMU: when the divider reset ends while SET holds the clock, the old phase goes on."""
    machine.write(B, SET | H24)
    machine.write(A, DV_RESET)
    machine.advance(SECOND * 3 // 10)
    machine.write(A, DV_RUN)
    machine.write(B, H24)
    machine.advance(SECOND * 7 // 10 - 1)
    assert machine.time() == "00:00:00"
    machine.advance(1)
    assert machine.time() == "00:00:01"


def test_test_codes_of_the_divider_do_not_start_the_clock_anew(machine: Machine) -> None:
    """QEMU: from divider reset or SET to a test code the time is what it would have been."""
    machine.write(A, DV_RESET)
    machine.advance(10 * SECOND)
    machine.write(A, 0x30)
    assert machine.time() == "00:00:10"
    machine.write(B, SET | H24)
    machine.write(MIN, 0x30)
    machine.write(B, H24)
    assert machine.time() == "00:00:10"


# Update in progress


def test_uip_is_set_244_us_before_the_update_until_it_has_happened(machine: Machine) -> None:
    """Register A, UIP; Update Cycle, table 6."""
    seen = []
    for to_ns in (0, SECOND - UIP_NS - 1, SECOND - UIP_NS, SECOND - 1, SECOND, 2 * SECOND - UIP_NS - 1):
        machine.clock.advance(to_ns)
        seen.append(machine.read(A) & UIP != 0)
    assert seen == [False, False, True, True, False, False]


def test_uip_shows_in_every_second_though_uf_stays_set(machine: Machine) -> None:
    for to_ns, value in ((5 * SECOND - UIP_NS - 1, 0x26), (5 * SECOND - UIP_NS, 0xA6), (5 * SECOND, 0x26)):
        machine.clock.advance(to_ns)
        assert machine.read(A) == value


def test_uip_cannot_be_written(machine: Machine) -> None:
    """Register A: UIP is read-only."""
    machine.write(A, 0xFF & ~DV_RESET)
    assert machine.read(A) == 0x1F


@pytest.mark.parametrize(("index", "value"), [(B, SET | H24), (A, DV_RESET | 6)])
def test_uip_is_cleared_by_set_and_by_divider_reset(machine: Machine, index: int, value: int) -> None:
    """Register A, UIP: SET inhibits the update and clears UIP. Divider reset: QEMU."""
    machine.advance(SECOND - 1000)
    assert machine.read(A) & UIP
    machine.write(index, value)
    assert not machine.read(A) & UIP
    machine.advance(10 * SECOND - 1000)
    assert not machine.read(A) & UIP


def test_uip_once_read_stays_until_the_next_update(machine: Machine) -> None:
    """QEMU: a time written in between delays the update."""
    machine.advance(SECOND - 1000)
    assert machine.read(A) & UIP
    machine.write(A, DV_RUN | 6)
    machine.write(SEC, 0x30)
    machine.advance(SECOND // 2)
    assert machine.read(A) & UIP
    machine.advance(SECOND // 2)
    assert not machine.read(A) & UIP


def test_uip_read_before_an_alarm_stays_until_the_next_update(machine: Machine) -> None:
    """QEMU: the same, when only the alarm had been waited for."""
    machine.write(SEC_ALARM, 0x10)
    machine.advance(10 * SECOND - 1000)
    assert machine.read(A) & UIP
    machine.write(SEC, 0x30)
    machine.advance(SECOND // 2)
    assert machine.read(A) & UIP
    machine.advance(SECOND // 2)
    assert not machine.read(A) & UIP


def test_uip_does_not_show_beyond_the_year_2262(machine: Machine) -> None:
    """QEMU: its count of nanoseconds is negative then; only the timer of an update that is waited for shows."""
    machine.write(CENTURY, 0x23)
    machine.advance(2 * SECOND)
    for _ in range(9000):
        assert not machine.read(A) & UIP
        machine.advance(UIP_NS // 2)


# RAM


def test_ram_is_learned_by_the_first_read_and_checked_later(machine: Machine) -> None:
    """Static CMOS RAM: kept by the battery, so only a recording knows it."""
    machine.teach(0x10, 0x42)
    assert machine.read(0x10) == 0x42
    machine.rtc.reset()
    assert machine.read(0x10) == 0x42


def test_written_ram_is_not_learned(machine: Machine) -> None:
    for index in (0x0E, 0x31, 0x33, 0x7F):
        machine.write(index, index ^ 0xFF)
        assert machine.read(index) == index ^ 0xFF


# A time that the recording does not know

PARTS = {
    SEC: lambda t: t.second, MIN: lambda t: t.minute, HOURS: lambda t: t.hour, DATE: lambda t: t.day,
    MONTH: lambda t: t.month, YEAR: lambda t: t.year % 100, CENTURY: lambda t: t.year // 100,
}  # fmt: skip


@given(
    start=st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)),
    order=st.permutations(list(PARTS)),
    elapsed_ns=st.integers(0, 3 * SECOND),
    later_s=st.integers(0, 400 * 86400),
)
def test_each_time_register_is_learned_once_and_computed_from_then_on(
    start: datetime, order: list[int], elapsed_ns: int, later_s: int
) -> None:
    machine = Machine(None)
    start = start.replace(microsecond=0)
    machine.advance(elapsed_ns)
    now = start + timedelta(seconds=elapsed_ns // SECOND)
    for index in order:
        machine.teach(index, bcd(PARTS[index](now)))
    for later in (now, now + timedelta(seconds=later_s)):
        machine.advance((later - now) // timedelta(microseconds=1) * 1000)
        assert {index: machine.read(index) for index in order} == {index: bcd(PARTS[index](later)) for index in order}
        assert machine.read(WEEKDAY) == later.isoweekday() % 7 + 1


def test_day_of_the_week_is_unknown_until_the_date_is_known() -> None:
    machine = Machine(None)
    for index, value in zip(DAY_OF_TIME, (0x15, 0x06, 0x26, 0x20), strict=True):
        machine.teach(WEEKDAY, 2)
        machine.write(B, SET | H24)
        assert isinstance(machine.ask(WEEKDAY), Unknown)
        machine.write(B, H24)
        machine.teach(index, value)
    assert machine.read(WEEKDAY) == 2


def test_unknown_time_is_learned_while_set_holds_it() -> None:
    machine = Machine(None)
    machine.write(B, SET | H24)
    machine.teach(MIN, 0x34)
    machine.teach(WEEKDAY, 0x03)
    assert [machine.read(MIN), machine.read(WEEKDAY)] == [0x34, 0x03]
    machine.write(B, H24)
    machine.advance(60 * SECOND)
    assert machine.read(MIN) == 0x35


def test_written_time_is_known() -> None:
    machine = Machine(None)
    machine.write(HOURS, 0x17)
    assert machine.read(HOURS) == 0x17
    machine.teach(MIN, 0x59)


def test_updates_are_known_without_the_time() -> None:
    machine = Machine(None)
    machine.advance(SECOND - 1)
    assert (machine.read(A), machine.read(C)) == (UIP | DV_RUN | 6, 0)
    machine.advance(1)
    assert machine.read(C) == UF


# A clock of its own


def test_a_clock_of_its_own_may_run_faster_or_slower() -> None:
    machine = Machine(independent=True)
    machine.advance(60 * SECOND)
    assert machine.read(SEC) == 0
    assert machine.rtc.assume(1, 1, 0x59, 0)
    assert machine.read(MIN) == 1
    assert machine.rtc.assume(1, 1, 0, 1)
    assert (machine.read(SEC), machine.read(MIN), machine.read(HOURS)) == (0x59, 0, 0)
    machine.advance(SECOND)
    assert (machine.read(SEC), machine.read(MIN)) == (0, 1)


@pytest.mark.parametrize(
    ("index", "hw", "model", "explained"),
    [
        (SEC, 0x60, 0, False), (SEC, 0x5F, 0, False), (HOURS, 0x23, 0, True), (HOURS, 0x24, 0, False),
        (WEEKDAY, 1, 2, False), (A, DV_RUN | UIP | 6, DV_RUN | 6, True), (A, DV_RUN | 7, DV_RUN | 6, False),
        (C, UF, 0, True), (C, UF | 1, 0, False), (C, UF | 0x80, 0, False), (D, 0, 0x80, False), (0x40, 1, 2, False),
    ],
)  # fmt: skip
def test_a_clock_of_its_own_explains_no_more_than_time(index: int, hw: int, model: int, explained: bool) -> None:
    machine = Machine(independent=True)
    machine.ask(index)
    assert machine.rtc.assume(1, 1, hw, model) == explained
    assert not machine.rtc.assume(0, 1, hw, model)


def test_the_flags_of_a_clock_of_its_own_interrupt_if_they_may() -> None:
    machine = Machine(independent=True)
    machine.write(B, UIE | H24)
    machine.read(C)
    assert machine.rtc.assume(1, 1, UF | 0x80, 0)
    assert not machine.rtc.assume(1, 1, UF, 0)


def test_a_clock_that_is_stopped_does_not_get_on() -> None:
    machine = Machine(independent=True)
    machine.write(B, SET | H24)
    machine.ask(SEC)
    assert not machine.rtc.assume(1, 1, 1, 0)
    assert not Machine().rtc.assume(1, 1, 1, 0)
