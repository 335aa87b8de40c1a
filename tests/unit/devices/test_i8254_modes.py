"""Intel 8254, modes and IRQ 0: the data sheet's statements (section in the docstring) and what QEMU does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock, first_ns_of_tick
from vmdev.replay.devices.i8254 import I8254, PIT_HZ
from vmdev.replay.irq import Line

CONTROL = 3
BOTH = 3
READ_BACK, NO_COUNT = 0xC0, 0x20

MODES = st.integers(0, 7)
COUNTS = st.one_of(st.integers(1, 20), st.integers(1, 0x10000))


class Machine:
    """A timer, its clock, and what happened on IRQ 0 as (ns, level)."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.edges: list[tuple[int, bool]] = []
        irq0 = Line(lambda level: self.edges.append((self.clock.now_ns, level)))
        self.pit = I8254(self.clock, irq0)

    def advance_ns(self, ns: int) -> None:
        self.clock.advance(self.clock.now_ns + ns)

    def advance_ticks(self, ticks: int) -> None:
        """To the first nanosecond at which a counter loaded now has counted `ticks`."""
        self.advance_ns(first_ns_of_tick(ticks, PIT_HZ))

    def program(self, counter: int, mode: int) -> None:
        self.pit.write(CONTROL, 1, counter << 6 | BOTH << 4 | mode << 1)

    def load(self, counter: int, mode: int, count: int) -> None:
        """Program for word access and write `count`, 1..65536."""
        self.program(counter, mode)
        self.pit.write(counter, 1, count & 0xFF)
        self.pit.write(counter, 1, count >> 8 & 0xFF)

    def count(self, counter: int) -> int:
        """The count, by latching it."""
        self.pit.write(CONTROL, 1, counter << 6)
        return self.pit.read(counter, 1) | self.pit.read(counter, 1) << 8

    def status(self, counter: int) -> int:
        self.pit.write(CONTROL, 1, READ_BACK | NO_COUNT | 2 << counter)
        return self.pit.read(counter, 1)


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Modes: OUT and count


@pytest.mark.parametrize(
    ("mode", "low", "high"),
    [
        pytest.param(0, [0, 1, 9], [10, 11, 25, 0x10000], id="0, high from terminal count"),
        pytest.param(1, [0, 1, 9], [10, 11, 25, 0x10000], id="1, low from the write (QEMU)"),
        pytest.param(2, [0, 1, 9, 11, 19, 21], [10, 20, 30], id="2, high while reloading (QEMU)"),
        pytest.param(3, [5, 9, 15, 19], [0, 4, 10, 14, 20], id="3, high for half of the period"),
        pytest.param(4, [0, 9, 11, 20, 30], [10], id="4, high at terminal count (QEMU)"),
        pytest.param(5, [0, 9, 11, 20, 30], [10], id="5, high at terminal count (QEMU)"),
        pytest.param(6, [0, 1, 9], [10, 11, 25], id="6, as mode 0 (QEMU)"),
        pytest.param(7, [0, 1, 9], [10, 11, 25], id="7, as mode 0 (QEMU)"),
    ],
)
def test_out_of_a_count_of_10(machine: Machine, mode: int, low: list[int], high: list[int]) -> None:
    """Mode Definitions, as far as QEMU follows them."""
    machine.load(2, mode, 10)
    levels: dict[bool, list[int]] = {False: [], True: []}
    for tick in sorted(low + high):
        machine.clock.advance(first_ns_of_tick(tick, PIT_HZ))
        out = machine.pit.out(2)
        assert machine.status(2) >> 7 == out
        levels[out].append(tick)
    assert levels == {False: low, True: high}


def test_odd_count_of_a_square_wave_is_high_for_the_longer_half(machine: Machine) -> None:
    """Mode 3: OUT is high for (N + 1) / 2 and low for (N - 1) / 2 counts."""
    machine.load(2, 3, 7)
    levels = []
    for tick in range(14):
        machine.clock.advance(first_ns_of_tick(tick, PIT_HZ))
        levels.append(machine.pit.out(2))
    assert levels == 2 * ([True] * 4 + [False] * 3)


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        (0, [3, 2, 1, 0, 0xFFFF, 0xFFFE]),
        (1, [3, 2, 1, 0, 0xFFFF, 0xFFFE]),
        (2, [3, 2, 1, 3, 2, 1]),
        (3, [3, 1, 2, 3, 1, 2]),
        (4, [3, 2, 1, 0, 0xFFFF, 0xFFFE]),
        (5, [3, 2, 1, 0, 0xFFFF, 0xFFFE]),
        (6, [3, 2, 1, 3, 2, 1]),
        (7, [3, 2, 1, 3, 2, 1]),
    ],
)
def test_count_of_3_goes_on(machine: Machine, mode: int, counts: list[int]) -> None:
    """Mode Definitions: modes 0, 1, 4, 5 wrap to the highest count, 2 reloads. An odd count in mode 3: QEMU."""
    machine.load(2, mode, 3)
    seen = []
    for tick in range(6):
        machine.clock.advance(first_ns_of_tick(tick, PIT_HZ))
        seen.append(machine.count(2))
    assert seen == counts


def test_square_wave_counts_by_two_twice_a_period(machine: Machine) -> None:
    """Mode 3, even counts: decremented by two; on expiry OUT changes and the count is reloaded."""
    machine.load(2, 3, 6)
    seen = []
    for tick in range(7):
        machine.clock.advance(first_ns_of_tick(tick, PIT_HZ))
        seen.append((machine.count(2), machine.pit.out(2)))
    assert [count for count, _ in seen] == [6, 4, 2, 6, 4, 2, 6]
    assert [out for _, out in seen] == [True, True, True, False, False, False, True]


def test_count_changes_at_the_nanosecond_of_the_tick(machine: Machine) -> None:
    """1,193,182 Hz: the first tick is over after 838.1 ns."""
    machine.advance_ns(12345)
    machine.load(2, 0, 100)
    machine.advance_ns(838)
    assert machine.count(2) == 100
    machine.advance_ns(1)
    assert machine.count(2) == 99
    machine.advance_ns(1_000_000_000 - 839)
    assert machine.count(2) == (100 - 1_193_182) & 0xFFFF


def test_new_count_starts_at_once(machine: Machine) -> None:
    """QEMU; mode 2: a new count does not affect the current period."""
    machine.load(2, 2, 100)
    machine.advance_ticks(40)
    machine.pit.write(2, 1, 50)
    machine.pit.write(2, 1, 0)
    machine.advance_ticks(1)
    assert machine.count(2) == 49


def test_control_word_does_not_stop_the_count(machine: Machine) -> None:
    """QEMU; Mode 0: OUT goes low and waits for a count to be written."""
    machine.load(2, 4, 100)
    machine.advance_ticks(200)
    machine.program(2, 0)
    assert machine.count(2) == 0x10000 - 100
    assert machine.pit.out(2)


# Gate


@pytest.mark.parametrize(("mode", "restarts"), [(0, False), (1, True), (2, True), (3, True), (4, False), (5, True)])
def test_rising_gate(machine: Machine, mode: int, restarts: bool) -> None:
    """Gate: a rising edge triggers modes 1, 2, 3 and 5."""
    machine.pit.set_gate(2, True)
    machine.load(2, mode, 1000)
    machine.advance_ticks(10)
    counted = machine.count(2)
    machine.pit.set_gate(2, True)
    assert machine.count(2) == counted, "no edge"
    machine.pit.set_gate(2, False)
    assert machine.count(2) == counted
    machine.pit.set_gate(2, True)
    assert machine.count(2) == (1000 if restarts else counted)
    assert machine.pit.gate(2)


@pytest.mark.parametrize("mode", range(6))
def test_low_gate_stops_nothing(machine: Machine, mode: int) -> None:
    """QEMU; Gate: low disables counting in modes 0, 2, 3 and 4, and raises OUT in modes 2 and 3."""
    machine.load(2, mode, 1000)
    assert not machine.pit.gate(2)
    out = machine.pit.out(2)
    machine.advance_ticks(10)
    assert machine.count(2) == (980 if mode == 3 else 990)
    assert machine.pit.out(2) == out


# IRQ 0. Times as measured with QEMU 10.0.2; counts of 1000 written at 1000 ns.


@pytest.mark.parametrize(
    ("mode", "edges"),
    [
        (0, [(839_096, True)]),
        (1, [(839_096, True)]),
        (2, [(839_933, True), (1_677_190, False), (1_678_028, True), (2_515_285, False), (2_516_123, True)]),
        (3, [(1_000, True), (420_048, False), (839_096, True), (1_258_143, False), (1_677_191, True)]),
        (4, [(839_096, True), (839_934, False)]),
        (5, [(839_096, True), (839_934, False)]),
        (6, [(839_096, True)]),
        (7, [(839_096, True)]),
    ],
)
def test_irq0(machine: Machine, mode: int, edges: list[tuple[int, bool]]) -> None:
    """Mode Definitions: counter 0's OUT is IRQ 0. QEMU sees mode 2's only when its timer fires."""
    machine.clock.advance(1000)
    machine.load(0, mode, 1000)
    machine.clock.advance(10_000_000)
    assert machine.edges[: len(edges)] == edges
    assert (len(machine.edges) > len(edges)) == (mode in (2, 3)), "periodic"


@pytest.mark.parametrize(
    ("mode", "count", "edges"),
    [
        (2, 1, [(2_676, True)]),
        (2, 2, [(3_514, True), (4_352, False), (5_190, True), (6_028, False), (6_866, True), (7_704, False)]),
        (2, 3, [(4_352, True), (6_028, False), (6_866, True), (8_542, False), (9_380, True), (11_057, False)]),
        (3, 1, [(1_000, True)]),
        (3, 2, [(1_000, True), (1_839, False), (2_677, True), (3_515, False), (4_353, True), (5_191, False)]),
        (3, 3, [(1_000, True), (2_677, False), (3_515, True), (5_191, False), (6_029, True), (7_705, False)]),
    ],
)
def test_irq0_of_the_smallest_counts(machine: Machine, mode: int, count: int, edges: list[tuple[int, bool]]) -> None:
    """QEMU; Operation Common to All Modes: the least count in modes 2 and 3 is 2. With 1, OUT stays high."""
    machine.clock.advance(1000)
    machine.load(0, mode, count)
    machine.clock.advance(100_000)
    assert machine.edges[: len(edges)] == edges
    assert (len(machine.edges) == 1) == (count == 1)


def test_irq0_before_the_first_control_word(machine: Machine) -> None:
    """QEMU: low at the start though OUT is high, until the timer fires half a period later, a nanosecond early."""
    assert machine.pit.out(0)
    machine.clock.advance(90_000_000)
    assert machine.edges == [(27_462_700, True), (27_462_701, False), (54_925_402, True), (82_388_102, False)]


def test_control_word_leaves_irq0_to_the_timer(machine: Machine) -> None:
    """QEMU; Mode 0: OUT is initially low after the control word."""
    machine.clock.advance(1000)
    machine.load(0, 3, 1000)
    machine.program(0, 0)
    machine.clock.advance(10_000_000)
    assert machine.edges == [(1000, True), (420_047, False), (839_096, True)]


def test_counter_0_without_further_transitions_has_no_timer(machine: Machine) -> None:
    """Mode 0: OUT stays high until a count is written."""
    machine.load(0, 3, 100)
    machine.load(0, 0, 100)
    machine.clock.advance(10_000_000)
    del machine.edges[:]
    machine.clock.advance(10_000_000_000)
    assert machine.edges == []
    assert machine.pit.state()["irq0"] == 1


def test_rising_gate_of_counter_0_drives_irq0(machine: Machine) -> None:
    """Gate, mode 3: a rising edge starts the square wave with OUT high."""
    machine.load(0, 3, 1000)
    machine.advance_ticks(600)
    machine.pit.set_gate(0, False)
    machine.pit.set_gate(0, True)
    assert machine.edges[-1] == (machine.clock.now_ns, True)


# Properties


@given(mode=MODES, count=COUNTS, steps=st.lists(st.integers(1, 300_000), min_size=1, max_size=8))
def test_state_does_not_depend_on_the_steps_of_the_clock(mode: int, count: int, steps: list[int]) -> None:
    """A replay looks only when the guest does."""
    often, once = Machine(), Machine()
    for machine in (often, once):
        machine.load(0, mode, count)
    for step in steps:
        often.advance_ns(step)
    once.advance_ns(sum(steps))
    assert often.pit.state() == once.pit.state()
    assert often.edges == once.edges


@given(mode=MODES.filter(lambda mode: mode != 2), count=COUNTS, elapsed_ns=st.integers(0, 3_000_000))
def test_irq0_is_out_except_in_mode_2(mode: int, count: int, elapsed_ns: int) -> None:
    """The double look around a tick gets each change of OUT to the nanosecond."""
    machine = Machine()
    machine.load(0, mode, count)
    machine.advance_ns(elapsed_ns)
    assert machine.pit.state()["irq0"] == machine.pit.out(0)


def test_an_hpet_can_take_irq0_away(machine: Machine) -> None:
    """IA-PC HPET Specification 1.0a, 2.3.5: legacy replacement. The count goes on."""
    machine.load(0, 3, 1000)
    machine.pit.enable_irq0(False)
    edges = list(machine.edges)
    machine.clock.advance(10_000_000)
    machine.load(0, 3, 1000)
    machine.pit.reset()
    machine.clock.advance(200_000_000)
    assert machine.edges == edges
    machine.load(0, 0, 1000)
    machine.pit.enable_irq0(True)
    assert machine.pit.state()["irq0_enabled"] == 1
    machine.clock.advance(300_000_000)
    assert machine.pit.state()["irq0"] == 1
