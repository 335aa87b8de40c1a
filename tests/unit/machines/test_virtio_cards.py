"""virtio devices on PCI."""

from __future__ import annotations

import json

from vmdev.replay.bus import MmioAddress, PioAddress
from vmdev.replay.device import Unknown
from vmdev.replay.devices.pci_config import PciConfig
from vmdev.replay.devices.pci_host import ECAM
from vmdev.replay.guest import Guest, PciBar, PciFunction, Region
from vmdev.replay.machines import build
from vmdev.replay.machines.board import Board
from vmdev.replay.machines.messages import find_capability
from vmdev.replay.machines.virtio_cards import type_of

CONFIG_PORTS = Region("pio", 0xCF8, 0xCFB, "pci-conf-idx")
IO, MSIX, MODERN = 0xC000, 0xFEBF_1000, 0xFE00_0000
MODERN_BAR = PciBar(4, 0x4000, is_64=True, prefetch=True, address=MODERN)
IO_BAR = PciBar(0, 0x80, is_io=True, address=IO)
MSIX_BAR = PciBar(1, 0x1000, address=MSIX)
TABLE = Region("mmio", MSIX, MSIX + 0x1F, "msix-table"), Region("mmio", MSIX + 0x800, MSIX + 0x807, "msix-pba")


def board_with(*functions: PciFunction, options: str = "", regions: tuple[Region, ...] = TABLE) -> Board:
    command = json.dumps(["qemu", *options.split()])
    return build(Guest("pc", functions=functions, regions=(CONFIG_PORTS, *regions), meta={"command": command}))


def disk(device_id: int = 0x1001, *bars: PciBar, slot: int = 3, name: str = "") -> PciFunction:
    return PciFunction(0, slot, 0, 0x1AF4, device_id, 0x0100, name, bars or (IO_BAR, MSIX_BAR, MODERN_BAR))


def config_of(board: Board, name: str = "00:03.0") -> PciConfig:
    config = board.devices[f"pci@{name}"]
    assert isinstance(config, PciConfig)
    return config


def place(config: PciConfig) -> None:
    """Do what firmware does."""
    config.write(0x10, 4, IO)
    config.write(0x14, 4, MSIX)
    config.write(0x20, 4, MODERN)
    config.write(0x04, 2, 7)


def capabilities(config: PciConfig) -> dict[int, bytes]:
    found = {}
    at = config.read(0x34, 1)
    while at:
        found[at] = bytes(config.read(at + n, 1) for n in range(20))
        at = config.read(at + 1, 1)
    return found


def test_types_by_identities() -> None:
    """4.1.2"""
    assert [type_of(identity) for identity in (0x1000, 0x1041, 0x1001, 0x1050, 0x1100, 0x1040)] == [1, 1, 2, 16, 0, 0]


def test_a_transitional_function_has_qemus_layout() -> None:
    config = config_of(board_with(disk()))
    found = capabilities(config)
    assert list(found) == [0x98, 0x84, 0x70, 0x60, 0x50, 0x40]
    assert {at: content[3] for at, content in found.items() if content[0] == 9} == {
        0x40: 1, 0x50: 3, 0x60: 4, 0x70: 2, 0x84: 5,
    }  # fmt: skip
    assert found[0x70][2:] == bytes.fromhex("1402 04000000 00300000 00100000 04000000")
    assert config.read(0x08, 1) == 0
    assert config.read(0x2C, 4) == 0x0002_1AF4
    assert config.read(0x3D, 1) == 1
    assert find_capability(config, 0x11) == 0x98
    assert find_capability(config, 0x01) is None
    config.write(0x84 + 8, 4, 0x1000)
    assert config.read(0x84 + 8, 4) == 0x1000


def test_a_modern_function_has_no_ports() -> None:
    board = board_with(disk(0x1042, MSIX_BAR, MODERN_BAR))
    config = config_of(board)
    assert config.read(0x08, 1) == 1
    assert config.read(0x2C, 4) == 0x1100_1AF4
    assert "virtio-blk@00:03.0" in board.devices
    assert "virtio-blk-legacy@00:03.0" not in board.devices


def test_a_legacy_function_has_no_structures() -> None:
    board = board_with(disk(0x1001, IO_BAR), options="-device virtio-blk-pci,vectors=0,disable-modern=on")
    config = config_of(board)
    assert config.read(0x34, 1) == 0
    assert "virtio-blk@00:03.0" not in board.devices
    place(config)
    assert board.io.resolve_pio(PioAddress(IO), 4).read() & 1 << 7, "without VERSION_1 it takes SCSI commands"


def test_the_bars_show_the_device() -> None:
    board = board_with(disk(), options="-device virtio-blk-pci")
    config = config_of(board)
    place(config)
    assert board.io.resolve_mmio(MmioAddress(MODERN + 0x12), 2).read() == 1
    board.io.resolve_mmio(MmioAddress(MODERN + 0x14), 1).write(3)
    assert board.io.resolve_pio(PioAddress(IO + 0x12), 1).read() == 3, "one device, two interfaces"
    config.write(0x98 + 2, 2, 0x8000)
    assert board.io.resolve_pio(PioAddress(IO + 0x14), 2).read() == 0xFFFF, "MSI-X is enabled"


def test_a_function_that_is_no_bus_master_loses_driver_ok() -> None:
    board = board_with(disk())
    config = config_of(board)
    place(config)
    status = board.io.resolve_mmio(MmioAddress(MODERN + 0x14), 1)
    status.write(0xF)
    config.write(0x04, 2, 7)
    assert status.read() == 0xF
    config.write(0x04, 2, 3)
    assert status.read() == 0xB
    board.io.resolve_pio(PioAddress(IO + 0x12), 1).write(3)
    assert config.read(0x04, 2) == 7, "a legacy driver's status makes it one again"


def test_registers_can_be_reached_through_the_configuration_space() -> None:
    """4.1.4.9"""
    board = board_with(disk(), options="-device virtio-blk-pci")
    config = config_of(board)
    place(config)
    offset, length, data = 0x84 + 8, 0x84 + 12, 0x84 + 16
    status = board.io.resolve_mmio(MmioAddress(MODERN + 0x14), 1)
    config.write(offset, 4, 0x14)
    config.write(data, 1, 3)
    assert status.read() == 0, "no length, no access"
    config.write(length, 4, 1)
    config.write(data, 1, 3)
    assert status.read() == 3
    status.write(0xB)
    assert config.read(data, 1) == 0xB
    config.reset()
    assert status.read() == 0xB
    config.write(offset, 4, 0x4000)
    config.write(data, 1, 7)
    assert config.read(data, 1) == 7, "beyond the registers it is memory"
    config.write(offset, 4, 0x2001)
    config.write(length, 4, 4)
    assert not isinstance(config.read(data, 2), Unknown), "half of it teaches nothing"
    assert config.peek(data, 4) == 0
    capacity = config.read(data, 4)
    assert isinstance(capacity, Unknown)
    assert capacity.mask == 0xFFFF_FFFF
    capacity.learn(0x1234)
    assert config.peek(data, 4) == 0x1234
    assert config.read(data, 4) == 0x1234


def test_what_isr_shows_is_assumed_through_the_configuration_space_too() -> None:
    board = board_with(disk(), options="-device virtio-blk-pci")
    config = config_of(board)
    place(config)
    for offset, size, value in ((0x14, 1, 0xF), (0x20, 4, 0x1000), (0x1C, 2, 1), (0x3000, 2, 0)):
        board.io.resolve_mmio(MmioAddress(MODERN + offset), size).write(value)
    config.write(0x84 + 8, 4, 0x1000)
    config.write(0x84 + 12, 4, 1)
    data = 0x84 + 16
    assert config.read(data, 1) == 1, "a notified device interrupts"
    assert config.assume(data, 1, 0, 1), "the driver polls"
    assert config.peek(data, 1) == 0
    assert not config.assume(data, 2, 0, 1)
    assert not config.assume(data + 1, 1, 0, 1)
    host = board.devices["pci"]
    assert host.assume(ECAM | 3 << 15 | data, 1, 0, 1)
    host.write(0, 4, 0x8000_0000 | 3 << 11 | data)
    assert host.assume(4, 1, 0, 1)
    host.write(0, 4, 0)
    assert not host.assume(4, 1, 0, 1)


def test_page_per_vq_needs_a_larger_bar() -> None:
    large = PciBar(4, 0x80_0000, is_64=True, address=MODERN)
    board = board_with(disk(0x1042, MSIX_BAR, large))
    assert capabilities(config_of(board))[0x70][12:] == bytes.fromhex("00004000 00100000")


def test_functions_are_matched_by_id_by_address_and_in_order() -> None:
    functions = [disk(slot=slot, name="named" if slot == 5 else "") for slot in (3, 4, 5, 6)]
    options = (
        "-device virtio-blk-pci,queue-size=64 -device virtio-blk-pci,queue-size=32,addr=6 -drive if=virtio,file=a "
    )
    board = board_with(*functions, options=options + "-device virtio-blk-pci,id=named,queue-size=16")
    sizes = [board.devices[f"virtio-blk@00:0{slot}.0"].state()["queue0.size"] for slot in (3, 4, 5, 6)]
    assert sizes == [64, 256, 16, 32]


def test_cards_of_nic_options_come_first() -> None:
    functions = [PciFunction(0, slot, 0, 0x1AF4, 0x1000, 0x0200, "", (IO_BAR, MODERN_BAR)) for slot in (3, 4)]
    board = board_with(*functions, options="-nic user,model=virtio,mac=52:54:00:00:00:01 -device virtio-net-pci,addr=z")
    macs = [board.devices[f"virtio-net@00:0{slot}.0"].read(0x2000 + 5, 1) for slot in (3, 4)]
    assert macs == [1, 0x56]


def test_what_is_not_known_is_learned() -> None:
    behind = PciFunction(1, 0, 0, 0x1AF4, 0x1042, 0x0100, "", (MSIX_BAR, MODERN_BAR))
    port = PciFunction(0, 2, 0, 0x1B36, 0x000C, 0x0604)
    vga = PciFunction(0, 4, 0, 0x1AF4, 0x1050, 0x0300, "", (MODERN_BAR,))
    board = board_with(disk(0x1042, MSIX_BAR, MODERN_BAR), port, behind, vga, regions=())
    for name in ("00:03.0", "01:00.0", "00:04.0"):
        assert isinstance(config_of(board, name).read(0x34, 1), Unknown)
    assert "virtio-blk@01:00.0" in board.devices
    assert not any(name.startswith("virtio-gpu") for name in board.devices)
    learned = board_with(disk(0x1042, MSIX_BAR, MODERN_BAR, slot=4), port, behind)
    assert "msix@00:04.0" in learned.devices
    assert "msix@01:00.0" in learned.devices
