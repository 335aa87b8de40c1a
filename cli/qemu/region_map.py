"""QEMU's own account of its machine: the flat view of both address spaces, and the PCI functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vmdev.replay.guest import PciFunction, Region

_VIEW: Final = re.compile(r'^ AS "([^"]*)"')
_RANGE: Final = re.compile(
    r"^  ([0-9a-f]{16})-([0-9a-f]{16}) \(prio (-?\d+), ([^)]+)\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?$"
)

_REGION_OBJECT: Final = re.compile(r"^ */(.+)\[\d+\] \((?:qemu:)?(?:iommu-)?memory-region\)\r?$", re.MULTILINE)
_ESCAPED: Final = re.compile(r"\\x([0-9a-f]{2})")
"""How a name has the characters that mean something in a path."""

_SPACES: Final = {"I/O": "pio", "memory": "mmio"}

_MAP_CHANGERS: Final = ("pcie-mmcfg-mmio",)
"""Regions, besides flash, in which a store can change the memory map."""


def parse_flat_view(text: str, snapshot: int = 0) -> list[Region]:
    """Read the output of ``info mtree -f``: the regions of the address spaces "memory" and "I/O", by address.

    QEMU lists the address spaces in an order that differs from run to run.
    """
    return sorted(_regions(text, snapshot), key=lambda region: (region.space, region.first))


def _regions(text: str, snapshot: int) -> Iterator[Region]:
    space: str | None = None
    in_heading = False
    for line in text.splitlines():
        view = _VIEW.match(line)
        if view:
            if not in_heading:
                space, in_heading = None, True
            space = space or _SPACES.get(view[1])
            continue
        found = _RANGE.match(line)
        if found:
            in_heading = False
            if space:
                first, last, priority, kind, name, offset = found.groups()
                yield Region(
                    space, int(first, 16), int(last, 16), name, kind, int(offset or "0", 16), snapshot, int(priority)
                )
        elif line.startswith("FlatView"):
            space, in_heading = None, False


def parse_region_names(text: str) -> frozenset[str]:
    """Read the output of ``info qom-tree``: the names of all regions that have an owner, mapped or not."""
    return frozenset(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), name) for name in _REGION_OBJECT.findall(text))


def hazards(regions: Sequence[Region]) -> str:
    """The physical ranges in which a store may change the memory map, as the recorder takes them."""
    return ":".join(
        f"{region.first:#x}-{region.last:#x}"
        for region in regions
        if region.space == "mmio" and (region.kind == "romd" or region.name in _MAP_CHANGERS)
    )


def parse_pci(buses: Sequence[Mapping[str, Any]]) -> Iterator[tuple[PciFunction, list[Mapping[str, Any]]]]:
    """Read the answer of ``query-pci``: each function, with its BARs as QEMU tells them."""
    for bus in buses:
        for device in bus["devices"]:
            identity = device["id"]
            yield (
                PciFunction(
                    bus=device["bus"],
                    slot=device["slot"],
                    function=device["function"],
                    vendor_id=identity["vendor"],
                    device_id=identity["device"],
                    class_code=device["class_info"]["class"],
                    qdev_id=device.get("qdev_id", ""),
                ),
                list(device.get("regions", ())),
            )
            bridge = device.get("pci_bridge")
            if bridge:
                yield from parse_pci([{"devices": bridge.get("devices", ())}])
