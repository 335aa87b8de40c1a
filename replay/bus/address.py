# Copyright 2020 Amazon.com, Inc. or its affiliates. All Rights Reserved.
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Addresses on a bus: a port of rust-vmm/vm-device, src/bus/address.rs.

An address is a number with a type, so that a port cannot be mistaken for a memory address, nor either for an offset.
Where vm-device's arithmetic overflows (a panic, or a wrap in release builds), this port raises `AddressOverflowError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self, TypeAlias, TypeVar

from .errors import AddressOverflowError

PioAddressOffset: TypeAlias = int
"""A distance between two ports, 0..0xffff."""

MmioAddressOffset: TypeAlias = int
"""A distance between two memory addresses, 0..2**64 - 1."""


@dataclass(frozen=True, order=True, slots=True, repr=False)
class BusAddress:
    """What both kinds of address can do. Addresses of different kinds are unequal and have no order.

    Raises:
        TypeError: `value` is not an int.
        AddressOverflowError: `value` is outside the address space.
    """

    SPACE: ClassVar[str]
    """The address space's name in messages."""

    MAX: ClassVar[int]
    """The highest address, and the largest offset."""

    value: int

    def __post_init__(self) -> None:
        if not isinstance(self.value, int):
            raise TypeError(f"{type(self).__name__} needs an int, not {self.value!r}")
        if not 0 <= self.value <= self.MAX:
            raise AddressOverflowError(self.SPACE, self.MAX, self.value)

    def __add__(self, offset: int) -> Self:
        """The address `offset` bytes further on.

        Raises:
            AddressOverflowError: the sum or `offset` is outside the address space.
        """
        if not isinstance(offset, int):
            return NotImplemented
        if offset < 0:
            raise AddressOverflowError(self.SPACE, self.MAX, offset)
        return type(self)(self.value + offset)

    def __sub__(self, other: Self) -> int:
        """The offset of this address from `other`.

        Raises:
            AddressOverflowError: `other` is the higher address.
        """
        if type(other) is not type(self):
            return NotImplemented
        if other.value > self.value:
            raise AddressOverflowError(self.SPACE, self.MAX, self.value - other.value)
        return self.value - other.value

    def checked_add(self, offset: int) -> Self | None:
        """The address `offset` bytes further on, or None if that is beyond the address space.

        Raises:
            AddressOverflowError: `offset` is negative.
        """
        return None if offset > self.MAX - self.value else self + offset

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value:#x})"

    def __str__(self) -> str:
        return f"{self.SPACE} {self.value:#x}"


class PioAddress(BusAddress):
    """The address of an I/O port: 16 bits."""

    __slots__ = ()

    SPACE = "PIO"
    MAX = 0xFFFF


class MmioAddress(BusAddress):
    """A guest-physical memory address: 64 bits."""

    __slots__ = ()

    SPACE = "MMIO"
    MAX = 0xFFFF_FFFF_FFFF_FFFF


A = TypeVar("A", bound=BusAddress)
"""The kind of address that a range or a bus is about."""
