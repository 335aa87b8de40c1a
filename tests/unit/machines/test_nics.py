"""Network cards of a board."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.bus import MmioAddress, PioAddress
from vmdev.replay.device import Device
from vmdev.replay.devices.e1000 import E1000
from vmdev.replay.devices.e1000e import E1000e
from vmdev.replay.devices.pci_config import PciConfig
from vmdev.replay.guest import Guest, PciBar, PciFunction, Region
from vmdev.replay.machines import Placement, Replacement, build
from vmdev.replay.machines.board import Board
from vmdev.replay.registers import Register, RegisterMap

CONFIG_PORTS = Region("pio", 0xCF8, 0xCFB, "pci-conf-idx")
MEMORY, PORTS = 0xFEBC_0000, 0xC000


def board_with(*functions: PciFunction, options: str = "", machine: str = "pc", **meta: str) -> Board:
    command = json.dumps(["qemu", *options.split()])
    return build(Guest(machine, functions=functions, regions=(CONFIG_PORTS,), meta={"command": command, **meta}))


def e1000(slot: int, device_id: int = 0x100E) -> PciFunction:
    bars = PciBar(0, 0x2_0000), PciBar(1, 0x40, is_io=True)
    return PciFunction(0, slot, 0, 0x8086, device_id, 0x0200, "", bars)


def mac_of(board: Board, name: str) -> int:
    card = board.devices[name]
    return (card.read(0x5400, 4) | card.read(0x5404, 4) << 32) & 0xFFFF_FFFF_FFFF


def test_the_usual_card_has_the_first_address() -> None:
    board = board_with(e1000(3))
    assert mac_of(board, "e1000@00:03.0").to_bytes(6, "little") == bytes.fromhex("525400123456")


def test_cards_have_addresses_in_the_order_of_the_command() -> None:
    options = "-nodefaults -device e1000,mac=52:54:00:00:00:99 -device e1000-82545em"
    board = board_with(e1000(2), e1000(3, 0x100F), options=options)
    assert mac_of(board, "e1000@00:02.0").to_bytes(6, "little")[5] == 0x99
    assert mac_of(board, "e1000@00:03.0").to_bytes(6, "little")[5] == 0x56


def test_the_bars_show_the_card() -> None:
    board = board_with(e1000(3))
    config = board.devices["pci@00:03.0"]
    assert isinstance(config, PciConfig)
    config.write(0x10, 4, MEMORY)
    config.write(0x14, 4, PORTS)
    config.write(0x04, 2, 3)
    assert board.io.resolve_mmio(MmioAddress(MEMORY + 8), 4).read() == 0x8008_0783
    assert board.io.resolve_pio(PioAddress(PORTS), 4).read() == 0
    assert config.read(0x08, 1) == 3
    assert config.read(0x2C, 4) == 0x1100_1AF4
    assert config.read(0x34, 1) == 0
    assert config.read(0x3D, 1) == 1


class Mine(Device):
    """A user's card, with a register of its own."""

    title = "Mine"
    registers = RegisterMap(Register("ID", "Identity", 0, "r", width=32))
    width = 4

    def read(self, offset: int, size: int) -> int:
        return 0x1234_0000 + offset

    def reset(self) -> None:
        pass


@pytest.mark.parametrize(("function", "name"), [("e1000", "e1000@00:03.0"), ("e1000e", "e1000e@00:03.0")])
def test_the_bars_show_what_replaces_the_card(function: str, name: str) -> None:
    what = e1000(3) if function == "e1000" else e1000e(3)
    guest = Guest("pc", functions=(what,), regions=(CONFIG_PORTS,), meta={"command": '["qemu"]'})
    board = build(guest, replacements={name: Replacement(lambda *_: Mine())})
    config = board.devices["pci@00:03.0"]
    assert isinstance(config, PciConfig)
    config.write(0x10, 4, MEMORY)
    config.write(0x04, 2, 3)
    assert board.io.resolve_mmio(MmioAddress(MEMORY + 8), 4).read() == 0x1234_0008


def test_what_a_user_puts_at_an_address_stays_there_when_a_card_is_mapped_over_it() -> None:
    guest = Guest("pc", functions=(e1000(3),), regions=(CONFIG_PORTS,), meta={"command": '["qemu"]'})
    mine = Replacement(lambda *_: Mine(), mmio=(Placement(MEMORY + 0x100, 0x10),))
    board = build(guest, replacements={"mine": mine})
    config = board.devices["pci@00:03.0"]
    assert isinstance(config, PciConfig)
    config.write(0x10, 4, MEMORY)
    config.write(0x04, 2, 3)
    assert board.io.resolve_mmio(MmioAddress(MEMORY + 8), 4).read() == 0x8008_0783
    assert board.io.resolve_mmio(MmioAddress(MEMORY + 0x104), 4).read() == 0x1234_0004


def e1000e(slot: int) -> PciFunction:
    bars = PciBar(0, 0x2_0000), PciBar(1, 0x2_0000), PciBar(2, 0x20, is_io=True), PciBar(3, 0x4000, address=0xFEBD_0000)
    return PciFunction(0, slot, 0, 0x8086, 0x10D3, 0x0200, "", bars)


def test_the_82574_interrupts_as_its_function_is_told() -> None:
    table = (
        Region("mmio", 0xFEBD_0000, 0xFEBD_004F, "msix-table"), Region("mmio", 0xFEBD_2000, 0xFEBD_2007, "msix-pba")
    )  # fmt: skip
    guest = Guest("q35", functions=(e1000e(2),), regions=(CONFIG_PORTS, *table))
    board = build(guest)
    card, config, msix = (board.devices[f"{kind}@00:02.0"] for kind in ("e1000e", "pci", "msix"))
    assert isinstance(card, E1000e)
    assert isinstance(config, PciConfig)
    assert mac_of(board, "e1000e@00:02.0").to_bytes(6, "little") == bytes.fromhex("525400123456")
    card.write(0xE4, 4, 0x8_0000)
    card.write(0xD0, 4, 4 | 1 << 24)
    card.write(0xC8, 4, 4)
    assert config.intx.level
    assert card.read(0xC0, 4) == 0x8000_0004
    # What a guest has read and written of the capabilities
    config.poke(0x34, 1, 0xD0)
    config.poke(0xD0, 4, 0x0001_A005)
    config.poke(0xA0, 4, 0x8004_0011)
    card.write(0xC8, 4, 4)
    assert card.read(0xC0, 4) == 0x8100_0004, "with MSI-X there is OTHER"
    assert msix.state()["pending"] == 1


def test_with_the_hosts_clock_the_system_time_is_not_compared_exactly() -> None:
    for clock, contracts in (("host", 2), ("virtual", 0)):
        board = build(Guest("q35", clock=clock, functions=(e1000e(2),), regions=(CONFIG_PORTS,)))
        assert len(board.devices["e1000e@00:02.0"].contracts) == contracts


def test_without_a_table_there_are_no_messages() -> None:
    board = build(Guest("q35", functions=(e1000e(2),), regions=(CONFIG_PORTS,)))
    card, config = board.devices["e1000e@00:02.0"], board.devices["pci@00:02.0"]
    assert isinstance(config, PciConfig)
    config.poke(0x34, 1, 0xA0)
    config.poke(0xA0, 4, 0x8004_0011)
    card.write(0xE4, 4, 0x8)
    card.write(0xD0, 4, 1 << 20)
    card.write(0xC8, 4, 1 << 20)


def test_older_machines_have_no_vlan_type() -> None:
    for machine_type, vet in (("pc-i440fx-6.0", 0), ("pc-i440fx-6.1", 0x8100)):
        card = board_with(e1000(3), machine_type=machine_type).devices["e1000@00:03.0"]
        assert isinstance(card, E1000)
        assert card.read(0x38, 4) == vet


def test_cards_with_a_dp8390_are_on_pci_and_on_isa() -> None:
    bars = (PciBar(0, 0x100, is_io=True),)
    board = board_with(PciFunction(0, 3, 0, 0x10EC, 0x8029, 0x0200, "", bars), options="-device ne2k_pci -nodefaults")
    assert "ne2000@00:03.0" in board.devices
    places = [Region("pio", base, base + 0x1F, "ne2000") for base in (0x300, 0x320, 0x280)]
    options = ["-device", "ne2k_isa,iobase=0x280,irq=5", "-net", "nic,model=ne2k_isa", "-net", "nic,model=ne2k_isa"]
    guest = Guest("isapc", regions=tuple(places), meta={"command": json.dumps(["qemu", *options])})
    board = build(guest)
    assert {"ne2000@300", "ne2000@320", "ne2000@280"} <= set(board.devices)
    for base in (0x300, 0x320, 0x280):
        card = board.devices[f"ne2000@{base:x}"]
        card.write(0x0A, 1, 32)
        card.write(0, 1, 0x0A)
        last = [card.read(0x10, 1) for _ in range(11)][-1]
        assert last == {0x300: 0x56, 0x320: 0x57, 0x280: 0x58}[base]
