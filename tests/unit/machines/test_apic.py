"""HPET, I/O APICs, local APICs and the AT's other chips on a board: how they are wired."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.bus import MmioAddress, PioAddress
from vmdev.replay.devices.hpet import Hpet
from vmdev.replay.devices.i8259 import I8259Pair
from vmdev.replay.devices.ioapic import IoApic
from vmdev.replay.devices.local_apic import LocalApic
from vmdev.replay.guest import Guest, Region
from vmdev.replay.machines import build
from vmdev.replay.machines.acknowledges import PATIENCE, Acknowledges
from vmdev.replay.machines.apic import add_apics
from vmdev.replay.machines.board import Board
from vmdev.replay.machines.topology import apic_ids
from vmdev.replay.machines.wiring import Wiring

IOAPIC, HPET, LAPIC, MSI = 0xFEC00000, 0xFED00000, 0xFEE00000, 0xFEE00000
LEVEL, EXTINT = 1 << 15, 0x700


def guest(machine: str = "pc", *command: str, smp: int = 1, apic: bool = True, **more: object) -> Guest:
    ports = [("pic", 0x20, 2), ("pic", 0xA0, 2), ("elcr", 0x4D0, 2), ("pit", 0x40, 4), ("rtc-index", 0x70, 1),
             ("i8042-data", 0x60, 1), ("i8042-cmd", 0x64, 1), ("dma-chan", 0, 8), ("dma-chan", 0xC0, 16),
             ("ioportF0", 0xF0, 1), ("kvmvapic", 0x7E, 2)]  # fmt: skip
    regions = [Region("pio", first, first + size - 1, name) for name, first, size in ports]
    regions.append(Region("pio", 0x71, 0x71, "rtc", offset=1))
    if apic:
        regions += [
            Region("mmio", IOAPIC, IOAPIC + 0xFFF, "ioapic"),
            Region("mmio", HPET, HPET + 0x3FF, "hpet"),
            Region("mmio", LAPIC, LAPIC + 0xFFFFF, "apic-msi"),
        ]
    meta = {"command": json.dumps(["qemu-system-x86_64", *command]), "smp": smp} | more
    return Guest(machine, regions=tuple(regions), meta=meta)  # type: ignore[arg-type]


def put(board: Board, address: int, value: int, size: int = 4, cpu: int = 0) -> None:
    if address < 0x10000:
        board.io.resolve_pio(PioAddress(address), size, cpu).write(value)
    else:
        board.io.resolve_mmio(MmioAddress(address), size, cpu).write(value)


def get(board: Board, address: int, size: int = 4, cpu: int = 0) -> int:
    if address < 0x10000:
        return board.io.resolve_pio(PioAddress(address), size, cpu).read()
    return board.io.resolve_mmio(MmioAddress(address), size, cpu).read()


def redirect(board: Board, pin: int, low: int) -> None:
    put(board, IOAPIC, 0x10 + 2 * pin)
    put(board, IOAPIC + 0x10, low)


def start_pic(board: Board) -> None:
    for port, base, cascade in ((0x20, 0x20, 4), (0xA0, 0x28, 2)):
        put(board, port, 0x11, 1)
        for value in (base, cascade, 1, 0):
            put(board, port + 1, value, 1)


def start_pit(board: Board, count: int = 100) -> None:
    put(board, 0x43, 0x34, 1)
    put(board, 0x40, count & 0xFF, 1)
    put(board, 0x40, count >> 8, 1)


def requested(board: Board, vector: int, name: str = "lapic") -> bool:
    return bool(board.devices[name].state()["irr"] >> vector & 1)


# What is there


def test_a_board_has_what_its_map_shows() -> None:
    names = {"ioapic", "lapic", "hpet", "i8042", "dma", "portf0", "kvmvapic"}
    assert names <= set(build(guest()).devices)
    assert not {"ioapic", "lapic", "hpet"} & set(build(guest(apic=False)).devices)


def test_every_cpu_has_a_local_apic_at_the_same_place() -> None:
    board = build(guest(smp=3))
    assert [get(board, LAPIC + 0x20, cpu=cpu) >> 24 for cpu in range(3)] == [0, 1, 2]
    assert {"lapic", "lapic1", "lapic2"} <= set(board.devices)


def test_a_second_io_apic_has_the_next_24_gsis() -> None:
    regions = [Region("mmio", at, at + 0xFFF, "ioapic") for at in (IOAPIC, IOAPIC + 0x10000)]
    wiring = Wiring("microvm", Guest("microvm", regions=tuple(regions)), {})
    add_apics(wiring)
    low, high = (wiring.board.devices[name] for name in ("ioapic", "ioapic1"))
    for ioapic in (low, high):
        ioapic.write(0, 4, 0x10 + 2 * 5)
        ioapic.write(0x10, 4, 0x31 | LEVEL)
    wiring.gsi(24 + 5).set(True)
    assert (low.read(0x10, 4) >> 14 & 1, high.read(0x10, 4) >> 14 & 1) == (0, 1)


def test_properties_of_the_boards_devices_come_from_the_command_line() -> None:
    board = build(guest("pc", "-global", "ioapic.version=0x11", "-global", "hpet.timers=5", "-global", "hpet.msi=on"))
    put(board, IOAPIC, 1)
    assert get(board, IOAPIC + 0x10) == 0x170011
    assert get(board, HPET) == 0x8086_A401
    assert get(board, HPET + 0x100) & 0x8000


@pytest.mark.parametrize(("machine", "interrupts"), [("pc", 0x4), ("q35", 0xFF0104)])
def test_which_interrupts_an_hpet_may_use_depends_on_the_board(machine: str, interrupts: int) -> None:
    assert get(build(guest(machine)), HPET + 0x104) == interrupts


# How it is wired


def test_isa_interrupts_reach_both_kinds_of_controllers() -> None:
    """Interrupt 1 is pin 1."""
    board = build(guest())
    start_pic(board)
    redirect(board, 1, 0x31)
    put(board, 0x60, 0xEE, 1)
    put(board, 0x21, 0xFF, 1)
    assert get(board, 0x20, 1) & 2
    assert requested(board, 0x31)


def test_interrupt_0_is_pin_2() -> None:
    board = build(guest())
    redirect(board, 2, 0x30)
    start_pit(board)
    board.clock.advance(1_000_000)
    assert requested(board, 0x30)


def test_the_hpet_stands_between_the_8254_and_interrupt_0() -> None:
    board = build(guest())
    redirect(board, 2, 0x30)
    put(board, HPET + 0x10, 3)
    start_pit(board)
    board.clock.advance(1_000_000)
    assert not requested(board, 0x30)
    put(board, HPET + 0x100, 4)
    put(board, HPET + 0x108, 200_000)
    board.clock.advance(3_000_000)
    assert requested(board, 0x30)


def test_without_a_pit_the_hpet_works_too() -> None:
    board = build(Guest("pc", regions=(Region("mmio", HPET, HPET + 0x3FF, "hpet"), Region("pio", 0, 1, "x"))))
    put(board, HPET + 0x10, 3)
    assert get(board, HPET + 0x10) == 3


def test_the_8259a_reaches_the_cpu_through_lint0() -> None:
    board = build(guest())
    start_pic(board)
    put(board, LAPIC + 0x350, 0x51)
    put(board, LAPIC + 0xF0, 0x10F)
    put(board, 0x60, 0xEE, 1)
    assert requested(board, 0x51)


def test_the_8259a_is_acknowledged_where_lint0_is_extint() -> None:
    board = build(guest())
    start_pic(board)
    put(board, 0x60, 0xEE, 1)
    assert board.devices["pic"].state()["possible"] == 1
    get(board, 0x20, 1)
    assert board.devices["pic"].state()["possible"] == 1
    put(board, LAPIC + 0x350, EXTINT)
    get(board, 0x20, 1)
    assert board.devices["pic"].state()["possible"] > 1


def test_a_message_from_a_device_reaches_the_local_apics() -> None:
    wiring = Wiring("pc", guest(smp=2), {})
    add_apics(wiring)
    wiring.msi(MSI | 1 << 12, 0x61)
    assert (requested(wiring.board, 0x61), requested(wiring.board, 0x61, "lapic1")) == (False, True)


def test_the_page_registers_are_at_the_ats_ports() -> None:
    board = build(guest())
    for port in (0x81, 0x82, 0x83, 0x87, 0x89, 0x8A, 0x8B, 0x8F):
        put(board, port, port, 1)
    assert [get(board, port, 1) for port in (0x87, 0x8B)] == [0x87, 0x8B]
    put(board, 0xC2, 0x34, 1)
    assert board.devices["dma"].state()["dma2_base_count0"] == 0x34


# APIC IDs


@pytest.mark.parametrize(
    ("smp", "options", "ids"),
    [
        (1, "", [0]),
        (3, "3", [0, 1, 2]),
        (4, "4,sockets=2", [0, 1, 2, 3]),
        (6, "6,sockets=2,cores=3,threads=1", [0, 1, 2, 4, 5, 6]),
        (2, "cpus=2,maxcpus=8,threads=2", [0, 1]),
        (4, "sockets=2,dies=1,cores=1,threads=2", [0, 1, 2, 3]),
        (3, "3,sockets=3,cores=1", [0, 1, 2]),
        (5, "2", [0, 1, 2, 3, 4]),
        (2, "nonsense", [0, 1]),
    ],
)
def test_apic_ids_follow_the_topology(smp: int, options: str, ids: list[int]) -> None:
    assert apic_ids(guest("pc", *(["-smp", options] if options else []), smp=smp)) == ids


def test_without_a_recorded_number_the_command_line_counts() -> None:
    assert apic_ids(guest("pc", "-smp", "2", smp=0)) == [0, 1]


# Interrupts that a recording tells of


class Told:
    """A board whose CPUs' interrupts are told."""

    def __init__(self) -> None:
        self.board = build(guest())
        assert self.board.interrupts is not None
        self.interrupts = self.board.interrupts
        self.interrupts.begin()
        put(self.board, LAPIC + 0xF0, 0x1FF)

    def request(self, vector: int) -> None:
        put(self.board, LAPIC + 0x300, 1 << 18 | vector)


def test_the_local_apics_request_is_taken() -> None:
    told = Told()
    told.request(0x51)
    assert told.interrupts.take(0, 0x1000)
    assert get(told.board, LAPIC + 0x120) == 1 << 17
    assert not told.interrupts.take(0, 0x1000)
    assert not told.interrupts.take(5, 0x1000)


def test_the_8259a_comes_first_where_it_is_heard() -> None:
    told = Told()
    start_pic(told.board)
    told.request(0x51)
    put(told.board, 0x60, 0xEE, 1)
    put(told.board, LAPIC + 0x350, EXTINT)
    assert told.interrupts.take(0, 0x1000)
    assert told.board.devices["pic"].state()["pic1_isr"] == 2
    assert told.interrupts.take(0, 0x2000)
    assert get(told.board, LAPIC + 0x120) == 1 << 17


def test_without_local_apics_the_8259a_is_heard() -> None:
    pair = I8259Pair()
    interrupts = Acknowledges("pic", pair, {})
    interrupts.begin()
    pair.request(4)(True)
    assert interrupts.take(0, 0x1000)
    assert pair.state()["pic1_isr"] == 0x10


def test_a_vector_stays_with_its_handler() -> None:
    told = Told()
    told.request(0x51)
    assert told.interrupts.take(0, 0x1000)
    put(told.board, LAPIC + 0xB0, 0)
    told.request(0x51)
    assert not told.interrupts.take(0, 0x2000)
    assert told.interrupts.take(0, 0x1000)


def test_a_new_handler_is_believed_in_the_end() -> None:
    told = Told()
    told.request(0x51)
    told.interrupts.take(0, 0x1000)
    put(told.board, LAPIC + 0xB0, 0)
    told.request(0x51)
    assert [told.interrupts.take(0, 0x2000) for _ in range(PATIENCE)] == [False] * (PATIENCE - 1) + [True]


def test_the_8259a_has_handlers_too() -> None:
    pair = I8259Pair()
    interrupts = Acknowledges("pic", pair, {})
    interrupts.begin()
    for _ in range(2):
        pair.request(4)(True)
        pair.request(4)(False)
        assert interrupts.take(0, 0x1000)
        pair.write(0, 1, 0x20)
    pair.request(4)(True)
    assert not interrupts.take(0, 0x2000)


def test_a_handler_that_never_had_an_interrupt_is_not_waited_for() -> None:
    told = Told()
    assert told.interrupts.waits(0x3000)
    assert not told.interrupts.waits(0x3000)
    told.request(0x51)
    told.interrupts.take(0, 0x3000)
    assert told.interrupts.waits(0x3000)
    assert told.interrupts.waits(0x3000)


def test_the_models_of_a_board_are_these() -> None:
    board = build(guest())
    kinds = {"hpet": Hpet, "ioapic": IoApic, "lapic": LocalApic}
    assert {name: type(board.devices[name]) for name in kinds} == kinds
