"""HPET: statements of the IA-PC HPET Specification 1.0a, and where QEMU differs from it."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.hpet import MASK_64, Hpet

GCAP_ID, GEN_CONF, GINTR_STA, MAIN_CNT = 0x000, 0x010, 0x020, 0x0F0
CONF, COMP, FSB = 0x100, 0x108, 0x110
ENABLE, LEGACY = 1, 2
LEVEL, INT, PERIODIC, VAL_SET, MODE_32, FSB_EN = 0x02, 0x04, 0x08, 0x40, 0x100, 0x4000


class Machine:
    """An HPET, what it drives, and the clock."""

    def __init__(self, step_ns: int = 0, **options: object) -> None:
        self.clock = Clock(step_ns=step_ns)
        self.edges: list[tuple[int, int, bool]] = []
        """(time, interrupt, level)"""
        self.messages: list[tuple[int, int]] = []
        self.pit_enabled: list[bool] = []
        self.hpet = Hpet(
            self.clock,
            {gsi: partial(self.drive, gsi) for gsi in range(32)},
            msi=lambda address, data: self.messages.append((address, data)),
            pit_enabled=self.pit_enabled.append,
            **options,  # type: ignore[arg-type]
        )

    def drive(self, gsi: int, level: bool) -> None:
        self.edges.append((self.clock.now_ns, gsi, level))

    def read(self, offset: int, size: int = 8) -> int:
        return self.hpet.reader(offset, size)()

    def write(self, offset: int, value: int, size: int = 8) -> None:
        self.hpet.writer(offset, size)(value)

    def advance(self, ns: int) -> None:
        self.clock.advance(self.clock.now_ns + ns)

    def at(self, gsi: int) -> list[tuple[int, bool]]:
        """When it changed. The timers that were never set time out at once, and drive interrupt 0 low."""
        return [(t_ns, level) for t_ns, number, level in self.edges if number == gsi]

    def pulses(self, gsi: int) -> list[int]:
        """When it pulsed."""
        return [t_ns for t_ns, number, level in self.edges if number == gsi and level]


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Registers


def test_capabilities_tell_period_vendor_and_number_of_timers(machine: Machine) -> None:
    """2.3.4: 10 ns are 10,000,000 fs; NUM_TIM_CAP is the last timer's number."""
    assert machine.read(GCAP_ID) == 10_000_000 << 32 | 0x8086_A201
    assert Machine(timers=8).read(GCAP_ID, 4) == 0x8086_A701


def test_capabilities_cannot_be_written(machine: Machine) -> None:
    machine.write(GCAP_ID, 0)
    assert machine.read(GCAP_ID, 4) == 0x8086_A201


def test_the_main_counter_stands_until_it_is_enabled(machine: Machine) -> None:
    """2.3.5: ENABLE_CNF; 2.3.7: the counter is writable while halted."""
    machine.advance(1000)
    machine.write(MAIN_CNT, 0x1_0000_0005)
    machine.advance(1000)
    assert machine.read(MAIN_CNT) == 0x1_0000_0005
    machine.write(GEN_CONF, ENABLE)
    machine.advance(999)
    assert machine.read(MAIN_CNT) == 0x1_0000_0005 + 99
    machine.write(GEN_CONF, 0)
    machine.advance(1000)
    assert machine.read(MAIN_CNT) == 0x1_0000_0005 + 99


def test_the_counter_can_be_accessed_in_halves(machine: Machine) -> None:
    machine.write(MAIN_CNT, 0x11111111, 4)
    machine.write(MAIN_CNT + 4, 0x22222222, 4)
    assert (machine.read(MAIN_CNT, 4), machine.read(MAIN_CNT + 4, 4)) == (0x11111111, 0x22222222)
    assert machine.read(MAIN_CNT) == 0x2222222211111111


def test_a_write_to_the_running_counter_does_not_show(machine: Machine) -> None:
    """QEMU: halting puts the running count back."""
    machine.write(GEN_CONF, ENABLE)
    machine.advance(100)
    machine.write(MAIN_CNT, 0x500)
    assert machine.read(MAIN_CNT) == 10
    machine.write(GEN_CONF, 0)
    assert machine.read(MAIN_CNT) == 10


@pytest.mark.parametrize("size", [1, 2])
def test_narrow_accesses_read_zero_and_write_nothing(machine: Machine, size: int) -> None:
    machine.write(GEN_CONF, 1, size)
    assert machine.read(GEN_CONF) == 0
    assert machine.read(GCAP_ID, size) == 0


def test_misaligned_accesses_fall_apart(machine: Machine) -> None:
    """QEMU's TCG: eight bytes at 4 are two halves; four at 2 are two words, which are refused."""
    assert machine.read(GCAP_ID + 4, 8) == 10_000_000
    assert machine.read(GCAP_ID + 2, 4) == 0
    machine.write(MAIN_CNT - 4, 0x77_0000_0000, 8)
    assert machine.read(MAIN_CNT) == 0x77


@pytest.mark.parametrize("offset", [0x008, 0x030, 0x118, 0x180, 0x3F8])
def test_reserved_registers_read_zero(machine: Machine, offset: int) -> None:
    machine.write(offset, MASK_64)
    assert machine.read(offset) == 0


def test_one_timer_beyond_the_last_can_be_accessed(machine: Machine) -> None:
    """QEMU: an off-by-one of its own."""
    machine.write(0x160, 0xFFFF, 4)
    assert machine.read(0x160, 4) == 0x7F4E
    assert Machine(timers=32).read(0x3E0 + 8) == MASK_64


def test_timer_configuration_keeps_its_writable_bits(machine: Machine) -> None:
    """2.3.8: capabilities are read-only."""
    machine.write(CONF, MASK_64)
    assert machine.read(CONF) == 0x4_0000_FF7E
    assert Machine(int_route_cap=0xFF0104).read(CONF + 4, 4) == 0xFF0104


def test_32_bit_mode_cuts_the_comparator(machine: Machine) -> None:
    """2.3.8: Tn_32MODE_CNF; in QEMU the upper half cannot be written then."""
    machine.write(CONF, MODE_32, 4)
    assert machine.read(COMP) == 0xFFFF_FFFF
    machine.write(COMP + 4, 1, 4)
    machine.write(COMP, 0x1_0000_0007)
    assert machine.read(COMP) == 7


def test_the_fsb_route_keeps_address_and_value(machine: Machine) -> None:
    machine.write(FSB, 0xFEE0_0000_0000_0031)
    assert machine.read(FSB + 4, 4) == 0xFEE0_0000


# Timers


def test_a_one_shot_timer_interrupts_once_at_its_comparator(machine: Machine) -> None:
    """2.3.9.2: non-periodic mode."""
    machine.write(CONF, INT | 2 << 9, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(10_000_000)
    assert machine.pulses(2) == [1000]
    assert machine.read(GINTR_STA) == 0


def test_an_edge_interrupt_is_a_pulse(machine: Machine) -> None:
    machine.write(CONF, INT | 2 << 9, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.edges.clear()
    machine.advance(2000)
    assert machine.at(2) == [(1000, True), (1000, False)]


def test_a_level_interrupt_stays_until_its_status_is_cleared(machine: Machine) -> None:
    """2.3.6: writing 1 clears."""
    machine.write(CONF, INT | LEVEL | 2 << 9, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.edges.clear()
    machine.advance(2000)
    assert machine.read(GINTR_STA) == 1
    machine.write(GINTR_STA, 6)
    assert machine.read(GINTR_STA) == 1
    machine.write(GINTR_STA, 1)
    assert machine.read(GINTR_STA) == 0
    assert machine.at(2) == [(1000, True), (2000, False)]


def test_a_level_timer_sets_its_status_without_being_enabled(machine: Machine) -> None:
    """2.3.8: the timer still operates, but does not interrupt; enabling it delivers."""
    machine.write(CONF, LEVEL | 2 << 9, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(2000)
    assert (machine.read(GINTR_STA), machine.pulses(2)) == (1, [])
    machine.write(CONF, INT | LEVEL | 2 << 9, 4)
    assert machine.pulses(2) == [2000]


def test_becoming_edge_triggered_ends_a_level_interrupt(machine: Machine) -> None:
    machine.write(CONF, INT | LEVEL, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(2000)
    machine.write(CONF, INT, 4)
    assert machine.read(GINTR_STA) == 0
    assert machine.edges[-1] == (2000, 0, False)


def test_halting_the_counter_lowers_the_line_and_keeps_the_status(machine: Machine) -> None:
    machine.write(CONF, INT | LEVEL | 2 << 9, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(2000)
    machine.write(GEN_CONF, 0)
    assert machine.edges[-1] == (2000, 2, False)
    assert machine.read(GINTR_STA) == 1
    machine.write(GEN_CONF, ENABLE)
    assert machine.edges[-1] == (2000, 2, True)


def periodic(machine: Machine, first: int, period: int, extra: int = 0) -> None:
    """2.3.9.2.2: how software sets a periodic timer."""
    machine.write(CONF, INT | PERIODIC | VAL_SET | 2 << 9 | extra, 4)
    machine.write(COMP, first)
    machine.write(COMP, period)
    machine.write(GEN_CONF, ENABLE)


def test_a_periodic_timer_adds_its_period() -> None:
    machine = Machine(step_ns=32)
    periodic(machine, 1000, 500)
    for due_ns in (10_000, 15_000, 20_000):
        machine.clock.advance(due_ns + 60 * 32 + 20)  # the timer came 20 ns late
    assert machine.pulses(2) == [10_000, 15_000, 20_000]
    assert machine.read(COMP) == 2500


def test_val_set_is_cleared_by_the_write_and_later_ones_set_the_period_alone(machine: Machine) -> None:
    """2.3.8: Tn_VAL_SET_CNF."""
    machine.write(CONF, PERIODIC | VAL_SET, 4)
    machine.write(COMP, 1000)
    assert machine.read(CONF, 4) & VAL_SET == 0
    machine.write(COMP, 70)
    assert machine.read(COMP) == 1000
    assert machine.hpet.state()["TIM0_period"] == 70


def test_a_periodic_timer_that_nothing_delays_fires_twice() -> None:
    """QEMU: at the very tick the comparator is not passed yet; a microsecond later it is."""
    machine = Machine(step_ns=32)
    periodic(machine, 1000, 500)
    machine.clock.advance(10_000 + 32 * 100)  # a halted processor goes on from the deadline
    assert machine.pulses(2) == [10_000, 11_000]
    assert machine.read(COMP) == 1500


def test_a_32_bit_periodic_timer_wraps() -> None:
    machine = Machine(step_ns=32)
    machine.write(MAIN_CNT, 0xFFFF_FFF0)
    periodic(machine, 0xFFFF_FFFF, 0x100, MODE_32)
    machine.clock.advance(3000)
    assert machine.read(COMP) == 0xFF


def test_a_32_bit_one_shot_timer_interrupts_at_the_wrap_too(machine: Machine) -> None:
    """2.3.9.2.1: and again when the comparator is reached."""
    machine.write(MAIN_CNT, 0xFFFF_FFF0)
    machine.write(CONF, INT | MODE_32 | 2 << 9, 4)
    machine.write(COMP, 0x10)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(10_000)
    assert machine.pulses(2) == [160, 320]


def test_a_time_that_has_wrapped_fires_at_once_and_not_for_ever(machine: Machine) -> None:
    """QEMU itself hangs with such a period."""
    machine.write(CONF, INT | PERIODIC | VAL_SET | 2 << 9, 4)
    machine.write(COMP, 1 << 62)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(1000)
    assert machine.pulses(2) == [0]


@given(
    step_ns=st.sampled_from([0, 2, 32, 1024]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("comparator"), st.integers(0, 2), st.integers(-60, 60)),
            st.tuples(st.just("configure"), st.integers(0, 2), st.sampled_from([0, INT, LEVEL, INT | LEVEL, MODE_32])),
            st.tuples(st.just("clear"), st.just(0), st.integers(0, 7)),
            st.tuples(st.just("wait"), st.just(0), st.integers(0, 300)),
        ),
        max_size=40,
    ),
)
def test_a_comparator_that_is_written_whole_fires_as_one_written_in_any_other_way(
    step_ns: int, steps: list[tuple[str, int, int]]
) -> None:
    """Only whole ones have a short way, and fire at once if their time is over."""
    short, long = Machine(step_ns), Machine(step_ns)
    for machine, write in ((short, short.write), (long, lambda offset, value: long.hpet.write(offset, 8, value))):
        machine.advance(step_ns)
        write(MAIN_CNT, 1000)
        write(GEN_CONF, ENABLE)
        for what, timer, number in steps:
            at = 0x20 * timer
            if what == "comparator":
                now = int(machine.read(MAIN_CNT))
                write(COMP + at, now + number)
            elif what == "configure":
                write(CONF + at, number | timer << 9)
            elif what == "clear":
                write(GINTR_STA, number)
            machine.advance(step_ns + (number if what == "wait" else 0))
        machine.advance(1 << 20)
    assert short.edges == long.edges
    assert short.hpet.state() == long.hpet.state()


# Legacy replacement and FSB


def test_legacy_replacement_takes_irq_0_and_8() -> None:
    """2.3.5: LEG_RT_CNF; timer 0 is IRQ 0 and timer 1 IRQ 8, whatever their routes say."""
    machine = Machine()
    machine.write(GEN_CONF, ENABLE | LEGACY)
    assert machine.pit_enabled == [False]
    machine.hpet.pit(True)
    machine.hpet.rtc(True)
    assert machine.pulses(0) == machine.pulses(8) == []
    for timer in (0, 1):
        machine.write(CONF + 0x20 * timer, INT | 3 << 9, 4)
        machine.write(COMP + 0x20 * timer, 100 + timer)
    machine.advance(5000)
    assert (machine.pulses(0), machine.pulses(8), machine.pulses(3)) == ([1000], [1010], [])


def test_leaving_legacy_replacement_gives_the_lines_back(machine: Machine) -> None:
    machine.write(GEN_CONF, LEGACY)
    machine.hpet.rtc(True)
    machine.write(GEN_CONF, 0)
    assert machine.pit_enabled == [False, True]
    assert machine.edges[-1] == (0, 8, True)
    machine.hpet.pit(True)
    machine.hpet.rtc(False)
    assert machine.edges[-2:] == [(0, 0, True), (0, 8, False)]


def test_reset_ends_legacy_replacement(machine: Machine) -> None:
    machine.write(GEN_CONF, LEGACY)
    machine.hpet.reset()
    assert machine.pit_enabled == [False, True]
    assert machine.read(GEN_CONF) == 0


def test_an_fsb_interrupt_is_a_message(machine: Machine) -> None:
    """2.3.10: Tn_FSB_INT_VAL is written to Tn_FSB_INT_ADDR."""
    machine.write(FSB, 0xFEE0_1000_0000_4031)
    machine.write(CONF, INT | FSB_EN | 2 << 9, 4)
    machine.write(COMP, 100)
    machine.write(GEN_CONF, ENABLE)
    machine.edges.clear()
    machine.advance(2000)
    assert (machine.messages, machine.at(2)) == ([(0xFEE0_1000, 0x4031)], [])


def test_without_fsb_a_message_goes_nowhere() -> None:
    clock = Clock()
    hpet = Hpet(clock, dict.fromkeys(range(32), lambda level: None))
    for offset, value in ((CONF, INT | FSB_EN), (COMP, 100), (GEN_CONF, ENABLE | LEGACY), (GEN_CONF, ENABLE)):
        hpet.write(offset, 4, value)
    clock.advance(1 << 40)
    assert hpet.read(CONF, 4) & 0x8000 == 0


# With the host's clock


def test_with_the_hosts_clock_the_first_read_teaches_when_the_counter_started() -> None:
    machine = Machine(exact=False)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(1000)
    answer = machine.read(MAIN_CNT)
    assert isinstance(answer, Unknown)
    assert (answer.mask, answer.kind) == (MASK_64, "learned")
    answer.learn(150)
    assert machine.read(MAIN_CNT) == 150
    machine.advance(1000)
    assert machine.read(MAIN_CNT) == 250


@pytest.mark.parametrize("value", [40, 160])
def test_the_lower_half_alone_teaches_too(value: int) -> None:
    machine = Machine(exact=False)
    machine.write(GEN_CONF, ENABLE)
    machine.advance(1000)
    assert machine.read(MAIN_CNT + 4, 4) == 0
    answer = machine.read(MAIN_CNT, 4)
    assert isinstance(answer, Unknown)
    answer.learn(value)
    assert machine.read(MAIN_CNT, 4) == value


def test_a_misaligned_read_teaches_too() -> None:
    machine = Machine(exact=False)
    machine.write(GEN_CONF, ENABLE)
    answer = machine.read(MAIN_CNT - 4, 8)
    assert isinstance(answer, Unknown)
    assert answer.mask == 0xFFFF_FFFF << 32
    answer.learn(0x55 << 32)
    assert machine.read(MAIN_CNT) == 0x55


@given(start=st.integers(0, MASK_64), elapsed_ns=st.integers(0, 1 << 50))
def test_the_counter_counts_every_10_ns_modulo_2_to_the_64(start: int, elapsed_ns: int) -> None:
    machine = Machine()
    machine.write(MAIN_CNT, start)
    machine.write(GEN_CONF, ENABLE)
    machine.clock.now_ns += elapsed_ns
    assert machine.read(MAIN_CNT) == (start + elapsed_ns // 10) % (1 << 64)
