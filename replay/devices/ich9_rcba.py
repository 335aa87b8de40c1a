"""Intel ICH9 chipset configuration registers: the 16 KiB that RCBA points at.

Source: Intel I/O Controller Hub 9 (ICH9) Family data sheet (316972), section 10.1.

Modelled: all bytes as they read back; the interrupt route registers D25IR to D31IR, which tell the machine where PCI
interrupts go.

Not modelled: what else is behind them; QEMU has a memory there.

Follows QEMU where the guest can see a difference from the data sheet: all bytes can be written and read back, D30IR
too; a reset makes them 0 but for the interrupt routes and GCS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Field, Register, RegisterMap, bit

SIZE: Final = 0x4000
ROUTES: Final = {31: 0x3140, 29: 0x3144, 28: 0x3146, 27: 0x3148, 26: 0x314C, 25: 0x3150}
"""Offsets of DxxIR by device number, of those that can be routed."""
D30IR, GCS, OIC = 0x3142, 0x3410, 0x31FF
PINS: Final = 4

_RESET: Final = dict.fromkeys(ROUTES.values(), 0x3210) | {GCS: 0x20}
FIELDS_ROUTE: Final = (Field("IAR", 2, 0), Field("IBR", 6, 4), Field("ICR", 10, 8), Field("IDR", 14, 12))

_INTERRUPT_PINS: Final = (
    ("D31IP", 0x3100), ("D30IP", 0x3104), ("D29IP", 0x3108), ("D28IP", 0x310C), ("D27IP", 0x3110), ("D26IP", 0x3114),
    ("D25IP", 0x3118),
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    *(Register(name, "Device interrupt pin", offset, "rw", width=32, reset=0) for name, offset in _INTERRUPT_PINS),
    *(
        Register(f"D{n}IR", "Device interrupt route", offset, "rw", FIELDS_ROUTE, width=16, reset=0x3210)
        for n, offset in ROUTES.items()
    ),
    Register("D30IR", "Device 30 interrupt route", D30IR, "rw", FIELDS_ROUTE, width=16, reset=0),
    Register("OIC", "Other interrupt control", OIC, "rw", reset=0),
    Register("RC", "RTC configuration", 0x3400, "rw", width=32, reset=0),
    Register("HPTC", "High precision timer configuration", 0x3404, "rw", width=32, reset=0),
    Register("GCS", "General control and status", GCS, "rw", (bit("NR", 5),), width=32, reset=0x20),
    Register("BUC", "Backed up control", 0x3414, "rw", reset=0),
    Register("FD", "Function disable", 0x3418, "rw", width=32, reset=0),
    Register("CG", "Clock gating", 0x341C, "rw", width=32, reset=0),
)


class Ich9Rcba(Device):
    """The window. `changed` is called after each write and each reset."""

    title = "Intel ICH9: chipset configuration registers"
    registers = REGISTERS
    width = 4

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._bytes = bytearray(SIZE)
        self.changed = changed
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""
        self._bytes[:] = bytes(SIZE)
        for offset, value in _RESET.items():
            self._bytes[offset : offset + 2] = value.to_bytes(2, "little")
        self.changed()

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return int.from_bytes(self._bytes[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        stop = min(offset + size, SIZE)
        self._bytes[offset:stop] = value.to_bytes(size, "little")[: stop - offset]
        self.changed()

    def pirq(self, slot: int, pin: int) -> int:
        """The request line, 0 to 7 for PIRQ[A:H], of a pin (0: INTA) of a slot of bus 0."""
        if slot in ROUTES:
            return self.read(ROUTES[slot], 2) >> 4 * pin & 7
        return pin + 4 if slot == 30 else (slot + pin) % PINS + 4

    def state(self) -> Mapping[str, int]:
        """See `Device.state`: every word that is not 0."""
        words = ((offset, self.read(offset, 4)) for offset in range(0, SIZE, 4))
        return {f"{offset:#06x}": word for offset, word in words if word}
