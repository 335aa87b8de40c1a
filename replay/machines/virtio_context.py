"""What the setup of a virtio device is made from: its properties, the machine, the transport.

Source: QEMU's properties of ``virtio-device`` and its transports, with their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..devices.virtio_device import (
    F_ACCESS_PLATFORM,
    F_ANY_LAYOUT,
    F_BAD_FEATURE,
    F_EVENT_IDX,
    F_IN_ORDER,
    F_INDIRECT_DESC,
    F_NOTIFY_ON_EMPTY,
    F_RING_PACKED,
    F_RING_RESET,
    F_VERSION_1,
)
from .command import is_on
from .peripherals import Options, Peripherals

Switches = Mapping[str, tuple[int, bool]]
"""Properties that offer a feature: its bit, and whether it is offered unless told otherwise."""

COMMON: Final[Switches] = {
    "notify_on_empty": (F_NOTIFY_ON_EMPTY, True), "any_layout": (F_ANY_LAYOUT, True),
    "indirect_desc": (F_INDIRECT_DESC, True), "event_idx": (F_EVENT_IDX, True),
    "iommu_platform": (F_ACCESS_PLATFORM, False), "packed": (F_RING_PACKED, False), "in_order": (F_IN_ORDER, False),
}  # fmt: skip


class Context:
    """What a setup is made from."""

    def __init__(self, peripherals: Peripherals, options: Options, mac: int, *, is_pci: bool, is_modern: bool) -> None:
        self.peripherals = peripherals
        driver = options.get("driver", "")
        base = re.sub(r"-pci(-non-transitional|-transitional)?$", "", driver).removesuffix("-device")
        parents = (f"{base}-device", f"{base}-pci", "virtio-pci" if is_pci else "virtio-mmio", "virtio-device")
        self.options = peripherals.properties(options, *parents)
        self.mac = mac
        self.is_pci = is_pci
        since_7_2 = peripherals.machine_version >= (7, 2)
        self.features = self.switched(COMMON) | self.switched({"queue_reset": (F_RING_RESET, since_7_2)})
        self.features |= F_VERSION_1 * is_modern | F_BAD_FEATURE * is_pci
        self.request_queues = peripherals.cpus if is_pci and self.since(5, 2) else 1
        """How many a device has if it has as many as there are CPUs."""

    def since(self, major: int, minor: int) -> bool:
        """Whether the machine's devices are at least as new."""
        return self.peripherals.machine_version >= (major, minor)

    def switched(self, switches: Switches) -> int:
        """The features that are on."""
        return sum(bit for name, (bit, default) in switches.items() if is_on(self.options, name, default))


def kind_of(driver: str) -> str:
    """``blk`` of ``virtio-blk-pci``; "" if it is no virtio device."""
    match = re.fullmatch(r"(?:vhost-user-|virtio-)(.+?)(?:-device|-pci(?:-non-transitional|-transitional)?)?", driver)
    return match[1] if match else ""
