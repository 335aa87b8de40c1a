"""The Marvell M88E1000 behind the MDI of an 8254x: its registers and auto-negotiation, which takes half a second.

Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, revision 4.0, 13.4.16
"PHY Registers"; IEEE 802.3, clause 22.

Follows QEMU, whose PHY is linked when it comes up and in 1000 Mbit/s whatever is negotiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..clock import Clock

PCTRL, PSTATUS, PHYID1, PHYID2, ANAR, ANLPAR, ANER, GCON, GSTATUS = 0, 1, 2, 3, 4, 5, 6, 9, 10
PSCON, PSSTAT, EPSCON, RECR = 0x10, 0x11, 0x14, 0x15
PCTRL_RESERVED, PCTRL_RESTART, PCTRL_ENABLE, PCTRL_RESET = 0x3F, 0x200, 0x1000, 0x8000
PSTATUS_LINK, PSTATUS_COMPLETE, ANLPAR_ACKNOWLEDGE = 0x04, 0x20, 0x4000

RESETS: Final = {
    PCTRL: 0x1140, PSTATUS: 0x794D, PHYID1: 0x0141, ANAR: 0x0DE1, ANLPAR: 0x01E0, GCON: 0x0E00, GSTATUS: 0x3C00,
    PSCON: 0x0360, PSSTAT: 0xAC00, EPSCON: 0x0D60,
}  # fmt: skip
READABLE: Final = frozenset(
    (PCTRL, PSTATUS, PHYID1, PHYID2, ANAR, ANLPAR, ANER, GCON, GSTATUS, PSCON, PSSTAT, EPSCON, RECR)
)
WRITABLE: Final = frozenset((PCTRL, ANAR, GCON, PSCON, EPSCON))

NEGOTIATION_MS: Final = 500
MS: Final = 1_000_000


class Phy:
    """The PHY.

    Args:
        clock: for auto-negotiation.
        identity: PHYID2.
        link_changed: takes whether the link is up, when that changes.
        negotiated: called when auto-negotiation is complete, after `link_changed`.
    """

    resets: Mapping[int, int] = RESETS
    """What is not 0 after a reset, without PHYID2."""

    def __init__(
        self, clock: Clock, identity: int, link_changed: Callable[[bool], None], negotiated: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._link_changed = link_changed
        self._negotiated = negotiated
        self._timer = clock.timer(self._complete)
        self.registers = [0] * 32
        self.reset()

    def reset(self) -> None:
        """A hardware reset: the link is up."""
        self._timer.cancel()
        self.registers[:] = [self.resets.get(number, 0) for number in range(32)]
        self.registers[PHYID2] = self._identity

    def state(self) -> Iterator[tuple[str, int]]:
        """Everything that matters, by name."""
        yield "negotiation_ns", self._timer.deadline_ns
        yield from ((f"phy{number:02x}", value) for number, value in enumerate(self.registers) if value)

    @property
    def is_negotiating(self) -> bool:
        """Whether auto-negotiation runs."""
        return self._timer.deadline_ns < 1 << 63

    def read(self, number: int) -> int | None:
        """A register; None if there is none to read."""
        return self.registers[number] if number in READABLE else None

    def write(self, number: int, value: int) -> bool:
        """Take a register; False if there is none to write."""
        if number not in WRITABLE:
            return False
        if number == PCTRL:
            self.write_control(value)
        else:
            self.registers[number] = value
        return True

    def write_control(self, value: int) -> None:
        """PCTRL: restart and reset clear themselves; the reset does nothing."""
        self.registers[PCTRL] = value & ~(PCTRL_RESERVED | PCTRL_RESTART | PCTRL_RESET)
        if value & PCTRL_ENABLE and value & PCTRL_RESTART:
            self.restart()

    def restart(self) -> None:
        """Restart auto-negotiation: the link is down until it is complete. QEMU's timer counts whole milliseconds."""
        self.set_link(False)
        self._timer.arm((self._clock.now_ns // MS + NEGOTIATION_MS) * MS)

    def set_link(self, up: bool) -> None:
        """The link comes or goes."""
        if up:
            self.registers[PSTATUS] |= PSTATUS_LINK
        else:
            self.registers[PSTATUS] &= ~(PSTATUS_LINK | PSTATUS_COMPLETE)
            self.registers[ANLPAR] &= ~ANLPAR_ACKNOWLEDGE
        self._link_changed(up)

    def _complete(self) -> None:
        self.set_link(True)
        self.registers[ANLPAR] |= ANLPAR_ACKNOWLEDGE
        self.registers[PSTATUS] |= PSTATUS_COMPLETE
        self._negotiated()
