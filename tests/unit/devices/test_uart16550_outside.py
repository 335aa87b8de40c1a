"""PC16550D, input from outside: what a recording tells of it, and what it cannot explain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uart_port import (
    DLL,
    FCR,
    IER,
    IIR,
    RBR,
    Port,
    accesses,
    bytes_,
    configure_8n1,
    loopback,
    run,
)
from vmdev.replay.clock import Clock
from vmdev.replay.devices.uart16550 import (
    FCR_ENABLE,
    FCR_TX_RESET,
    IER_EDSSI,
    IER_ELSI,
    IER_ERBFI,
    IER_ETBEI,
    IER_MASK,
    IIR_FIFOS,
    IIR_LINE_STATUS,
    IIR_MODEM_STATUS,
    IIR_NONE,
    IIR_RX_DATA,
    IIR_THR_EMPTY,
    IIR_TIMEOUT,
    LCR,
    LCR_DLAB,
    LSR,
    LSR_BI,
    LSR_DR,
    LSR_FE,
    LSR_IDLE,
    LSR_OE,
    LSR_PE,
    LSR_TEMT,
    LSR_THRE,
    MCR,
    MSR,
    SCR,
    Uart16550,
)
from vmdev.replay.irq import Line

TRIGGER_4, TRIGGER_14 = 0x40, 0xC0


# Outside input


def test_dr_tells_that_a_character_arrived() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE)
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "assumed"
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "matched"
    assert port.sees(RBR, ord("a")) == "assumed"
    assert port.sees(LSR, LSR_IDLE) == "matched"
    assert port.sees(RBR, 0) == "matched"


def test_an_arrived_character_is_learned_once_without_fifo() -> None:
    port = Port()
    configure_8n1(port)
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "assumed"
    assert port.uart.state()["rbr"] == -1
    assert port.sees(RBR, ord("a")) == "assumed"
    assert port.sees(RBR, ord("a")) == "matched"


def test_dr_cannot_go_away_by_itself() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE)
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "assumed"
    assert port.sees(LSR, LSR_IDLE) == "diverged"


def test_received_data_in_iir_tells_that_characters_up_to_the_trigger_level_arrived() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE | TRIGGER_4, ier=IER_ERBFI)
    assert port.sees(IIR, IIR_FIFOS | IIR_RX_DATA) == "assumed"
    assert port.line.level
    assert port.sees(IIR, IIR_FIFOS | IIR_RX_DATA) == "matched"
    assert [port.sees(RBR, value) for value in b"abcd"] == ["assumed"] * 4
    assert port.sees(LSR, LSR_IDLE) == "matched"
    assert port.sees(IIR, IIR_FIFOS | IIR_NONE) == "matched"


def test_characters_that_were_known_to_have_arrived_count_towards_the_trigger_level() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE | TRIGGER_4, ier=IER_ERBFI)
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "assumed"
    assert port.sees(IIR, IIR_FIFOS | IIR_RX_DATA) == "assumed"
    assert port.uart.state()["rx_count"] == 4


def test_received_data_in_iir_needs_erbfi() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE, ier=IER_ETBEI | IER_ELSI)
    for hw in (IIR_RX_DATA, IIR_TIMEOUT):
        assert port.sees(IIR, IIR_FIFOS | hw) == "diverged"


def test_a_more_urgent_source_did_not_end_the_thr_empty_interrupt() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ERBFI | IER_ETBEI)
    assert port.sees(IIR, IIR_RX_DATA) == "assumed"
    assert port.sees(RBR, ord("a")) == "assumed"
    assert port.sees(IIR, IIR_THR_EMPTY) == "matched"
    assert port.sees(IIR, IIR_NONE) == "matched"


def test_timeout_in_iir_tells_that_a_character_arrived() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE | TRIGGER_14, ier=IER_ERBFI)
    assert port.sees(IIR, IIR_FIFOS | IIR_TIMEOUT) == "assumed"
    assert port.sees(IIR, IIR_FIFOS | IIR_TIMEOUT) == "matched"
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "matched"
    assert port.sees(RBR, ord("a")) == "assumed"
    assert port.sees(IIR, IIR_FIFOS | IIR_NONE) == "matched"


def test_timeout_needs_the_fifo() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ERBFI)
    assert port.sees(IIR, IIR_TIMEOUT) == "diverged"


def test_a_less_urgent_source_explains_nothing() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ERBFI | IER_ETBEI)
    assert port.sees(IIR, IIR_RX_DATA) == "assumed"
    assert port.sees(IIR, IIR_THR_EMPTY) == "diverged"
    assert port.sees(IIR, IIR_NONE) == "diverged"


def test_the_fifo_bits_of_iir_are_never_assumed() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ERBFI)
    assert port.sees(IIR, IIR_FIFOS | IIR_RX_DATA) == "diverged"


def test_rbr_may_be_read_without_asking_first() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE, ier=IER_ERBFI)
    assert port.sees(RBR, ord("a")) == "assumed"
    assert port.sees(RBR, 0) == "matched"
    port.put(FCR, 0)
    assert port.sees(RBR, ord("a")) == "assumed"
    assert port.sees(RBR, ord("a")) == "matched"


@pytest.mark.parametrize("fcr", [0, FCR_ENABLE])
def test_a_known_character_is_compared(fcr: int) -> None:
    port = loopback(fcr=fcr)
    port.send(b"a")
    port.put(MCR, 0)
    assert port.sees(RBR, ord("b")) == "diverged"


def test_a_break_is_a_null_character_with_bi() -> None:
    """8.3, bit 4."""
    port = Port()
    configure_8n1(port, ier=IER_ELSI)
    assert port.sees(IIR, IIR_LINE_STATUS) == "assumed"
    assert port.sees(LSR, LSR_IDLE | LSR_DR | LSR_BI) == "matched"
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "matched"
    assert port.sees(RBR, 0) == "matched"


def test_reading_the_last_character_clears_bi() -> None:
    """QEMU; 8.3 clears it by reading LSR only."""
    port = Port()
    configure_8n1(port, ier=IER_ELSI)
    assert port.sees(IIR, IIR_LINE_STATUS) == "assumed"
    assert port.line.level
    port.get(RBR)
    assert not port.line.level
    assert port.sees(LSR, LSR_IDLE) == "matched"


def test_bi_shown_by_lsr_is_cleared_by_that_read() -> None:
    port = Port()
    configure_8n1(port)
    assert port.sees(LSR, LSR_IDLE | LSR_DR | LSR_BI) == "assumed"
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "matched"


@pytest.mark.parametrize(
    "errors", [LSR_BI, LSR_OE, LSR_DR | LSR_OE, LSR_DR | LSR_PE, LSR_DR | LSR_FE, LSR_DR | LSR_BI | LSR_FE, 0x80]
)
def test_errors_that_qemu_cannot_receive_are_not_assumed(errors: int) -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE)
    assert port.sees(LSR, LSR_IDLE | errors) == "diverged"


@pytest.mark.parametrize("offset", [IER, LCR, MCR, SCR, MSR])
def test_other_registers_owe_nothing_to_the_outside(offset: int) -> None:
    port = Port()
    assert port.sees(offset, port.get(offset) ^ 1) == "diverged"


def test_the_divisor_owes_nothing_to_the_outside() -> None:
    port = Port()
    port.put(LCR, LCR_DLAB)
    assert port.sees(DLL, 0x41) == "diverged"


def test_nothing_comes_from_outside_in_loopback() -> None:
    """8.7, bit 4: the receiver is disconnected from SIN, the modem inputs from their pins."""
    port = loopback(fcr=FCR_ENABLE, ier=IER_MASK)
    port.get(IIR)
    assert port.sees(LSR, LSR_IDLE | LSR_DR) == "diverged"
    assert port.sees(IIR, IIR_FIFOS | IIR_RX_DATA) == "diverged"
    assert port.sees(RBR, ord("a")) == "diverged"


def test_accesses_wider_than_a_register_are_not_explained() -> None:
    port = Port()
    assert not port.uart.assume(LSR, 2, 0xB061, 0xB060)


# A transmitter that the backend holds up


def test_lsr_tells_that_characters_wait() -> None:
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE, ier=IER_ETBEI)
    port.send(b"xy")
    assert port.sees(LSR, 0) == "assumed"
    assert not port.line.level
    assert port.sees(LSR, 0) == "matched"
    port.send(b"z")
    assert port.sees(IIR, IIR_FIFOS | IIR_NONE) == "matched"
    assert port.sees(LSR, LSR_IDLE) == "assumed"
    assert port.line.level
    assert port.sees(LSR, LSR_IDLE) == "matched"


def test_a_single_character_can_only_wait_in_the_shift_register() -> None:
    port = Port()
    configure_8n1(port)
    port.send(b"x")
    assert port.sees(LSR, 0) == "diverged"
    port.send(b"x")
    assert port.sees(LSR, LSR_THRE) == "assumed"


def test_nothing_waits_unless_it_was_sent() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ETBEI)
    assert port.sees(LSR, LSR_THRE) == "diverged"
    port.send(b"xy")
    assert port.sees(LSR, LSR_IDLE) == "matched"
    for hw in (0, LSR_THRE):
        assert port.sees(LSR, hw) == "diverged"
    assert port.sees(IIR, IIR_NONE) == "diverged"


def test_what_waited_and_left_does_not_wait_again() -> None:
    port = Port()
    configure_8n1(port)
    port.send(b"xy")
    assert port.sees(LSR, 0) == "assumed"
    port.send(b"z")
    assert port.sees(LSR, LSR_IDLE) == "assumed"
    for hw in (0, LSR_THRE):
        assert port.sees(LSR, hw) == "diverged"


def test_a_character_behind_a_waiting_one_fills_the_thr() -> None:
    """8.3, bit 5."""
    port = Port()
    configure_8n1(port, ier=IER_ETBEI)
    port.send(b"x")
    assert port.sees(LSR, LSR_THRE) == "assumed"
    assert port.source() == IIR_THR_EMPTY
    port.send(b"y")
    assert port.sees(LSR, 0) == "matched"
    assert not port.line.level


def test_transmitter_fifo_reset_empties_the_thr() -> None:
    """8.4, bit 2: but not the shift register."""
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE)
    port.send(b"xy")
    assert port.sees(LSR, 0) == "assumed"
    port.put(FCR, FCR_ENABLE | FCR_TX_RESET)
    assert port.sees(LSR, LSR_THRE) == "matched"


def test_enabling_etbei_while_characters_wait_does_not_interrupt() -> None:
    """8.6, bit 1."""
    port = Port()
    configure_8n1(port)
    port.send(b"xy")
    assert port.sees(LSR, 0) == "assumed"
    port.put(IER, IER_ETBEI)
    assert not port.line.level


def test_iir_tells_nothing_of_a_single_character() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ETBEI)
    port.send(b"x")
    assert port.sees(IIR, IIR_NONE) == "diverged"


def test_iir_tells_that_characters_wait() -> None:
    port = Port()
    configure_8n1(port, ier=IER_ETBEI)
    port.send(b"xy")
    assert port.sees(IIR, IIR_NONE) == "assumed"
    assert port.sees(LSR, 0) == "matched"
    assert port.sees(IIR, IIR_THR_EMPTY) == "assumed"
    assert port.sees(IIR, IIR_NONE) == "matched"
    assert port.sees(LSR, LSR_IDLE) == "assumed"


def test_iir_that_is_not_cleared_by_reading_is_no_waiting_character() -> None:
    """What the first read confirmed cannot excuse the second."""
    port = Port()
    configure_8n1(port, ier=IER_ETBEI)
    port.send(b"xy")
    assert port.sees(IIR, IIR_THR_EMPTY) == "matched"
    assert port.sees(IIR, IIR_THR_EMPTY) == "diverged"
    port.put(IER, 0)
    port.put(IER, IER_ETBEI)
    assert port.sees(IIR, IIR_NONE) == "diverged"


def test_temt_without_thre_is_impossible() -> None:
    """8.3, bit 6."""
    port = Port()
    configure_8n1(port)
    port.send(b"xy")
    assert port.sees(LSR, LSR_TEMT) == "diverged"


# Modem lines of a real port


def test_modem_lines_change_only_on_a_real_port() -> None:
    assert Port().sees(MSR, 0x00) == "diverged"
    assert Port(modem_lines=True).sees(MSR, 0x00) == "assumed"


def test_a_changed_line_shows_in_its_delta_bit() -> None:
    """8.8."""
    port = Port(modem_lines=True)
    assert port.sees(MSR, 0xB0) == "matched"
    assert port.sees(MSR, 0x30) == "diverged"
    assert port.sees(MSR, 0x38) == "assumed"
    assert port.sees(MSR, 0x30) == "matched"


def test_teri_shows_only_that_ri_went_off() -> None:
    """8.8, bit 2."""
    port = Port(modem_lines=True)
    assert port.sees(MSR, 0xB0) == "matched"
    assert port.sees(MSR, 0xF0) == "assumed"
    assert port.sees(MSR, 0xB0) == "diverged"
    assert port.sees(MSR, 0xB4) == "assumed"


def test_modem_status_interrupt_lasts_until_msr_is_read() -> None:
    """Table IV."""
    port = Port(modem_lines=True)
    configure_8n1(port, ier=IER_EDSSI)
    assert port.sees(IIR, IIR_MODEM_STATUS) == "assumed"
    assert port.line.level
    assert port.sees(IIR, IIR_MODEM_STATUS) == "matched"
    port.put(IER, 0)
    assert not port.line.level
    port.put(IER, IER_EDSSI)
    assert port.sees(MSR, 0x38) == "assumed"
    assert not port.line.level
    assert port.sees(MSR, 0x30) == "matched"


@pytest.mark.parametrize(("modem_lines", "ier"), [(True, IER_ETBEI), (True, 0), (False, IER_EDSSI)])
def test_modem_status_interrupt_needs_a_real_port_and_edssi(modem_lines: bool, ier: int) -> None:
    port = Port(modem_lines=modem_lines)
    configure_8n1(port, ier=ier)
    port.get(IIR)
    assert port.sees(IIR, IIR_MODEM_STATUS) == "diverged"


# Properties


@given(accesses, st.integers(0, 7), bytes_)
def test_what_is_not_assumed_leaves_no_trace(program: list[tuple[str, int, int]], offset: int, hw: int) -> None:
    port = Port()
    configure_8n1(port)
    run(port, program)
    model = port.get(offset)
    before = dict(port.uart.state()), port.line.level
    if model != hw and not port.uart.assume(offset, 1, hw, model):
        assert (dict(port.uart.state()), port.line.level) == before


@given(accesses, st.sampled_from((0x00, 0x01, 0x11, 0x20, 0x21, 0x31, 0x40, 0x60, 0x61, 0x71, 0x73)))
def test_what_is_assumed_of_lsr_agrees_with_the_next_read(program: list[tuple[str, int, int]], hw: int) -> None:
    port = Port()
    configure_8n1(port)
    run(port, program)
    if port.sees(LSR, hw) == "assumed":
        assert port.get(LSR) == hw & ~(LSR_OE | LSR_BI)


def test_nothing_is_assumed_where_nothing_can_come_from_outside() -> None:
    uart = Uart16550(Clock(), Line(), outside=False)
    idle = uart.read(LSR, 1)
    assert not uart.assume(LSR, 1, idle | 0x01, idle)
    assert uart.read(LSR, 1) == idle
