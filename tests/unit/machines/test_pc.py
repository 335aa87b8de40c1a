"""The PC and its kin: which devices a guest gets, where, and how they are wired."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.bus import DeviceNotFoundError, PioAddress
from vmdev.replay.device import Device
from vmdev.replay.devices.i8259 import I8259Pair
from vmdev.replay.errors import DeviceConfigError, UnknownMachineError
from vmdev.replay.guest import Guest, Region
from vmdev.replay.machines import MACHINES, Board, build

RTC_BASE = "2026-01-01T12:34:56"

AT_DEVICES = ["pic", "pit", "port61", "rtc", "com1", "port80", "port92"]


def region(name: str, first: int, last: int | None = None, offset: int = 0, snapshot: int = 0) -> Region:
    return Region("pio", first, first if last is None else last, name, offset=offset, snapshot=snapshot)


AT_MAP = (
    region("pic", 0x20, 0x21),
    region("pit", 0x40, 0x43),
    region("pcspk", 0x61),
    region("rtc-index", 0x70),
    region("rtc", 0x71, offset=1),
    region("ioport80", 0x80),
    region("port92", 0x92),
    region("pic", 0xA0, 0xA1),
    region("elcr", 0x4D0),
    region("elcr", 0x4D1),
)


def write(board: Board, port: int, *values: int) -> None:
    for value in values:
        board.io.pio_write(PioAddress(port), bytes([value]))


def read(board: Board, port: int) -> int:
    data = bytearray(1)
    board.io.pio_read(PioAddress(port), data)
    return data[0]


def owner(board: Board, port: int) -> Device | None:
    try:
        device = board.io.resolve_pio(PioAddress(port), 1).device
    except DeviceNotFoundError:
        return None
    assert isinstance(device, Device)
    return device


def name_at(board: Board, port: int) -> str | None:
    device = owner(board, port)
    return next((name for name, found in board.devices.items() if found is device), None)


def irr(board: Board) -> int:
    """The pending requests of both 8259As, by way of OCW3."""
    write(board, 0x20, 0x0A)
    write(board, 0xA0, 0x0A)
    return read(board, 0x20) | read(board, 0xA0) << 8


def start_pics(board: Board) -> None:
    """ICW1-4 as firmware writes them, and everything masked, so that requests stay pending."""
    for port, base, cascade in ((0x20, 0x08, 0x04), (0xA0, 0x70, 0x02)):
        write(board, port, 0x11)
        write(board, port + 1, base, cascade, 0x01, 0xFF)


# Which devices


def test_without_a_region_map_the_usual_devices_are_at_the_usual_places() -> None:
    board = build(Guest("pc"))
    assert sorted(board.devices) == sorted([*AT_DEVICES, "pmtimer", "ide0", "ide1", "i8042", "dma", "fdc", "portf0"])
    places = {
        0x20: "pic", 0xA1: "pic", 0x4D1: "pic", 0x40: "pit", 0x43: "pit", 0x61: "port61", 0x70: "rtc", 0x71: "rtc",
        0x80: "port80", 0x92: "port92", 0x3F8: "com1", 0x3FF: "com1", 0x608: "pmtimer", 0x60B: "pmtimer",
        0x44: None, 0x72: None, 0x2F8: None, 0x402: None,
    }  # fmt: skip
    assert {port: name_at(board, port) for port in places} == places


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ("q35", [*AT_DEVICES, "pmtimer", "i8042", "dma", "portf0"]),
        ("isapc", [*AT_DEVICES, "ide0", "ide1", "i8042", "dma", "fdc", "portf0"]),
        ("microvm", ["pic", "pit", "rtc", "com1"]),
    ],
)
def test_the_usual_devices_of_the_other_machines(machine: str, names: list[str]) -> None:
    board = build(Guest(machine))
    assert sorted(board.devices) == sorted(names)
    assert board.machine == machine


@pytest.mark.parametrize("machine", MACHINES)
def test_with_a_region_map_only_what_it_shows_is_built(machine: str) -> None:
    board = build(Guest(machine, regions=AT_MAP))
    assert list(board.devices) == ["pic", "pit", "port61", "rtc", "port80", "port92"]


@pytest.mark.parametrize(
    ("region_name", "device"),
    [("pit", "pit"), ("pcspk", "port61"), ("rtc", "rtc"), ("ioport80", "port80"), ("port92", "port92"), ("pic", "pic")],
)
def test_what_the_map_lacks_is_not_there(region_name: str, device: str) -> None:
    board = build(Guest("pc", regions=tuple(r for r in AT_MAP if r.name != region_name)))
    assert device not in board.devices


def test_without_elcr_in_the_map_its_ports_are_free() -> None:
    board = build(Guest("pc", regions=tuple(r for r in AT_MAP if r.name != "elcr")))
    assert (name_at(board, 0x4D0), name_at(board, 0xA0)) == (None, "pic")


def test_a_map_of_memory_alone_says_nothing_about_ports() -> None:
    board = build(Guest("pc", regions=(Region("mmio", 0xFED00000, 0xFED003FF, "hpet"),)))
    assert "pit" in board.devices


def test_the_uarts_are_named_by_their_ports() -> None:
    ports = {0x3F8: "com1", 0x2F8: "com2", 0x3E8: "com3", 0x2E8: "com4", 0xC040: "serial@c040"}
    regions = tuple(region("serial", port, port + 7) for port in ports)
    board = build(Guest("pc", regions=AT_MAP + regions))
    assert {port: name_at(board, port + 7) for port in ports} == ports


def test_the_pm_timer_is_wherever_it_ever_was() -> None:
    regions = (region("acpi-tmr", 0xB008, 0xB00B), region("acpi-tmr", 0x608, 0x60B, snapshot=1))
    board = build(Guest("pc", regions=AT_MAP + regions))
    assert name_at(board, 0xB008) == name_at(board, 0x60B) == "pmtimer"
    assert owner(board, 0xB008) is owner(board, 0x608)


def test_a_place_that_two_snapshots_show_is_one_place() -> None:
    regions = AT_MAP + tuple(region(r.name, r.first, r.last, r.offset, snapshot=1) for r in AT_MAP)
    assert list(build(Guest("pc", regions=regions)).devices) == list(build(Guest("pc", regions=AT_MAP)).devices)


def test_a_region_that_is_partly_covered_starts_where_it_would_start() -> None:
    regions = (region("acpi-tmr", 0x60A, 0x60B, offset=2),)
    assert name_at(build(Guest("pc", regions=AT_MAP + regions)), 0x608) == "pmtimer"


def test_the_debug_console_is_where_it_was_put_and_answers_e9() -> None:
    board = build(Guest("pc", regions=(*AT_MAP, region("isa-debugcon", 0x402))))
    assert (name_at(board, 0x402), read(board, 0x402)) == ("debugcon", 0xE9)


def test_two_debug_consoles_have_two_names() -> None:
    regions = (region("isa-debugcon", 0xE9), region("isa-debugcon", 0x402))
    board = build(Guest("pc", regions=AT_MAP + regions))
    assert (name_at(board, 0xE9), name_at(board, 0x402)) == ("debugcon", "debugcon1")


# Wiring


def test_elcr_is_the_pics() -> None:
    board = build(Guest("pc"))
    write(board, 0x4D0, 0x20)
    write(board, 0x4D1, 0x0C)
    assert (read(board, 0x4D0), read(board, 0x4D1)) == (0x20, 0x0C)


def test_the_pit_drives_irq_0() -> None:
    board = build(Guest("pc"))
    start_pics(board)
    write(board, 0x43, 0x34)  # counter 0, both bytes, mode 2
    write(board, 0x40, 100, 0)
    board.clock.advance(1_000_000)
    assert irr(board) & 1


def test_the_rtc_drives_irq_8() -> None:
    board = build(Guest("pc", rtc_base=RTC_BASE))
    start_pics(board)
    write(board, 0x70, 0x0B)
    write(board, 0x71, 0x42)  # PIE, 24 hours
    board.clock.advance(1_000_000_000)
    assert irr(board) & 0x100


@pytest.mark.parametrize(("port", "irq"), [(0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3)])
def test_the_uarts_drive_irq_4_and_3(port: int, irq: int) -> None:
    board = build(Guest("pc", regions=(*AT_MAP, region("serial", port, port + 7))))
    start_pics(board)
    before = irr(board) & 0x18
    write(board, port + 4, 0x08)  # MCR.OUT2
    write(board, port + 1, 0x02)  # IER.ETBEI with an empty transmitter
    assert (before, irr(board) & 0x18) == (0, 1 << irq)


def test_a_uart_elsewhere_drives_no_irq() -> None:
    board = build(Guest("pc", regions=(*AT_MAP, region("serial", 0xC040, 0xC047))))
    start_pics(board)
    write(board, 0xC044, 0x08)
    write(board, 0xC041, 0x02)
    assert irr(board) == 0


def test_port_61_gates_and_shows_counter_2() -> None:
    board = build(Guest("pc"))
    write(board, 0x61, 0x01)  # gate
    write(board, 0x43, 0xB0)  # counter 2, both bytes, mode 0
    write(board, 0x42, 100, 0)
    before = read(board, 0x61) & 0x20
    board.clock.advance(1_000_000)
    assert (before, read(board, 0x61) & 0x21) == (0, 0x21)


def test_a_board_without_a_pic_works() -> None:
    board = build(Guest("microvm", regions=tuple(r for r in AT_MAP if r.name not in {"pic", "elcr"})))
    write(board, 0x43, 0x34)
    write(board, 0x40, 100, 0)
    board.clock.advance(1_000_000)
    assert not any(isinstance(device, I8259Pair) for device in board.devices.values())


# The time of day


@pytest.mark.parametrize("base", [RTC_BASE, RTC_BASE + "+00:00", "2026-01-01T14:34:56+02:00", RTC_BASE + "Z"])
def test_the_rtc_starts_at_the_traces_base(base: str) -> None:
    board = build(Guest("pc", rtc_base=base))
    cells = []
    for index in (0, 2, 4, 7, 8, 9, 0x32):
        write(board, 0x70, index)
        cells.append(read(board, 0x71))
    assert cells == [0x56, 0x34, 0x12, 0x01, 0x01, 0x26, 0x20]


@pytest.mark.parametrize(
    ("options", "independent"),
    [("-rtc base=1999-12-31T23:59:50", True), ("-rtc clock=rt", True), ("-rtc base=utc,clock=vm", False)],
)
def test_the_rtc_follows_the_host_unless_it_is_told_otherwise(options: str, independent: bool) -> None:
    board = build(Guest("pc", meta={"command": json.dumps(["qemu", *options.split()])}))
    write(board, 0x70, 0)
    assert board.devices["rtc"].assume(1, 1, 0x12, 0) == independent
    told = build(Guest("pc"))
    assert not told.devices["rtc"].assume(1, 1, 0x12, 0), "the trace has no command"


def test_a_base_that_is_no_time_is_an_error() -> None:
    with pytest.raises(DeviceConfigError, match="not an ISO 8601 time: 'yesterday'"):
        build(Guest("pc", rtc_base="yesterday"))


# Choosing the machine


def test_the_machine_is_the_recorded_one_unless_another_is_named() -> None:
    assert build(Guest("isapc")).machine == "isapc"
    assert build(Guest("isapc"), "q35").machine == "q35"


@pytest.mark.parametrize(
    ("recorded", "named", "message"),
    [
        ("pc", "vax", "there is no machine 'vax'; known machines: pc, q35, isapc, microvm"),
        ("virt", None, "the trace was recorded on machine 'virt', which cannot be replayed into; known machines: pc"),
        ("", None, "the trace does not say on which machine it was recorded: name one; known machines: pc"),
    ],
)
def test_an_unknown_machine_is_an_error_that_lists_the_known_ones(
    recorded: str, named: str | None, message: str
) -> None:
    with pytest.raises(UnknownMachineError, match=message):
        build(Guest(recorded), named)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_has_a_title_and_resets(machine: str) -> None:
    title, builder = MACHINES[machine]
    assert title
    builder(Guest(machine)).reset()
