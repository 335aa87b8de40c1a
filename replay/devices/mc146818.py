"""MC146818 real-time clock with CMOS RAM, as on a PC: index at offset 0 (port 0x70), data at offset 1 (port 0x71).

Source: Motorola MC146818A data sheet (1988); the names in brackets below are its section headings. The century cell
0x32 and its PS/2 alias 0x37, the titles of the RAM cells and the NMI bit of the index are the PC's.

Modelled: time, calendar and alarm cells in BCD and binary, 12 and 24 hours; don't-care alarms; SET; divider reset; UIP;
the flags of Register C and IRQ (`irq8`); the periodic interrupt at all rates; reset; RAM cells 0x0E..0x7F, each learned
from the first read unless it was written before. What is computed is exact to the nanosecond of the virtual clock.

Not modelled: the square-wave output, daylight saving (DSE) and the NMI mask (bit 7 of the index), which QEMU lacks;
`lost_tick_policy=slew`; cells that QEMU changes by itself: 0x0F at suspend, 0x5F at CPU hotplug, the boot order.

Follows QEMU where the guest can see a difference from the data sheet:
- Reading offset 0 gives 0xFF.
- A write to a time cell while the clock runs starts a new second, at the phase that the last start of the clock set.
- Invalid time values are taken as numbers that carry over (minute 75 is 1:15); 0xC0 and above counts as -1. Times
  beyond 63-bit nanoseconds (year 2262) wrap.
- DV = 0..2 all mean 32.768 kHz; 3..5 stop the clock, though the flags of Register C go on.
- UIP shows for 244,140 ns at the end of a second; once read as 1 it stays until the update timer runs.
- PF is set only while PIE is set; the periodic interrupt goes on in divider reset, on a phase of the virtual clock.
- The alarm time is computed in advance (`_seconds_to_alarm`), with PM taken as part of the number of the hour.
- Reset does not clear UIE, and clears cell 0x0F unless that is 0xFE.

A recording that does not know its time of day (`base` None) teaches it: the first read of each time register is learned
and moves the clock to agree; all later ones are computed and compared. The day of the week follows from the date: it is
learned anew until day, month, year and century are known. Updates are taken to come at whole seconds of the virtual
clock. It is taken to be noon at clock 0 until hours, minutes and seconds are known, so an AF before that is a guess.

A recording whose time of day runs on a clock of its own (QEMU's ``-rtc clock=host``, and no ``clock``) tells only by
what is read how that clock gets on: what the virtual clock does not explain is assumed, and moves the clock to agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND as SECOND_NS
from ..clock import Clock, ticks
from ..device import Device, Unknown
from ..irq import Line
from .mc146818_registers import (
    ALARM_CELLS,
    BANKS,
    CELLS,
    CENTURY,
    CENTURY_PS2,
    DATE_CELLS,
    DATE_OF_MONTH,
    DAY_OF_WEEK,
    HOURS,
    HOURS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    MONTH,
    RAM_CELLS,
    REGISTER_A,
    REGISTER_B,
    REGISTER_C,
    REGISTER_D,
    REGISTERS,
    SECONDS,
    SECONDS_ALARM,
    SHUTDOWN_STATUS,
    TIME_CELLS,
    YEAR,
)

INDEX_MASK, INDEX_READ, UNLEARNED = 0x7F, 0xFF, -1
A_UIP, A_DV, A_DV_RESET, A_DV_32768_HZ, A_RS = 0x80, 0x70, 0x60, 0x20, 0x0F
B_SET, B_PIE, B_AIE, B_UIE, B_SQWE, B_DM, B_24_12 = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
C_IRQF, C_PF, C_AF, C_UF = 0x80, 0x40, 0x20, 0x10
C_SOURCES: Final = C_PF | C_AF | C_UF  # in the bit positions of PIE, AIE, UIE
HOURS_PM, DONT_CARE, RESUME_STATUS = 0x80, 0xC0, 0xFE
POWER_ON_A, POWER_ON_B, POWER_ON_D = 0x26, B_24_12, 0x80  # as QEMU starts

TIME_LIMITS: Final = {SECONDS: 60, MINUTES: 60, HOURS: 24, DATE_OF_MONTH: 32, MONTH: 13, YEAR: 100, CENTURY: 100}
"""What the time cells stay below."""
TIME_BASE_HZ: Final = 32768
UIP_NS: Final = 8 * SECOND_NS // TIME_BASE_HZ
"""How long before an update UIP is set: 244 us, table 6."""
FIRST_UPDATE_PHASE_NS: Final = SECOND_NS // 2
"""Where in its second the clock starts when divider reset ends: the update comes half a second later."""

DAY_S: Final = 86400
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN_BASE: Final = datetime(2096, 1, 1, 12, tzinfo=UTC)
"""Stands in for a time not known: far from midnight, where a started QEMU has its alarm; a leap year in any century."""
MASK_64, SIGN_64 = (1 << 64) - 1, 1 << 63


class Mc146818(Device):
    """The clock chip.

    Args:
        clock: the machine's virtual clock, which drives the time of day too (QEMU's `-rtc clock=vm`).
        irq8: the IRQ output; level equals IRQF.
        base: the time of day at clock 0 (`-rtc base=`), in UTC if it names no zone; fractions of a second are dropped.
            None: not known, to be learned.
        independent: the time of day and its flags do not follow `clock`.
    """

    title = "Real-time clock and CMOS RAM"
    registers = REGISTERS
    kept_by_reset = ("Register [AB]", "index", "base_s", "*_ns", "periodic_tick")

    def __init__(self, clock: Clock, irq8: Line, base: datetime | None, *, independent: bool = False) -> None:
        self._clock = clock
        self._irq8 = irq8
        self._independent = independent
        self._index = 0
        self._cells = [0] * REGISTER_A + [POWER_ON_A, POWER_ON_B, 0, POWER_ON_D] + [UNLEARNED] * (CELLS - RAM_CELLS[0])
        self._untaught = set(TIME_CELLS if base is None else ())
        start = UNKNOWN_BASE if base is None else base if base.tzinfo else base.replace(tzinfo=UTC)
        # The time of day in ns is base + (now - started) + phase, with 64 bits as in QEMU.
        self._base_s = (start - EPOCH) // timedelta(seconds=1)
        self._started_ns = self._phase_ns = self._alarm_ns = 0
        self._update_timer = clock.timer(self._end_update)
        self._periodic_tick = 0  # of the time base, next due while the timer is armed
        self._periodic_timer = clock.timer(self._periodic_due)

        readers = dict.fromkeys(TIME_CELLS, self._read_time)
        readers |= {REGISTER_A: self._read_register_a, REGISTER_C: self._read_register_c}
        self._readers = [readers.get(index, self._read_cell) for index in range(CELLS)]
        writers = dict.fromkeys(TIME_CELLS, self._write_time) | dict.fromkeys(ALARM_CELLS, self._write_alarm)
        writers |= {REGISTER_A: self._write_register_a, REGISTER_B: self._write_register_b}
        writers |= {REGISTER_C: self._write_read_only, REGISTER_D: self._write_read_only}
        self._writers = [writers.get(index, self._write_cell) for index in range(CELLS)]
        self._show_time()
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, Line(), None)

    def read(self, offset: int, size: int) -> int:
        """Answer a read of the index (offset 0) or of the cell it selects (offset 1)."""
        return self._readers[self._index]() if offset else INDEX_READ

    def write(self, offset: int, size: int, value: int) -> None:
        """Select a cell (offset 0) or write it (offset 1)."""
        if offset:
            self._writers[self._index](value)
        else:
            index = value & INDEX_MASK
            self._index = CENTURY if index == CENTURY_PS2 else index

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: how a clock of its own has got on."""
        index = self._index
        if not self._independent or not offset:
            return False
        if index == REGISTER_A:
            return hw ^ model == A_UIP and self._running()
        if index == REGISTER_C:
            return not (hw ^ model) & ~(C_SOURCES | C_IRQF) and bool(hw & C_IRQF) == bool(
                hw & self._cells[REGISTER_B] & C_SOURCES
            )
        number = self._number(hw & ~HOURS_PM if index == HOURS else hw)
        if index not in TIME_LIMITS or not self._running() or not 0 <= number < TIME_LIMITS[index]:
            return False
        self._learn_time(hw)
        return True

    def bank(self, offset: int) -> str | None:
        """The selected index for the data register."""
        return BANKS[self._index] if offset else None

    def reset(self) -> None:
        """Clear enables and flags (Signal Descriptions, RESET); time, RAM and index stay.

        QEMU keeps UIE, which the data sheet clears, and a periodic timer that runs, so PF is set once more. It clears
        the PC's shutdown status, except the mark of a resume.
        """
        cells = self._cells
        if cells[SHUTDOWN_STATUS] != RESUME_STATUS:
            cells[SHUTDOWN_STATUS] = 0
        cells[REGISTER_B] &= ~(B_PIE | B_AIE | B_SQWE)
        cells[REGISTER_C] = 0
        self._irq8.set(False)
        self._schedule_update()

    def state(self) -> Mapping[str, int]:
        """Index, registers, the parts of the time of day, and when the timers run (ns)."""
        return {f"Register {name}": self._cells[REGISTER_A + i] for i, name in enumerate("ABCD")} | {
            "index": self._index, "irq8": int(self._irq8.level), "base_s": self._base_s, "started_ns": self._started_ns,
            "phase_ns": self._phase_ns, "time_ns": self._time_ns(), "alarm_ns": self._alarm_ns,
            "update_ns": self._update_timer.deadline_ns, "periodic_tick": self._periodic_tick,
        }  # fmt: skip

    # Time, alarm and RAM cells

    def _read_time(self) -> int:
        if self._running():
            self._show_time()
        if self._untaught and self._unknown(self._index):
            return Unknown(0, 0xFF, self._learn_time)
        return self._cells[self._index]

    def _write_time(self, value: int) -> None:
        self._untaught.discard(self._index)
        self._cells[self._index] = value
        if self._running():
            self._start_clock()
            self._schedule_update()

    def _write_alarm(self, value: int) -> None:
        self._cells[self._index] = value
        self._schedule_update()

    def _read_cell(self) -> int:
        value = self._cells[self._index]
        return Unknown(0, 0xFF, self._write_cell) if value == UNLEARNED else value

    def _write_cell(self, value: int) -> None:
        self._cells[self._index] = value

    # Registers A to D

    def _read_register_a(self) -> int:
        """UIP: the update comes within 244 us (Register A; Update Cycle)."""
        cells = self._cells
        if self._running():
            time_ns = self._time_ns()
            if self._clock.now_ns >= self._update_timer.deadline_ns - UIP_NS:
                cells[REGISTER_A] |= A_UIP
            elif time_ns < SIGN_64 and time_ns % SECOND_NS >= SECOND_NS - UIP_NS:
                return cells[REGISTER_A] | A_UIP
        return cells[REGISTER_A]

    def _write_register_a(self, value: int) -> None:
        cells = self._cells
        old = cells[REGISTER_A]
        old_period = self._period()
        if value & A_DV_RESET == A_DV_RESET:
            if self._running():
                self._show_time()
            old &= ~A_UIP
        elif old & A_DV_RESET == A_DV_RESET and value & A_DV <= A_DV_32768_HZ:
            if not cells[REGISTER_B] & B_SET:
                self._phase_ns = FIRST_UPDATE_PHASE_NS
                self._start_clock()
            old &= ~A_UIP
        cells[REGISTER_A] = value & ~A_UIP | old & A_UIP
        if (old ^ value) & A_RS:
            self._start_periodic(old_period)
        self._schedule_update()

    def _write_register_b(self, value: int) -> None:
        cells = self._cells
        old = cells[REGISTER_B]
        old_period = self._period()
        if value & B_SET:
            if self._running():
                self._show_time()
            cells[REGISTER_A] &= ~A_UIP
            value &= ~B_UIE
        elif old & B_SET and cells[REGISTER_A] & A_DV <= A_DV_32768_HZ:
            # The cells still count in the old formats: SET and a new DM or 24/12 in one write differ from two writes.
            self._phase_ns = self._time_ns() % SECOND_NS
            self._start_clock()
        cells[REGISTER_B] = value
        self._set_irqf(value & cells[REGISTER_C] & C_SOURCES != 0)
        if (old ^ value) & B_PIE:
            self._start_periodic(old_period)
        self._schedule_update()

    def _read_register_c(self) -> int:
        """Reading clears all flags and releases IRQ (Register C)."""
        value = self._cells[REGISTER_C]
        self._cells[REGISTER_C] = 0
        self._irq8.set(False)
        if value & (C_UF | C_AF):
            self._schedule_update()
        return value

    def _write_read_only(self, value: int) -> None:
        """Registers C and D ignore writes."""

    # Time of day

    def _running(self) -> bool:
        return not self._cells[REGISTER_B] & B_SET and self._cells[REGISTER_A] & A_DV <= A_DV_32768_HZ

    def _time_ns(self) -> int:
        """The time of day in ns since 1970, modulo 2**64."""
        elapsed_ns = self._clock.now_ns - self._started_ns
        return self._base_s * SECOND_NS + elapsed_ns + self._phase_ns & MASK_64

    def _start_clock(self) -> None:
        """Run on from the time that the cells show."""
        self._base_s = self._shown_s()
        self._started_ns = self._clock.now_ns

    def _show_time(self) -> None:
        """Bring the time cells up to date, unless SET holds them."""
        cells = self._cells
        formats = cells[REGISTER_B]
        if formats & B_SET:
            return
        time_ns = self._time_ns()
        time_s = time_ns // SECOND_NS if time_ns < SIGN_64 else -((-time_ns & MASK_64) // SECOND_NS)
        day, second = divmod(time_s, DAY_S)
        today = date.fromordinal(EPOCH_ORDINAL + day)
        hour, hours_24 = second // 3600, formats & B_24_12
        encode = int if formats & B_DM else _to_bcd
        cells[SECONDS] = encode(second % 60)
        cells[MINUTES] = encode(second // 60 % 60)
        cells[HOURS] = encode(hour) if hours_24 else encode(hour % 12 or 12) | (HOURS_PM if hour >= 12 else 0)
        cells[DAY_OF_WEEK] = encode(today.isoweekday() % 7 + 1)
        cells[DATE_OF_MONTH] = encode(today.day)
        cells[MONTH] = encode(today.month)
        cells[YEAR] = encode(today.year % 100)
        cells[CENTURY] = encode(today.year // 100)

    def _shown_s(self) -> int:
        """What the time cells say, in seconds since 1970; the day of the week says nothing."""
        cells, number = self._cells, self._number
        hour = self._hour_of_day(number(cells[HOURS] & ~HOURS_PM))
        year = number(cells[YEAR]) + 100 * number(cells[CENTURY])
        day = _days_since_1970(year, number(cells[MONTH]), number(cells[DATE_OF_MONTH]))
        return day * DAY_S + hour * 3600 + number(cells[MINUTES]) * 60 + number(cells[SECONDS])

    def _unknown(self, index: int) -> bool:
        if index == DAY_OF_WEEK and self._running():
            return not self._untaught.isdisjoint(DATE_CELLS)
        return index in self._untaught

    def _learn_time(self, value: int) -> None:
        """Take the selected time register from the recording, and move a running clock to agree."""
        index = self._index
        running = self._running()
        if index == DAY_OF_WEEK and running:
            return
        self._untaught.discard(index)
        before_s = self._shown_s()
        self._cells[index] = value
        if running:
            self._base_s += self._shown_s() - before_s
            self._schedule_update()

    # Update cycle and alarm

    def _schedule_update(self) -> None:
        """Set the timer to the next update that changes a flag (Update Cycle).

        UF and AF stay set until they are read, so most seconds need no timer. That this brings the cells up to date
        can be seen when DV stops the clock without SET.
        """
        cells = self._cells
        if cells[REGISTER_A] & A_DV_RESET == A_DV_RESET:
            self._update_timer.cancel()
            return
        update_ns = self._clock.now_ns + SECOND_NS - self._time_ns() % SECOND_NS
        self._show_time()
        self._alarm_ns = update_ns + (self._seconds_to_alarm() - 1) * SECOND_NS & MASK_64
        if cells[REGISTER_C] & C_UF and not cells[REGISTER_A] & A_UIP:
            if cells[REGISTER_B] & B_SET or cells[REGISTER_C] & C_AF:
                self._update_timer.cancel()
                return
            update_ns = self._alarm_ns
        self._update_timer.arm(update_ns)

    def _end_update(self) -> None:
        """An update has ended: set UF, and AF if the alarm time has come (Interrupts)."""
        cells = self._cells
        cells[REGISTER_A] &= ~A_UIP
        cells[REGISTER_C] |= C_UF | C_AF if self._clock.now_ns >= self._alarm_ns else C_UF
        if cells[REGISTER_C] & cells[REGISTER_B] & C_SOURCES:
            self._set_irqf(True)
        self._schedule_update()

    def _seconds_to_alarm(self) -> int:
        """Seconds from the shown time to the alarm, 1 to about a day, by QEMU's rules.

        A field that matches every value takes the present value while all fields above it match the present, else 0.
        A time that has passed moves on in the next field up that is free, else to the next day; the present second
        itself counts as passed only if the field of seconds is free.
        """
        cells, number = self._cells, self._number
        second, minute, hour = number(cells[SECONDS_ALARM]), number(cells[MINUTES_ALARM]), number(cells[HOURS_ALARM])
        now_second, now_minute = number(cells[SECONDS]), number(cells[MINUTES])
        now_hour = self._hour_of_day(number(cells[HOURS]) & 0xFF)
        any_minute, any_hour = minute < 0, hour < 0
        hour = now_hour if any_hour else self._hour_of_day(hour)
        this_hour = hour == now_hour
        this_minute = this_hour and (any_minute or minute == now_minute)

        passed = carry = 0
        if second < 0:
            second = now_second + 1 if this_minute else 0
        elif this_minute and now_second > second:
            passed = 1
        if this_minute and second == 60:
            second, carry = 0, 1
        if any_minute:
            minute = max(now_minute + passed, 0) + carry if this_hour else 0
            if this_hour and not any_hour:
                minute %= 60
        elif any_hour:
            hour += passed + carry if this_minute else minute < now_minute
        elif this_minute:
            second %= 60

        if second == 60:
            second, minute = 0, minute + 1
        if minute == 60:
            minute, hour = 0, hour + 1
        wait_s = (hour % 24 - now_hour) * 3600 + (minute - now_minute) * 60 + second - now_second
        return wait_s if wait_s > 0 else wait_s + DAY_S

    # Periodic interrupt

    def _period(self) -> int:
        """Ticks of the time base between periodic interrupts (table 5); 0: none."""
        rate = self._cells[REGISTER_A] & A_RS if self._cells[REGISTER_B] & B_PIE else 0
        return 1 << (rate + 6 if rate < 3 else rate - 1) if rate else 0

    def _start_periodic(self, old_period: int) -> None:
        """Begin to count a new period; what has passed of the old one counts for the new."""
        period = self._period()
        if not period:
            self._periodic_timer.cancel()
            return
        now_tick = ticks(self._clock.now_ns, TIME_BASE_HZ)
        passed = min(now_tick - (self._periodic_tick - old_period), period) if old_period else 0
        self._periodic_tick = now_tick + period - passed
        self._arm_periodic()

    def _periodic_due(self) -> None:
        """Set PF, and IRQF with it (Interrupts). A reset cleared PIE if that is clear: then this was the last time."""
        self._cells[REGISTER_C] |= C_PF
        period = self._period()
        if period:
            self._set_irqf(True)
            self._periodic_tick += period
            self._arm_periodic()

    def _arm_periodic(self) -> None:
        self._periodic_timer.arm(self._periodic_tick * SECOND_NS // TIME_BASE_HZ + 1)

    # Helpers

    def _set_irqf(self, level: bool) -> None:
        self._cells[REGISTER_C] = self._cells[REGISTER_C] & ~C_IRQF | (C_IRQF if level else 0)
        self._irq8.set(level)

    def _number(self, value: int) -> int:
        """A time cell's content as a number; -1: 0xC0 and above, "every" in an alarm."""
        if value >= DONT_CARE:
            return -1
        return value if self._cells[REGISTER_B] & B_DM else (value >> 4) * 10 + (value & 0x0F)

    def _hour_of_day(self, hour: int) -> int:
        pm = self._cells[HOURS] & HOURS_PM
        return hour if self._cells[REGISTER_B] & B_24_12 else hour % 12 + (12 if pm else 0)


def _to_bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


def _days_since_1970(year: int, month: int, day: int) -> int:
    """The day's number; months and days beyond the calendar run on in the lengths of March to January."""
    if month < 3:
        month += 12
        year -= 1
    leap_days = abs(year) // 4 - abs(year) // 100 + abs(year) // 400
    return day + (153 * month - 457) // 5 + 365 * year + (leap_days if year >= 0 else -leap_days) - 719469
