"""Displays on boards: where they are, which they are, what monitor they have."""

from __future__ import annotations

import json

from vmdev.replay.bus import DeviceNotFoundError, MmioAddress, PioAddress
from vmdev.replay.device import Device
from vmdev.replay.devices.bochs_display import BochsDisplay
from vmdev.replay.devices.vga import Vga
from vmdev.replay.guest import Guest, PciBar, PciFunction, Region
from vmdev.replay.machines import Board, build

PORTS = (
    Region("pio", 0x1CE, 0x1D1, "vbe"),
    Region("pio", 0x3B4, 0x3B5, "vga"),
    Region("pio", 0x3C0, 0x3CF, "vga"),
    Region("pio", 0x3D4, 0x3D5, "vga"),
    Region("pio", 0xCF8, 0xCF8, "pci-conf-idx"),
)
MEMORY, REGISTERS = 0xE0000000, 0xF0000000
HOST = PciFunction(0, 0, 0, 0x8086, 0x1237, 0x0600)


def display(slot: int, class_code: int = 0x0300, name: str = "", registers: int = REGISTERS) -> PciFunction:
    bars = (
        PciBar(number=0, size=16 << 20, prefetch=True, address=MEMORY),
        PciBar(number=2, size=0x1000, address=registers),
    )
    return PciFunction(0, slot, 0, 0x1234, 0x1111, class_code, name, bars)


def mapped(at: int = REGISTERS, hole: str = "vga.mmio", edid: int = 384) -> tuple[Region, ...]:
    return (Region("mmio", at, at + edid - 1, "edid"), Region("mmio", at + edid, at + 0x3FF, hole))


def board(*words: str, functions: tuple[PciFunction, ...], regions: tuple[Region, ...] = mapped()) -> Board:
    meta = {"command": json.dumps(["qemu", *words])}
    return build(Guest("pc", regions=PORTS + regions, functions=(HOST, *functions), meta=meta))


def enable(board: Board, slot: int, registers: int = REGISTERS) -> None:
    """Put the BAR there and decode memory."""
    for register, value in ((0x18, registers), (0x04, 0x02)):
        board.io.pio_write(PioAddress(0xCF8), (0x80000000 | slot << 11 | register).to_bytes(4, "little"))
        board.io.pio_write(PioAddress(0xCFC), value.to_bytes(4, "little"))


def owner(board: Board, address: int, size: int = 1) -> Device | None:
    try:
        found = board.io.resolve_mmio(MmioAddress(address), size).device
    except DeviceNotFoundError:
        return None
    assert isinstance(found, Device)
    return found


def read(board: Board, address: int, size: int) -> int:
    return board.io.resolve_mmio(MmioAddress(address), size).read()


def test_the_vga_has_ports_window_and_registers_in_memory() -> None:
    found = board(functions=(display(2),))
    vga = found.devices["vga"]
    assert owner(found, 0xA0000) is vga
    assert found.io.resolve_pio(PioAddress(0x3D4), 2).device is vga
    assert found.io.resolve_pio(PioAddress(0x1CF), 2).device is vga
    assert owner(found, REGISTERS) is None
    enable(found, 2)
    for offset in (0, 0x17F, 0x400, 0x41F, 0x500, 0x515, 0x600, 0x607):
        assert owner(found, REGISTERS + offset) is vga
    for offset in (0x180, 0x420, 0x516, 0x608):
        assert read(found, REGISTERS + offset, 2) == 0xFFFF, "a hole"
    assert read(found, REGISTERS + 0x500, 2) == 0xB0C5
    assert read(found, REGISTERS, 1) == 0


def test_other_displays_have_registers_in_memory_only() -> None:
    other, third = REGISTERS + 0x1000, REGISTERS + 0x2000
    found = board(
        functions=(display(2), display(3, 0x0380, registers=other), display(4, 0x0380, registers=third)),
        regions=mapped() + mapped(other) + mapped(third, "bochs-display-mmio"),
    )
    enable(found, 3, other)
    enable(found, 4, third)
    assert isinstance(found.devices["vga@00:03.0"], Vga)
    assert isinstance(found.devices["bochs-display@00:04.0"], BochsDisplay)
    assert owner(found, other + 0x400) is found.devices["vga@00:03.0"]
    assert owner(found, third + 0x500) is found.devices["bochs-display@00:04.0"]
    assert read(found, third + 0x400, 1) == 0xFF, "no ports of a VGA"


def test_without_pci_the_map_tells() -> None:
    memory = Region("mmio", MEMORY, MEMORY + (4 << 20) - 1, "vga.vram", "ram")
    found = build(Guest("isapc", regions=(*PORTS, memory)))
    assert found.io.resolve_pio(PioAddress(0x3C0), 1).device is found.devices["vga"]
    index = found.io.resolve_pio(PioAddress(0x1CE), 2)
    index.write(10)
    assert found.io.resolve_pio(PioAddress(0x1CF), 2).read() == 64
    assert "vga" not in build(Guest("isapc", regions=PORTS[:1])).devices


def width(board: Board, registers: int = REGISTERS) -> int:
    """Of the monitor's preferred mode."""
    return read(board, registers + 56, 1) | (read(board, registers + 58, 1) & 0xF0) << 4


def test_the_monitor_follows_from_the_device_s_properties() -> None:
    function = (display(2, name="screen"),)
    for words, wanted in (
        ((), 1280),
        (("-global", "VGA.xres=640"), 640),
        (("-device", "VGA,xres=800"), 800),
        (("-device", "VGA,id=screen,xres=800", "-device", "VGA,xres=1024"), 800),
        (("-device", "VGA,xres=800", "-device", "VGA,xres=1024"), 1280),
        (("-device", "secondary-vga,xres=800"), 1280),
    ):
        found = board(*words, functions=function)
        enable(found, 2)
        assert width(found) == wanted


def test_devices_without_names_are_in_the_order_of_the_command_line() -> None:
    other = REGISTERS + 0x1000
    found = board(
        *("-device", "secondary-vga,xres=640", "-device", "secondary-vga,xres=800"),
        functions=(display(2, 0x0380), display(3, 0x0380, registers=other)),
        regions=mapped() + mapped(other),
    )
    enable(found, 2)
    enable(found, 3, other)
    assert (width(found), width(found, other)) == (640, 800)


def test_a_display_without_edid_shows_none() -> None:
    found = board(functions=(display(2),), regions=(Region("mmio", REGISTERS, REGISTERS + 0x3FF, "vga.mmio"),))
    enable(found, 2)
    assert read(found, REGISTERS, 4) == 0xFFFF_FFFF


def test_a_display_whose_registers_are_nowhere() -> None:
    function = PciFunction(0, 2, 0, 0x1234, 0x1111, 0x0300, "", (PciBar(number=0, size=16 << 20),))
    assert "vga" in board(functions=(function,)).devices


def test_of_a_display_whose_bars_are_unknown_the_ports_are_there() -> None:
    functions = (PciFunction(0, 2, 0, 0x1234, 0x1111, 0x0300), PciFunction(0, 3, 0, 0x1234, 0x1111, 0x0380))
    devices = board(functions=functions, regions=()).devices
    assert "vga" in devices
    assert "vga@00:03.0" not in devices


def test_the_vga_of_another_kind_of_display_is_where_the_map_shows_it() -> None:
    """As virtio-vga, whose registers in memory are in a BAR of its own."""
    bars = (
        PciBar(number=0, size=8 << 20, prefetch=True, address=MEMORY),
        PciBar(number=1, size=0x20, is_io=True, address=0xC000),
        PciBar(number=2, size=0x4000, address=REGISTERS),
    )
    function = PciFunction(0, 2, 0, 0x1AF4, 0x1050, 0x0300, "", bars)
    regions = (
        Region("mmio", MEMORY, MEMORY + (8 << 20) - 1, "vga.vram", "ram"),
        Region("mmio", REGISTERS + 0x400, REGISTERS + 0x41F, "vga ioports remapped"),
        Region("mmio", REGISTERS + 0x500, REGISTERS + 0x515, "bochs dispi interface"),
    )
    found = board(functions=(function,), regions=regions)
    enable(found, 2)
    assert found.io.resolve_pio(PioAddress(0x3C0), 1).device is found.devices["vga"]
    assert read(found, REGISTERS + 0x514, 2) == 128
    assert owner(found, REGISTERS + 0x41F) is found.devices["vga"]
    assert owner(found, REGISTERS + 0x600) is None
