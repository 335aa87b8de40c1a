"""Intel 82371SB (PIIX3), function 0: PCI-to-ISA bridge, configuration space and interrupt routing.

Source: Intel 82371FB/82371SB data sheet (290550), section 2.2.

Modelled: all registers as they read back; PIRQRC[A:D], which tell the machine where PCI interrupts go.

Not modelled: what the timing, decode and DMA registers do.

Follows QEMU where the guest can see a difference from the data sheet: all bytes from 40h on can be written and read
back; a reset sets those that have a value in `_RESET` and leaves the others alone. A PIRQ with any of bits 7-4 set goes
nowhere. Subsystem identities are QEMU's.
"""

from __future__ import annotations

from typing import Final, Self

from ..clock import Clock
from ..registers import Field, Register, RegisterMap, bit
from .i440fx import QEMU_SUBSYSTEM
from .pci_config import HEADER_TYPE, MULTI_FUNCTION, STATUS, STATUS_ERRORS, SUBSYSTEM_VENDOR_ID, PciConfig
from .pci_config import REGISTERS as HEADER

PIRQRC: Final = 0x60
PIRQS: Final = 4
ISA_INTERRUPTS: Final = 16

_RESET: Final = {
    0x4C: 0x4D, 0x4E: 0x03, 0x4F: 0x00, 0x60: 0x80, 0x61: 0x80, 0x62: 0x80, 0x63: 0x80, 0x69: 0x02, 0x70: 0x80,
    0x76: 0x0C, 0x77: 0x0C, 0x78: 0x02, 0x79: 0x00, 0x80: 0x00, 0x82: 0x00, 0xA0: 0x08, 0xA2: 0x00, 0xA3: 0x00,
    0xA4: 0x00, 0xA5: 0x00, 0xA6: 0x00, 0xA7: 0x00, 0xA8: 0x0F, 0xAA: 0x00, 0xAB: 0x00, 0xAC: 0x00, 0xAE: 0x00,
}  # fmt: skip

FIELDS_PIRQ: Final = (Field("ROUTE", 3, 0), bit("DISABLE", 7))
_NAMES: Final = (
    ("IORT", "I/O recovery timer", 0x4C, 8), ("XBCS", "X-bus chip select", 0x4E, 16),
    ("TOM", "Top of memory", 0x69, 8), ("MSTAT", "Miscellaneous status", 0x6A, 16),
    ("MBIRQ0", "Motherboard device interrupt routing", 0x70, 8), ("MBDMA0", "Motherboard DMA control 0", 0x76, 8),
    ("MBDMA1", "Motherboard DMA control 1", 0x77, 8), ("PCSC", "Programmable chip select", 0x78, 16),
    ("APICBASE", "APIC base address relocation", 0x80, 8), ("DLC", "Deterministic latency control", 0x82, 8),
    ("SMICNTL", "SMI control", 0xA0, 8), ("SMIEN", "SMI enable", 0xA2, 16), ("SEE", "System event enable", 0xA4, 32),
    ("FTMR", "Fast-off timer", 0xA8, 8), ("SMIREQ", "SMI request", 0xAA, 16),
    ("CTLTMR", "Clock scale STPCLK# low timer", 0xAC, 8), ("CTHTMR", "Clock scale STPCLK# high timer", 0xAE, 8),
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    *HEADER,
    *(Register(f"PIRQRC{'ABCD'[n]}", "PIRQ route control", PIRQRC + n, "rw", FIELDS_PIRQ) for n in range(PIRQS)),
    *(Register(name, title, offset, "rw", width=width) for name, title, offset, width in _NAMES),
)


class Piix3(PciConfig):
    """The ISA bridge. `watch(PIRQRC, PIRQS, …)` tells of changed routes."""

    title = "Intel PIIX3: PCI-to-ISA bridge"
    registers = REGISTERS
    kept_by_reset = ("0x*", "mstat")

    def __init__(self) -> None:
        super().__init__(0x8086, 0x7000, 0x0601)
        self.declare(HEADER_TYPE, 1, MULTI_FUNCTION)
        self.declare(STATUS, 2, 0x0200, clears=STATUS_ERRORS)
        self.declare(SUBSYSTEM_VENDOR_ID, 4, QEMU_SUBSYSTEM)
        for offset, value in _RESET.items():
            self.declare(offset, 1, value, 0xFF)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def route(self, pirq: int) -> int | None:
        """The ISA interrupt that PIRQ[A:D] number `pirq` goes to; None if it goes nowhere."""
        route = self.peek(PIRQRC + pirq, 1)
        return route if route < ISA_INTERRUPTS else None
