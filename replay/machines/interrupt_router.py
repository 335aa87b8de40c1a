"""What chipsets do with PCI interrupts: pins to request lines, and these to interrupts, together with SCI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..irq import Line
from .wiring import Wiring

FIRST_PIRQ_GSI: Final = 16


class Router:
    """From the pins of the root bus to interrupts.

    Args:
        wiring: the machine's.
        pirqs: how many request lines there are.
        pirq: the request line of a pin (slot, pin).
        route: the ISA interrupt that a request line goes to; None if it goes nowhere.
        has_gsis: whether each request line has a global system interrupt of its own, too, from 16 on.
    """

    def __init__(
        self,
        wiring: Wiring,
        pirqs: int,
        pirq: Callable[[int, int], int],
        route: Callable[[int], int | None],
        *,
        has_gsis: bool = False,
    ) -> None:
        self._wiring = wiring
        self._pirqs = range(pirqs)
        self._pirq = pirq
        self._route = route
        self._has_gsis = has_gsis
        self._lines: dict[tuple[bool, int], Line] = {}
        self.sci: tuple[int | None, bool] = None, False
        """The interrupt that SCI is, and its level."""

    def update(self) -> None:
        """Drive each interrupt with the level that its request lines call for together."""
        levels: dict[tuple[bool, int], bool] = dict.fromkeys(self._lines, False)
        raised = {self._pirq(slot, pin) for slot, pin in self._wiring.pci.pirqs.raised()}
        for pirq in self._pirqs:
            if pirq in raised:
                interrupt = self._route(pirq)
                if interrupt is not None:
                    levels[False, interrupt] = True
                if self._has_gsis:
                    levels[True, FIRST_PIRQ_GSI + pirq] = True
        interrupt, level = self.sci
        if interrupt is not None and level:
            levels[interrupt >= FIRST_PIRQ_GSI, interrupt] = True
        for (is_gsi, number), level in levels.items():
            if (is_gsi, number) not in self._lines:
                # Only now: of an interrupt that nothing here ever raised, controllers know nothing.
                line = self._wiring.gsi(number) if is_gsi else self._wiring.irq(number)
                self._lines[is_gsi, number] = line
            self._lines[is_gsi, number].set(level)
