"""The monitor's data: what the standard says of its parts, and QEMU's choices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.devices.edid import BLOCK, Monitor, generate


@given(
    st.integers(1, 8192), st.integers(1, 8192), st.integers(0, 8192), st.integers(0, 8192),
    st.sampled_from((60_000, 75_000, 144_000)),
)  # fmt: skip
def test_each_block_sums_up_to_0(width: int, height: int, max_width: int, max_height: int, refresh: int) -> None:
    """Section 3.11."""
    blocks = generate(Monitor(width, height, max_width, max_height, refresh), 3 * BLOCK)
    assert len(blocks) == 3 * BLOCK
    assert blocks[:8] == bytes.fromhex("00ffffffffffff00")
    assert [sum(blocks[at : at + BLOCK]) & 0xFF for at in range(0, 3 * BLOCK, BLOCK)] == [0, 0, 0]
    assert blocks[126] == (1 if blocks[256] == 0 else 2)


def test_the_fixed_parts() -> None:
    block = generate(Monitor(), BLOCK)
    assert block[8:18] == bytes.fromhex("4914 3412 00000000 2a18"), "RHT, 1234h, week 42 of 2014"
    assert block[18:25] == bytes.fromhex("0104 a5 2014 78 06"), "1.4, digital, 32 by 20 cm, gamma 2.2"
    assert block[25:35] == bytes.fromhex("ee91a3544c99260f5054"), "sRGB"
    assert block[126] == 0
    assert b"QEMU Monitor\n" in block


def test_the_first_descriptor_is_the_preferred_mode() -> None:
    """Section 3.10.2: 1280 by 800 by default."""
    descriptor = generate(Monitor(), BLOCK)[54:72]
    assert descriptor[2] | (descriptor[4] & 0xF0) << 4 == 1280
    assert descriptor[5] | (descriptor[7] & 0xF0) << 4 == 800
    assert int.from_bytes(descriptor[:2], "little") == 75 * (1280 + 448) * (800 + 28) // 10_000


def test_modes_that_are_too_large_are_not_listed() -> None:
    """Properties xmax and ymax."""
    everything, little = generate(Monitor(), 256), generate(Monitor(max_width=800, max_height=600), 256)
    assert (everything[35], everything[36]) == (0x21, 0x08)
    assert (little[35], little[36]) == (0x21, 0)
    assert little[38:54] == bytes((1, 1)) * 8, "unused standard timings"
    assert (little[130], little[132]) == (5, 0x40), "an empty video data block"


@pytest.mark.parametrize(
    ("monitor", "blocks"), [(Monitor(), 1), (Monitor(5120, 2880), 2), (Monitor(3840, 2160, 0, 0, 120_000), 2)]
)
def test_a_large_screen_is_told_by_displayid(monitor: Monitor, blocks: int) -> None:
    """A descriptor has 12 bits for a size and 16 for the clock."""
    found = generate(monitor, 384)
    assert found[126] == blocks
    if blocks == 2:
        assert found[256:258] == b"\x70\x13"
        assert int.from_bytes(found[268:270], "little") == monitor.width - 1
    assert generate(monitor, 256)[126] == 1
