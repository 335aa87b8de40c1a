"""NE2000: the DP8390 data sheet, and the card around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.ne2000 import Ne2000
from vmdev.replay.irq import Line

CR, PSTART, PSTOP, BNRY, TSR, ISR, RSAR0, RSAR1, RBCR0, RBCR1, RSR, DCR, IMR = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    9,
    10,
    11,
    12,
    14,
    15,
)
CURR, DATA, RESET = 7, 0x10, 0x1F
STOP, START, SEND, READ, WRITE, ABORT = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
PRX, PTX, RDC, RST = 1, 2, 0x40, 0x80


class Card:
    """A card and what its driver does with it."""

    def __init__(self) -> None:
        self.irq = Line()
        self.model = Ne2000(self.irq, 0x5254_0012_3456)

    def read(self, at: int, size: int = 1) -> int:
        return self.model.read(at, size)

    def write(self, at: int, value: int, size: int = 1) -> None:
        self.model.write(at, size, value)

    def page(self, number: int) -> None:
        self.write(CR, number << 6 | ABORT | START)

    def begin(self, address: int, count: int, command: int = READ) -> None:
        """Set up remote DMA (12.0)."""
        self.write(CR, ABORT | START)
        for at, value in ((RBCR0, count), (RBCR1, count >> 8), (RSAR0, address), (RSAR1, address >> 8)):
            self.write(at, value & 0xFF)
        self.write(CR, command | START)

    def store(self, address: int, data: bytes) -> None:
        self.begin(address, len(data), WRITE)
        for byte in data:
            self.write(DATA, byte)

    def fetch(self, address: int, count: int) -> bytes:
        self.begin(address, count)
        return bytes(self.read(DATA) for _ in range(count))

    def listen(self) -> None:
        self.write(CR, ABORT | STOP)
        self.write(PSTART, 0x46)
        self.write(PSTOP, 0x80)
        self.page(1)
        self.write(CURR, 0x47)
        self.page(0)

    def assume(self, at: int, hw: int) -> bool:
        return self.model.assume(at, 1, hw, self.read(at))


def test_it_comes_up_reset() -> None:
    card = Card()
    assert card.read(ISR) == RST
    card.write(CR, ABORT | START)
    assert card.read(ISR) == 0
    assert card.read(CR) == ABORT | START


def test_the_prom_has_each_byte_of_the_address_twice() -> None:
    card = Card()
    prom = card.fetch(0, 32)
    assert prom[:12:2] == prom[1:12:2] == bytes.fromhex("525400123456")
    assert prom[28:] == b"\x57" * 4


def test_reading_the_reset_port_resets_the_card_but_not_its_registers() -> None:
    """QEMU"""
    card = Card()
    card.write(BNRY, 0x46)
    card.page(0)
    assert card.read(RESET) == 0
    assert card.read(ISR) == RST
    assert card.read(BNRY) == 0x46
    assert card.fetch(0, 12)[::2] == bytes.fromhex("525400123456")
    assert card.fetch(12, 2) == b"\x12\x12", "what was there before is there twice"
    card.write(RESET, 0xFF)
    state = dict(card.model.state())
    card.model.reset()
    assert card.model.state() == state


def test_pages_have_registers_of_their_own() -> None:
    """10.2"""
    card = Card()
    card.write(PSTART, 0x46)
    card.write(PSTOP, 0x80)
    card.write(BNRY, 0x50)
    assert card.read(BNRY) == 0x50
    assert (card.read(10), card.read(11)) == (0x50, 0x43)
    card.page(1)
    for at in (*range(1, 7), *range(8, 16)):
        card.write(at, 0x10 + at)
        assert card.read(at) == 0x10 + at
    card.write(CURR, 0x47)
    assert card.read(CURR) == 0x47
    assert card.model.bank(CURR) == "page 1"
    card.page(2)
    assert (card.read(1), card.read(2), card.read(BNRY)) == (0x46, 0x80, 0)
    card.write(BNRY, 1)
    card.page(3)
    assert [card.read(at) for at in (3, 5, 6)] == [0, 0x40, 0x40]


def test_addresses_beyond_the_memory_are_refused() -> None:
    """QEMU"""
    card = Card()
    card.write(PSTART, 0x46)
    card.write(PSTOP, 0xC0)
    for at in (PSTART, PSTOP):
        card.write(at, 0xC1)
    card.write(BNRY, 0xC0)
    card.page(1)
    card.write(CURR, 0xC0)
    assert card.read(CURR) == 0
    card.page(2)
    assert (card.read(1), card.read(2)) == (0x46, 0xC0)
    card.page(0)
    assert card.read(BNRY) == 0


# Remote DMA (12.0)


@given(st.binary(min_size=1, max_size=64), st.integers(0x40, 0x7E))
def test_what_is_written_to_memory_can_be_read(data: bytes, page: int) -> None:
    card = Card()
    card.store(page << 8, data)
    assert card.read(ISR) & RDC
    assert card.fetch(page << 8, len(data)) == data


def test_the_data_port_takes_words_and_double_words() -> None:
    card = Card()
    card.write(DCR, 1)
    card.begin(0x4001, 6, WRITE)
    card.write(DATA, 0x2211, 2)
    card.write(DATA, 0x6655_4433, 4)
    card.write(DATA, 0x9999, 2)
    assert card.read(RSAR0) == 7
    card.begin(0x4000, 8)
    assert card.read(DATA) == 0x11, "a byte of a word"
    assert card.read(DATA, 4) == 0x6655_4433
    assert card.read(DATA, 2) == 0
    assert card.read(ISR) & RDC
    assert card.read(RSAR1) == 0x40


def test_beyond_the_memory_there_is_nothing() -> None:
    card = Card()
    card.store(0x2000, b"\1")
    assert card.fetch(0x2000, 1) == b"\xff"
    card.write(DCR, 1)
    card.begin(0xBFFE, 4)
    assert card.read(DATA, 4) == 0xFFFF_FFFF
    card.begin(0xC000, 2)
    assert card.read(DATA, 2) == 0xFFFF


def test_the_ring_wraps() -> None:
    card = Card()
    card.listen()
    card.store(0x4600, b"\x22")
    card.store(0x7FFF, b"\x11")
    assert card.fetch(0x7FFF, 2) == b"\x11\x22"


def test_dma_of_no_bytes_is_complete_at_once() -> None:
    card = Card()
    card.begin(0x4000, 0)
    assert card.read(ISR) == RDC
    card.write(ISR, 0xFF)
    assert card.read(ISR) == 0


# Transmission and interrupts


def test_a_frame_is_sent_at_once() -> None:
    """10.3"""
    card = Card()
    card.write(IMR, PTX)
    card.write(CR, ABORT | START | SEND)
    assert card.read(CR) == ABORT | START
    assert card.read(TSR) == 1
    assert card.irq.level
    card.write(ISR, PTX)
    assert not card.irq.level
    card.write(IMR, 0)
    card.write(CR, ABORT | STOP | SEND)
    assert card.read(ISR) == 0


# Ports


@pytest.mark.parametrize(("at", "size"), [(0, 2), (4, 4), (0x11, 1), (0x12, 2), (0x1E, 2), (0x20, 1), (0xFC, 4)])
def test_what_is_no_register_reads_all_ones(at: int, size: int) -> None:
    card = Card()
    card.write(at, 0, size)
    assert card.read(at, size) == (1 << 8 * size) - 1


def test_unaligned_accesses_fail() -> None:
    """QEMU: they read 0 and write nothing."""
    card = Card()
    card.write(0x0F, 0xFFFF, 2)
    assert card.read(0x0F, 2) == 0


# Reception, from outside


def test_frames_come_only_to_a_card_that_listens() -> None:
    card = Card()
    assert not card.assume(ISR, RST | PRX)
    card.listen()
    card.write(IMR, PRX)
    assert card.assume(ISR, PRX)
    assert card.irq.level
    assert card.read(ISR) == PRX
    assert not card.assume(ISR, 0)
    assert not card.assume(ISR, PRX | PTX)
    assert card.assume(RSR, 0x21)
    assert card.read(RSR) == 0x21
    assert not card.assume(RSR, 0x02)
    assert not card.model.assume(ISR, 2, 1, 0)
    assert not card.model.assume(DATA, 1, 1, 0)


def test_received_bytes_are_taken_from_the_recording_once() -> None:
    card = Card()
    card.listen()
    card.page(1)
    assert not card.assume(CURR, 0x80)
    assert card.assume(CURR, 0x48)
    assert card.read(CURR) == 0x48
    card.begin(0x4700, 2)
    answer = card.read(DATA)
    assert isinstance(answer, Unknown)
    assert (answer.kind, answer.mask) == ("assumed", 0xFF)
    answer.learn(0x21)
    assert card.fetch(0x4700, 1) == b"\x21"
    card.store(0x4701, b"\x48")
    assert card.fetch(0x4701, 1) == b"\x48", "the driver's own bytes are known"
    card.write(DCR, 1)
    card.begin(0x4702, 4)
    word = card.read(DATA, 4)
    assert isinstance(word, Unknown)
    assert word.mask == 0xFFFF_FFFF
    word.learn(0x1234_5678)
    card.begin(0x4702, 4)
    assert card.read(DATA, 4) == 0x1234_5678


@pytest.mark.parametrize(("old", "new", "bytes_new"), [(0x7F, 0x47, 0x200), (0x7F, 0x46, 0x100), (0x90, 0x47, 0x100)])
def test_frames_wrap_with_the_ring(old: int, new: int, bytes_new: int) -> None:
    card = Card()
    card.listen()
    card.page(1)
    card.write(CURR, old)
    assert card.assume(CURR, new)
    assert card.model.state()["unseen_bytes"] == bytes_new
