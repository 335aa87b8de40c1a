"""ACPI PM1a event and control blocks, as in the PIIX4 and ICH9.

Source: ACPI Specification 6.5, sections 4.8.3.1 "PM1 Event Grouping" and 4.8.3.2 "PM1 Control Grouping".

Modelled: status, enable and control; the timer's carry in TMR_STS, by polling and by SCI; SCI; SCI_EN, which the SMI
command port switches.

Not modelled: sleeping itself; buttons, the RTC's alarm and a wake-up, which set no status here.

Follows QEMU where the guest can see a difference from the specification:
- TMR_STS is set from the start, and again each time bit 23 changes, half a round of the 24-bit counter.
- A byte at offset 0, 2 or 4 is the low byte of its register; one at 1 or 3 reads 0 and writes nothing; a byte written
  to PM1_EN or PM1_CNT clears the upper one. A byte at 5 is that at 4.
- Reserved bits of PM1_EN and PM1_CNT can be written and read back. GBL_RLS and SLP_EN of PM1_CNT: the latter reads 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import Clock, first_ns_of_tick, ticks
from ..device import Device
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit
from .acpi_pm_timer import FREQUENCY_HZ

STS, EN, CNT = 0, 2, 4
SIZE_EVENT, SIZE_CONTROL = 4, 2

TMR_STS: Final = 0x0001
SCI_SOURCES: Final = 0x0521
"""Of status and enable: RTC, power button, global lock, timer."""
SCI_EN, SLP_EN = 0x0001, 0x2000
HALF_ROUND: Final = 1 << 23

REGISTERS: Final = RegisterMap(
    Register(
        "PM1_STS", "PM1 status", STS, "rw",
        (bit("TMR_STS", 0, nature="time"), bit("BM_STS", 4), bit("GBL_STS", 5), bit("PWRBTN_STS", 8),
         bit("SLPBTN_STS", 9), bit("RTC_STS", 10), bit("PCIEXP_WAKE_STS", 14), bit("WAK_STS", 15)),
        width=16, reset=TMR_STS,
    ),
    Register(
        "PM1_EN", "PM1 enable", EN, "rw",
        (bit("TMR_EN", 0), bit("GBL_EN", 5), bit("PWRBTN_EN", 8), bit("SLPBTN_EN", 9), bit("RTC_EN", 10),
         bit("PCIEXP_WAKE_DIS", 14)), width=16, reset=0,
    ),
    Register(
        "PM1_CNT", "PM1 control", CNT, "rw",
        (bit("SCI_EN", 0), bit("BM_RLD", 1), bit("GBL_RLS", 2), Field("SLP_TYP", 12, 10), bit("SLP_EN", 13)),
        width=16, reset=0,
    ),
)  # fmt: skip


class AcpiPm1(Device):
    """The event block at offset 0, the control block at offset 4.

    Args:
        clock: the machine's.
        sci: the system control interrupt.
    """

    title = "ACPI PM1 event and control"
    registers = REGISTERS
    width = 2

    def __init__(self, clock: Clock, sci: Line) -> None:
        self._clock = clock
        self._sci = sci
        self._timer = clock.timer(self.update)
        self.has_event: Callable[[], bool] = _no_event
        """Whether a general purpose event calls for SCI, too."""
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, Line())

    def reset(self) -> None:
        """See `Device.reset`."""
        self._status = self._enable = self._control = 0
        self._carry = 0
        """The tick of the PM timer from which on TMR_STS is set."""
        self.update()

    def switch_sci(self, on: bool) -> None:
        """Set or clear SCI_EN, as the chipset does when the SMI command port asks for it."""
        self._control = self._control & ~SCI_EN | (SCI_EN if on else 0)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset == STS:
            value = self._seen_status()
            self._status = value
        elif offset >= CNT:
            value = self._control
        else:
            value = self._enable if offset == EN else 0
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset >= CNT:
            self._control = value & ~SLP_EN
        elif offset == STS:
            status = self._seen_status()
            if status & value & TMR_STS:
                self._carry = (self._ticks() + HALF_ROUND) & -HALF_ROUND
            self._status = status & ~value
            self.update()
        elif offset == EN:
            self._enable = value
            self.update()

    def update(self) -> None:
        """Set SCI to what the events call for, and wait for the timer's carry if that is to interrupt."""
        self._status = self._seen_status()
        self._sci.set(bool(self._status & self._enable & SCI_SOURCES) or self.has_event())
        if self._enable & TMR_STS and not self._status & TMR_STS:
            self._timer.arm(first_ns_of_tick(self._carry, FREQUENCY_HZ))
        else:
            self._timer.cancel()

    def _ticks(self) -> int:
        return ticks(self._clock.now_ns, FREQUENCY_HZ)

    def _seen_status(self) -> int:
        return self._status | (TMR_STS if self._ticks() >= self._carry else 0)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {
            "pm1_sts": self._seen_status(),
            "pm1_en": self._enable,
            "pm1_cnt": self._control,
            "carry_tick": self._carry,
            "sci": int(self._sci.level),
        }


def _no_event() -> bool:
    return False
