"""Capabilities of QEMU's bridges: conventional ones with their hot-plug controller, ports of PCI Express."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..devices import pci_capabilities as caps
from ..devices.pci_bridge import IO_BASE, MEMORY_BASE, PREFETCHABLE_BASE, SECONDARY_STATUS, PciBridge
from ..devices.pci_config import STATUS_ERRORS, PciConfig
from ..devices.pci_shpc import SIZE as SHPC_SIZE
from ..devices.pci_shpc import PciShpc
from .pci_card_kinds import PMCSR_STATE, CardContext

if TYPE_CHECKING:
    from .pci import Function

_STATUS: Final = 0x00A0
_SHPC_SELECT, _SHPC_DATA = 2, 4
_LINK_16GT_X32, _LINK_SPEEDS, _LINK_ACTIVE, _PRESENCE = 0x0030_0604, 0x1E, 0x2000, 0x0040


# Conventional


def pci_bridge(function: Function, context: CardContext) -> None:
    """QEMU's conventional bridge with slot numbering."""
    config = function.config
    config.declare(SECONDARY_STATUS, 2, _STATUS, clears=STATUS_ERRORS)
    if 0 in config.bars:
        _add_shpc(function)
    chassis = context.number("chassis_nr")
    at = config.add_capability(0x04, 4, 0x48)
    config.declare(at + 2, 2, 0x20 | (chassis or 0) << 8)
    if chassis is None:
        config.learn(at + 3, 1)
    caps.add_msi(config, 0x4C, masks=True)


def pcie_pci_bridge(function: Function, context: CardContext) -> None:
    """QEMU's bridge from PCI Express to PCI."""
    config = function.config
    config.declare(SECONDARY_STATUS, 2, _STATUS, clears=STATUS_ERRORS)
    if 0 in config.bars:
        _add_shpc(function)
    caps.add_express(config, 0x48, caps.TO_PCI, capabilities_2=0x0030_0020)
    caps.add_power_management(config, 0x84, writable=PMCSR_STATE)
    caps.add_msi(config, 0x8C, masks=True)
    caps.add_errors(config, 0x100, 0)


def i82801b11(function: Function, context: CardContext) -> None:
    """Intel ICH9 DMI-to-PCI bridge."""
    function.config.declare(SECONDARY_STATUS, 2, _STATUS, clears=STATUS_ERRORS)
    caps.add_subsystem(function.config, 0, 0, 0x50)


def _add_shpc(function: Function) -> None:
    """The hot-plug controller in BAR 0, and the capability through which it is reached, too."""
    config = function.config
    assert isinstance(config, PciBridge)
    behind = config.behind
    shpc = function.add_device("shpc", PciShpc(lambda: {devfn >> 3 for devfn in behind}, function.intx))
    function.show(0, shpc, size=SHPC_SIZE)
    function.when_built(shpc.reset)
    at = config.add_capability(caps.CAP_SHPC, 8, 0x40)
    config.declare(at + _SHPC_SELECT, 1, 0, 0xFF)
    config.declare(at + _SHPC_DATA, 4, 0, 0xFFFF_FFFF)

    def selected() -> int:
        return 4 * config.peek(at + _SHPC_SELECT, 1)

    def show() -> None:
        config.poke(at + _SHPC_DATA, 4, shpc.read(selected(), 4))

    def store() -> None:
        shpc.write(selected(), 4, config.peek(at + _SHPC_DATA, 4))
        show()

    config.watch(at + _SHPC_SELECT, 1, show)
    config.watch(at + _SHPC_DATA, 4, store, on_reset=False)


# Ports


def root_port(function: Function, context: CardContext) -> None:
    """QEMU's PCI Express root port."""
    config = function.config
    _close_windows(config)
    caps.add_subsystem(config, 0x1B36, 0, 0x40)
    function.add_msix(0x48, 1, (0, 0), (0, 0x800))
    _add_port(function, context, 0x54, caps.ROOT_PORT, _LINK_16GT_X32, 0x148)
    caps.add_extended(config, 0x148, 0x0D, 1, 0, 8)
    if config.size > 0x148:
        config.declare(0x14C, 2, 0x005F)
        config.declare(0x14E, 2, 0, 0x005F)


def ioh3420(function: Function, context: CardContext) -> None:
    """Intel 5520 root port."""
    config = function.config
    _close_windows(config)
    caps.add_subsystem(config, 0x8086, 0, 0x40)
    caps.add_msi(config, 0x60, vectors=2, is_64=False, masks=True)
    _add_port(function, context, 0x90, caps.ROOT_PORT, caps.LINK_2_5GT_X1, 0)


def upstream_port(function: Function, context: CardContext) -> None:
    """Texas Instruments XIO3130, upstream port."""
    config = function.config
    _restrict_control(config)
    caps.add_msi(config, 0x70)
    caps.add_subsystem(config, 0, 0, 0x80)
    caps.add_express(config, 0x90, caps.UPSTREAM_PORT, resets=True)
    caps.add_errors(config, 0x100, 0, log=0x2A0)


def downstream_port(function: Function, context: CardContext) -> None:
    """Texas Instruments XIO3130, downstream port."""
    config = function.config
    _restrict_control(config)
    caps.add_msi(config, 0x70)
    caps.add_subsystem(config, 0, 0, 0x80)
    _add_port(function, context, 0x90, caps.DOWNSTREAM_PORT, 0x0400, 0)


def _add_port(function: Function, context: CardContext, offset: int, kind: int, link: int, next_extended: int) -> None:
    """PCI Express of a port with a slot, and error reporting."""
    config = function.config
    at = caps.add_express(
        config,
        offset,
        kind,
        resets=kind == caps.DOWNSTREAM_PORT,
        link=link,
        flags=0x100,
        capabilities_2=0x0030_0020,
        controls_2=0x8020,
    )
    caps.add_slot(config, at, context.number("slot"), _LINK_SPEEDS if link == _LINK_16GT_X32 else 0)
    config.declare(at + 0x12, 2, 0x0011, clears=0xC000)
    caps.add_errors(config, 0x100, next_extended, is_root=kind == caps.ROOT_PORT, log=0x2A0)
    if context.is_on_extra_root:  # there the port's own hot-plug is used, and it shows a card
        function.when_built(lambda: _show_card(config, at))


def _show_card(config: PciConfig, at: int) -> None:
    if isinstance(config, PciBridge) and config.behind:
        config.declare(at + 0x12, 2, 0x0011 | _LINK_ACTIVE, clears=0xC000)
        config.declare(at + 0x1A, 2, _PRESENCE, clears=0x19)


def _close_windows(config: PciConfig) -> None:
    """A root port's windows have their bases above their limits."""
    _restrict_control(config)
    config.declare(IO_BASE, 2, 0x00F0, 0xF0F0)
    config.declare(MEMORY_BASE, 4, 0x0000_FFF0, 0xFFF0_FFF0)
    config.declare(PREFETCHABLE_BASE, 4, 0x0001_FFF1, 0xFFF0_FFF0)


def _restrict_control(config: PciConfig) -> None:
    """Of bridge control some bits do not apply to PCI Express."""
    config.declare(0x3E, 2, 0, 0x005F)
