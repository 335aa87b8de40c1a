"""Capabilities of QEMU's PCI cards, where they need more than a row in a table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ..devices import pci_capabilities as caps

if TYPE_CHECKING:
    from .pci import Function

PMCSR_STATE, PMCSR_NO_SOFT_RESET = 0x0003, 0x0008


class MsixPlace(NamedTuple):
    """Where a function's MSI-X table is."""

    vectors: int
    table: tuple[int, int]
    """BAR and offset in it."""
    pending: tuple[int, int]


class CardContext(NamedTuple):
    """What else the trace tells of a function."""

    msix: MsixPlace | None = None
    has_ecam: bool = False
    is_behind_port: bool = False
    is_on_extra_root: bool = False
    """Whether it is on or behind another root bus than the first."""
    is_multifunction: bool = False
    options: Mapping[str, str] = MappingProxyType({})
    """The properties of its ``-device`` option, if it could be found."""

    @property
    def express_kind(self) -> int:
        """What kind of endpoint it is: integrated if it is on an express root bus."""
        return caps.INTEGRATED if self.has_ecam and not self.is_behind_port else caps.ENDPOINT

    def number(self, name: str) -> int | None:
        """A property that is a number; None if the option has none such."""
        try:
            return int(self.options[name], 0)
        except (KeyError, ValueError):
            return None


def _msix(function: Function, context: CardContext, offset: int) -> None:
    if context.msix is not None:
        function.add_msix(offset, *context.msix)


# Endpoints


def e1000e(function: Function, context: CardContext) -> None:
    """Intel 82574L."""
    config = function.config
    _msix(function, context, 0xA0)
    caps.add_express(config, 0xE0, context.express_kind, version=1)
    caps.add_msi(config, 0xD0)
    caps.add_power_management(config, 0xC8, capabilities=0x22, writable=0x1F03, clears=0x8000)
    caps.add_errors(config, 0x100, 0x140)
    if config.size > 0x140:
        caps.add_extended(config, 0x140, 0x03, 1, 0, 12)
        config.declare(0x144, 8, 0)
        config.learn(0x144, 8)  # the MAC address


def nvme(function: Function, context: CardContext) -> None:
    """QEMU's NVMe controller."""
    config = function.config
    caps.add_power_management(config, 0x60, status=PMCSR_NO_SOFT_RESET, writable=PMCSR_STATE)
    caps.add_express(config, 0x80, context.express_kind, resets=True)
    _msix(function, context, 0x40)


def xhci(function: Function, context: CardContext) -> None:
    """QEMU's xHCI controller."""
    if context.has_ecam:
        caps.add_express(function.config, 0xA0, context.express_kind)
    _msix(function, context, 0x90)


def bochs_display(function: Function, context: CardContext) -> None:
    """QEMU's bochs-display, and not its VGA of the same identities."""
    if context.has_ecam and function.config.size > 0x100:
        caps.add_express(function.config, 0x80, context.express_kind)


def megasas(function: Function, context: CardContext) -> None:
    """LSI MegaRAID SAS 1078."""
    caps.add_msi(function.config, 0x50)
    _msix(function, context, 0x68)


def nec_xhci(function: Function, context: CardContext) -> None:
    """NEC uPD720200."""
    caps.add_msi(function.config, 0x70, vectors=16)
    xhci(function, context)


def vmxnet3(function: Function, context: CardContext) -> None:
    """VMware's paravirtual network card."""
    config = function.config
    caps.add_msi(config, 0x84)
    _msix(function, context, 0x9C)
    if context.has_ecam:
        caps.add_express(config, 0x48, context.express_kind)
    if config.size > 0x100:
        caps.add_extended(config, 0x100, 0x03, 1, 0, 12)
        config.learn(0x104, 8)  # the MAC address


def hda(function: Function, context: CardContext) -> None:
    """Intel HD Audio of the ICH9."""
    caps.add_msi(function.config, 0x60)


def edu(function: Function, context: CardContext) -> None:
    """QEMU's educational device."""
    caps.add_msi(function.config, 0x40)


def ahci(function: Function, context: CardContext) -> None:
    """Intel ICH9 SATA in AHCI mode (316972, section 14.1)."""
    at = function.config.add_capability(caps.CAP_SATA, 8, 0xA8)
    function.config.declare(at + 2, 2, 0x0010)
    function.config.declare(at + 4, 4, 0x0048)
    caps.add_msi(function.config, 0x80)


def ich9_smbus(function: Function, context: CardContext) -> None:
    """Intel ICH9 SMBus (316972, section 19.1): HOSTC."""
    function.config.declare(0x40, 1, 0, 0xFF, kept=True)


def i6300esb(function: Function, context: CardContext) -> None:
    """Intel 6300ESB watchdog: its configuration and lock registers are not modelled."""
    function.config.learn(0x60, 2)
    function.config.learn(0x68, 1)
