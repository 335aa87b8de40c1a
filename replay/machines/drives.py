"""Which disks, CDs and floppies the guest had, and what is known of their media: read from QEMU's command line.

Source: QEMU's manual, "Block device options" and "Disk images"; `Drive.bus` and `Drive.unit` follow its rules for
drives without a place. The sizes and hashes of the images are in the trace's ``images``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from ..devices.medium import Medium
from ..guest import Guest
from .command import is_on, properties
from .command_line import CommandLine

SECTOR: Final = 512
SHORTHANDS: Final = {
    "hda": "index=0,media=disk", "hdb": "index=1,media=disk", "hdc": "index=2,media=disk", "hdd": "index=3,media=disk",
    "cdrom": "index=2,media=cdrom", "fda": "if=floppy,index=0", "fdb": "if=floppy,index=1",
}  # fmt: skip
ATA_DEVICES: Final = {"ide-hd": False, "ide-cd": True}
"""QEMU's devices on an IDE bus: whether they are CD drives."""
NO_DEFAULT_CDROM: Final = frozenset(("ide-cd", "ide-hd", "scsi-cd", "scsi-hd"))
NO_DEFAULT_FLOPPY: Final = frozenset(("floppy", "isa-fdc"))
MOST_ZEROS: Final = 256 << 20
"""Larger images are not compared with zeros."""


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive of the guest."""

    bus: int
    unit: int
    is_cd: bool = False
    medium: Medium | None = None
    """None: there is none in the drive."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Of QEMU's device."""


def ata_drives(guest: Guest, units: int, buses: int, name: str = "ide") -> list[Drive]:
    """The drives on an ATA controller of `buses` channels or ports with `units` drives each.

    `name` is what QEMU calls its buses; "ide" are the machine's own, on which drives without a place are.
    """
    command = CommandLine(guest)
    drives = []
    if name == "ide":
        drives = [
            Drive(bus, unit, options.get("media") == "cdrom", _medium(command, options), _cache(options))
            for bus, unit, options in _placed(command, "ide", units)
        ]
        place = divmod(2, units)
        taken_places = {(drive.bus, drive.unit) for drive in drives}
        has_default = not command.has("nodefaults") and not command.devices(NO_DEFAULT_CDROM)
        if has_default and place not in taken_places:
            drives.append(Drive(*place, True))
    for device in command.devices(ATA_DEVICES):
        bus = device.get("bus", f"ide.{buses - 1}")  # the bus that was made last comes first
        head, _, number = bus.partition(".")
        if head != name or not number.isdigit():
            continue  # on another controller
        taken = {drive.unit for drive in drives if drive.bus == int(number)}
        unit = int(device["unit"]) if device.get("unit", "").isdigit() else int(0 in taken)
        source = command.named(device.get("drive", ""))
        is_cd = ATA_DEVICES[device["driver"]]
        drives.append(Drive(int(number), unit, is_cd, _medium(command, source), device | _cache(source)))
    return drives


def floppy_drives(guest: Guest) -> list[Drive]:
    """The drives of the floppy disk controller; the bus is always 0."""
    command = CommandLine(guest)
    drives = [Drive(0, unit, False, _medium(command, options)) for _, unit, options in _placed(command, "floppy", 2)]
    given = command.devices(NO_DEFAULT_FLOPPY)
    if not drives and not given and not command.has("nodefaults"):
        drives.append(Drive(0, 0))
    for device in given:
        if device["driver"] == "floppy":
            taken = {drive.unit for drive in drives}
            unit = int(device["unit"]) if device.get("unit", "").isdigit() else int(0 in taken)
            drives.append(Drive(0, unit, False, _medium(command, command.named(device.get("drive", ""))), device))
    return drives


def _cache(options: Mapping[str, str]) -> dict[str, str]:
    return {"write-cache": "off"} if options.get("cache") in ("writethrough", "directsync") else {}


def _placed(command: CommandLine, interface: str, units: int) -> Iterator[tuple[int, int, dict[str, str]]]:
    """The drives that QEMU attaches by itself to an interface, with their places."""
    taken: set[tuple[int, int]] = set()
    for option, value in command.options:
        options = properties(value, "file")
        if option in SHORTHANDS:
            options |= properties(SHORTHANDS[option], "")
        elif option != "drive":
            continue
        if options.get("if", "ide") != interface:
            continue
        place = _place(options, units, taken)
        taken.add(place)
        yield *place, options


def _place(options: Mapping[str, str], units: int, taken: set[tuple[int, int]]) -> tuple[int, int]:
    if options.get("index", "").isdigit():
        return divmod(int(options["index"]), units)
    bus = int(options["bus"]) if options.get("bus", "").isdigit() else 0
    if options.get("unit", "").isdigit():
        return bus, int(options["unit"])
    number = bus * units
    while divmod(number, units) in taken:
        number += 1
    return divmod(number, units)


def _medium(command: CommandLine, options: Mapping[str, str]) -> Medium | None:
    """What is known of a drive's medium; None if it has none."""
    path = options.get("filename") or options.get("file.filename") or options.get("file", "")
    if not path:
        return None
    size, digest = command.image(path)
    read_only = is_on(options, "read-only", is_on(options, "readonly"))
    if size is None:
        return Medium(read_only=read_only)
    zeros = size <= MOST_ZEROS and digest == _digest_of_zeros(size)
    is_raw = zeros or "raw" in (options.get("format"), options.get("driver"))
    return Medium(-(-size // SECTOR) if is_raw else None, zeros=zeros, read_only=read_only)


@cache
def _digest_of_zeros(size: int) -> str:
    digest = hashlib.sha256()
    block = bytes(1 << 20)
    for _ in range(size >> 20):
        digest.update(block)
    digest.update(bytes(size & (1 << 20) - 1))
    return digest.hexdigest()
