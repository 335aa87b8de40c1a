"""Parallel port: the registers in SPP mode, and QEMU's printer, which is always ready."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.parallel_port import (
    CTR,
    CTR_DIRECTION,
    CTR_INIT,
    CTR_IRQE,
    CTR_SLIN,
    CTR_STROBE,
    DTR,
    PORTS,
    RESET_CTR,
    RESET_STR,
    STR,
    STR_ACK,
    STR_BUSY,
    STR_TIMEOUT,
    ParallelPort,
)  # fmt: skip
from vmdev.replay.irq import Line

ON: int = CTR_SLIN | CTR_INIT


def test_data_read_back_unless_the_direction_is_input() -> None:
    port = ParallelPort(Line())
    port.write(DTR, 1, 0x5A)
    assert port.read(DTR, 1) == 0x5A
    port.write(CTR, 1, CTR_DIRECTION)
    assert port.read(DTR, 1) == 0xFF


def test_reserved_bits_of_the_control_register_read_1() -> None:
    port = ParallelPort(Line())
    port.write(CTR, 1, 0)
    assert port.read(CTR, 1) == 0xC0


def test_a_character_goes_through_busy_and_acknowledge() -> None:
    """QEMU: a step with each read."""
    port = ParallelPort(Line())
    port.write(CTR, 1, ON | CTR_STROBE)
    assert [port.read(STR, 1) & (STR_BUSY | STR_ACK) for _ in range(2)] == [STR_ACK, STR_ACK], "STROBE is on"
    port.write(CTR, 1, ON)
    assert [port.read(STR, 1) & (STR_BUSY | STR_ACK) for _ in range(4)] == [STR_ACK, 0, STR_BUSY | STR_ACK, 0xC0]


@pytest.mark.parametrize("control", [CTR_STROBE | CTR_INIT, CTR_STROBE])
def test_a_printer_that_is_not_selected_takes_nothing(control: int) -> None:
    port = ParallelPort(Line())
    port.write(CTR, 1, control)
    assert port.read(STR, 1) & STR_BUSY


def test_init_puts_the_status_back() -> None:
    port = ParallelPort(Line())
    assert port.read(STR, 1) == RESET_STR
    port.write(CTR, 1, ON | CTR_STROBE)
    port.write(CTR, 1, 0)
    assert port.read(STR, 1) == RESET_STR & ~STR_TIMEOUT


def test_the_interrupt_comes_with_irqe_and_ends_with_a_read_of_the_status() -> None:
    """QEMU: when STROBE is cleared, if IRQE was set before."""
    irq = Line()
    port = ParallelPort(irq)
    port.write(CTR, 1, ON | CTR_IRQE)
    assert not irq.level
    port.write(CTR, 1, ON | CTR_IRQE)
    assert irq.level
    port.read(STR, 1)
    assert not irq.level
    port.write(CTR, 1, ON)
    port.reset()
    assert not irq.level


def test_other_offsets_and_sizes() -> None:
    """QEMU."""
    port = ParallelPort(Line())
    port.write(STR, 1, 0)
    for offset in range(3, PORTS):
        port.write(offset, 1, 0)
        assert port.read(offset, 1) == 0xFF
    assert port.read(STR, 2) == RESET_CTR << 8 | RESET_STR
    port.write(STR, 2, 0)
    assert port.read(CTR, 1) == 0xC0
    assert port.read(DTR, 4) == 0xFFFF_FFFF
    port.write(DTR, 4, 0)
    assert port.read(DTR, 1) == 0xFF
