"""virtio devices on PCI: their configuration spaces as QEMU lays them out, and what their BARs show.

Source: VIRTIO 1.2, 4.1.4 "Virtio Structure PCI Capabilities"; QEMU's ``info pci`` for BARs and their order.

Not modelled: virtio-vga, whose BARs are others.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Final

from ..devices import pci_capabilities
from ..devices.pci_config import (
    COMMAND,
    COMMAND_MASTER,
    INTERRUPT_PIN,
    PROG_IF,
    REVISION_ID,
    SUBSYSTEM_ID,
    SUBSYSTEM_VENDOR_ID,
    PciConfig,
)
from ..devices.virtio_device import S_DRIVER_OK, VirtioDevice
from ..devices.virtio_pci import MULTIPLIER, VirtioPci
from ..devices.virtio_pci import registers_for as modern_registers
from ..devices.virtio_pci_legacy import VirtioPciLegacy
from ..devices.virtio_pci_legacy import registers_for as legacy_registers
from ..guest import PciFunction
from .messages import FunctionMessages
from .pci import Function
from .pci_card_kinds import PMCSR_STATE, CardContext
from .pci_cards import CARDS, Card
from .pci_functions import learn_all
from .peripherals import Peripherals
from .virtio_access import CAP_VENDOR, PCI_CFG, add_access
from .virtio_context import Context, kind_of
from .virtio_setups import build
from .wiring import Wiring

RED_HAT: Final = 0x1AF4
FIRST_MODERN, LAST_MODERN = 0x1040, 0x107F
TRANSITIONAL: Final = {0x1000: 1, 0x1001: 2, 0x1002: 5, 0x1003: 3, 0x1004: 8, 0x1005: 4, 0x1009: 9}
"""Types by device identification of functions that have the legacy interface (4.1.2.1)."""
QEMU_SUBSYSTEM: Final = 0x1100
VGA_CLASS: Final = 0x0300

KINDS: Final = {
    "net": 1, "blk": 2, "serial": 3, "rng": 4, "balloon": 5, "scsi": 8, "9p": 9, "gpu": 16, "gpu-gl": 16, "vga": 16,
    "vga-gl": 16, "keyboard": 18, "mouse": 18, "tablet": 18, "multitouch": 18, "input-host": 18, "vsock": 19,
    "crypto": 20, "iommu": 23, "mem": 24, "sound": 25, "fs": 26, "pmem": 27,
}  # fmt: skip
"""Types by QEMU's names of devices."""

STRUCTURES: Final = ((1, 0x0000, 0x1000), (3, 0x1000, 0x1000), (4, 0x2000, 0x1000), (2, 0x3000, 0x1000))
"""Common configuration, ISR, configuration space, notifications: number, offset in the BAR, size."""
PAGE: Final = 0x1000


def type_of(device_id: int) -> int:
    """The type of device that a function is; 0 if it is none."""
    if FIRST_MODERN < device_id <= LAST_MODERN:
        return device_id - FIRST_MODERN
    return TRANSITIONAL.get(device_id, 0)


def add_virtio_pci(wiring: Wiring) -> None:
    """Let the BARs of all functions of virtio devices show them."""
    peripherals = Peripherals(wiring.guest)
    by_type: dict[int, list[Function]] = {}
    for function in wiring.pci.find(RED_HAT):
        if type_of(function.what.device_id) and function.what.class_code != VGA_CLASS:
            by_type.setdefault(type_of(function.what.device_id), []).append(function)
    for number, functions in by_type.items():
        found = peripherals.on_pci([function.what for function in functions], partial(_is_of, number))
        for function, (options, mac) in zip(functions, found, strict=True):
            is_modern = _modern_bar(function) is not None
            context = Context(peripherals, options, mac, is_pci=True, is_modern=is_modern)
            _show(wiring, function, build(context, number))


def _is_of(number: int, driver: str) -> bool:
    return KINDS.get(kind_of(driver)) == number and not driver.endswith("-device")


def _modern_bar(function: Function) -> int | None:
    """The BAR of the modern interface: the first one of 64 bits that has room for it."""
    bars = (bar.number for bar in function.what.bars if bar.is_64 and bar.size >= PAGE * len(STRUCTURES))
    return next(bars, None)


def _has_legacy(function: Function) -> bool:
    return any(bar.number == 0 and bar.is_io for bar in function.what.bars)


def _multiplier(function: Function) -> int:
    """QEMU's ``page-per-vq``, which needs a larger BAR."""
    return MULTIPLIER if _modern_size(function) == PAGE * len(STRUCTURES) else PAGE


def _modern_size(function: Function) -> int:
    return next(bar.size for bar in function.what.bars if bar.number == _modern_bar(function))


def _show(wiring: Wiring, function: Function, device: VirtioDevice) -> None:
    config = function.config
    vectors = function.msix.vectors if function.msix is not None else 0
    bar = _modern_bar(function)
    if bar is not None:
        kind = type("VirtioPci", (VirtioPci,), {"registers": modern_registers(type(device))})
        modern = wiring.board.add(f"{device.name}@{function.name}", kind(device, vectors, _multiplier(function)))
        function.show(bar, modern)
        add_access(config, modern, _modern_size(function))
    if _has_legacy(function):
        kind = type("VirtioPciLegacy", (VirtioPciLegacy,), {"registers": legacy_registers(type(device))})

        def become_master() -> None:
            config.poke(COMMAND, 2, config.peek(COMMAND, 2) | COMMAND_MASTER)

        model = kind(device, vectors, FunctionMessages(function).msix_enabled, become_master)
        function.show(0, wiring.board.add(f"{device.name}-legacy@{function.name}", model))

    def master_changed() -> None:
        """A device that is no bus master any more cannot work: QEMU takes DRIVER_OK from it."""
        if not config.peek(COMMAND, 2) & COMMAND_MASTER:
            device.set_status(device.status & ~S_DRIVER_OK)

    config.watch(COMMAND, 1, master_changed)


# Configuration space


def build_card(function: Function, context: CardContext) -> None:
    """What QEMU puts into the configuration space of a virtio device."""
    config, what, place = function.config, function.what, context.msix
    has_msix = any(bar.number == 1 and not bar.is_io for bar in what.bars)
    if what.class_code == VGA_CLASS or (has_msix and place is None):
        learn_all(config)
        if place is not None:
            function.show_msix(None, *place)
        return
    is_modern_only = what.device_id > FIRST_MODERN
    config.declare(REVISION_ID, 1, is_modern_only)
    config.declare(PROG_IF, 1, 0)
    config.declare(INTERRUPT_PIN, 1, 1)
    config.declare(SUBSYSTEM_VENDOR_ID, 2, RED_HAT)
    config.declare(SUBSYSTEM_ID, 2, QEMU_SUBSYSTEM if is_modern_only else type_of(what.device_id))
    bar = _modern_bar(function)
    if bar is not None and context.is_behind_port:
        pci_capabilities.add_express(config, 0, pci_capabilities.ENDPOINT, resets=True)
        pci_capabilities.add_power_management(config, writable=PMCSR_STATE)
    if bar is not None:
        multiplier = _multiplier(function)
        for number, offset, size in STRUCTURES:
            is_notify = number == 2
            length = multiplier * 1024 if is_notify else size
            content = struct.pack("<4B2xII", 20 if is_notify else 16, number, bar, 0, offset, length)
            _add(config, content + (struct.pack("<I", multiplier) if is_notify else b""))
        access = _add(config, struct.pack("<4B2xIII", 20, PCI_CFG, 0, 0, 0, 0, 0))
        config.declare(access + 4, 1, 0, 0xFF, kept=True)
        for offset in (8, 12, 16):
            config.declare(access + offset, 4, 0, 0xFFFF_FFFF, kept=True)
    if place is not None:
        function.add_msix(0, *place)


def _add(config: PciConfig, content: bytes) -> int:
    at = config.add_capability(CAP_VENDOR, 2 + len(content))
    config.declare(at + 2, len(content), int.from_bytes(content, "little"))
    return at


def _is_modern(what: PciFunction) -> bool:
    return any(bar.is_64 for bar in what.bars)


for _device_id in (*TRANSITIONAL, *range(FIRST_MODERN + 1, LAST_MODERN + 1)):
    CARDS[RED_HAT, _device_id] = Card(complete=build_card, is_express=_is_modern)
