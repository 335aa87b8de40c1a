"""Capabilities of PCI functions, as declarations on a `PciConfig`: MSI, MSI-X, power management, PCI Express.

Source: PCI Local Bus Specification 3.0, section 6.8 on MSI and MSI-X; PCI Bus Power Management Interface
Specification 1.2, section 3.2; PCI Express Base Specification 3.0, section 7.8.

Follows QEMU in which bits a guest can write, and in where a capability goes: at the head of the list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..registers import Field, Register, bit
from .pci_config import PciConfig

CAP_PM, CAP_MSI, CAP_VENDOR, CAP_SHPC, CAP_SSVID, CAP_EXPRESS, CAP_MSIX, CAP_SATA = (
    0x01, 0x05, 0x09, 0x0C, 0x0D, 0x10, 0x11, 0x12,
)  # fmt: skip

MSI_ENABLE, MSI_64, MSI_MASKS, MSI_VECTORS_SHIFT = 0x01, 0x80, 0x100, 1
MSIX_ENABLE, MSIX_MASK_ALL = 0x8000, 0x4000

FIELDS_MSI: Final = (bit("MSIE", 0), Field("MMC", 3, 1), Field("MME", 6, 4), bit("C64", 7), bit("PVM", 8))
FIELDS_MSIX: Final = (Field("TS", 10, 0), bit("FM", 14), bit("MXE", 15))
FIELDS_PMCSR: Final = (Field("PS", 1, 0), bit("NSFRST", 3), bit("PMEE", 8), bit("PMES", 15))


def _name(config: PciConfig, name: str, title: str, offset: int, width: int, *fields: Field) -> None:
    config.name(Register(name, title, offset, "rw", fields, width=width))


def _name_header(config: PciConfig, name: str, offset: int) -> None:
    _name(config, f"{name}.CID", "Capability identifier", offset, 8)
    _name(config, f"{name}.NEXT", "Next capability", offset + 1, 8)


def add_msi(
    config: PciConfig, offset: int = 0, *, vectors: int = 1, is_64: bool = True, masks: bool = False,
    changed: Callable[[], None] | None = None,
) -> int:  # fmt: skip
    """Add MSI with `vectors` messages, a power of two; `changed` is called when the guest wrote its registers."""
    size = (0x18 if is_64 else 0x14) if masks else (0x0E if is_64 else 0x0A)
    at = config.add_capability(CAP_MSI, size, offset)
    most = vectors.bit_length() - 1
    control = most << MSI_VECTORS_SHIFT | (MSI_64 if is_64 else 0) | (MSI_MASKS if masks else 0)
    config.declare(at + 2, 2, control, 0x71)
    config.declare(at + 4, 4, 0, 0xFFFF_FFFC)
    data = at + 8
    _name_header(config, "MSI", at)
    _name(config, "MSI.MC", "Message control", at + 2, 16, *FIELDS_MSI)
    _name(config, "MSI.MA", "Message address", at + 4, 32)
    if is_64:
        config.declare(at + 8, 4, 0, 0xFFFF_FFFF)
        _name(config, "MSI.MUA", "Message upper address", at + 8, 32)
        data = at + 12
    config.declare(data, 2, 0, 0xFFFF)
    _name(config, "MSI.MD", "Message data", data, 16)
    if masks:
        config.declare(data + 4, 4, 0, (1 << vectors) - 1)
        _name(config, "MSI.MMASK", "Mask bits", data + 4, 32)
        _name(config, "MSI.MPEND", "Pending bits", data + 8, 32)

    def limit() -> None:  # more messages than there are cannot be enabled
        value = config.peek(at + 2, 2)
        if value >> 4 & 7 > most:
            config.poke(at + 2, 2, value & ~0x70 | most << 4)

    config.watch(at + 2, 2, limit)
    if changed is not None:
        config.watch(at, size, changed)
    return at


def add_msix(config: PciConfig, offset: int, vectors: int, table: tuple[int, int], pending: tuple[int, int]) -> int:
    """Add MSI-X; `table` and `pending` are (BAR, offset in it)."""
    at = config.add_capability(CAP_MSIX, 12, offset)
    config.declare(at + 2, 2, vectors - 1, MSIX_ENABLE | MSIX_MASK_ALL)
    config.declare(at + 4, 4, table[1] | table[0])
    config.declare(at + 8, 4, pending[1] | pending[0])
    _name_header(config, "MSIX", at)
    _name(config, "MSIX.MXC", "Message control", at + 2, 16, *FIELDS_MSIX)
    _name(config, "MSIX.MTAB", "Table", at + 4, 32, Field("TBIR", 2, 0), Field("TO", 31, 3))
    _name(config, "MSIX.MPBA", "Pending bit array", at + 8, 32, Field("PBIR", 2, 0), Field("PBAO", 31, 3))
    return at


def add_power_management(
    config: PciConfig, offset: int = 0, *, capabilities: int = 3, status: int = 0, writable: int = 0, clears: int = 0
) -> int:
    """Add power management with its capabilities (PMC) and what can be written of its status (PMCSR)."""
    at = config.add_capability(CAP_PM, 8, offset)
    config.declare(at + 2, 2, capabilities)
    config.declare(at + 4, 2, status, writable, clears)
    _name_header(config, "PM", at)
    _name(config, "PM.PC", "Power management capabilities", at + 2, 16)
    _name(config, "PM.PMCS", "Power management control and status", at + 4, 16, *FIELDS_PMCSR)
    return at


def add_vendor(config: PciConfig, content: bytes, offset: int = 0, name: str = "VND") -> int:
    """Add a read-only vendor-specific capability: `content` is what follows identifier and link."""
    at = config.add_capability(CAP_VENDOR, 2 + len(content), offset)
    config.declare(at + 2, len(content), int.from_bytes(content, "little"))
    _name_header(config, name, at)
    return at


def add_subsystem(config: PciConfig, vendor_id: int, subsystem_id: int, offset: int = 0) -> int:
    """Add a bridge's subsystem identities."""
    at = config.add_capability(CAP_SSVID, 8, offset)
    config.declare(at + 4, 4, vendor_id | subsystem_id << 16)
    _name_header(config, "SSVID", at)
    _name(config, "SSVID.SSVID", "Subsystem vendor identification", at + 4, 16)
    _name(config, "SSVID.SSID", "Subsystem identification", at + 6, 16)
    return at


# PCI Express

ENDPOINT, ROOT_PORT, UPSTREAM_PORT, DOWNSTREAM_PORT, TO_PCI, INTEGRATED = 0, 4, 5, 6, 7, 9
"""Kinds of functions (device/port type): the last is an endpoint on the root bus."""

EXTENDED_TAG, ROLE_BASED_ERRORS, FUNCTION_RESET = 0x20, 0x8000, 0x1000_0000
LINK_2_5GT_X1: Final = 0x0411
SLOT_COMMAND_COMPLETED: Final = 0x0010
AER_UNCORRECTABLE, AER_CORRECTABLE = 0x03FF_F030, 0xF1C1

FIELDS_DEVICE_CONTROL: Final = (bit("CERE", 0), bit("NFERE", 1), bit("FERE", 2), bit("URRE", 3), bit("BCR_FLR", 15))


def add_express(
    config: PciConfig, offset: int, kind: int, *, version: int = 2, resets: bool = False, link: int = LINK_2_5GT_X1,
    flags: int = 0, capabilities_2: int = 0x0030_0000, controls_2: int = 0x8000,
) -> int:  # fmt: skip
    """Add PCI Express of a function of some `kind`; `resets` tells whether it can be reset by itself."""
    at = config.add_capability(CAP_EXPRESS, 0x3C if version > 1 else 0x14, offset)
    config.declare(at + 2, 2, version | kind << 4 | flags)
    config.declare(at + 4, 4, EXTENDED_TAG | ROLE_BASED_ERRORS | (FUNCTION_RESET if resets else 0))
    reports = 0xF if version > 1 else 0
    config.declare(at + 8, 2, 0, reports)
    config.declare(at + 0xA, 2, 0, clears=reports)
    config.declare(at + 0xC, 4, link)
    config.declare(at + 0x10, 2, 0, 0xC0)
    config.declare(at + 0x12, 2, 0x0011)
    _name_header(config, "PXCAP", at)
    _name(config, "PXCAP.PXCAP", "PCI Express capabilities", at + 2, 16, Field("VER", 3, 0), Field("DPT", 7, 4))
    _name(config, "PXCAP.PXDCAP", "Device capabilities", at + 4, 32)
    _name(config, "PXCAP.PXDC", "Device control", at + 8, 16, *FIELDS_DEVICE_CONTROL)
    _name(config, "PXCAP.PXDS", "Device status", at + 0xA, 16)
    _name(config, "PXCAP.PXLCAP", "Link capabilities", at + 0xC, 32)
    _name(config, "PXCAP.PXLC", "Link control", at + 0x10, 16)
    _name(config, "PXCAP.PXLS", "Link status", at + 0x12, 16)
    if version > 1:
        config.declare(at + 0x24, 4, capabilities_2)
        config.declare(at + 0x28, 2, 0, controls_2)
        _name(config, "PXCAP.PXDCAP2", "Device capabilities 2", at + 0x24, 32)
        _name(config, "PXCAP.PXDC2", "Device control 2", at + 0x28, 16)
    return at


def add_slot(config: PciConfig, at: int, slot: int | None, speeds: int) -> None:
    """Complete the PCI Express capability of a root port: slot, root and second link registers.

    Args:
        config: the port's.
        at: where the capability is.
        slot: the number of the slot; None if only the recording knows it.
        speeds: of the link, as a mask; 0 where the second link registers are not used.
    """
    config.declare(at + 0x14, 4, 0x0002_007B | (slot or 0) << 19)
    if slot is None:
        config.learn(at + 0x14, 4, 0xFFF8_0000)
    config.declare(at + 0x18, 2, 0x03C0, 0x07F9)
    config.declare(at + 0x1A, 2, 0, clears=0x19)

    def complete() -> None:
        config.poke(at + 0x1A, 2, config.peek(at + 0x1A, 2) | SLOT_COMMAND_COMPLETED)

    config.watch(at + 0x18, 2, complete, on_reset=False)
    config.declare(at + 0x1C, 4, 0, 0x7)
    config.declare(at + 0x20, 4, 0)
    if speeds:
        config.declare(at + 0x2C, 4, speeds)
        config.declare(at + 0x30, 2, 0x0004, 0x000F)
    _name(config, "PXCAP.SLCAP", "Slot capabilities", at + 0x14, 32)
    _name(config, "PXCAP.SLCTL", "Slot control", at + 0x18, 16)
    _name(config, "PXCAP.SLSTS", "Slot status", at + 0x1A, 16)
    _name(config, "PXCAP.RCTL", "Root control", at + 0x1C, 16)
    _name(config, "PXCAP.RSTS", "Root status", at + 0x20, 32)
    _name(config, "PXCAP.LCAP2", "Link capabilities 2", at + 0x2C, 32)
    _name(config, "PXCAP.LCTL2", "Link control 2", at + 0x30, 16)


def add_extended(config: PciConfig, offset: int, identity: int, version: int, following: int, size: int) -> None:
    """Add an extended capability, all of it 0 and read-only behind its header."""
    if config.size > offset:
        config.declare(offset, size, identity | version << 16 | following << 20)
        _name(config, f"ECAP{identity:02X}.HEADER", "Extended capability header", offset, 32)


def add_errors(config: PciConfig, offset: int, following: int, *, is_root: bool = False, log: int = 0xA0) -> None:
    """Add advanced error reporting."""
    if config.size <= offset:
        return
    add_extended(config, offset, 0x01, 2, following, 0x48)
    config.declare(offset + 0x04, 4, 0, clears=AER_UNCORRECTABLE)
    config.declare(offset + 0x08, 4, 0x0240_0000, AER_UNCORRECTABLE)
    config.declare(offset + 0x0C, 4, 0x0046_2030, AER_UNCORRECTABLE)
    config.declare(offset + 0x10, 4, 0, clears=AER_CORRECTABLE)
    config.declare(offset + 0x14, 4, 0xE000, AER_CORRECTABLE)
    config.declare(offset + 0x18, 4, log, 0x0140)
    if is_root:
        config.declare(offset + 0x2C, 4, 0, 0x7)
        config.declare(offset + 0x30, 4, 0, clears=0x7F)
    for name, at in (("UES", 4), ("UEM", 8), ("UESEV", 0xC), ("CES", 0x10), ("CEM", 0x14), ("CC", 0x18)):
        _name(config, f"AER.{name}", "Advanced error reporting", offset + at, 32)
