"""Where the storage devices sit, and how the guest's command line makes their drives."""

from __future__ import annotations

import hashlib
import json

import pytest

from vmdev.replay.bus import PioAddress
from vmdev.replay.devices.ahci import Ahci
from vmdev.replay.devices.ata_channel import AtaChannel
from vmdev.replay.devices.piix_bmdma import PiixBusMaster
from vmdev.replay.guest import Guest, PciFunction, Region
from vmdev.replay.machines import Board, build

PORTS = ((0x1F0, 8, "ide"), (0x3F6, 1, "ide"), (0x170, 8, "ide"), (0x376, 1, "ide"))


def board(
    *words: str, machine: str = "isapc", ports: tuple[tuple[int, int, str], ...] = PORTS, qemu: str = "10.0.2"
) -> Board:
    image = {"name": "zeros.img", "size": 1 << 20, "sha256": hashlib.sha256(bytes(1 << 20)).hexdigest()}
    command = json.dumps(["qemu", "-nodefaults", *words])
    meta = {"command": command, "images": json.dumps([image]), "qemu": qemu}
    pci = (PciFunction(0, 1, 1, 0x8086, 0x7010, 0x0101),) if machine == "pc" else ()
    regions = tuple(Region("pio", base, base + size - 1, name) for base, size, name in ports)
    if machine == "pc":
        regions += (Region("pio", 0xCF8, 0xCFB, "pci-conf-idx"), Region("pio", 0xCFC, 0xCFF, "pci-conf-data"))
    return build(Guest(machine, regions=regions, functions=pci, meta=meta))


def read(board: Board, port: int) -> int:
    return board.io.resolve_pio(PioAddress(port), 1).read()


def channel(board: Board, number: int) -> dict[str, int]:
    device = board.devices[f"ide{number}"]
    assert isinstance(device, AtaChannel)
    return dict(device.state())


def test_both_channels_sit_at_their_ports() -> None:
    made = board("-hda", "zeros.img", "-cdrom", "cd.iso")
    assert [read(made, port) for port in (0x1F7, 0x3F6, 0x177, 0x376)] == [0x50] * 4
    assert (read(made, 0x1F4), read(made, 0x174)) == (0x00, 0x14)
    assert channel(made, 0)["unit0_medium_sectors"] == 2048


def test_a_channel_that_the_map_lacks_is_not_built() -> None:
    assert "ide1" not in board(ports=PORTS[:2]).devices
    assert not {"ide0", "ide1"} & set(board(ports=((0x70, 2, "rtc"),)).devices)


def test_only_a_pc_with_pci_has_bus_masters() -> None:
    assert "bmide0" not in board().devices
    made = board(machine="pc")
    for number in range(2):
        assert isinstance(made.devices[f"bmide{number}"], PiixBusMaster)


def test_properties_of_devices_reach_the_drive() -> None:
    properties = "serial=S,model=M,ver=1,wwn=0x5000,cyls=2,heads=3,secs=4,physical_block_size=4096,rotation_rate=1"
    made = board("-device", f"ide-hd,bus=ide.0,drive=d,{properties}", "-drive", "if=none,id=d,file=zeros.img")
    device = made.devices["ide0"]
    device.write(7, 1, 0xEC)
    block = b"".join(device.read(0, 2).to_bytes(2, "little") for _ in range(256))
    words = [int.from_bytes(block[2 * number : 2 * number + 2], "little") for number in (1, 3, 6, 106, 111, 217)]
    assert words == [2, 3, 4, 0x6003, 0x5000, 1]
    assert block[20:22] == b" S"


def test_a_disk_without_a_readable_number_has_the_default() -> None:
    made = board(
        "-device", "ide-hd,bus=ide.0,physical_block_size=none,discard_granularity=0,drive=d", "-hdb", "zeros.img"
    )
    made.devices["ide0"].write(6, 1, 0x10)
    assert read(made, 0x1F7) == 0x50


def test_an_empty_cd_drive_is_there_without_a_medium() -> None:
    made = board("-device", "ide-cd,bus=ide.0")
    assert channel(made, 0)["unit0_medium_sectors"] == 0
    assert read(made, 0x1F5) == 0xEB


def test_ahci_controllers_get_the_drives_of_their_names() -> None:
    """q35's own has QEMU's name for the machine's buses; a card has the user's."""
    command = ("-hda", "a", "-cdrom", "b", "-device", "ahci,id=card", "-device", "ide-hd,bus=card.1,drive=x")
    functions = (PciFunction(0, 0x1F, 2, 0x8086, 0x2922, 0x0106), PciFunction(0, 3, 0, 0x8086, 0x2922, 0x0106, "card"))
    regions = (Region("pio", 0xCF8, 0xCFB, "pci-conf-idx"), Region("pio", 0xCFC, 0xCFF, "pci-conf-data"))
    meta = {"command": json.dumps(["qemu", "-nodefaults", *command]), "images": "[]"}
    made = build(Guest("q35", regions=regions, functions=functions, meta=meta))
    present = {}
    for name in ("ahci@00:1f.2", "ahci@00:03.0"):
        ahci = made.devices[name]
        assert isinstance(ahci, Ahci)
        present[name] = [ahci.read(0x128 + 0x80 * port, 4) == 0x113 for port in range(6)]
    assert present["ahci@00:1f.2"] == [True, False, True, False, False, False]
    assert present["ahci@00:03.0"] == [False, True, False, False, False, False]


def test_the_floppy_controller_moves_data_by_the_dma_controller() -> None:
    fdc = ((0x3F1, 5, "fdc"), (0x3F7, 1, "fdc"))
    dma = ((0, 8, "dma-chan"), (8, 8, "dma-cont"), (0xC0, 16, "dma-chan"), (0xD0, 16, "dma-cont"))
    made = board("-fda", "zeros.img", ports=(*fdc, *dma))
    for port, value in ((0xD6, 0xC0), (0xD4, 0), (0xC, 0), (5, 0xFF), (5, 1), (0xB, 0x46), (0xA, 2)):
        made.io.resolve_pio(PioAddress(port), 1).write(value)
    made.io.resolve_pio(PioAddress(0x3F7), 1).write(0)
    for value in (0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF):
        made.io.resolve_pio(PioAddress(0x3F5), 1).write(value)
    assert read(made, 0x3F4) == 0xD0
    assert [read(made, 0x3F5) for _ in range(7)] == [0x40, 1, 0, 0, 0, 1, 2]  # 1 MiB is of no usual format
    assert "fdc" not in board(ports=PORTS).devices


@pytest.mark.parametrize(("qemu", "finds_sectors"), [("10.0.2 (Debian)", True), ("11.1.3", False), ("", False)])
def test_an_empty_floppy_drive_is_that_of_its_qemu(qemu: str, finds_sectors: bool) -> None:
    made = board("-device", "floppy", ports=((0x3F1, 5, "fdc"), (0x3F7, 1, "fdc")), qemu=qemu)
    for port, value in ((0x3F2, 0x0C), (0x3F5, 0x4A), (0x3F5, 0)):
        made.io.resolve_pio(PioAddress(port), 1).write(value)
    made.clock.advance(10**9)
    assert read(made, 0x3F5) == (0 if finds_sectors else 0x40)
