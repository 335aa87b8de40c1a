"""Addresses: case A1 of vm-device's own tests, and the limits of both address spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.bus import AddressOverflowError, BusAddress, MmioAddress, PioAddress
from vmdev.replay.errors import BusError

KINDS = pytest.mark.parametrize(
    ("address", "limit"), [(MmioAddress, 0xFFFF_FFFF_FFFF_FFFF), (PioAddress, 0xFFFF)], ids=["mmio", "pio"]
)


@KINDS
def test_address_ops(address: type[BusAddress], limit: int) -> None:
    """A1."""
    zero = address(0)
    five = zero + 5
    assert zero < five
    assert five - zero == 5
    assert five.value == 5
    assert zero.checked_add(5) == five
    top = zero.checked_add(limit)
    assert top == address(limit)
    assert top is not None
    assert top.checked_add(1) is None


@KINDS
def test_an_address_outside_the_space_is_refused(address: type[BusAddress], limit: int) -> None:
    for value in (-1, limit + 1):
        with pytest.raises(AddressOverflowError, match=f"must be 0 to {limit:#x}, not {value:#x}") as info:
            address(value)
        assert (info.value.space, info.value.limit, info.value.value) == (address.SPACE, limit, value)


@KINDS
def test_a_sum_beyond_the_space_raises_and_does_not_wrap(address: type[BusAddress], limit: int) -> None:
    with pytest.raises(AddressOverflowError, match=f"not {limit + 1:#x}"):
        address(limit) + 1
    with pytest.raises(AddressOverflowError):
        address(1) + limit


@KINDS
def test_a_negative_difference_raises_and_does_not_wrap(address: type[BusAddress], limit: int) -> None:
    with pytest.raises(AddressOverflowError, match="not -0x1"):
        address(limit - 1) - address(limit)


@KINDS
def test_a_negative_offset_is_refused(address: type[BusAddress], limit: int) -> None:
    with pytest.raises(AddressOverflowError, match="not -0x1"):
        address(limit) + -1
    with pytest.raises(AddressOverflowError, match="not -0x1"):
        address(limit).checked_add(-1)


def test_an_overflow_is_both_a_bus_error_and_an_arithmetic_one() -> None:
    assert issubclass(AddressOverflowError, BusError)
    assert issubclass(AddressOverflowError, OverflowError)


@pytest.mark.parametrize("value", ["64", 64.0, None, PioAddress(64)])
def test_an_address_is_made_of_an_int(value: object) -> None:
    with pytest.raises(TypeError, match="PioAddress needs an int, not "):
        PioAddress(value)  # type: ignore[arg-type]


def test_kinds_do_not_mix() -> None:
    port, memory = PioAddress(5), MmioAddress(5)
    assert port != memory  # type: ignore[comparison-overlap]
    with pytest.raises(TypeError):
        port < memory  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        port >= memory  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        port - memory  # type: ignore[operator]


def test_addresses_and_ints_do_not_mix() -> None:
    port = PioAddress(5)
    assert port != 5  # type: ignore[comparison-overlap]
    with pytest.raises(TypeError):
        port - 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        port + port  # type: ignore[operator]
    with pytest.raises(TypeError):
        port > 1  # type: ignore[operator]  # noqa: B015


def test_an_address_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PioAddress(5).value = 6  # type: ignore[misc]


def test_an_address_prints_its_kind() -> None:
    assert repr(PioAddress(0x3F8)) == "PioAddress(0x3f8)"
    assert str(MmioAddress(0xFEE0_0000)) == "MMIO 0xfee00000"


@given(st.integers(0, 0xFFFF), st.integers(0, 0x1_0010))
def test_adding_and_subtracting_agree_with_the_integers(value: int, offset: int) -> None:
    address = PioAddress(value)
    total = value + offset
    checked = address.checked_add(offset)
    if total > 0xFFFF:
        assert checked is None
        with pytest.raises(AddressOverflowError):
            address + offset
    else:
        assert checked == address + offset == PioAddress(total)
        assert PioAddress(total) - address == offset


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_order_and_hash_are_those_of_the_values(left: int, right: int) -> None:
    a, b = MmioAddress(left), MmioAddress(right)
    assert (a < b, a <= b, a == b, a != b, a >= b, a > b) == (
        left < right,
        left <= right,
        left == right,
        left != right,
        left >= right,
        left > right,
    )
    assert hash(a) == hash(MmioAddress(left))
