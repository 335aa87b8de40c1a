"""What Intel's gigabit controllers share, of QEMU's e1000 and e1000e: MDIC, the link, and counters that reading clears.

Source: as e1000.py and e1000e.py; the registers are described alike in both manuals.
"""

from __future__ import annotations

from collections import defaultdict

from . import e1000_registers as r
from .aligned import WholeRegisterDevice
from .e1000_phy import Phy


class GigabitController(WholeRegisterDevice):
    """Base class of the models, which make these parts and say what a cause of an interrupt does."""

    _values: defaultdict[int, int]
    """Registers by offset; what is not here is 0."""
    _phy: Phy
    _has_listened: bool
    """Whether it could have received anything."""

    def _cause(self, causes: int) -> None:
        """Raise the causes of an interrupt."""
        raise NotImplementedError

    def _write_mdic(self, value: int) -> None:
        """MDIC (e1000: 13.4.7, e1000e: 10.2.2.7): the PHY has address 1."""
        data, number = value & r.MDIC_DATA, value >> 16 & 0x1F
        if value >> 21 & 0x1F != 1:
            value = self._values[r.MDIC] | r.MDIC_ERROR
        elif value & r.MDIC_READ:
            answer = self._phy.read(number)
            value = value | r.MDIC_ERROR if answer is None else value ^ data | answer
        elif value & r.MDIC_WRITE and not self._phy.write(number, data):
            value |= r.MDIC_ERROR
        self._values[r.MDIC] = value | r.MDIC_READY
        if value & r.MDIC_INT:
            self._cause(r.ICR_MDAC)

    def _write_rctl(self, value: int) -> None:
        self._values[r.RCTL] = value
        if value & r.RCTL_EN:
            self._has_listened = True

    def _read_and_clear(self, at: int) -> int:
        value = self._values[at]
        self._values[at] = 0
        if at in r.HIGH_HALVES:
            self._values[at - 4] = 0
        return value

    def _link_changed(self, up: bool) -> None:
        status = self._values[r.STATUS]
        self._values[r.STATUS] = status | r.STATUS_LU if up else status & ~r.STATUS_LU
