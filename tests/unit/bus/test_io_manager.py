"""The manager: cases DM1 to DM3, D6 and D7 of vm-device, the measured accesses, rollback, routes and `on_change`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdev.replay.bus import (
    AddressOverflowError,
    BusRange,
    DeviceManagerError,
    DeviceNotFoundError,
    DeviceOverlapError,
    InvalidAccessLengthError,
    InvalidRangeError,
    IoManager,
    LegacyIrq,
    MacAddress,
    MmioAddress,
    MmioAddressRange,
    MmioRange,
    Mutex,
    PioAddress,
    PioAddressRange,
    PioRange,
    PoisonError,
    ReadBuffer,
    Resource,
    Route,
    WriteBuffer,
)
from vmdev.replay.device import UNMODELLED, Device, Unknown, Window
from vmdev.replay.errors import BusError

PIO_BASE, PIO_SIZE = 0x40, 4
MMIO_BASE, MMIO_SIZE = 0x1234_5678, 0x8765_4321
PIO = PioAddressRange(PIO_BASE, PIO_SIZE)
MMIO = MmioAddressRange(MMIO_BASE, MMIO_SIZE)
IRQ = LegacyIrq(4)
CONFIG_DATA = 0x1234
U64_MAX = 0xFFFF_FFFF_FFFF_FFFF


class Dummy:
    """The device of vm-device's tests."""

    def __init__(self, config: int = CONFIG_DATA) -> None:
        self.config = config

    def pio_read(self, base: object, offset: int, data: ReadBuffer) -> None:
        if len(data) > 4:
            return
        for index in range(len(data)):
            data[index] = self.config >> 8 * index & 0xFF

    def pio_write(self, base: object, offset: int, data: WriteBuffer) -> None:
        self.config = data[0]

    mmio_read = pio_read
    mmio_write = pio_write


class Noop:
    """Notes the calls that it gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object, int, bytes]] = []

    def pio_read(self, base: object, offset: int, data: ReadBuffer) -> None:
        self.calls.append(("r", base, offset, bytes(data)))

    def pio_write(self, base: object, offset: int, data: WriteBuffer) -> None:
        self.calls.append(("w", base, offset, bytes(data)))

    mmio_read = pio_read
    mmio_write = pio_write


class PioOnly:
    """Has no MMIO handlers."""

    def pio_read(self, base: PioAddress, offset: int, data: ReadBuffer) -> None: ...

    def pio_write(self, base: PioAddress, offset: int, data: WriteBuffer) -> None: ...


class Memory(Device):
    """256 bytes that remember what was written, and each access as the model saw it."""

    def __init__(self) -> None:
        self.bytes = bytearray(range(256))
        self.accesses: list[tuple[str, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.accesses.append(("r", offset, size))
        return int.from_bytes(self.bytes[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append(("w", offset, size))
        self.bytes[offset : offset + size] = value.to_bytes(size, "little")

    def state(self) -> Mapping[str, int]:
        return {}


class WideMemory(Memory):
    """The same, taking up to four bytes at once."""

    width = 4


class BufferMemory:
    """The same, as a device that knows only buffers."""

    def __init__(self) -> None:
        self.bytes = bytearray(range(256))
        self.accesses: list[tuple[str, int, int]] = []

    def pio_read(self, base: object, offset: int, data: ReadBuffer) -> None:
        self.accesses.append(("r", offset, len(data)))
        data[:] = self.bytes[offset : offset + len(data)]

    def pio_write(self, base: object, offset: int, data: WriteBuffer) -> None:
        self.accesses.append(("w", offset, len(data)))
        self.bytes[offset : offset + len(data)] = data

    mmio_read = pio_read
    mmio_write = pio_write


def pio(base: int, size: int) -> PioRange:
    return PioRange(PioAddress(base), size)


def mmio(base: int, size: int) -> MmioRange:
    return MmioRange(MmioAddress(base), size)


def registrations(io: IoManager) -> list[tuple[str, int, int, object]]:
    entries: list[tuple[BusRange[Any], object]] = [*io.pio_bus, *io.mmio_bus]
    return [(found.base.SPACE, found.base.value, found.size, device) for found, device in entries]


@pytest.fixture
def io() -> IoManager:
    return IoManager()


# vm-device's own cases


def test_register_deregister_device_io(io: IoManager) -> None:
    """DM1."""
    device = Dummy(0)
    resources = [MMIO, IRQ, PIO]
    io.register_mmio_resources(device, resources)
    io.register_pio_resources(device, resources)
    assert registrations(io) == [("PIO", PIO_BASE, PIO_SIZE, device), ("MMIO", MMIO_BASE, MMIO_SIZE, device)]
    assert io.deregister_resources(resources) == 2
    assert registrations(io) == []


def test_mmio_read_write(io: IoManager) -> None:
    """DM2."""
    device = Dummy()
    io.register_mmio_resources(device, [MMIO])
    data = bytearray(4)
    io.mmio_read(MmioAddress(MMIO_BASE), data)
    assert data == bytes([0x34, 0x12, 0, 0])
    with pytest.raises(DeviceNotFoundError):
        io.mmio_read(MmioAddress(MMIO_BASE + MMIO_SIZE), data)
    io.mmio_write(MmioAddress(MMIO_BASE), bytes(4))
    assert device.config == 0
    with pytest.raises(DeviceNotFoundError):
        io.mmio_write(MmioAddress(MMIO_BASE + MMIO_SIZE), bytes(4))


def test_pio_read_write(io: IoManager) -> None:
    """DM3."""
    device = Dummy()
    io.register_pio_resources(device, [PIO])
    data = bytearray(4)
    io.pio_read(PioAddress(PIO_BASE), data)
    assert data == bytes([0x34, 0x12, 0, 0])
    with pytest.raises(DeviceNotFoundError):
        io.pio_read(PioAddress(PIO_BASE + PIO_SIZE), data)
    io.pio_write(PioAddress(PIO_BASE), bytes(4))
    assert device.config == 0
    with pytest.raises(DeviceNotFoundError):
        io.pio_write(PioAddress(PIO_BASE + PIO_SIZE), bytes(4))


def test_d6_registered_by_range(io: IoManager) -> None:
    device = Noop()
    io.register_pio(pio(0, 10), device)
    io.register_mmio(mmio(0, 10), device)
    io.pio_write(PioAddress(0), b"ok")
    io.mmio_write(MmioAddress(0), b"ok")
    assert device.calls == [("w", PioAddress(0), 0, b"ok"), ("w", MmioAddress(0), 0, b"ok")]


def test_d7_registered_by_resources(io: IoManager) -> None:
    device = Noop()
    io.register_pio_resources(device, [PioAddressRange(0, 10)])
    io.register_mmio_resources(device, [MmioAddressRange(0, 10)])
    io.pio_write(PioAddress(0), b"ok")
    io.mmio_write(MmioAddress(0), b"ok")
    assert device.calls == [("w", PioAddress(0), 0, b"ok"), ("w", MmioAddress(0), 0, b"ok")]


# Accesses measured on vm-device: one device at PIO 0x40..0x43 and 0x44..0x47


@pytest.mark.parametrize(
    ("address", "length", "error"),
    [
        (0x1000, 0, InvalidRangeError),
        (0x40, 0, InvalidRangeError),
        (0x43, 2, DeviceNotFoundError),
        (0x3F, 2, DeviceNotFoundError),
        (0x00, 65535, DeviceNotFoundError),
        (0x00, 65536, InvalidAccessLengthError),
        (0x40, 65536, InvalidAccessLengthError),
        (0xFFFF, 2, InvalidRangeError),
        (0xFFFF, 1, DeviceNotFoundError),
    ],
)
def test_a_refused_access_reaches_no_device(io: IoManager, address: int, length: int, error: type[BusError]) -> None:
    device = Noop()
    io.register_pio_resources(device, [PioAddressRange(0x40, 4), PioAddressRange(0x44, 4)])
    data = bytearray(b"\x5a" * length)
    for call in (
        lambda: io.pio_write(PioAddress(address), bytes(length)),
        lambda: io.pio_read(PioAddress(address), data),
        lambda: io.resolve_pio(PioAddress(address), length),
    ):
        with pytest.raises(BusError) as info:
            call()
        assert type(info.value) is error
    assert data == b"\x5a" * length
    assert device.calls == []


@pytest.mark.parametrize(
    ("address", "data", "base", "offset"), [(0x43, b"a", 0x40, 3), (0x46, b"ab", 0x44, 2), (0x44, b"abcd", 0x44, 0)]
)
def test_a_handler_gets_the_base_of_the_range_and_the_offset_in_it(
    io: IoManager, address: int, data: bytes, base: int, offset: int
) -> None:
    device = Noop()
    io.register_pio_resources(device, [PioAddressRange(0x40, 4), PioAddressRange(0x44, 4)])
    io.pio_write(PioAddress(address), data)
    io.pio_read(PioAddress(address), bytearray(data))
    assert device.calls == [("w", PioAddress(base), offset, data), ("r", PioAddress(base), offset, data)]


@pytest.mark.parametrize(("length", "error"), [(8, InvalidRangeError), (4, DeviceNotFoundError)])
def test_an_access_at_the_top_of_memory(io: IoManager, length: int, error: type[BusError]) -> None:
    with pytest.raises(BusError) as info:
        io.mmio_write(MmioAddress(U64_MAX - 3), bytes(length))
    assert type(info.value) is error
    with pytest.raises(BusError) as info:
        io.resolve_mmio(MmioAddress(U64_MAX - 3), length)
    assert type(info.value) is error


def test_a_read_may_fill_a_memoryview(io: IoManager) -> None:
    io.register_pio(pio(0, 4), Dummy())
    data = bytearray(8)
    io.pio_read(PioAddress(0), memoryview(data)[2:4])
    assert data == b"\0\0\x34\x12\0\0\0\0"


# Registration


def test_the_address_spaces_do_not_interact(io: IoManager) -> None:
    ports, memory = Noop(), Noop()
    io.register_pio(pio(0x40, 4), ports)
    io.register_mmio(mmio(0x40, 4), memory)
    io.pio_write(PioAddress(0x40), b"p")
    io.mmio_write(MmioAddress(0x41), b"m")
    assert ports.calls == [("w", PioAddress(0x40), 0, b"p")]
    assert memory.calls == [("w", MmioAddress(0x40), 1, b"m")]
    assert io.deregister_pio(PioAddress(0x40)) is not None
    assert io.mmio_device(MmioAddress(0x40)) == (mmio(0x40, 4), memory)


def test_look_up_and_deregister(io: IoManager) -> None:
    ports, memory = Noop(), Noop()
    io.register_pio(pio(0x40, 4), ports)
    io.register_mmio(mmio(0x1000, 8), memory)
    assert io.pio_device(PioAddress(0x43)) == (pio(0x40, 4), ports)
    assert io.pio_device(PioAddress(0x44)) is None
    assert io.mmio_device(MmioAddress(0x1007)) == (mmio(0x1000, 8), memory)
    assert io.mmio_device(MmioAddress(0x1008)) is None
    assert io.deregister_pio(PioAddress(0x42)) == (pio(0x40, 4), ports)
    assert io.deregister_pio(PioAddress(0x42)) is None
    assert io.deregister_mmio(MmioAddress(0x1004)) == (mmio(0x1000, 8), memory)
    assert io.deregister_mmio(MmioAddress(0x1004)) is None
    assert registrations(io) == []


def test_an_overlap_by_range_is_a_plain_bus_error(io: IoManager) -> None:
    io.register_pio(pio(0x40, 4), Noop())
    io.register_mmio(mmio(0x40, 4), Noop())
    with pytest.raises(DeviceOverlapError):
        io.register_pio(pio(0x43, 4), Noop())
    with pytest.raises(DeviceOverlapError):
        io.register_mmio(mmio(0x43, 4), Noop())


def test_a_plain_int_is_no_address(io: IoManager) -> None:
    io.register_pio(pio(0x40, 4), Noop())
    calls: list[Callable[[Any], object]] = [
        lambda at: io.pio_read(at, bytearray(1)),
        lambda at: io.pio_write(at, b"x"),
        lambda at: io.resolve_pio(at, 1),
        io.pio_device,
        io.deregister_pio,
    ]
    for call in calls:
        with pytest.raises(TypeError, match="a PioAddress is needed, not 64"):
            call(0x40)
    calls = [
        lambda at: io.mmio_read(at, bytearray(1)),
        lambda at: io.mmio_write(at, b"x"),
        lambda at: io.resolve_mmio(at, 1),
        io.mmio_device,
        io.deregister_mmio,
    ]
    for call in calls:
        with pytest.raises(TypeError, match="a MmioAddress is needed, not 64"):
            call(0x40)


def test_a_device_without_the_handlers_is_refused(io: IoManager) -> None:
    broken: Any = object()
    calls: list[Callable[[], None]] = [
        lambda: io.register_pio(pio(0, 1), broken),
        lambda: io.register_pio_resources(broken, [PIO]),
        lambda: io.register_resources(broken, [PIO]),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"io_read and .*io_write is needed, not <object"):
            call()
    half: Any = PioOnly()
    calls = [
        lambda: io.register_mmio(mmio(0, 1), half),
        lambda: io.register_mmio_resources(half, [MMIO]),
        lambda: io.register_resources(half, [PIO]),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="mmio_read and mmio_write is needed, not <"):
            call()
    assert registrations(io) == []
    io.register_pio(pio(0, 1), half)


# Resources


def test_other_kinds_of_resource_are_skipped(io: IoManager) -> None:
    device = Noop()
    for resources in ([], [IRQ], [IRQ, MacAddress("00:00:00:00:00:01")]):
        io.register_resources(device, resources)
        assert io.deregister_resources(resources) == 0
    io.register_mmio_resources(device, [PIO])
    io.register_pio_resources(device, [MMIO])
    assert registrations(io) == []


def test_register_resources_registers_on_both_buses(io: IoManager) -> None:
    device = Noop()
    io.register_resources(device, [PIO, IRQ, MMIO, PioAddressRange(0x60, 1)])
    assert registrations(io) == [
        ("PIO", PIO_BASE, PIO_SIZE, device),
        ("PIO", 0x60, 1, device),
        ("MMIO", MMIO_BASE, MMIO_SIZE, device),
    ]


def test_deregistering_a_resource_ignores_its_size_and_where_in_the_range_its_base_is(io: IoManager) -> None:
    io.register_pio(pio(0x200, 8), Noop())
    assert io.deregister_resources([PioAddressRange(0x203, 1)]) == 1
    assert registrations(io) == []


def test_deregistering_counts_what_was_there(io: IoManager) -> None:
    io.register_pio(pio(0x40, 4), Noop())
    io.register_mmio(mmio(0x40, 4), Noop())
    assert io.deregister_resources([MmioAddressRange(0x50, 4), PIO, PIO, MmioAddressRange(0x40, 4)]) == 2


def test_deregistering_from_outside_the_address_space_removes_nothing(io: IoManager) -> None:
    io.register_pio(pio(0x40, 4), Noop())
    with pytest.raises(AddressOverflowError):
        io.deregister_resources([PIO, PioAddressRange(0x10040, 4)])
    assert len(io.pio_bus) == 1


def test_mmio_is_registered_first(io: IoManager) -> None:
    """So its error is the one that is reported."""
    io.register_pio(pio(PIO_BASE, 1), Noop())
    io.register_mmio(mmio(MMIO_BASE, 1), Noop())
    with pytest.raises(DeviceManagerError) as info:
        io.register_resources(Noop(), [PIO, MMIO])
    assert isinstance(info.value.error, DeviceOverlapError)
    assert info.value.error.existing.base == MmioAddress(MMIO_BASE)


@pytest.mark.parametrize(
    ("resource", "error"),
    [
        (PioAddressRange(0x100, 0), InvalidRangeError),
        (PioAddressRange(0xFFFF, 2), InvalidRangeError),
        (PioAddressRange(0, 0x10000), InvalidRangeError),
        (PioAddressRange(0x10000, 1), AddressOverflowError),
        (PioAddressRange(-1, 1), AddressOverflowError),
        (PioAddressRange(0x80, 2), DeviceOverlapError),
        (PioAddressRange(PIO_BASE + PIO_SIZE - 1, 1), DeviceOverlapError),
        (MmioAddressRange(0x100, 0), InvalidRangeError),
        (MmioAddressRange(U64_MAX, 2), InvalidRangeError),
        (MmioAddressRange(U64_MAX + 1, 1), AddressOverflowError),
        (MmioAddressRange(0x80, 2), DeviceOverlapError),
    ],
)
def test_registering_resources_is_all_or_nothing(io: IoManager, resource: Resource, error: type[BusError]) -> None:
    """Two deliberate differences: vm-device panics on a bad size, and keeps what it registered before an error."""
    old = Noop()
    io.register_pio(pio(0x81, 1), old)
    io.register_mmio(mmio(0x81, 1), old)
    before = registrations(io)
    with pytest.raises(DeviceManagerError, match=r"^device_manager: bus error$") as info:
        io.register_resources(Noop(), [PIO, MMIO, IRQ, PioAddressRange(0x1000, 1), resource])
    assert type(info.value.__cause__) is error
    assert info.value.error is info.value.__cause__
    assert registrations(io) == before


@pytest.mark.parametrize("bad", [PioAddressRange("0x40", 4), PioAddressRange(0x50, None)])  # type: ignore[arg-type]
def test_a_resource_of_the_wrong_type_registers_nothing(io: IoManager, bad: Resource) -> None:
    with pytest.raises(TypeError):
        io.register_resources(Noop(), [MMIO, PIO, bad])
    assert registrations(io) == []


def test_registering_on_one_bus_is_all_or_nothing(io: IoManager) -> None:
    with pytest.raises(DeviceManagerError):
        io.register_pio_resources(Noop(), [PIO, PIO])
    with pytest.raises(DeviceManagerError):
        io.register_mmio_resources(Noop(), [MMIO, MMIO])
    assert registrations(io) == []


resources_of_any_size = st.one_of(
    st.builds(PioAddressRange, st.integers(0xFFD0, 0x1_0002), st.integers(-1, 9)),
    st.builds(MmioAddressRange, st.integers(0, 48), st.integers(-1, 9)),
    st.just(IRQ),
)


@settings(deadline=None)
@given(st.lists(resources_of_any_size, max_size=4), st.lists(resources_of_any_size, max_size=6))
def test_registering_resources_adds_all_of_them_or_changes_nothing(first: list[Resource], then: list[Resource]) -> None:
    io = IoManager()
    old, new = Noop(), Noop()
    for resource in first:
        try:
            io.register_resources(old, [resource])
        except DeviceManagerError:
            continue
    before = registrations(io)
    taken = {(space, at) for space, base, size, _ in before for at in range(base, base + size)}
    spaces = {PioAddressRange: ("PIO", 0x1_0000), MmioAddressRange: ("MMIO", 1 << 64)}
    wanted: list[tuple[str, int, int, object]] = []
    possible = True
    for resource in then:
        if isinstance(resource, PioAddressRange | MmioAddressRange):
            space, end = spaces[type(resource)]
            addresses = {(space, at) for at in range(resource.base, resource.base + resource.size)}
            possible = possible and resource.size > 0 and resource.base + resource.size <= end
            possible = possible and not taken & addresses
            taken |= addresses
            wanted.append((space, resource.base, resource.size, new))
    if possible:
        io.register_resources(new, then)
        assert sorted(registrations(io), key=lambda entry: entry[:3]) == sorted(
            before + wanted, key=lambda entry: entry[:3]
        )
    else:
        with pytest.raises(DeviceManagerError):
            io.register_resources(new, then)
        assert registrations(io) == before


# on_change


@pytest.fixture
def changes(io: IoManager) -> list[int]:
    """Gains an item, the number of registered ranges, at each call."""
    changes: list[int] = []
    io.on_change(lambda: changes.append(len(registrations(io))))
    return changes


def test_each_registration_and_deregistration_is_told(io: IoManager, changes: list[int]) -> None:
    io.register_pio(pio(0x40, 4), Noop())
    io.register_mmio(mmio(0x40, 4), Noop())
    io.deregister_pio(PioAddress(0x40))
    io.deregister_mmio(MmioAddress(0x40))
    assert changes == [1, 2, 1, 0]


def test_a_device_with_several_resources_is_told_once_when_it_is_complete(io: IoManager, changes: list[int]) -> None:
    resources = [PIO, MMIO, PioAddressRange(0x60, 1)]
    io.register_resources(Noop(), resources)
    assert changes == [3]
    io.deregister_resources(resources)
    assert changes == [3, 0]
    io.register_pio_resources(Noop(), resources)
    io.register_mmio_resources(Noop(), resources)
    assert changes == [3, 0, 2, 3]


def test_what_changes_nothing_is_not_told(io: IoManager) -> None:
    io.register_pio(pio(0x40, 4), Noop())
    io.register_mmio(mmio(0x40, 4), Noop())
    changes: list[str] = []
    io.on_change(lambda: changes.append("changed"))
    with pytest.raises(DeviceOverlapError):
        io.register_pio(pio(0x40, 4), Noop())
    with pytest.raises(DeviceOverlapError):
        io.register_mmio(mmio(0x40, 4), Noop())
    with pytest.raises(DeviceManagerError):
        io.register_resources(Noop(), [MMIO, PIO])
    io.register_resources(Noop(), [IRQ])
    io.deregister_pio(PioAddress(0x80))
    io.deregister_mmio(MmioAddress(0x80))
    io.deregister_resources([PioAddressRange(0x80, 1), IRQ])
    io.pio_write(PioAddress(0x40), b"x")
    io.resolve_pio(PioAddress(0x40), 1)
    assert changes == []


def test_all_callbacks_are_called(io: IoManager) -> None:
    called: list[str] = []
    io.on_change(lambda: called.append("first"))
    io.on_change(lambda: called.append("second"))
    io.register_pio(pio(0x40, 4), Noop())
    assert called == ["first", "second"]


# Routes


def test_a_route_to_a_model(io: IoManager) -> None:
    model = Memory()
    io.register_pio(pio(0x40, 8), model)
    route = io.resolve_pio(PioAddress(0x43), 1)
    assert route.device is model
    assert (route.offset, route.size) == (3, 1)
    assert route.read() == 3
    route.write(0xAB)
    assert route.read() == 0xAB
    assert model.accesses == [("r", 3, 1), ("w", 3, 1), ("r", 3, 1)]


def test_a_route_through_a_window_ends_at_the_model(io: IoManager) -> None:
    model = Memory()
    io.register_mmio(mmio(0x1000, 8), Window(model, 0x20))
    route = io.resolve_mmio(MmioAddress(0x1003), 1)
    assert route.device is model
    assert (route.offset, route.size) == (0x23, 1)
    assert route.read() == 0x23
    route.write(0xAB)
    assert model.bytes[0x23] == 0xAB


def test_a_route_calls_the_model_itself_unless_the_access_must_be_split(io: IoManager) -> None:
    model = WideMemory()
    io.register_mmio(mmio(0, 16), model)
    whole, split = io.resolve_mmio(MmioAddress(0), 4), io.resolve_mmio(MmioAddress(0), 8)
    assert whole.read() == 0x03020100
    assert model.accesses == [("r", 0, 4)]
    model.accesses.clear()
    assert split.read() == 0x0706050403020100
    split.write(0x1122334455667788)
    assert model.accesses == [("r", 0, 4), ("r", 4, 4), ("w", 0, 4), ("w", 4, 4)]
    assert split.read() == 0x1122334455667788


def test_a_route_costs_no_more_than_the_call_of_the_model(io: IoManager) -> None:
    """Up to the model's width it is bound to `read` and `write`; this is what makes a route worth keeping."""

    class Unsplit(WideMemory):
        def read_any(self, offset: int, size: int) -> int:
            raise AssertionError("not needed")

        def write_any(self, offset: int, size: int, value: int) -> None:
            raise AssertionError("not needed")

    io.register_pio(pio(0, 4), Unsplit())
    for size in (1, 2, 4):
        route = io.resolve_pio(PioAddress(0), size)
        route.write(0x11)
        assert route.read() == 0x11


def test_a_route_hands_on_what_only_a_recording_knows(io: IoManager) -> None:
    class Straps(Device):
        def __init__(self) -> None:
            self.learned: list[int] = []

        def read(self, offset: int, size: int) -> int:
            return UNMODELLED if offset == 4 else Unknown(0x50, 0x0F, self.learned.append)

    model = Straps()
    io.register_pio(pio(0, 8), model)
    answer = io.resolve_pio(PioAddress(0), 2).read()
    assert isinstance(answer, Unknown)
    assert (answer.known, answer.mask) == (0x5050, 0x0F0F)
    answer.learn(0x0304)
    assert model.learned == [4, 3]
    assert io.resolve_pio(PioAddress(4), 1).read() is UNMODELLED
    assert io.resolve_pio(PioAddress(3), 2).read() is UNMODELLED


def test_a_route_to_another_device_goes_through_its_handlers(io: IoManager) -> None:
    device = Noop()
    io.register_pio(pio(0x40, 4), device)
    io.register_mmio(mmio(0x1000, 8), device)
    route = io.resolve_pio(PioAddress(0x42), 2)
    assert route.device is device
    assert (route.offset, route.size) == (2, 2)
    assert route.read() == 0
    route.write(0xABCD)
    io.resolve_mmio(MmioAddress(0x1004), 4).write(1)
    assert device.calls == [
        ("r", PioAddress(0x40), 2, b"\0\0"),
        ("w", PioAddress(0x40), 2, b"\xcd\xab"),
        ("w", MmioAddress(0x1000), 4, b"\1\0\0\0"),
    ]


def test_a_route_to_a_mutex_can_be_poisoned(io: IoManager) -> None:
    class Broken(Dummy):
        def pio_write(self, base: object, offset: int, data: WriteBuffer) -> None:
            raise ValueError("the model is broken")

    io.register_pio(pio(0x40, 4), Mutex(Broken()))
    route = io.resolve_pio(PioAddress(0x40), 2)
    assert route.read() == CONFIG_DATA
    with pytest.raises(ValueError, match="broken"):
        route.write(1)
    with pytest.raises(PoisonError):
        route.read()


def test_a_route_keeps_its_device_after_a_change(io: IoManager) -> None:
    """Which is why there is `on_change`: a holder drops its routes and asks again."""
    routes: dict[int, Route] = {}
    io.on_change(routes.clear)
    old, new = Memory(), Memory()
    new.bytes[0] = 0x99
    io.register_pio(pio(0x40, 4), old)
    stale = routes[0x40] = io.resolve_pio(PioAddress(0x40), 1)
    io.deregister_pio(PioAddress(0x40))
    assert not routes
    with pytest.raises(DeviceNotFoundError):
        io.resolve_pio(PioAddress(0x40), 1)
    io.register_pio(pio(0x40, 4), new)
    assert stale.read() == 0
    assert io.resolve_pio(PioAddress(0x40), 1).read() == 0x99


DEVICES: Mapping[str, Callable[[], Memory | BufferMemory]] = {
    "memory": Memory,
    "wide memory": WideMemory,
    "buffers": BufferMemory,
}


def machine(kind: str) -> tuple[Memory | BufferMemory, IoManager]:
    """A device at 0x40..0x4F, and its second part at 0x50..0x57 (a window, for a model), on both buses."""
    device = DEVICES[kind]()
    io = IoManager()
    second = Window(device, 0x80) if isinstance(device, Device) else device
    for part, base, size in ((device, 0x40, 16), (second, 0x50, 8)):
        io.register_pio(pio(base, size), part)
        io.register_mmio(mmio(base, size), part)
    return device, io


accesses = st.lists(
    st.tuples(st.booleans(), st.integers(0x3C, 0x5A), st.integers(0, 8), st.none() | st.binary(min_size=8, max_size=8)),
    max_size=30,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(DEVICES)), accesses)
def test_routes_do_what_reads_and_writes_do(kind: str, accesses: list[tuple[bool, int, int, bytes | None]]) -> None:
    """Answers, errors, the accesses that the model sees, and its state afterwards."""
    direct_device, direct = machine(kind)
    routed_device, routed = machine(kind)
    routes: dict[tuple[bool, int, int], Route] = {}
    for is_mmio, at, size, written in accesses:
        data = bytearray(size) if written is None else bytearray(written[:size])
        expected: type[BusError] | None = None
        try:
            if is_mmio:
                (direct.mmio_read if written is None else direct.mmio_write)(MmioAddress(at), data)
            else:
                (direct.pio_read if written is None else direct.pio_write)(PioAddress(at), data)
        except BusError as error:
            expected = type(error)
        key = (is_mmio, at, size)
        if expected is not None:
            with pytest.raises(expected):
                routed.resolve_mmio(MmioAddress(at), size) if is_mmio else routed.resolve_pio(PioAddress(at), size)
            continue
        if key not in routes:
            routes[key] = (
                routed.resolve_mmio(MmioAddress(at), size) if is_mmio else routed.resolve_pio(PioAddress(at), size)
            )
        route = routes[key]
        assert route.size == size
        if written is None:
            assert route.read() == int.from_bytes(data, "little")
        else:
            route.write(int.from_bytes(data, "little"))
    assert routed_device.accesses == direct_device.accesses
    assert routed_device.bytes == direct_device.bytes
