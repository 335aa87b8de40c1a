"""Intel Q35 memory controller hub, device 0: host bridge, configuration space.

Source: Intel 3 Series Express Chipset Family data sheet (316966), section 5.1.

Modelled: all registers as they read back; PCIEXBAR, which says where ECAM is; the locks of SMRAM and ESMRAMC; where
TSEG is; QEMU's registers for a larger TSEG and for SMRAM at SMBASE.

Not modelled: where PAM sends memory accesses; the other base addresses (EPBAR, MCHBAR, DMIBAR), behind which QEMU has
nothing; VC0 and the graphics device.

Follows QEMU where the guest can see a difference from the data sheet: all other bytes from 40h on can be written and
read back, and a reset leaves them alone; PCIEXBAR is not enabled by the lock but by its bit 0; its identity is that of
a P35; there is no capability.
"""

from __future__ import annotations

from typing import Final, Self

from ..clock import Clock
from ..registers import Field, Register, RegisterMap, bit
from .i440fx import FIELDS_PAM, FIELDS_SMRAM, QEMU_SUBSYSTEM
from .pci_config import REGISTERS as HEADER
from .pci_config import SUBSYSTEM_VENDOR_ID, PciConfig

EXT_TSEG, PCIEXBAR, PAM0, F_SMBASE, SMRAM, ESMRAMC = 0x50, 0x60, 0x90, 0x9C, 0x9D, 0x9E

PCIEXBAR_RESET: Final = 0xB000_0000
ECAM_SIZES: Final = {0: 256 << 20, 1: 128 << 20, 2: 64 << 20}

SMRAM_RESET, SMRAM_WRITABLE, SMRAM_LOCKED, D_LCK, D_OPEN, G_SMRAME = 0x02, 0x78, 0x20, 0x10, 0x40, 0x08
ESMRAMC_RESET, ESMRAMC_WRITABLE, T_EN = 0x38, 0x87, 0x01
TSEG_MIB: Final = {0: 1, 1: 2, 2: 8}
EXT_TSEG_QUERY: Final = 0xFFFF
SMBASE, SMBASE_SIZE = 0x3_0000, 0x2_0000
SMBASE_QUERY, SMBASE_IN_RAM, SMBASE_LOCK = 0xFF, 0x01, 0x02

REGISTERS: Final = RegisterMap(
    *HEADER,
    Register("EPBAR", "Egress port base address", 0x40, "rw", width=64),
    Register("MCHBAR", "MCH memory mapped register range", 0x48, "rw", width=64),
    Register("EXT_TSEG_MBYTES", "QEMU: size of the largest TSEG in MiB", EXT_TSEG, "rw", width=16, source="QEMU"),
    Register("DEVEN", "Device enable", 0x54, "rw", width=32),
    Register(
        "PCIEXBAR", "PCI Express register range", PCIEXBAR, "rw",
        (bit("EN", 0), Field("LENGTH", 2, 1), bit("64ADMSK", 26), bit("128ADMSK", 27), Field("BASE", 35, 28)), width=64,
    ),
    Register("DMIBAR", "Root complex register range", 0x68, "rw", width=64),
    *(Register(f"PAM{n}", "Programmable attribute map", PAM0 + n, "rw", FIELDS_PAM) for n in range(7)),
    Register("LAC", "Legacy access control", 0x97, "rw"),
    Register("F_SMBASE", "QEMU: SMRAM at SMBASE", F_SMBASE, "rw", source="QEMU"),
    Register("SMRAM", "System management RAM control", SMRAM, "rw", FIELDS_SMRAM),
    Register(
        "ESMRAMC", "Extended system management RAM control", ESMRAMC, "rw",
        (bit("T_EN", 0), Field("TSEG_SZ", 2, 1), bit("SM_L2", 3), bit("SM_L1", 4), bit("SM_CACHE", 5),
         bit("E_SMERR", 6), bit("H_SMRAME", 7)),
    ),
    Register("TOM", "Top of memory", 0xA0, "rw", width=16),
    Register("TOUUD", "Top of upper usable DRAM", 0xA2, "rw", width=16),
    Register("GBSM", "Graphics base of stolen memory", 0xA4, "rw", width=32),
    Register("TSEGMB", "TSEG memory base", 0xAC, "rw", width=32),
    Register("TOLUD", "Top of low usable DRAM", 0xB0, "rw", width=16),
    Register("ERRSTS", "Error status", 0xC8, "rw", width=16),
    Register("ERRCMD", "Error command", 0xCA, "rw", width=16),
    Register("SKPD", "Scratchpad data", 0xDC, "rw", width=32),
    Register("CAPID0", "Capability identifier", 0xE0, "rw", width=64),
)  # fmt: skip


class Q35Mch(PciConfig):
    """The host bridge. `watch(PCIEXBAR, 8, …)` tells when ECAM moves."""

    title = "Intel Q35 MCH: host bridge"
    registers = REGISTERS
    kept_by_reset = (
        "0x*", "epbar", "mchbar", "ext_tseg_mbytes", "deven", "dmibar", "pam?", "lac", "tom", "touud", "gbsm",
        "tsegmb", "tolud", "err*", "skpd", "capid0",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(0x8086, 0x29C0, 0x0600)
        self.declare(SUBSYSTEM_VENDOR_ID, 4, QEMU_SUBSYSTEM)
        self.declare(PCIEXBAR, 8, PCIEXBAR_RESET, (1 << 64) - 1)
        self.declare(EXT_TSEG, 2, 0)
        self.learn(EXT_TSEG, 2)
        self.declare(SMRAM, 1, SMRAM_RESET, SMRAM_WRITABLE)
        self.declare(ESMRAMC, 1, ESMRAMC_RESET, ESMRAMC_WRITABLE)
        self.declare(F_SMBASE, 1, 0, 0xFF)
        self.watch(SMRAM, 1, self._lock)
        self.watch(F_SMBASE, 1, self._use_smbase)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""
        self.allow(SMRAM, SMRAM_WRITABLE)
        self.allow(ESMRAMC, ESMRAMC_WRITABLE)
        self.allow(F_SMBASE, 0xFF)
        super().reset()

    @property
    def ecam(self) -> tuple[int, int] | None:
        """Where ECAM is: base and size; None while it is not enabled, or its size is reserved."""
        value = self.peek(PCIEXBAR, 8)
        size = ECAM_SIZES.get(value >> 1 & 3)
        if not value & 1 or size is None:
            return None
        return value & ((1 << 36) - 1) & -size, size

    @property
    def tseg_mib(self) -> int | None:
        """The size of TSEG in MiB, 0 while there is none; None if it is QEMU's larger one, which is not known."""
        control = self.peek(ESMRAMC, 1)
        if not control & T_EN or not self.peek(SMRAM, 1) & G_SMRAME:
            return 0
        return TSEG_MIB.get(control >> 1 & 3)

    @property
    def is_smbase_locked(self) -> bool:
        """Whether only SMM sees the 128 KiB at 30000h."""
        return self.peek(F_SMBASE, 1) == SMBASE_LOCK

    @property
    def smbase(self) -> tuple[int, int] | None:
        """What only SMM sees at SMBASE: base and size; None while all do."""
        return (SMBASE, SMBASE_SIZE) if self.is_smbase_locked else None

    def _lock(self) -> None:
        """D_LCK: nothing but D_CLS changes until the next reset."""
        value = self.peek(SMRAM, 1)
        if value & D_LCK:
            self.poke(SMRAM, 1, value & ~D_OPEN)
            self.allow(SMRAM, SMRAM_LOCKED)
            self.allow(ESMRAMC, 0)

    def _use_smbase(self) -> None:
        """QEMU's handshake: FFh asks and is answered with 01h, then 02h locks."""
        value, writable = self.peek(F_SMBASE, 1), self.allowed(F_SMBASE)
        if value == SMBASE_QUERY:
            self.allow(F_SMBASE, SMBASE_LOCK)
            self.poke(F_SMBASE, 1, SMBASE_IN_RAM)
        elif writable == 0xFF:
            self.poke(F_SMBASE, 1, 0)
        elif value & SMBASE_LOCK:
            self.allow(F_SMBASE, 0)
            self.poke(F_SMBASE, 1, SMBASE_LOCK)
