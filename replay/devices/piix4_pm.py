"""Intel 82371AB (PIIX4), function 3: power management and SMBus, configuration space.

Source: Intel 82371AB (PIIX4) data sheet (290562), sections 7.1 and 7.2.

Modelled: all registers as they read back; where the power management and the SMBus ports are.

Not modelled: what the device monitor and timing registers do. The ports' registers are other devices.

Follows QEMU where the guest can see a difference from the data sheet: all bytes from 40h on can be written and read
back; a reset sets PMBA and PMREGMISC and clears DEVACTB, and leaves the others alone; DEVRESD says which ISA ports
there are. SMBus is on from the start. Without system management mode a reset sets APMC_EN, so that firmware leaves it
alone.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Self

from ..clock import Clock
from ..registers import Field, Register, RegisterMap, bit
from .i440fx import QEMU_SUBSYSTEM
from .pci_config import INTERRUPT_PIN, REVISION_ID, STATUS, STATUS_ERRORS, SUBSYSTEM_VENDOR_ID, PciConfig
from .pci_config import REGISTERS as HEADER

PMBA, DEVACTB, DEVRESB, DEVRESD, DEVRESE = 0x40, 0x58, 0x5F, 0x63, 0x67
PMREGMISC, SMBBA, SMBHSTCFG = 0x80, 0x90, 0xD2

SMBUS_BASE: Final = 0xB100
BASE_MASK: Final = 0xFFC0
APMC_EN: Final = 1 << 25

REGISTERS: Final = RegisterMap(
    *HEADER,
    Register("PMBA", "Power management base address", PMBA, "rw", (bit("IO", 0), Field("BASE", 15, 6)), width=32),
    Register("CNTA", "Count A", 0x44, "rw", width=32),
    Register("CNTB", "Count B", 0x48, "rw", width=32),
    Register("GPICTL", "General purpose input control", 0x4C, "rw", width=32),
    Register("DEVRESD0", "Device resource D", 0x50, "rw", width=24),
    Register("DEVACTA", "Device activity A", 0x54, "rw", width=32),
    Register("DEVACTB", "Device activity B", DEVACTB, "rw", (bit("APMC_EN", 25),), width=32),
    Register("DEVRESA", "Device resource A", 0x5C, "rw", width=24),
    Register("DEVRESA3", "Device resource A: parallel port", DEVRESB, "rw"),
    Register("DEVRESB", "Device resource B", 0x60, "rw", width=24),
    Register("DEVRESB3", "Device resource B", DEVRESD, "rw"),
    Register("DEVRESC", "Device resource C", 0x64, "rw", width=24),
    Register("DEVRESC3", "Device resource C: serial ports", DEVRESE, "rw"),
    Register("DEVRESE", "Device resource E", 0x68, "rw", width=24),
    Register("DEVRESF", "Device resource F", 0x6C, "rw", width=32),
    Register("DEVRESG", "Device resource G", 0x70, "rw", width=24),
    Register("DEVRESH", "Device resource H", 0x74, "rw", width=24),
    Register("DEVRESI", "Device resource I", 0x78, "rw", width=24),
    Register("DEVRESJ", "Device resource J", 0x7C, "rw", width=24),
    Register("PMREGMISC", "Miscellaneous power management", PMREGMISC, "rw", (bit("PMIOSE", 0),)),
    Register("SMBBA", "SMBus base address", SMBBA, "rw", (bit("IO", 0), Field("BASE", 15, 6)), width=32),
    Register(
        "SMBHSTCFG", "SMBus host configuration", SMBHSTCFG, "rw", (bit("SMB_HST_EN", 0), Field("SMB_INTRSEL", 3, 1))
    ),
    Register("SMBSLVC", "SMBus slave command", 0xD3, "rw"),
    Register("SMBSHDW1", "SMBus slave shadow port 1", 0xD4, "rw"),
    Register("SMBSHDW2", "SMBus slave shadow port 2", 0xD5, "rw"),
    Register("SMBREV", "SMBus revision", 0xD6, "rw"),
)

_RESET: Final = {PMBA: 0x01, DEVACTB: 0, DEVACTB + 1: 0, DEVACTB + 2: 0, DEVACTB + 3: 0, PMREGMISC: 0}


class Piix4Pm(PciConfig):
    """The power management function.

    Args:
        ports: the ISA ports that the machine has.
        has_smm: whether the machine has system management mode.
    """

    title = "Intel PIIX4: power management and SMBus function"
    registers = REGISTERS
    kept_by_reset = ("0x*", "pmba", "cnt?", "gpictl", "devacta", "devres*", "smb*")

    def __init__(self, ports: Container[int] = (), *, has_smm: bool = True) -> None:
        super().__init__(0x8086, 0x7113, 0x0680)
        self.declare(REVISION_ID, 1, 3)
        self.declare(STATUS, 2, 0x0280, clears=STATUS_ERRORS)
        self.declare(SUBSYSTEM_VENDOR_ID, 4, QEMU_SUBSYSTEM)
        self.declare(INTERRUPT_PIN, 1, 1)
        for offset, value in _RESET.items():
            self.declare(offset, 1, value, 0xFF)
        if not has_smm:
            self.declare(DEVACTB + 3, 1, APMC_EN >> 24, 0xFF)
        serial = (0x08 if 0x3F8 in ports else 0) | (0x90 if 0x2F8 in ports else 0)
        parallel = 0x80 if 0x378 in ports else 0
        for offset, value in ((DEVRESB, 0x10 | parallel), (DEVRESD, 0x60), (DEVRESE, serial), (SMBHSTCFG, 0x09)):
            self.declare(offset, 1, value, 0xFF, kept=True)
        self.declare(SMBBA, 4, SMBUS_BASE | 1, 0xFFFF_FFFF, kept=True)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls((0x3F8,))

    @property
    def pm_base(self) -> int | None:
        """The first power management port; None while they are off."""
        return self.peek(PMBA, 4) & BASE_MASK if self.peek(PMREGMISC, 1) & 1 else None

    @property
    def smbus_base(self) -> int | None:
        """The first SMBus port; None while they are off."""
        return self.peek(SMBBA, 4) & BASE_MASK if self.peek(SMBHSTCFG, 1) & 1 else None
