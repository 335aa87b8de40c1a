# Copyright 2020 Amazon.com, Inc. or its affiliates. All Rights Reserved.
# Copyright © 2019 Intel Corporation. All Rights Reserved.
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Errors of the buses: a port of those of rust-vmm/vm-device, src/bus/mod.rs and src/device_manager.rs.

The first four are vm-device's own. The others stand for what vm-device leaves to Rust, where it panics: arithmetic
overflow and poisoned or re-entered mutexes. Each error keeps the values that it complains about as attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BusError

if TYPE_CHECKING:
    from .address import BusAddress
    from .range import BusRange


class DeviceNotFoundError(BusError):
    """No device is registered for the whole access.

    Args:
        address: of the access.
        size: of the access, in bytes.
        found: the range that has the first byte, but not the last one; None if no range has the first byte.
    """

    def __init__(self, address: BusAddress, size: int, found: BusRange[Any] | None = None) -> None:
        super().__init__(address, size, found)
        self.address = address
        self.size = size
        self.found = found

    def __str__(self) -> str:
        access = f"access of {_bytes(self.size)} at {self.address}"
        if self.found is None:
            return f"device not found: {access}, where no range is registered"
        return f"device not found: {access} goes beyond the registered range {self.found}"


class DeviceOverlapError(BusError):
    """A range to be registered overlaps one that is registered.

    Args:
        new: the range that was refused.
        existing: the lowest registered range that it overlaps.
    """

    def __init__(self, new: BusRange[Any], existing: BusRange[Any]) -> None:
        super().__init__(new, existing)
        self.new = new
        self.existing = existing

    def __str__(self) -> str:
        return f"range {self.new} overlaps with the existing device at {self.existing}"


class InvalidAccessLengthError(BusError):
    """The length of an access is no number of the bus's offset type.

    Args:
        address: of the access.
        length: of the access, in bytes.
    """

    def __init__(self, address: BusAddress, length: int) -> None:
        super().__init__(address, length)
        self.address = address
        self.length = length

    def __str__(self) -> str:
        return f"invalid access length ({self.length}) at {self.address}: must be at most {self.address.MAX}"


class InvalidRangeError(BusError):
    """A range or an access of no bytes, or one that ends beyond the address space.

    Args:
        base: the first address.
        size: in bytes.
    """

    def __init__(self, base: BusAddress, size: int) -> None:
        super().__init__(base, size)
        self.base = base
        self.size = size

    def __str__(self) -> str:
        limit = self.base.MAX
        allowed = min(limit, limit - self.base.value + 1)
        return f"invalid range provided: size must be 1 to {allowed:#x} at {self.base}, not {self.size:#x}"


class AddressOverflowError(BusError, OverflowError):
    """An address or an offset outside its address space. vm-device's types cannot hold it or its arithmetic panics.

    Args:
        space: the address space's name.
        limit: its highest address, which is also its largest offset.
        value: the number that was found.
    """

    def __init__(self, space: str, limit: int, value: int) -> None:
        super().__init__(space, limit, value)
        self.space = space
        self.limit = limit
        self.value = value

    def __str__(self) -> str:
        return f"{self.space} address or offset must be 0 to {self.limit:#x}, not {self.value:#x}"


class PoisonError(BusError):
    """A device behind a `Mutex` raised in an earlier access, so its state cannot be trusted. `__cause__` says what.

    Args:
        device: what the mutex holds, in a few words.
        cause: the exception of the earlier access.
    """

    def __init__(self, device: str, cause: BaseException) -> None:
        super().__init__(device, cause)
        self.device = device
        self.__cause__ = cause

    def __str__(self) -> str:
        return f"{self.device} is poisoned: an earlier access raised {self.__cause__!r}"


class DeviceReentryError(BusError):
    """A device behind a `Mutex` was accessed from within its own handler. Rust's mutex would wait forever, or panic.

    Args:
        device: what the mutex holds, in a few words.
    """

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.device = device

    def __str__(self) -> str:
        return f"{self.device} was accessed again from within one of its own accesses"


class DeviceManagerError(BusError):
    """Registering a device's resources failed. The bus error is `error`, and also `__cause__`.

    Args:
        error: what the bus complained about.
    """

    def __init__(self, error: BusError) -> None:
        super().__init__(error)
        self.error = error
        self.__cause__ = error

    def __str__(self) -> str:
        return "device_manager: bus error"


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"
