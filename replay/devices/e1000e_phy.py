"""The PHY within the 82574: more registers than the M88E1000's, on pages.

Source: Intel 82574 GbE Controller Family Datasheet, revision 3.4, 10.2 and chapter 9 "PHY Registers".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .e1000_phy import ANAR, ANER, ANLPAR, GCON, GSTATUS, PCTRL, PHYID1, PHYID2, PSTATUS, Phy

ANNP, ANLPRNP, EXTSTAT, PAGE, OEM = 7, 8, 15, 0x16, 0x19
IDENTITY: Final = 0x0CB1
OEM_RESTART: Final = 1 << 10
PAGE_BITS: Final = 0x7F
PAGES: Final = 7

RESETS: Final = {
    PCTRL: 0x1140, PSTATUS: 0x794D, PHYID1: 0x0141, ANAR: 0x0DE1, ANLPAR: 0x07E0, ANER: 0x0005, ANNP: 0x2001,
    GCON: 0x0F00, GSTATUS: 0x3C00, EXTSTAT: 0x3000, 0x10: 0x3360, 0x11: 0xAC08,
}  # fmt: skip
ON_EVERY_PAGE: Final = {
    PCTRL: "rw", PSTATUS: "r", PHYID1: "r", PHYID2: "r", ANAR: "rw", ANLPAR: "r", ANER: "r", ANNP: "rw", ANLPRNP: "r",
    GCON: "rw", GSTATUS: "r", EXTSTAT: "r", PAGE: "rw",
}  # fmt: skip
ON_PAGE: Final[dict[int, dict[int, str]]] = {
    0: {0x10: "rw", 0x11: "r", 0x12: "rw", 0x13: "r", 0x14: "rw", 0x15: "r", OEM: "rw", 0x1A: "rw", 0x1D: "rw",
        0x1E: "rw"},
    2: {0x10: "rw", 0x12: "rw", 0x13: "r", 0x15: "rw"},
    3: {0x10: "rw", 0x11: "rw", 0x12: "rw", 0x13: "rw"},
    5: {0x14: "r", 0x15: "r"},
    6: {0x11: "r"},
}  # fmt: skip
PAGED_RESETS: Final = {2 << 5 | 0x10: 0x0088, 2 << 5 | 0x15: 0x1046, 3 << 5 | 0x12: 0x4005}


class PagedPhy(Phy):
    """The PHY."""

    resets = RESETS

    def reset(self) -> None:
        """See `Phy.reset`."""
        self._paged = dict(PAGED_RESETS)
        super().reset()

    def state(self) -> Iterator[tuple[str, int]]:
        """See `Phy.state`."""
        yield from super().state()
        yield from ((f"phy{at >> 5}.{at & 0x1F:02x}", value) for at, value in sorted(self._paged.items()) if value)

    def read(self, number: int) -> int | None:
        """See `Phy.read`."""
        page = self._page_of(number, "r")
        if page is None:
            return None
        return self._paged.get(page << 5 | number, 0) if page else self.registers[number]

    def write(self, number: int, value: int) -> bool:
        """See `Phy.write`."""
        page = self._page_of(number, "w")
        if page is None:
            return False
        if page:
            self._paged[page << 5 | number] = value
        elif number == PCTRL:
            self.write_control(value)
        elif number == PAGE:
            self.registers[PAGE] = value & PAGE_BITS
        elif number == OEM:
            self.registers[OEM] = value & ~OEM_RESTART
            if value & OEM_RESTART:
                self.restart()
        else:
            self.registers[number] = value
        return True

    def _page_of(self, number: int, direction: str) -> int | None:
        """The page on which a register is accessed; None if it cannot be."""
        access = ON_EVERY_PAGE.get(number)
        page = self.registers[PAGE] if access is None else 0
        if access is None:
            access = ON_PAGE.get(page, {}).get(number, "")
        return page if direction in access else None
