"""Contracts for recordings by the host's clock: what counts may be off by the time between two looks at that clock.

The recorder notes the time of an access before it is made, and the device looks at its clock a moment later. Under the
virtual clock no time passes in between. Under the host's clock some does, and more if the host's scheduler takes the
processor away. How much is not recorded, but it is no more than passes until the CPU's next access: so counters are
compared with a tolerance, or with that time, and bits that change at a moment of time are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..contracts import Contract
from ..device import Device
from ..registers import Register
from .register_contracts import contracts_of

TOLERANCE_NS: Final = 5_000_000
"""About a time slice of a scheduler: the host may take the processor away between the two looks."""

BYTE_TOLERANCE_NS: Final = 50_000
"""For counters that are read a byte at a time, of which half the range of a byte must stay an error: the 8254."""

COUNTER_BITS: Final = 32
"""Narrower registers without a fixed frequency are no fast counters, but a clock's digits: they are compared."""

REASON: Final = "recorded by the host's clock, which runs on between the recorder's look at it and the device's"


def contracts(devices: Mapping[str, Device]) -> dict[str, list[Contract]]:
    """The contracts of each of these devices that has registers which time changes."""
    return contracts_of(devices, _of_register)


def _of_register(register: Register) -> Iterator[Contract]:
    if register.hz:
        yield Contract(
            register.name,
            "time",
            REASON,
            ns=BYTE_TOLERANCE_NS if register.width == 8 else TOLERANCE_NS,
            until_next=True,
        )
    elif register.effective_nature == "time" and register.width >= COUNTER_BITS:
        # It counts at 1 GHz at most.
        yield Contract(register.name, "time", REASON, ticks=TOLERANCE_NS, until_next=True)
    else:
        for field in register.fields:
            if field.nature == "time":
                yield Contract(register.name, "mask", REASON, field=field.name)
