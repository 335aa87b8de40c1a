"""What is known of QEMU's PCI cards beyond their identities and BARs: revisions, capabilities, registers of their own.

Source: QEMU, docs/specs and the devices' properties; each card's data sheet for what is not QEMU's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from ..devices.i440fx import QEMU_SUBSYSTEM
from ..devices.pci_config import (
    CAPABILITIES_POINTER,
    HEADER_TYPE,
    INTERRUPT_PIN,
    LATENCY_TIMER,
    MAX_LAT,
    MIN_GNT,
    MULTI_FUNCTION,
    PROG_IF,
    REVISION_ID,
    STATUS,
    STATUS_ERRORS,
    SUBSYSTEM_VENDOR_ID,
)
from . import pci_bridge_kinds as bridges
from . import pci_card_kinds as kinds

if TYPE_CHECKING:
    from ..guest import PciFunction
    from .pci import Function
    from .pci_card_kinds import CardContext

Complete = Callable[["Function", "CardContext"], None]
"""Adds capabilities and registers."""


class Card(NamedTuple):
    """A kind of function."""

    revision: int = 0
    prog_if: int = 0
    pin: int = 1
    subsystem: int | None = QEMU_SUBSYSTEM
    """Vendor in the low half; None if the header has none."""
    status: int = 0
    complete: Complete | None = None
    is_express: bool | Callable[[PciFunction], bool] = False
    """Whether it has 4096 bytes of configuration space where there is ECAM, even on the root bus."""
    bytes: tuple[tuple[int, int], ...] = ()
    """More read-only bytes of the header: offsets and values."""
    own: tuple[tuple[int, int], ...] = ()
    """Bytes behind the header with a value from power-on, which a guest can write: offsets and values."""

    def build(self, function: Function, context: CardContext) -> None:
        """Complete a function's configuration space."""
        config = function.config
        config.declare(REVISION_ID, 1, self.revision)
        config.declare(PROG_IF, 1, self.prog_if)
        config.declare(INTERRUPT_PIN, 1, self.pin)
        config.declare(STATUS, 2, self.status, clears=STATUS_ERRORS)
        if self.subsystem is not None:
            config.declare(SUBSYSTEM_VENDOR_ID, 4, self.subsystem)
        for offset, value in self.bytes:
            config.declare(offset, 1, value)
        for offset, value in self.own:
            config.declare(offset, 1, value, 0xFF, kept=True)
        if context.is_multifunction:
            config.declare(HEADER_TYPE, 1, config.peek(HEADER_TYPE, 1) | MULTI_FUNCTION)
        if self.complete is not None:
            self.complete(function, context)


_INTEL, _REDHAT, _QEMU, _REALTEK, _LSI, _TI, _AMD, _NEC, _VMWARE = (
    0x8086, 0x1B36, 0x1234, 0x10EC, 0x1000, 0x104C, 0x1022, 0x1033, 0x15AD,
)  # fmt: skip

DISPLAY: Final = 0x0380
"""Class of display controllers that are neither VGA nor XGA."""

CARDS: Final[dict[tuple[int, int], Card]] = {
    (_INTEL, 0x10D3): Card(subsystem=_INTEL, is_express=True, complete=kinds.e1000e),
    (_INTEL, 0x1229): Card(
        2, status=0x0280, bytes=((LATENCY_TIMER, 0x20), (MIN_GNT, 0x08), (MAX_LAT, 0x18))
    ),  # i82557b
    (_INTEL, 0x2415): Card(revision=1, status=0x0280),  # AC97
    (_INTEL, 0x244E): Card(0x92, 1, 0, None, 0x00A0, complete=bridges.i82801b11),
    (_INTEL, 0x25AB): Card(pin=0, complete=kinds.i6300esb),
    (_INTEL, 0x2668): Card(1, own=((0x40, 0x01),), complete=kinds.hda),
    (_INTEL, 0x2922): Card(2, 1, complete=kinds.ahci, own=((0x90, 0x40),)),
    (_INTEL, 0x2930): Card(2, complete=kinds.ich9_smbus),
    (_INTEL, 0x2934): Card(3, 0, 1, own=((0x60, 0x10), (0x6A, 0x01), (0xC1, 0x20))),  # ich9-usb-uhci1
    (_INTEL, 0x2935): Card(3, 0, 2, own=((0x60, 0x10), (0x6A, 0x01), (0xC1, 0x20))),
    (_INTEL, 0x2936): Card(3, 0, 3, own=((0x60, 0x10), (0x6A, 0x01), (0xC1, 0x20))),
    (_INTEL, 0x293A): Card(3, 0x20, 4, own=((0x60, 0x20), (0x61, 0x20), (0x68, 0x01))),  # ich9-usb-ehci1
    (_INTEL, 0x293E): Card(3, own=((0x40, 0x01),), complete=kinds.hda),
    (_INTEL, 0x3420): Card(2, subsystem=None, is_express=True, complete=bridges.ioh3420),
    (_INTEL, 0x7010): Card(prog_if=0x80, pin=0, status=0x0280),  # PIIX3 IDE
    (_INTEL, 0x7020): Card(1, 0, 4, own=((0x60, 0x10), (0x6A, 0x01), (0xC1, 0x20))),  # piix3-usb-uhci
    (_REDHAT, 0x0001): Card(subsystem=None, status=0x00A0, complete=bridges.pci_bridge),
    (_REDHAT, 0x0002): Card(1, 2),  # pci-serial
    (_REDHAT, 0x0005): Card(pin=0),  # pci-testdev
    (_REDHAT, 0x0007): Card(prog_if=1),  # sdhci-pci
    (_REDHAT, 0x0008): Card(pin=0),  # gpex-root
    (_REDHAT, 0x0009): Card(pin=0, status=0x00A0),  # pxb
    (_REDHAT, 0x000B): Card(pin=0, status=0x00A0),  # pxb-pcie
    (_REDHAT, 0x000C): Card(subsystem=None, is_express=True, complete=bridges.root_port),
    (_REDHAT, 0x000D): Card(1, 0x30, own=((0x60, 0x30),), is_express=True, complete=kinds.xhci),
    (_REDHAT, 0x000E): Card(subsystem=None, status=0x00A0, is_express=True, complete=bridges.pcie_pci_bridge),
    (_REDHAT, 0x0011): Card(1, pin=0),  # pvpanic-pci
    (_REDHAT, 0x0010): Card(2, 2, is_express=True, complete=kinds.nvme),
    # VGA, and bochs-display, which is no VGA
    (_QEMU, 0x1111): Card(2, pin=0, is_express=lambda what: what.class_code == DISPLAY, complete=kinds.bochs_display),
    (_QEMU, 0x11E8): Card(0x10, complete=kinds.edu),
    (_REALTEK, 0x8029): Card(),  # ne2k_pci
    (_REALTEK, 0x8139): Card(0x20, bytes=((CAPABILITIES_POINTER, 0xDC),)),
    (_TI, 0x8232): Card(2, 0, 0, None, is_express=True, complete=bridges.upstream_port),
    (_TI, 0x8233): Card(1, 0, 0, None, is_express=True, complete=bridges.downstream_port),
    (_AMD, 0x2000): Card(0x10, subsystem=0, status=0x0280, bytes=((MIN_GNT, 0x06), (MAX_LAT, 0xFF))),  # PCnet
    (_NEC, 0x0194): Card(3, 0x30, own=((0x60, 0x30),), is_express=True, complete=kinds.nec_xhci),
    (_VMWARE, 0x07B0): Card(1, subsystem=0x07B0_15AD, is_express=True, complete=kinds.vmxnet3),
    (_LSI, 0x0012): Card(subsystem=0x1000_0000, bytes=((LATENCY_TIMER, 0xFF),)),  # lsi53c895a
    (_LSI, 0x0060): Card(subsystem=0x1013_1000, complete=kinds.megasas),
}
"""By vendor and device identification."""
