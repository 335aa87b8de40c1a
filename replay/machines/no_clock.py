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
from .register_contracts import contracts_of

REASON: Final = "the recording has no times"

_TIMED: Final = ("time", "interrupt")
"""Natures of what time changes: timers ask for interrupts."""


def contracts(devices: Mapping[str, Device]) -> dict[str, list[Contract]]:
    """The contracts of each of these devices that has registers which time changes."""
    return contracts_of(devices, _of_register)


def _of_register(register: Register) -> Iterator[Contract]:
    if register.effective_nature in _TIMED:
        yield Contract(register.name, "mask", REASON)
        return
    for field in register.fields:
        if field.nature in _TIMED:
            yield Contract(register.name, "mask", REASON, field=field.name)
