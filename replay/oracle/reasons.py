"""Why another implementation's answers may differ from the recorded ones, though its devices are right.

What is not an access is not played (see `oracle`). Each reason here is tied to devices, and where that can be told to
what the guest has done with them: a bus master that was never started has read nothing. A difference for which there is
no reason here is one to look at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from ..device import Device
from ..guest import Guest
from ..verdict import CauseClass
from .protocol import SMI_MACHINES

Reason = tuple[CauseClass, str]
"""The class of the difference, and why."""

INTERRUPTS: Final[Reason] = ("interrupt", "no CPU runs that takes its interrupts")
DMA: Final[Reason] = ("outside", "its DMA: what the guest prepared for it in memory is not played")
DRIVE: Final[Reason] = ("outside", "its drive answers at the host's pace, with what is in the image")
SMI: Final[Reason] = ("interrupt", "writes to it interrupt the CPU that makes them, so they were not played")
NETWORK: Final[Reason] = ("outside", "what came from the network is not played")
TYPED: Final[Reason] = ("outside", "what was typed is not played")

CONTROLLERS: Final = frozenset(("i8259", "ioapic", "local_apic"))


def _always(offset: int) -> bool:
    return True


_AHCI_PORTS: Final = 0x100
_DESCRIPTOR_TAILS: Final = (0x2818, 0x3818, 0x2800, 0x3800)

MASTERS: Final[Mapping[str, Callable[[int], bool]]] = {
    "fw_cfg": lambda offset: 4 <= offset < 12,
    "ahci": lambda offset: offset >= _AHCI_PORTS and offset & 0x7F == 0x38,  # PxCI
    "piix_bmdma": lambda offset: offset & 7 == 0,  # the command
    "e1000": lambda offset: offset in _DESCRIPTOR_TAILS,
    "e1000e": lambda offset: offset in _DESCRIPTOR_TAILS,
    "virtio_mmio": lambda offset: offset == 0x50,  # QueueNotify
    "virtio_pci_legacy": lambda offset: offset == 0x10,  # Queue Notify
    "virtio_pci": _always,
}
"""Models of bus masters, by module: whether a write at an offset starts one."""


_FAMILIES: Final = re.compile(
    r"(?P<usb>capabilities|operational|ports|runtime|doorbell|usb[23] port.*|[uoex]hci)|(?P<scsi>lsi-.*|megasas.*|"
    r"mptsas.*|pvscsi.*|esp.*|am53c974|dc390.*)|(?P<nvme>nvme.*)|(?P<sound>intel-hda|ac97.*|es1370)|(?P<sd>sdhci)|"
    r"(?P<net>rtl8139|pcnet.*|eepro100.*|tulip.*|vmxnet3.*|igb.*)|(?P<virtio>virtio-.*)",
    re.IGNORECASE,
)
"""QEMU's regions of bus masters for which there are no models, by kind: the registers of one are in several regions."""


class Reasons:
    """What is known of one trace, and of who it is played to: whether its accesses are those of the first CPU."""

    def __init__(self, guest: Guest, *, is_first_cpu: bool) -> None:
        self._is_typed_at = guest.has_typed_input
        self._plays_smis = is_first_cpu or guest.machine not in SMI_MACHINES
        self._started: set[int] = set()
        """Bus masters, by identity, that were started."""
        self._families: set[str] = set()
        """Kinds of regions that the guest has written to."""
        self.counts: Counter[tuple[str, Reason]] = Counter()
        """Differences, by device and reason."""

    def note_region_write(self, name: str) -> None:
        """The guest writes to a region for which there is no model."""
        found = _FAMILIES.fullmatch(name)
        if found is not None and found.lastgroup:
            self._families.add(found.lastgroup)

    def find_region(self, name: str) -> Reason | None:
        """As `find`, for a region. Any write may start a bus master of which nothing is known."""
        found = _FAMILIES.fullmatch(name)
        return DMA if found is not None and found.lastgroup in self._families else None

    def writes_matter(self, model: Device) -> bool:
        """Whether `note_write` wants to hear of a model's writes."""
        return _kind(model) in MASTERS

    def note_write(self, model: Device, offset: int) -> None:
        """The guest writes to a device."""
        if MASTERS[_kind(model)](offset):
            self._started.add(id(model))

    def find(self, model: Device) -> Reason | None:
        """Why a device's answer may differ now; None if nothing is known."""
        kind = _kind(model)
        if kind in CONTROLLERS:
            return INTERRUPTS
        if id(model) in self._started:
            return DMA
        if kind == "ata_channel":
            return DRIVE
        if kind == "ne2000":
            return NETWORK
        if kind in ("uart16550", "i8042") and self._is_typed_at:
            return TYPED
        return SMI if kind == "apm" and not self._plays_smis else None


def _kind(model: Device) -> str:
    """The file of devices/ that a model is from, or that the model is from whose class it refines."""
    for base in type(model).__mro__:
        package, _, name = base.__module__.rpartition(".")
        if package.endswith(".devices"):
            return name
    return ""
