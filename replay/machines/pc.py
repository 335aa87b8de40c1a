"""The PC and its kin: pc (i440FX), q35, isapc, microvm. Which parts each has; the parts are files beside this one.

Source: QEMU's ``info mtree -f`` for what a machine really has. A trace carries that map, and a part adds a device where
the map shows its region, in any snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..guest import Guest
from . import (
    acpi,
    apic,
    chipset,
    firmware,
    host_clock,
    isa,
    legacy,
    nics,
    no_clock,
    qemu_ports,
    storage,
    video,
    virtio,
    virtio_cards,
)
from .board import Board
from .replacement import Replacements
from .wiring import Part, Wiring

PCI_REGIONS: Final = {"acpi-tmr": (0x608,), "pci-conf-idx": (0xCF8,)}
"""Ports of PCI machines. SeaBIOS puts the PIIX4's and the ICH9's power management ports at 600h."""

AT_REGIONS: Final = legacy.REGIONS | isa.REGIONS

MICROVM_REGIONS: Final = {name: legacy.REGIONS[name] for name in ("pic", "elcr", "pit", "rtc", "serial")}

PARTS: Final[tuple[Part, ...]] = (
    legacy.add_pic,
    apic.add_apics,
    chipset.add_pci,
    legacy.add_timers,
    apic.add_hpet,
    legacy.add_uarts,
    legacy.add_parallel_ports,
    legacy.add_odd_ports,
    acpi.add_acpi,
    qemu_ports.add_qemu_ports,
    firmware.add_fw_cfg,
    firmware.add_flash,
    video.add_displays,
    virtio.add_virtio_mmio,
    virtio_cards.add_virtio_pci,
    storage.add_ata,
    storage.add_ahci,
    nics.add_e1000,
    nics.add_e1000e,
    nics.add_ne2000,
    isa.add_keyboard,
    isa.add_dma,
    storage.add_floppy,
    isa.add_coprocessor,
)
"""In the order in which they are added, reset and reported. A part adds nothing where the guest had none of it."""


def build_pc(guest: Guest, replacements: Replacements | None = None) -> Board:
    """i440FX with PIIX4."""
    return _build("pc", guest, AT_REGIONS | storage.REGIONS | PCI_REGIONS, replacements)


def build_q35(guest: Guest, replacements: Replacements | None = None) -> Board:
    """Q35 with ICH9."""
    return _build("q35", guest, AT_REGIONS | PCI_REGIONS, replacements)


def build_isapc(guest: Guest, replacements: Replacements | None = None) -> Board:
    """An AT compatible without PCI."""
    return _build("isapc", guest, AT_REGIONS | storage.REGIONS, replacements)


def build_microvm(guest: Guest, replacements: Replacements | None = None) -> Board:
    """QEMU's microvm with its optional ISA devices."""
    return _build("microvm", guest, MICROVM_REGIONS, replacements)


def _build(
    machine: str, guest: Guest, usual: Mapping[str, tuple[int, ...]], replacements: Replacements | None
) -> Board:
    wiring = Wiring(machine, guest, usual, replacements)
    for add in PARTS:
        add(wiring)
    if guest.clock == "host":
        wiring.board.contracts = host_clock.contracts(wiring.board.devices)
    elif guest.clock == "none":
        wiring.board.contracts = no_clock.contracts(wiring.board.devices)
    return wiring.finish()
