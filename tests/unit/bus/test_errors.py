"""Errors of the buses: their place in the tree, and that they survive pickling (a worker process hands them on)."""

from __future__ import annotations

import pickle

import pytest

from vmdev.replay.bus import (
    AddressOverflowError,
    DeviceManagerError,
    DeviceNotFoundError,
    DeviceOverlapError,
    DeviceReentryError,
    InvalidAccessLengthError,
    InvalidRangeError,
    PioAddress,
    PioRange,
    PoisonError,
)
from vmdev.replay.errors import BusError

PORT = PioAddress(0x40)
RANGE = PioRange(PORT, 4)
ERRORS = [
    DeviceNotFoundError(PORT, 2, RANGE),
    DeviceOverlapError(RANGE, RANGE),
    InvalidAccessLengthError(PORT, 0x10000),
    InvalidRangeError(PORT, 0),
    AddressOverflowError("PIO", 0xFFFF, 0x10000),
    PoisonError("Uart", ValueError("broken")),
    DeviceReentryError("Uart"),
    DeviceManagerError(DeviceOverlapError(RANGE, RANGE)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_the_bus(error: BusError) -> None:
    assert isinstance(error, BusError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert repr(again.__cause__) == repr(error.__cause__)


def test_error_code() -> None:
    """DM4."""
    overlap = DeviceOverlapError(RANGE, RANGE)
    error = DeviceManagerError(overlap)
    assert error.__cause__ is overlap
    assert error.error is overlap
    assert str(error) == "device_manager: bus error"
