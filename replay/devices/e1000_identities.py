"""Identities of Intel's gigabit Ethernet controllers that QEMU has: for boards without one, which need no model of it.

Source: as `e1000` and `e1000e`.
"""

from __future__ import annotations

from typing import Final

EM82540: Final = 0x100E
"""The device identification of QEMU's e1000, unless it is told otherwise."""

PHY_IDENTITIES: Final = {0x100C: 0x0C30, EM82540: 0x0C20, 0x100F: 0x0C20}
"""Of e1000 and its kin, by device identification."""

I82574L: Final = 0x10D3
"""The device identification of QEMU's e1000e."""
