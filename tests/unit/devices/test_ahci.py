"""AHCI controller: host and port registers, and what commands in memory leave to infer (AHCI 1.3.1, section 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.devices.ahci import (
    CAP,
    CI,
    CLB,
    CMD,
    FB,
    GHC,
    GHC_AE,
    GHC_IE,
    IS,
    PAIR_DATA,
    PAIR_INDEX,
    PI,
    PORT_BASE,
    PORT_SIZE,
    PXIE,
    PXIS,
    SACT,
    SCTL,
    SERR,
    SIG,
    SSTS,
    TFD,
    VS,
    Ahci,
)
from vmdev.replay.devices.ahci_port import IS_DHRS, IS_PSS, IS_SDBS, IS_TFES
from vmdev.replay.irq import Line

ST, FRE, FR, CR = 0x1, 0x10, 0x4000, 0x8000
DISK, EMPTY, CD = 0, 1, 2


class Hba:
    """A disk at port 0, a CD drive at port 2, nothing at the others."""

    def __init__(self, *, start: bool = False, foresees: bool = False) -> None:
        self.intx = Line()
        self.edges: list[bool] = []
        self.intx.connect(self.edges.append)
        self.ahci = Ahci(self.intx, (False, None, True), foresees=foresees)
        if start:
            self.put(GHC, GHC_IE)
            for port in (DISK, EMPTY, CD):
                self.put(CMD, FRE | ST, port)
                self.put(PXIS, IS_DHRS, port)
                self.put(PXIE, 0xFFFF_FFFF, port)

    @staticmethod
    def at(register: int, port: int | None) -> int:
        return register if port is None else PORT_BASE + PORT_SIZE * port + register

    def put(self, register: int, value: int, port: int | None = None) -> None:
        self.ahci.writer(self.at(register, port), 4)(value)

    def get(self, register: int, port: int | None = None) -> int:
        return self.ahci.reader(self.at(register, port), 4)()

    def shows(self, register: int, hw: int, port: int | None = None) -> str:
        """A read that the recording answers with `hw`: "matched", "assumed" or "diverged"."""
        model = self.get(register, port)
        if model == hw:
            return "matched"
        return "assumed" if self.ahci.assume(self.at(register, port), 4, hw, model) else "diverged"


# Generic host control


def test_the_capabilities_are_those_of_qemu() -> None:
    hba = Hba()
    assert (hba.get(CAP), hba.get(PI), hba.get(VS)) == (0xC014_1F05, 0x3F, 0x10000)
    for register in (CAP, PI, VS, 0x14, 0x24, 0x28):
        before = hba.get(register)
        hba.put(register, ~before & 0xFFFF_FFFF)
        assert hba.get(register) == before


def test_ghc_keeps_the_interrupt_enable() -> None:
    hba = Hba()
    hba.put(GHC, 0xFFFF_FFFE)
    assert hba.get(GHC) == GHC_AE | GHC_IE


def test_an_hba_reset_clears_the_ports_but_not_their_addresses() -> None:
    """10.4.3; QEMU."""
    hba = Hba(start=True)
    hba.put(CLB, 0x1000, DISK)
    hba.put(GHC, 1)
    assert hba.get(GHC) == GHC_AE
    assert [hba.get(register, DISK) for register in (CMD, PXIS, PXIE, TFD, SIG)] == [6, 0, 0, 0x7F, 0xFFFF_FFFF]
    assert hba.get(CLB, DISK) == 0x1000


@pytest.mark.parametrize(("offset", "size", "value"), [(0, 1, 0x05), (1, 1, 0x1F), (2, 2, 0xC014), (3, 2, 0xC0)])
def test_reads_may_be_narrow_and_unaligned(offset: int, size: int, value: int) -> None:
    assert Hba().ahci.reader(offset, size)() == value


def test_reads_may_reach_over_two_registers() -> None:
    assert Hba().ahci.reader(2, 4)() == 0x0000_C014
    assert Hba().ahci.reader(0, 8)() == 0x8000_0000_C014_1F05


def test_writes_must_be_aligned() -> None:
    """QEMU: and a narrow one writes all of the register."""
    hba = Hba()
    hba.put(CLB, 0x1234_5600, DISK)
    hba.ahci.writer(PORT_BASE + CLB + 1, 1)(0xFF)
    assert hba.get(CLB, DISK) == 0x1234_5600
    hba.ahci.writer(PORT_BASE + CLB, 1)(0xFF)
    assert hba.get(CLB, DISK) == 0xFF
    hba.ahci.writer(PORT_BASE + CLB, 8)(0x1_0000_0002)
    assert hba.ahci.reader(PORT_BASE + CLB, 8)() == 0x1_0000_0002


def test_the_pair_of_ports_reaches_every_register() -> None:
    hba = Hba()
    hba.put(PAIR_INDEX, 0xFFFF_F000 | PORT_BASE | FB | 3)
    assert hba.get(PAIR_INDEX) == PORT_BASE | FB
    hba.put(PAIR_DATA, 0x4000)
    assert hba.get(FB, DISK) == hba.get(PAIR_DATA) == 0x4000
    assert hba.ahci.reader(PAIR_INDEX, 1)() == FB
    assert hba.get(PAIR_INDEX - 4) == 0
    hba.put(PAIR_INDEX, 0)
    assert not hba.ahci.assume(PAIR_DATA, 4, 1, 2)


# Ports


def test_the_status_shows_which_ports_have_drives() -> None:
    """3.3.10."""
    hba = Hba()
    assert [hba.get(SSTS, port) for port in range(6)] == [0x113, 0, 0x113, 0, 0, 0]
    assert hba.get(SSTS, 6) == 0


@pytest.mark.parametrize(
    ("port", "tfd", "signature"), [(DISK, 0x130, 0x0101), (CD, 0x170, 0xEB14_0101), (EMPTY, 0x50, 0xFFFF_0101)]
)
def test_the_first_fis_comes_when_it_can_be_received(port: int, tfd: int, signature: int) -> None:
    """5.3.8; QEMU for the values and for the empty port."""
    hba = Hba()
    assert (hba.get(TFD, port), hba.get(SIG, port), hba.get(PXIS, port)) == (0x7F, 0xFFFF_FFFF, 0)
    for _ in range(2):
        hba.put(CMD, FRE, port)
        assert (hba.get(TFD, port), hba.get(SIG, port), hba.get(PXIS, port)) == (tfd, signature, IS_DHRS)


def test_cr_and_fr_follow_st_and_fre() -> None:
    """3.3.7; ICC reads 0, CR and FR are read-only."""
    hba = Hba()
    hba.put(CMD, 0x1000_0000 | FR | CR, DISK)
    assert hba.get(CMD, DISK) == 0
    hba.put(CMD, FRE | ST | 6, DISK)
    assert hba.get(CMD, DISK) == FRE | FR | ST | CR | 6
    hba.put(CMD, FRE, DISK)
    assert hba.get(CMD, DISK) == FRE | FR


@pytest.mark.parametrize("port", [DISK, EMPTY])
def test_comreset_ends_when_det_leaves_1(port: int) -> None:
    """10.4.2."""
    hba = Hba(start=True)
    hba.put(SACT, 1, port)
    hba.put(SCTL, 0x301, port)
    hba.put(SCTL, 0x300, port)
    assert hba.get(SCTL, port) == 0x300
    assert (hba.get(SACT, port), hba.get(PXIS, port)) == (0, IS_DHRS if port == DISK else 0)
    hba.put(SERR, 0xFFFF_FFFF, port)
    assert hba.get(SERR, port) == 0


def test_an_interrupt_needs_three_enables() -> None:
    """PxIE, GHC.IE; 1s in PxIS clear."""
    hba = Hba()
    hba.put(CMD, FRE, DISK)
    assert hba.get(IS) == 0
    hba.put(PXIE, 0xFFFF_FFFF, DISK)
    assert (hba.get(PXIE, DISK), hba.get(IS)) == (0xFDC0_00FF, 1)
    assert not hba.intx.level
    hba.put(GHC, GHC_IE)
    hba.put(IS, 1)  # the port still asks
    assert hba.intx.level
    hba.put(PXIS, IS_DHRS, DISK)
    assert (hba.get(IS), hba.edges) == (0, [True, False])


# Commands


def test_a_command_is_expected_to_end_well_and_at_once() -> None:
    hba = Hba(start=True)
    hba.put(CI, 0x4, DISK)
    assert hba.intx.level
    assert (hba.get(PXIS, DISK), hba.get(CI, DISK), hba.get(TFD, DISK)) == (IS_DHRS, 0, 0x50)


def test_a_queued_command_sets_sdbs() -> None:
    hba = Hba(start=True)
    hba.put(SACT, 0x8, DISK)
    hba.put(CI, 0x8, DISK)
    assert (hba.get(PXIS, DISK), hba.get(CI, DISK), hba.get(SACT, DISK)) == (IS_SDBS, 0, 0)


def test_commands_wait_for_st() -> None:
    hba = Hba()
    hba.put(CI, 1, DISK)
    assert hba.get(CI, DISK) == 1
    hba.put(CMD, FRE | ST, DISK)
    assert hba.get(CI, DISK) == 0


def test_an_empty_port_keeps_commands_until_st_is_cleared() -> None:
    """QEMU; 3.3.14."""
    hba = Hba(start=True)
    hba.put(CI, 1, EMPTY)
    assert hba.get(CI, EMPTY) == 1
    hba.put(CMD, FRE, EMPTY)
    assert hba.get(CI, EMPTY) == 0


def test_without_fre_nothing_is_received() -> None:
    hba = Hba()
    hba.put(CMD, ST, DISK)
    hba.put(CI, 1, DISK)
    assert (hba.get(PXIS, DISK), hba.get(CI, DISK), hba.get(TFD, DISK)) == (0, 0, 0x7F)


def test_a_command_may_have_transferred_by_pio() -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, IS_DHRS | IS_PSS, DISK) == "assumed"
    assert hba.shows(PXIS, IS_DHRS | IS_PSS, DISK) == "matched"


def test_a_command_may_take_its_time() -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, 0, DISK) == "assumed"
    assert hba.shows(CI, 1, DISK) == "matched"
    assert not hba.intx.level
    assert hba.shows(PXIS, IS_DHRS, DISK) == "assumed"
    assert hba.shows(CI, 0, DISK) == "matched"


def test_a_command_may_fail() -> None:
    """6.2.2.1: PxCI keeps the command that failed."""
    hba = Hba(start=True)
    hba.put(CI, 2, DISK)
    assert hba.shows(PXIS, IS_TFES, DISK) == "assumed"
    assert hba.shows(TFD, 0x441, DISK) == "matched"
    assert hba.shows(CI, 2, DISK) == "matched"
    hba.put(CI, 4, CD)
    hba.get(PXIS, CD)
    assert hba.shows(TFD, 0x5041, CD) == "assumed"
    assert hba.shows(TFD, 0x50, CD) == "diverged"


def test_ci_may_show_first_what_has_not_ended() -> None:
    hba = Hba(start=True)
    hba.put(CI, 3, DISK)
    assert hba.shows(CI, 2, DISK) == "assumed"
    assert hba.shows(CI, 0, DISK) == "assumed"
    assert hba.shows(CI, 1, DISK) == "diverged"
    assert hba.shows(CI, 4, DISK) == "diverged"


def test_sact_may_show_that_some_have_ended() -> None:
    hba = Hba(start=True)
    hba.put(SACT, 0x30, DISK)
    hba.put(CI, 0x30, DISK)
    assert hba.shows(PXIS, IS_SDBS, DISK) == "matched"
    hba.put(PXIS, IS_SDBS, DISK)
    assert hba.shows(SACT, 0x10, DISK) == "assumed"
    assert hba.shows(PXIS, IS_SDBS, DISK) == "assumed"
    assert hba.shows(SACT, 0x00, DISK) == "matched"
    assert hba.shows(SACT, 0x40, DISK) == "diverged"


def test_queued_commands_may_take_their_time() -> None:
    hba = Hba(start=True)
    hba.put(SACT, 1, DISK)
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, 0, DISK) == "assumed"
    assert hba.shows(SACT, 1, DISK) == "matched"


def test_is_may_show_first_that_a_command_has_or_has_not_ended() -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    assert hba.shows(IS, 0) == "assumed"
    assert hba.shows(PXIS, 0, DISK) == "matched"
    assert hba.shows(IS, 1) == "assumed"
    assert hba.shows(PXIS, IS_DHRS, DISK) == "matched"
    assert hba.shows(IS, 3) == "diverged"
    assert hba.shows(IS, 6) == "diverged"


def test_is_does_not_show_which_kind_of_command_has_ended() -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    hba.put(SACT, 2, DISK)
    hba.put(CI, 2, DISK)
    assert hba.shows(IS, 0) == "assumed"
    assert hba.shows(IS, 1) == "assumed"
    assert hba.shows(PXIS, IS_DHRS, DISK) == "assumed"
    assert hba.shows(SACT, 2, DISK) == "matched"


def test_a_slot_that_is_used_again_was_free_even_if_its_command_seemed_to_take_its_time() -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, 0, DISK) == "assumed"
    hba.put(SACT, 1, DISK)
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, IS_SDBS, DISK) == "matched"
    assert hba.shows(SACT, 0, DISK) == "matched"
    assert hba.shows(CI, 0, DISK) == "matched"


def test_a_cpu_may_see_a_commands_end_before_another_cpus_access_is_recorded() -> None:
    hba = Hba(start=True, foresees=True)
    hba.put(SACT, 2, DISK)
    assert hba.shows(IS, 1) == "assumed"
    assert hba.shows(PXIS, IS_SDBS, DISK) == "assumed"
    hba.put(PXIS, IS_SDBS, DISK)
    assert hba.shows(SACT, 0, DISK) == "assumed"
    hba.put(CI, 2, DISK)
    assert hba.shows(IS, 0) == "matched"
    assert hba.shows(SACT, 0, DISK) == "matched"
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, IS_DHRS, DISK) == "matched"
    hba.put(PXIS, IS_DHRS, DISK)
    assert hba.shows(PXIS, 0x80, DISK) == "diverged", "no command ends so"
    assert hba.shows(IS, 2) == "diverged", "there is no drive"


def test_a_slot_that_is_used_again_was_free() -> None:
    hba = Hba(start=True)
    for _ in range(3):
        hba.put(CI, 1, DISK)
        assert hba.shows(IS, 1) == "matched"
        assert hba.shows(PXIS, IS_TFES, DISK) == "assumed"
        hba.put(PXIS, IS_TFES, DISK)
        assert hba.shows(CI, 1, DISK) == "matched"
        hba.put(CMD, FRE, DISK)
        hba.put(CMD, FRE | ST, DISK)
        hba.put(CI, 1, DISK)
        assert hba.shows(PXIS, IS_DHRS, DISK) == "matched"
        hba.put(PXIS, IS_DHRS, DISK)
        assert hba.shows(CI, 0, DISK) == "matched"
    hba.put(SACT, 1, DISK)
    hba.put(CI, 1, DISK)
    assert hba.shows(PXIS, IS_SDBS, DISK) == "matched"


def test_a_cleared_interrupt_does_not_come_back() -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    hba.get(PXIS, DISK)
    hba.put(PXIS, IS_DHRS, DISK)
    hba.get(CI, DISK)
    hba.get(CI, DISK)
    assert hba.shows(PXIS, IS_DHRS, DISK) == "diverged"


@pytest.mark.parametrize(("register", "hw"), [(PXIS, 0x40), (PXIS, IS_SDBS), (SIG, 0), (TFD, 0x1_0000), (SERR, 1)])
def test_nothing_else_is_assumed(register: int, hw: int) -> None:
    hba = Hba(start=True)
    hba.put(CI, 1, DISK)
    before = hba.ahci.state()
    assert hba.shows(register, hw, DISK) == "diverged"
    assert hba.ahci.state() == before
    assert not hba.ahci.assume(PORT_BASE + PXIS, 1, 0, 1)
    assert not hba.ahci.assume(CAP, 4, 0, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from((GHC, PXIS, PXIE, CMD, SCTL, SACT, CI)), st.integers(0, 31), st.integers(0, 0x1F)),
        max_size=40,
    )
)
def test_no_guest_can_make_it_fail(writes: list[tuple[int, int, int]]) -> None:
    hba = Hba(start=True)
    for register, value, hw in writes:
        hba.put(register, value, None if register == GHC else DISK)
        for other in (IS, None):
            if other is None:
                hba.shows(register, hw, DISK)
            else:
                hba.shows(other, hw & 1)
