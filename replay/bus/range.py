# Copyright 2020 Amazon.com, Inc. or its affiliates. All Rights Reserved.
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Ranges of addresses: a port of rust-vmm/vm-device, src/bus/range.rs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering
from typing import ClassVar, Generic, Self

from .address import A, BusAddress, MmioAddress, PioAddress
from .errors import InvalidRangeError


@total_ordering
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BusRange(Generic[A]):
    """An interval of an address space, from `base` on, `size` bytes long. It may end with the space's last address.

    Ranges are equal, ordered and hashed by their base alone, so that they can be keys of a sorted map of intervals
    that do not overlap. Compare `size` too where it matters.

    Raises:
        TypeError: `base` is not an address of the right kind, or `size` is not an int.
        InvalidRangeError: `size` is below 1 or larger than an offset can be, or the range ends beyond the space.
    """

    ADDRESS: ClassVar[type[BusAddress]] = BusAddress
    """The kind of address that a subclass is about."""

    base: A
    size: int
    """In bytes."""

    def __post_init__(self) -> None:
        if not isinstance(self.base, self.ADDRESS):
            raise TypeError(f"base of a {type(self).__name__} must be a {self.ADDRESS.__name__}, not {self.base!r}")
        if not isinstance(self.size, int):
            raise TypeError(f"size of a {type(self).__name__} must be an int, not {self.size!r}")
        limit = self.base.MAX
        if not 1 <= self.size <= limit or self.size - 1 > limit - self.base.value:
            raise InvalidRangeError(self.base, self.size)

    @classmethod
    def unit(cls, base: A) -> Self:
        """The range of the one byte at `base`."""
        return cls(base, 1)

    @property
    def last(self) -> A:
        """The last address that is part of the range."""
        return self.base + (self.size - 1)

    def overlaps(self, other: BusRange[A]) -> bool:
        """Whether some address is in both ranges. Adjacent ranges do not overlap."""
        return not (self.base > other.last or self.last < other.base)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BusRange):
            return NotImplemented
        return bool(self.base == other.base)

    def __hash__(self) -> int:
        return hash(self.base)

    def __lt__(self, other: BusRange[A]) -> bool:
        if not isinstance(other, BusRange):
            return NotImplemented
        return self.base < other.base

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base!r}, {self.size:#x})"

    def __str__(self) -> str:
        return f"{self.base.SPACE} {self.base.value:#x}..{self.last.value:#x}"


class PioRange(BusRange[PioAddress]):
    """A range of I/O ports."""

    __slots__ = ()

    ADDRESS = PioAddress


class MmioRange(BusRange[MmioAddress]):
    """A range of memory addresses."""

    __slots__ = ()

    ADDRESS = MmioAddress
