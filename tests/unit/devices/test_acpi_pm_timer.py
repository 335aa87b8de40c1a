"""ACPI power management timer: 4.8.3.3 of the specification, and what QEMU makes of narrow reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import NANOSECONDS_PER_SECOND, Clock
from vmdev.replay.devices.acpi_pm_timer import FREQUENCY_HZ, AcpiPmTimer


def timer_at(now_ns: int) -> AcpiPmTimer:
    clock = Clock()
    clock.advance(now_ns)
    return AcpiPmTimer(clock)


def test_it_counts_3579545_a_second_from_clock_0() -> None:
    assert timer_at(0).read(0, 4) == 0
    assert timer_at(NANOSECONDS_PER_SECOND).read(0, 4) == 3_579_545
    assert timer_at(2 * NANOSECONDS_PER_SECOND).read(0, 4) == 7_159_090


@pytest.mark.parametrize(("now_ns", "count"), [(279, 0), (280, 1), (558, 1), (559, 2), (838, 2), (839, 3)])
def test_ticks_fall_on_the_nanosecond(now_ns: int, count: int) -> None:
    """Observed in QEMU: whole ticks, rounded down."""
    assert timer_at(now_ns).read(0, 4) == count


def test_it_wraps_at_24_bits() -> None:
    wrap_ns = -(-(1 << 24) * NANOSECONDS_PER_SECOND // FREQUENCY_HZ)
    assert timer_at(wrap_ns - 1).read(0, 4) == 0xFF_FFFF
    assert timer_at(wrap_ns).read(0, 4) == 0


COUNT_NS = 960_002_000
COUNT = 0x34_6F52  # what the counter shows then


@pytest.mark.parametrize(
    ("offset", "size", "value"),
    [
        (0, 4, COUNT),
        (0, 2, COUNT & 0xFFFF),
        (2, 2, COUNT & 0xFFFF),
        (0, 1, COUNT & 0xFF),
        (1, 1, COUNT & 0xFF),
        (2, 1, COUNT & 0xFF),
        (3, 1, COUNT & 0xFF),
        (1, 2, 0),
        (3, 2, 0),
        (1, 4, 0),
        (2, 4, 0),
        (3, 4, 0),
    ],
)
def test_narrow_and_unaligned_reads(offset: int, size: int, value: int) -> None:
    """QEMU: each aligned read starts at the lowest byte; the others fail."""
    assert timer_at(COUNT_NS).read(offset, size) == value


def test_neither_writes_nor_a_reset_change_it() -> None:
    timer = timer_at(COUNT_NS)
    timer.write(0, 4, 0)
    timer.write(1, 1, 0xFF)
    timer.reset()
    assert timer.read(0, 4) == COUNT


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 32))
def test_a_difference_of_two_reads_measures_time_to_the_tick(now_ns: int, elapsed_ns: int) -> None:
    difference = timer_at(now_ns + elapsed_ns).read(0, 4) - timer_at(now_ns).read(0, 4)
    whole_ticks = elapsed_ns * FREQUENCY_HZ // NANOSECONDS_PER_SECOND
    assert (difference - whole_ticks) % (1 << 24) in (0, 1)
