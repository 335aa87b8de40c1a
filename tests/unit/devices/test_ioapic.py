"""82093AA: statements of its data sheet, and where QEMU differs from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.devices.ioapic import STORM, STORM_PAUSE_NS, IoApic

IOREGSEL, IOWIN, EOIR = 0x00, 0x10, 0x40
LEVEL, MASKED, REMOTE_IRR = 1 << 15, 1 << 16, 1 << 14
LOGICAL, EXTINT = 1 << 11, 7 << 8


class Machine:
    """An I/O APIC and the messages that it sent."""

    def __init__(self, version: int = 0x20) -> None:
        self.clock = Clock()
        self.sent: list[tuple[int, int]] = []
        self.acknowledged = 0
        self.ioapic = IoApic(self.clock, lambda address, data: self.sent.append((address, data)), self.extint, version)

    def extint(self) -> int:
        self.acknowledged += 1
        return 0x77

    def get(self, index: int) -> int:
        self.ioapic.writer(IOREGSEL, 4)(index)
        return self.ioapic.reader(IOWIN, 4)()

    def set(self, index: int, value: int) -> None:
        self.ioapic.write(IOREGSEL, 4, index)
        self.ioapic.writer(IOWIN, 4)(value)

    def entry(self, pin: int, low: int, high: int = 0) -> None:
        self.set(0x11 + 2 * pin, high)
        self.set(0x10 + 2 * pin, low)

    def vectors(self) -> list[int]:
        return [data & 0xFF for _, data in self.sent]


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Registers


def test_ioregsel_selects_what_iowin_shows(machine: Machine) -> None:
    """3.1.1."""
    machine.ioapic.write(IOREGSEL, 1, 0x12)
    assert machine.ioapic.read(IOREGSEL, 4) == 0x12
    assert machine.ioapic.read(IOREGSEL, 1) == 0x12
    assert machine.ioapic.bank(IOWIN) == "index 0x12"
    assert machine.ioapic.bank(IOREGSEL) is None


@pytest.mark.parametrize(("version", "value"), [(0x20, 0x170020), (0x11, 0x170011)])
def test_version_and_number_of_pins(version: int, value: int) -> None:
    """3.2.2: Maximum Redirection Entry is 23."""
    machine = Machine(version)
    machine.set(1, 0)
    assert machine.get(1) == value


def test_id_has_four_bits_and_is_the_arbitration_id(machine: Machine) -> None:
    """3.2.1, 3.2.3."""
    machine.set(0, 0xFFFF_FFFF)
    machine.set(2, 0)
    assert machine.get(0) == machine.get(2) == 0x0F00_0000


def test_entries_are_masked_after_reset(machine: Machine) -> None:
    """3.2.4: bit 16."""
    machine.entry(5, 0x31, 0x0100_0000)
    machine.ioapic.reset()
    assert [machine.get(index) for index in (0x1A, 0x1B)] == [MASKED, 0]


def test_delivery_status_and_remote_irr_cannot_be_written(machine: Machine) -> None:
    machine.entry(5, 0xFFFF_FFFF)
    assert machine.get(0x1A) == 0xFFFF_FFFF & ~(1 << 12 | REMOTE_IRR)


@pytest.mark.parametrize("index", [0x03, 0x0F, 0x40, 0xFF])
def test_other_indices_read_zero(machine: Machine, index: int) -> None:
    machine.set(index, 0xFFFF_FFFF)
    assert machine.get(index) == 0


@pytest.mark.parametrize("size", [1, 2])
def test_iowin_takes_only_four_bytes(machine: Machine, size: int) -> None:
    machine.ioapic.write(IOREGSEL, 4, 0x10)
    machine.ioapic.write(IOWIN, size, 0x55)
    assert machine.ioapic.read(IOWIN, size) == 0
    assert machine.get(0x10) == MASKED


def test_wide_and_misaligned_accesses(machine: Machine) -> None:
    """QEMU: eight bytes are two of four; at an odd address bytes alone are left."""
    machine.ioapic.write_any(IOREGSEL, 8, 0x55_0000_0001)
    assert machine.ioapic.read_any(IOWIN, 8) == 0x170020
    assert machine.ioapic.read(IOREGSEL + 2, 4) == 0
    machine.ioapic.write(0x0E, 4, 0xFFFF_FFFF)
    machine.ioapic.write(0x100, 4, 0x01)
    assert machine.ioapic.read(0x310, 4) == 0x170020
    assert machine.ioapic.read(0x20, 4) == 0


# Edge-triggered pins


def test_an_edge_is_delivered_once(machine: Machine) -> None:
    machine.entry(4, 0x31)
    pin = machine.ioapic.pin(4)
    pin(True)
    pin(False)
    assert machine.sent == [(0xFEE0_0000, 0x31)]
    pin(True)
    assert machine.vectors() == [0x31, 0x31]


def test_an_edge_at_a_masked_pin_is_lost(machine: Machine) -> None:
    """3.4.2: Interrupt Mask: edge-sensitive interrupts are ignored."""
    machine.entry(4, 0x31 | MASKED)
    machine.ioapic.pin(4)(True)
    machine.entry(4, 0x31)
    assert machine.sent == []


def test_the_message_has_destination_and_modes(machine: Machine) -> None:
    machine.entry(4, 0x31 | LOGICAL | 1 << 8 | LEVEL, 0x0300_0000)
    machine.ioapic.pin(4)(True)
    assert machine.sent == [(0xFEE0_3004, 0x31 | 1 << 8 | 1 << 15)]


# Level-triggered pins


def test_a_level_is_delivered_and_sets_remote_irr(machine: Machine) -> None:
    """3.2.4: Remote IRR."""
    machine.entry(9, 0x29 | LEVEL)
    pin = machine.ioapic.pin(9)
    pin(True)
    pin(True)
    assert machine.vectors() == [0x29]
    assert machine.get(0x22) == 0x29 | LEVEL | REMOTE_IRR
    pin(False)
    machine.ioapic.end(0x29)
    assert machine.get(0x22) == 0x29 | LEVEL
    assert machine.vectors() == [0x29]


def test_a_level_that_stays_high_is_delivered_again_at_the_end(machine: Machine) -> None:
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.ioapic.end(0x29)
    assert machine.vectors() == [0x29, 0x29]


def test_the_end_of_another_vector_changes_nothing(machine: Machine) -> None:
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.ioapic.end(0x30)
    assert machine.get(0x22) & REMOTE_IRR


def test_the_eoi_register_ends_a_vector(machine: Machine) -> None:
    """ICH: EOIR."""
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.ioapic.write(EOIR, 4, 0x29)
    assert machine.vectors() == [0x29, 0x29]


def test_version_11h_has_no_eoi_register() -> None:
    machine = Machine(0x11)
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.ioapic.write(EOIR, 4, 0x29)
    assert machine.vectors() == [0x29]


def test_a_masked_level_is_delivered_when_it_is_unmasked(machine: Machine) -> None:
    machine.entry(9, 0x29 | LEVEL | MASKED)
    machine.ioapic.pin(9)(True)
    assert machine.sent == []
    machine.entry(9, 0x29 | LEVEL)
    assert machine.vectors() == [0x29]


def test_masking_before_the_end_keeps_the_request(machine: Machine) -> None:
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.set(0x22, 0x29 | LEVEL | MASKED)
    machine.ioapic.end(0x29)
    assert machine.vectors() == [0x29]
    machine.set(0x22, 0x29 | LEVEL)
    assert machine.vectors() == [0x29, 0x29]


def test_a_delivery_while_remote_irr_is_set_waits(machine: Machine) -> None:
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.set(0x22, 0x29 | LEVEL)
    assert machine.vectors() == [0x29]


def test_becoming_edge_triggered_clears_remote_irr(machine: Machine) -> None:
    """QEMU; drivers without an EOI register rely on it."""
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    machine.set(0x22, 0x29 | MASKED)
    machine.set(0x22, 0x29 | LEVEL | MASKED)
    assert machine.get(0x22) == 0x29 | LEVEL | MASKED


def test_an_interrupt_storm_is_slowed_down(machine: Machine) -> None:
    """QEMU: every 10,000th delivery in a row comes 10 ms later."""
    machine.entry(9, 0x29 | LEVEL)
    machine.ioapic.pin(9)(True)
    for _ in range(STORM):
        machine.ioapic.end(0x29)
    assert len(machine.sent) == STORM
    machine.clock.advance(STORM_PAUSE_NS - 1)
    assert len(machine.sent) == STORM
    machine.clock.advance(STORM_PAUSE_NS)
    assert len(machine.sent) == STORM + 1


def test_extint_takes_its_vector_from_the_8259a(machine: Machine) -> None:
    """3.2.4: delivery mode ExtINT."""
    machine.entry(0, EXTINT)
    machine.ioapic.pin(0)(True)
    assert (machine.vectors(), machine.acknowledged) == ([0x77], 1)


def test_a_masked_extint_that_is_pending_acknowledges_too(machine: Machine) -> None:
    machine.entry(0, EXTINT | LEVEL | MASKED)
    machine.ioapic.pin(0)(True)
    machine.set(0x10, EXTINT | LEVEL | MASKED)
    assert (machine.vectors(), machine.acknowledged) == ([], 2)


# Outside input


def test_a_level_at_a_pin_that_nobody_drives_is_assumed(machine: Machine) -> None:
    machine.entry(17, 0x29 | LEVEL)
    model = machine.get(0x32)
    assert machine.ioapic.assume(IOWIN, 4, model | REMOTE_IRR, model)
    assert machine.vectors() == [0x29]
    assert machine.get(0x32) == model | REMOTE_IRR


@pytest.mark.parametrize(
    ("index", "low", "hw"),
    [
        (0x32, 0x29, 0x29 | REMOTE_IRR),
        (0x32, 0x29 | LEVEL | MASKED, 0x29 | LEVEL | MASKED | REMOTE_IRR),
        (0x32, 0x29 | LEVEL, 0x28 | LEVEL | REMOTE_IRR),
        (0x01, 0x29 | LEVEL, 0x170021),
        (0x33, 0x29 | LEVEL, REMOTE_IRR),
    ],
)
def test_other_differences_are_not_assumed(machine: Machine, index: int, low: int, hw: int) -> None:
    machine.entry(17, low)
    assert not machine.ioapic.assume(IOWIN, 4, hw, machine.get(index))
    assert not machine.ioapic.assume(IOREGSEL, 4, hw, 0)


def test_nothing_is_assumed_at_a_driven_pin(machine: Machine) -> None:
    machine.ioapic.pin(17)
    machine.entry(17, 0x29 | LEVEL)
    assert not machine.ioapic.assume(IOWIN, 4, 0x29 | LEVEL | REMOTE_IRR, machine.get(0x32))


@given(st.lists(st.tuples(st.sampled_from(["high", "low", "end", "mask", "unmask"]), st.integers(0, 1)), max_size=40))
def test_a_level_interrupt_is_never_delivered_twice_without_an_end(steps: list[tuple[str, int]]) -> None:
    machine = Machine()
    pins = [machine.ioapic.pin(number) for number in (16, 17)]
    pending = [0, 0]
    for action, number in steps:
        vector = 0x40 + number
        before = len(machine.sent)
        if action in ("high", "low"):
            pins[number](action == "high")
        elif action == "end":
            pending[number] = 0
            machine.ioapic.end(vector)
        else:
            machine.entry(16 + number, vector | LEVEL | (MASKED if action == "mask" else 0))
        for _, data in machine.sent[before:]:
            pending[(data & 0xFF) - 0x40] += 1
        assert max(pending) <= 1
