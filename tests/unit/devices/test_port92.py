"""System control port A: gate A20 and fast reset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.devices.port92 import Port92
from vmdev.replay.irq import Line


def test_it_reads_0_after_power_on() -> None:
    """QEMU."""
    assert Port92().read(0, 1) == 0


@given(st.integers(0, 0xFF))
def test_all_bits_read_back(value: int) -> None:
    """QEMU."""
    port = Port92()
    port.write(0, 1, value)
    assert port.read(0, 1) == value


def test_bit_1_drives_gate_a20() -> None:
    line = Line()
    changes: list[bool] = []
    line.connect(changes.append)
    port = Port92(line)
    for value in (0xFD, 0x02, 0xFF, 0x00):
        port.write(0, 1, value)
    assert changes == [True, False]
    assert port.a20 is line


@pytest.mark.parametrize(("value", "after"), [(0x01, 0x00), (0xFF, 0xFE), (0x02, 0x02)])
def test_reset_clears_fast_reset_only(value: int, after: int) -> None:
    """QEMU: gate A20 stays as it was."""
    port = Port92()
    port.write(0, 1, value)
    a20 = port.a20.level
    port.reset()
    assert port.read(0, 1) == after
    assert port.a20.level == a20


def test_wide_accesses_reach_the_same_register_again_and_again() -> None:
    """QEMU."""
    port = Port92()
    port.write_any(0, 2, 0x5602)
    assert port.read(0, 1) == 0x56
    assert port.read_any(0, 4) == 0x5656_5656
