"""PM1a blocks: ACPI 6.5, sections 4.8.3.1 and 4.8.3.2, and QEMU where it differs."""

from __future__ import annotations

import pytest

from vmdev.replay.clock import NEVER, Clock, first_ns_of_tick
from vmdev.replay.devices.acpi_pm1 import CNT, EN, HALF_ROUND, STS, AcpiPm1
from vmdev.replay.devices.acpi_pm_timer import FREQUENCY_HZ
from vmdev.replay.irq import Line

CARRY_NS = first_ns_of_tick(HALF_ROUND, FREQUENCY_HZ)


class Machine:
    def __init__(self) -> None:
        self.clock = Clock()
        self.sci = Line()
        self.pm1 = AcpiPm1(self.clock, self.sci)

    def get(self, offset: int, size: int = 2) -> int:
        return self.pm1.read(offset, size)

    def put(self, offset: int, value: int, size: int = 2) -> None:
        self.pm1.write(offset, size, value)


def test_tmr_sts_is_set_when_bit_23_changes() -> None:
    """4.8.3.1.1. QEMU: and from the start."""
    machine = Machine()
    assert machine.get(STS) == 1
    machine.put(STS, 1)
    assert machine.get(STS) == 0
    machine.clock.advance(CARRY_NS - 1)
    assert machine.get(STS) == 0
    machine.clock.advance(CARRY_NS)
    assert machine.get(STS) == 1
    machine.clock.advance(3 * CARRY_NS)
    machine.put(STS, 0xFFFE)
    assert machine.get(STS) == 1
    machine.put(STS, 1)
    assert machine.pm1.state()["carry_tick"] == 4 * HALF_ROUND


def test_the_timers_carry_interrupts() -> None:
    machine = Machine()
    machine.put(EN, 0x0001)
    assert machine.sci.level
    machine.put(STS, 0x0001)
    assert not machine.sci.level
    machine.clock.advance(CARRY_NS)
    assert machine.sci.level
    machine.put(EN, 0)
    assert not machine.sci.level
    machine.put(STS, 0x0001)
    machine.put(EN, 1)
    machine.put(EN, 0)
    assert machine.clock.deadline_ns == NEVER or not machine.sci.level


def test_general_purpose_events_interrupt_too() -> None:
    machine = Machine()
    machine.pm1.has_event = lambda: True
    machine.pm1.update()
    assert machine.sci.level


def test_slp_en_reads_0() -> None:
    """4.8.3.2.1."""
    machine = Machine()
    machine.put(CNT, 0x3C01)
    assert machine.get(CNT) == 0x1C01


def test_the_smi_command_port_switches_sci_en() -> None:
    """4.8.3.2.1, and 3.2 of the FADT's SMI_CMD."""
    machine = Machine()
    machine.pm1.switch_sci(True)
    assert machine.get(CNT) == 1
    machine.pm1.switch_sci(False)
    assert machine.get(CNT) == 0


@pytest.mark.parametrize(("offset", "value"), [(0, 0x01), (1, 0x00), (2, 0x34), (3, 0x00), (4, 0x78), (5, 0x78)])
def test_bytes_are_the_low_ones(offset: int, value: int) -> None:
    """QEMU."""
    machine = Machine()
    machine.put(EN, 0x1234)
    machine.put(CNT, 0x5678 & ~0x2000)
    assert machine.get(offset, 1) == value


def test_a_byte_written_clears_the_upper_one() -> None:
    """QEMU."""
    machine = Machine()
    machine.put(EN, 0x0520)
    machine.put(EN + 1, 0xFF, 1)
    assert machine.get(EN) == 0x0520
    machine.put(EN, 0x20, 1)
    assert machine.get(EN) == 0x0020


def test_a_reset_sets_tmr_sts() -> None:
    machine = Machine()
    machine.put(STS, 1)
    machine.put(EN, 0x20)
    machine.put(CNT, 1)
    machine.pm1.reset()
    assert [machine.get(offset) for offset in (STS, EN, CNT)] == [1, 0, 0]
