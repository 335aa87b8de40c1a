# Copyright 2020 Amazon.com, Inc. or its affiliates. All Rights Reserved.
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A bus: a port of rust-vmm/vm-device, src/bus/mod.rs.

A bus maps ranges of one address space, of which no two overlap, to devices. A device may own several ranges; adjacent
ranges are not merged, not even those of one device, and an access must fit one range.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

from .address import A, MmioAddress, PioAddress
from .errors import DeviceNotFoundError, DeviceOverlapError, InvalidAccessLengthError, InvalidRangeError
from .range import BusRange

D = TypeVar("D")
"""What a bus holds: anything."""


class Bus(Generic[A, D]):
    """Devices by address range.

    Args:
        address: the kind of address that this bus takes; it refuses others with a `TypeError`.
    """

    __slots__ = ("_address", "_bases", "_entries", "_lasts")

    def __init__(self, address: type[A]) -> None:
        self._address = address
        # Parallel lists, ascending: finding a range is a bisection over plain ints.
        self._bases: list[int] = []
        self._lasts: list[int] = []
        self._entries: list[tuple[BusRange[A], D]] = []

    def __len__(self) -> int:
        """The number of ranges."""
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[BusRange[A], D]]:
        """All ranges and their devices, by ascending address."""
        return iter(self._entries)

    def device(self, addr: A) -> tuple[BusRange[A], D] | None:
        """The range that `addr` is in, and its device; None if there is none."""
        self._require(addr)
        index = self._find(addr.value)
        return None if index is None else self._entries[index]

    device_mut = device
    """vm-device lends a device either read-only or mutable. Python has one kind of reference."""

    def register(self, bus_range: BusRange[A], device: D) -> None:
        """Let `device` answer the addresses of `bus_range`.

        Raises:
            DeviceOverlapError: a registered range has one of these addresses. The bus is unchanged.
        """
        if not isinstance(bus_range, BusRange):
            raise TypeError(f"a range of {self._address.__name__} is needed, not {bus_range!r}")
        self._require(bus_range.base)
        base, last = bus_range.base.value, bus_range.last.value
        index = bisect_right(self._bases, base)
        # Registered ranges do not overlap, so only the neighbours can be in the way.
        if index > 0 and self._lasts[index - 1] >= base:
            raise DeviceOverlapError(bus_range, self._entries[index - 1][0])
        if index < len(self._bases) and self._bases[index] <= last:
            raise DeviceOverlapError(bus_range, self._entries[index][0])
        self._bases.insert(index, base)
        self._lasts.insert(index, last)
        self._entries.insert(index, (bus_range, device))

    def deregister(self, addr: A) -> tuple[BusRange[A], D] | None:
        """Remove the range that `addr` is in, and return it and its device; None if there is none.

        Other ranges of the same device stay.
        """
        self._require(addr)
        index = self._find(addr.value)
        if index is None:
            return None
        del self._bases[index], self._lasts[index]
        return self._entries.pop(index)

    def check_access(self, addr: A, length: int) -> tuple[BusRange[A], D]:
        """The range, and its device, that has all `length` bytes from `addr` on.

        Raises:
            InvalidAccessLengthError: `length` is larger than an offset can be, or negative.
            InvalidRangeError: `length` is 0, or the access ends beyond the address space.
            DeviceNotFoundError: no range has `addr`, or it ends before the access does.
        """
        self._require(addr)
        value, limit = addr.value, addr.MAX
        if not 0 <= length <= limit:
            raise InvalidAccessLengthError(addr, length)
        last = value + length - 1
        if length == 0 or last > limit:
            raise InvalidRangeError(addr, length)
        index = self._find(value)
        if index is None:
            raise DeviceNotFoundError(addr, length)
        entry = self._entries[index]
        if self._lasts[index] < last:
            raise DeviceNotFoundError(addr, length, entry[0])
        return entry

    def lookup(self, value: int, length: int) -> tuple[BusRange[A], D] | None:
        """As `check_access`, for a plain number; None where that raises. `length` is positive."""
        index = bisect_right(self._bases, value) - 1
        return self._entries[index] if index >= 0 and self._lasts[index] >= value + length - 1 else None

    def _find(self, value: int) -> int | None:
        index = bisect_right(self._bases, value) - 1
        return index if index >= 0 and self._lasts[index] >= value else None

    def _require(self, addr: A) -> None:
        if not isinstance(addr, self._address):
            raise TypeError(f"a {self._address.__name__} is needed, not {addr!r}")


class PioBus(Bus[PioAddress, D]):
    """A bus of I/O ports."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(PioAddress)


class MmioBus(Bus[MmioAddress, D]):
    """A bus of memory addresses."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(MmioAddress)
