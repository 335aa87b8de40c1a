"""High precision event timers (HPET): a main counter of 100 MHz and comparators, in 1 KiB of memory.

Source: IA-PC HPET (High Precision Event Timers) Specification 1.0a, section 2.3 "Register Definitions".

Modelled: all registers in accesses of four and eight bytes; the main counter, exact to the nanosecond of the virtual
clock; one-shot and periodic timers of 32 and 64 bits with Tn_VAL_SET_CNF and the interrupt at the wrap of 32 bits; edge
and level interrupts with their status; legacy replacement, which takes IRQ 0 from the 8254 and IRQ 8 from the RTC;
FSB (MSI) delivery, where the device was made with it.

Not modelled: with the host's clock, that QEMU's timers run some time late.

With the host's clock a recording has the time at which an access was seen, which may be milliseconds after it was made.
When the guest starts the main counter, that time counts for all that follows: so the first read after it teaches when
the counter was started, and later ones are checked.

Follows QEMU where the guest can see a difference from the specification:
- Accesses of one or two bytes read 0 and write nothing; a misaligned access falls apart into aligned ones.
- Reserved and unimplemented registers read 0. One timer beyond the last can be read and written; it starts as zeros and
  never counts until it is written.
- The timers run whether or not they may interrupt, and an edge-triggered timer that runs out without being enabled
  drives its interrupt low. Disabling a timer does not stop it.
- The main counter can be written while it runs, which shows only once it is halted and started again: until then
  nothing changes, and halting puts the running count back.
- A periodic timer fires a microsecond after its last firing at the earliest. One that fires at the very tick of its
  comparator, because the processor was halted, has not reached it, and fires again a microsecond later.
- In periodic mode the comparator takes writes with Tn_VAL_SET_CNF only; each write changes the period and clears that
  bit. In 32-bit mode the high half of the comparator cannot be written.
- A level interrupt stays in its status bit when its timer or the counter is stopped; only the line falls.
- Reset leaves the FSB routes as they are, and status bits too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND, NEVER, Clock
from ..device import Device, Unknown
from ..registers import Field, Register, RegisterMap, bit
from .misaligned import read_pieces, write_pieces

TIMERS: Final = 3
MOST_TIMERS: Final = 32
PERIOD_NS: Final = 10
FREQUENCY_HZ: Final = NANOSECONDS_PER_SECOND // PERIOD_NS

GCAP_ID, GEN_CONF, GINTR_STA, MAIN_CNT = 0x000, 0x010, 0x020, 0x0F0
TIMER_0, TIMER_SPAN, END = 0x100, 0x20, 0x400
CONF, COMP, FSB_ROUTE = 0x00, 0x08, 0x10

ENABLE_CNF, LEG_RT_CNF = 0x1, 0x2
INT_TYPE_CNF, INT_ENB_CNF, TYPE_CNF, PER_INT_CAP, SIZE_CAP, VAL_SET_CNF = 0x02, 0x04, 0x08, 0x10, 0x20, 0x40
MODE32_CNF, INT_ROUTE_CNF, FSB_EN_CNF, FSB_INT_DEL_CAP = 0x0100, 0x3E00, 0x4000, 0x8000
INT_ROUTE_SHIFT: Final = 9
CONF_WRITABLE: Final = INT_TYPE_CNF | INT_ENB_CNF | TYPE_CNF | VAL_SET_CNF | MODE32_CNF | INT_ROUTE_CNF | FSB_EN_CNF
NOT_PLAIN_CNF: Final = MODE32_CNF | TYPE_CNF | VAL_SET_CNF

CAPABILITIES: Final = 0x8086_A001 | PERIOD_NS * 1_000_000 << 32
"""Vendor 8086h, legacy replacement, 64 bits, revision 1; the period in femtoseconds. The number of timers is added."""
NUM_TIM_SHIFT: Final = 8

IRQ_PIT, IRQ_RTC = 0, 8
SHORTEST_NS: Final = 1000
"""A periodic timer fires no sooner after its last firing."""
MASK_32, MASK_64 = (1 << 32) - 1, (1 << 64) - 1


def _timer_registers(n: int) -> tuple[Register, ...]:
    at = TIMER_0 + n * TIMER_SPAN
    conf = (
        Field("Tn_INT_ROUTE_CAP", 63, 32), bit("Tn_FSB_INT_DEL_CAP", 15), bit("Tn_FSB_EN_CNF", 14),
        Field("Tn_INT_ROUTE_CNF", 13, 9), bit("Tn_32MODE_CNF", 8), bit("Tn_VAL_SET_CNF", 6), bit("Tn_SIZE_CAP", 5),
        bit("Tn_PER_INT_CAP", 4), bit("Tn_TYPE_CNF", 3, {0: "one-shot", 1: "periodic"}), bit("Tn_INT_ENB_CNF", 2),
        bit("Tn_INT_TYPE_CNF", 1, {0: "edge", 1: "level"}),
    )  # fmt: skip
    route = (Field("Tn_FSB_INT_ADDR", 63, 32), Field("Tn_FSB_INT_VAL", 31, 0))
    return (
        Register(f"TIM{n}_CONF", f"Timer {n} configuration and capability", at, "rw", conf, width=64, source="2.3.8"),
        Register(f"TIM{n}_COMP", f"Timer {n} comparator", at + COMP, "rw", (), None, MASK_64, 64, "2.3.9"),
        Register(
            f"TIM{n}_FSB", f"Timer {n} FSB interrupt route", at + FSB_ROUTE, "rw", route, width=64, source="2.3.10"
        ),
    )  # fmt: skip


REGISTERS: Final = RegisterMap(
    Register(
        "GCAP_ID", "General capabilities and ID; writes are ignored", GCAP_ID, "rw",
        (
            Field("COUNTER_CLK_PERIOD", 63, 32), Field("VENDOR_ID", 31, 16), bit("LEG_RT_CAP", 15),
            bit("COUNT_SIZE_CAP", 13, {0: "32 bits", 1: "64 bits"}), Field("NUM_TIM_CAP", 12, 8), Field("REV_ID", 7, 0),
        ),
        reset=CAPABILITIES | TIMERS - 1 << NUM_TIM_SHIFT, width=64, source="2.3.4",
    ),
    Register(
        "GEN_CONF", "General configuration", GEN_CONF, "rw", (bit("LEG_RT_CNF", 1), bit("ENABLE_CNF", 0)),
        reset=0, width=64, source="2.3.5",
    ),
    Register(
        "GINTR_STA", "General interrupt status; 1 clears", GINTR_STA, "rw",
        tuple(bit(f"T{n}_INT_STS", n) for n in range(TIMERS)), width=64, source="2.3.6",
    ),
    Register("MAIN_CNT", "Main counter value", MAIN_CNT, "rw", reset=0, width=64, source="2.3.7", hz=FREQUENCY_HZ),
    *(register for n in range(TIMERS) for register in _timer_registers(n)),
)  # fmt: skip


class _Timer:
    """One timer. `target` is the comparator as the full count at which it is next reached."""

    __slots__ = ("armed_ns", "comp", "conf", "fsb", "mask", "number", "period", "target", "timer", "wraps")

    def __init__(self, clock: Clock, number: int, fire: Callable[[_Timer], None]) -> None:
        self.number = number
        self.mask = 1 << number
        self.timer = clock.timer(partial(fire, self))
        self.conf = self.comp = self.fsb = self.period = self.target = 0
        self.armed_ns = 0
        """For when it was last armed, in ns."""
        self.wraps = False
        """Whether it fires next because the 32-bit counter wraps."""


class Hpet(Device):
    """The timer block.

    Args:
        clock: the machine's virtual clock.
        outputs: what sets the level of each of the interrupts 0 to 31 (GSIs). No `Line`s, since QEMU repeats levels.
        timers: how many timers it has, 3 to 32.
        int_route_cap: the interrupts that a timer may use, a bit each.
        msi: sends an FSB interrupt, given address and data; None if the device cannot.
        pit_enabled: told whether the 8254 drives IRQ 0.
        exact: whether the recording has the device's own time.
    """

    title = "High precision event timers (HPET)"
    registers = REGISTERS
    width = 8
    kept_by_reset = ("TIM*_FSB", "GINTR_STA", "*_armed_ns", "TIM3_*", "*_target")

    def __init__(
        self,
        clock: Clock,
        outputs: Mapping[int, Callable[[bool], None]],
        *,
        timers: int = TIMERS,
        int_route_cap: int = 0x4,
        msi: Callable[[int, int], None] | None = None,
        pit_enabled: Callable[[bool], None] | None = None,
        exact: bool = True,
    ) -> None:
        self._clock = clock
        self._outputs = outputs
        self._msi = msi
        self._pit_enabled = pit_enabled
        self._exact = exact
        self._count = timers
        self._conf_reset = int_route_cap << 32 | PER_INT_CAP | SIZE_CAP | (FSB_INT_DEL_CAP if msi else 0)
        self._capabilities = CAPABILITIES | timers - 1 << NUM_TIM_SHIFT
        self._timers = [_Timer(clock, number, self._fire) for number in range(min(timers + 1, MOST_TIMERS))]
        self._readers: dict[int, Callable[[], int]] = {
            GCAP_ID: self._read_capabilities, GEN_CONF: self._read_config, GINTR_STA: self._read_status,
            MAIN_CNT: self._read_counter,
        }  # fmt: skip
        self._writers: dict[int, Callable[[int, int], None]] = {  # they take the mask of what is written, and the value
            GEN_CONF: self._write_config, GINTR_STA: self._write_status, MAIN_CNT: self._write_counter,
        }  # fmt: skip
        for timer in self._timers:
            at = TIMER_0 + timer.number * TIMER_SPAN
            for offset, member in ((CONF, "conf"), (COMP, "comp"), (FSB_ROUTE, "fsb")):
                self._readers[at + offset] = partial(getattr, timer, member)
            self._writers[at + CONF] = partial(self._write_timer_conf, timer)
            self._writers[at + COMP] = partial(self._write_comparator, timer)
            self._writers[at + FSB_ROUTE] = partial(self._write_fsb, timer)
        self._status = 0
        self._rtc_level = self._pit_level = False
        self._config = 0
        self._untaught = False
        """Whether the counter was started at a time that only the recording knows."""
        self._offset_ns = 0
        """Main counter = (now + offset) / period, while it runs."""
        self._counter = 0
        """The main counter while it is halted, and what the guest wrote into it while it runs."""
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, dict.fromkeys(range(32), lambda level: None), msi=lambda address, data: None)

    def reset(self) -> None:
        """See `Device.reset`. FSB routes and status stay, as in QEMU."""
        for timer in self._timers[: self._count]:
            self._stop(timer)
            timer.comp = MASK_64
            timer.conf = self._conf_reset
            timer.period = 0
            timer.wraps = False
        replaced_legacy = self._config & LEG_RT_CNF
        self._counter = self._offset_ns = self._config = 0
        self._rtc_level = False
        if replaced_legacy and self._pit_enabled:
            self._pit_enabled(True)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        state = {
            "GEN_CONF": self._config,
            "GINTR_STA": self._status,
            "halted_counter": self._counter,
            "offset_ns": self._offset_ns,
            "rtc_level": int(self._rtc_level),
            "untaught": int(self._untaught),
        }
        for timer in self._timers:
            name = f"TIM{timer.number}"
            state |= {f"{name}_CONF": timer.conf, f"{name}_COMP": timer.comp, f"{name}_FSB": timer.fsb}
            state |= {f"{name}_period": timer.period, f"{name}_target": timer.target, f"{name}_wraps": int(timer.wraps)}
            state |= {f"{name}_armed_ns": timer.armed_ns, f"{name}_deadline_ns": timer.timer.deadline_ns}
        return state

    # What comes from the 8254 and the RTC passes through here

    def pit(self, level: bool) -> None:
        """The output of the 8254's counter 0."""
        if not self._config & LEG_RT_CNF:
            self._outputs[IRQ_PIT](level)

    def rtc(self, level: bool) -> None:
        """The interrupt of the real-time clock."""
        self._rtc_level = level
        if not self._config & LEG_RT_CNF:
            self._outputs[IRQ_RTC](level)

    # Accesses

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`: the main counter is read a hundred thousand times."""
        if size == 8 and not offset & 7:
            return self._readers.get(offset, self._read_nothing)
        if size == 4 and offset == MAIN_CNT:
            return self._read_counter_low
        return super().reader(offset, size)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`. A comparator may be written as often as the counter is read."""
        write = self._writers.get(offset) if size == 8 else None
        if write is None:
            return super().writer(offset, size)
        number, register = divmod(offset - TIMER_0, TIMER_SPAN)
        if register == COMP and number >= 0:
            return partial(self._write_whole_comparator, self._timers[number])
        return partial(write, MASK_64)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset & size - 1:
            return read_pieces(self.read, offset, size)
        if size < 4:
            return 0
        value = self._readers.get(offset & ~4, self._read_nothing)()
        if size == 8:
            return value
        if isinstance(value, Unknown):  # the upper half is not that far off
            return self._ticks() >> 32 if offset & 4 else Unknown(0, MASK_32, value.learn)
        return value >> 32 if offset & 4 else value & MASK_32

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset & size - 1:
            write_pieces(self.write, offset, size, value)
            return
        if size < 4:
            return
        writer = self._writers.get(offset & ~4)
        if writer:
            mask = MASK_64 if size == 8 else MASK_32
            writer(mask << 32, value << 32) if offset & 4 else writer(mask, value)

    def _read_nothing(self) -> int:
        return 0

    def _read_capabilities(self) -> int:
        return self._capabilities

    def _read_config(self) -> int:
        return self._config

    def _read_status(self) -> int:
        return self._status

    def _read_counter(self) -> int:
        if not self._config & ENABLE_CNF:
            return self._counter
        if self._untaught:
            return Unknown(0, MASK_64, self._learn_counter)
        return (self._clock.now_ns + self._offset_ns) // PERIOD_NS & MASK_64

    def _read_counter_low(self) -> int:
        if self._untaught or not self._config & ENABLE_CNF:
            return self.read(MAIN_CNT, 4)
        return (self._clock.now_ns + self._offset_ns) // PERIOD_NS & MASK_32

    def _learn_counter(self, value: int) -> None:
        """The counter, or its low half, shows `value` now."""
        self._untaught = False
        difference = value - self._ticks() & MASK_32
        self._offset_ns += (difference - (difference >> 31 << 32)) * PERIOD_NS

    # Of a written value, `mask` has the bits that the access reaches

    def _write_config(self, mask: int, value: int) -> None:
        """2.3.5: what is written to the reserved bits is dropped."""
        old = self._config
        self._config = new = (old & ~mask | value & mask) & (ENABLE_CNF | LEG_RT_CNF)
        changed = old ^ new
        if changed & new & ENABLE_CNF:
            self._offset_ns = self._counter * PERIOD_NS - self._clock.now_ns
            self._untaught = not self._exact
            for timer in self._timers[: self._count]:
                if timer.conf & INT_ENB_CNF and self._status & timer.mask:
                    self._interrupt(timer, True)
                self._start(timer)
        elif changed & ENABLE_CNF:
            self._counter = self._ticks()
            for timer in self._timers[: self._count]:
                self._stop(timer)
        if changed & LEG_RT_CNF:
            self._outputs[IRQ_PIT](False)
            if self._pit_enabled:
                self._pit_enabled(not new & LEG_RT_CNF)
            self._outputs[IRQ_RTC](self._rtc_level and not new & LEG_RT_CNF)

    def _write_status(self, mask: int, value: int) -> None:
        """2.3.6: a 1 clears."""
        cleared = value & self._status
        for timer in self._timers[: self._count]:
            if cleared & timer.mask:
                self._interrupt(timer, False)

    def _write_counter(self, mask: int, value: int) -> None:
        self._counter = self._counter & ~mask | value & mask

    def _write_timer_conf(self, timer: _Timer, mask: int, value: int) -> None:
        """2.3.8."""
        old = timer.conf
        mask &= CONF_WRITABLE
        new = old & ~mask | value & mask
        if old & ~new & INT_TYPE_CNF:
            self._interrupt(timer, False)
        timer.conf = new
        if new & ~old & INT_ENB_CNF and self._status & timer.mask:
            self._interrupt(timer, True)
        if new & MODE32_CNF:
            timer.comp &= MASK_32
            timer.period &= MASK_32
        if self._config & ENABLE_CNF:
            self._start(timer)

    def _write_comparator(self, timer: _Timer, mask: int, value: int) -> None:
        """2.3.9."""
        conf = timer.conf
        if conf & MODE32_CNF:
            if not mask & MASK_32:
                return
            value &= MASK_32
            mask = MASK_64
        if not conf & TYPE_CNF or conf & VAL_SET_CNF:
            timer.comp = timer.comp & ~mask | value & mask
        if conf & TYPE_CNF:
            timer.period = timer.period & ~mask | value & mask
        timer.conf = conf & ~VAL_SET_CNF
        if self._config & ENABLE_CNF:
            self._start(timer)

    def _write_whole_comparator(self, timer: _Timer, value: int) -> None:
        """As `_write_comparator`, in short for what guests write most often: one shot of 64 bits."""
        if timer.conf & NOT_PLAIN_CNF or not self._config & ENABLE_CNF:
            self._write_comparator(timer, MASK_64, value)
            return
        timer.wraps = False
        timer.comp = timer.target = value
        timer.armed_ns = ns = value * PERIOD_NS - self._offset_ns & MASK_64
        now_ns = self._clock.now_ns
        if ns > now_ns:
            timer.timer.arm(ns if ns < NEVER else now_ns)
        elif timer.timer.is_over(ns):
            self._interrupt(timer, True)

    def _write_fsb(self, timer: _Timer, mask: int, value: int) -> None:
        timer.fsb = timer.fsb & ~mask | value & mask

    # The timers

    def _ticks(self, lateness_ns: int = 0) -> int:
        return (self._clock.now_ns + lateness_ns + self._offset_ns) // PERIOD_NS & MASK_64

    def _start(self, timer: _Timer) -> None:
        """Set a timer to when the main counter next reaches the comparator, or in 32 bits wraps before that."""
        now = self._ticks()
        timer.wraps = False
        target = timer.comp
        if timer.conf & MODE32_CNF:
            target = now & ~MASK_32 | timer.comp & MASK_32
            if target < now:
                target += 1 << 32
            wrap = (now | MASK_32) + 1
            if not timer.conf & TYPE_CNF and target > wrap:
                timer.wraps = True
        timer.target = target & MASK_64
        self._arm(timer, wrap if timer.wraps else target)

    def _arm(self, timer: _Timer, tick: int) -> None:
        ns = tick * PERIOD_NS - self._offset_ns & MASK_64
        if timer.conf & TYPE_CNF and (ns - timer.armed_ns & MASK_64) < SHORTEST_NS:
            ns = timer.armed_ns + SHORTEST_NS & MASK_64
        timer.armed_ns = ns
        timer.timer.arm(ns if ns < NEVER else self._clock.now_ns)  # QEMU takes it as negative, thus as in the past

    def _fire(self, timer: _Timer) -> None:
        if timer.conf & TYPE_CNF and timer.period:
            late = self._ticks(self._clock.lateness_ns) - timer.target & MASK_64
            if 0 < late < NEVER:
                timer.target = timer.target - -late // timer.period * timer.period & MASK_64
            timer.comp = timer.target & (MASK_32 if timer.conf & MODE32_CNF else MASK_64)
            self._arm(timer, timer.target)
            if timer.timer.deadline_ns <= self._clock.now_ns and late >= NEVER:
                timer.timer.cancel()  # its time has wrapped: QEMU fires it for ever and never gets to the guest again
        elif timer.wraps:
            timer.wraps = False
            self._arm(timer, timer.target)
        self._interrupt(timer, True)

    def _stop(self, timer: _Timer) -> None:
        """The main counter halts: the line falls, the status stays."""
        timer.timer.cancel()
        if self._status & timer.mask:
            self._interrupt(timer, True)

    def _interrupt(self, timer: _Timer, wanted: bool) -> None:
        """2.3.6, 2.3.8: the status and the interrupt of a timer that has run out, or is to be quiet."""
        conf = timer.conf
        level = conf & INT_TYPE_CNF
        if wanted and level:
            self._status |= timer.mask
        else:
            self._status &= ~timer.mask
        route = (conf & INT_ROUTE_CNF) >> INT_ROUTE_SHIFT
        if self._config & LEG_RT_CNF and timer.number <= 1:
            route = IRQ_RTC if timer.number else IRQ_PIT
        if wanted and conf & INT_ENB_CNF and self._config & ENABLE_CNF:
            if conf & FSB_EN_CNF:
                if self._msi:
                    self._msi(timer.fsb >> 32, timer.fsb & MASK_32)
                return
            self._outputs[route](True)
            if not level:
                self._outputs[route](False)
        elif not conf & FSB_EN_CNF:
            self._outputs[route](False)
