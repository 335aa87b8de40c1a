"""Display memory of a VGA: write modes, read modes, windows and latches of the technical reference; unseen writes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.vga_memory import VgaMemory

SIZE = 0x40000
A000, B000, B800 = 0x00000, 0x10000, 0x18000
TEXT_SR = (3, 1, 0x03, 0, 0x02)
PLANAR_SR = (3, 1, 0x0F, 0, 0x06)
CHAIN_4_SR = (3, 1, 0x0F, 0, 0x0E)
TEXT_GR = (0, 0, 0, 0, 0, 0x10, 0x0E, 0, 0xFF)
PLANAR_GR = (0, 0, 0, 0, 0, 0x00, 0x05, 0x0F, 0xFF)
WORDS, BYTES, DOUBLEWORDS = {0x14: 0x1F, 0x17: 0xA3}, {0x14: 0x00, 0x17: 0xE3}, {0x14: 0x40, 0x17: 0xA3}


def memory(
    sr: Sequence[int] = PLANAR_SR,
    gr: Sequence[int] = PLANAR_GR,
    cr: dict[int, int] = BYTES,
    bank: int = 0,
    linear: bool = False,
    of: VgaMemory | None = None,
    **changes: int,
) -> VgaMemory:
    """A memory with these registers, of which single ones are given by name."""
    found = VgaMemory(SIZE) if of is None else of
    sr, gr, crs = list(sr), list(gr), [cr.get(index, 0) for index in range(0x19)]
    for name, value in changes.items():
        {"sr": sr, "gr": gr}[name[:2]][int(name[2:], 16)] = value
    found.configure(sr, sr[4], gr, crs, bank, linear)
    return found


def known(answer: int) -> int:
    assert not isinstance(answer, Unknown)
    return answer


def planes(found: VgaMemory, at: int) -> list[int]:
    return list(found.planes[4 * at : 4 * at + 4])


# Text modes


def test_in_text_modes_characters_are_in_plane_0_and_attributes_in_plane_1() -> None:
    found = memory(TEXT_SR, TEXT_GR, WORDS)
    found.write(B800 + 2, 2, 0x0741)
    assert planes(found, 1) == [0x41, 0x07, 0, 0]
    assert known(found.read(B800 + 2, 2)) == 0x0741
    assert known(found.read(B800 + 3, 1)) == 0x07


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 0x28), st.sampled_from((1, 2, 4, 8)), st.integers(0, 2**64 - 1)))
)
def test_in_text_modes_the_window_is_an_array_of_bytes(program: list[tuple[bool, int, int, int]]) -> None:
    found = memory(TEXT_SR, TEXT_GR, WORDS)
    wanted = bytearray(0x40)
    for write, at, size, value in program:
        if write:
            found.write(B800 + at, size, value & (1 << 8 * size) - 1)
            wanted[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        assert known(found.read(B800 + at, size)) == int.from_bytes(wanted[at : at + size], "little")


@pytest.mark.parametrize("address", [A000, B000, B800 - 2])
def test_outside_its_aperture_the_window_reads_ones(address: int) -> None:
    found = memory(TEXT_SR, TEXT_GR, WORDS)
    found.write(address, 2, 0)
    assert known(found.read(address, 2)) == 0xFFFF
    assert not any(found.planes)


def test_a_wide_access_over_the_end_of_the_window() -> None:
    found = memory(TEXT_SR, TEXT_GR, WORDS)
    found.write(B800 + 0x7FFF, 2, 0x1234)
    assert known(found.read(B800 + 0x7FFF, 2)) == 0xFF34


def test_other_planes_are_read_by_the_read_map() -> None:
    """Read map select in odd/even modes: its bit 1 chooses the pair."""
    found = memory(TEXT_SR, TEXT_GR, WORDS)
    found.planes[4:8] = b"\x11\x22\x33\x44"
    memory(TEXT_SR, TEXT_GR, WORDS, of=found, gr4=2)
    assert known(found.read(B800 + 2, 2)) == 0x4433


def test_fonts_are_loaded_into_plane_2_in_sequence() -> None:
    """As a video BIOS does it: the CRT controller stays in word mode."""
    found = memory((1, 1, 0x04, 0, 0x06), (0, 0, 0, 0, 2, 0, 0x04, 0, 0xFF), WORDS)
    found.write(A000, 4, 0x04030201)
    assert found.planes[2:16:4] == b"\1\2\3\4"
    assert known(found.read(A000, 4)) == 0x04030201


# Apertures and banks


@pytest.mark.parametrize(
    ("aperture", "inside", "outside"),
    [
        (0, [0, 0x1FFFF], []),
        (1, [0, 0xFFFF], [0x10000]),
        (2, [0x10000, 0x17FFF], [0xFFFF, 0x18000]),
        (3, [0x18000], [0]),
    ],
)
def test_apertures(aperture: int, inside: list[int], outside: list[int]) -> None:
    found = memory(gr6=aperture << 2 | 1)
    for address in inside:
        found.write(address, 1, 0x5A)
        assert known(found.read(address, 1)) == (0x5A if address < SIZE // 4 or aperture else 0xFF)
    for address in outside:
        found.write(address, 1, 0x5A)
        assert known(found.read(address, 1)) == 0xFF


def test_the_bank_moves_the_window_of_64_kib() -> None:
    found = memory(bank=0x8000)
    found.write(0, 1, 0x12)
    assert planes(found, 0x8000) == [0x12] * 4
    assert known(found.read(0x8000, 1)) == 0xFF, "beyond the memory"
    found.write(0x8000, 1, 0x34)


# Write modes and read modes


@given(
    old=st.integers(0, 2**32 - 1), latch=st.integers(0, 2**32 - 1), value=st.integers(0, 255), mode=st.integers(0, 3),
    registers=st.fixed_dictionaries({
        "gr0": st.integers(0, 15), "gr1": st.integers(0, 15), "gr3": st.integers(0, 31), "gr8": st.integers(0, 255),
        "sr2": st.integers(0, 15),
    }),
)  # fmt: skip
def test_write_modes_bit_by_bit(old: int, latch: int, value: int, mode: int, registers: dict[str, int]) -> None:
    """Graphics mode register, "Write mode"; the function and the bit mask come after it, the map mask last."""
    found = memory(gr5=mode, **registers)
    found.planes[0:4] = latch.to_bytes(4, "little")
    found.read(A000, 1)
    found.planes[0:4] = old.to_bytes(4, "little")
    found.write(A000, 1, value)
    rotated = (value >> registers["gr3"] % 8 | value << 8 - registers["gr3"] % 8) & 0xFF
    for plane in range(4):
        for position in range(8):
            old_bit, latch_bit = (word >> 8 * plane + position & 1 for word in (old, latch))
            set_bit = registers["gr0"] >> plane & 1
            mask = registers["gr8"] >> position & 1
            if mode == 1:
                bit = latch_bit
            else:
                if mode == 2:
                    bit = value >> plane & 1
                elif mode == 3:
                    bit = set_bit
                    mask &= rotated >> position & 1
                else:
                    bit = set_bit if registers["gr1"] >> plane & 1 else rotated >> position & 1
                bit = (bit, bit & latch_bit, bit | latch_bit, bit ^ latch_bit)[registers["gr3"] >> 3]
                bit = bit if mask else latch_bit
            wanted = bit if registers["sr2"] >> plane & 1 else old_bit
            assert planes(found, 0)[plane] >> position & 1 == wanted


@given(st.binary(min_size=4, max_size=4), st.integers(0, 15), st.integers(0, 15))
def test_read_mode_1_compares_colours(content: bytes, colour: int, care: int) -> None:
    """Color compare and color don't care."""
    found = memory(gr5=0x08, gr2=colour, gr7=care)
    found.planes[0:4] = content
    wanted = sum(
        all(not care >> plane & 1 or content[plane] >> bit & 1 == colour >> plane & 1 for plane in range(4)) << bit
        for bit in range(8)
    )
    assert known(found.read(A000, 1)) == wanted


@pytest.mark.parametrize("plane", range(4))
def test_read_mode_0_shows_the_selected_plane_and_loads_all_latches(plane: int) -> None:
    found = memory(gr4=plane)
    found.planes[0:4] = b"\x10\x11\x12\x13"
    assert known(found.read(A000, 1)) == 0x10 + plane
    assert found.latch == 0x13121110


def test_chain_4_shows_bytes_in_a_row() -> None:
    found = memory(CHAIN_4_SR, cr=DOUBLEWORDS, sr2=0x0B)
    found.write(A000, 8, 0x8877665544332211)
    assert bytes(found.planes[:8]).hex() == "1122004455660088", "the map mask counts"
    assert known(found.read(A000 + 4, 4)) == 0x88006655


def test_chain_4_reads_by_the_registers_of_the_vga_too() -> None:
    """QEMU: where the DISPI's sequencer is chained and the VGA's is not, the planes are far apart."""
    found = VgaMemory(SIZE)
    found.planes[16:20] = b"\1\2\3\4"
    found.configure((0, 0, 0x07, 0, 0x08), 0, PLANAR_GR, [0] * 0x19, 0, False)
    assert known(found.read(A000 + 4, 1)) == 1


# What the guest writes unseen


def test_what_was_in_a_chain_4_window_is_assumed_once() -> None:
    """There the guest has memory as RAM, and no access is in a trace."""
    found = memory(CHAIN_4_SR, cr=DOUBLEWORDS)
    answer = found.read(A000, 2)
    assert isinstance(answer, Unknown)
    assert (answer.mask, answer.kind) == (0xFFFF, "assumed")
    answer.learn(0x1234)
    memory(of=found)
    answer = found.read(A000, 1)
    assert isinstance(answer, Unknown)
    answer.learn(0x56)
    assert known(found.read(A000, 1)) == 0x56
    assert isinstance(found.read(A000 + 0x3FFF, 1), Unknown)


def test_what_was_in_a_linear_frame_buffer_is_assumed() -> None:
    found = memory(linear=True)
    found.write(A000, 1, 1)
    assert isinstance(found.read(A000, 1), Unknown)
    memory(of=found)
    assert isinstance(found.read(A000, 1), Unknown)
    found.fill(4)
    assert known(found.read(A000, 1)) == 0
    assert isinstance(found.read(A000 + 1, 1), Unknown)


def unseen() -> VgaMemory:
    return memory(of=memory(linear=True))


def test_a_full_write_makes_known() -> None:
    found = unseen()
    found.write(A000, 1, 0x12)
    assert known(found.read(A000, 1)) == 0x12


def test_latched_bits_stay_unknown_where_they_are_copied() -> None:
    found = unseen()
    found.read(A000, 1)
    memory(of=found, gr5=1)
    found.write(A000 + 1, 1, 0)
    memory(of=found)
    assert isinstance(found.read(A000 + 1, 1), Unknown)
    memory(of=found, gr8=0x0F)
    found.write(A000 + 2, 1, 0xFF)
    answer = found.read(A000 + 2, 1)
    assert isinstance(answer, Unknown)
    assert (answer.known, answer.mask) == (0x0F, 0xF0)
    memory(of=found, gr3=0x08)
    found.write(A000 + 3, 1, 0)
    assert isinstance(found.read(A000 + 3, 1), Unknown)


def test_read_mode_1_is_unsure_of_unknown_planes_that_it_cares_for() -> None:
    found = unseen()
    memory(of=found, gr5=0x08)
    answer = found.read(A000, 1)
    assert isinstance(answer, Unknown)
    assert answer.mask == 0xFF
    answer.learn(0)
    memory(of=found, gr5=0x08, gr7=0)
    assert known(found.read(A000, 1)) == 0xFF


def test_text_after_a_linear_frame_buffer() -> None:
    found = memory(TEXT_SR, TEXT_GR, WORDS, of=memory(linear=True))
    found.write(B800, 2, 0x0741)
    assert known(found.read(B800, 2)) == 0x0741
    answer = found.read(B800 + 2, 2)
    assert isinstance(answer, Unknown)
    assert answer.mask == 0xFFFF
    answer.learn(0x0742)
    assert known(found.read(B800 + 2, 2)) == 0x0742
    half = found.read(B800 + 3, 2)
    assert isinstance(half, Unknown)
    assert (half.known, half.mask) == (0x07, 0xFF00)
