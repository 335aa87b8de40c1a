"""Intel 82540EM: chapter 13 of the 8254x Software Developer's Manual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.devices import e1000_registers as r
from vmdev.replay.devices.e1000 import E1000, EM82540, IO_AT, PBM
from vmdev.replay.irq import Line

MAC = 0x5254_0012_3456
MS = 1_000_000
PHY_1, READ, WRITE = 1 << 21, 1 << 27, 1 << 26


class Nic:
    """A controller and what its driver does with it."""

    def __init__(
        self, mac: int = MAC, device_id: int = EM82540, *, has_vet: bool = True, foresees: bool = False
    ) -> None:
        self.clock = Clock()
        self.irq = Line()
        self.model = E1000(self.clock, self.irq, mac, device_id, has_vet=has_vet, foresees=foresees)

    def read(self, at: int) -> int:
        return self.model.read(at, 4)

    def write(self, at: int, value: int) -> None:
        self.model.write(at, 4, value)

    def phy(self, number: int, value: int | None = None) -> int:
        self.write(r.MDIC, PHY_1 | number << 16 | (READ if value is None else WRITE | value))
        return self.read(r.MDIC)

    def pass_ms(self, ms: int) -> None:
        self.clock.advance(self.clock.now_ns + ms * MS)

    def listen(self) -> None:
        self.write(r.RDLEN, 256)
        self.write(r.RCTL, r.RCTL_EN)

    def send(self) -> None:
        self.write(r.TDLEN, 256)
        self.write(r.TCTL, r.TCTL_EN)
        self.write(r.TDT, (self.read(r.TDH) + 1) % 16)

    def eeprom_word(self, number: int) -> int:
        """Clock a word out of the EEPROM (5.3.1)."""

        def clock_in(level: int) -> None:
            for pins in (0, r.EECD_SK):
                self.write(r.EECD, r.EECD_REQ | r.EECD_CS | (r.EECD_DI if level else 0) | pins)

        self.write(r.EECD, r.EECD_REQ | r.EECD_CS)
        for level in f"{6:03b}{number:06b}":
            clock_in(level == "1")
        word = 0
        self.write(r.EECD, r.EECD_REQ | r.EECD_CS)
        for _ in range(16):
            self.write(r.EECD, r.EECD_REQ | r.EECD_CS | r.EECD_SK)
            word = word << 1 | bool(self.read(r.EECD) & r.EECD_DO)
            self.write(r.EECD, r.EECD_REQ | r.EECD_CS)
        self.write(r.EECD, 0)
        return word


# Registers


def test_it_comes_up_linked_at_1000_mbit() -> None:
    nic = Nic()
    assert nic.read(r.STATUS) == 0x8008_0783
    assert nic.read(r.CTRL) == 0x0014_0240
    assert nic.read(r.VET) == 0x8100
    assert Nic(has_vet=False).read(r.VET) == 0


def test_the_receive_address_is_the_mac_address() -> None:
    nic = Nic(0x0011_2233_4455)
    assert nic.read(r.RAL0) == 0x3322_1100
    assert nic.read(r.RAH0) == 0x8000_5544


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (r.RDLEN, 0x000F_FF80), (r.TDLEN, 0x000F_FF80), (r.RDH, 0xFFFF), (r.ITR, 0xFFFF), (r.TADV, 0xFFFF),
        (r.TDFH, 0x7FF), (r.RDFH, 0x1FFF), (r.FFLT, 0x7FF), (r.FFMT, 0xF), (r.RDBAL, 0xFFFF_FFFF),
        (r.MTA + 508, 0xFFFF_FFFF), (r.VFTA, 0xFFFF_FFFF), (PBM + 0xFFFC, 0xFFFF_FFFF), (r.FFVT, 0xFFFF_FFFF),
        (r.CTRL, 0xFBFF_FFFF),
    ],
)  # fmt: skip
def test_writable_bits_read_back(at: int, kept: int) -> None:
    nic = Nic()
    nic.write(at, 0xFFFF_FFFF)
    assert nic.read(at) == kept
    nic.model.reset()
    assert nic.read(at) != kept


@pytest.mark.parametrize("at", [0x018, r.FCAL, r.FCTTV, 0x410, 0x5000, r.RXDCTL, r.TIDV, 0x1234, IO_AT, IO_AT + 4])
def test_what_qemu_has_not_got_reads_0(at: int) -> None:
    nic = Nic()
    nic.write(at, 0xFFFF_FFFF)
    assert nic.read(at) == 0


@pytest.mark.parametrize("at", [r.STATUS, r.MANC])
def test_some_registers_are_read_only(at: int) -> None:
    nic = Nic()
    before = nic.read(at)
    nic.write(at, 0)
    assert nic.read(at) == before


def test_narrow_accesses_reach_the_whole_register() -> None:
    """QEMU"""
    nic = Nic()
    assert nic.model.read(r.STATUS + 1, 1) == 0x83
    assert nic.model.read(r.STATUS + 2, 2) == 0x0783
    nic.model.write(r.VET + 1, 1, 0x12)
    assert nic.read(r.VET) == 0x12
    assert nic.model.reader(r.VET, 4)() == 0x12
    assert nic.model.reader(r.VET, 1)() == 0x12
    assert nic.model.reader(r.ICR, 4)() == 0


# EEPROM (5.6, 13.4.4)


@given(st.integers(0, 63))
def test_the_eeprom_is_read_bit_by_bit_and_at_once(number: int) -> None:
    nic = Nic()
    word = nic.eeprom_word(number)
    nic.write(r.EERD, number << 8 | 1)
    assert nic.read(r.EERD) == word << 16 | number << 8 | 0x10
    nic.write(r.EERD, number << 8)
    assert nic.read(r.EERD) == number << 8


def test_the_eeprom_holds_mac_address_identification_and_checksum() -> None:
    nic = Nic()
    words = [nic.eeprom_word(number) for number in range(64)]
    assert words[:3] == [0x5452, 0x1200, 0x5634]
    assert words[11] == words[13] == EM82540
    assert sum(words) & 0xFFFF == 0xBABA
    assert Nic(device_id=0x100F).eeprom_word(13) == 0x100F


def test_beyond_the_eeprom_there_is_nothing() -> None:
    nic = Nic()
    nic.write(r.EERD, 64 << 8 | 1)
    assert nic.read(r.EERD) == 64 << 8 | 0x10


def test_do_is_high_until_a_word_is_read() -> None:
    nic = Nic()
    assert nic.read(r.EECD) == r.EECD_PRES | r.EECD_GNT | r.EECD_DO
    nic.write(r.EECD, 0xFFFF_FFFF)
    assert nic.read(r.EECD) == 0x1FF
    nic.model.reset()
    assert nic.read(r.EECD) == 0x1FF, "the EEPROM has no reset"


# PHY (13.4.7, 13.4.16)


@pytest.mark.parametrize(("device_id", "identity"), [(0x100C, 0x0C30), (0x100E, 0x0C20), (0x100F, 0x0C20)])
def test_the_phy_tells_who_it_is(device_id: int, identity: int) -> None:
    nic = Nic(device_id=device_id)
    assert nic.phy(2) & 0xFFFF == 0x0141
    assert nic.phy(3) == r.MDIC_READY | READ | PHY_1 | 3 << 16 | identity


def test_auto_negotiation_takes_half_a_second() -> None:
    nic = Nic()
    nic.clock.advance(700)
    assert nic.phy(1) & 0x24 == 0x04
    nic.write(r.IMS, r.ICR_LSC)
    nic.phy(0, 0x1340)
    assert nic.phy(0) & 0xFFFF == 0x1140, "restart and reserved bits read 0"
    assert not nic.read(r.STATUS) & r.STATUS_LU
    assert nic.phy(1) & 0x24 == 0
    nic.clock.advance(500 * MS - 1)
    assert not nic.read(r.STATUS) & r.STATUS_LU
    nic.clock.advance(500 * MS)
    assert nic.read(r.STATUS) & r.STATUS_LU
    assert nic.phy(1) & 0x24 == 0x24
    assert nic.phy(5) & 0x4000
    assert nic.irq.level
    assert nic.read(r.ICR) == r.ICR_LSC
    assert not nic.irq.level


def test_without_auto_negotiation_nothing_restarts() -> None:
    nic = Nic()
    nic.phy(0, 0x0240)
    assert nic.read(r.STATUS) & r.STATUS_LU


def test_a_reset_ends_auto_negotiation() -> None:
    nic = Nic()
    nic.phy(0, 0x1200)
    nic.model.reset()
    nic.pass_ms(600)
    assert nic.read(r.ICR) == 0
    assert nic.phy(1) & 0x24 == 0x04


def test_phy_registers_have_their_access() -> None:
    nic = Nic()
    assert not nic.phy(4, 0x0061) & r.MDIC_ERROR
    assert nic.phy(4) & 0xFFFF == 0x0061
    assert nic.phy(2, 0) & r.MDIC_ERROR
    assert nic.phy(0x1F) & r.MDIC_ERROR
    assert nic.phy(2) & 0xFFFF == 0x0141


def test_only_phy_1_answers() -> None:
    nic = Nic()
    nic.write(r.MDIC, 2 << 21 | READ)
    assert nic.read(r.MDIC) == r.MDIC_READY | r.MDIC_ERROR


def test_mdic_interrupts_if_it_is_asked_to() -> None:
    nic = Nic()
    nic.write(r.MDIC, PHY_1 | r.MDIC_INT)
    assert nic.read(r.ICR) == r.ICR_MDAC


# Interrupts (13.4.17 to 13.4.21)


def test_reading_icr_clears_it_and_reading_ics_does_not() -> None:
    nic = Nic()
    nic.write(r.ICS, 0x14)
    assert nic.read(r.ICS) == 0x14
    assert nic.read(r.ICR) == 0x14
    assert nic.read(r.ICR) == nic.read(r.ICS) == 0
    nic.write(r.ICS, 0x14)
    nic.write(r.ICR, 0x10)
    assert nic.read(r.ICR) == 0x04


def test_the_mask_decides_what_interrupts() -> None:
    nic = Nic()
    nic.write(r.IMS, 0x4)
    nic.write(r.IMS, 0x80)
    assert nic.read(r.IMS) == 0x84
    nic.write(r.ICS, 0x10)
    assert not nic.irq.level
    nic.write(r.ICS, 0x80)
    assert nic.irq.level
    nic.write(r.IMC, 0x80)
    assert not nic.irq.level
    assert nic.read(r.IMS) == 4
    assert nic.read(r.IMC) == 0


@pytest.mark.parametrize(
    ("setup", "cause", "delay_ns"),
    [
        ({}, 0x4, 128_000),
        ({r.ITR: 1000}, 0x4, 256_000),
        ({r.RADV: 200, r.RDTR: 1}, 0x80, 204_800),
        ({r.RADV: 200}, 0x80, 128_000),
        ({r.RADV: 1000, r.RDTR: 1, r.ITR: 800}, 0x80, 204_800),
    ],
)
def test_the_next_interrupt_waits(setup: dict[int, int], cause: int, delay_ns: int) -> None:
    nic = Nic()
    for at, value in setup.items():
        nic.write(at, value)
    nic.write(r.IMS, cause)
    nic.write(r.ICS, cause)
    assert nic.irq.level
    nic.read(r.ICR)
    nic.write(r.ICS, cause)
    assert not nic.irq.level
    nic.clock.advance(delay_ns - 1)
    assert not nic.irq.level
    nic.clock.advance(delay_ns)
    assert nic.irq.level


def test_a_transmission_waits_for_its_absolute_delay() -> None:
    nic = Nic()
    nic.write(r.TADV, 300)
    nic.send()
    nic.read(r.ICR)
    nic.write(r.IMS, r.ICR_TXDW)
    nic.send()
    nic.read(r.ICR)
    nic.send()
    nic.clock.advance(4 * 300 * 256 - 1)
    assert not nic.irq.level
    nic.clock.advance(4 * 300 * 256)
    assert nic.irq.level


# Transmission (3.4)


def test_a_transmission_is_over_at_once() -> None:
    nic = Nic()
    nic.send()
    assert nic.read(r.TDH) == nic.read(r.TDT) == 1
    assert nic.read(r.ICR) == r.ICR_TXQE | r.ICR_TXDW


def test_nothing_is_sent_unless_enabled_and_an_empty_queue_is_empty() -> None:
    nic = Nic()
    nic.write(r.TDLEN, 256)
    nic.write(r.TDT, 0x1_0002)
    assert nic.read(r.TDT) == 2
    assert nic.read(r.TDH) == nic.read(r.ICR) == 0
    nic.write(r.TDT, 0)
    nic.read(r.ICR)
    nic.write(r.TCTL, r.TCTL_EN)
    assert nic.read(r.ICR) == r.ICR_TXQE


@pytest.mark.parametrize(("head", "tail", "end"), [(3, 99, 3), (99, 2, 0), (15, 0, 0)])
def test_pointers_beyond_the_ring_get_nowhere(head: int, tail: int, end: int) -> None:
    """QEMU"""
    nic = Nic()
    nic.write(r.TDLEN, 256)
    nic.write(r.TDH, head)
    nic.write(r.TCTL, r.TCTL_EN)
    nic.model.reset()
    nic.write(r.TDLEN, 256)
    nic.write(r.TDH, head)
    nic.write(r.TDT, tail)
    nic.write(r.TCTL, r.TCTL_EN)
    assert nic.read(r.TDH) == end


# What comes from outside


def assume(nic: Nic, at: int, hw: int) -> bool:
    return nic.model.assume(at, 4, hw, nic.read(at))


def test_packets_come_only_if_the_receiver_is_enabled() -> None:
    nic = Nic()
    assert not assume(nic, r.ICR, r.ICR_RXT0)
    assert not assume(nic, r.RDH, 3)
    nic.listen()
    assert assume(nic, r.ICR, r.ICR_RXT0 | r.ICR_RXDMT0)
    assert assume(nic, r.RDH, 3)
    assert nic.read(r.RDH) == 3
    assert not assume(nic, r.RDH, 16), "the ring has 16 descriptors"
    assert not assume(nic, r.ICR, r.ICR_RXT0 | 1 << 9)


def test_a_cause_that_is_seen_in_ics_stays() -> None:
    nic = Nic()
    nic.listen()
    assert assume(nic, r.ICS, r.ICR_RXT0)
    assert nic.read(r.ICR) == r.ICR_RXT0


def test_descriptors_that_ask_for_no_report_are_found_out() -> None:
    nic = Nic()
    nic.send()
    assert assume(nic, r.ICR, r.ICR_TXQE)
    nic.send()
    assert nic.read(r.ICR) == r.ICR_TXQE
    nic.send()
    assert assume(nic, r.ICR, r.ICR_TXQE | r.ICR_TXDW)
    nic.send()
    assert nic.read(r.ICR) == r.ICR_TXQE | r.ICR_TXDW
    nic.write(r.ICS, 4)
    assert not assume(nic, r.ICR, 0), "a cause does not vanish"


def test_a_cpu_may_see_causes_before_another_cpus_access_is_recorded() -> None:
    nic = Nic(foresees=True)
    assert not assume(nic, r.ICR, r.ICR_TXQE), "the transmitter is off"
    nic.write(r.TCTL, r.TCTL_EN)
    nic.read(r.ICR)
    nic.write(r.IMS, r.ICR_TXQE)
    assert assume(nic, r.ICR, r.ICR_TXQE)
    nic.write(r.TDT, 0)
    assert not nic.irq.level
    assert nic.read(r.ICR) == 0, "that was seen"
    nic.write(r.TDT, 0)
    assert nic.read(r.ICR) == r.ICR_TXQE


def test_statistics_grow_with_traffic_only() -> None:
    nic = Nic()
    received, sent = r.STATISTIC_AT["GPRC"], r.STATISTIC_AT["GPTC"]
    assert not assume(nic, received, 1)
    assert not assume(nic, sent, 1)
    nic.listen()
    nic.send()
    assert assume(nic, received, 2)
    assert nic.read(received) == 0, "cleared by reading"
    assert assume(nic, sent, 1)
    assert not assume(nic, r.STATISTIC_AT["COLC"], 1)
    assert not nic.model.assume(sent, 2, 1, 0)


def test_octets_are_cleared_by_their_high_half() -> None:
    nic = Nic()
    nic.listen()
    assert assume(nic, r.GORCL, 640)
    assert nic.read(r.GORCL) == 640
    assert not assume(nic, r.GORCL, 0)
    assert nic.read(r.GORCH) == 0
    assert nic.read(r.GORCL) == 0


def test_a_cable_can_be_pulled_and_put_in_but_not_while_negotiating() -> None:
    nic = Nic()
    assert assume(nic, r.STATUS, 0x8008_0781)
    assert nic.phy(1) & 4 == 0
    assert assume(nic, r.ICR, r.ICR_LSC)
    assert assume(nic, r.STATUS, 0x8008_0783)
    assert nic.phy(1) & 4
    nic.phy(0, 0x1200)
    assert not assume(nic, r.STATUS, 0x8008_0783)
    assert not assume(nic, r.ICR, r.ICR_LSC)
