"""Contracts for recordings that have an order of accesses, but no times: some imported logs.

What time changes is not compared, and what was asked of it is counted as excused. That is more than the counters: a
flag that says whether a transmission is over, or whether a timer has asked for an interrupt, depends on time, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..contracts import Contract
from ..device import Device
from ..registers import Register

REASON: Final = "the recording has no times"

_TIMED: Final = ("time", "interrupt")
"""Natures of what time changes: timers ask for interrupts."""


def contracts(devices: Mapping[str, Device]) -> dict[str, list[Contract]]:
    """The contracts of each of these devices that has registers which time changes."""
    found = {name: list(_of_device(device)) for name, device in devices.items()}
    return {name: contracts for name, contracts in found.items() if contracts}


def _of_device(device: Device) -> Iterator[Contract]:
    seen: set[str] = set()
    for register in device.registers:
        if "r" in register.access and register.name not in seen:
            seen.add(register.name)
            yield from _of_register(register)


def _of_register(register: Register) -> Iterator[Contract]:
    if register.effective_nature in _TIMED:
        yield Contract(register.name, "mask", REASON)
        return
    for field in register.fields:
        if field.nature in _TIMED:
            yield Contract(register.name, "mask", REASON, field=field.name)
