"""Intel 82574L: chapter 10 of its data sheet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.devices import e1000_registers as r
from vmdev.replay.devices import e1000e_registers as e
from vmdev.replay.devices.e1000e import E1000e
from vmdev.replay.devices.e1000e_interrupts import ASSERTED, OTHER, RXQ0, TXQ0, TXQ1
from vmdev.replay.irq import Line

MS = 1_000_000
PHY_1, READ, WRITE = 1 << 21, 1 << 27, 1 << 26
ALL_CAUSES = 0x01F7_82D7


class Messages:
    """A function's MSI and MSI-X, as its driver has them."""

    def __init__(self) -> None:
        self.msix = self.msi = False
        self.sent: list[int] = []

    def msix_enabled(self) -> bool:
        return self.msix

    def msi_enabled(self) -> bool:
        return self.msi

    def notify(self, vector: int) -> None:
        self.sent.append(vector)


class Nic:
    """A controller and what its driver does with it."""

    def __init__(self, *, has_vet: bool = True) -> None:
        self.clock = Clock()
        self.irq = Line()
        self.messages = Messages()
        self.model = E1000e(self.clock, self.irq, self.messages, 0x5254_0012_3456, has_vet=has_vet)

    def read(self, at: int) -> int:
        return self.model.read(at, 4)

    def write(self, at: int, value: int) -> None:
        self.model.write(at, 4, value)

    def phy(self, number: int, value: int | None = None) -> int:
        self.write(r.MDIC, PHY_1 | number << 16 | (READ if value is None else WRITE | value))
        return self.read(r.MDIC)

    def listen(self) -> None:
        self.write(r.RDLEN, 256)
        self.write(r.RCTL, r.RCTL_EN)

    def send(self, queue: int = 0) -> None:
        self.write((r.TDLEN, e.TDLEN1)[queue], 256)
        self.write(r.TCTL, r.TCTL_EN)
        head = self.read((r.TDH, e.TDH1)[queue])
        self.write((r.TDT, e.TDT1)[queue], (head + 1) % 16)

    def assume(self, at: int, hw: int) -> bool:
        return self.model.assume(at, 4, hw, self.read(at))


# Registers


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (r.CTRL, 0x0014_0241), (r.STATUS, 0x8_0283), (r.EECD, 0x300), (r.EERD, 2), (r.VET, 0x8100),
        (r.LEDCTL, 0x6_8302), (e.EXTCNF_CTRL, 8), (r.PBA, 0x0014_0014), (e.PSRCTL, 0x4_0402), (e.TARC0, 0x403),
        (r.MANC, 0x1000_0000), (r.RAL0, 0x1200_5452), (r.RAH0, 0x8000_5634), (e.GCR, 0x0680_0200), (e.FWSM, 0),
        (r.ITR, 0),
    ],
)  # fmt: skip
def test_reset_values(at: int, value: int) -> None:
    assert Nic().read(at) == value


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (r.RDLEN, 0xF_FF80), (e.TDLEN1, 0xF_FF80), (r.RDBAL, 0xFFFF_FFF0), (r.RDH, 0xFFFF), (r.RDTR, 0xFFFF),
        (r.FFLT, 0x7FF), (r.FFMT, 0xF), (e.PBS, 0x3F), (e.PBACLR, 0x1F), (0x2160, 0x8000_FFF8), (r.ITR, 0xFFFF),
        (e.EITR + 16, 0xFFFF), (e.CTRL_EXT, 0xFFFF_CFFF), (r.EECD, 0xFFFF_87FF), (e.TARC1, 0x7800_07FF),
        (r.RXDCTL, 0xFFFF_FFFF), (e.RETA, 0xFFFF_FFFF), (e.PBM + 0x9FFC, 0xFFFF_FFFF), (e.GCR, 0xFFFF_FFFF),
        (e.IO_AT, 0xFFFF_FFFF), (r.IMS, ALL_CAUSES),
    ],
)  # fmt: skip
def test_writable_bits_read_back(at: int, kept: int) -> None:
    nic = Nic()
    nic.write(at, 0xFFFF_FFFF)
    assert nic.read(at) == kept


def test_rxdctl_sets_both_queues() -> None:
    nic = Nic()
    nic.write(r.RXDCTL, 0x123)
    assert nic.read(e.RXDCTL1) == 0x123


def test_gcr_keeps_its_read_only_bits() -> None:
    nic = Nic()
    nic.write(e.GCR, 0)
    assert nic.read(e.GCR) == 0x0680_0000


@pytest.mark.parametrize(
    ("alias", "at"),
    [(0x110, r.RDBAL), (0x120, r.RDH), (0x428, r.TDLEN), (0x040, r.RAL0), (0x7FC, r.VFTA + 508), (0x8000, r.RDFH)],
)
def test_aliases_reach_the_same_registers(alias: int, at: int) -> None:
    nic = Nic()
    nic.write(alias, 0x80)
    assert nic.read(at) == nic.read(alias) == nic.model.reader(alias, 4)() == 0x80


def test_some_registers_cannot_be_read_or_written() -> None:
    nic = Nic()
    nic.write(e.CTRL_DUP, 0x241)
    assert nic.read(r.CTRL) == 0x241
    assert nic.read(e.CTRL_DUP) == nic.read(r.IMC) == 0
    nic.write(e.FWSM, 1)
    assert nic.read(e.FWSM) == 0


def test_narrow_accesses_reach_the_whole_register() -> None:
    """QEMU"""
    nic = Nic()
    assert nic.model.read(r.STATUS + 1, 1) == 0x83
    assert nic.model.reader(r.STATUS + 1, 1)() == 0x83
    nic.model.write(r.LEDCTL + 2, 2, 0x1234)
    assert nic.read(r.LEDCTL) == 0x1234


def test_pieces_of_unaligned_accesses_mix() -> None:
    """QEMU: each piece brings the whole register along."""
    nic = Nic()
    nic.write(r.FFVT, 0x67C7)
    assert nic.model.read_any(r.FFVT + 1, 4) == 0x00C7_E7E7
    assert nic.model.read_any(r.FFVT + 2, 4) == 0x0000_67C7
    nic.write(r.FFVT, 0x1_2345)
    assert nic.model.read_any(r.FFVT, 8) == 0x1_2345
    nic.model.write_any(r.FFVT + 3, 2, 0xABCD)
    assert nic.read(r.FFVT) == 0xABCD
    assert nic.read(r.FFVT + 4) == 0xAB
    nic.model.write_any(r.FFVT, 8, 0x2222_2222_1111_1111)
    assert nic.read(r.FFVT + 4) == 0x2222_2222
    assert nic.model.read_any(e.IO_AT + 1, 4) == 0
    nic.model.write_any(e.IO_AT + 1, 4, 0xFF)
    nic.model.write_any(e.IO_AT, 4, r.FFVT)
    assert nic.model.read_any(e.IO_AT + 4, 4) == 0x1111_1111


def test_tidv_cannot_be_read() -> None:
    """QEMU"""
    nic = Nic()
    nic.write(r.TIDV, 8)
    assert nic.read(r.TIDV) == 0


def test_reading_swsm_takes_the_semaphore() -> None:
    nic = Nic()
    nic.write(r.SWSM, 0)
    assert nic.read(r.SWSM) == 0
    assert nic.read(r.SWSM) == 1


@pytest.mark.parametrize(
    ("control", "extended", "status"),
    [
        (0x0000, 0, 0x8_0283), (0x0004, 0, 0x283), (0x1000, 0, 0x8_0282), (0x1001, 0, 0x8_0283), (0x0800, 0, 0x8_0203),
        (0x0900, 0, 0x8_0243), (0x0A00, 0, 0x8_0283), (0x0B00, 0, 0x8_0283), (0x0100, 1 << 15, 0x8_0243),
    ],
)  # fmt: skip
def test_status_shows_what_ctrl_forces(control: int, extended: int, status: int) -> None:
    nic = Nic()
    nic.write(e.CTRL_EXT, extended)
    nic.write(r.CTRL, control)
    assert nic.read(r.STATUS) == status


def test_psrctl_wants_buffers_with_sizes_while_it_is_used() -> None:
    nic = Nic()
    nic.write(e.PSRCTL, 0)
    assert nic.read(e.PSRCTL) == 0
    nic.write(r.RCTL, 0x400)
    for value in (0x0001, 0x0100):
        nic.write(e.PSRCTL, value)
        assert nic.read(e.PSRCTL) == 0
    nic.write(e.PSRCTL, 0x0101)
    assert nic.read(e.PSRCTL) == 0x0101


# Reset (10.2.2.1)


def test_ctrl_resets_all_but_the_packet_buffers() -> None:
    nic = Nic()
    for at in (r.PBA, e.PBS, e.FLA, r.RDBAH, r.VET, r.ITR):
        nic.write(at, 0x21)
    nic.phy(0, 0)
    nic.write(r.CTRL, 1 << 26)
    assert nic.read(r.CTRL) == 0x0014_0241
    assert [nic.read(at) for at in (r.PBA, e.PBS, e.FLA, r.RDBAH, r.VET)] == [0x21, 0x21, 0x21, 0, 0]
    assert nic.read(r.ITR) == 0x21, "QEMU"
    assert nic.phy(0) & 0xFFFF == 0x1140
    nic.model.reset()
    assert [nic.read(at) for at in (r.PBA, e.PBS, r.VET)] == [0x0014_0014, 0x28, 0x8100]
    assert Nic(has_vet=False).read(r.VET) == 0


def test_a_reset_of_the_phy_is_told_until_it_is_cleared() -> None:
    nic = Nic()
    nic.write(r.CTRL, 1 << 31)
    assert nic.read(r.STATUS) & 1 << 10
    nic.write(r.STATUS, 0xFFFF_FFFF)
    assert nic.read(r.STATUS) & 1 << 10
    nic.write(r.STATUS, 0)
    assert not nic.read(r.STATUS) & 1 << 10


# NVM (10.2.2.4)


@given(st.integers(0, 63))
def test_words_are_read_at_once(number: int) -> None:
    nic = Nic()
    nic.write(r.EERD, number << 2 | 1)
    assert nic.read(r.EERD) & 0xFFFF == number << 2 | 2
    nic.write(r.EERD, number << 2)
    assert nic.read(r.EERD) == number << 2


def test_the_nvm_holds_mac_address_identification_and_checksum() -> None:
    nic = Nic()
    words = []
    for number in range(64):
        nic.write(r.EERD, number << 2 | 1)
        words.append(nic.read(r.EERD) >> 16)
    assert words[:3] == [0x5452, 0x1200, 0x5634]
    assert words[11] == words[13] == 0x10D3
    assert sum(words) & 0xFFFF == 0xBABA


def test_words_can_be_written_and_stay_over_a_reset() -> None:
    nic = Nic()
    nic.write(e.EEWR, 0x1234_0000 | 5 << 2 | 1)
    assert nic.read(r.EERD) == 0x1234_0000 | 5 << 2 | 2
    assert nic.read(e.EEWR) == 2
    nic.model.reset()
    nic.write(r.EERD, 5 << 2 | 1)
    assert nic.read(r.EERD) >> 16 == 0x1234
    for at in (r.EERD, e.EEWR):
        nic.write(at, 64 << 2 | 1)
        assert nic.read(r.EERD) == 64 << 2, "there is no such word"


# PHY (chapter 9)


def test_auto_negotiation_agrees_to_flow_control() -> None:
    nic = Nic()
    nic.write(r.IMS, r.ICR_LSC)
    nic.phy(0, 0x1340)
    assert not nic.read(r.STATUS) & r.STATUS_LU
    nic.clock.advance(500 * MS)
    assert nic.read(r.STATUS) & r.STATUS_LU
    assert nic.read(r.CTRL) >> 27 & 3 == 3
    assert nic.irq.level
    assert nic.read(e.IAC) == 1
    assert nic.read(r.ICR) == ASSERTED | r.ICR_LSC
    assert nic.read(e.IAC) == 0


def test_the_oem_register_restarts_auto_negotiation() -> None:
    nic = Nic()
    nic.phy(0x19, 0x0441)
    assert nic.phy(0x19) & 0xFFFF == 0x0041
    assert not nic.read(r.STATUS) & r.STATUS_LU


def test_pages_have_registers_of_their_own() -> None:
    nic = Nic()
    assert nic.phy(0x10) & 0xFFFF == 0x3360
    nic.phy(0x16, 0xFF02)
    assert nic.phy(0x16) & 0xFFFF == 2
    assert nic.phy(0x10) & 0xFFFF == 0x0088
    nic.phy(0x10, 0x1111)
    assert nic.phy(0x10) & 0xFFFF == 0x1111
    assert nic.phy(2) & 0xFFFF == 0x0141, "on every page"
    assert nic.phy(0x1A) & r.MDIC_ERROR
    nic.phy(0x16, 0)
    assert nic.phy(0x10) & 0xFFFF == 0x3360
    nic.phy(0x10, 0x2222)
    assert nic.phy(0x10) & 0xFFFF == 0x2222
    nic.phy(0x16, 7)
    assert nic.phy(0x10) & r.MDIC_ERROR
    assert nic.phy(0x10, 1) & r.MDIC_ERROR


def test_only_phy_1_answers_and_mdic_can_interrupt() -> None:
    nic = Nic()
    nic.write(r.MDIC, 2 << 21 | READ | r.MDIC_INT)
    assert nic.read(r.MDIC) & r.MDIC_ERROR
    assert nic.read(r.ICR) == 0, "QEMU forgets what was asked"
    nic.write(r.MDIC, PHY_1 | r.MDIC_INT)
    assert nic.read(r.ICR) == ASSERTED | r.ICR_MDAC


# Interrupts (7.4, 10.2.4)


def test_without_msix_reading_icr_clears_it() -> None:
    nic = Nic()
    nic.write(r.IMS, 0x80)
    nic.write(r.ICS, 0x84)
    assert nic.irq.level
    assert nic.read(r.ICS) == ASSERTED | 0x84
    assert nic.read(r.ICR) == ASSERTED | 0x84
    assert nic.read(r.ICR) == nic.read(r.ICS) == 0
    assert not nic.irq.level


def test_with_msix_icr_is_cleared_only_if_a_cause_is_not_masked() -> None:
    """10.2.4.1; with IMS 0 always."""
    nic = Nic()
    nic.messages.msix = True
    nic.write(r.ICS, r.ICR_LSC)
    assert nic.read(r.ICR) == ASSERTED | OTHER | r.ICR_LSC
    assert nic.read(r.ICR) == 0
    nic.write(r.IMS, 0x80)
    nic.write(r.ICS, r.ICR_LSC)
    assert nic.read(r.ICR) == nic.read(r.ICR) == ASSERTED | OTHER | r.ICR_LSC
    nic.write(r.IMS, r.ICR_LSC)
    nic.read(r.ICR)
    assert nic.read(r.ICR) == 0


def test_written_bits_of_icr_are_cleared_and_other_takes_its_causes_along() -> None:
    nic = Nic()
    nic.write(r.IMS, 0x80)
    nic.write(r.ICS, 0x85)
    nic.write(r.ICR, OTHER)
    assert nic.read(r.ICS) == ASSERTED | 0x81
    nic.write(r.ICR, 0x81)
    assert nic.read(r.ICS) == ASSERTED
    assert not nic.irq.level


def test_acknowledging_masks_what_iam_says() -> None:
    nic = Nic()
    nic.messages.msix = True
    nic.write(e.CTRL_EXT, 1 << 27)
    nic.write(e.IAM, 0x4)
    nic.write(r.IMS, 0x84)
    nic.write(r.ICS, 0x4)
    nic.read(r.ICR)
    assert nic.read(r.IMS) == 0x80
    assert nic.read(r.ICR) == 0
    nic.write(r.IMS, 0x4)
    nic.write(r.ICS, 0x4)
    nic.write(r.ICR, 0)
    assert nic.read(r.IMS) == 0x80


def test_vectors_are_allocated_by_ivar_and_causes_cleared_by_eiac() -> None:
    """7.4.3, 10.2.4.7"""
    nic = Nic()
    nic.messages.msix = True
    nic.write(e.IVAR, 0x8_F90A)  # RXQ0 on vector 2, TXQ0 on 1, TXQ1 on 7, which there is not, Other on 0
    nic.write(e.EIAC, TXQ0 | RXQ0)
    nic.write(r.IMS, ALL_CAUSES)
    nic.write(r.ICS, TXQ0 | RXQ0)
    assert nic.messages.sent == [2, 1]
    assert nic.read(r.IMS) & (TXQ0 | RXQ0) == 0
    assert nic.read(r.ICS) == ASSERTED | TXQ0 | RXQ0, "ICS shows ICR as it was"
    nic.write(r.ICS, TXQ1 | 1 << 21)
    nic.write(r.ICS, r.ICR_LSC)
    assert nic.messages.sent == [2, 1, 0]
    nic.write(e.CTRL_EXT, 1 << 24 | 1 << 27)
    nic.write(e.IAM, TXQ0)
    nic.write(r.IMS, TXQ0)
    nic.write(r.ICS, TXQ0)
    assert nic.read(e.IAM) == 0
    assert nic.read(r.IMS) & TXQ0


def test_what_is_throttled_comes_when_the_interval_ends() -> None:
    nic = Nic()
    nic.write(r.ITR, 1000)
    nic.write(r.IMS, 0x4)
    nic.write(r.ICS, 0x4)
    nic.read(r.ICR)
    nic.write(r.ICS, 0x4)
    assert not nic.irq.level
    nic.clock.advance(1000 * 256 - 1)
    assert not nic.irq.level
    nic.clock.advance(1000 * 256)
    assert nic.irq.level
    nic.read(r.ICR)
    nic.write(r.ICS, 0x4)
    assert nic.irq.level
    nic.read(r.ICR)
    nic.clock.advance(3000 * 256)
    assert not nic.irq.level


def test_with_msix_an_interval_ends_with_a_message() -> None:
    """QEMU sends it whether or not there was anything to postpone."""
    nic = Nic()
    nic.messages.msix = True
    nic.write(e.EITR + 4, 600)
    nic.write(e.IVAR, 0x900)
    nic.write(r.IMS, TXQ0)
    nic.write(r.ICS, TXQ0)
    nic.clock.advance(600 * 256)
    assert nic.messages.sent == [1, 1]


def test_setting_all_of_ims_can_end_all_intervals() -> None:
    nic = Nic()
    nic.messages.msix = True
    nic.write(e.CTRL_EXT, 1 << 29)
    nic.write(e.IVAR, 0x900)
    nic.write(r.IMS, TXQ0)
    nic.write(r.ICS, TXQ0)
    nic.write(r.IMS, ALL_CAUSES)
    assert nic.messages.sent == [1, 1]
    plain = Nic()
    plain.write(e.CTRL_EXT, 1 << 29)
    plain.write(r.IMS, 0x4)
    plain.write(r.ICS, 0x4)
    plain.read(r.ICR)
    plain.write(r.ICS, 0x4)
    plain.write(r.IMS, ALL_CAUSES)
    assert plain.irq.level


def test_msi_has_no_level() -> None:
    nic = Nic()
    nic.messages.msi = True
    nic.write(r.IMS, 0x4)
    nic.write(r.ICS, 0x4)
    assert not nic.irq.level
    assert nic.read(e.IAC) == 0
    nic.write(r.IMC, 0x4)
    assert nic.read(r.IMS) == 0


# Time (10.2.10)


def test_the_time_counts_by_increment_and_period() -> None:
    nic = Nic()
    nic.write(e.TIMINCA, 2 << 24 | 64)
    nic.clock.advance(1 << 33)
    assert nic.read(e.SYSTIML) == 0
    assert nic.read(e.SYSTIMH) == 4
    nic.write(e.TIMADJL, 5)
    nic.write(e.TIMADJH, 1)
    assert nic.read(e.SYSTIML) == 5
    assert nic.read(e.SYSTIMH) == 5


def test_a_new_increment_moves_the_time() -> None:
    nic = Nic()
    nic.clock.advance(1600)
    nic.write(e.TIMINCA, 1 << 24 | 16)
    assert nic.read(e.SYSTIML) == 3200, "QEMU counts what has passed twice"
    nic.write(e.TIMINCA, 0)
    assert nic.read(e.SYSTIML) == 1600 + ((1 << 64) - 1600 * 16) // 16 & 0xFFFF_FFFF


def test_reading_a_stamp_makes_room_for_the_next() -> None:
    nic = Nic()
    for stamp, control in ((e.RXSATRH, e.TSYNCRXCTL), (e.TXSTMPH, e.TSYNCTXCTL)):
        nic.write(stamp, 7)
        nic.write(control, 0x11)
        assert nic.read(stamp) == 7
        assert nic.read(control) == 0x10


# Transmission (7.2)


@pytest.mark.parametrize(("queue", "cause"), [(0, TXQ0), (1, TXQ1)])
def test_a_transmission_is_over_at_once(queue: int, cause: int) -> None:
    nic = Nic()
    nic.send(queue)
    assert nic.read((r.TDH, e.TDH1)[queue]) == 1
    assert nic.read(r.ICR) == ASSERTED | r.ICR_TXQE | r.ICR_TXDW
    nic.messages.msix = True
    nic.send(queue)
    assert nic.read(r.ICR) == ASSERTED | r.ICR_TXQE | cause


def test_nothing_is_sent_unless_enabled() -> None:
    nic = Nic()
    nic.write(r.TDLEN, 256)
    nic.write(r.TDT, 1)
    nic.write(e.TARC0, 0)
    nic.write(e.TARC1, 0)
    nic.write(r.TCTL, r.TCTL_EN)
    assert nic.read(r.TDH) == nic.read(r.ICR) == 0
    nic.write(e.TARC0, 0x400)
    nic.write(r.TDT, 99)
    assert nic.read(r.TDH) == 0, "a tail beyond the ring"


# I/O ports (10.1.1.4)


def test_ioaddr_selects_what_iodata_shows() -> None:
    nic = Nic()
    address, data = e.IO_AT, e.IO_AT + 4
    nic.write(address, r.STATUS)
    assert nic.read(address) == r.STATUS
    assert nic.read(data) == 0x8_0283
    assert nic.model.reader(data, 4)() == 0x8_0283
    nic.write(address, r.RDBAH)
    nic.write(data, 0x55)
    assert nic.read(r.RDBAH) == nic.read(data) == 0x55
    nic.write(address, 0x1_FFFF)
    nic.write(data, 1)
    assert nic.read(data) == nic.read(e.IO_AT + 8) == 0
    nic.write(e.IO_AT + 8, 1)


# What comes from outside


def test_packets_come_only_if_the_receiver_is_enabled() -> None:
    nic = Nic()
    assert not nic.assume(r.ICR, ASSERTED | r.ICR_RXT0)
    assert not nic.assume(r.RDH, 3)
    nic.listen()
    assert nic.assume(r.ICR, ASSERTED | r.ICR_RXT0 | r.ICR_RXDMT0)
    assert nic.read(r.ICR) == 0
    assert nic.assume(r.RDH, 3)
    assert nic.read(r.RDH) == 3
    assert not nic.assume(r.RDH, 16)
    assert not nic.assume(e.RDH1, 1), "the second ring has no descriptors"
    assert not nic.assume(r.ICR, ASSERTED | 1 << 9)


def test_a_cause_that_is_seen_in_ics_stays() -> None:
    nic = Nic()
    nic.listen()
    assert nic.assume(r.ICS, ASSERTED | r.ICR_RXT0)
    assert nic.read(r.ICR) == ASSERTED | r.ICR_RXT0


def test_descriptors_that_ask_for_no_report_are_found_out() -> None:
    nic = Nic()
    nic.send()
    assert nic.assume(r.ICR, ASSERTED | r.ICR_TXQE)
    nic.send()
    assert nic.read(r.ICR) == ASSERTED | r.ICR_TXQE
    nic.send()
    assert nic.assume(r.ICR, 0), "they let it wait"
    assert nic.assume(r.ICR, ASSERTED | r.ICR_TXQE | r.ICR_TXDW)
    nic.write(r.ICS, 4)
    assert not nic.assume(r.ICR, 0)


def test_statistics_grow_with_traffic_only() -> None:
    nic = Nic()
    received, sent = r.STATISTIC_AT["GPRC"], r.STATISTIC_AT["GPTC"]
    assert not nic.assume(received, 1)
    assert not nic.assume(sent, 1)
    nic.listen()
    nic.send()
    assert nic.assume(received, 2)
    assert nic.assume(sent, 1)
    assert nic.assume(e.IAC, 1)
    assert nic.assume(r.GORCL, 640)
    assert nic.read(r.GORCL) == 640
    assert nic.read(r.GORCH) == nic.read(r.GORCL) == 0
    assert not nic.assume(r.STATISTIC_AT["COLC"], 1)
    assert not nic.model.assume(sent, 2, 1, 0)
    nic.write(e.IO_AT, sent)
    assert nic.assume(e.IO_AT + 4, 3)


def test_a_cable_can_be_pulled_but_not_while_negotiating() -> None:
    nic = Nic()
    assert nic.assume(r.STATUS, 0x8_0281)
    assert nic.phy(1) & 4 == 0
    assert nic.assume(r.ICR, ASSERTED | r.ICR_LSC)
    nic.phy(0, 0x1340)
    assert not nic.assume(r.STATUS, 0x8_0283)
    assert not nic.assume(r.ICR, ASSERTED | r.ICR_LSC)


def test_alone_it_has_no_messages() -> None:
    model = E1000e.alone(Clock())
    model.write(r.IMS, 4, TXQ0)
    model.write(r.ICS, 4, TXQ0)
    assert model.read(r.ICR, 4) == ASSERTED | TXQ0
