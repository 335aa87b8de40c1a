"""Port 61h: one test per statement of the ICH9 data sheet (NMI_SC) or of observed QEMU behaviour."""

from __future__ import annotations

import pytest

from vmdev.replay.clock import Clock, first_ns_of_tick
from vmdev.replay.devices.i8254 import I8254, PIT_HZ
from vmdev.replay.devices.port61 import REF_TOGGLE, SPKR_DAT_EN, TIM_CNT2_EN, TMR2_OUT_STS, Port61
from vmdev.replay.irq import Line

TRANSCRIPT = """
@0 r40=00 r41=00 r42=00 r43=00 r61=30 r61=20 @123456 r40=da r41=da r42=da w43=38 w40=42 @132735 w40=00 w43=76
w41=c9 @133857 w41=03 w43=b1 w42=99 @134275 w42=00 w43=b2 w42=c4 @134362 w43=f2 @134919 r40=40 r41=c7 r42=99
r61=10 w61=03 @1542068 w43=f3 @1542855 r40=f9 r41=02 r42=fa r61=23 w61=02 @1543006 w43=c4 @1543262 r40=af r41=36
r42=09 r61=32 @1543406 w43=c7 @1544153 r40=38 r41=36 r42=fa r61=22 w43=b7 w42=b9 @1544181 w43=80 @1544501 r40=af
r41=02 r42=04 r61=12 @1562875 w43=80 @1563095 r40=f9 r41=02 r42=00 r61=22 @1585233 w43=80 @1586099 r40=f9 r41=9c
r42=3b r61=32 w43=77 w41=8f @1586104 w43=fd @1586449 r40=7c r41=9a r42=00 r61=22 w43=b4 w42=7e @1586473 w43=80
@1587300 r40=f9 r41=01 r42=69 r61=12 w61=00 @1837002 w43=00 @1837168 r40=51 r41=0d r42=00 r61=00 w61=03 @1837196
w43=c1 @1837729 r40=f8 r41=03 r42=99 r61=13 w61=02 @11828491 w43=40 @11829192 r40=be r41=c3 r42=00 r61=02 w43=33
w40=dd @12727184 w43=d7 @12727206 r40=8f r41=00 r42=0c r61=12 w43=b3 w42=43 @12907732 w43=80 @12908425 r40=c5
r41=0c r42=00 r61=22 w61=03 @12911333 w43=fd @12911502 r40=b3 r41=02 r42=cd r61=13 w61=00 @12911503 w43=80
@12912093 r40=c4 r41=04 r42=96 r61=00 @15821082 w43=40 @15821183 r40=23 r41=65 r42=00 r61=30 w43=63 w41=44
@15821629 w43=40 @15821666 r40=b7 r41=01 r42=05 r61=20
"""
"""What QEMU 10.0.2 answered to random accesses: @ns, then rPORT=VALUE and wPORT=VALUE, in hexadecimal."""


class Machine:
    """The port, and the timer that it controls."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pit = I8254(self.clock, Line())
        self.port = Port61(self.pit)

    def read(self) -> int:
        return self.port.read(0, 1)

    def write(self, value: int) -> None:
        self.port.write(0, 1, value)

    def load_counter_2(self, mode: int, count: int) -> None:
        self.pit.write(3, 1, 0xB0 | mode << 1)
        self.pit.write(2, 1, count & 0xFF)
        self.pit.write(2, 1, count >> 8)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_gate_and_speaker_bits_read_back(machine: Machine) -> None:
    """Bits 1:0: SPKR_DAT_EN and TIM_CNT2_EN are R/W."""
    mask = SPKR_DAT_EN | TIM_CNT2_EN
    for value in (1, 3, 2, 0):
        machine.write(value)
        assert machine.read() & mask == value


def test_bit_0_is_the_gate_of_counter_2(machine: Machine) -> None:
    """TIM_CNT2_EN: counter 2 counting is enabled. In mode 1 a rising gate starts it."""
    machine.load_counter_2(1, 10)
    machine.clock.advance(1_000_000)
    assert machine.read() & TMR2_OUT_STS
    machine.write(TIM_CNT2_EN)
    assert machine.pit.gate(2)
    assert not machine.read() & TMR2_OUT_STS
    machine.write(SPKR_DAT_EN)
    assert not machine.pit.gate(2)


def test_bit_5_is_out_of_counter_2(machine: Machine) -> None:
    """TMR2_OUT_STS reflects the state of the 8254 counter 2 output."""
    machine.load_counter_2(0, 100)
    machine.clock.advance(first_ns_of_tick(100, PIT_HZ) - 1)
    assert not machine.read() & TMR2_OUT_STS
    machine.clock.advance(first_ns_of_tick(100, PIT_HZ))
    assert machine.read() & TMR2_OUT_STS


def test_refresh_toggles_with_each_read(machine: Machine) -> None:
    """QEMU; REF_TOGGLE: toggles at the refresh rate."""
    seen = []
    for ns in (0, 0, 15_000, 1_000_000, 1_000_000):
        machine.clock.advance(ns)
        machine.write(0xFF)
        seen.append(machine.read() & REF_TOGGLE)
    assert seen == [REF_TOGGLE, 0, REF_TOGGLE, 0, REF_TOGGLE]


def test_nmi_bits_read_0(machine: Machine) -> None:
    """QEMU; IOCHK_NMI_EN and PCI_SERR_EN are R/W."""
    machine.write(0xFF)
    assert machine.read() & 0xCC == 0


def test_reset_clears_the_gate_only(machine: Machine) -> None:
    """QEMU; NMI_SC: default value 00h."""
    machine.write(SPKR_DAT_EN | TIM_CNT2_EN)
    machine.read()
    machine.pit.reset()
    machine.port.reset()
    assert machine.read() == TMR2_OUT_STS | SPKR_DAT_EN


def test_state_shows_the_stored_bits(machine: Machine) -> None:
    machine.write(SPKR_DAT_EN)
    machine.read()
    assert machine.port.state() == {"speaker": SPKR_DAT_EN, "refresh": REF_TOGGLE}


def test_port_and_timer_answer_as_qemu_did(machine: Machine) -> None:
    """QEMU: 81 reads, each at its nanosecond."""
    reads = 0
    for item in TRANSCRIPT.split():
        if item.startswith("@"):
            machine.clock.advance(int(item[1:]))
            continue
        port, _, value = item[1:].partition("=")
        device, offset = (machine.port, 0) if port == "61" else (machine.pit, int(port, 16) - 0x40)
        if item.startswith("w"):
            device.write(offset, 1, int(value, 16))
        else:
            reads += 1
            assert device.read(offset, 1) == int(value, 16), f"{item} (read {reads}) at {machine.clock.now_ns} ns"
    assert reads == 81
