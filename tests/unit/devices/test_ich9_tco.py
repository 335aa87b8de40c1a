"""TCO watchdog: ICH9 data sheet, section 13.9, and QEMU where it differs."""

from __future__ import annotations

import pytest

from vmdev.replay.clock import Clock
from vmdev.replay.devices.ich9_tco import (
    CNT1,
    CNT2,
    DAT_IN,
    DAT_OUT,
    RLD,
    STS1,
    STS2,
    SW_IRQ_GEN,
    TCO_LOCK,
    TCO_TMR_HLT,
    TICK_NS,
    TMR,
    Ich9Tco,
)


class Machine:
    def __init__(self, *, reboots: bool = False) -> None:
        self.clock = Clock()
        self.tco = Ich9Tco(self.clock, lambda: reboots)

    def get(self, offset: int, size: int = 2) -> int:
        return self.tco.read(offset, size)

    def put(self, offset: int, value: int) -> None:
        self.tco.write(offset, 2, value)

    def advance(self, ticks: int) -> None:
        self.clock.advance(self.clock.now_ns + ticks * TICK_NS)


def test_power_on_values() -> None:
    machine = Machine()
    assert [machine.get(offset) for offset in (RLD, CNT2, SW_IRQ_GEN, TMR)] == [0, 8, 3, 4]


def test_the_timer_counts_down_from_its_initial_value() -> None:
    """13.9.1."""
    machine = Machine()
    machine.put(TMR, 50)
    machine.put(RLD, 1)
    assert machine.get(RLD) == 50
    machine.advance(8)
    assert machine.get(RLD) == 42
    machine.put(RLD, 1)
    assert machine.get(RLD) == 50


def test_the_first_timeout_sets_timeout_and_the_second_one_second_to_sts() -> None:
    """13.9.4 and 13.9.5."""
    machine = Machine()
    machine.put(CNT1, 0)
    machine.advance(4)
    assert (machine.get(STS1), machine.get(STS2)) == (0x08, 0)
    assert machine.get(RLD) == 4
    machine.advance(4)
    assert machine.get(STS2) == 0x06
    machine.advance(2)
    assert machine.get(RLD) == 2


def test_a_reload_forgets_the_first_timeout() -> None:
    machine = Machine()
    machine.put(RLD, 1)
    machine.advance(4)
    machine.put(RLD, 1)
    machine.advance(4)
    assert machine.get(STS2) == 0


def test_after_a_reboot_the_timer_stands() -> None:
    machine = Machine(reboots=True)
    machine.put(CNT1, 0)
    machine.advance(8)
    assert machine.get(RLD) == 0
    assert machine.get(STS2) == 0x06
    machine.advance(100)
    assert machine.get(RLD) == 0


def test_halt_stops_the_count() -> None:
    """13.9.6."""
    machine = Machine()
    machine.put(RLD, 1)
    machine.put(CNT1, TCO_TMR_HLT)
    machine.advance(2)
    assert machine.get(RLD) == 4
    machine.put(RLD, 7)
    assert machine.get(RLD) == 7


def test_a_timer_of_0_expires_at_once_and_once() -> None:
    machine = Machine()
    machine.put(TMR, 0x400)
    machine.put(CNT1, 0)
    machine.advance(1)
    assert machine.get(STS1) == 8
    assert machine.get(RLD) == 0x400


def test_the_lock_stays() -> None:
    machine = Machine()
    machine.put(CNT1, TCO_LOCK)
    machine.put(CNT1, 0xFFFF)
    machine.put(CNT1, 0)
    assert machine.get(CNT1) == TCO_LOCK
    assert machine.tco.is_locked


def test_data_in_and_out_set_their_status() -> None:
    """13.9.2 and 13.9.3."""
    machine = Machine()
    machine.put(DAT_IN, 0x155)
    machine.put(DAT_OUT, 0xAA)
    assert (machine.get(DAT_IN), machine.get(DAT_OUT), machine.get(STS1)) == (0x55, 0xAA, 0x06)


@pytest.mark.parametrize(("offset", "value"), [(STS1, 0xE870), (STS2, 0xFFF8), (CNT1, 0xFEFF), (TMR, 0xFFFF)])
def test_what_can_be_written(offset: int, value: int) -> None:
    """QEMU: status, too, takes what is written."""
    machine = Machine()
    machine.put(offset, 0xFFFF)
    assert machine.get(offset) == value


def test_there_is_nothing_else() -> None:
    machine = Machine()
    machine.put(0x1E, 0xFFFF)
    assert machine.get(0x1E) == machine.get(CNT1 + 1, 1) == 0
    machine.tco.reset()
    assert machine.tco.state()["running"] == 0
