"""Misaligned accesses: what QEMU's TCG makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.misaligned import pieces, read_pieces, write_pieces


@pytest.mark.parametrize(
    ("offset", "size", "made"),
    [
        (0, 8, [(0, 8)]),
        (4, 8, [(4, 4), (8, 4)]),
        (2, 4, [(2, 2), (4, 2)]),
        (1, 4, [(1, 1), (2, 1), (3, 1), (4, 1)]),
        (6, 8, [(6, 2), (8, 2), (10, 2), (12, 2)]),
    ],
)
def test_pieces(offset: int, size: int, made: list[tuple[int, int]]) -> None:
    assert pieces(offset, size) == made


@given(st.integers(0, 64), st.sampled_from([1, 2, 4, 8]), st.integers(0, (1 << 64) - 1))
def test_what_is_written_can_be_read(offset: int, size: int, value: int) -> None:
    memory = bytearray(80)

    def write(at: int, piece: int, part: int) -> None:
        assert at % piece == 0
        memory[at : at + piece] = part.to_bytes(piece, "little")

    value &= (1 << 8 * size) - 1
    write_pieces(write, offset, size, value)
    assert read_pieces(lambda at, piece: int.from_bytes(memory[at : at + piece], "little"), offset, size) == value


def test_what_only_the_recording_knows_is_taught_to_its_piece() -> None:
    taught: list[int] = []

    def read(at: int, piece: int) -> int:
        return 0x11 if at < 4 else Unknown(0xF0, 0x0F, taught.append, "assumed")

    answer = read_pieces(read, 2, 4)
    assert isinstance(answer, Unknown)
    assert (answer.known, answer.mask, answer.kind) == (0xF0_0011, 0x0F_0000, "assumed")
    answer.learn(0x05_0000)
    assert taught == [5]
