"""Ranges: cases R1 to R10 of vm-device's `test_bus_range`, the facts measured beside them, and what Python adds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.bus import BusRange, InvalidRangeError, MmioAddress, MmioRange, PioAddress, PioRange

U64_MAX = 0xFFFF_FFFF_FFFF_FFFF


def mmio(base: int, size: int) -> MmioRange:
    return MmioRange(MmioAddress(base), size)


def pio(base: int, size: int) -> PioRange:
    return PioRange(PioAddress(base), size)


def test_bus_range_r1_no_bytes_is_invalid() -> None:
    with pytest.raises(InvalidRangeError, match=r"invalid range provided: .* at MMIO 0x0, not 0x0") as info:
        mmio(0, 0)
    assert (info.value.base, info.value.size) == (MmioAddress(0), 0)


def test_bus_range_r2_largest_size() -> None:
    assert mmio(0, U64_MAX).last == MmioAddress(U64_MAX - 1)


def test_bus_range_r3_may_end_with_the_last_address() -> None:
    assert mmio(1, U64_MAX).last == MmioAddress(U64_MAX)


def test_bus_range_r4_beyond_the_last_address_is_invalid() -> None:
    with pytest.raises(InvalidRangeError, match="at MMIO 0x2, not 0xffffffffffffffff") as info:
        mmio(2, U64_MAX)
    assert (info.value.base, info.value.size) == (MmioAddress(2), U64_MAX)


def test_bus_range_r5_base_size_and_last() -> None:
    five = mmio(0, 5)
    assert five.base == MmioAddress(0)
    assert five.size == 5
    assert five.last == MmioAddress(4)
    assert five.base < five.last


def test_bus_range_r6_unit() -> None:
    unit = MmioRange.unit(MmioAddress(0))
    assert unit.base == MmioAddress(0)
    assert unit.size == 1
    assert unit.last == unit.base


@pytest.mark.parametrize(("base", "size"), [(0, 5), (0, 10), (5, 5), (20, 1), (30, 10)])
def test_bus_range_r7_does_not_overlap(base: int, size: int) -> None:
    assert not mmio(10, 10).overlaps(mmio(base, size))


@pytest.mark.parametrize(("base", "size"), [(0, 11), (5, 6), (5, 10), (11, 15), (5, 35), (19, 1), (19, 10)])
def test_bus_range_r7_overlaps(base: int, size: int) -> None:
    assert mmio(10, 10).overlaps(mmio(base, size))


def test_bus_range_r8_equals_itself() -> None:
    ten = mmio(10, 10)
    assert not ten < ten
    assert not ten > ten
    assert ten == ten


def test_bus_range_r9_size_plays_no_part_in_equality_and_order() -> None:
    ten, eleven = mmio(10, 10), mmio(10, 11)
    assert ten == eleven
    assert not ten < eleven
    assert not ten > eleven
    assert ten <= eleven
    assert hash(ten) == hash(eleven)


def test_bus_range_r10_order_is_that_of_the_bases() -> None:
    ten, unit = mmio(10, 10), MmioRange.unit(MmioAddress(11))
    assert ten != unit
    assert ten < unit
    assert unit > ten


@pytest.mark.parametrize(("base", "size", "last"), [(0xFFFF, 1, 0xFFFF), (0, 0xFFFF, 0xFFFE), (1, 0xFFFF, 0xFFFF)])
def test_top_of_the_port_space(base: int, size: int, last: int) -> None:
    assert pio(base, size).last == PioAddress(last)


@pytest.mark.parametrize(("base", "size"), [(2, 0xFFFF), (0xFFFF, 2), (0, 0x10000), (0, -1), (0x40, 0)])
def test_bad_sizes_raise(base: int, size: int) -> None:
    with pytest.raises(InvalidRangeError) as info:
        pio(base, size)
    assert (info.value.base, info.value.size) == (PioAddress(base), size)


def test_an_invalid_range_names_the_sizes_that_are_valid() -> None:
    with pytest.raises(InvalidRangeError, match=r"size must be 1 to 0x8 at PIO 0xfff8, not 0x9"):
        pio(0xFFF8, 9)
    with pytest.raises(InvalidRangeError, match=r"size must be 1 to 0xffff at PIO 0x0, not 0x10000"):
        pio(0, 0x10000)


def test_a_base_is_an_address_of_the_right_kind() -> None:
    with pytest.raises(TypeError, match="base of a PioRange must be a PioAddress, not 64"):
        PioRange(64, 4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be a PioAddress, not MmioAddress\(0x40\)"):
        PioRange(MmioAddress(64), 4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a BusAddress, not 64"):
        BusRange(64, 4)  # type: ignore[type-var]


def test_a_size_is_an_int() -> None:
    with pytest.raises(TypeError, match="size of a PioRange must be an int, not '4'"):
        PioRange(PioAddress(64), "4")  # type: ignore[arg-type]


def test_ranges_of_different_spaces_are_unequal_and_have_no_order() -> None:
    assert mmio(10, 10) != pio(10, 10)
    with pytest.raises(TypeError):
        mmio(10, 10) < pio(10, 10)  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        mmio(10, 10).overlaps(pio(10, 10))  # type: ignore[arg-type]


def test_a_generic_range_equals_the_named_one() -> None:
    assert BusRange(PioAddress(10), 10) == pio(10, 10)


def test_a_range_is_no_address() -> None:
    assert mmio(10, 10) != MmioAddress(10)
    with pytest.raises(TypeError):
        mmio(10, 10) < MmioAddress(11)  # type: ignore[operator]  # noqa: B015


def test_a_range_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        pio(10, 10).size = 11  # type: ignore[misc]


def test_a_range_prints_its_ends() -> None:
    assert str(pio(0x3F8, 8)) == "PIO 0x3f8..0x3ff"
    assert repr(mmio(16, 4)) == "MmioRange(MmioAddress(0x10), 0x4)"


small_ranges = st.builds(mmio, st.integers(0, 40), st.integers(1, 20))


@given(small_ranges, small_ranges)
def test_overlapping_is_sharing_an_address(left: MmioRange, right: MmioRange) -> None:
    def addresses(bus_range: MmioRange) -> set[int]:
        return set(range(bus_range.base.value, bus_range.last.value + 1))

    shared = bool(addresses(left) & addresses(right))
    assert left.overlaps(right) is shared
    assert right.overlaps(left) is shared


@given(small_ranges, small_ranges)
def test_equality_order_and_hash_agree(left: MmioRange, right: MmioRange) -> None:
    assert [left < right, left == right, left > right].count(True) == 1
    assert (left <= right) is (not left > right)
    if left == right:
        assert hash(left) == hash(right)


@given(st.integers(0, 0xFFFF), st.integers(-1, 0x1_0001))
def test_a_range_is_valid_if_it_has_bytes_and_fits(base: int, size: int) -> None:
    if 1 <= size <= 0xFFFF and base + size <= 0x1_0000:
        assert pio(base, size).last.value == base + size - 1
    else:
        with pytest.raises(InvalidRangeError):
            pio(base, size)
