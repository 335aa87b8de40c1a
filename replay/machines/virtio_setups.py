"""The types of virtio devices as QEMU configures them, from their properties.

Source: QEMU's properties of each device (``-device virtio-blk-pci,help``) with their defaults, and what older machine
types change of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from ..devices.virtio_device import F_ANY_LAYOUT, F_VERSION_1, Setup, VirtioDevice
from ..devices.virtio_types import (
    VirtioBalloon,
    VirtioBlk,
    VirtioConsole,
    VirtioGpu,
    VirtioInput,
    VirtioNet,
    VirtioRng,
    VirtioScsi,
)
from .command import is_on
from .peripherals import integer
from .virtio_context import Context, Switches, kind_of

DEVICE_FEATURES: Final = (1 << 24) - 1 | ((1 << 14) - 1) << 50
"""The bits that each type of device has for itself (2.2)."""

MOST_SECTORS: Final = 0x3F_FFFF
NO_VNET_HEADER: Final = frozenset(("", "user", "socket", "stream", "dgram", "hubport", "l2tpv3", "vde", "passt"))
"""Networks that leave checksums and segmentation to the guest."""

NET: Final[Switches] = {
    "ctrl_guest_offloads": (1 << 2, True), "mrg_rxbuf": (1 << 15, True), "status": (1 << 16, True),
    "ctrl_vq": (1 << 17, True), "ctrl_rx": (1 << 18, True), "ctrl_vlan": (1 << 19, True),
    "ctrl_rx_extra": (1 << 20, True), "guest_announce": (1 << 21, True), "mq": (1 << 22, False),
    "ctrl_mac_addr": (1 << 23, True), "gso": (1 << 6, True), "rss": (1 << 60, False), "guest_rsc_ext": (1 << 61, False),
}  # fmt: skip
NET_MAC, NET_MTU, NET_SPEED_DUPLEX, NET_STANDBY = 1 << 5, 1 << 3, 1 << 63, 1 << 62
NET_ENDS: Final = ((1 << 16, 8), (1 << 22, 10), (NET_MTU, 12), (NET_SPEED_DUPLEX, 17), (1 << 60 | 1 << 57, 24))
"""Where the configuration space ends if one of these features is offered; else after the MAC address."""


def build(context: Context, device_id: int) -> VirtioDevice:
    """The device that the command describes; of one that is not known here only the recording knows what it is like."""
    driver = context.options.get("driver", "")
    builder = None if driver.startswith("vhost-") else BUILDERS.get(kind_of(driver))
    if builder is not None:
        device = builder(context)
        if device_id in (0, device.device_id):
            return device
    setup = Setup(context.features, DEVICE_FEATURES, None, bytes(256), dict.fromkeys(range(256), 0xFF))
    for known in (VirtioNet, VirtioBlk, VirtioConsole, VirtioRng, VirtioBalloon, VirtioScsi, VirtioGpu, VirtioInput):
        if known.device_id == device_id:
            return known(setup)
    device = VirtioDevice(setup)
    device.device_id = device_id
    return device


def _blk(context: Context) -> VirtioDevice:
    options, peripherals = context.options, context.peripherals
    drive = peripherals.drives.get(options.get("drive", ""), {})
    cached = drive.get("cache", "") not in ("writethrough", "directsync") and is_on(drive, "cache.writeback", True)
    cached = is_on(options, "write-cache", cached) if options.get("write-cache") != "auto" else cached
    features = context.features | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 10
    features |= context.switched(
        {"config-wce": (1 << 11, True), "discard": (1 << 13, True), "write-zeroes": (1 << 14, True)}
    )
    if not features & F_VERSION_1:
        features = features & ~F_ANY_LAYOUT | 1 << 7
    if cached or (context.since(5, 0) and features & 1 << 11):
        features |= 1 << 9
    if is_on(drive, "readonly", False) or is_on(drive, "read-only", False):
        features |= 1 << 5
    queues = integer(options, "num-queues", context.request_queues)
    features |= (queues > 1) << 12
    buffers = integer(options, "queue-size", 256 if context.since(5, 0) else 128)
    block = integer(options, "logical_block_size", 512)
    physical = integer(options, "physical_block_size", 512)
    granularity = integer(options, "discard_granularity", block) if context.since(6, 0) else block
    size = peripherals.image_size(options)
    config = struct.pack(
        "<QIIHBBIBBHIBBHIIIIIB",
        -(-(size or 0) // 512), 0,
        buffers - 2 if is_on(options, "seg-max-adjust", context.since(5, 0)) else 126,
        0, 0, 0, block, max(physical // block, 1).bit_length() - 1, 0,
        integer(options, "min_io_size", 0) // block, integer(options, "opt_io_size", 0) // block, cached, 0, queues,
        integer(options, "max-discard-sectors", MOST_SECTORS), 1, granularity >> 9,
        integer(options, "max-write-zeroes-sectors", MOST_SECTORS), 1, 1,
    )  # fmt: skip
    end = 57 if features & 1 << 14 else 48 if features & 1 << 13 else 36
    # The geometry is guessed from the partition table on the disk.
    unknown = dict.fromkeys(range(16, 20), 0xFF) | ({} if size is not None else dict.fromkeys(range(8), 0xFF))
    return VirtioBlk(Setup(features, 0, (buffers,) * queues, config[:end], unknown))


def _net(context: Context) -> VirtioDevice:
    options = context.options
    network = context.peripherals.networks.get(options.get("netdev", ""), {}).get("type", "")
    features = context.features | context.switched(NET) | NET_MAC
    mtu = integer(options, "host_mtu", 0)
    speed, duplex = integer(options, "speed", -1), {"half": 0, "full": 1}.get(options.get("duplex", ""), 0xFF)
    features |= NET_MTU * (mtu != 0) | NET_SPEED_DUPLEX * (speed >= 0 or duplex != 0xFF)
    features |= NET_STANDBY * is_on(options, "failover", False)
    buffers = integer(options, "rx_queue_size", 256), integer(options, "tx_queue_size", 256), 64
    end = max([6, *(end for bits, end in NET_ENDS if features & bits)])
    config = struct.pack(
        "<6sHHHIBBHI", context.mac.to_bytes(6, "big"), 1, 1, mtu, speed & 0xFFFF_FFFF, duplex, 40,
        128 if features & 1 << 60 else 1, 0x1FF,
    )[:end]  # fmt: skip
    unknown_mac = {} if context.mac else dict.fromkeys(range(6), 0xFF)
    if network in NO_VNET_HEADER:
        return VirtioNet(Setup(features, 0, buffers, config, unknown_mac))
    return VirtioNet(Setup(features, DEVICE_FEATURES, None, config, unknown_mac | dict.fromkeys(range(8, end), 0xFF)))


def _rng(context: Context) -> VirtioDevice:
    return VirtioRng(Setup(context.features, 0, (8,)))


def _balloon(context: Context) -> VirtioDevice:
    features = context.features | 1 << 1 | context.switched({
        "deflate-on-oom": (1 << 2, False), "free-page-hint": (1 << 3, False),
        "page-poison": (1 << 4, context.since(5, 1)), "free-page-reporting": (1 << 5, False),
    })  # fmt: skip
    hinting, reporting = features & 1 << 3, features & 1 << 5
    queues = (128, 128, 128) + (1024,) * bool(hinting) + (32,) * bool(reporting)
    end = 16 if features & 1 << 4 else 12 if hinting else 8
    return VirtioBalloon(Setup(features, 0, queues, bytes(end)))


def _serial(context: Context) -> VirtioDevice:
    ports = integer(context.options, "max_ports", 31)
    features = context.features | (ports > 1) << 1 | context.switched({"emergency-write": (1 << 2, True)})
    config = struct.pack("<HHII", 0, 0, ports, 0)[: 12 if features & 1 << 2 else 8]
    return VirtioConsole(Setup(features, 0, (128, 128, 32, 32) + (128, 128) * (ports - 1), config))


def _scsi(context: Context) -> VirtioDevice:
    options = context.options
    features = context.features | context.switched({"hotplug": (1 << 1, True), "param_change": (1 << 2, True)})
    queues = integer(options, "num_queues", context.request_queues)
    buffers = integer(options, "virtqueue_size", 256 if context.since(5, 0) else 128)
    segments = buffers - 2 if is_on(options, "seg_max_adjust", context.since(5, 0)) else 126
    sectors, commands = integer(options, "max_sectors", 0xFFFF), integer(options, "cmd_per_lun", 128)
    config = struct.pack("<7IHHI", queues, segments, sectors, commands, 16, 96, 32, 0, 255, 16383)
    return VirtioScsi(Setup(features, 0, (buffers,) * (queues + 2), config))


def _gpu(context: Context) -> VirtioDevice:
    features = context.features | context.switched({"edid": (1 << 1, True), "blob": (1 << 3, False)})
    return VirtioGpu(
        Setup(features, 0, (64, 16), struct.pack("<4I", 0, 0, integer(context.options, "max_outputs", 1), 0))
    )


def _input(context: Context) -> VirtioDevice:
    return VirtioInput(Setup(context.features, 0, (64, 64), bytes(136)))


BUILDERS: Final[Mapping[str, Callable[[Context], VirtioDevice]]] = {
    "blk": _blk, "net": _net, "rng": _rng, "balloon": _balloon, "serial": _serial, "scsi": _scsi,
    "gpu": _gpu, "vga": _gpu, "keyboard": _input, "mouse": _input, "tablet": _input, "multitouch": _input,
    "input-host": _input,
}  # fmt: skip
