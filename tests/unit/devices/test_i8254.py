"""Intel 8254, programming and reading: the data sheet's statements (section in the docstring) and what QEMU does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock, first_ns_of_tick
from vmdev.replay.devices.i8254 import I8254, PIT_HZ, REGISTERS
from vmdev.replay.irq import Line

CONTROL = 3
LSB, MSB, BOTH = 1, 2, 3
READ_BACK = 0xC0
NO_COUNT, NO_STATUS = 0x20, 0x10

MODES = st.integers(0, 7)
COUNTS = st.one_of(st.integers(1, 20), st.integers(1, 0x10000))


class Machine:
    """A timer and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pit = I8254(self.clock, Line())

    def advance_ns(self, ns: int) -> None:
        self.clock.advance(self.clock.now_ns + ns)

    def advance_ticks(self, ticks: int) -> None:
        """To the first nanosecond at which a counter loaded now has counted `ticks`."""
        self.advance_ns(first_ns_of_tick(ticks, PIT_HZ))

    def program(self, counter: int, mode: int, access: int = BOTH, bcd: int = 0) -> None:
        self.pit.write(CONTROL, 1, counter << 6 | access << 4 | mode << 1 | bcd)

    def load(self, counter: int, mode: int, count: int) -> None:
        """Program for word access and write `count`, 1..65536."""
        self.program(counter, mode)
        self.pit.write(counter, 1, count & 0xFF)
        self.pit.write(counter, 1, count >> 8 & 0xFF)

    def latch(self, counter: int) -> None:
        self.pit.write(CONTROL, 1, counter << 6)

    def read(self, counter: int) -> int:
        return self.pit.read(counter, 1)

    def read_word(self, counter: int) -> int:
        return self.read(counter) | self.read(counter) << 8

    def count(self, counter: int) -> int:
        """The count of a counter with word access, by latching it."""
        self.latch(counter)
        return self.read_word(counter)

    def status(self, counter: int) -> int:
        self.pit.write(CONTROL, 1, READ_BACK | NO_COUNT | 2 << counter)
        return self.read(counter)


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Programming


def test_control_word_reaches_only_the_selected_counter(machine: Machine) -> None:
    """Control Word Format: SC selects the counter."""
    machine.program(0, mode=2, access=LSB)
    machine.program(1, mode=4, access=MSB)
    machine.program(2, mode=0, access=BOTH, bcd=1)
    assert [machine.status(counter) & 0x3F for counter in range(3)] == [0x14, 0x28, 0x31]


def test_lsb_access_clears_the_high_byte(machine: Machine) -> None:
    """Write Operations: with RW = 01 one byte is the whole count."""
    machine.load(1, 0, 0x1234)
    machine.program(1, 0, LSB)
    machine.pit.write(1, 1, 0x56)
    machine.program(1, 0, BOTH)
    assert machine.count(1) == 0x0056


def test_msb_access_clears_the_low_byte(machine: Machine) -> None:
    """Write Operations: with RW = 10 one byte is the whole count."""
    machine.load(1, 0, 0x1234)
    machine.program(1, 0, MSB)
    machine.pit.write(1, 1, 0x56)
    machine.program(1, 0, BOTH)
    assert machine.count(1) == 0x5600


def test_word_access_loads_with_the_second_byte(machine: Machine) -> None:
    """Write Operations: RW = 11, least significant byte first. QEMU goes on with the old count until then."""
    machine.load(1, 0, 0x1000)
    machine.program(1, 0)
    machine.pit.write(1, 1, 0x34)
    machine.advance_ticks(5)
    assert machine.count(1) == 0x1000 - 5
    machine.pit.write(1, 1, 0x12)
    assert machine.count(1) == 0x1234


def test_counters_keep_their_byte_order_apart(machine: Machine) -> None:
    """Write Operations: bytes for different counters may be written in any sequence."""
    for counter in range(3):
        machine.program(counter, 0)
    for counter in range(3):
        machine.pit.write(counter, 1, 0x10 + counter)
    for counter in range(3):
        machine.pit.write(counter, 1, 0x20 + counter)
    assert [machine.count(counter) for counter in range(3)] == [0x2010, 0x2111, 0x2212]


def test_control_word_starts_the_byte_order_anew(machine: Machine) -> None:
    """Write Operations: a control word is followed by a whole count."""
    machine.program(2, 0)
    machine.pit.write(2, 1, 0xAA)
    machine.load(2, 0, 0x1234)
    assert machine.count(2) == 0x1234
    machine.read(2)
    machine.program(2, 0)
    assert machine.read_word(2) == 0x1234


@pytest.mark.parametrize("mode", range(6))
def test_count_0_is_the_largest(machine: Machine, mode: int) -> None:
    """Operation Common to All Modes: the largest initial count is 0, equal to 2**16."""
    machine.load(2, mode, 0x10000)
    assert machine.count(2) == 0
    machine.advance_ticks(1)
    assert machine.count(2) == (0xFFFE if mode == 3 else 0xFFFF)


def test_bcd_is_shown_and_counts_in_binary(machine: Machine) -> None:
    """QEMU; Control Word Format has four decades."""
    machine.program(2, 0, BOTH, bcd=1)
    machine.pit.write(2, 1, 0x00)
    machine.pit.write(2, 1, 0x10)
    machine.advance_ticks(1)
    assert machine.count(2) == 0x0FFF
    assert machine.status(2) & 1


# Reading


def test_reads_of_a_word_alternate(machine: Machine) -> None:
    """Read Operations: with RW = 11 two bytes must be read, least significant first."""
    machine.load(2, 0, 0x1234)
    assert [machine.read(2) for _ in range(4)] == [0x34, 0x12, 0x34, 0x12]


@pytest.mark.parametrize(("access", "byte"), [(LSB, 0x34), (MSB, 0x12)])
def test_reads_of_one_byte_stay_with_it(machine: Machine, access: int, byte: int) -> None:
    """Read Operations: with RW = 01 or 10 only that byte is read."""
    machine.load(2, 0, 0x1234)
    machine.program(2, 0, access)
    assert [machine.read(2) for _ in range(3)] == [byte, byte, byte]


def test_reads_and_writes_of_one_counter_interleave(machine: Machine) -> None:
    """Counter Latch Command: read LSB, write new LSB, read MSB, write new MSB is valid."""
    machine.load(2, 0, 0x1234)
    assert machine.read(2) == 0x34
    machine.pit.write(2, 1, 0x78)
    assert machine.read(2) == 0x12
    machine.pit.write(2, 1, 0x56)
    assert machine.read_word(2) == 0x5678


def test_unlatched_bytes_are_of_different_times(machine: Machine) -> None:
    """Read Operations: without a latch the count may be in the process of changing."""
    machine.load(2, 0, 0x1200)
    assert machine.read(2) == 0x00
    machine.advance_ticks(1)
    assert machine.read(2) == 0x11


def test_counter_latch_holds_until_read(machine: Machine) -> None:
    """Counter Latch Command: the count is held until it is read, then the reads follow the counting element."""
    machine.load(2, 0, 0x1234)
    machine.latch(2)
    machine.advance_ticks(0x34)
    assert machine.read_word(2) == 0x1234
    assert machine.read_word(2) == 0x1200


def test_second_counter_latch_is_ignored(machine: Machine) -> None:
    """Counter Latch Command: latched again before it is read, the first count is what is read."""
    machine.load(2, 0, 0x1234)
    machine.latch(2)
    machine.advance_ticks(1)
    machine.latch(2)
    assert machine.read(2) == 0x34
    machine.latch(2)
    assert machine.read(2) == 0x12
    assert machine.count(2) == 0x1233


def test_counter_latch_affects_no_other_counter(machine: Machine) -> None:
    """Counter Latch Command: each latch holds its own counter."""
    machine.load(1, 0, 0x1111)
    machine.load(2, 0, 0x2222)
    machine.latch(1)
    machine.advance_ticks(1)
    assert (machine.read_word(1), machine.read_word(2)) == (0x1111, 0x2221)


@pytest.mark.parametrize(("access", "byte", "later"), [(LSB, 0x34, 0x00), (MSB, 0x12, 0x10)])
def test_latched_byte_is_read_once(machine: Machine, access: int, byte: int, later: int) -> None:
    """Counter Latch Command: read according to the programmed format."""
    machine.load(2, 0, 0x1234)
    machine.program(2, 0, access)
    machine.latch(2)
    machine.advance_ticks(0x234)
    assert (machine.read(2), machine.read(2)) == (byte, later)


def test_latched_count_leaves_the_byte_order_of_other_reads(machine: Machine) -> None:
    """QEMU: the latch has a byte order of its own."""
    machine.load(2, 0, 0x1234)
    assert machine.read(2) == 0x34
    machine.latch(2)
    assert machine.read_word(2) == 0x1234
    assert machine.read(2) == 0x12


def test_latched_count_survives_a_control_word(machine: Machine) -> None:
    """QEMU; Counter Latch Command: reprogramming the counter ends it."""
    machine.load(2, 0, 0x1234)
    machine.latch(2)
    machine.advance_ticks(1)
    machine.program(2, 4)
    assert machine.read_word(2) == 0x1234


def test_control_word_cannot_be_read(machine: Machine) -> None:
    """Read Operations: no operation; QEMU's bus then shows 0."""
    machine.program(2, 5)
    assert machine.pit.read(CONTROL, 1) == 0


# Read-Back Command


def test_read_back_latches_the_counts_of_several_counters(machine: Machine) -> None:
    """Read-Back Command: equivalent to a counter latch for each counter selected."""
    for counter in range(3):
        machine.load(counter, 0, 0x1000 * (counter + 1))
    machine.pit.write(CONTROL, 1, READ_BACK | NO_STATUS | 0b1010)
    machine.advance_ticks(1)
    assert [machine.read_word(counter) for counter in range(3)] == [0x1000, 0x1FFF, 0x3000]


def test_read_back_asks_with_zeros(machine: Machine) -> None:
    """Read-Back Command: bits 5 and 4 are active low; with both 1 nothing is latched."""
    machine.load(2, 0, 0x1234)
    machine.pit.write(CONTROL, 1, READ_BACK | NO_COUNT | NO_STATUS | 0b1000)
    machine.advance_ticks(1)
    assert machine.read_word(2) == 0x1233


def test_status_comes_before_the_count(machine: Machine) -> None:
    """Read-Back Command: the first read returns the status, whichever was latched first; then the latched count."""
    machine.load(2, 0, 0x1234)
    machine.latch(2)
    machine.pit.write(CONTROL, 1, READ_BACK | 0b1000)
    machine.advance_ticks(0x34)
    assert machine.read(2) == 0x30
    assert machine.read_word(2) == 0x1234
    assert machine.read_word(2) == 0x1200


def test_second_status_latch_is_ignored(machine: Machine) -> None:
    """Read-Back Command: the status is what it was when it was first latched."""
    machine.load(2, 0, 5)
    machine.pit.write(CONTROL, 1, READ_BACK | NO_COUNT | 0b1000)
    machine.advance_ticks(5)
    machine.pit.write(CONTROL, 1, READ_BACK | NO_COUNT | 0b1000)
    assert machine.read(2) == 0x30
    assert machine.status(2) == 0xB0


@pytest.mark.parametrize("access", [LSB, MSB, BOTH])
@pytest.mark.parametrize("mode", range(8))
def test_status_shows_the_control_word(machine: Machine, access: int, mode: int) -> None:
    """Read-Back Command: D5-D0 are as programmed. QEMU keeps the modes 110 and 111."""
    machine.program(1, mode, access, bcd=mode & 1)
    assert machine.status(1) & 0x3F == access << 4 | mode << 1 | mode & 1


def test_null_count_is_never_set(machine: Machine) -> None:
    """QEMU; Read-Back Command: 1 from the control word until the count is loaded."""
    machine.load(1, 2, 100)
    machine.program(1, 2)
    assert machine.status(1) & 0x40 == 0
    machine.pit.write(1, 1, 50)
    assert machine.status(1) & 0x40 == 0


# Start and reset


def test_counters_run_before_they_are_programmed(machine: Machine) -> None:
    """QEMU; Programming: mode, count and output are undefined after power-up."""
    machine.advance_ticks(0x4321)
    expected = -2 * 0x4321 & 0xFF
    assert [machine.read(counter) for counter in (0, 1, 2)] == [expected] * 3
    assert [machine.read(counter) for counter in (0, 1, 2)] == [expected] * 3, "low bytes only"
    assert [machine.status(counter) for counter in (0, 1, 2)] == [0x86] * 3
    assert [machine.pit.gate(counter) for counter in (0, 1, 2)] == [True, True, False]


def test_counter_without_control_word_does_not_latch(machine: Machine) -> None:
    """QEMU: what there is to read of a latched count is what the control word says, and there was none."""
    machine.latch(2)
    machine.advance_ticks(1)
    assert machine.read(2) == 0xFE


def test_counter_without_control_word_takes_low_bytes(machine: Machine) -> None:
    """QEMU: the count is the byte written, in mode 3."""
    machine.pit.write(2, 1, 8)
    machine.advance_ticks(1)
    assert [machine.read(2), machine.read(2)] == [6, 6]


def test_reset_restarts_the_counters_and_keeps_the_rest(machine: Machine) -> None:
    """QEMU: mode, count and gate are reset; access, byte order and latches are not."""
    machine.load(2, 0, 0x1234)
    machine.pit.set_gate(2, True)
    machine.latch(2)
    machine.advance_ticks(5)
    assert machine.read(2) == 0x34
    machine.pit.reset()
    assert not machine.pit.gate(2)
    assert machine.read(2) == 0x12
    machine.advance_ticks(1)
    assert machine.count(2) == 0xFFFE
    assert machine.status(2) == 0xB6


# Names


def test_bank_names_what_was_accessed(machine: Machine) -> None:
    """A divergence in a read says whether it was a count or a status."""

    def name(offset: int, direction: str) -> str:
        register = REGISTERS.find(offset, "r" if direction == "r" else "w", machine.pit.bank(offset))
        assert register is not None
        return register.name

    machine.program(2, 0)
    assert name(CONTROL, "w") == "Control Word"
    machine.latch(2)
    assert name(CONTROL, "w") == "Counter Latch"
    machine.pit.write(CONTROL, 1, READ_BACK | 0b1000)
    assert name(CONTROL, "w") == "Read-Back"
    machine.read(2)
    assert name(2, "r") == "Status 2"
    machine.pit.write(2, 1, 0)
    assert name(2, "w") == "Counter 2"
    machine.read(2)
    assert name(2, "r") == "Counter 2"
    assert name(1, "r") == "Counter 1"


# Property


@given(mode=MODES, count=COUNTS, ticks=st.integers(0, 200_000), late_ns=st.integers(0, 837))
def test_latched_count_is_the_running_count(mode: int, count: int, ticks: int, late_ns: int) -> None:
    """Counter Latch Command: the count at the time the command is received."""
    machine = Machine()
    machine.load(2, mode, count)
    machine.advance_ticks(ticks)
    machine.advance_ns(late_ns)
    running = machine.read_word(2)
    machine.pit.write(CONTROL, 1, READ_BACK | NO_STATUS | 0b1000)
    machine.advance_ns(12345)
    assert machine.read_word(2) == running
