"""PCI on a board: functions from the trace, BARs that move, bridges, interrupt pins, names."""

from __future__ import annotations

from vmdev.replay.bus import DeviceNotFoundError, MmioAddress, PioAddress
from vmdev.replay.device import Device, Unknown
from vmdev.replay.devices.port80 import Port80
from vmdev.replay.guest import Guest, PciBar, PciFunction, Region
from vmdev.replay.machines import Board
from vmdev.replay.machines.chipset import add_pci
from vmdev.replay.machines.pci import Function
from vmdev.replay.machines.wiring import Wiring

HOST = PciFunction(0, 0, 0, 0x8086, 0xFFF0, 0x0600)
NIC = PciFunction(0, 3, 0, 0x1234, 0x0001, 0x0200, bars=(PciBar(0, 0x1000), PciBar(1, 0x40, is_io=True)))
BRIDGE = PciFunction(0, 4, 0, 0x1234, 0x0002, 0x0604)
BEHIND = PciFunction(1, 2, 0, 0x1234, 0x0003, 0x0200, bars=(PciBar(0, 0x1000), PciBar(1, 0x40, is_io=True)))
MAP = (
    Region("pio", 0xCF8, 0xCF8, "pci-conf-idx"),
    Region("pio", 0xCF9, 0xCF9, "piix-reset-control"),
    Region("pio", 0xCFC, 0xCFF, "pci-conf-data"),
)


class Machine:
    """A board with PCI and what it was wired with."""

    def __init__(self, *functions: PciFunction, regions: tuple[Region, ...] = MAP) -> None:
        self.wiring = Wiring("pc", Guest("pc", functions=functions or (HOST, NIC), regions=regions), {})
        add_pci(self.wiring)

    @property
    def board(self) -> Board:
        return self.wiring.board

    def function(self, name: str) -> Function:
        return self.wiring.pci.functions[name]

    def select(self, bus: int, slot: int, offset: int) -> None:
        address = 1 << 31 | bus << 16 | slot << 11 | offset & 0xFC
        self.board.io.pio_write(PioAddress(0xCF8), address.to_bytes(4, "little"))

    def put(self, slot: int, offset: int, value: int, size: int = 4, bus: int = 0) -> None:
        self.select(bus, slot, offset)
        self.board.io.pio_write(PioAddress(0xCFC + offset % 4), value.to_bytes(size, "little"))

    def get(self, slot: int, offset: int, size: int = 4, bus: int = 0) -> int:
        self.select(bus, slot, offset)
        answer = self.board.io.resolve_pio(PioAddress(0xCFC + offset % 4), size).read()
        return answer.known if isinstance(answer, Unknown) else answer

    def owner(self, address: int, space: str = "mmio") -> object:
        try:
            if space == "pio":
                return self.board.io.resolve_pio(PioAddress(address), 1).device
            return self.board.io.resolve_mmio(MmioAddress(address), 1).device
        except DeviceNotFoundError:
            return None

    def show(self, name: str, bar: int, **where: int) -> Device:
        device = Port80()
        self.function(name).show(bar, device, **where)
        return device


def test_functions_are_where_the_trace_has_them() -> None:
    machine = Machine()
    assert machine.get(3, 0) == 0x0001_1234
    assert machine.get(5, 0) == 0xFFFF_FFFF
    assert list(machine.wiring.pci.functions) == ["00:00.0", "00:03.0"]


def test_a_machine_without_functions_has_no_pci() -> None:
    wiring = Wiring("pc", Guest("pc", regions=MAP), {})
    add_pci(wiring)
    assert not wiring.board.devices


def test_a_device_shows_where_its_bar_is_decoded() -> None:
    machine = Machine()
    device = machine.show("00:03.0", 0)
    machine.put(3, 0x10, 0xFEBC_0000)
    assert machine.owner(0xFEBC_0000) is None
    machine.put(3, 0x04, 2, 2)
    assert machine.owner(0xFEBC_0000) is machine.owner(0xFEBC_0FFF) is device
    assert machine.owner(0xFEBC_1000) is None
    machine.put(3, 0x10, 0xFEBD_0000)
    assert (machine.owner(0xFEBC_0000), machine.owner(0xFEBD_0000)) == (None, device)
    machine.put(3, 0x04, 0, 2)
    assert machine.owner(0xFEBD_0000) is None


def test_a_reset_ends_decoding() -> None:
    machine = Machine()
    device = machine.show("00:03.0", 1)
    machine.put(3, 0x14, 0xC000)
    machine.put(3, 0x04, 1, 2)
    assert machine.owner(0xC03F, "pio") is device
    machine.board.reset()
    assert machine.owner(0xC03F, "pio") is None


def test_a_window_shows_a_part_of_a_bar() -> None:
    machine = Machine()
    device = machine.show("00:03.0", 0, first=0x800, size=0x10, at=0x40)
    machine.put(3, 0x10, 0xFEBC_0000)
    machine.put(3, 0x04, 2, 2)
    assert machine.owner(0xFEBC_07FF) is None
    assert machine.owner(0xFEBC_0810) is None
    route = machine.board.io.resolve_mmio(MmioAddress(0xFEBC_0804), 1)
    assert (route.device, route.offset) == (device, 0x44)


def test_sizing_with_decoding_on_moves_the_bar_out_of_the_way() -> None:
    """PCI 3.0, 6.2.5.1, and QEMU: what ends at the end of the space is not decoded."""
    machine = Machine()
    device = machine.show("00:03.0", 0)
    machine.put(3, 0x10, 0xFEBC_0000)
    machine.put(3, 0x04, 2, 2)
    machine.put(3, 0x10, 0xFFFF_FFFF)
    assert machine.get(3, 0x10) == 0xFFFF_F000
    assert machine.owner(0xFFFF_F000) is None
    machine.put(3, 0x10, 0xFEBC_0000)
    assert machine.owner(0xFEBC_0000) is device


def test_a_bar_over_a_port_hides_it_for_a_while() -> None:
    machine = Machine()
    fixed = machine.board.add("fixed", Port80(), pio=[(0xC010, 4)])
    device = machine.show("00:03.0", 1)
    machine.put(3, 0x14, 0xC000)
    machine.put(3, 0x04, 1, 2)
    assert machine.owner(0xC010, "pio") is device
    machine.put(3, 0x04, 0, 2)
    assert machine.owner(0xC010, "pio") is fixed
    assert machine.owner(0xC00F, "pio") is None


def test_a_bar_under_a_fixed_device_in_memory_is_hidden_there() -> None:
    machine = Machine()
    fixed = machine.board.add("fixed", Port80(), mmio=[(0xFEBC_0800, 0x10)])
    device = machine.show("00:03.0", 0)
    machine.put(3, 0x10, 0xFEBC_0000)
    machine.put(3, 0x04, 2, 2)
    places = [machine.owner(0xFEBC_0000 + at) for at in (0x7FF, 0x800, 0x80F, 0x810)]
    assert places == [device, fixed, fixed, device]
    route = machine.board.io.resolve_mmio(MmioAddress(0xFEBC_0810), 1)
    assert route.offset == 0x810


def test_of_two_bars_at_one_place_the_later_one_shows() -> None:
    other = PciFunction(0, 5, 0, 0x1234, 0x0001, 0x0200, bars=(PciBar(0, 0x1000),))
    machine = Machine(HOST, NIC, other)
    first, second = machine.show("00:03.0", 0), machine.show("00:05.0", 0)
    for slot in (3, 5):
        machine.put(slot, 0x10, 0xFEBC_0000)
        machine.put(slot, 0x04, 2, 2)
    assert machine.owner(0xFEBC_0000) is second
    machine.put(5, 0x04, 0, 2)
    assert machine.owner(0xFEBC_0000) is first


def test_what_is_behind_a_bridge_is_reached_by_the_bus_number_it_has() -> None:
    machine = Machine(HOST, BRIDGE, BEHIND)
    assert machine.get(2, 0, bus=1) == 0xFFFF_FFFF
    machine.put(4, 0x18, 0x00_01_01_00)
    assert machine.get(2, 0, bus=1) == 0x0003_1234
    machine.put(4, 0x18, 0x00_07_05_00)
    assert machine.get(2, 0, bus=1) == 0xFFFF_FFFF
    assert machine.get(2, 0, bus=5) == 0x0003_1234
    machine.put(4, 0x3E, 0x40, 2)
    assert machine.get(2, 0, bus=5) == 0xFFFF_FFFF


def test_a_bridge_passes_what_its_windows_say() -> None:
    machine = Machine(HOST, BRIDGE, BEHIND)
    device = machine.show("01:02.0", 0)
    port = machine.show("01:02.0", 1)
    machine.put(4, 0x18, 0x00_01_01_00)
    machine.put(2, 0x10, 0xFE80_0000, bus=1)
    machine.put(2, 0x14, 0xC000, bus=1)
    machine.put(2, 0x04, 3, 2, bus=1)
    machine.put(4, 0x04, 3, 2)
    assert machine.owner(0xFE80_0000) is None
    machine.put(4, 0x20, 0xFE80_FE80)
    machine.put(4, 0x1C, 0xC0C0, 2)
    assert (machine.owner(0xFE80_0000), machine.owner(0xC000, "pio")) == (device, port)
    machine.put(4, 0x04, 0, 2)
    assert (machine.owner(0xFE80_0000), machine.owner(0xC000, "pio")) == (None, None)


def test_interrupt_pins_are_turned_by_bridges() -> None:
    machine = Machine(HOST, BRIDGE, BEHIND)
    function = machine.function("01:02.0")
    function.config.declare(0x3D, 1, 1)
    function.intx.set(True)
    assert machine.wiring.pci.pirqs.raised() == [(4, 2)]
    assert machine.get(2, 4, bus=0) == 0xFFFF_FFFF
    function.intx.set(False)
    assert machine.wiring.pci.pirqs.raised() == []


def test_msix_tables_are_where_the_map_shows_them() -> None:
    nic = PciFunction(0, 3, 0, 0x1234, 1, 0x0200, bars=(PciBar(1, 0x1000, address=0xFEBF_1000),))
    regions = (
        *MAP,
        Region("mmio", 0xFEBF_1000, 0xFEBF_102F, "msix-table"),
        Region("mmio", 0xFEBF_1800, 0xFEBF_1807, "msix-pba"),
    )
    machine = Machine(HOST, nic, regions=regions)
    table = machine.function("00:03.0").msix
    assert table is not None
    assert table.vectors == 3
    machine.put(3, 0x14, 0xFE00_0000)
    machine.put(3, 0x04, 2, 2)
    assert machine.owner(0xFE00_002F) is machine.owner(0xFE00_0800) is table
    assert machine.owner(0xFE00_0030) is None


def test_a_register_is_named_after_its_function() -> None:
    machine = Machine()
    machine.select(0, 3, 4)
    route = machine.board.io.resolve_pio(PioAddress(0xCFC), 2)
    assert isinstance(route.device, Device)
    register = route.device.registers.find(route.offset, "r", route.device.bank(route.offset))
    assert register is not None
    assert register.name == "00:03.0 COMMAND"


def test_functions_are_found_by_identity_and_class() -> None:
    machine = Machine(HOST, NIC, BRIDGE, BEHIND)
    pci = machine.wiring.pci
    assert [f.name for f in pci.find(0x1234)] == ["00:03.0", "00:04.0", "01:02.0"]
    assert [f.name for f in pci.find(0x1234, 3, 2)] == ["00:04.0", "01:02.0"]
    assert [f.name for f in pci.find_class(0x0200)] == ["00:03.0", "01:02.0"]
