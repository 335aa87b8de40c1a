"""PC16550D, character timeout: the data sheet's statements (section in the docstring) and QEMU's times."""

from __future__ import annotations

import pytest

from uart_port import CHARACTER_8N1_NS, FCR, IER, IIR, RBR, Port, configure_8n1, loopback
from vmdev.replay.clock import NEVER
from vmdev.replay.devices.uart16550 import (
    FCR_ENABLE,
    FCR_RX_RESET,
    IER_ERBFI,
    IIR_FIFOS,
    IIR_NONE,
    IIR_RX_DATA,
    IIR_TIMEOUT,
    LCR,
    MCR,
    MCR_LOOP,
)

TRIGGER_14 = 0xC0


def test_timeout_comes_four_characters_after_the_last_one() -> None:
    """8.10 D."""
    port = loopback(fcr=FCR_ENABLE | TRIGGER_14, ier=IER_ERBFI)
    port.send(b"a")
    port.advance_ns(3 * CHARACTER_8N1_NS)
    port.send(b"b")
    port.advance_ns(4 * CHARACTER_8N1_NS - 1)
    assert port.source() == IIR_NONE
    port.advance_ns(1)
    assert port.line.level
    assert port.get(IIR) == IIR_FIFOS | IIR_TIMEOUT


def test_reading_a_character_ends_the_timeout_and_starts_it_again() -> None:
    """8.10 E and F."""
    port = loopback(fcr=FCR_ENABLE | TRIGGER_14, ier=IER_ERBFI)
    port.send(b"ab")
    port.advance_ns(4 * CHARACTER_8N1_NS)
    assert port.source() == IIR_TIMEOUT
    port.get(RBR)
    assert not port.line.level
    port.advance_ns(4 * CHARACTER_8N1_NS - 1)
    assert port.source() == IIR_NONE
    port.advance_ns(1)
    assert port.source() == IIR_TIMEOUT
    port.get(RBR)
    port.advance_ns(100 * CHARACTER_8N1_NS)
    assert port.source() == IIR_NONE


def test_timeout_shows_before_received_data() -> None:
    """QEMU; table IV gives both the same priority."""
    port = loopback(fcr=FCR_ENABLE, ier=IER_ERBFI)
    port.send(b"a")
    assert port.source() == IIR_RX_DATA
    port.advance_ns(4 * CHARACTER_8N1_NS)
    assert port.source() == IIR_TIMEOUT


def test_erbfi_masks_the_timeout() -> None:
    """8.6, bit 0."""
    port = loopback(fcr=FCR_ENABLE | TRIGGER_14)
    port.send(b"a")
    port.advance_ns(4 * CHARACTER_8N1_NS)
    assert port.source() == IIR_NONE
    port.put(IER, IER_ERBFI)
    assert port.source() == IIR_TIMEOUT


def test_there_is_no_timeout_without_fifo() -> None:
    """8.10 D."""
    port = loopback(ier=IER_ERBFI)
    port.send(b"a")
    port.advance_ns(100 * CHARACTER_8N1_NS)
    assert port.source() == IIR_RX_DATA


def test_receiver_reset_stops_the_timeout() -> None:
    """8.4, bit 1."""
    port = loopback(fcr=FCR_ENABLE | TRIGGER_14, ier=IER_ERBFI)
    port.send(b"a")
    port.put(FCR, FCR_ENABLE | FCR_RX_RESET | TRIGGER_14)
    port.advance_ns(3 * CHARACTER_8N1_NS)
    port.send(b"b")
    port.advance_ns(2 * CHARACTER_8N1_NS)
    assert port.source() == IIR_NONE
    port.put(FCR, FCR_ENABLE | FCR_RX_RESET)
    assert port.uart.state()["timeout_ns"] == NEVER


@pytest.mark.parametrize(
    ("divisor", "lcr", "expected_ns"),
    [
        (1, 0x00, 4 * 60_763),  # 5N1: 7 bits
        (1, 0x03, 4 * 86_805),  # 8N1: 10 bits
        (3, 0x03, 4 * 260_416),
        (7, 0x0A, 4 * 607_638),  # 7O1: 10 bits
        (5, 0x1F, 4 * 520_833),  # 8E2: 12 bits
        (0, 0x03, 4 * 2_857_142),  # QEMU takes the divisor 0 for 3500 baud
        (0, 0x0F, 4 * 3_428_571),
    ],
)
def test_timeout_depends_on_divisor_and_frame(divisor: int, lcr: int, expected_ns: int) -> None:
    """8.10 D, 8.1, 8.2; to the nanosecond as measured in QEMU."""
    port = loopback(fcr=FCR_ENABLE | TRIGGER_14, ier=IER_ERBFI)
    configure_8n1(port, divisor=divisor, fcr=FCR_ENABLE | TRIGGER_14, ier=IER_ERBFI)
    port.put(LCR, lcr)
    port.send(b"a")
    port.advance_ns(expected_ns - 1)
    assert port.source() == IIR_NONE
    port.advance_ns(1)
    assert port.source() == IIR_TIMEOUT


def test_timeout_after_reset_is_that_of_9600_baud_and_ten_bits() -> None:
    """QEMU, although LCR's reset value means seven bits."""
    port = Port()
    port.put(FCR, FCR_ENABLE | TRIGGER_14)
    port.put(IER, IER_ERBFI)
    port.put(MCR, MCR_LOOP)
    port.send(b"a")
    port.advance_ns(4 * 1_041_660 - 1)
    assert port.source() == IIR_NONE
    port.advance_ns(1)
    assert port.source() == IIR_TIMEOUT
