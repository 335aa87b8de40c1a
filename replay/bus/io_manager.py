# Copyright © 2019 Intel Corporation. All Rights Reserved.
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The manager of all devices on both buses: a port of rust-vmm/vm-device, src/device_manager.rs.

    io = IoManager()
    io.register_pio(PioRange(PioAddress(0x3F8), 8), uart)
    io.pio_write(PioAddress(0x3F8), b"k")

Differs from vm-device on purpose:

- A resource with a bad address or size raises `DeviceManagerError`, where vm-device panics.
- Registering a device's resources is all or nothing, over both buses. vm-device keeps what came before the error.

Added: `resolve_pio` and `resolve_mmio` look an access up once for repeated use, and `on_change` says when what they
found is no longer valid; `batch` lets it say so once for many changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Generic, TypeVar

from ..device import Device, Window
from ..errors import BusError
from .address import MmioAddress, PioAddress
from .bus import Bus, MmioBus, PioBus
from .device import DeviceMmio, DevicePio, DevicePioMmio, ReadBuffer, WriteBuffer
from .errors import DeviceManagerError
from .range import BusRange, MmioRange, PioRange
from .resources import MmioAddressRange, PioAddressRange, Resource

P = TypeVar("P", bound=DevicePio)
M = TypeVar("M", bound=DeviceMmio)


class Route:
    """Where an access of one size at one address goes. It is valid until a registration changes."""

    __slots__ = ("device", "offset", "read", "size", "write")

    def __init__(
        self, device: object, offset: int, size: int, read: Callable[[], int], write: Callable[[int], None]
    ) -> None:
        self.device = device
        """The model that answers; for a `Window` the device behind it."""
        self.offset = offset
        """In the device's register space, in bytes."""
        self.size = size
        """Of the access, in bytes."""
        self.read = read
        """Make a read. The answer is unsigned, or a `Device`'s `Unknown` or `UNMODELLED`."""
        self.write = write
        """Make a write of an unsigned value that fits `size`."""


class PioManager(Generic[P]):
    """The PIO operations of a class that has a PIO bus."""

    pio_bus: Bus[PioAddress, P]

    def pio_device(self, addr: PioAddress) -> tuple[BusRange[PioAddress], P] | None:
        """The range that `addr` is in, and its device; None if there is none."""
        return self.pio_bus.device(addr)

    def pio_read(self, addr: PioAddress, data: ReadBuffer) -> None:
        """Read ``len(data)`` bytes from `addr` into `data`. Raises as `Bus.check_access`, `data` being untouched."""
        bus_range, device = self.pio_bus.check_access(addr, len(data))
        base = bus_range.base
        device.pio_read(base, addr - base, data)

    def pio_write(self, addr: PioAddress, data: WriteBuffer) -> None:
        """Write `data` to `addr`. Raises as `Bus.check_access`."""
        bus_range, device = self.pio_bus.check_access(addr, len(data))
        base = bus_range.base
        device.pio_write(base, addr - base, data)

    def register_pio(self, bus_range: BusRange[PioAddress], device: P) -> None:
        """Let `device` answer the ports of `bus_range`.

        Raises:
            DeviceOverlapError: some of them belong to a registered range.
        """
        _require_pio(device)
        self.pio_bus.register(bus_range, device)

    def deregister_pio(self, addr: PioAddress) -> tuple[BusRange[PioAddress], P] | None:
        """Remove the range that `addr` is in, and return it and its device; None if there is none."""
        return self.pio_bus.deregister(addr)

    def resolve_pio(self, addr: PioAddress, size: int, vcpu: int = 0) -> Route:
        """Where accesses of `size` bytes at `addr` by CPU number `vcpu` go. Raises as `Bus.check_access`."""
        bus_range, device = self.pio_bus.check_access(addr, size)
        base = bus_range.base
        return _route(device, device.pio_read, device.pio_write, base, addr - base, size, vcpu)


class MmioManager(Generic[M]):
    """The MMIO operations of a class that has an MMIO bus."""

    mmio_bus: Bus[MmioAddress, M]

    def mmio_device(self, addr: MmioAddress) -> tuple[BusRange[MmioAddress], M] | None:
        """The range that `addr` is in, and its device; None if there is none."""
        return self.mmio_bus.device(addr)

    def mmio_read(self, addr: MmioAddress, data: ReadBuffer) -> None:
        """Read ``len(data)`` bytes from `addr` into `data`. Raises as `Bus.check_access`, `data` being untouched."""
        bus_range, device = self.mmio_bus.check_access(addr, len(data))
        base = bus_range.base
        device.mmio_read(base, addr - base, data)

    def mmio_write(self, addr: MmioAddress, data: WriteBuffer) -> None:
        """Write `data` to `addr`. Raises as `Bus.check_access`."""
        bus_range, device = self.mmio_bus.check_access(addr, len(data))
        base = bus_range.base
        device.mmio_write(base, addr - base, data)

    def register_mmio(self, bus_range: BusRange[MmioAddress], device: M) -> None:
        """Let `device` answer the addresses of `bus_range`.

        Raises:
            DeviceOverlapError: some of them belong to a registered range.
        """
        _require_mmio(device)
        self.mmio_bus.register(bus_range, device)

    def deregister_mmio(self, addr: MmioAddress) -> tuple[BusRange[MmioAddress], M] | None:
        """Remove the range that `addr` is in, and return it and its device; None if there is none."""
        return self.mmio_bus.deregister(addr)

    def resolve_mmio(self, addr: MmioAddress, size: int, vcpu: int = 0) -> Route:
        """Where accesses of `size` bytes at `addr` by CPU number `vcpu` go. Raises as `Bus.check_access`."""
        bus_range, device = self.mmio_bus.check_access(addr, size)
        base = bus_range.base
        return _route(device, device.mmio_read, device.mmio_write, base, addr - base, size, vcpu)


class IoManager(PioManager[DevicePio], MmioManager[DeviceMmio]):
    """A machine's two address spaces and the devices in them. They never interact.

    `pio_bus` and `mmio_bus` are for looking; changes made there directly are not told to `on_change`.
    """

    def __init__(self) -> None:
        self.pio_bus = PioBus[DevicePio]()
        self.mmio_bus = MmioBus[DeviceMmio]()
        self._callbacks: list[Callable[[], None]] = []
        self._batches = 0
        self._changed_in_batch = False

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each method call that registered or deregistered anything: routes are then stale."""
        self._callbacks.append(callback)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Tell those who asked by `on_change` of all changes within the context at once, at its end."""
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
            if not self._batches and self._changed_in_batch:
                self._changed_in_batch = False
                self._changed()

    def register_pio(self, bus_range: BusRange[PioAddress], device: DevicePio) -> None:
        """As `PioManager.register_pio`, and tell those who asked by `on_change`."""
        super().register_pio(bus_range, device)
        self._changed()

    def deregister_pio(self, addr: PioAddress) -> tuple[BusRange[PioAddress], DevicePio] | None:
        """As `PioManager.deregister_pio`, and tell those who asked by `on_change`."""
        entry = super().deregister_pio(addr)
        if entry is not None:
            self._changed()
        return entry

    def register_mmio(self, bus_range: BusRange[MmioAddress], device: DeviceMmio) -> None:
        """As `MmioManager.register_mmio`, and tell those who asked by `on_change`."""
        super().register_mmio(bus_range, device)
        self._changed()

    def deregister_mmio(self, addr: MmioAddress) -> tuple[BusRange[MmioAddress], DeviceMmio] | None:
        """As `MmioManager.deregister_mmio`, and tell those who asked by `on_change`."""
        entry = super().deregister_mmio(addr)
        if entry is not None:
            self._changed()
        return entry

    def register_mmio_resources(self, device: DeviceMmio, resources: Iterable[Resource]) -> None:
        """Register `device` for every `MmioAddressRange` among `resources`, or for none; other kinds are skipped.

        Raises:
            DeviceManagerError: a range is invalid or overlaps another one. Nothing is registered.
        """
        _require_mmio(device)
        self._register_all(None, device, resources)

    def register_pio_resources(self, device: DevicePio, resources: Iterable[Resource]) -> None:
        """Register `device` for every `PioAddressRange` among `resources`, or for none; other kinds are skipped.

        Raises:
            DeviceManagerError: a range is invalid or overlaps another one. Nothing is registered.
        """
        _require_pio(device)
        self._register_all(device, None, resources)

    def register_resources(self, device: DevicePioMmio, resources: Iterable[Resource]) -> None:
        """Register `device` for every address range among `resources`, MMIO first, or for none.

        Raises:
            DeviceManagerError: a range is invalid or overlaps another one. Nothing is registered, on neither bus.
        """
        _require_mmio(device)
        _require_pio(device)
        self._register_all(device, device, resources)

    def deregister_resources(self, resources: Iterable[Resource]) -> int:
        """Remove each range that the base of an address range among `resources` is in, and return how many were.

        The resources' sizes play no part; other kinds are skipped.

        Raises:
            AddressOverflowError: a base is outside its address space. Nothing is removed.
        """
        addresses = [
            PioAddress(resource.base) if isinstance(resource, PioAddressRange) else MmioAddress(resource.base)
            for resource in resources
            if isinstance(resource, PioAddressRange | MmioAddressRange)
        ]
        count = 0
        for addr in addresses:
            entry = self.pio_bus.deregister(addr) if isinstance(addr, PioAddress) else self.mmio_bus.deregister(addr)
            count += entry is not None
        if count:
            self._changed()
        return count

    def _register_all(self, pio: DevicePio | None, mmio: DeviceMmio | None, resources: Iterable[Resource]) -> None:
        resources = list(resources)
        changed = False
        try:
            with ExitStack() as rollback:
                if mmio is not None:
                    for resource in resources:
                        if isinstance(resource, MmioAddressRange):
                            mmio_range = MmioRange(MmioAddress(resource.base), resource.size)
                            self.mmio_bus.register(mmio_range, mmio)
                            rollback.callback(self.mmio_bus.deregister, mmio_range.base)
                            changed = True
                if pio is not None:
                    for resource in resources:
                        if isinstance(resource, PioAddressRange):
                            pio_range = PioRange(PioAddress(resource.base), resource.size)
                            self.pio_bus.register(pio_range, pio)
                            rollback.callback(self.pio_bus.deregister, pio_range.base)
                            changed = True
                rollback.pop_all()
        except BusError as error:
            raise DeviceManagerError(error) from error
        if changed:
            self._changed()

    def _changed(self) -> None:
        if self._batches:
            self._changed_in_batch = True
            return
        for callback in self._callbacks:
            callback()


A = TypeVar("A", PioAddress, MmioAddress)


def _route(
    device: object,
    read: Callable[[A, int, ReadBuffer], None],
    write: Callable[[A, int, WriteBuffer], None],
    base: A,
    offset: int,
    size: int,
    vcpu: int,
) -> Route:
    model, at = (device.device, device.at + offset) if isinstance(device, Window) else (device, offset)
    if not isinstance(model, Device):
        return Route(
            device,
            offset,
            size,
            partial(_read_buffer, read, base, offset, size),
            partial(_write_buffer, write, base, offset, size),
        )
    # A model answers with ints, so a route to it does without the buffer.
    model = model.seen_by(vcpu)
    return Route(model, at, size, model.reader(at, size), model.writer(at, size))


def _read_buffer(handler: Callable[[A, int, ReadBuffer], None], base: A, offset: int, size: int) -> int:
    data = bytearray(size)
    handler(base, offset, data)
    return int.from_bytes(data, "little")


def _write_buffer(handler: Callable[[A, int, WriteBuffer], None], base: A, offset: int, size: int, value: int) -> None:
    handler(base, offset, value.to_bytes(size, "little"))


def _require_pio(device: object) -> None:
    if not isinstance(device, DevicePio):
        raise TypeError(f"a device with pio_read and pio_write is needed, not {device!r}")


def _require_mmio(device: object) -> None:
    if not isinstance(device, DeviceMmio):
        raise TypeError(f"a device with mmio_read and mmio_write is needed, not {device!r}")
