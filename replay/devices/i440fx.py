"""Intel 82441FX (PMC), the i440FX's host bridge: configuration space.

Source: Intel 440FX PCIset, 82441FX PCI and Memory Controller data sheet (290549), section 3.2.

Modelled: all registers as they read back, with their power-on values.

Not modelled: where they send memory accesses (PAM, SMRAM: what is RAM or ROM is no device access and not in a trace).

Follows QEMU where the guest can see a difference from the data sheet: besides the header only SMRAM has a power-on
value other than 0; all bytes from 40h on can be written and read back; a reset leaves them alone; byte 57h has the size
of the memory in units of 8 MiB, at most FFh, for firmware that asks for it there (coreboot's convention).
"""

from __future__ import annotations

from typing import Final, Self

from ..clock import Clock
from ..registers import Field, Register, RegisterMap, bit
from .pci_config import REGISTERS as HEADER
from .pci_config import REVISION_ID, SUBSYSTEM_VENDOR_ID, PciConfig

QEMU_SUBSYSTEM: Final = 0x1100_1AF4
RAM_SIZE, SMRAM, PAM0 = 0x57, 0x72, 0x59

FIELDS_PAM: Final = (
    bit("RE_LO", 0), bit("WE_LO", 1), bit("CE_LO", 2), bit("RE_HI", 4), bit("WE_HI", 5), bit("CE_HI", 6),
)  # fmt: skip
FIELDS_SMRAM: Final = (
    Field("C_BASE_SEG", 2, 0), bit("G_SMRAME", 3), bit("D_LCK", 4), bit("D_CLS", 5), bit("D_OPEN", 6),
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    *HEADER,
    Register("PMCCFG", "PMC configuration", 0x50, "rw", width=16),
    Register("DETURBO", "Deturbo counter control", 0x52, "rw"),
    Register("DBC", "DBX buffer control", 0x53, "rw"),
    Register("AXC", "Auxiliary control", 0x54, "rw"),
    Register("DRT", "DRAM row type", 0x55, "rw", width=16),
    Register("DRAMC", "DRAM control; QEMU: size of memory in 8 MiB", RAM_SIZE, "rw"),
    Register("DRAMT", "DRAM timing", 0x58, "rw"),
    *(Register(f"PAM{n}", "Programmable attribute map", PAM0 + n, "rw", FIELDS_PAM) for n in range(7)),
    *(Register(f"DRB{n}", "DRAM row boundary", 0x60 + n, "rw") for n in range(8)),
    Register("FDHC", "Fixed DRAM hole control", 0x68, "rw"),
    Register("MTT", "Multi-transaction timer", 0x70, "rw"),
    Register("CLT", "CPU latency timer", 0x71, "rw"),
    Register("SMRAMC", "System management RAM control", SMRAM, "rw", FIELDS_SMRAM),
    Register("ERRCMD", "Error command", 0x90, "rw"),
    Register("ERRSTS", "Error status", 0x91, "rw"),
    Register("TRC", "Turbo reset control", 0x93, "rw"),
)


class I440Fx(PciConfig):
    """The host bridge. `ram_bytes` is the size of the memory below 4 GiB."""

    title = "Intel 82441FX: i440FX host bridge"
    registers = REGISTERS
    kept_by_reset = (
        "0x*", "pmccfg", "deturbo", "dbc", "axc", "drt", "dram?", "pam?", "drb?", "fdhc", "mtt", "clt", "smramc",
        "err*", "trc",
    )  # fmt: skip

    def __init__(self, ram_bytes: int = 0) -> None:
        super().__init__(0x8086, 0x1237, 0x0600)
        self.declare(REVISION_ID, 1, 2)
        self.declare(SUBSYSTEM_VENDOR_ID, 4, QEMU_SUBSYSTEM)
        self.declare(SMRAM, 1, 0x02, 0xFF, kept=True)
        self.declare(RAM_SIZE, 1, min(ram_bytes >> 23, 0xFF), 0xFF, kept=True)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(128 << 20)
