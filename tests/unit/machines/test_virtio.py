"""virtio devices of a board, and how QEMU configures them."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.device import Unknown
from vmdev.replay.devices.virtio_device import F_VERSION_1, VirtioDevice
from vmdev.replay.devices.virtio_types import VirtioBlk, VirtioNet
from vmdev.replay.guest import Guest, Region
from vmdev.replay.machines import build as build_board
from vmdev.replay.machines.peripherals import Peripherals
from vmdev.replay.machines.virtio_context import Context, kind_of
from vmdev.replay.machines.virtio_setups import build


def configured(
    options: str, *, is_pci: bool = True, is_modern: bool = True, device_id: int = 0, **meta: str | int
) -> VirtioDevice:
    """The last device of a command."""
    guest = Guest("pc", meta={"command": json.dumps(["qemu", *options.split()]), **meta})
    found = Peripherals(guest)
    context = Context(found, found.devices[-1], found.macs[-1], is_pci=is_pci, is_modern=is_modern)
    return build(context, device_id)


def bits(device: VirtioDevice) -> set[int]:
    return {number for number in range(64) if device.features >> number & 1}


TRANSPORT = {24, 27, 28, 29, 40}
PCI_MODERN = TRANSPORT | {30, 32}


def test_kinds_are_told_by_the_drivers_name() -> None:
    assert kind_of("virtio-blk-pci") == kind_of("virtio-blk-device") == kind_of("virtio-blk-pci-transitional") == "blk"
    assert kind_of("virtio-net-pci-non-transitional") == "net"
    assert kind_of("virtio-vga") == "vga"
    assert kind_of("e1000") == ""


def test_a_disk_offers_what_qemu_offers_by_default() -> None:
    images = json.dumps([{"name": "d.img", "size": 1 << 20}])
    disk = configured("-drive if=none,id=d,format=raw,file=d.img -device virtio-blk-pci,drive=d", images=images, smp=2)
    assert bits(disk) == PCI_MODERN | {2, 4, 6, 9, 10, 11, 12, 13, 14}
    assert disk.queue_count == 2
    assert disk.read_config(0, 4) == 2048
    assert disk.read_config(12, 4) == 254
    assert disk.read_config(20, 4) == 512
    assert disk.read_config(32, 1) == 1
    assert disk.read_config(34, 2) == 2
    assert disk.read_config(36, 4) == disk.read_config(48, 4) == 0x3F_FFFF
    assert disk.read_config(44, 4) == 1
    assert disk.read_config(56, 1) == 1
    assert disk.read_config(57, 1) == 0xFF
    assert isinstance(disk.read_config(16, 2), Unknown)


def test_a_legacy_disk_takes_scsi_commands_and_no_layout_of_its_drivers_choice() -> None:
    disk = configured("-device virtio-blk-device", is_pci=False, is_modern=False)
    assert bits(disk) == TRANSPORT - {27} | {2, 4, 6, 7, 9, 10, 11, 13, 14}
    assert isinstance(disk.read_config(0, 4), Unknown), "nobody says how large it is"


@pytest.mark.parametrize(
    ("options", "offered", "cache"),
    [
        ("cache=writethrough", True, 0),
        ("cache=directsync", True, 0),
        ("cache=none", True, 1),
        ("cache.writeback=off", True, 0),
        ("readonly=on", True, 1),
    ],
)
def test_the_drives_cache_is_the_disks(options: str, offered: bool, cache: int) -> None:
    disk = configured(f"-drive if=none,id=d,{options} -device virtio-blk-pci,drive=d")
    assert (9 in bits(disk)) == offered
    assert disk.read_config(32, 1) == cache
    assert (5 in bits(disk)) == ("readonly" in options)
    assert configured(f"-drive if=none,id=d,{options} -device virtio-blk-pci,drive=d,write-cache=on").config[32] == 1


def test_properties_change_a_disk() -> None:
    disk = configured(
        "-global virtio-blk-device.queue-size=64 -device virtio-blk-pci,num-queues=1,packed=on,event_idx=off,"
        "discard=off,write-zeroes=off,config-wce=off,logical_block_size=4096,physical_block_size=8k,seg-max-adjust=off"
    )
    assert bits(disk) == PCI_MODERN - {29} | {2, 4, 6, 9, 10, 34}
    assert disk.queues[0].size == 64
    assert disk.read_config(12, 4) == 126
    assert disk.read_config(20, 4) == 4096
    assert disk.read_config(24, 1) == 1
    assert disk.read_config(36, 4) == 0xFFFF_FFFF
    assert len(configured("-device virtio-blk-pci,write-zeroes=off").config) == 48


def test_older_machines_have_older_disks() -> None:
    disk = configured("-device virtio-blk-pci", machine_type="pc-i440fx-4.2", smp=4)
    assert disk.queue_count == 1
    assert disk.queues[0].size == 128
    assert disk.read_config(12, 4) == 126
    assert 40 not in bits(disk)


def test_a_card_on_a_user_network_has_no_offloads() -> None:
    card = configured("-netdev user,id=n -device virtio-net-pci,netdev=n,mac=52:54:00:77:88:99")
    assert bits(card) == PCI_MODERN | {2, 5, 6, 15, 16, 17, 18, 19, 20, 21, 23}
    assert [queue.size for queue in card.queues.values()] == [256, 256, 64]
    assert bytes(card.config) == bytes.fromhex("5254007788990100")


def test_properties_lengthen_a_cards_configuration() -> None:
    for options, end in (("status=off", 6), ("mq=on", 10), ("host_mtu=1400", 12), ("speed=1000", 17), ("rss=on", 24)):
        card = configured(f"-device virtio-net-pci,duplex=bad,{options}")
        assert len(card.config) == end
    assert card.config[18] == 128


def test_only_the_recording_knows_what_a_host_network_can_do() -> None:
    card = configured("-netdev tap,id=n -device virtio-net-pci,netdev=n")
    assert isinstance(card, VirtioNet)
    assert isinstance(card.offered(0, 0), Unknown)
    assert isinstance(card.count(), Unknown)
    assert card.read_config(0, 4) == 0x1200_5452


def test_other_devices() -> None:
    assert bits(configured("-device virtio-rng-pci")) == PCI_MODERN
    assert bits(configured("-device virtio-balloon-pci")) == PCI_MODERN | {1, 4}
    assert len(configured("-device virtio-balloon-pci,page-poison=off,free-page-hint=on").config) == 12
    hinting = configured("-device virtio-balloon-pci,free-page-hint=on,free-page-reporting=on")
    assert [queue.size for queue in hinting.queues.values()] == [128, 128, 128, 1024, 32]
    console = configured("-device virtio-serial-pci,max_ports=2")
    assert bits(console) == PCI_MODERN | {1, 2}
    assert [queue.size for queue in console.queues.values()] == [128, 128, 32, 32, 128, 128]
    assert console.read_config(4, 4) == 2
    assert len(configured("-device virtio-serial-pci,emergency-write=off").config) == 8
    scsi = configured("-device virtio-scsi-pci", smp=2)
    assert bits(scsi) == PCI_MODERN | {1, 2}
    assert scsi.queue_count == 4
    assert [scsi.read_config(at, 4) for at in (0, 4, 20, 24)] == [2, 254, 96, 32]
    gpu = configured("-device virtio-gpu-pci")
    assert bits(gpu) == PCI_MODERN | {1}
    assert gpu.read_config(8, 4) == 1
    assert isinstance(configured("-device virtio-tablet-pci").read_config(2, 1), Unknown)


def test_an_unknown_device_is_learned() -> None:
    device = configured("-device vhost-vsock-pci", device_id=19)
    assert device.device_id == 19
    assert isinstance(device.read_config(0, 4), Unknown)
    assert device.features & F_VERSION_1
    assert isinstance(configured("-device vhost-user-blk-pci", device_id=2), VirtioBlk)
    assert isinstance(configured("-device virtio-rng-pci", device_id=1), VirtioNet), "the identity decides"


# Slots

SLOTS = tuple(Region("mmio", 0xFEB0_0000 + 0x200 * n, 0xFEB0_01FF + 0x200 * n, "virtio-mmio") for n in range(3))


def test_a_microvm_fills_its_slots_from_the_last_one() -> None:
    command = [
        "qemu", "-device", "virtio-rng-device", "-device", "virtio-blk-device,bus=virtio-mmio-bus.0",
        "-device", "virtio-balloon-device", "-device", "isa-debugcon",
    ]  # fmt: skip
    board = build_board(Guest("microvm", regions=SLOTS, meta={"command": json.dumps(command)}))
    ids = [board.devices[f"virtio-mmio@{slot.first:x}"].read(8, 4) for slot in SLOTS]
    assert ids == [2, 5, 4]
    assert board.devices["virtio-mmio@feb00000"].read(4, 4) == 1
    assert board.devices["virtio-mmio@feb00000"].registers.find(0x100, "r") is not None


def test_more_devices_than_slots_are_left_out() -> None:
    command = ["qemu", "-global", "virtio-mmio.force-legacy=off", *["-device", "virtio-rng-device"] * 4]
    board = build_board(Guest("microvm", regions=SLOTS[:1], meta={"command": json.dumps(command)}))
    assert board.devices["virtio-mmio@feb00000"].read(4, 4) == 2
    assert not any(name.startswith("virtio") for name in build_board(Guest("microvm")).devices)
