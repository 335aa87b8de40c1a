"""ACPI general purpose event block 0: status and enable, as in the PIIX4 (4 bytes) and ICH9 (16 bytes).

Source: ACPI Specification 6.5, section 4.8.4.1 "General-Purpose Event Register Blocks".

Modelled: status and enable bytes, SCI.

Not modelled: where events come from: hot-plug by the host, which no recording had.

Follows QEMU where the guest can see a difference from the specification: only the events of the first byte raise SCI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

PIIX4_SIZE, ICH9_SIZE = 4, 16


def _names(size: int) -> RegisterMap:
    half = size // 2
    return RegisterMap(
        *(
            Register(f"GPE0_STS[{n}]", "Event status, 1 clears", n, "rw", reset=0, nature="outside")
            for n in range(half)
        ),
        *(Register(f"GPE0_EN[{n}]", "Event enable", half + n, "rw", reset=0) for n in range(half)),
    )


REGISTERS: Final = _names(ICH9_SIZE)


class AcpiGpe(Device):
    """The block.

    Args:
        size: of status and enable together, in bytes.
        changed: called when SCI may have to change: see `has_event`.
    """

    title = "ACPI general purpose events"
    registers = REGISTERS

    def __init__(self, size: int = ICH9_SIZE, changed: Callable[[], None] = lambda: None) -> None:
        self._half = size // 2
        self._changed = changed
        self.registers = _names(size)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""
        self._bytes = bytearray(2 * self._half)

    def has_event(self) -> bool:
        """Whether an enabled event calls for SCI."""
        return bool(self._bytes[0] & self._bytes[self._half])

    def raise_event(self, number: int) -> None:
        """Set the status of an event."""
        self._bytes[number >> 3] |= 1 << (number & 7)
        self._changed()

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return self._bytes[offset]

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset < self._half:
            self._bytes[offset] &= ~value
        else:
            self._bytes[offset] = value
        self._changed()

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        names = [f"sts_{n}" for n in range(self._half)] + [f"en_{n}" for n in range(self._half)]
        return dict(zip(names, self._bytes, strict=True))
