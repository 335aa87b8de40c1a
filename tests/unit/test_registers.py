"""Register declarations: found by identity, described by field, refused if they contradict themselves."""

from __future__ import annotations

import pytest

from vmdev.replay.errors import RegisterMapError
from vmdev.replay.registers import Field, Register, RegisterMap, bit

RBR = Register("RBR", "Receiver Buffer", 0, "r", bank="DLAB=0")
THR = Register("THR", "Transmitter Holding", 0, "w", bank="DLAB=0")
DLL = Register("DLL", "Divisor Latch", 0, "rw", bank="DLAB=1")
IIR = Register("IIR", "Interrupt Identification", 2, "r", (bit("IPEND_N", 0), Field("ID", 3, 1, {2: "RX data"})))
UART = RegisterMap(RBR, THR, DLL, IIR, banks=("DLAB=0", "DLAB=1"))


def test_identity_is_offset_direction_and_bank() -> None:
    assert UART.find(0, "r", "DLAB=0") is RBR
    assert UART.find(0, "w", "DLAB=0") is THR
    assert UART.find(0, "r", "DLAB=1") is UART.find(0, "w", "DLAB=1") is DLL
    assert UART.find(0, "r") is None
    assert UART.find(2, "w", "DLAB=0") is None


def test_register_without_a_bank_is_in_all_of_them() -> None:
    assert UART.find(2, "r", "DLAB=0") is UART.find(2, "r", "DLAB=1") is UART.find(2, "r") is IIR


def test_a_map_lists_its_registers_in_order() -> None:
    assert list(UART) == [RBR, THR, DLL, IIR]
    assert len(UART) == 4


def test_a_map_can_be_had_with_more_registers() -> None:
    msr = Register("MSR", "Modem Status", 6, "r")
    more = UART.plus(msr)
    assert list(more) == [*UART, msr]
    assert (more.find(6, "r"), UART.find(6, "r")) == (msr, None)
    assert more.banks == UART.banks
    with pytest.raises(RegisterMapError, match="are both at offset"):
        more.plus(msr)


def test_differing_fields_are_described_and_the_rest_comes_last() -> None:
    assert IIR.field_differences(0xC4, 0xC6) == [("ID", "0b010 (RX data)", "0b011")]
    assert IIR.field_differences(0xC1, 0x00) == [("IPEND_N", "1", "0"), ("bits 0xc0", "0xc0", "0x00")]
    assert RBR.field_differences(1, 2) == []


@pytest.mark.parametrize(
    ("registers", "message"),
    [
        ((RBR, Register("X", "x", 0, "rw", bank="DLAB=0")), "X and RBR are both at offset 0x0, direction 'r'"),
        ((Register("X", "x", 0, "r", bank="none"),), "bank 'none' is not one of"),
        ((Register("X", "x", 0, "x"),), "access must be one of"),  # type: ignore[arg-type]
        ((Register("X", "x", -1, "r"),), "must not be negative, not -1"),
        ((Register("X", "x", 0, "r", (bit("A", 8),)),), "X.A: bits 8..8 do not fit a register of 8 bits"),
        ((Register("X", "x", 0, "r", (Field("A", 0, 3),)),), "X.A: bits 0..3 do not fit"),
        ((Register("X", "x", 0, "r", (bit("A", 1), Field("B", 3, 1))),), "X.B: bits 3..1 belong to another field"),
        ((Register("X", "x", 0, "r", (bit("A", 0, {2: "two"}),)),), "X.A: value 0x2 does not fit 1 bits"),
        ((Register("X", "x", 0, "r", reset=0x100),), "reset value 0x100 does not fit 8 bits"),
    ],
)
def test_contradiction_is_refused(registers: tuple[Register, ...], message: str) -> None:
    with pytest.raises(RegisterMapError, match=message):
        RegisterMap(*registers, banks=("DLAB=0",))
