"""The bus: cases B0 to B11 of vm-device's `test_bus`, the accesses measured beside them, and a naive model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vmdev.replay.bus import (
    Bus,
    DeviceNotFoundError,
    DeviceOverlapError,
    InvalidAccessLengthError,
    InvalidRangeError,
    MmioAddress,
    MmioBus,
    MmioRange,
    PioAddress,
    PioBus,
    PioRange,
)
from vmdev.replay.errors import BusError

USIZE_MAX = 0xFFFF_FFFF_FFFF_FFFF


def mmio(base: int, size: int) -> MmioRange:
    return MmioRange(MmioAddress(base), size)


def pio(base: int, size: int) -> PioRange:
    return PioRange(PioAddress(base), size)


TEN = mmio(10, 10)
AFTER = mmio(20, 5)


@pytest.fixture
def bus() -> Bus[MmioAddress, int]:
    """Device 1 at 10..19."""
    bus = Bus[MmioAddress, int](MmioAddress)
    bus.register(TEN, 1)
    return bus


def test_bus_b0_a_new_bus_is_empty() -> None:
    assert len(Bus[MmioAddress, int](MmioAddress)) == 0


def test_bus_b1_register(bus: Bus[MmioAddress, int]) -> None:
    assert len(bus) == 1


@pytest.mark.parametrize("address", [9, 20])
def test_bus_b2_no_device_beside_the_range(bus: Bus[MmioAddress, int], address: int) -> None:
    assert bus.device(MmioAddress(address)) is None
    assert bus.device_mut(MmioAddress(address)) is None


@pytest.mark.parametrize("address", range(10, 20))
def test_bus_b3_the_device_is_at_every_address_of_the_range(bus: Bus[MmioAddress, int], address: int) -> None:
    assert bus.device(MmioAddress(address)) == (TEN, 1)
    assert bus.device_mut(MmioAddress(address)) == (TEN, 1)


@pytest.mark.parametrize(("offset", "start"), [(offset, start) for offset in range(10) for start in range(offset)])
def test_bus_b4_an_access_within_the_range(bus: Bus[MmioAddress, int], offset: int, start: int) -> None:
    assert bus.check_access(MmioAddress(10 + start), offset - start) == (TEN, 1)


def test_bus_b5_the_same_range_again(bus: Bus[MmioAddress, int]) -> None:
    with pytest.raises(DeviceOverlapError) as info:
        bus.register(TEN, 1)
    assert (info.value.new, info.value.existing) == (TEN, TEN)


@pytest.mark.parametrize(
    ("base", "size"),
    [pytest.param(1, 10, id="b6"), pytest.param(19, 10, id="b7"), pytest.param(1, 119, id="b8")],
)
def test_bus_b6_b7_b8_a_range_that_is_partly_free(bus: Bus[MmioAddress, int], base: int, size: int) -> None:
    with pytest.raises(DeviceOverlapError):
        bus.register(mmio(base, size), 1)
    assert list(bus) == [(TEN, 1)]
    with pytest.raises(DeviceNotFoundError):
        bus.check_access(MmioAddress(base), size)


@pytest.mark.parametrize("offset", range(5))
def test_bus_b9_deregister_by_any_address_of_the_range(bus: Bus[MmioAddress, int], offset: int) -> None:
    address = MmioAddress(20 + offset)
    with pytest.raises(DeviceNotFoundError):
        bus.check_access(MmioAddress(20), 5)
    bus.register(AFTER, 2)
    assert len(bus) == 2
    assert bus.deregister(address) == (AFTER, 2)
    assert len(bus) == 1
    assert bus.deregister(address) is None
    assert list(bus) == [(TEN, 1)]


def test_bus_b10_an_access_over_adjacent_ranges_of_one_device(bus: Bus[MmioAddress, int]) -> None:
    bus.register(AFTER, 1)
    assert len(bus) == 2
    with pytest.raises(DeviceNotFoundError):
        bus.check_access(MmioAddress(10), 11)


def test_bus_b11_a_length_that_is_no_port_offset() -> None:
    bus = PioBus[int]()
    bus.register(pio(10, 10), 1)
    with pytest.raises(InvalidAccessLengthError) as info:
        bus.check_access(PioAddress(10), USIZE_MAX)
    assert info.value.length == USIZE_MAX


# Accesses measured on vm-device, PIO 0x40..0x43 and 0x44..0x47


@pytest.fixture
def ports() -> PioBus[str]:
    bus = PioBus[str]()
    bus.register(pio(0x40, 4), "device")
    bus.register(pio(0x44, 4), "device")
    return bus


@pytest.mark.parametrize(
    ("address", "length", "error"),
    [
        (0x40, 0, InvalidRangeError),
        (0x1000, 0, InvalidRangeError),
        (0x43, 2, DeviceNotFoundError),
        (0x3F, 2, DeviceNotFoundError),
        (0x00, 65535, DeviceNotFoundError),
        (0x00, 65536, InvalidAccessLengthError),
        (0x40, 65536, InvalidAccessLengthError),
        (0xFFFF, 2, InvalidRangeError),
        (0xFFFF, 1, DeviceNotFoundError),
    ],
)
def test_a_refused_port_access(ports: PioBus[str], address: int, length: int, error: type[BusError]) -> None:
    with pytest.raises(BusError) as info:
        ports.check_access(PioAddress(address), length)
    assert type(info.value) is error


@pytest.mark.parametrize(("address", "length", "base"), [(0x43, 1, 0x40), (0x46, 2, 0x44), (0x40, 4, 0x40)])
def test_an_accepted_port_access(ports: PioBus[str], address: int, length: int, base: int) -> None:
    assert ports.check_access(PioAddress(address), length)[0].base == PioAddress(base)


def test_an_access_at_the_top_of_memory() -> None:
    bus = MmioBus[int]()
    top = MmioAddress(USIZE_MAX - 3)
    with pytest.raises(InvalidRangeError):
        bus.check_access(top, 8)
    with pytest.raises(DeviceNotFoundError):
        bus.check_access(top, 4)
    bus.register(MmioRange(top, 4), 1)
    assert bus.check_access(top, 4) == (MmioRange(top, 4), 1)


def test_the_length_is_checked_before_the_range() -> None:
    with pytest.raises(InvalidAccessLengthError):
        PioBus[int]().check_access(PioAddress(0xFFFF), 0x10000)


def test_a_memory_access_can_be_too_long_for_an_offset() -> None:
    with pytest.raises(InvalidAccessLengthError):
        MmioBus[int]().check_access(MmioAddress(0), USIZE_MAX + 1)


def test_a_negative_length_is_invalid() -> None:
    with pytest.raises(InvalidAccessLengthError, match=r"\(-1\)"):
        PioBus[int]().check_access(PioAddress(0), -1)


# What errors say


def test_not_found_says_what_was_accessed(ports: PioBus[str]) -> None:
    with pytest.raises(DeviceNotFoundError, match="access of 1 byte at PIO 0x80, where no range is") as info:
        ports.check_access(PioAddress(0x80), 1)
    assert (info.value.address, info.value.size, info.value.found) == (PioAddress(0x80), 1, None)


def test_not_found_says_which_range_ends_too_early(ports: PioBus[str]) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"2 bytes at PIO 0x43 goes beyond .* PIO 0x40\.\.0x43") as info:
        ports.check_access(PioAddress(0x43), 2)
    assert info.value.found is not None
    assert (info.value.found.base, info.value.found.size) == (PioAddress(0x40), 4)


def test_an_overlap_names_both_ranges(ports: PioBus[str]) -> None:
    with pytest.raises(DeviceOverlapError, match=r"PIO 0x42\.\.0x45 overlaps .* PIO 0x40\.\.0x43") as info:
        ports.register(pio(0x42, 4), "other")
    assert (info.value.new.base.value, info.value.new.size) == (0x42, 4)
    assert (info.value.existing.base.value, info.value.existing.size) == (0x40, 4)


def test_an_overlap_with_the_next_range_only(ports: PioBus[str]) -> None:
    with pytest.raises(DeviceOverlapError, match=r"PIO 0x30\.\.0x40 overlaps .* PIO 0x40\.\.0x43"):
        ports.register(pio(0x30, 0x11), "other")


def test_an_invalid_length_says_where(ports: PioBus[str]) -> None:
    with pytest.raises(InvalidAccessLengthError, match=r"invalid access length \(65536\) at PIO 0x40: .* 65535"):
        ports.check_access(PioAddress(0x40), 65536)


# Types


def test_a_plain_int_is_no_address() -> None:
    bus: PioBus[Any] = PioBus()
    for call in (bus.device, bus.deregister):
        with pytest.raises(TypeError, match="a PioAddress is needed, not 64"):
            call(64)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a PioAddress is needed, not 64"):
        bus.check_access(64, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a range of PioAddress is needed, not 64"):
        bus.register(64, None)  # type: ignore[arg-type]


def test_a_bus_refuses_the_other_kind_of_address() -> None:
    bus: PioBus[Any] = PioBus()
    with pytest.raises(TypeError, match=r"a PioAddress is needed, not MmioAddress\(0x40\)"):
        bus.device(MmioAddress(64))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a PioAddress is needed, not MmioAddress\(0x40\)"):
        bus.register(mmio(64, 1), None)  # type: ignore[arg-type]
    assert len(bus) == 0


def test_ranges_are_listed_by_address_not_by_registration() -> None:
    bus = PioBus[str]()
    for base in (0x60, 0x20, 0x40):
        bus.register(pio(base, 4), hex(base))
    assert [device for _, device in bus] == ["0x20", "0x40", "0x60"]


# Against a dictionary of bytes

SPACE = 0x10000
near_an_end = st.integers(0, 40) | st.integers(SPACE - 40, SPACE - 1)
sizes = st.integers(1, 24)


class AgainstBytes(RuleBasedStateMachine):
    """A bus does what a dictionary from each single address to its registration does."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = PioBus[int]()
        self.bytes: dict[int, int] = {}
        self.ranges: dict[int, tuple[int, int]] = {}
        self.count = 0

    @rule(base=near_an_end, size=sizes)
    def register(self, base: int, size: int) -> None:
        wanted = range(base, base + size)
        if wanted[-1] >= SPACE:
            with pytest.raises(InvalidRangeError):
                pio(base, size)
            return
        in_the_way = [self.bytes[address] for address in wanted if address in self.bytes]
        self.count += 1
        if in_the_way:
            with pytest.raises(DeviceOverlapError) as info:
                self.bus.register(pio(base, size), self.count)
            assert (info.value.existing.base.value, info.value.existing.size) == self.ranges[in_the_way[0]]
            assert (info.value.new.base.value, info.value.new.size) == (base, size)
        else:
            self.bus.register(pio(base, size), self.count)
            self.bytes.update(dict.fromkeys(wanted, self.count))
            self.ranges[self.count] = (base, size)

    @rule(address=near_an_end)
    def deregister(self, address: int) -> None:
        self.check_deregister(address)

    @precondition(lambda self: self.bytes)
    @rule(data=st.data())
    def deregister_a_registered_address(self, data: st.DataObject) -> None:
        self.check_deregister(data.draw(st.sampled_from(sorted(self.bytes))))

    def check_deregister(self, address: int) -> None:
        device = self.bytes.get(address)
        entry = self.bus.deregister(PioAddress(address))
        if device is None:
            assert entry is None
            return
        assert entry is not None
        assert (entry[0].base.value, entry[0].size, entry[1]) == (*self.ranges.pop(device), device)
        self.bytes = {at: owner for at, owner in self.bytes.items() if owner != device}

    @rule(address=near_an_end, length=st.integers(0, 24) | st.sampled_from([SPACE - 1, SPACE]))
    def access(self, address: int, length: int) -> None:
        owners = {self.bytes.get(at) for at in range(address, min(address + length, SPACE))}
        expected: type[BusError] | None = None
        if length >= SPACE:
            expected = InvalidAccessLengthError
        elif length == 0 or address + length > SPACE:
            expected = InvalidRangeError
        elif len(owners) > 1 or None in owners:
            expected = DeviceNotFoundError
        if expected:
            with pytest.raises(BusError) as info:
                self.bus.check_access(PioAddress(address), length)
            assert type(info.value) is expected
            if isinstance(info.value, DeviceNotFoundError):
                assert (info.value.found is None) is (address not in self.bytes)
        else:
            bus_range, device = self.bus.check_access(PioAddress(address), length)
            assert owners == {device}
            assert (bus_range.base.value, bus_range.size) == self.ranges[device]

    @rule(address=near_an_end)
    def look(self, address: int) -> None:
        entry = self.bus.device(PioAddress(address))
        assert (entry and entry[1]) == self.bytes.get(address)

    @invariant()
    def same_registrations(self) -> None:
        listed = [(bus_range.base.value, bus_range.size, device) for bus_range, device in self.bus]
        assert listed == sorted((base, size, device) for device, (base, size) in self.ranges.items())
        assert len(self.bus) == len(self.ranges)


TestAgainstBytes = AgainstBytes.TestCase
TestAgainstBytes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
