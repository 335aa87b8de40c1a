"""The PCI functions of a guest, built from what its trace tells (identities, BARs) and from what is known of them.

Of a card that nobody knows the first reads teach the rest.

Source: QEMU's ``query-pci`` and ``info mtree -f``, which the trace carries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..devices.i440fx import I440Fx
from ..devices.ich9_lpc import Ich9Lpc
from ..devices.pci_bridge import SECONDARY_STATUS, PciBridge
from ..devices.pci_config import (
    CAPABILITIES_POINTER,
    HEADER_SIZE,
    HEADER_TYPE,
    INTERRUPT_PIN,
    LATENCY_TIMER,
    MIN_GNT,
    MULTI_FUNCTION,
    PROG_IF,
    REVISION_ID,
    STATUS,
    SUBSYSTEM_VENDOR_ID,
    PciConfig,
)
from ..devices.pci_host import PciHost
from ..devices.piix3 import Piix3
from ..devices.piix4_pm import Piix4Pm
from ..devices.q35_mch import Q35Mch
from ..guest import Guest, PciFunction
from .pci import Function, Pci
from .pci_card_kinds import CardContext
from .pci_cards import CARDS
from .pci_facts import PCI_BRIDGE, bridges_of, find_msix, has_smm, isa_ports, ram_below_4g
from .peripherals import Options, Peripherals, has_address, has_id

NO_VENDOR: Final = 0xFFFF
STATUS_KIND: Final = 0x06B0
"""Bits of the status register that say what a function can do."""
SIZE, SIZE_EXPRESS = 256, 4096
ICH9_SLOT, ICH9_USB_SLOT = 0x1F, 0x1D
ICH9_USB: Final = {0: 0x2934, 1: 0x2935, 2: 0x2936, 7: 0x293A}
"""Three UHCI controllers and an EHCI: device identities by function."""


CHIPSET: Final[dict[tuple[int, int], Callable[[Guest], PciConfig]]] = {
    (0x8086, 0x1237): lambda guest: I440Fx(ram_below_4g(guest)),
    (0x8086, 0x7000): lambda guest: Piix3(),
    (0x8086, 0x7113): lambda guest: Piix4Pm(isa_ports(guest), has_smm=has_smm(guest)),
    (0x8086, 0x29C0): lambda guest: Q35Mch(),
    (0x8086, 0x2918): lambda guest: Ich9Lpc(isa_ports(guest)),
}
"""Functions with models of their own."""

DRIVERS: Final = {
    (0x1B36, 0x0001): "pci-bridge", (0x1B36, 0x000C): "pcie-root-port", (0x8086, 0x3420): "ioh3420",
    (0x104C, 0x8233): "xio3130-downstream",
}  # fmt: skip
"""QEMU's names of cards whose options matter here."""


def add_functions(pci: Pci, guest: Guest, host: PciHost, *, has_ecam: bool) -> None:
    """Put all functions of `guest` on the board, with `host` in front of them."""
    pci.host = host
    parents = bridges_of(guest.functions)
    built: dict[PciFunction, Function] = {}
    for what in guest.functions:
        if what.vendor_id == NO_VENDOR:
            continue  # a virtual function that is not enabled
        above = parents.get(what.bus, what)
        built[what] = add_function(pci, guest, what, built.get(above), has_ecam=has_ecam)
    for action in pci.actions:
        action()


def add_function(
    pci: Pci, guest: Guest, what: PciFunction, parent: Function | None = None, *, has_ecam: bool = False
) -> Function:
    """Put one function on the board."""
    chip = CHIPSET.get((what.vendor_id, what.device_id))
    if chip is not None:
        return pci.add(what, chip(guest), parent)
    card = CARDS.get((what.vendor_id, what.device_id))
    is_express = card is None or (card.is_express(what) if callable(card.is_express) else card.is_express)
    is_behind_port = parent is not None and parent.config.size == SIZE_EXPRESS
    is_on_express = has_ecam if parent is None else is_behind_port
    size = SIZE_EXPRESS if is_on_express and is_express else SIZE
    kind = PciBridge if what.class_code == PCI_BRIDGE else PciConfig
    config = kind(what.vendor_id, what.device_id, what.class_code, size=size)
    for bar in what.bars:
        config.add_bar(bar.number, bar.size, is_io=bar.is_io, is_64=bar.is_64, prefetch=bar.prefetch)
    function = pci.add(what, config, parent)
    peripherals = Peripherals(guest)
    context = CardContext(
        msix=find_msix(guest, what),
        has_ecam=is_on_express,
        is_behind_port=is_behind_port,
        is_on_extra_root=root_of(function) != 0,
        is_multifunction=is_multifunction(peripherals, guest, what),
        options=options_of(peripherals, guest, what),
    )
    if card is not None:
        card.build(function, context)
    else:
        learn_all(config)
        if context.msix is not None:
            function.show_msix(None, *context.msix)
    return function


def root_of(function: Function) -> int:
    """The number of the root bus that a function is on or behind."""
    while function.parent is not None:
        function = function.parent
    return function.what.bus


def is_multifunction(peripherals: Peripherals, guest: Guest, what: PciFunction) -> bool:
    """Whether the header says so: of the ICH9's functions, with the USB controllers, and where the option does."""
    if guest.machine == "q35" and what.bus == 0 and (what.slot == ICH9_SLOT or is_ich9_usb(guest, what)):
        return True
    return any(
        device.get("multifunction") in ("on", "true") and (has_id(device, what) or has_address(device, what))
        for device in peripherals.devices
    )


def is_ich9_usb(guest: Guest, what: PciFunction) -> bool:
    """Whether it is one of the USB controllers that QEMU's option ``-usb`` adds to a Q35, in a slot of their own."""
    slot = {f.function: f.device_id for f in guest.functions if (f.bus, f.slot) == (0, what.slot)}
    return what.slot == ICH9_USB_SLOT and slot.items() >= ICH9_USB.items()


def options_of(peripherals: Peripherals, guest: Guest, what: PciFunction) -> Options:
    """The properties of the ``-device`` option of a function whose kind is in `DRIVERS`."""
    driver = DRIVERS.get((what.vendor_id, what.device_id))
    alike = [f for f in guest.functions if (f.vendor_id, f.device_id) == (what.vendor_id, what.device_id)]
    return peripherals.on_pci(alike, lambda name: name == driver)[alike.index(what)][0]


def learn_all(config: PciConfig) -> None:
    """Let the first reads teach what a function is beyond its identities and BARs."""
    config.learn(STATUS, 2, STATUS_KIND)
    for offset in (REVISION_ID, PROG_IF, LATENCY_TIMER, CAPABILITIES_POINTER, INTERRUPT_PIN):
        config.learn(offset, 1)
    config.learn(HEADER_TYPE, 1, MULTI_FUNCTION)
    if isinstance(config, PciBridge):
        config.learn(SECONDARY_STATUS, 2, STATUS_KIND)
    else:
        config.learn(SUBSYSTEM_VENDOR_ID, 4)
        config.learn(MIN_GNT, 2)
    for offset in range(HEADER_SIZE, config.size, 4):
        config.learn(offset, 4)
