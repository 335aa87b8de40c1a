"""Intel ICH9 TCO: the watchdog in the power management ports at offset 60h.

Source: Intel I/O Controller Hub 9 (ICH9) Family data sheet (316972), section 13.9.

Modelled: all registers; the timer, its two timeouts and their status, halt and lock.

Not modelled: what a timeout does to the machine (SMI, NMI, reset: the recording shows it).

Follows QEMU where the guest can see a difference from the data sheet: the status registers take what is written, of
their writable bits; a write of TCO1_CNT or TCO_RLD starts the timer, of 0.6 s, with TCO_TMR; a byte access is one to
the register at its offset, and there is none at odd ones but those of a byte; a reset leaves all registers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Field, Register, RegisterMap, bit

RLD, DAT_IN, DAT_OUT, STS1, STS2, CNT1, CNT2, MESSAGE1, MESSAGE2, WDCNT, SW_IRQ_GEN, TMR = (
    0x00, 0x02, 0x03, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x0D, 0x0E, 0x10, 0x12,
)  # fmt: skip
SIZE: Final = 0x20
TICK_NS: Final = 600_000_000
TIMER_MASK: Final = 0x3FF

SW_TCO_SMI, TCO_INT_STS, TIMEOUT = 0x02, 0x04, 0x08
SECOND_TO_STS, BOOT_STS = 0x02, 0x04
TCO_TMR_HLT, TCO_LOCK = 0x0800, 0x1000
WRITABLE: Final = {STS1: 0xE870, STS2: 0xFFF8, CNT1: 0xFEFF}
BYTES: Final = frozenset((DAT_IN, DAT_OUT, MESSAGE1, MESSAGE2, WDCNT, SW_IRQ_GEN))
_RESET: Final = {CNT2: 0x0008, SW_IRQ_GEN: 0x03, TMR: 0x0004}

REGISTERS: Final = RegisterMap(
    Register(
        "TCO_RLD", "Timer reload and current value", RLD, "rw", (Field("TCOTIMER", 9, 0, nature="time"),), width=16,
    ),
    Register("TCO_DAT_IN", "Data in", DAT_IN, "rw"),
    Register("TCO_DAT_OUT", "Data out", DAT_OUT, "rw"),
    Register(
        "TCO1_STS", "Status 1", STS1, "rw",
        (bit("SW_TCO_SMI", 1), bit("TCO_INT_STS", 2), bit("TIMEOUT", 3, nature="time")), width=16,
    ),
    Register(
        "TCO2_STS", "Status 2", STS2, "rw",
        (bit("SECOND_TO_STS", 1, nature="time"), bit("BOOT_STS", 2, nature="time")), width=16,
    ),
    Register(
        "TCO1_CNT", "Control 1", CNT1, "rw",
        (bit("NMI_NOW", 8), bit("NMI2SMI_EN", 9), bit("TCO_TMR_HLT", 11), bit("TCO_LOCK", 12)), width=16,
    ),
    Register("TCO2_CNT", "Control 2", CNT2, "rw", width=16),
    Register("TCO_MESSAGE1", "Message 1", MESSAGE1, "rw"),
    Register("TCO_MESSAGE2", "Message 2", MESSAGE2, "rw"),
    Register("TCO_WDCNT", "Watchdog status", WDCNT, "rw"),
    Register("SW_IRQ_GEN", "Software IRQ generation", SW_IRQ_GEN, "rw"),
    Register("TCO_TMR", "Timer initial value", TMR, "rw", (Field("TCOTIMER", 9, 0),), width=16),
)  # fmt: skip


class Ich9Tco(Device):
    """The watchdog. `reboots` tells whether the second timeout resets the machine, after which the timer stands."""

    title = "Intel ICH9: TCO watchdog"
    registers = REGISTERS
    kept_by_reset = ("*",)
    width = 2

    def __init__(self, clock: Clock, reboots: Callable[[], bool] = lambda: False) -> None:
        self._clock = clock
        self._reboots = reboots
        self._values = dict.fromkeys((register.offset for register in REGISTERS), 0) | _RESET
        self._timer = clock.timer(self._expired)
        self._is_running = False
        self._expires_ns = 0
        self._timeouts = 0

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock)

    def reset(self) -> None:
        """See `Device.reset`."""

    @property
    def is_locked(self) -> bool:
        """Whether TCO_EN of SMI_EN is locked."""
        return bool(self._values[CNT1] & TCO_LOCK)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        value = self._values.get(offset, 0)
        if offset == RLD and self._is_running:
            left_ns = self._expires_ns - self._clock.now_ns
            ticks_left = left_ns // TICK_NS if left_ns >= 0 else -(-left_ns // TICK_NS)
            value = ticks_left & 0xFFFF | value & ~TIMER_MASK
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset not in self._values:
            return
        if offset in BYTES:
            value &= 0xFF
        value &= WRITABLE.get(offset, 0xFFFF)
        if offset == RLD:
            self._timeouts = 0
            if self._can_run():
                self._start()
                return
        elif offset == DAT_IN:
            self._values[STS1] |= SW_TCO_SMI
        elif offset == DAT_OUT:
            self._values[STS1] |= TCO_INT_STS
        elif offset == CNT1:
            value |= self._values[CNT1] & TCO_LOCK
        self._values[offset] = value
        if offset == CNT1:
            if self._can_run():
                self._start()
            else:
                self._is_running = False

    def _can_run(self) -> bool:
        return not self._values[CNT1] & TCO_TMR_HLT and self._values[TMR] > 1

    def _start(self) -> None:
        self._values[RLD] = self._values[TMR]
        self._expires_ns = self._clock.now_ns + (self._values[TMR] & TIMER_MASK) * TICK_NS
        self._is_running = True
        self._timer.arm(self._expires_ns)

    def _expired(self) -> None:
        """A halted timer expires once more: QEMU does not cancel it."""
        self._values[RLD] = 0
        self._values[STS1] |= TIMEOUT
        self._timeouts += 1
        if self._timeouts == 2:
            self._values[STS2] |= SECOND_TO_STS | BOOT_STS
            self._timeouts = 0
            if self._reboots():
                self._is_running = False
                return
        if self._values[TMR] & TIMER_MASK:
            self._start()
        else:
            self._values[RLD] = self._values[TMR]
            self._is_running = False

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        names = {register.offset: register.name.lower() for register in REGISTERS}
        state = {names[offset]: value for offset, value in self._values.items()}
        return state | {
            "running": int(self._is_running), "expires_ns": self._expires_ns, "timeouts": self._timeouts,
        }  # fmt: skip
