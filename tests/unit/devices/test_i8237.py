"""8237A pair with page registers: statements of the data sheet, and where QEMU differs from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.devices.i8237 import I8237Pair

CHIPS = [(0x00, 1, 0), (0x20, 2, 4)]
"""Of each: its first offset, how far its registers are apart, its first channel."""


class Chip:
    """One controller of a pair."""

    def __init__(self, at: int = 0, spacing: int = 1, first: int = 0) -> None:
        self.pair = I8237Pair()
        self.at, self.spacing, self.first = at, spacing, first

    def read(self, number: int) -> int:
        return self.pair.read(self.at + number * self.spacing, 1)

    def write(self, number: int, *values: int) -> None:
        for value in values:
            self.pair.write(self.at + number * self.spacing, 1, value)

    def word(self, number: int) -> int:
        self.write(12, 0)
        return self.read(number) | self.read(number) << 8


@pytest.fixture(params=CHIPS, ids=["first", "second"])
def chip(request: pytest.FixtureRequest) -> Chip:
    return Chip(*request.param)


def test_address_and_count_are_written_and_read_low_byte_first(chip: Chip) -> None:
    """Byte flip-flop."""
    chip.write(12, 0)
    chip.write(2, 0x34, 0x12)
    chip.write(3, 0x78, 0x56)
    assert [chip.read(2), chip.read(2), chip.read(3), chip.read(3)] == [0x34, 0x12, 0x78, 0x56]


def test_the_flip_flop_is_common_to_all_registers_and_can_be_cleared(chip: Chip) -> None:
    chip.write(0, 0x11)
    chip.write(12, 0)
    chip.write(0, 0x22, 0x33)
    assert chip.word(0) == 0x3322


def test_only_the_second_byte_starts_the_channel_anew(chip: Chip) -> None:
    chip.write(0, 0x22, 0x33)
    chip.write(0, 0x44)
    assert chip.word(0) == 0x3322


def test_master_clear_masks_all_and_clears_status(chip: Chip) -> None:
    """Software Commands: master clear."""
    chip.write(15, 0)
    chip.write(9, 0x05)
    chip.write(0, 0x11)
    chip.write(13, 0)
    assert (chip.read(9), chip.read(8)) == (0xFF, 0)
    chip.write(0, 0x22, 0x33)
    assert chip.word(0) == 0x3322


def test_masks(chip: Chip) -> None:
    """Mask register: single, all, clear."""
    chip.write(15, 0xF5)
    assert chip.read(9) == 0xF5
    chip.write(10, 0x05)
    chip.write(10, 0x02)
    assert chip.read(9) == 0xF3
    chip.write(14, 0)
    assert chip.read(9) == 0


def test_requests_by_software_show_in_the_status(chip: Chip) -> None:
    """Request register."""
    chip.write(9, 0x06)
    assert chip.read(8) == 0x40
    chip.write(9, 0x02)
    assert chip.read(8) == 0


def test_unsupported_commands_are_dropped(chip: Chip) -> None:
    chip.write(8, 0x04)
    chip.write(8, 0x10)
    name = "dma2_command" if chip.first else "dma1_command"
    assert chip.pair.state()[name] == 4


@pytest.mark.parametrize("number", range(10, 16))
def test_other_registers_read_zero(chip: Chip, number: int) -> None:
    chip.write(11, 0xFF)
    assert chip.read(number) == 0


@pytest.mark.parametrize(("page", "pages"), [(0x10, 0), (0x40, 4)])
def test_page_registers_belong_to_channels(page: int, pages: int) -> None:
    """PC AT: 87h, 83h, 81h, 82h are those of channels 0 to 3."""
    pair = I8237Pair()
    for port, channel in ((7, 0), (3, 1), (1, 2), (2, 3)):
        pair.write(page + port, 1, 0xA0 + channel)
        assert pair.read(page + port, 1) == 0xA0 + channel
        assert pair.state()[f"dma{2 if pages else 1}_page{channel}"] == 0xA0 + channel
    pair.write(page + 4, 1, 0xFF)
    assert pair.read(page + 4, 1) == 0


def test_reset_leaves_addresses_and_pages(chip: Chip) -> None:
    chip.write(0, 0x22, 0x33)
    chip.pair.write(0x17, 1, 5)
    chip.pair.reset()
    assert (chip.word(0), chip.pair.read(0x17, 1)) == (0x3322, 5)


class Disk:
    """A device that moves up to 100 bytes in its turn."""

    def __init__(self, chip: Chip, channel: int) -> None:
        self.turns: list[tuple[int, int]] = []
        self.request = chip.pair.connect(chip.first + channel, self.transfer)

    def transfer(self, moved: int, size: int) -> int:
        self.turns.append((moved, size))
        return min(moved + 100, size)


def test_a_device_that_requests_moves_what_the_count_says(chip: Chip) -> None:
    """Current address and count; terminal count in the status, cleared by reading it. Count is the number less 1."""
    disk = Disk(chip, 2)
    unit = 2 if chip.first else 1
    chip.write(4, 0x00, 0x10)
    chip.write(5, 149 // unit, 0)
    disk.request(True)
    assert disk.turns == []
    chip.write(10, 2)
    assert disk.turns == [(0, 150)]
    assert chip.word(4) == 0x1000 + 100 // unit
    assert chip.word(5) == 149 // unit - 100 // unit
    assert chip.read(8) == 0x40
    chip.write(10, 2)
    assert (chip.read(8), chip.read(8)) == (0x44, 0x40)
    disk.request(False)
    assert chip.read(8) == 0


def test_addresses_can_go_down(chip: Chip) -> None:
    """Mode register: address decrement."""
    disk = Disk(chip, 1)
    chip.write(11, 0x61)
    chip.write(2, 0x00, 0x10)
    chip.write(3, 0xFF, 0)
    chip.write(14, 0)
    disk.request(True)
    assert chip.word(2) == 0x1000 - 100 // (2 if chip.first else 1)


def test_a_new_request_by_software_clears_the_terminal_count(chip: Chip) -> None:
    disk = Disk(chip, 1)
    chip.write(2, 0, 0)
    chip.write(3, 0x09, 0)
    chip.write(14, 0)
    disk.request(True)
    chip.write(15, 0x0F)
    chip.write(9, 0x01)
    assert chip.read(8) == 0


@given(st.sampled_from(CHIPS), st.integers(0, 7), st.integers(0, 0xFFFF))
def test_words_read_back(place: tuple[int, int, int], number: int, value: int) -> None:
    chip = Chip(*place)
    chip.write(number, value & 0xFF, value >> 8)
    assert chip.word(number) == value
