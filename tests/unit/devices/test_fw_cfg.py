"""QEMU's firmware configuration device: its documentation's statements, and what QEMU makes of odd accesses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.fw_cfg import KEY_ID, KEY_RAM_SIZE, KEY_SIGNATURE, FwCfg

SELECTOR, DATA, DMA_HIGH, DMA_LOW = 0, 1, 4, 8
FILE_DIR = 0x19


def select(device: FwCfg, key: int) -> None:
    device.write(SELECTOR, 2, key)


def read(device: FwCfg, count: int, teach: bytes | None = None) -> bytes:
    """Bytes from the data register; what only a recording knows comes from `teach`."""
    found = bytearray()
    for number in range(count):
        answer = device.read(DATA, 1)
        if isinstance(answer, Unknown):
            assert teach is not None, "it should be known"
            assert (answer.known, answer.mask, answer.kind) == (0, 0xFF, "learned")
            answer.learn(teach[number])
            answer = teach[number]
        found.append(answer)
    return bytes(found)


def test_key_0_is_the_signature() -> None:
    device = FwCfg()
    select(device, KEY_SIGNATURE)
    assert read(device, 4) == b"QEMU"


@pytest.mark.parametrize(("dma", "features"), [(False, 1), (True, 3)])
def test_the_revision_has_a_bit_for_dma(dma: bool, features: int) -> None:
    device = FwCfg(dma=dma)
    select(device, KEY_ID)
    assert read(device, 4) == features.to_bytes(4, "little")


def test_reading_the_dma_address_register_returns_the_signature() -> None:
    device = FwCfg()
    assert device.read(DMA_HIGH, 4).to_bytes(4, "little") == b"QEMU"
    assert device.read(DMA_LOW, 4).to_bytes(4, "little") == b" CFG"
    assert device.read(DMA_HIGH, 8).to_bytes(8, "little") == b"QEMU CFG"
    assert bytes(device.read(DMA_HIGH + i, 1) for i in range(8)) == b"QEMU CFG"
    assert device.read(DMA_HIGH + 2, 2).to_bytes(2, "little") == b"MU"


def test_an_unaligned_read_of_the_dma_address_register_is_refused() -> None:
    """QEMU."""
    assert FwCfg().read(DMA_HIGH + 1, 2) == 0


def test_reads_past_the_end_of_an_item_are_0() -> None:
    device = FwCfg(items={KEY_RAM_SIZE: b"\x01\x02"})
    select(device, KEY_RAM_SIZE)
    assert read(device, 4) == b"\x01\x02\0\0"


def test_selecting_sets_the_offset_to_0() -> None:
    device = FwCfg()
    select(device, KEY_SIGNATURE)
    read(device, 3)
    select(device, KEY_SIGNATURE)
    assert read(device, 2) == b"QE"


def test_the_write_bit_of_the_selector_selects_the_same_item() -> None:
    device = FwCfg()
    select(device, 0x4000 | KEY_ID)
    assert read(device, 1) == b"\x03"


def test_architecture_specific_items_are_others() -> None:
    device = FwCfg()
    select(device, 0x8000 | KEY_SIGNATURE)
    assert read(device, 2, b"ab") == b"ab"
    select(device, KEY_SIGNATURE)
    assert read(device, 2) == b"QE"


@pytest.mark.parametrize("key", [0x40, 0x3FFF, 0x8040, 0xFFFF])
def test_an_item_out_of_range_reads_0(key: int) -> None:
    """QEMU: 0x20 well-known items and 0x20 files."""
    device = FwCfg()
    select(device, key)
    assert read(device, 3) == b"\0\0\0"


def test_an_item_is_learned_by_the_first_read_and_checked_later() -> None:
    device = FwCfg()
    select(device, FILE_DIR)
    assert read(device, 3, b"abc") == b"abc"
    select(device, FILE_DIR)
    assert read(device, 3) == b"abc"
    assert isinstance(device.read(DATA, 1), Unknown)
    select(device, FILE_DIR + 1)
    assert isinstance(device.read(DATA, 1), Unknown)


def test_a_read_that_taught_nothing_leaves_a_gap_that_is_never_learned() -> None:
    device = FwCfg()
    select(device, FILE_DIR)
    assert isinstance(device.read(DATA, 1), Unknown)
    assert read(device, 1, b"b") == b"b"
    select(device, FILE_DIR)
    assert read(device, 2, b"ab") == b"ab"
    assert device.state()["learned"] == 2


def test_after_a_dma_transfer_it_is_unknown_what_is_selected() -> None:
    """The control structure, which may select, is in memory."""
    device = FwCfg()
    select(device, KEY_SIGNATURE)
    device.write(DMA_HIGH, 4, 0)
    assert read(device, 1) == b"Q"
    device.write(DMA_LOW, 4, 0x1234)
    assert read(device, 2, b"xy") == b"xy"
    assert read(device, 1, b"x") == b"x", "it is not remembered"
    select(device, KEY_SIGNATURE)
    assert read(device, 1) == b"Q"


def test_the_dma_address_is_big_endian_and_cleared_by_a_transfer() -> None:
    device = FwCfg()
    device.write(DMA_HIGH, 4, 0x0100_0000)
    assert device.state()["dma_address"] == 1 << 32
    device.write(DMA_LOW, 4, 0)
    assert device.state()["dma_address"] == 0


@pytest.mark.parametrize(("offset", "size"), [(SELECTOR, 1), (DATA, 1), (SELECTOR, 4), (DMA_HIGH, 2), (DMA_LOW, 1)])
def test_writes_of_other_sizes_are_ignored(offset: int, size: int) -> None:
    """Writes to the data register are ignored since QEMU 2.4; a DMA address takes 4 bytes."""
    device = FwCfg()
    select(device, KEY_ID)
    before = device.state()
    device.write(offset, size, 0x19)
    assert device.state() == before


@pytest.mark.parametrize("size", [2, 4, 8])
def test_wide_reads_of_the_data_register_are_refused(size: int) -> None:
    """QEMU: they give 0 and do not move the offset."""
    device = FwCfg()
    assert device.read(SELECTOR, size) == 0
    assert read(device, 1) == b"Q"


def test_the_first_port_reads_data_too() -> None:
    """QEMU."""
    device = FwCfg()
    assert (device.read(SELECTOR, 1), device.read(DATA, 1)) == (ord("Q"), ord("E"))


def test_a_reset_selects_item_0_and_forgets_nothing() -> None:
    device = FwCfg()
    select(device, FILE_DIR)
    read(device, 2, b"ab")
    device.reset()
    assert read(device, 4) == b"QEMU"
    select(device, FILE_DIR)
    assert read(device, 2) == b"ab"


@given(st.lists(st.tuples(st.sampled_from((0, 1, 5, 0x19, 0x8003)), st.integers(0, 12)), max_size=20))
def test_items_read_as_strings_whatever_was_read_before(reads: list[tuple[int, int]]) -> None:
    contents = {0: b"QEMU", 1: b"\3\0\0\0", 5: b"\1\0", 0x19: b"directory!", 0x8003: b"e820"}
    device = FwCfg(items={5: contents[5]})
    for key, count in reads:
        select(device, key)
        wanted = contents[key].ljust(count, b"\0")[:count]
        assert read(device, count, wanted) == wanted
