"""ACPI power management timer: a free-running counter of 3.579545 MHz, as in the PIIX4 and ICH9.

Source: ACPI Specification 6.5, section 4.8.3.3 "Power Management Timer (PM_TMR)" and 4.8.2.1 on its frequency.

Modelled: the 24-bit counter, exact to the nanosecond of the virtual clock. It counts from clock 0; nothing, not even a
reset, stops or clears it, and writes are ignored.

Not modelled: the carry interrupt (TMR_STS is in PM1_STS, another register block); the 32-bit counter that the
specification allows.

Follows QEMU where the guest can see a difference from the specification, which knows 32-bit reads only: a byte at any
offset is the counter's lowest byte, a word at an even offset its low word; any other unaligned read is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND, Clock, ticks
from ..device import Device
from ..registers import Field, Register, RegisterMap

FREQUENCY_HZ: Final = 3_579_545

REGISTERS: Final = RegisterMap(
    Register(
        "PM_TMR", "Power management timer; writes are ignored", 0, "rw",
        (Field("TMR_VAL", 23, 0), Field("E_TMR_VAL", 31, 24)),
        reset=0, width=32, source="4.8.3.3", hz=FREQUENCY_HZ,
    ),
)  # fmt: skip

TMR_VAL: Final = 0xFF_FFFF


class AcpiPmTimer(Device):
    """The timer alone: one register of four bytes."""

    title = "ACPI power management timer"
    registers = REGISTERS
    width = 4

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock)

    def reset(self) -> None:
        """See `Device.reset`. The counter runs on."""

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`. All of the register is what guests read, millions of times."""
        return super().reader(offset, size) if offset or size != 4 else self._read_all

    def _read_all(self) -> int:
        return self._clock.now_ns * FREQUENCY_HZ // NANOSECONDS_PER_SECOND & TMR_VAL

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset % size:
            return 0  # QEMU refuses the access
        return ticks(self._clock.now_ns, FREQUENCY_HZ) & TMR_VAL & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`. The counter is read-only."""

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"tmr_val": ticks(self._clock.now_ns, FREQUENCY_HZ) & TMR_VAL}
