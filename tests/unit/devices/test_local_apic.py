"""Local APIC: statements of Intel's manual (volume 3A, chapter APIC), and where QEMU differs from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.ioapic import IoApic
from vmdev.replay.devices.local_apic import LocalApic
from vmdev.replay.devices.local_apic_bus import ApicBus

ID, VERSION, TPR, APR, PPR, EOI, LDR, DFR, SVR = 0x20, 0x30, 0x80, 0x90, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0
ISR, TMR, IRR, ESR, ICR, ICR_HIGH = 0x100, 0x180, 0x200, 0x280, 0x300, 0x310
LVT_TIMER, LVT_THERMAL, LVT_LINT0, LVT_LINT1 = 0x320, 0x330, 0x350, 0x360
INITIAL, CURRENT, DCR = 0x380, 0x390, 0x3E0
MASKED, PERIODIC, LEVEL, EXTINT = 1 << 16, 1 << 17, 1 << 15, 0x700
SELF, ALL, OTHERS = 1 << 18, 2 << 18, 3 << 18
ASSERT, LOGICAL = 1 << 14, 1 << 11
INIT, LOWEST, NMI = 5 << 8, 1 << 8, 4 << 8
DIVIDE_BY_1 = 0xB


class Machine:
    """Local APICs, enabled, on a bus."""

    def __init__(self, cpus: int = 1, *, told: bool = False) -> None:
        self.clock = Clock()
        self.bus = ApicBus()
        self.reachable: list[bool] = []
        self.cpus = [LocalApic(self.clock, self.bus, n, None, self.reachable.append) for n in range(cpus)]
        for cpu in range(cpus):
            self.write(SVR, 0x1FF, cpu)
            if told:
                self.cpus[cpu].expect_acknowledges()

    def read(self, offset: int, cpu: int = 0, size: int = 4) -> int:
        return self.cpus[0].seen_by(cpu).reader(offset, size)()

    def write(self, offset: int, value: int, cpu: int = 0, size: int = 4) -> None:
        self.cpus[0].seen_by(cpu).writer(offset, size)(value)

    def bit(self, bits: int, vector: int, cpu: int = 0) -> bool | None:
        """A vector's bit of ISR, TMR or IRR; None if it is not known."""
        answer = self.read(bits + (vector >> 5) * 0x10, cpu)
        shift = vector & 31
        if isinstance(answer, Unknown):
            return None if answer.mask >> shift & 1 else bool(answer.known >> shift & 1)
        return bool(answer >> shift & 1)

    def where(self, vector: int) -> list[int]:
        """CPUs that are requested `vector`."""
        return [n for n, cpu in enumerate(self.cpus) if cpu.state()["irr"] >> vector & 1]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def told() -> Machine:
    """One whose acknowledges are told."""
    return Machine(told=True)


# Registers


def test_values_after_reset() -> None:
    """Local APIC State After Power-Up or Reset."""
    apic = LocalApic(Clock(), ApicBus(), 3)
    values = {ID: 3 << 24, VERSION: 0x50014, TPR: 0, APR: 0, PPR: 0, EOI: 0, LDR: 0, DFR: 0xFFFF_FFFF, SVR: 0xFF}
    values |= {LVT_TIMER + 0x10 * n: MASKED for n in range(6)} | {INITIAL: 0, CURRENT: 0, DCR: 0, ICR: 0, ESR: 0}
    assert {offset: apic.read(offset, 4) for offset in values} == values


def test_each_cpu_sees_its_own() -> None:
    machine = Machine(2)
    machine.write(TPR, 0x20, 1)
    assert [machine.read(TPR, cpu) for cpu in (0, 1)] == [0, 0x20]
    assert [machine.read(ID, cpu) for cpu in (0, 1)] == [0, 0x0100_0000]
    assert machine.cpus[0].seen_by(7) is machine.cpus[0]


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (ID, 0xAB00_0000), (LDR, 0xAB00_0000), (DFR, 0xAFFF_FFFF), (TPR, 0xEF), (SVR, 0x1EF), (ICR_HIGH, 0xABCD_EFEF),
        (LVT_TIMER, 0xABCD_EFEF), (LVT_THERMAL, 0xABCD_EFEF), (INITIAL, 0xABCD_EFEF), (DCR, 0xB), (VERSION, 0x50014),
        (ESR, 0), (CURRENT, 0), (PPR, 0), (APR, 0), (ISR, 0), (TMR, 0), (IRR, 0),
    ],
)  # fmt: skip
def test_what_registers_keep(machine: Machine, offset: int, value: int) -> None:
    machine.write(offset, 0xABCD_EFEF)
    if offset == TPR:
        machine.write(DFR, 0)
    assert machine.read(offset) == value


def test_any_register_of_16_bytes_answers_at_each_dword_and_every_4_kib(machine: Machine) -> None:
    assert machine.read(VERSION + 0xC) == machine.read(0x5030) == 0x50014


@pytest.mark.parametrize("size", [1, 2, 8])
def test_other_sizes_read_zero_and_write_nothing(machine: Machine, size: int) -> None:
    machine.write(TPR, 0x40, 0, size)
    assert machine.read(VERSION, 0, size) == 0
    assert machine.read(TPR) == 0


def test_misaligned_accesses_fall_apart(machine: Machine) -> None:
    assert machine.read(VERSION - 4, 0, 8) == 0x50014 << 32 | machine.read(ID)
    machine.write(TPR - 4, 0x40 << 32, 0, 8)
    assert machine.read(TPR) == 0x40
    assert machine.read(VERSION + 2) == 0


@pytest.mark.parametrize("access", ["read", "write"])
def test_an_illegal_register_address_shows_in_esr_for_ever(machine: Machine, access: str) -> None:
    """Error Handling; in QEMU writing ESR does nothing."""
    if access == "read":
        assert machine.read(0x40) == 0
    else:
        machine.write(0x2F0, 0)
    machine.write(ESR, 0)
    assert machine.read(ESR) == 0x80


# The timer


def test_one_shot_counts_down_to_zero_and_interrupts_once(told: Machine) -> None:
    """APIC Timer."""
    told.write(DCR, DIVIDE_BY_1)
    told.write(LVT_TIMER, 0x40)
    told.write(INITIAL, 1000)
    told.clock.advance(400)
    assert told.read(CURRENT) == 600
    told.clock.advance(1000)
    assert (told.read(CURRENT), told.bit(IRR, 0x40)) == (0, False)
    told.clock.advance(1001)
    assert told.bit(IRR, 0x40)
    told.cpus[0].acknowledge()
    told.clock.advance(1_000_000)
    assert not told.bit(IRR, 0x40)


def test_periodic_starts_again(told: Machine) -> None:
    """In QEMU the period is the initial count + 1."""
    told.write(DCR, DIVIDE_BY_1)
    told.write(LVT_TIMER, 0x40 | PERIODIC)
    told.write(INITIAL, 99)
    told.clock.advance(130)
    assert told.read(CURRENT) == 99 - 30
    for due_ns in (200, 300, 400):
        told.clock.advance(due_ns)
        assert told.bit(IRR, 0x40)
        told.cpus[0].acknowledge()
        told.write(EOI, 0)


@pytest.mark.parametrize(("dcr", "divisor"), [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)])
def test_divide_values(machine: Machine, dcr: int, divisor: int) -> None:
    """Divide Configuration Register."""
    machine.write(DCR, dcr)
    machine.write(INITIAL, 1000)
    machine.clock.advance(100 * divisor)
    assert machine.read(CURRENT) == 900


def test_a_masked_timer_counts_without_interrupting(told: Machine) -> None:
    told.write(DCR, DIVIDE_BY_1)
    told.write(INITIAL, 100)
    told.clock.advance(50)
    assert told.read(CURRENT) == 50
    told.clock.advance(1000)
    assert not told.bit(IRR, 0x40)


def test_unmasking_the_timer_in_time_lets_it_interrupt(told: Machine) -> None:
    told.write(DCR, DIVIDE_BY_1)
    told.write(INITIAL, 100)
    told.clock.advance(50)
    told.write(LVT_TIMER, 0x40)
    told.clock.advance(101)
    assert told.bit(IRR, 0x40)


def test_an_initial_count_of_zero_stops_the_timer(told: Machine) -> None:
    for mode in (0, PERIODIC):
        told.write(LVT_TIMER, 0x40 | mode)
        told.write(INITIAL, 1000)
        told.write(INITIAL, 0)
        told.clock.advance(told.clock.now_ns + 1_000_000)
        assert (told.read(CURRENT), told.bit(IRR, 0x40)) == (0, False)


# Priorities, told


def test_an_accepted_interrupt_goes_from_irr_to_isr_and_ends_with_eoi(told: Machine) -> None:
    """Interrupt Acceptance for Fixed Interrupts; Signaling Interrupt Servicing Completion."""
    told.write(ICR, SELF | 0x51)
    assert (told.bit(IRR, 0x51), told.bit(ISR, 0x51), told.cpus[0].pending) == (True, False, 0x51)
    told.cpus[0].acknowledge()
    assert (told.bit(IRR, 0x51), told.bit(ISR, 0x51), told.cpus[0].pending) == (False, True, None)
    told.write(EOI, 0)
    assert not told.bit(ISR, 0x51)
    told.write(EOI, 0)
    told.cpus[0].acknowledge()


def test_higher_classes_interrupt_lower_ones(told: Machine) -> None:
    """Task and Processor Priorities: the class is the vector's upper four bits."""
    told.write(ICR, SELF | 0x51)
    told.cpus[0].acknowledge()
    assert told.read(PPR) == 0x50
    told.write(ICR, SELF | 0x5F)
    assert told.cpus[0].pending is None
    told.write(ICR, SELF | 0x61)
    assert told.cpus[0].pending == 0x61
    told.cpus[0].acknowledge()
    told.write(EOI, 0)
    assert (told.bit(ISR, 0x51), told.bit(ISR, 0x61)) == (True, False)


def test_tpr_holds_back_its_class_and_lower_ones(told: Machine) -> None:
    told.write(TPR, 0x55)
    assert told.read(PPR) == 0x55
    told.write(ICR, SELF | 0x5F)
    assert told.cpus[0].pending is None
    told.write(TPR, 0x4F)
    assert told.cpus[0].pending == 0x5F


def test_a_disabled_apic_delivers_nothing(told: Machine) -> None:
    """Spurious-Interrupt Vector Register: software enable."""
    told.write(SVR, 0xFF)
    told.write(ICR, SELF | 0x51)
    assert (told.bit(IRR, 0x51), told.cpus[0].pending) == (True, None)


# Messages


def test_physical_destinations_are_ids_or_all() -> None:
    """Determining IPI Destination: physical mode."""
    machine = Machine(3)
    machine.write(ICR_HIGH, 2 << 24)
    machine.write(ICR, 0x51)
    machine.write(ICR_HIGH, 0xFF << 24)
    machine.write(ICR, 0x52)
    assert (machine.where(0x51), machine.where(0x52)) == ([2], [0, 1, 2])


def test_shorthands() -> None:
    machine = Machine(3)
    for vector, shorthand in ((0x51, SELF), (0x52, ALL), (0x53, OTHERS)):
        machine.write(ICR, shorthand | vector, 1)
    assert [machine.where(vector) for vector in (0x51, 0x52, 0x53)] == [[1], [0, 1, 2], [0, 2]]


def test_flat_logical_destinations_are_bits() -> None:
    """Logical Destination Mode: flat model."""
    machine = Machine(3)
    for cpu in range(3):
        machine.write(LDR, 1 << 24 + cpu, cpu)
    machine.write(ICR_HIGH, 0x05 << 24)
    machine.write(ICR, LOGICAL | 0x51)
    assert machine.where(0x51) == [0, 2]


def test_cluster_logical_destinations_are_a_cluster_and_bits() -> None:
    """Logical Destination Mode: cluster model; cluster 15 is all."""
    machine = Machine(3)
    for cpu, ldr in enumerate((0x11, 0x12, 0x21)):
        machine.write(DFR, 0x0FFF_FFFF, cpu)
        machine.write(LDR, ldr << 24, cpu)
    for vector, destination in ((0x51, 0x13), (0x52, 0x21), (0x53, 0xF1)):
        machine.write(ICR_HIGH, destination << 24)
        machine.write(ICR, LOGICAL | vector)
    assert [machine.where(vector) for vector in (0x51, 0x52, 0x53)] == [[0, 1], [2], [0, 2]]


def test_lowest_priority_goes_to_the_first_cpu() -> None:
    """In QEMU."""
    machine = Machine(3)
    machine.write(ICR, OTHERS | LOWEST | 0x51)
    assert machine.where(0x51) == [1]


def test_other_delivery_modes_request_nothing(machine: Machine) -> None:
    machine.write(ICR, SELF | NMI | 0x51)
    assert machine.where(0x51) == []


def test_an_msi_is_a_write_beyond_the_registers() -> None:
    """Message Address and Data Register Formats: destination in bits 19:12."""
    machine = Machine(2)
    machine.write(0x01000, 0x51)
    machine.write(0x00008, LEVEL | 0x52)
    machine.bus.msi(0xFEE0_1000, 0x53)
    assert [machine.where(vector) for vector in (0x51, 0x52, 0x53)] == [[1], [0], [1]]
    assert machine.bit(TMR, 0x52)


def test_a_misaligned_msi_is_dropped(machine: Machine) -> None:
    machine.write(0x01001, 0x51)
    machine.write(0x01000, 0x51, 0, 2)
    assert machine.where(0x51) == []


def test_init_resets_all_but_the_id() -> None:
    """Local APIC State After an INIT Reset."""
    machine = Machine(2)
    machine.write(ID, 5 << 24, 1)
    machine.write(TPR, 0x40, 1)
    machine.write(ICR_HIGH, 5 << 24)
    machine.write(ICR, INIT | ASSERT)
    assert [machine.read(offset, 1) for offset in (ID, TPR, SVR)] == [5 << 24, 0, 0xFF]


def test_init_level_de_assert_does_nothing() -> None:
    machine = Machine(2)
    machine.write(TPR, 0x40, 1)
    machine.write(ICR, ALL | INIT | LEVEL)
    assert machine.read(TPR, 1) == 0x40


def test_the_end_of_a_level_interrupt_goes_to_the_io_apics(told: Machine) -> None:
    """EOI-Broadcast; an edge interrupt's end stays here."""
    ended: list[int] = []
    told.bus.add_io(ended.append)
    for data in (0x51, 0x61 | LEVEL):
        told.bus.msi(0xFEE0_0000, data)
    assert (told.bit(TMR, 0x51), told.bit(TMR, 0x61)) == (False, True)
    for _ in range(2):
        told.cpus[0].acknowledge()
    for _ in range(2):
        told.write(EOI, 0)
    assert ended == [0x61]


# LINT0


def test_lint0_in_fixed_mode_requests_its_vector(told: Machine) -> None:
    told.write(LVT_LINT0, 0x51)
    told.cpus[0].lint0(True)
    told.cpus[0].lint0(False)
    assert told.bit(IRR, 0x51)


def test_lint0_as_a_level_goes_away_with_it(told: Machine) -> None:
    told.write(LVT_LINT0, 0x51 | LEVEL)
    told.cpus[0].lint0(True)
    assert (told.bit(IRR, 0x51), told.bit(TMR, 0x51)) == (True, True)
    told.cpus[0].lint0(False)
    assert not told.bit(IRR, 0x51)


def test_unmasking_lint0_while_it_is_high_delivers(told: Machine) -> None:
    told.cpus[0].lint0(True)
    assert not told.bit(IRR, 0x51)
    told.write(LVT_LINT0, 0x51)
    assert told.bit(IRR, 0x51)


@pytest.mark.parametrize(("entry", "reachable"), [(EXTINT, True), (EXTINT | MASKED, False), (0x51, True)])
def test_lint0_decides_whether_the_8259a_is_acknowledged(machine: Machine, entry: int, reachable: bool) -> None:
    machine.write(LVT_LINT0, entry)
    assert machine.reachable[-1] is machine.cpus[0].accepts_extint is reachable


# Acknowledges that are not told


def test_a_request_may_have_been_taken_at_any_time(machine: Machine) -> None:
    machine.write(ICR, SELF | 0x51)
    assert (machine.bit(IRR, 0x51), machine.bit(ISR, 0x51)) == (None, None)
    assert isinstance(machine.read(PPR), Unknown)


@pytest.mark.parametrize("taken", [True, False])
def test_a_read_shows_whether_it_was_taken(machine: Machine, taken: bool) -> None:
    machine.write(ICR, SELF | 0x51)
    answer = machine.read(ISR + 0x20)
    assert isinstance(answer, Unknown)
    assert (answer.mask, answer.kind) == (1 << 17, "assumed")
    answer.learn(answer.mask if taken else 0)
    if taken:
        assert (machine.bit(IRR, 0x51), machine.bit(ISR, 0x51), machine.read(PPR)) == (False, True, 0x50)
    else:
        assert machine.cpus[0].state()["irr"] >> 0x51 & 1


def test_an_eoi_proves_the_acknowledge(machine: Machine) -> None:
    machine.write(ICR, SELF | 0x51)
    machine.write(EOI, 0)
    assert (machine.bit(IRR, 0x51), machine.bit(ISR, 0x51)) == (False, False)


def test_an_eoi_for_nothing_changes_nothing(machine: Machine) -> None:
    machine.write(EOI, 0)
    machine.write(TPR, 0xF0)
    machine.write(ICR, SELF | 0x51)
    machine.write(ICR, SELF | 0xF1)
    machine.write(EOI, 0)
    assert machine.cpus[0].state()["possible"] == 1
    assert machine.bit(IRR, 0x51)


def test_a_raised_tpr_keeps_what_was_possible_before(machine: Machine) -> None:
    machine.write(ICR, SELF | 0x51)
    machine.write(TPR, 0xF0)
    assert machine.bit(IRR, 0x51) is None


def test_of_two_requests_either_may_have_ended(machine: Machine) -> None:
    machine.write(ICR, SELF | 0x51)
    machine.write(ICR, SELF | 0x61)
    machine.write(EOI, 0)
    assert (machine.bit(IRR, 0x51), machine.bit(IRR, 0x61)) == (None, None)
    machine.write(EOI, 0)
    assert [machine.bit(bits, vector) for bits in (IRR, ISR) for vector in (0x51, 0x61)] == [False] * 4


def test_if_one_is_level_triggered_the_first_requested_is_taken_to_have_ended(machine: Machine) -> None:
    ended: list[int] = []
    machine.bus.add_io(ended.append)
    machine.bus.msi(0xFEE0_0000, 0x51 | LEVEL)
    machine.write(ICR, SELF | 0x61)
    machine.write(EOI, 0)
    assert ended == [0x51]
    assert machine.cpus[0].state()["irr"] >> 0x61 & 1


def test_a_level_request_that_falls_before_it_is_taken_is_gone(machine: Machine) -> None:
    machine.write(LVT_LINT0, 0x51 | LEVEL)
    machine.cpus[0].lint0(True)
    machine.cpus[0].lint0(False)
    assert machine.bit(IRR, 0x51) is False
    assert machine.bit(ISR, 0x51) is None


def test_a_recording_that_fits_no_state_leaves_the_nearest(machine: Machine) -> None:
    machine.write(ICR, SELF | 0x51)
    machine.write(ICR, SELF | 0x52)
    answer = machine.read(ISR + 0x20)
    assert isinstance(answer, Unknown)
    answer.learn(1 << 17)
    assert machine.cpus[0].state()["possible"] >= 1


def test_possible_states_are_limited(machine: Machine) -> None:
    for number in range(14):
        machine.write(ICR, SELF | 0x20 + 0x10 * number)
    assert machine.cpus[0].state()["possible"] <= 64
    machine.write(EOI, 0)


# Outside input


@pytest.mark.parametrize(("offset", "vector"), [(ISR + 0x20, 0x51), (IRR + 0x20, 0x51), (TMR + 0x20, 0x51)])
def test_requests_of_other_sources_are_assumed(machine: Machine, offset: int, vector: int) -> None:
    assert machine.cpus[0].assume(offset, 4, 1 << vector % 32, 0)
    answer = machine.read(offset)
    assert (answer.mask | answer.known if isinstance(answer, Unknown) else answer) >> vector % 32 & 1


def test_cr8_may_have_changed_tpr(machine: Machine) -> None:
    assert machine.cpus[0].assume(TPR, 4, 0x40, 0)
    assert machine.read(TPR) == 0x40


@pytest.mark.parametrize(
    ("offset", "size", "hw", "model"),
    [(TPR, 4, 0x41, 0), (ISR, 4, 0x8000, 0), (ISR + 0x20, 4, 0, 1), (ISR + 0x20, 2, 1, 0), (ISR + 0x21, 4, 1, 0),
     (DCR, 4, 1, 0), (IRR, 4, 0, 0)],
)  # fmt: skip
def test_nothing_else_is_assumed(machine: Machine, offset: int, size: int, hw: int, model: int) -> None:
    before = machine.cpus[0].state()
    assert not machine.cpus[0].assume(offset, size, hw, model)
    assert machine.cpus[0].state() == before


# Properties

events = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.integers(0x10, 0xFF)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("eoi"), st.just(0)),
        st.tuples(st.just("tpr"), st.integers(0, 0xF).map(lambda number: number << 4)),
    ),
    max_size=30,
)


@given(events)
def test_what_was_told_is_always_possible(program: list[tuple[str, int]]) -> None:
    """The inferring model never excludes what really happened, if every EOI ends something."""
    told, infers = Machine(told=True), Machine()
    for action, value in program:
        if action == "take":
            if told.cpus[0].pending is not None:
                told.cpus[0].acknowledge()
            continue
        if action == "eoi" and not told.cpus[0].state()["isr"]:
            continue
        for machine in (told, infers):
            offset, written = {"request": (ICR, SELF | value), "eoi": (EOI, 0), "tpr": (TPR, value)}[action]
            machine.write(offset, written)
    for offset in (*range(ISR, ISR + 0x80, 0x10), *range(IRR, IRR + 0x80, 0x10)):
        truth, answer = told.read(offset), infers.read(offset)
        if isinstance(answer, Unknown):
            assert not (answer.known ^ truth) & ~answer.mask
            answer.learn(truth & answer.mask)
        else:
            assert answer == truth


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(ICR), st.sampled_from([SELF | 0x33, SELF | 0x33, SELF | 0x35, SELF | 0x51])),
            st.tuples(st.sampled_from([EOI, TPR, SVR]), st.sampled_from([0, 0x30, 0x1FF])),
            st.tuples(st.just("read"), st.sampled_from([PPR, ISR + 0x10, IRR + 0x10])),
            st.tuples(st.just("assume"), st.sampled_from([0, 0x20, 0x40])),
        ),
        max_size=40,
    )
)
def test_a_request_that_is_repeated_does_what_the_first_did(program: list[tuple[int | str, int]]) -> None:
    """If another one would change nothing, the model does not work it out."""
    short, long = Machine(), Machine()
    for action, value in program:
        for machine in (short, long):
            cpu = machine.cpus[0]
            if machine is long:
                cpu._repeats = None
            if action == "assume":
                cpu.assume(TPR, 4, value, value ^ 0x10)
            elif action == "read":
                answer = machine.read(value)
                if isinstance(answer, Unknown):
                    answer.learn(0)
            else:
                machine.write(int(action), value)
        assert list(short.cpus[0]._possible.items()) == list(long.cpus[0]._possible.items())
        assert short.cpus[0].state() == long.cpus[0].state()


def test_a_level_interrupt_through_both_apics() -> None:
    machine = Machine()
    ioapic = IoApic(machine.clock, machine.bus.msi)
    machine.bus.add_io(ioapic.end)
    ioapic.write(0x00, 4, 0x10 + 2 * 11)
    ioapic.write(0x10, 4, 0x51 | LEVEL)
    pin = ioapic.pin(11)
    pin(True)
    assert ioapic.read(0x10, 4) >> 14 & 1
    pin(False)
    machine.write(EOI, 0)
    assert not ioapic.read(0x10, 4) >> 14 & 1
