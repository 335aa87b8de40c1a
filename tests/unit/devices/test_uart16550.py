"""PC16550D: one test per statement of the data sheet (its section in the docstring) or of observed QEMU behaviour."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uart_port import (
    CHARACTER_8N1_NS,
    DLL,
    DLM,
    FCR,
    IER,
    IIR,
    RBR,
    THR,
    Port,
    accesses,
    bytes_,
    configure_8n1,
    loopback,
    run,
)
from vmdev.replay.devices.uart16550 import (
    DLAB_0,
    DLAB_1,
    FCR_ENABLE,
    FCR_RX_RESET,
    FCR_TX_RESET,
    IER_EDSSI,
    IER_ELSI,
    IER_ERBFI,
    IER_ETBEI,
    IER_MASK,
    IIR_FIFOS,
    IIR_LINE_STATUS,
    IIR_NONE,
    IIR_RX_DATA,
    IIR_THR_EMPTY,
    IIR_TIMEOUT,
    LCR,
    LCR_DLAB,
    LSR,
    LSR_DR,
    LSR_IDLE,
    LSR_OE,
    LSR_TEMT,
    LSR_THRE,
    MCR,
    MCR_LOOP,
    MSR,
    SCR,
)

TRIGGER_4, TRIGGER_8, TRIGGER_14 = 0x40, 0x80, 0xC0


# Registers


def test_reset_restores_every_register() -> None:
    """Table I, and QEMU's values for MCR, MSR, SCR and the divisor."""
    port = Port()
    fresh = dict(port.uart.state())
    configure_8n1(port, divisor=0x1234, fcr=FCR_ENABLE | TRIGGER_8, ier=IER_MASK)
    port.put(MCR, MCR_LOOP)
    port.put(SCR, 0x5A)
    port.send(b"characters")
    assert port.line.level
    port.uart.reset()
    assert port.uart.state() == fresh
    assert not port.line.level
    assert [port.get(offset) for offset in (IER, IIR, LCR, MCR, LSR, MSR, SCR)] == [0, 1, 0, 0x08, 0x60, 0xB0, 0]
    port.put(LCR, LCR_DLAB)
    assert (port.get(DLL), port.get(DLM)) == (0x0C, 0x00)


def test_reset_stops_the_character_timeout() -> None:
    port = loopback(fcr=FCR_ENABLE | TRIGGER_4, ier=IER_ERBFI)
    port.send(b"a")
    port.uart.reset()
    configure_8n1(port, fcr=FCR_ENABLE | TRIGGER_4, ier=IER_ERBFI)
    port.advance_ns(100 * CHARACTER_8N1_NS)
    assert port.source() == IIR_NONE


def test_dlab_selects_the_divisor_latches() -> None:
    """8.1, bit 7."""
    port = Port()
    port.put(IER, 0x05)
    assert port.uart.bank(DLL) == DLAB_0
    port.put(LCR, LCR_DLAB)
    assert port.uart.bank(DLL) == DLAB_1
    port.put(DLL, 0x34)
    port.put(DLM, 0x12)
    assert (port.get(DLL), port.get(DLM)) == (0x34, 0x12)
    port.put(LCR, 0)
    assert port.get(IER) == 0x05
    assert port.uart.state()["divisor"] == 0x1234


def test_writing_the_divisor_sends_nothing() -> None:
    """8.1, bit 7."""
    port = loopback()
    port.put(LCR, LCR_DLAB)
    port.put(DLL, 0x41)
    port.put(LCR, 0)
    assert not port.get(LSR) & LSR_DR


@pytest.mark.parametrize(("offset", "kept"), [(IER, 0x0F), (LCR, 0xFF), (MCR, 0x1F), (SCR, 0xFF)])
def test_only_implemented_bits_read_back(offset: int, kept: int) -> None:
    """8.6 and 8.7: the high bits of IER and MCR are 0; 8.9: SCR holds anything."""
    port = Port()
    for value in (0xFF, 0x00, 0xA5):
        port.put(offset, value)
        assert port.get(offset) == value & kept


@pytest.mark.parametrize("offset", [LSR, MSR])
def test_writes_to_the_status_registers_are_ignored(offset: int) -> None:
    """8.3 reserves them for factory tests; QEMU ignores them."""
    port = Port()
    before = port.get(offset)
    port.put(offset, ~before & 0xFF)
    assert port.get(offset) == before


def test_fcr_cannot_be_read() -> None:
    """8.4: FCR and IIR share an offset."""
    port = Port()
    port.put(FCR, FCR_ENABLE | TRIGGER_14)
    assert port.get(IIR) == IIR_FIFOS | IIR_NONE
    port.put(FCR, 0)
    assert port.get(IIR) == IIR_NONE


# Transmitter


def test_a_character_has_left_before_lsr_can_be_read() -> None:
    """QEMU; 8.3 would show THRE and TEMT as 0 for a while."""
    port = Port()
    configure_8n1(port)
    for fcr in (0, FCR_ENABLE):
        port.put(FCR, fcr)
        port.send(b"x" * 40)
        assert port.get(LSR) == LSR_THRE | LSR_TEMT


def test_a_sent_character_raises_the_thr_empty_interrupt() -> None:
    """8.10."""
    port = Port()
    configure_8n1(port, ier=IER_ETBEI)
    assert port.source() == IIR_THR_EMPTY
    assert port.source() == IIR_NONE
    port.send(b"x")
    assert port.line.level
    assert port.source() == IIR_THR_EMPTY


def test_reading_iir_ends_the_thr_empty_interrupt() -> None:
    """Table IV."""
    port = Port()
    port.put(IER, IER_ETBEI)
    assert port.line.level
    assert port.source() == IIR_THR_EMPTY
    assert not port.line.level
    assert port.source() == IIR_NONE


def test_reading_iir_ends_it_only_if_it_is_what_iir_shows() -> None:
    """Table IV: "if source of interrupt"."""
    port = loopback(ier=IER_ERBFI | IER_ETBEI)
    port.send(b"a")
    assert port.source() == IIR_RX_DATA
    assert port.source() == IIR_RX_DATA
    port.get(RBR)
    assert port.source() == IIR_THR_EMPTY


def test_enabling_etbei_with_thr_empty_interrupts_again() -> None:
    """QEMU: each change of ETBEI from 0 to 1 does."""
    port = Port()
    for _ in range(2):
        port.put(IER, IER_ETBEI)
        assert port.source() == IIR_THR_EMPTY
        port.put(IER, 0)


def test_writing_ier_without_a_change_of_etbei_does_not_interrupt_again() -> None:
    """QEMU."""
    port = Port()
    port.put(IER, IER_ETBEI)
    assert port.source() == IIR_THR_EMPTY
    port.put(IER, IER_ETBEI | IER_ERBFI)
    port.put(IER, IER_ETBEI)
    assert port.source() == IIR_NONE


def test_disabling_etbei_drops_intr() -> None:
    """8.6."""
    port = Port()
    port.put(IER, IER_ETBEI)
    port.put(IER, 0)
    assert port.changes == [True, False]


def test_intr_drops_while_a_character_passes_through_the_thr() -> None:
    """8.10: writing THR ends the interrupt, its leaving raises it: an edge-triggered controller sees a new request."""
    port = Port()
    port.put(IER, IER_ETBEI)
    port.send(b"x")
    assert port.changes == [True, False, True]


def test_transmitter_fifo_reset_raises_the_thr_empty_interrupt() -> None:
    """QEMU."""
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE, ier=IER_ETBEI)
    assert port.source() == IIR_THR_EMPTY
    port.put(FCR, FCR_ENABLE | FCR_TX_RESET)
    assert port.source() == IIR_THR_EMPTY


def test_fifo_control_without_transmitter_reset_does_not() -> None:
    """8.4."""
    port = Port()
    configure_8n1(port, fcr=FCR_ENABLE, ier=IER_ETBEI)
    assert port.source() == IIR_THR_EMPTY
    port.put(FCR, FCR_ENABLE | TRIGGER_8)
    assert port.source() == IIR_NONE


# Receiver


def test_loopback_returns_characters_without_fifo() -> None:
    """8.7, bit 4."""
    port = loopback()
    port.send(b"a")
    assert port.get(LSR) == LSR_IDLE | LSR_DR
    assert port.get(RBR) == ord("a")
    assert port.get(LSR) == LSR_IDLE


def test_rbr_without_fifo_keeps_the_last_character() -> None:
    """QEMU; the data sheet says nothing."""
    port = loopback()
    port.send(b"a")
    assert [port.get(RBR), port.get(RBR)] == [ord("a")] * 2


def test_an_empty_fifo_reads_0() -> None:
    """QEMU; the data sheet says nothing."""
    port = loopback(fcr=FCR_ENABLE)
    port.send(b"a")
    assert [port.get(RBR), port.get(RBR)] == [ord("a"), 0]


def test_overrun_without_fifo_destroys_the_unread_character() -> None:
    """8.3, bit 1."""
    port = loopback()
    port.send(b"ab")
    assert port.get(LSR) == LSR_IDLE | LSR_DR | LSR_OE
    assert port.get(RBR) == ord("b")


def test_overrun_with_fifo_loses_the_new_character() -> None:
    """8.3, bit 1: the FIFO of 16 keeps its content."""
    port = loopback(fcr=FCR_ENABLE)
    port.send(b"0123456789abcdef")
    assert port.get(LSR) == LSR_IDLE | LSR_DR
    port.send(b"X")
    assert port.get(LSR) == LSR_IDLE | LSR_DR | LSR_OE
    assert bytes(port.get(RBR) for _ in range(17)) == b"0123456789abcdef\0"


def test_reading_lsr_clears_overrun_and_its_interrupt() -> None:
    """8.3, bit 1; table IV."""
    port = loopback(ier=IER_ELSI)
    port.send(b"ab")
    assert port.source() == IIR_LINE_STATUS
    assert port.source() == IIR_LINE_STATUS
    assert port.get(LSR) & LSR_OE
    assert not port.get(LSR) & LSR_OE
    assert port.source() == IIR_NONE
    assert not port.line.level


def test_overrun_interrupts_only_if_elsi_is_set() -> None:
    """8.6, bit 2."""
    port = loopback(ier=IER_EDSSI)
    port.send(b"ab")
    assert not port.line.level
    port.put(IER, IER_ELSI)
    assert port.line.level


def test_received_data_interrupt_lasts_until_the_character_is_read() -> None:
    """Table IV."""
    port = loopback(ier=IER_ERBFI)
    port.send(b"a")
    assert [port.source(), port.source()] == [IIR_RX_DATA] * 2
    assert port.line.level
    port.get(RBR)
    assert not port.line.level


def test_enabling_erbfi_with_data_waiting_raises_intr() -> None:
    """8.6: INTR is the level of what is pending and enabled."""
    port = loopback()
    port.send(b"a")
    assert not port.line.level
    port.put(IER, IER_ERBFI)
    assert port.line.level


@pytest.mark.parametrize(("trigger", "level"), [(0x00, 1), (TRIGGER_4, 4), (TRIGGER_8, 8), (TRIGGER_14, 14)])
def test_received_data_interrupt_follows_the_trigger_level(trigger: int, level: int) -> None:
    """8.4, bits 6 and 7; 8.10 A and B."""
    port = loopback(fcr=FCR_ENABLE | trigger, ier=IER_ERBFI)
    port.send(b"x" * (level - 1))
    assert port.source() == IIR_NONE
    port.send(b"x")
    assert port.source() == IIR_RX_DATA
    port.get(RBR)
    assert port.source() == IIR_NONE


def test_lowering_the_trigger_level_takes_effect_at_once() -> None:
    """8.4, bits 6 and 7."""
    port = loopback(fcr=FCR_ENABLE | TRIGGER_8, ier=IER_ERBFI)
    port.send(b"xxxx")
    assert not port.line.level
    port.put(FCR, FCR_ENABLE | TRIGGER_4)
    assert port.line.level


@pytest.mark.parametrize("fcr", [FCR_ENABLE | FCR_RX_RESET, 0])
def test_receiver_reset_and_change_of_mode_empty_the_fifo(fcr: int) -> None:
    """8.4, bits 0 and 1."""
    port = loopback(fcr=FCR_ENABLE, ier=IER_ERBFI)
    port.send(b"abc")
    port.put(FCR, fcr)
    assert port.get(LSR) == LSR_IDLE
    assert port.source() == IIR_NONE
    assert port.uart.state()["rx_count"] == 0


def test_receiver_reset_keeps_overrun() -> None:
    """QEMU; the data sheet says nothing."""
    port = loopback(fcr=FCR_ENABLE)
    port.send(b"x" * 17)
    port.put(FCR, FCR_ENABLE | FCR_RX_RESET)
    assert port.get(LSR) == LSR_IDLE | LSR_OE


# Priority


def test_iir_shows_the_most_urgent_source_alone() -> None:
    """Table IV: line status, then the character timeout and received data, then THR empty."""
    port = loopback(fcr=FCR_ENABLE, ier=IER_MASK)
    port.send(b"x" * 17)
    port.advance_ns(4 * CHARACTER_8N1_NS)
    assert port.source() == IIR_LINE_STATUS
    port.get(LSR)
    assert port.source() == IIR_TIMEOUT
    port.get(RBR)
    assert port.source() == IIR_RX_DATA
    for _ in range(15):
        port.get(RBR)
    assert port.source() == IIR_THR_EMPTY
    assert port.source() == IIR_NONE


# Modem


@pytest.mark.parametrize(
    ("mcr", "msr"),
    [(0x10, 0x00), (0x11, 0x20), (0x12, 0x10), (0x14, 0x40), (0x18, 0x80), (0x1F, 0xF0)],
)
def test_loopback_connects_modem_outputs_to_inputs(mcr: int, msr: int) -> None:
    """8.7, bit 4: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD. QEMU leaves the delta bits 0."""
    port = Port()
    port.put(IER, IER_EDSSI)
    port.put(MCR, mcr)
    assert port.get(MSR) == msr
    assert not port.line.level
    port.put(MCR, 0)
    assert port.get(MSR) == 0xB0


def test_out2_does_not_gate_the_interrupt() -> None:
    """QEMU; on a PC's adapter card it does."""
    port = Port()
    port.put(MCR, 0)
    port.put(IER, IER_ETBEI)
    assert port.line.level


# Properties


@given(accesses)
def test_intr_is_what_iir_says(program: list[tuple[str, int, int]]) -> None:
    """8.5, bit 0."""
    port = loopback()
    for step in program:
        run(port, [step])
        assert port.line.level == (not port.uart.state()["iir"] & 1)


@given(st.lists(st.one_of(st.none(), bytes_), max_size=120))
def test_the_loopback_fifo_is_a_queue_of_sixteen(program: list[int | None]) -> None:
    """None reads a character, a number sends it."""
    port = loopback(fcr=FCR_ENABLE)
    queue: deque[int] = deque()
    for value in program:
        if value is None:
            assert port.get(RBR) == (queue.popleft() if queue else 0)
        else:
            overrun = len(queue) == 16
            if not overrun:
                queue.append(value)
            port.put(THR, value)
            assert bool(port.get(LSR) & LSR_OE) == overrun
        assert bool(port.get(LSR) & LSR_DR) == bool(queue)
