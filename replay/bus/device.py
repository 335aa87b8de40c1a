# Copyright © 2019 Intel Corporation. All Rights Reserved.
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What a bus asks of a device: a port of the device traits of rust-vmm/vm-device, src/lib.rs.

A handler gets the base of the range that was hit (not of the device), the offset within it, and a buffer as long as
the access. It returns nothing, and has no way to refuse an access. Models derive from `vmdev.replay.device.Device`,
which has all four handlers; any other object with them can be registered as well.

vm-device's impls for ``Arc<T>`` have no counterpart: Python shares objects without a wrapper.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from .address import MmioAddress, MmioAddressOffset, PioAddress, PioAddressOffset
from .errors import DeviceReentryError, PoisonError

ReadBuffer: TypeAlias = bytearray | memoryview
"""What a read fills: one item a byte."""

WriteBuffer: TypeAlias = bytes | bytearray | memoryview
"""What a write delivers: one item a byte."""


@runtime_checkable
class DevicePio(Protocol):
    """A device that can be on a PIO bus."""

    def pio_read(self, base: PioAddress, offset: PioAddressOffset, data: ReadBuffer) -> None:
        """Fill `data` with the answer to a read at `base + offset`."""

    def pio_write(self, base: PioAddress, offset: PioAddressOffset, data: WriteBuffer) -> None:
        """Take `data`, written at `base + offset`."""


@runtime_checkable
class DeviceMmio(Protocol):
    """A device that can be on an MMIO bus."""

    def mmio_read(self, base: MmioAddress, offset: MmioAddressOffset, data: ReadBuffer) -> None:
        """Fill `data` with the answer to a read at `base + offset`."""

    def mmio_write(self, base: MmioAddress, offset: MmioAddressOffset, data: WriteBuffer) -> None:
        """Take `data`, written at `base + offset`."""


class DevicePioMmio(DevicePio, DeviceMmio, Protocol):
    """A device that can be on both buses."""


class MutDevicePio(DevicePio, Protocol):
    """A device whose PIO handlers must not run at the same time as others of its own: wrap it in a `Mutex`.

    In Rust the handlers of this trait borrow the device mutably, and the compiler asks for the wrapper.
    """


class MutDeviceMmio(DeviceMmio, Protocol):
    """As `MutDevicePio`, for MMIO."""


T = TypeVar("T")


class Mutex(Generic[T]):
    """A lock around a device, which makes a `MutDevicePio` a `DevicePio`, and a `MutDeviceMmio` a `DeviceMmio`.

    As with Rust's ``Mutex``, an exception out of a handler goes on to the caller and *poisons* the mutex: the device
    may be half-way through a change, so every later access raises `PoisonError`.
    """

    __slots__ = ("_cause", "_device", "_held", "_lock")

    def __init__(self, device: T) -> None:
        self._device = device
        self._lock = threading.RLock()
        self._held = False
        self._cause: BaseException | None = None

    @property
    def is_poisoned(self) -> bool:
        """Whether the device raised in an earlier access."""
        return self._cause is not None

    @contextmanager
    def lock(self) -> Iterator[T]:
        """The device, for as long as the ``with`` block lasts. An exception out of the block poisons the mutex.

        Raises:
            PoisonError: the device raised in an earlier access.
            DeviceReentryError: this thread has the device already.
        """
        with self._lock:
            if self._cause is not None:
                raise PoisonError(self._name, self._cause)
            if self._held:
                raise DeviceReentryError(self._name)
            self._held = True
            try:
                yield self._device
            except BaseException as error:
                self._cause = error
                raise
            finally:
                self._held = False

    def pio_read(self: Mutex[P], base: PioAddress, offset: PioAddressOffset, data: ReadBuffer) -> None:
        """Forward to the device. Raises as `lock`, and whatever the device raises."""
        with self.lock() as device:
            device.pio_read(base, offset, data)

    def pio_write(self: Mutex[P], base: PioAddress, offset: PioAddressOffset, data: WriteBuffer) -> None:
        """Forward to the device. Raises as `lock`, and whatever the device raises."""
        with self.lock() as device:
            device.pio_write(base, offset, data)

    def mmio_read(self: Mutex[M], base: MmioAddress, offset: MmioAddressOffset, data: ReadBuffer) -> None:
        """Forward to the device. Raises as `lock`, and whatever the device raises."""
        with self.lock() as device:
            device.mmio_read(base, offset, data)

    def mmio_write(self: Mutex[M], base: MmioAddress, offset: MmioAddressOffset, data: WriteBuffer) -> None:
        """Forward to the device. Raises as `lock`, and whatever the device raises."""
        with self.lock() as device:
            device.mmio_write(base, offset, data)

    @property
    def _name(self) -> str:
        return type(self._device).__name__


P = TypeVar("P", bound=MutDevicePio)
M = TypeVar("M", bound=MutDeviceMmio)
