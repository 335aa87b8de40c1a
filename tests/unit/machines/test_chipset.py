"""Chipsets on a board: what moves, where interrupts go, what ACPI reaches."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.bus import DeviceNotFoundError, MmioAddress, PioAddress
from vmdev.replay.devices.acpi_gpe import AcpiGpe
from vmdev.replay.devices.pci_config import PciConfig
from vmdev.replay.devices.pci_shpc import PciShpc
from vmdev.replay.devices.smbus_host import SmbusHost
from vmdev.replay.guest import Guest, PciBar, PciFunction, Region
from vmdev.replay.irq import Line
from vmdev.replay.machines import Board
from vmdev.replay.machines.acpi import add_acpi
from vmdev.replay.machines.chipset import add_pci
from vmdev.replay.machines.pci import Function
from vmdev.replay.machines.wiring import Wiring

CONFIG_PORTS = Region("pio", 0xCF8, 0xCF8, "pci-conf-idx")
PC = (
    PciFunction(0, 0, 0, 0x8086, 0x1237, 0x0600),
    PciFunction(0, 1, 0, 0x8086, 0x7000, 0x0601),
    PciFunction(0, 1, 3, 0x8086, 0x7113, 0x0680),
)
PC_MAP = (
    CONFIG_PORTS,
    Region("pio", 0xCF9, 0xCF9, "piix-reset-control"),
    Region("pio", 0x3F8, 0x3FF, "serial"),
    Region("pio", 0xAFE0, 0xAFE3, "acpi-gpe0"),
    Region("pio", 0xAE00, 0xAE17, "acpi-pci-hotplug"),
    Region("pio", 0xAF00, 0xAF1F, "acpi-cpu-hotplug"),
    Region("mmio", 0, 0x7FF_FFFF, "pc.ram", "ram"),
)
Q35 = (
    PciFunction(0, 0, 0, 0x8086, 0x29C0, 0x0600),
    PciFunction(0, 31, 0, 0x8086, 0x2918, 0x0601),
    PciFunction(0, 31, 3, 0x8086, 0x2930, 0x0C05, bars=(PciBar(4, 0x40, is_io=True),)),
)
Q35_MAP = (
    CONFIG_PORTS,
    Region("pio", 0xCF9, 0xCF9, "lpc-reset-control"),
    Region("pio", 0x3F1, 0x3F5, "fdc"),
)
NIC = PciFunction(0, 3, 0, 0x1234, 0x0001, 0x0200, bars=(PciBar(0, 0x1000),))


class Machine:
    def __init__(
        self, machine: str, functions: tuple[PciFunction, ...], regions: tuple[Region, ...], *options: str, **meta: int
    ) -> None:
        command = json.dumps(["qemu", *options])
        guest = Guest(machine, functions=functions, regions=regions, meta={"command": command, **meta})
        self.wiring = Wiring(machine, guest, {})
        self.levels: dict[str, bool] = {}
        self.wiring.add_controller(lambda number: lambda level: self.levels.update({f"irq{number}": level}))
        self.wiring.add_gsi_controller(lambda number: lambda level: self.levels.update({f"gsi{number}": level}))
        add_pci(self.wiring)
        add_acpi(self.wiring)

    @property
    def board(self) -> Board:
        return self.wiring.board

    def function(self, name: str) -> Function:
        return self.wiring.pci.functions[name]

    def config(self, name: str) -> PciConfig:
        return self.function(name).config

    def put(self, port: int, value: int, size: int = 1) -> None:
        self.board.io.pio_write(PioAddress(port), value.to_bytes(size, "little"))

    def get(self, port: int, size: int = 1) -> int:
        data = bytearray(size)
        self.board.io.pio_read(PioAddress(port), data)
        return int.from_bytes(data, "little")

    def name_at(self, address: int, space: str = "pio") -> str | None:
        io = self.board.io
        try:
            if space == "pio":
                device = io.resolve_pio(PioAddress(address), 1).device
            else:
                device = io.resolve_mmio(MmioAddress(address), 1).device
        except DeviceNotFoundError:
            return None
        return next(name for name, found in self.board.devices.items() if found is device)

    @property
    def raised(self) -> set[str]:
        return {name for name, level in self.levels.items() if level}


def pc(*more: PciFunction, options: tuple[str, ...] = (), **meta: int) -> Machine:
    return Machine("pc", (*PC, *more), PC_MAP, *options, **meta)


def q35(*more: PciFunction, options: tuple[str, ...] = (), regions: tuple[Region, ...] = ()) -> Machine:
    return Machine("q35", (*Q35, *more), (*Q35_MAP, *regions), *options)


# What is where


def test_a_pc_has_its_fixed_ports() -> None:
    machine = pc()
    places = {
        0xCF8: "pci", 0xCF9: "pci", 0xCFF: "pci", 0xB2: "apm", 0xAFE3: "acpi-gpe0", 0xAE17: "pci-hotplug",
        0xAF00: "cpu-hotplug", 0xB100: "smbus", 0x600: None,
    }  # fmt: skip
    assert {port: machine.name_at(port) for port in places} == places
    assert machine.config("00:00.0").read(0x57, 1) == 16
    assert machine.config("00:01.3").read(0x67, 1) == 0x08


def test_the_piix4s_ports_move() -> None:
    machine = pc()
    pm = machine.config("00:01.3")
    pm.write(0x40, 4, 0x601)
    pm.write(0x80, 1, 1)
    names = [machine.name_at(port) for port in (0x600, 0x603, 0x604, 0x606, 0x608, 0x60B, 0x60C)]
    assert names == ["acpi-pm1", "acpi-pm1", "acpi-pm1", None, "pmtimer", "pmtimer", None]
    pm.write(0x40, 4, 0xE401)
    assert (machine.name_at(0x600), machine.name_at(0xE408)) == (None, "pmtimer")
    pm.write(0x90, 4, 0x701)
    assert (machine.name_at(0xB100), machine.name_at(0x700)) == (None, "smbus")
    pm.write(0xD2, 1, 0)
    assert machine.name_at(0x700) is None
    pm.write(0x40, 4, 0xFFC1)
    assert machine.name_at(0xFFC8) == "pmtimer"


def test_the_ich9s_ports_move() -> None:
    machine = q35()
    lpc = machine.config("00:1f.0")
    assert lpc.read(0x82, 1) == 0x08
    lpc.write(0x40, 4, 0x600)
    lpc.write(0x44, 1, 0x80)
    names = [machine.name_at(port) for port in (0x600, 0x604, 0x608, 0x620, 0x62F, 0x630, 0x637, 0x660, 0x67F, 0x680)]
    assert names == ["acpi-pm1", "acpi-pm1", "pmtimer", "acpi-gpe0", "acpi-gpe0", "smi", "smi", "tco", "tco", None]
    machine.board.reset()
    assert machine.name_at(0x600) is None


def test_smi_timers_are_set_by_the_lpc_bridge() -> None:
    machine = q35()
    lpc = machine.config("00:1f.0")
    lpc.write(0xA0, 2, 0x0013)
    lpc.write(0xA4, 2, 0x0040)
    lpc.write(0x40, 4, 0x600)
    lpc.write(0x44, 1, 0x80)
    machine.put(0x630, 0x4041, 4)
    state = machine.board.devices["smi"].state()
    assert (state["software_ns"], state["periodic_ns"]) == (16_000_000, 8_000_000_000)
    assert machine.get(0x630, 4) == 0x4040, "GBL_SMI_EN is locked"


def test_ecam_and_rcba_are_where_their_registers_have_them() -> None:
    machine = q35()
    assert machine.name_at(0xB000_0000, "mmio") is None
    machine.config("00:00.0").write(0x60, 4, 0xE000_0001)
    assert machine.name_at(0xEFFF_FFFF, "mmio") == "pci"
    machine.config("00:1f.0").write(0xF0, 4, 0xFED1_C001)
    assert machine.name_at(0xFED1_FFFF, "mmio") == "rcba"
    machine.board.reset()
    assert machine.name_at(0xE000_0000, "mmio") is machine.name_at(0xFED1_C000, "mmio") is None


def test_ecam_hides_bars() -> None:
    machine = q35(NIC)
    nic = machine.function("00:03.0")
    device = machine.board.add("nic", AcpiGpe())
    nic.show(0, device)
    nic.config.write(0x10, 4, 0xB000_0000)
    nic.config.write(0x04, 2, 2)
    assert machine.name_at(0xB000_0000, "mmio") == "nic"
    machine.config("00:00.0").write(0x60, 4, 0xB000_0001)
    assert machine.name_at(0xB000_0000, "mmio") == "pci"


# Interrupts


def test_pins_of_a_pc_go_where_pirqrc_says() -> None:
    """Slot 1's INTA is PIRQA, and each slot and pin is one further."""
    machine = pc(NIC)
    machine.config("00:03.0").declare(0x3D, 1, 1)
    isa = machine.config("00:01.0")
    isa.write(0x62, 1, 10)
    machine.function("00:03.0").intx.set(True)
    assert machine.raised == {"irq10", "gsi10"}
    isa.write(0x62, 1, 11)
    assert machine.raised == {"irq11", "gsi11"}
    isa.write(0x62, 1, 0x80)
    assert machine.raised == set()


def test_cards_that_share_a_line_hold_it_together() -> None:
    other = PciFunction(0, 7, 0, 0x1234, 0x0001, 0x0200)
    machine = pc(NIC, other)
    for name in ("00:03.0", "00:07.0"):
        machine.config(name).declare(0x3D, 1, 1)
        machine.function(name).intx.set(True)
    machine.config("00:01.0").write(0x62, 1, 10)
    machine.function("00:03.0").intx.set(False)
    assert "irq10" in machine.raised
    machine.function("00:07.0").intx.set(False)
    assert machine.raised == set()


def test_pins_of_a_q35_have_system_interrupts_of_their_own() -> None:
    machine = q35(NIC)
    machine.config("00:03.0").declare(0x3D, 1, 1)
    machine.function("00:03.0").intx.set(True)
    assert machine.raised == {"gsi23"}
    machine.config("00:1f.0").write(0x6B, 1, 11)
    assert machine.raised == {"gsi23", "gsi11", "irq11"}


def test_sci_is_interrupt_9() -> None:
    machine = pc()
    pm = machine.config("00:01.3")
    pm.write(0x40, 4, 0x601)
    pm.write(0x80, 1, 1)
    machine.put(0x602, 1, 2)
    assert machine.raised == {"irq9", "gsi9"}


def test_sci_of_a_q35_is_what_acpi_cntl_says() -> None:
    machine = q35()
    lpc = machine.config("00:1f.0")
    lpc.write(0x40, 4, 0x600)
    lpc.write(0x44, 1, 0x80)
    machine.put(0x602, 1, 2)
    assert machine.raised == {"irq9", "gsi9"}
    lpc.write(0x44, 1, 0x82)
    assert machine.raised == {"irq11", "gsi11"}
    lpc.write(0x44, 1, 0x84)
    assert machine.raised == {"gsi20"}
    machine.put(0x602, 0, 2)
    assert machine.raised == set()


def test_a_general_purpose_event_is_an_sci() -> None:
    machine = pc()
    machine.put(0xAFE2, 2)
    gpe = machine.board.devices["acpi-gpe0"]
    assert isinstance(gpe, AcpiGpe)
    gpe.raise_event(1)
    assert machine.raised == {"irq9", "gsi9"}


def test_interrupt_0_is_system_interrupt_2() -> None:
    wiring = Wiring("pc", Guest("pc"), {})
    levels: dict[int, bool] = {}
    line = wiring.irq(0)
    wiring.add_gsi_controller(lambda number: lambda level: levels.update({number: level}))
    line.set(True)
    wiring.gsi(20).set(True)
    assert levels == {2: True, 20: True}
    assert isinstance(line, Line)


# ACPI


@pytest.mark.parametrize(("machine", "enable", "disable"), [(pc(), 0xF1, 0xF0), (q35(), 0x02, 0x03)])
def test_the_smi_command_port_switches_acpi(machine: Machine, enable: int, disable: int) -> None:
    pm1 = machine.board.devices["acpi-pm1"]
    machine.put(0xB2, enable)
    assert pm1.state()["pm1_cnt"] == 1
    machine.put(0xB2, 0x55)
    assert pm1.state()["pm1_cnt"] == 1
    machine.put(0xB2, disable)
    assert pm1.state()["pm1_cnt"] == 0


def test_hosts_options_show_in_the_hotplug_registers() -> None:
    slot_3 = PciFunction(0, 3, 0, 0x1234, 0x0001, 0x0200, "n")
    machine = pc(slot_3, options=("-smp", "2,maxcpus=4", "-device", "e1000,id=n,acpi-index=7"), smp=2)
    machine.put(0xAE14, 1 << 3, 4)
    assert machine.get(0xAE14, 4) == 7
    assert machine.get(0xAE0C, 4) == 0xFFFF_FFFC
    assert machine.get(0xAF00) == 3
    machine.put(0xAF00, 0, 4)
    machine.put(0xAF00, 3, 4)
    machine.put(0xAF05, 3)
    assert machine.get(0xAF08, 4) == 3


def test_the_ich9s_smbus_is_reset_by_hostc() -> None:
    machine = q35()
    smbus = machine.function("00:1f.3")
    smbus.config.write(0x20, 4, 0x700)
    smbus.config.write(0x04, 2, 1)
    machine.put(0x704, 0xC1)
    machine.put(0x702, 0x41)
    assert machine.get(0x700) == 0x04
    smbus.config.write(0x40, 1, 0x0D)
    assert machine.get(0x700) == 0
    assert smbus.config.read(0x40, 1) == 0x05
    host = machine.board.devices["smbus"]
    assert isinstance(host, SmbusHost)
    assert host.is_i2c


def test_microvm_has_a_generic_event_device() -> None:
    regions = (
        Region("mmio", 0xFEA0_0000, 0xFEA0_0003, "acpi-ged"),
        Region("mmio", 0xFEA0_0200, 0xFEA0_0202, "acpi-ged-regs"),
    )
    machine = Machine("microvm", (), regions)
    assert machine.name_at(0xFEA0_0000, "mmio") == machine.name_at(0xFEA0_0202, "mmio") == "ged"
    assert list(machine.board.devices) == ["ged"]


# Cards


def test_known_cards_need_no_lessons() -> None:
    vga = PciFunction(0, 2, 0, 0x1234, 0x1111, 0x0300)
    config = pc(vga).config("00:02.0")
    assert config.read(0x08, 4) == 0x0300_0002
    assert config.read(0x2C, 4) == 0x1100_1AF4


def test_the_usb_controllers_of_a_q35_share_a_slot() -> None:
    usb = [
        PciFunction(0, 0x1D, function, 0x8086, device, 0x0C03)
        for function, device in ((0, 0x2934), (1, 0x2935), (2, 0x2936), (7, 0x293A))
    ]
    machine = q35(*usb)
    assert {machine.config(f"00:1d.{function}").read(0x0E, 1) for function in (0, 1, 2, 7)} == {0x80}
    assert q35(usb[0]).config("00:1d.0").read(0x0E, 1) == 0, "a card of the user's"


def test_the_command_tells_of_multifunction_cards() -> None:
    ehci = PciFunction(0, 7, 7, 0x8086, 0x293A, 0x0C03)
    machine = pc(ehci, options=("-device", "ich9-usb-ehci1,addr=0x7.0x7,multifunction=on"))
    assert machine.config("00:07.7").read(0x0E, 1) == 0x80
    assert q35().config("00:1f.3").read(0x0E, 1) == 0x80


def test_bochs_display_is_express_and_vga_is_not() -> None:
    bochs = PciFunction(0, 2, 0, 0x1234, 0x1111, 0x0380, bars=(PciBar(0, 0x100_0000),))
    vga = PciFunction(0, 3, 0, 0x1234, 0x1111, 0x0300, bars=(PciBar(0, 0x100_0000),))
    machine = q35(bochs, vga)
    assert machine.config("00:02.0").read(0x34, 1) == 0x80
    assert machine.config("00:02.0").read(0x80, 4) == 0x0092_0010
    assert (machine.config("00:03.0").size, machine.config("00:03.0").read(0x34, 1)) == (256, 0)
    assert pc(bochs).config("00:02.0").read(0x34, 1) == 0


@pytest.mark.parametrize(("option", "expected"), [("q35,smm=off", 0x20), ("q35", 0), ("q35,smm=on", 0)])
def test_a_machine_may_lack_smm(option: str, expected: int) -> None:
    assert q35(options=("-M", option)).board.devices["smi"].read(0, 4) == expected


def test_a_card_on_express_has_4096_bytes() -> None:
    nvme = PciFunction(0, 3, 0, 0x1B36, 0x0010, 0x0108, bars=(PciBar(0, 0x4000, is_64=True),))
    assert q35(nvme).config("00:03.0").size == 4096
    assert q35(nvme).config("00:03.0").read(0x82, 2) == 0x92
    assert pc(nvme).config("00:03.0").size == 256
    assert pc(nvme).config("00:03.0").read(0x82, 2) == 0x02
    assert q35(NIC).config("00:03.0").size == 4096, "nobody knows"


PORT = PciFunction(0, 4, 0, 0x1B36, 0x000C, 0x0604, "r1", (PciBar(0, 0x1000),))
BEHIND_PORT = PciFunction(1, 0, 0, 0x1B36, 0x0010, 0x0108, bars=(PciBar(0, 0x4000, is_64=True),))


def test_a_root_port_has_the_slot_that_its_option_says() -> None:
    machine = q35(PORT, BEHIND_PORT, options=("-device", "pcie-root-port,id=r1,slot=5"))
    config = machine.config("00:04.0")
    assert config.read(0x68, 4) == 0x002A_007B
    assert config.read(0x6E, 2) == 0
    assert machine.config("01:00.0").read(0x82, 2) == 0x02
    config.write(0x24, 1, 0xFF)
    assert config.read(0x24, 4) == 0x0001_FFF1


def test_a_port_on_another_root_bus_shows_its_card() -> None:
    expander = PciFunction(0, 5, 0, 0x1B36, 0x000B, 0x0600)
    port = PciFunction(0x50, 0, 0, 0x1B36, 0x000C, 0x0604, bars=(PciBar(0, 0x1000),))
    card = PciFunction(0x51, 0, 0, 0x1B36, 0x0010, 0x0108)
    machine = q35(expander, port, card)
    config = machine.config("50:00.0")
    assert (config.read(0x66, 2), config.read(0x6E, 2)) == (0x2011, 0x0040)
    host = machine.wiring.pci.host
    assert host is not None
    assert host.function(0x50, 0) is config
    config.write(0x19, 1, 0x51)
    assert host.function(0x51, 0) is machine.config("51:00.0")


@pytest.mark.parametrize("identity", [(0x8086, 0x3420), (0x104C, 0x8232), (0x104C, 0x8233)])
def test_other_ports_are_known(identity: tuple[int, int]) -> None:
    config = q35(PciFunction(0, 4, 0, *identity, 0x0604)).config("00:04.0")
    assert config.read(0x34, 1) == 0x90
    assert config.size == 4096


def test_a_bridge_has_a_hot_plug_controller() -> None:
    bridge = PciFunction(0, 4, 0, 0x1B36, 0x0001, 0x0604, "b", (PciBar(0, 0x100, is_64=True),))
    card = PciFunction(1, 1, 0, 0x1234, 1, 0x0200)
    machine = pc(bridge, card, options=("-device", "pci-bridge,id=b,chassis_nr=9"))
    config = machine.config("00:04.0")
    assert config.read(0x48, 4) == 0x0920_4004
    assert isinstance(machine.board.devices["shpc@00:04.0"], PciShpc)
    config.write(0x42, 1, 9)
    assert config.read(0x44, 4) == 0x7F00_0036
    config.write(0x44, 4, 0x6000_0036)
    assert config.read(0x44, 4) == 0x6000_0036
    config.write(0x42, 1, 10)
    assert config.read(0x44, 4) == 0x7F00_0D3F
    config.write(0x10, 4, 0xFE80_0000)
    config.write(0x04, 2, 2)
    assert machine.name_at(0xFE80_009F, "mmio") == "shpc@00:04.0"
    assert machine.name_at(0xFE80_00A0, "mmio") is None


def test_a_bridge_without_one_has_none() -> None:
    bridge = PciFunction(0, 4, 0, 0x1B36, 0x0001, 0x0604)
    config = pc(bridge).config("00:04.0")
    assert config.read(0x34, 1) == 0x4C
    assert config.read(0x49, 1) == 0


def test_the_other_bridges_are_known() -> None:
    express = PciFunction(0, 4, 0, 0x1B36, 0x000E, 0x0604, bars=(PciBar(0, 0x100, is_64=True),))
    dmi = PciFunction(0, 5, 0, 0x8086, 0x244E, 0x0604)
    machine = q35(express, dmi)
    assert machine.config("00:04.0").read(0x34, 1) == 0x8C
    assert machine.config("00:05.0").read(0x34, 1) == 0x50
    bare = q35(PciFunction(0, 4, 0, 0x1B36, 0x000E, 0x0604))
    assert bare.config("00:04.0").read(0x49, 1) == 0


MSIX = (
    Region("mmio", 0xFE00_2000, 0xFE00_204F, "msix-table"),
    Region("mmio", 0xFE00_3000, 0xFE00_3007, "msix-pba"),
)


@pytest.mark.parametrize(
    ("identity", "pointer"),
    [
        ((0x8086, 0x10D3), 0xC8),
        ((0x1B36, 0x0010), 0x40),
        ((0x1B36, 0x000D), 0x90),
        ((0x1033, 0x0194), 0x90),
        ((0x1000, 0x0060), 0x68),
        ((0x15AD, 0x07B0), 0x48),
        ((0x8086, 0x293E), 0x60),
        ((0x1234, 0x11E8), 0x40),
        ((0x8086, 0x2922), 0x80),
        ((0x8086, 0x25AB), 0x00),
    ],
)
def test_cards_with_capabilities(identity: tuple[int, int], pointer: int) -> None:
    card = PciFunction(0, 3, 0, *identity, 0x0200, bars=(PciBar(3, 0x4000, address=0xFE00_0000),))
    machine = q35(card, regions=MSIX)
    config = machine.config("00:03.0")
    assert config.read(0x34, 1) == pointer
    assert machine.function("00:03.0").msix is not None or pointer in (0x60, 0x40, 0x80, 0x00)


def test_virtual_functions_that_are_off_are_not_there() -> None:
    machine = q35(PciFunction(3, 16, 0, 0xFFFF, 0xFFFF, 0x0200))
    assert len(machine.wiring.pci.functions) == 3


def test_a_command_that_is_none_tells_nothing() -> None:
    guest = Guest("pc", functions=(*PC, PORT), regions=PC_MAP, meta={"command": "{"})
    wiring = Wiring("pc", guest, {})
    add_pci(wiring)
    answer = wiring.pci.functions["00:04.0"].config.read(0x68, 4)
    assert getattr(answer, "mask", 0) == 0xFFF8_0000


# What only system management mode sees

SMRAM_MAP = (
    Region("mmio", 0, 0x0FFF_FFFF, "pc.ram", "ram"),
    Region("mmio", 0x0F00_0000, 0x0FFF_FFFF, "tseg-blackhole", snapshot=1),
    Region("mmio", 0x0003_0000, 0x0004_FFFF, "smbase-blackhole", snapshot=1),
)


@pytest.mark.parametrize(
    ("esmramc", "first"), [(0x01, 0x0FF0_0000), (0x03, 0x0FE0_0000), (0x05, 0x0F80_0000), (0x07, 0x0F00_0000)]
)
def test_tseg_is_at_the_end_of_the_memory(esmramc: int, first: int) -> None:
    machine = q35(regions=SMRAM_MAP)
    mch = machine.config("00:00.0")
    mch.write(0x9E, 1, esmramc)
    assert machine.name_at(0x0FFF_FFFF, "mmio") is None
    mch.write(0x9D, 1, 0x08)
    assert machine.name_at(first - 1, "mmio") is None
    assert machine.name_at(first, "mmio") == machine.name_at(0x0FFF_FFFF, "mmio") == "smram"
    machine.board.reset()
    assert machine.name_at(first, "mmio") is None


def test_smram_at_smbase_is_hidden_by_its_lock() -> None:
    machine = q35(regions=SMRAM_MAP)
    mch = machine.config("00:00.0")
    mch.write(0x9C, 1, 0xFF)
    assert machine.name_at(0x3_0000, "mmio") is None
    mch.write(0x9C, 1, 0x02)
    assert machine.name_at(0x4_FFFF, "mmio") == "smram"


def test_where_the_map_shows_none_nothing_is_hidden() -> None:
    assert "smram" not in q35().board.devices


# GPEX

GPEX = PciFunction(0, 0, 0, 0x1B36, 0x0008, 0x0600)
GPEX_MAP = (
    Region("mmio", 0xE000_0000, 0xEFFF_FFFF, "pcie-mmcfg-mmio"),
    Region("mmio", 0xFEC0_0000, 0xFEC0_0FFF, "ioapic"),
)
SECOND_IOAPIC = Region("mmio", 0xFEC1_0000, 0xFEC1_0FFF, "ioapic")


def test_gpex_has_its_functions_in_ecam() -> None:
    machine = Machine("microvm", (GPEX, NIC), GPEX_MAP)

    def get(at: int) -> int:
        data = bytearray(4)
        machine.board.io.mmio_read(MmioAddress(0xE000_0000 + at), data)
        return int.from_bytes(data, "little")

    assert get(0) == 0x0008_1B36
    assert get(0x100) == 0xFFFF_FFFF, "256 bytes on the root bus"
    assert get(3 << 15) == 0x0001_1234
    assert get(4 << 15) == 0xFFFF_FFFF
    assert not Machine("microvm", (GPEX, NIC), ()).board.devices


@pytest.mark.parametrize(("more", "interrupt"), [((), "irq15"), ((SECOND_IOAPIC,), "gsi19")])
def test_gpex_turns_the_pins_by_slots(more: tuple[Region, ...], interrupt: str) -> None:
    machine = Machine("microvm", (GPEX, NIC), (*GPEX_MAP, *more))
    function = machine.function("00:03.0")
    function.config.declare(0x3D, 1, 1)
    function.intx.set(True)
    assert machine.levels[interrupt]
