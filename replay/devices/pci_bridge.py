"""Configuration space of a PCI-to-PCI bridge: header type 1, bus numbers and the windows to the secondary bus.

Source: PCI-to-PCI Bridge Architecture Specification 1.2, section 3.2.

Modelled: bus numbers, I/O, memory and prefetchable windows, bridge control as it reads back; which ranges and buses are
behind the bridge follows from them.

Not modelled: VGA and ISA enable, of which only the bits are there; a reset of the secondary bus, except that nothing
behind it is reached while it lasts; errors.

Follows QEMU where the guest can see a difference from the specification: both latency timers and the upper 16 bits of
the I/O window are constant 0; the prefetchable window has 64 bits; the secondary status has no capability bits.
"""

from __future__ import annotations

from typing import Final

from ..clock import Clock
from ..irq import Line
from ..registers import Field, RegisterMap, bit
from .pci_config import (
    COMMAND,
    COMMAND_IO,
    COMMAND_MEMORY,
    COMMON_REGISTERS,
    FIELDS_ROM,
    FIELDS_STATUS,
    HEADER_TYPE,
    STATUS_ERRORS,
    PciConfig,
    Space,
    named,
)

PRIMARY_BUS, SECONDARY_BUS, SUBORDINATE_BUS, SECONDARY_LATENCY = 0x18, 0x19, 0x1A, 0x1B
IO_BASE, IO_LIMIT, SECONDARY_STATUS, MEMORY_BASE, MEMORY_LIMIT = 0x1C, 0x1D, 0x1E, 0x20, 0x22
PREFETCHABLE_BASE, PREFETCHABLE_LIMIT, BASE_UPPER, LIMIT_UPPER, IO_UPPER = 0x24, 0x26, 0x28, 0x2C, 0x30
ROM_BASE, BRIDGE_CONTROL = 0x38, 0x3E
WINDOWS_SIZE: Final = 24
"""Of the registers from IO_BASE on that say what the bridge forwards."""

CONTROL_WRITABLE, CONTROL_CLEARS, BUS_RESET = 0x0BFF, 0x0400, 0x40

FIELDS_CONTROL: Final = (
    bit("PERE", 0), bit("SERRE", 1), bit("ISAE", 2), bit("VGAE", 3), bit("VGA16", 4), bit("MAM", 5), bit("SBR", 6),
    bit("FBTBE", 7), bit("PDT", 8), bit("SDT", 9), bit("DTS", 10), bit("DTSERR", 11),
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    *COMMON_REGISTERS,
    named("PBN", "Primary bus number", PRIMARY_BUS, 8),
    named("SBN", "Secondary bus number", SECONDARY_BUS, 8),
    named("SUBBN", "Subordinate bus number", SUBORDINATE_BUS, 8),
    named("SMLT", "Secondary latency timer", SECONDARY_LATENCY, 8),
    named("IOB", "I/O base", IO_BASE, 8, Field("TYPE", 3, 0), Field("BASE", 7, 4)),
    named("IOL", "I/O limit", IO_LIMIT, 8, Field("TYPE", 3, 0), Field("LIMIT", 7, 4)),
    named("SSTS", "Secondary status", SECONDARY_STATUS, 16, *FIELDS_STATUS[2:]),
    named("MB", "Memory base", MEMORY_BASE, 16),
    named("ML", "Memory limit", MEMORY_LIMIT, 16),
    named("PMB", "Prefetchable memory base", PREFETCHABLE_BASE, 16),
    named("PML", "Prefetchable memory limit", PREFETCHABLE_LIMIT, 16),
    named("PMBU", "Prefetchable base, upper 32 bits", BASE_UPPER, 32),
    named("PMLU", "Prefetchable limit, upper 32 bits", LIMIT_UPPER, 32),
    named("IOBU", "I/O base, upper 16 bits", IO_UPPER, 16),
    named("IOLU", "I/O limit, upper 16 bits", IO_UPPER + 2, 16),
    named("EROM", "Expansion ROM base address", ROM_BASE, 32, *FIELDS_ROM),
    named("BCTRL", "Bridge control", BRIDGE_CONTROL, 16, *FIELDS_CONTROL),
)


class PciBridge(PciConfig):
    """The configuration space of a bridge, and what is behind it."""

    title = "PCI-to-PCI bridge, header type 1"
    registers = REGISTERS
    rom_base = ROM_BASE

    def __init__(
        self, vendor_id: int = 0xFFFF, device_id: int = 0xFFFF, class_code: int = 0x0604, *,
        size: int = 256, intx: Line | None = None,
    ) -> None:  # fmt: skip
        super().__init__(vendor_id, device_id, class_code, size=size, intx=intx)
        self.behind: dict[int, PciConfig] = {}
        """The functions on its secondary bus, by slot << 3 | function."""
        self.declare(HEADER_TYPE, 1, 1)
        self.declare(PRIMARY_BUS, 4, 0, 0xFFFF_FFFF)
        for offset in (IO_BASE, IO_LIMIT):
            self.declare(offset, 1, 0, 0xF0)
        self.declare(SECONDARY_STATUS, 2, 0, clears=STATUS_ERRORS)
        for offset in (MEMORY_BASE, MEMORY_LIMIT):
            self.declare(offset, 2, 0, 0xFFF0)
        for offset in (PREFETCHABLE_BASE, PREFETCHABLE_LIMIT):
            self.declare(offset, 2, 1, 0xFFF0)
        self.declare(BASE_UPPER, 4, 0, 0xFFFF_FFFF)
        self.declare(LIMIT_UPPER, 4, 0, 0xFFFF_FFFF)
        self.declare(BRIDGE_CONTROL, 2, 0, CONTROL_WRITABLE, CONTROL_CLEARS)

    @classmethod
    def alone(cls, clock: Clock) -> PciBridge:
        """See `Device.alone`."""
        return cls(0x1B36, 0x0001)

    def forwards(self, space: Space) -> list[tuple[int, int]]:
        """The ranges, first and last, that it passes to its secondary bus now."""
        command = self.peek(COMMAND, 1)
        if space == "pio":
            base = (self.peek(IO_BASE, 1) & 0xF0) << 8
            limit = (self.peek(IO_LIMIT, 1) & 0xF0) << 8 | 0xFFF
            return [(base, limit)] if command & COMMAND_IO and base <= limit else []
        if not command & COMMAND_MEMORY:
            return []
        windows = [
            ((self.peek(base, 2) & 0xFFF0) << 16, (self.peek(limit, 2) & 0xFFF0) << 16)
            for base, limit in ((MEMORY_BASE, MEMORY_LIMIT), (PREFETCHABLE_BASE, PREFETCHABLE_LIMIT))
        ]
        base, limit = windows[1]
        windows[1] = base | self.peek(BASE_UPPER, 4) << 32, limit | self.peek(LIMIT_UPPER, 4) << 32
        return [(first, last | 0xF_FFFF) for first, last in windows if first <= last]
