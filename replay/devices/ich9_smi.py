"""Intel ICH9 SMI control: SMI_EN and SMI_STS, in the power management ports at offset 30h.

Source: Intel I/O Controller Hub 9 (ICH9) Family data sheet (316972), sections 13.8.3.7 and 13.8.3.8.

Modelled: both registers, the lock of GBL_SMI_EN, the lock of TCO_EN, the software and the periodic SMI timer.

Not modelled: SMIs, whose handler's accesses are in the recording as everybody's; all other sources' status.

Follows QEMU where the guest can see a difference from the data sheet: all bits of SMI_EN can be written; of SMI_STS the
two timers' bits take what is written, and the others read 0; the periodic timer's expiry clears all other status; its
period is 8, 16, 32 or 64 s; the software timer's 1.5, 16, 32 or 64 ms. A narrow access reads 0 and writes nothing.
Without system management mode a reset sets APMC_EN, so that firmware leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import NANOSECONDS_PER_SECOND, Clock
from ..device import Device
from ..registers import Register, RegisterMap, bit

SMI_EN, SMI_STS = 0, 4
SIZE: Final = 8

GBL_SMI_EN, APMC_EN, SWSMI, TCO_EN, PERIODIC = 1 << 0, 1 << 5, 1 << 6, 1 << 13, 1 << 14
TIMER_BITS: Final = SWSMI | PERIODIC

REGISTERS: Final = RegisterMap(
    Register(
        "SMI_EN", "SMI control and enable", SMI_EN, "rw",
        (bit("GBL_SMI_EN", 0), bit("EOS", 1), bit("BIOS_EN", 2), bit("LEGACY_USB_EN", 3), bit("SLP_SMI_EN", 4),
         bit("APMC_EN", 5), bit("SWSMI_TMR_EN", 6), bit("BIOS_RLS", 7), bit("MCSMI_EN", 11), bit("TCO_EN", 13),
         bit("PERIODIC_EN", 14), bit("LEGACY_USB2_EN", 17), bit("INTEL_USB2_EN", 18)), width=32, reset=0,
    ),
    Register(
        "SMI_STS", "SMI status", SMI_STS, "rw",
        (bit("SWSMI_TMR_STS", 6, nature="time"), bit("PERIODIC_STS", 14, nature="time")), width=32, reset=0,
    ),
)  # fmt: skip


class Ich9Smi(Device):
    """The two registers.

    Args:
        clock: the machine's.
        rates: the two fields of the LPC bridge that set the timers: PER_SMI_SEL, SWSMI_RATE_SEL.
        locks: whether GBL_SMI_EN and whether TCO_EN are locked.
        has_smm: whether the machine has system management mode.
    """

    title = "Intel ICH9: SMI control"
    registers = REGISTERS
    width = 4

    def __init__(
        self,
        clock: Clock,
        rates: Callable[[], tuple[int, int]] = lambda: (0, 0),
        locks: Callable[[], tuple[bool, bool]] = lambda: (False, False),
        *,
        has_smm: bool = True,
    ) -> None:
        self._clock = clock
        self._rates = rates
        self._locks = locks
        self._has_smm = has_smm
        self._software_timer = clock.timer(self._software_expired)
        self._periodic_timer = clock.timer(self._periodic_expired)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock)

    def reset(self) -> None:
        """See `Device.reset`."""
        self._enable = 0 if self._has_smm else APMC_EN
        self._status = 0
        self._arm()

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if size != 4:
            return 0
        return self._enable if offset == SMI_EN else self._status

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if size != 4:
            return
        if offset == SMI_STS:
            self._status = self._status & ~TIMER_BITS | value & TIMER_BITS
            return
        is_locked, is_tco_locked = self._locks()
        kept = (GBL_SMI_EN if is_locked else 0) | (TCO_EN if is_tco_locked else 0)
        self._enable = self._enable & kept | value & ~kept
        self._arm()

    def _arm(self) -> None:
        """Start the timers anew that are enabled, and stop the others."""
        self._arm_software()
        self._arm_periodic()

    def _arm_software(self) -> None:
        if not self._enable & SWSMI:
            self._software_timer.cancel()
            return
        rate = self._rates()[1]
        self._software_timer.arm(self._clock.now_ns + (8_000_000 << rate if rate else 1_500_000))

    def _arm_periodic(self) -> None:
        if not self._enable & PERIODIC:
            self._periodic_timer.cancel()
            return
        seconds = 8 << 3 - self._rates()[0]
        self._periodic_timer.arm(self._clock.now_ns + seconds * NANOSECONDS_PER_SECOND)

    def _software_expired(self) -> None:
        self._status |= SWSMI
        self._arm_software()

    def _periodic_expired(self) -> None:
        self._status = PERIODIC
        self._arm_periodic()

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {
            "smi_en": self._enable,
            "smi_sts": self._status,
            "software_ns": self._software_timer.deadline_ns,
            "periodic_ns": self._periodic_timer.deadline_ns,
        }
