"""Chipsets: i440FX with PIIX3 and PIIX4, Q35 with ICH9, GPEX: configuration access, ECAM, interrupt routing, SMBus.

Source: QEMU's ``info mtree -f`` and ``query-pci`` for what a machine has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..device import Device
from ..devices.blackhole import Blackhole
from ..devices.ich9_lpc import ACPI_CNTL, PIRQA_ROUT, RCBA, Ich9Lpc
from ..devices.ich9_lpc import PIRQS as ICH9_PIRQS
from ..devices.ich9_rcba import SIZE as RCBA_SIZE
from ..devices.ich9_rcba import Ich9Rcba
from ..devices.pci_host import ECAM, ICH9_RESET_BITS, PIIX3_RESET_BITS, PORTS, PciHost
from ..devices.piix3 import PIRQRC, Piix3
from ..devices.piix3 import PIRQS as PIIX3_PIRQS
from ..devices.q35_mch import F_SMBASE, PCIEXBAR, SMRAM, Q35Mch
from .flat_view import Claim
from .interrupt_router import Router
from .pci import INTX_PINS
from .pci_facts import ram_below_4g
from .pci_functions import add_functions
from .wiring import Wiring

CONFIG_PORTS: Final = 0xCF8
GPEX_ECAM_SIZE: Final = 0x1000_0000
GPEX_IRQ, GPEX_GSI = 12, 16
"""A microvm's first interrupt of PCI: with one I/O APIC, and with two."""
SYSTEM_PRIORITY: Final = 3
"""Of what QEMU maps over all of the PCI memory: ECAM, RCBA."""


def add_pci(wiring: Wiring) -> None:
    """Configuration access and the functions behind it."""
    if not wiring.guest.functions:
        return
    if CONFIG_PORTS not in wiring.places("pci-conf-idx"):
        _add_gpex(wiring)
        return
    bits = PIIX3_RESET_BITS if wiring.places("piix-reset-control") else 0
    bits = ICH9_RESET_BITS if wiring.places("lpc-reset-control") else bits
    host = wiring.board.add("pci", PciHost(bits), pio=[(CONFIG_PORTS, PORTS)])
    has_ecam = any(f.vendor_id == 0x8086 and f.device_id == 0x29C0 for f in wiring.guest.functions)
    add_functions(wiring.pci, wiring.guest, host, has_ecam=has_ecam)
    for function in wiring.pci.functions.values():
        if isinstance(function.config, Q35Mch):
            _Ecam(wiring, function.config, host)
            _hide_smram(wiring, function.config)
        elif isinstance(function.config, Piix3):
            _route_piix3(wiring, function.config)
        elif isinstance(function.config, Ich9Lpc):
            _route_ich9(wiring, function.config)


def _add_gpex(wiring: Wiring) -> None:
    """A generic PCI Express host bridge, as on a microvm: ECAM at a fixed place, and an interrupt for each pin."""
    places = [(at, GPEX_ECAM_SIZE, ECAM) for at in wiring.places("pcie-mmcfg-mmio", "mmio")]
    if not places:
        return
    host = wiring.board.add("pci", PciHost(), mmio=places)
    add_functions(wiring.pci, wiring.guest, host, has_ecam=True)
    first = GPEX_GSI if len(wiring.places("ioapic", "mmio")) > 1 else GPEX_IRQ
    router = Router(wiring, INTX_PINS, lambda slot, pin: (slot + pin) % INTX_PINS, lambda pirq: first + pirq)
    wiring.pci.pirqs.changed = router.update
    wiring.pci.router = router


class _Moving:
    """A range of memory that is where `place` says: base and size; None if it is nowhere."""

    def __init__(self, wiring: Wiring, device: Device, at: int, place: Callable[[], tuple[int, int] | None]) -> None:
        self._view = wiring.pci.view
        self._device = device
        self._at = at
        self._place = place
        self._shown: tuple[int, int] | None = None
        self._claims: list[Claim] = []

    def move(self) -> None:
        place = self._place()
        if place == self._shown:
            return
        self._shown = place
        claims = []
        if place is not None:
            claims = [self._view.claim("mmio", *place, self._device, self._at, SYSTEM_PRIORITY)]
        self._view.change(self._claims, claims)
        self._claims = claims


class _Ecam(_Moving):
    """ECAM, where PCIEXBAR has it."""

    def __init__(self, wiring: Wiring, mch: Q35Mch, host: PciHost) -> None:
        super().__init__(wiring, host, ECAM, lambda: mch.ecam)
        mch.watch(PCIEXBAR, 8, self.move)
        self.move()


def _hide_smram(wiring: Wiring, mch: Q35Mch) -> None:
    """TSEG, at the end of the memory, and SMRAM at SMBASE. QEMU has them at most where the map shows them."""
    guest = wiring.guest
    regions = [r for r in guest.regions if r.space == "mmio" and r.name in ("tseg-blackhole", "smbase-blackhole")]
    if not regions:
        return
    hidden = wiring.board.add("smram", Blackhole())
    largest = max((r.size for r in regions if r.name == "tseg-blackhole"), default=0)
    end = ram_below_4g(guest)

    def tseg() -> tuple[int, int] | None:
        size = largest if mch.tseg_mib is None else mch.tseg_mib << 20
        return (end - size, size) if 0 < size <= end else None

    places = _Moving(wiring, hidden, 0, tseg), _Moving(wiring, hidden, 0, lambda: mch.smbase)
    for place in places:
        mch.watch(SMRAM, 2, place.move)
        mch.watch(F_SMBASE, 1, place.move)


# Interrupt routing


def _route_piix3(wiring: Wiring, bridge: Piix3) -> None:
    router = Router(wiring, PIIX3_PIRQS, lambda slot, pin: (slot + pin - 1) % PIIX3_PIRQS, bridge.route)
    bridge.watch(PIRQRC, PIIX3_PIRQS, router.update)
    wiring.pci.pirqs.changed = router.update
    wiring.pci.router = router


def _route_ich9(wiring: Wiring, bridge: Ich9Lpc) -> None:
    registers = wiring.board.add("rcba", Ich9Rcba())
    place = _Moving(wiring, registers, 0, lambda: None if bridge.rcba is None else (bridge.rcba, RCBA_SIZE))
    bridge.watch(RCBA, 4, place.move)
    router = Router(wiring, ICH9_PIRQS, registers.pirq, bridge.route, has_gsis=True)
    registers.changed = router.update
    bridge.watch(PIRQA_ROUT, 12, router.update)
    bridge.watch(ACPI_CNTL, 1, router.update)
    wiring.pci.pirqs.changed = router.update
    wiring.pci.router = router
