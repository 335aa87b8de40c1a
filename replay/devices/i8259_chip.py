"""One 8259A interrupt controller that is told when it is acknowledged: nothing here is inferred.

See `i8259` for sources; the names in brackets are section headings of its data sheet.
"""

from __future__ import annotations

from typing import Final

CASCADE: Final = 2
"""The master's input that the slave's INT drives."""

POLL_I: Final = 0x80


class Chip:
    """One chip."""

    def __init__(self, elcr_mask: int, not_nested: int, parent: Chip | None) -> None:
        self.elcr_mask = elcr_mask
        self._not_nested = not_nested
        self._parent = parent
        self.reset()

    def reset(self) -> None:
        """Hardware reset."""
        self.elcr = 0
        self.irr = 0
        self.ltim = False
        self.clear_settings()
        self.clear_requests()

    def clear_settings(self) -> None:
        """ICW1, its effects on what an acknowledge does not touch. ELCR and LTIM are not among them."""
        self.imr = 0
        self.vector = 0
        self.read_isr = False
        self.polled = False
        self.special_mask = False
        self.special_nested = False
        self.is_unsettled = True
        """Whether INT may have to change though no request does."""
        self.auto_eoi = False
        self.rotate_in_auto_eoi = False
        self.awaiting = ""
        self.icw4_follows = False
        self.single = False

    def clear_requests(self) -> None:
        """ICW1, its effects on requests and priorities."""
        self.irr &= self.elcr
        self.isr = 0
        self.first = 0
        self.seen = 0
        self.update()

    def drive(self, level: int, high: bool) -> None:
        """The device at input `level` sets its line."""
        mask = 1 << level
        irr = self.irr
        if high:
            if self.ltim or (self.elcr | ~self.seen) & mask:
                irr |= mask
            self.seen |= mask
        else:
            if self.ltim or self.elcr & mask:
                irr &= ~mask
            self.seen &= ~mask
        if irr != self.irr or self.is_unsettled:
            self.irr = irr
            self.update()

    def wanted(self) -> int:
        """The level for which the chip asks for service now; -1 if there is none (Fully Nested Mode)."""
        requests = self.irr & ~self.imr
        if not requests:
            return -1
        in_service = self.isr
        if self.special_mask:
            in_service &= ~self.imr
        if self.special_nested:
            in_service &= ~self._not_nested
        for level in range(self.first, self.first + 8):
            mask = 1 << (level & 7)
            if in_service & mask:
                return -1
            if requests & mask:
                return level & 7
        return -1

    def update(self) -> None:
        """Drive INT."""
        self.is_unsettled = False
        self.output = self.wanted() >= 0
        if self._parent is not None:
            self._parent.drive(CASCADE, self.output)

    def take(self, level: int) -> None:
        """The acknowledge of `level` (Interrupt Sequence)."""
        mask = 1 << level
        if not self.auto_eoi:
            self.isr |= mask
        elif self.rotate_in_auto_eoi:
            self.first = level + 1 & 7
        if not (self.ltim or self.elcr & mask):
            self.irr &= ~mask
        self.update()

    def poll(self) -> int:
        """The read that follows a poll command: an acknowledge, if there is something to acknowledge."""
        level = self.wanted()
        if level < 0:
            return 0
        self.take(level)
        return POLL_I | level

    def end(self, rotate: bool) -> bool:
        """Non-specific EOI. Returns whether anything was in service."""
        for level in range(self.first, self.first + 8):
            if self.isr >> (level & 7) & 1:
                return self.end_level(level & 7, rotate)
        return False

    def end_level(self, level: int, rotate: bool) -> bool:
        """Specific EOI. Returns whether `level` was in service."""
        in_service = self.isr >> level & 1
        self.isr &= ~(1 << level)
        if rotate:
            self.first = level + 1 & 7
        self.update()
        return in_service == 1

    def set_lowest(self, level: int) -> None:
        """Set priority: `level` becomes the lowest."""
        self.first = level + 1 & 7
        self.update()

    def status(self) -> int:
        """IRR or ISR, as OCW3 selected."""
        return self.isr if self.read_isr else self.irr
