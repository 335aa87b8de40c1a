"""Interrupts of the 82574: causes and masks, throttling, and the three ways to the CPU: INTx, MSI, MSI-X.

Source: Intel 82574 GbE Controller Family Datasheet, revision 3.4, 7.4 "Interrupts" and 10.2.4.

Follows QEMU: INT_ASSERTED is set with any cause, masked or not; a throttling rate is at least 500; what is throttled
with MSI-X comes when the interval ends, and comes even if nothing was; with INTx and MSI it comes if a cause is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, Protocol

from ..clock import NEVER, Clock
from ..irq import Line
from . import e1000_registers as r
from .e1000e_registers import CTRL_EXT, EIAC, IAC, IAM, IVAR, VECTORS

ASSERTED: Final = 1 << 31
RXQ0, RXQ1, TXQ0, TXQ1, OTHER = (1 << n for n in range(20, 25))
OTHER_CAUSES: Final = r.ICR_LSC | r.ICR_RXO | r.ICR_MDAC | 1 << 16 | 1 << 17 | 1 << 18
MASKABLE: Final = 0x01F7_82D7
"""Causes that IMS has bits of."""
EXT_EIAME, EXT_IAME, EXT_TIMERS_CLEAR = 1 << 24, 1 << 27, 1 << 29
IVAR_VALID, IVAR_VECTOR = 0x8, 0x7
VECTOR_CAUSES: Final = ((RXQ0, 0), (RXQ1, 4), (TXQ0, 8), (TXQ1, 12), (OTHER, 16))
"""Causes that have vectors, and where in IVAR."""

UNIT_NS: Final = 256
LEAST_INTERVAL: Final = 500


class Messages(Protocol):
    """How a function sends messages: MSI-X and MSI as its configuration space has them."""

    def msix_enabled(self) -> bool:
        """Whether MSI-X is on."""

    def msi_enabled(self) -> bool:
        """Whether MSI is on."""

    def notify(self, vector: int) -> None:
        """Send the message of an MSI-X vector."""


class NoMessages:
    """A function without MSI and MSI-X."""

    def msix_enabled(self) -> bool:
        """See `Messages`."""
        return False

    def msi_enabled(self) -> bool:
        """See `Messages`."""
        return False

    def notify(self, vector: int) -> None:
        """See `Messages`."""


class Interrupts:
    """Causes, masks and throttling.

    Args:
        clock: for throttling.
        irq: INTx, a level.
        messages: MSI and MSI-X.
        values: the registers, by offset.
    """

    def __init__(self, clock: Clock, irq: Line, messages: Messages, values: dict[int, int]) -> None:
        self._clock = clock
        self._irq = irq
        self._messages = messages
        self._values = values
        self._itr = clock.timer(self._end_interval)
        self._eitr = [clock.timer(partial(self._end_vector_interval, vector)) for vector in range(VECTORS)]
        self.shown = [0] * (1 + VECTORS)
        """What the driver wrote to ITR and to each EITR, which a reset does not change."""
        self._intervals = [LEAST_INTERVAL] * (1 + VECTORS)

    def reset(self) -> None:
        """No interrupt, no interval."""
        for timer in (self._itr, *self._eitr):
            timer.cancel()
        self._intervals = [LEAST_INTERVAL] * (1 + VECTORS)
        self._irq.set(False)

    def state(self) -> Iterator[tuple[str, int]]:
        """Everything that matters, by name."""
        yield "irq", int(self._irq.level)
        yield "interval_ns", self._itr.deadline_ns
        yield from ((f"interval{vector}_ns", timer.deadline_ns) for vector, timer in enumerate(self._eitr))
        yield from ((f"throttle_shown{at}", value) for at, value in enumerate(self.shown))
        yield from ((f"throttle{at}", value) for at, value in enumerate(self._intervals))

    def write_rate(self, at: int, value: int) -> None:
        """ITR (0) or the EITR of a vector (1 and up)."""
        self.shown[at] = value & 0xFFFF
        self._intervals[at] = max(value & 0xFFFF, LEAST_INTERVAL)

    # Registers

    def read_icr(self) -> int:
        """ICR: without MSI-X it is cleared; with it, if a cause is not masked (10.2.4.1)."""
        value = self._values[r.ICR]
        self.acknowledge()
        return value

    def acknowledge(self) -> None:
        """What reading ICR does."""
        values = self._values
        if not values[r.IMS] or not self._messages.msix_enabled():
            self.lower(r.ICR, 0xFFFF_FFFF)
        if values[r.ICR] & ASSERTED:
            if values[CTRL_EXT] & EXT_IAME:
                self.lower(r.ICR, 0xFFFF_FFFF)
                self.lower(r.IMS, values[IAM])
            if values[r.ICR] & values[r.IMS]:
                self.lower(r.ICR, 0xFFFF_FFFF)

    def write_icr(self, value: int) -> None:
        """ICR: written bits are cleared; with Other those that it stands for."""
        values = self._values
        if values[r.ICR] & ASSERTED and values[CTRL_EXT] & EXT_IAME:
            self.lower(r.IMS, values[IAM])
        if value & OTHER:
            value |= OTHER_CAUSES
        self.lower(r.ICR, value)

    def write_ims(self, value: int) -> None:
        """IMS: written bits are set. All of them at once can end all intervals."""
        value &= MASKABLE
        if value == MASKABLE and self._values[CTRL_EXT] & EXT_TIMERS_CLEAR:
            if self._itr.deadline_ns < NEVER:
                self._itr.cancel()
                self._end_interval()
            for vector, timer in enumerate(self._eitr):
                if timer.deadline_ns < NEVER:
                    timer.cancel()
                    self._end_vector_interval(vector)
        self._raise(r.IMS, value)

    def write_imc(self, value: int) -> None:
        """IMC: written bits of IMS are cleared."""
        self.lower(r.IMS, value)

    def cause(self, causes: int) -> None:
        """Something happened."""
        self._raise(r.ICR, causes)

    # The way to the CPU

    def _raise(self, register: int, bits: int) -> None:
        values = self._values
        is_msix = self._messages.msix_enabled()
        before = values[r.IMS] & values[r.ICR]
        values[register] |= bits
        causes = values[r.ICR] & ~ASSERTED
        if is_msix and causes & OTHER_CAUSES:
            causes |= OTHER
        values[r.ICR] = values[r.ICS] = causes | ASSERTED if causes else 0
        raised = values[r.IMS] & values[r.ICR] & ~before
        if not raised:
            return
        if is_msix:
            self._notify(raised)
        elif not self._is_postponed(0):
            self._interrupt()

    def _interrupt(self) -> None:
        if not self._messages.msi_enabled():
            self._values[IAC] = min(self._values[IAC] + 1, 0xFFFF_FFFF)
            self._irq.set(True)

    def _notify(self, causes: int) -> None:
        """Send the messages of causes, and clear what is to be cleared with them (7.4.3)."""
        values = self._values
        for cause, shift in VECTOR_CAUSES:
            if not causes & cause:
                continue
            entry = values[IVAR] >> shift
            vector = entry & IVAR_VECTOR
            if entry & IVAR_VALID and vector < VECTORS and not self._is_postponed(1 + vector):
                self._messages.notify(vector)
            if values[CTRL_EXT] & EXT_EIAME:
                values[IAM] &= ~cause
            cleared = values[EIAC] & cause
            values[r.ICR] &= ~cleared
            if not values[CTRL_EXT] & EXT_IAME:
                values[r.IMS] &= ~cleared

    def lower(self, register: int, bits: int) -> None:
        """Clear bits of ICR or IMS."""
        values = self._values
        values[register] &= ~bits
        values[r.ICS] = values[r.ICR]
        messages = self._messages
        if not values[r.IMS] & values[r.ICR] and not messages.msix_enabled() and not messages.msi_enabled():
            self._irq.set(False)

    def _is_postponed(self, at: int) -> bool:
        """Whether an interval runs; if not, one begins."""
        timer = self._eitr[at - 1] if at else self._itr
        if timer.deadline_ns < NEVER:
            return True
        timer.arm(self._clock.now_ns + self._intervals[at] * UNIT_NS)
        return False

    def _end_interval(self) -> None:
        if self._values[r.IMS] & self._values[r.ICR]:
            self._interrupt()

    def _end_vector_interval(self, vector: int) -> None:
        self._messages.notify(vector)
