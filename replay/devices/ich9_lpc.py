"""Intel ICH9, device 31 function 0: LPC bridge, configuration space and interrupt routing.

Source: Intel I/O Controller Hub 9 (ICH9) Family data sheet (316972), sections 13.1 and 13.8.1.

Modelled: all registers as they read back; PMBASE, ACPI_CNTL, RCBA and PIRQx_ROUT, which tell the machine where ports,
chipset registers and interrupts are; the SMI lock.

Not modelled: what the decode ranges, GPIO and firmware hub registers do. The ports' registers are other devices.

Follows QEMU where the guest can see a difference from the data sheet: all other bytes from 40h on can be written and
read back, and a reset leaves them alone; of PMBASE bits 15-7 and, for no reason, bits 2-0 can be written; LPC_EN says
at the start which ISA ports there are; there is no feature detection capability.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Self

from ..clock import Clock
from ..registers import Field, Register, RegisterMap, bit
from .i440fx import QEMU_SUBSYSTEM
from .pci_config import HEADER_TYPE, MULTI_FUNCTION, REVISION_ID, SUBSYSTEM_VENDOR_ID, PciConfig
from .pci_config import REGISTERS as HEADER

PMBASE, ACPI_CNTL, PIRQA_ROUT, PIRQE_ROUT, LPC_EN, GEN_PMCON_1, GEN_PMCON_3, RCBA = (
    0x40, 0x44, 0x60, 0x68, 0x82, 0xA0, 0xA4, 0xF0,
)  # fmt: skip
PIRQS: Final = 8
ROUTE_DISABLED: Final = 0x80
ACPI_EN: Final = 0x80
SMI_LOCK: Final = 0x10
SCI_INTERRUPTS: Final = {0: 9, 1: 10, 2: 11, 4: 20, 5: 21}
RCBA_SIZE: Final = 0x4000

_PORTS: Final = {0x3F8: 0x01, 0x2F8: 0x02, 0x378: 0x04, 0x3F2: 0x08}
"""ISA ports whose presence LPC_EN shows, and its bits."""

FIELDS_ROUT: Final = (Field("IR", 3, 0), bit("IRQEN", 7))
_DECODES: Final = tuple(
    Register(f"GEN{n + 1}_DEC", "LPC interface generic decode range", 0x84 + 4 * n, "rw", width=32) for n in range(4)
)

REGISTERS: Final = RegisterMap(
    *HEADER,
    Register("PMBASE", "ACPI base address", PMBASE, "rw", (bit("RTE", 0), Field("BASE", 15, 7)), width=32),
    Register("ACPI_CNTL", "ACPI control", ACPI_CNTL, "rw", (Field("SCI_IRQ_SEL", 2, 0), bit("ACPI_EN", 7))),
    Register("GPIOBASE", "GPIO base address", 0x48, "rw", width=32),
    Register("GC", "GPIO control", 0x4C, "rw"),
    *(Register(f"PIRQ{'ABCD'[n]}_ROUT", "PIRQ routing control", PIRQA_ROUT + n, "rw", FIELDS_ROUT) for n in range(4)),
    Register("SIRQ_CNTL", "Serial IRQ control", 0x64, "rw"),
    *(Register(f"PIRQ{'EFGH'[n]}_ROUT", "PIRQ routing control", PIRQE_ROUT + n, "rw", FIELDS_ROUT) for n in range(4)),
    Register("LPC_I/O_DEC", "I/O decode ranges", 0x80, "rw", width=16),
    Register("LPC_EN", "LPC interface enables", LPC_EN, "rw", (
        bit("COMA_LPC_EN", 0), bit("COMB_LPC_EN", 1), bit("LPT_LPC_EN", 2), bit("FDD_LPC_EN", 3)), width=16),
    *_DECODES,
    Register("GEN_PMCON_1", "General PM configuration 1", GEN_PMCON_1, "rw", (
        Field("PER_SMI_SEL", 1, 0), bit("SMI_LOCK", 4)), width=16),
    Register("GEN_PMCON_2", "General PM configuration 2", 0xA2, "rw"),
    Register("GEN_PMCON_3", "General PM configuration 3", GEN_PMCON_3, "rw", (
        Field("SWSMI_RATE_SEL", 7, 6),), width=16),
    Register("GEN_PMCON_LOCK", "General PM configuration lock", 0xA6, "rw"),
    Register("BM_BREAK_EN", "BM_BREAK_EN", 0xAB, "rw"),
    Register("PMIR", "Power management initialization", 0xAC, "rw", width=32),
    Register("GPI_ROUT", "GPI routing control", 0xB8, "rw", width=32),
    Register("FWH_SEL1", "Firmware hub select 1", 0xD0, "rw", width=32),
    Register("FWH_SEL2", "Firmware hub select 2", 0xD4, "rw", width=16),
    Register("FWH_DEC_EN1", "Firmware hub decode enable", 0xD8, "rw", width=16),
    Register("BIOS_CNTL", "BIOS control", 0xDC, "rw"),
    Register("FDCAP", "Feature detection capability", 0xE0, "rw", width=16),
    Register("RCBA", "Root complex base address", RCBA, "rw", (bit("EN", 0), Field("BA", 31, 14)), width=32),
)  # fmt: skip


class Ich9Lpc(PciConfig):
    """The LPC bridge.

    Args:
        ports: the ISA ports that the machine has.
    """

    title = "Intel ICH9: LPC bridge"
    registers = REGISTERS
    kept_by_reset = (
        "0x*", "gpiobase", "gc", "sirq_cntl", "lpc_*", "gen*", "bm_break_en", "pmir", "gpi_rout", "fwh_*", "bios_cntl",
        "fdcap",
    )  # fmt: skip

    def __init__(self, ports: Container[int] = ()) -> None:
        super().__init__(0x8086, 0x2918, 0x0601)
        self.declare(REVISION_ID, 1, 2)
        self.declare(HEADER_TYPE, 1, MULTI_FUNCTION)
        self.declare(SUBSYSTEM_VENDOR_ID, 4, QEMU_SUBSYSTEM)
        self.declare(PMBASE, 4, 1, 0xFF87)
        self.declare(ACPI_CNTL, 1, 0, 0xFF)
        for offset in (PIRQA_ROUT, PIRQE_ROUT):
            self.declare(offset, 4, 0x8080_8080, 0xFFFF_FFFF)
        self.declare(RCBA, 4, 0, 0xFFFF_FFFF)
        self.declare(LPC_EN, 1, sum(bits for port, bits in _PORTS.items() if port in ports), 0xFF, kept=True)
        self.watch(GEN_PMCON_1, 2, self._lock_smi)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls((0x3F8,))

    @property
    def pm_base(self) -> int | None:
        """The first ACPI port; None while they are off."""
        base = self.peek(PMBASE, 4) & 0xFF80
        return base if base and self.peek(ACPI_CNTL, 1) & ACPI_EN else None

    @property
    def rcba(self) -> int | None:
        """Where the chipset configuration registers are; None while they are off."""
        value = self.peek(RCBA, 4)
        return value & 0xFFFF_C000 if value & 1 else None

    @property
    def sci(self) -> int | None:
        """The interrupt that SCI is; None if ACPI_CNTL has a reserved value."""
        return SCI_INTERRUPTS.get(self.peek(ACPI_CNTL, 1) & 7)

    @property
    def is_smi_locked(self) -> bool:
        """Whether GBL_SMI_EN cannot be written any more."""
        return bool(self.peek(GEN_PMCON_1, 1) & SMI_LOCK)

    def route(self, pirq: int) -> int | None:
        """The 8259A interrupt that PIRQ[A:H] number `pirq` goes to; None if it goes nowhere."""
        route = self.peek((PIRQA_ROUT if pirq < 4 else PIRQE_ROUT) + pirq % 4, 1)
        return None if route & ROUTE_DISABLED else route & 0xF

    def _lock_smi(self) -> None:
        if self.is_smi_locked:
            self.allow(GEN_PMCON_1, self.allowed(GEN_PMCON_1) & ~SMI_LOCK)
