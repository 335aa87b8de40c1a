"""Intel 8254 programmable interval timer, as on a PC: counters 0-2 at offsets 0-2, control word at offset 3.

Source: Intel 8254 data sheet (order number 231164); the names in brackets below are its section headings. The PC's
clock is 1,193,182 Hz; counter 0 drives IRQ 0, the gate of counter 2 is a bit of port 61h.

Modelled: all three counters, modes 0-5, the three ways to access a count, counter latch and read-back commands with
their latches, gates, OUT, IRQ 0 and that an HPET takes it away. Counts, OUT and the times of IRQ 0 are exact to the
nanosecond of the virtual clock.

Not modelled: nothing that QEMU has.

Follows QEMU where the guest can see a difference from the data sheet:
- The BCD bit is kept and shown in the status; counting stays binary, and 0 means 65536.
- NULL COUNT is always 0: a count is in the counter as soon as it is written, in any mode (data sheet: at the end of the
  period in modes 2 and 3, at the next trigger in 1 and 5). The first of two bytes does not stop counting in mode 0.
- A control word changes what the mode makes of the running count; neither count nor OUT starts anew until a count is
  written, and a latched count stays latched.
- Modes 1 and 5 start when the count is written; a trigger starts them again.
- A low gate stops nothing and does not raise OUT in modes 2 and 3. A rising gate starts modes 1, 2, 3 and 5 anew.
- OUT in mode 2 is high for the tick in which the count is reloaded, and in modes 4 and 5 for the tick in which it gets
  to 0; otherwise it is low (data sheet: the other way round).
- In mode 3 the count goes down by two at a time, from odd counts too, and wraps modulo the count; OUT is high for the
  first half of the period, which with an odd count is the longer one.
- Modes 2 and 3 take a count of 1, which the data sheet forbids: OUT stays high.
- Mode bits 110 and 111 are modes of their own (data sheet: 2 and 3): the count as in mode 2, OUT as in mode 0.
- Before its first control word a counter is in mode 3 with count 65536, shows and takes low bytes, and does not latch.
- A reset restarts the counters so, but leaves access, byte order, latches and the BCD bit as they are.
- Reading offset 3 gives 0.
- IRQ 0 is OUT of counter 0 at certain times only: when a count is written and when a timer fires. The timer is set to
  the next change of OUT in whole nanoseconds rounded down, which may be one too early; it then fires again one later.
  In mode 2 IRQ 0 so rises up to a tick late. A control word does not change the timer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND, NEVER, Clock
from ..device import Device
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit

PIT_HZ: Final = 1_193_182

COUNT, COUNT_MSB, STATUS = "count", "count, MSB", "status"
COMMAND, LATCH, READ_BACK = "control word", "counter latch", "read-back"

RW_VALUES: Final = {0b00: "never written", 0b01: "LSB only", 0b10: "MSB only", 0b11: "LSB, then MSB"}
MODE_VALUES: Final = {
    0b000: "interrupt on terminal count",
    0b001: "hardware retriggerable one-shot",
    0b010: "rate generator",
    0b011: "square wave",
    0b100: "software triggered strobe",
    0b101: "hardware triggered strobe",
}
SC_VALUES: Final = {0: "counter 0", 1: "counter 1", 2: "counter 2", 3: "read-back"}

_SC: Final = Field("SC", 7, 6, SC_VALUES)
_MODE_FIELDS: Final = (Field("RW", 5, 4, RW_VALUES), Field("M", 3, 1, MODE_VALUES), bit("BCD", 0))
_STATUS_FIELDS: Final = (bit("OUT", 7, nature="time"), bit("NULL COUNT", 6), *_MODE_FIELDS)
_SELECT_FIELDS: Final = (bit("CNT2", 3), bit("CNT1", 2), bit("CNT0", 1))


def _counter(number: int) -> tuple[Register, ...]:
    """One counter's registers. It is a part: nothing but its own registers and commands changes it."""
    part, name = f"counter {number}", f"Counter {number}"
    count = partial(Register, name, hz=PIT_HZ, counts="down", part=part)
    return (
        count(f"Count of counter {number}, a byte at a time", number, "rw", bank=COUNT, programs=True),
        count(f"Count of counter {number}, upper byte", number, "rw", bank=COUNT_MSB, step=0x100, programs=True),
        Register(
            f"Status {number}", f"Latched status of counter {number}", number, "r", _STATUS_FIELDS, STATUS, part=part
        ),
    )


REGISTERS: Final = RegisterMap(
    *_counter(0), *_counter(1), *_counter(2),
    Register("Control Word", "Access, mode and number format of a counter", 3, "w", (_SC, *_MODE_FIELDS), COMMAND),
    Register("Counter Latch", "Latch the count of a counter", 3, "w", (_SC,), LATCH),
    Register(
        "Read-Back", "Latch counts and states", 3, "w",
        (_SC, bit("COUNT#", 5), bit("STATUS#", 4), *_SELECT_FIELDS), READ_BACK,
    ),
    Register("Control Word read-back", "Port 0x43 as read", 3, "r", reset=0x00, source="QEMU"),
    banks=(COUNT, COUNT_MSB, STATUS, COMMAND, LATCH, READ_BACK),
)  # fmt: skip

CONTROL_OFFSET: Final = 3

RW_LSB, RW_MSB, RW_BOTH = 1, 2, 3
SC_READ_BACK: Final = 3
READ_BACK_COUNT_N, READ_BACK_STATUS_N, READ_BACK_CNT0 = 0x20, 0x10, 0x02
STATUS_OUT: Final = 0x80

FULL_COUNT: Final = 0x10000
NOTHING_LATCHED: Final = -1


_SHOWN: Final = (
    "access", "bcd", "count", "gate", "latched_access", "latched_count", "latched_status", "loaded_ns", "mode",
    "msb_read_next", "msb_write_next", "written_lsb",
)  # fmt: skip
"""Of a counter's members those that are its state."""


class _Counter:
    """One counter. Its count is a function of the time since it was loaded; nothing runs."""

    __slots__ = (*_SHOWN, "_clock", "bank")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.bank = COUNT
        """What its last access reached: a count or a status."""
        self.access = 0
        self.bcd = 0
        self.msb_read_next = False
        self.msb_write_next = False
        self.written_lsb = 0
        self.latched_access = 0
        """Which bytes of `latched_count` are still to be read: RW_LSB, RW_MSB, RW_BOTH, or 0 for none."""
        self.latched_count = 0
        self.latched_status = NOTHING_LATCHED

    def reset(self, gate: bool, now_ns: int) -> None:
        self.gate = gate
        self.mode = 3
        self.count = FULL_COUNT
        self.loaded_ns = now_ns

    def read(self) -> int:
        """A latched status, or the next byte of the latched count, or else of the running one [Read Operations]."""
        if self.latched_status != NOTHING_LATCHED:  # comes before a count latched with it [Read-Back Command]
            status = self.latched_status
            self.latched_status = NOTHING_LATCHED
            self.bank = STATUS
            return status
        self.bank = COUNT
        if self.latched_access:
            if self.latched_access == RW_BOTH:
                self.latched_access = RW_MSB
                return self.latched_count & 0xFF
            msb = self.latched_access == RW_MSB
            self.latched_access = 0
            return self.latched_count >> 8 if msb else self.latched_count & 0xFF
        if self.access == RW_BOTH:
            msb = self.msb_read_next
            self.msb_read_next = not msb
        else:
            msb = self.access == RW_MSB
        return self.counting_element(self._clock.now_ns) >> (8 if msb else 0) & 0xFF

    def showed_msb(self) -> bool:
        """Whether the last read, if it was of a count, was of its upper byte."""
        if self.access == RW_BOTH:
            return not self.latched_access and not self.msb_read_next
        return self.access == RW_MSB

    def write(self, value: int, now_ns: int) -> bool:
        """Take a byte of the count [Write Operations]. True if that completes and loads it."""
        self.bank = COUNT
        if self.access == RW_BOTH:
            if not self.msb_write_next:
                self.written_lsb = value
                self.msb_write_next = True
                return False
            self.msb_write_next = False
            value = self.written_lsb | value << 8
        elif self.access == RW_MSB:
            value <<= 8
        self.count = value or FULL_COUNT
        self.loaded_ns = now_ns
        return True

    def program(self, command: int) -> None:
        """Take a control word that is not a latch command [Control Word Format]."""
        self.access = command >> 4 & 0b11
        self.mode = command >> 1 & 0b111
        self.bcd = command & 1
        self.msb_read_next = False
        self.msb_write_next = False

    def latch_count(self, now_ns: int) -> None:
        """Hold the count until it is read; a second latch before that is ignored [Counter Latch Command]."""
        if not self.latched_access:
            self.latched_count = self.counting_element(now_ns) & 0xFFFF
            self.latched_access = self.access

    def latch_status(self, now_ns: int) -> None:
        """Hold the status until it is read; a second latch before that is ignored [Read-Back Command]."""
        if self.latched_status == NOTHING_LATCHED:
            out = STATUS_OUT if self.out(now_ns) else 0
            self.latched_status = out | self.access << 4 | self.mode << 1 | self.bcd

    def trigger(self, gate: bool, now_ns: int) -> bool:
        """Set the gate. True if its edge starts the count anew [Gate]."""
        starts = gate and not self.gate and self.mode in (1, 2, 3, 5)
        self.gate = gate
        if starts:
            self.loaded_ns = now_ns
        return starts

    # Derived state. `elapsed` is in ticks since the count was loaded.

    def counting_element(self, now_ns: int) -> int:
        """The running count: 0..65536, where 65536 reads as 0."""
        elapsed = (now_ns - self.loaded_ns) * PIT_HZ // NANOSECONDS_PER_SECOND
        if self.mode == 3:
            return self.count - 2 * elapsed % self.count
        if self.mode in (0, 1, 4, 5):
            return self.count - elapsed & 0xFFFF
        return self.count - elapsed % self.count

    def out(self, now_ns: int) -> bool:
        """The level of OUT."""
        elapsed = (now_ns - self.loaded_ns) * PIT_HZ // NANOSECONDS_PER_SECOND
        if self.mode == 2:
            return elapsed > 0 and elapsed % self.count == 0
        if self.mode == 3:
            return elapsed % self.count < self.count + 1 >> 1
        if self.mode in (4, 5):
            return elapsed == self.count
        return elapsed >= self.count

    def next_timer_ns(self, now_ns: int) -> int:
        """When, after `now_ns`, QEMU looks at OUT again (ns); `NEVER` if OUT stays as it is."""
        elapsed = (now_ns - self.loaded_ns) * PIT_HZ // NANOSECONDS_PER_SECOND
        count = self.count
        tick = count
        if self.mode == 2:
            into_period = elapsed % count
            tick = elapsed - into_period + count
            if into_period or not elapsed:
                tick += 1
        elif self.mode == 3:
            into_period = elapsed % count
            half = count + 1 >> 1
            tick = elapsed - into_period + (half if into_period < half else count)
        elif self.mode in (4, 5) and elapsed == count:
            tick += 1
        elif elapsed >= count:
            return NEVER
        return max(self.loaded_ns + tick * NANOSECONDS_PER_SECOND // PIT_HZ, now_ns + 1)


class I8254(Device):
    """The timer.

    Args:
        clock: the machine's clock.
        irq0: driven by OUT of counter 0.
    """

    title = "Interval timer (PIT)"
    registers = REGISTERS
    kept_by_reset = ("irq0", "*.access", "*.bcd", "*.latched_*", "*.msb_*_next", "*.written_lsb")

    def __init__(self, clock: Clock, irq0: Line) -> None:
        self._clock = clock
        self._irq0 = irq0
        self._timer = clock.timer(self._update_irq0)
        self._drives_irq0 = True
        self._counters = (_Counter(clock), _Counter(clock), _Counter(clock))
        self._command = COMMAND
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, Line())

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`. Guests poll a counter to wait."""
        if size > 1 or offset == CONTROL_OFFSET:
            return super().reader(offset, size)
        return self._counters[offset].read

    def read(self, offset: int, size: int) -> int:
        """Read a status, a byte of a count, or 0 from the control word."""
        return 0 if offset == CONTROL_OFFSET else self._counters[offset].read()

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a byte of a count or a control word."""
        if offset == CONTROL_OFFSET:
            self._write_control(value)
            return
        if self._counters[offset].write(value, self._clock.now_ns) and offset == 0:
            self._update_irq0()

    def reset(self) -> None:
        """Restart the counters. QEMU sets only the timer: IRQ 0 stays as it is until that fires."""
        now_ns = self._clock.now_ns
        for number, counter in enumerate(self._counters):
            counter.reset(gate=number != 2, now_ns=now_ns)
        if self._drives_irq0:
            self._timer.arm(self._counters[0].next_timer_ns(now_ns))

    def state(self) -> Mapping[str, int]:
        """Each counter's programming and latches, its count and OUT at present."""
        now_ns = self._clock.now_ns
        state: dict[str, int] = {"irq0": int(self._irq0.level), "irq0_enabled": int(self._drives_irq0)}
        for number, counter in enumerate(self._counters):
            state |= {f"counter{number}.{name}": int(getattr(counter, name)) for name in _SHOWN}
            state[f"counter{number}.counting_element"] = counter.counting_element(now_ns)
            state[f"counter{number}.out"] = int(counter.out(now_ns))
        return state

    def bank(self, offset: int) -> str | None:
        """What the last access at `offset` reached: a byte of a count, or a status; which of the three commands."""
        if offset == CONTROL_OFFSET:
            return self._command
        counter = self._counters[offset]
        return COUNT_MSB if counter.bank == COUNT and counter.showed_msb() else counter.bank

    # What port 61h is wired to

    def gate(self, counter: int) -> bool:
        """The level of GATE of `counter` (0-2)."""
        return self._counters[counter].gate

    def set_gate(self, counter: int, level: bool) -> None:
        """Drive GATE of `counter` (0-2)."""
        if self._counters[counter].trigger(level, self._clock.now_ns) and counter == 0:
            self._update_irq0()

    def out(self, counter: int) -> bool:
        """The level of OUT of `counter` (0-2) at present."""
        return self._counters[counter].out(self._clock.now_ns)

    # What an HPET is wired to

    def enable_irq0(self, enabled: bool) -> None:
        """Let counter 0 drive IRQ 0, or leave the line as it is."""
        self._drives_irq0 = enabled
        if enabled:
            self._update_irq0()
        else:
            self._timer.cancel()

    # Commands

    def _write_control(self, value: int) -> None:
        select = value >> 6
        if select == SC_READ_BACK:
            self._command = READ_BACK
            self._read_back(value)
        elif value & 0x30:
            self._command = COMMAND
            self._counters[select].program(value)
        else:
            self._command = LATCH
            self._counters[select].latch_count(self._clock.now_ns)

    def _read_back(self, command: int) -> None:
        """Latch what the zeros in bits 5 and 4 ask for, of each counter selected [Read-Back Command]."""
        now_ns = self._clock.now_ns
        for number, counter in enumerate(self._counters):
            if command & READ_BACK_CNT0 << number:
                if not command & READ_BACK_COUNT_N:
                    counter.latch_count(now_ns)
                if not command & READ_BACK_STATUS_N:
                    counter.latch_status(now_ns)

    # Interrupt

    def _update_irq0(self) -> None:
        """Drive IRQ 0 with OUT, and look again when QEMU does. Called when a count starts and by the timer."""
        if not self._drives_irq0:
            return
        counter = self._counters[0]
        now_ns = self._clock.now_ns
        self._timer.arm(counter.next_timer_ns(now_ns))
        self._irq0.set(counter.out(now_ns))
