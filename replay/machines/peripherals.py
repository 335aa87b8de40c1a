"""The devices, drives and networks of QEMU's command line, with QEMU's defaults for them.

Source: QEMU's manual page, ``-device``, ``-drive``, ``-blockdev``, ``-netdev``, ``-nic``, ``-global``.

Not modelled: options from files (``-readconfig``), ``-set``, and devices that are plugged in later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from ..guest import NO_VERSION, Guest, PciFunction
from . import command

Options = dict[str, str]
"""Properties by name. What is named first without a name is "driver" for devices, "type" for others."""

NICS: Final = ("e1000", "igb", "i8255", "ne2k_", "pcnet", "rtl8139", "tulip", "usb-net", "virtio-net", "vmxnet3")
"""How the names of network cards begin."""

NIC_MODELS: Final = {"virtio": "virtio-net-pci", "virtio-net": "virtio-net-pci"}
"""Drivers of models whose names differ."""

USUAL_NICS: Final = {"pc": "e1000", "q35": "e1000e"}
"""The card of machines that get one without being asked."""

FIRST_MAC: Final = 0x5254_0012_3456
"""The first card's address; the next card's is one higher, unless it was taken."""

SUFFIXES: Final = {"": 0, "k": 10, "K": 10, "M": 20, "G": 30, "T": 40}


class Peripherals:
    """What the command says of devices. A trace without a command has none."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._images = _images(guest)
        self._globals = [_global(value) for value in command.values(guest, "global")]
        self.drives: dict[str, Options] = {}
        for number, drive in enumerate(self._all("drive", "file")):
            self.drives[drive.setdefault("id", f"drive{number}")] = drive
        for node in self._all("blockdev", "driver"):
            self.drives[node.get("node-name", "")] = node
        self.devices = [command.properties(value, "driver") for value in command.values(guest, "device")]
        """The properties of each ``-device``, in order, and of what a ``-drive`` makes."""
        self.devices += [
            {"driver": "virtio-blk-pci", "drive": name}
            for name, drive in self.drives.items()
            if drive.get("if") == "virtio"
        ]
        self.networks = {netdev.get("id", ""): netdev for netdev in self._all("netdev", "type")}
        match = re.search(r"-(\d+)\.(\d+)$", str(guest.meta.get("machine_type", "")))
        self.machine_version = (int(match[1]), int(match[2])) if match else NO_VERSION
        """Devices are as they were in that version of QEMU, as far as a guest should not see them change."""
        cpus = guest.meta.get("smp")
        self.cpus = cpus if isinstance(cpus, int) and cpus > 0 else 1

        taken: set[int] = set()
        self.built_in_nics = [(nic.get("model", ""), _take_mac(nic, taken)) for nic in self._built_in_nics()]
        """Model ("" for the machine's usual one) and MAC address of each card of ``-nic`` and ``-net``."""
        self.macs = [_take_mac(device, taken) if is_nic(device) else 0 for device in self.devices]
        """The MAC address of each of `devices`; 0 if it is no network card."""

    def on_pci(self, functions: Sequence[PciFunction], wanted: Callable[[str], bool]) -> list[tuple[Options, int]]:
        """The properties and the MAC address of each of the `functions`, which are all those of the `wanted` drivers.

        A device is found by its ``id`` and by its ``addr``; the others take the functions that are left, in order.
        """
        devices = [({"driver": _nic_driver(model, self._guest)}, mac) for model, mac in self.built_in_nics]
        devices += zip(self.devices, self.macs, strict=True)
        devices = [device for device in devices if wanted(device[0].get("driver", ""))]
        left = sorted(functions, key=lambda f: (f.bus, f.slot, f.function))
        found: dict[PciFunction, tuple[Options, int]] = {}
        for is_its in (has_id, has_address, _has_place):
            for device in list(devices):
                function = next((function for function in left if is_its(device[0], function)), None)
                if function is not None:
                    found[function] = device
                    left.remove(function)
                    devices.remove(device)
        return [found.get(function, ({}, 0)) for function in functions]

    def properties(self, device: Options, *drivers: str) -> Options:
        """A device's properties, with those that ``-global`` sets for it or for a driver that it is built from."""
        names = {device.get("driver", ""), *drivers}
        return {key: value for driver, key, value in self._globals if driver in names} | device

    def image_size(self, device: Options) -> int | None:
        """Bytes of the disk behind a device; None if they are not known, as of an image that is not raw."""
        drive = self.drives.get(device.get("drive", ""))
        if drive is None or drive.get("format", drive.get("driver")) not in ("raw", "file"):
            return None
        if {"offset", "size"} & drive.keys():
            return None
        file = drive.get("filename", drive.get("file.filename", drive.get("file", "")))
        return self._images.get(self.drives.get(file, {}).get("filename", file).rpartition("/")[2])

    def _all(self, option: str, first: str) -> list[Options]:
        return [command.properties(value, first) for value in command.values(self._guest, option)]

    def _built_in_nics(self) -> list[Options]:
        nics = [nic for nic in self._all("nic", "type") if nic.get("type") != "none"]
        nics += [nic for nic in self._all("net", "type") if nic.get("type") == "nic"]
        if not nics and not command.has(self._guest, "nodefaults", "net", "nic", "netdev"):
            return [{}]
        return nics


def has_id(device: Options, function: PciFunction) -> bool:
    """Whether the function has the device's identifier."""
    return device.get("id", "") == function.qdev_id != ""


def has_address(device: Options, function: PciFunction) -> bool:
    """Whether the function is where the device was put on the root bus."""
    slot, _, number = device.get("addr", "").partition(".")
    if not re.fullmatch(r"(0[xX])?[0-9a-fA-F]+", slot) or device.get("bus", "pci.0") not in ("pci.0", "pcie.0"):
        return False
    place = (function.bus, function.slot, function.function)
    return place == (0, int(slot, 16), int(number, 16) if re.fullmatch(r"(0[xX])?[0-7]", number) else 0)


def _has_place(device: Options, function: PciFunction) -> bool:
    """Devices on other buses than the root take their places after the others."""
    return True


def _nic_driver(model: str, guest: Guest) -> str:
    return NIC_MODELS.get(model, model) if model else USUAL_NICS.get(guest.machine, "")


def is_nic(device: Options) -> bool:
    """Whether a device is a network card."""
    return device.get("driver", "").startswith(NICS)


def integer(properties: Options, name: str, default: int) -> int:
    """A property that is a number, with QEMU's suffixes; `default` without it or if it is none."""
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([kKMGT]?)", properties.get(name, ""))
    return int(match[1], 0) << SUFFIXES[match[2]] if match else default


def _images(guest: Guest) -> dict[str, int]:
    """Bytes of each image, by its file's name. What appears with two sizes is left out."""
    try:
        images = json.loads(str(guest.meta.get("images", "[]")))
    except (ValueError, RecursionError):
        return {}
    sizes: dict[str, set[int]] = {}
    for image in images if isinstance(images, list) else ():
        if isinstance(image, dict) and isinstance(image.get("size"), int):
            sizes.setdefault(str(image.get("name")), set()).add(image["size"])
    return {name: found.pop() for name, found in sizes.items() if len(found) == 1}


def _global(text: str) -> tuple[str, str, str]:
    if "=" not in text.partition(".")[2]:
        options = command.parameters(text)
        return options.get("driver", ""), options.get("property", ""), options.get("value", "")
    name, _, value = text.partition("=")
    driver, _, key = name.rpartition(".")
    return driver, key, value


def _take_mac(nic: Options, taken: set[int]) -> int:
    """A card's MAC address: its own, or the first that no card before it has."""
    text = nic.get("mac", nic.get("macaddr", ""))
    parts = re.fullmatch(r"([0-9a-fA-F]{1,2})" + r"[:-]([0-9a-fA-F]{1,2})" * 5, text)
    if parts:
        mac = int.from_bytes(bytes(int(part, 16) for part in parts.groups()), "big")
    else:
        mac = next(mac for mac in count(FIRST_MAC) if mac not in taken)
    taken.add(mac)
    return mac
