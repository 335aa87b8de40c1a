"""ATA channels with their bus masters, AHCI and floppy disk controllers, and the drives on them.

Source: IBM PC AT Technical Reference for the ports and interrupts; Intel 82371SB (PIIX3) for the bus master.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ..devices.ahci import PAIR, Ahci
from ..devices.ata_channel import AtaChannel
from ..devices.ata_identify import Identity
from ..devices.floppy_drive import FloppyDrive
from ..devices.i8237 import I8237Pair
from ..devices.i82078 import I82078
from ..devices.i82078_data import no_dma
from ..devices.medium import Medium
from ..devices.piix_bmdma import PiixBusMaster
from .drives import Drive, ata_drives, floppy_drives
from .topology import apic_ids
from .wiring import Wiring

CHANNELS: Final = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))
"""Command block, control block, interrupt."""
FDC, FDC_FIRST, FDC_LAST = 0x3F0, 1, 7
REGIONS: Final = {
    "ide": tuple(port for *ports, _ in CHANNELS for port in ports),
    "fdc": (FDC + FDC_FIRST, FDC + FDC_LAST),
}
"""QEMU's regions, by name, with their first ports."""
FDC_IRQ, FDC_DMA = 6, 2
UNITS: Final = 2
"""Drives of a channel."""
INTEL, PIIX_IDE = 0x8086, (0x7010, 0x7111)
BUS_MASTER_BAR, BUS_MASTER_SIZE = 4, 8
ICH9_AHCI: Final = 0x2922
CHIPSET_AHCI: Final = "00:1f.2"
AHCI_BAR, PAIR_BAR, AHCI_PORTS = 5, 4, 6


def add_ata(wiring: Wiring) -> None:
    """The two channels, and the bus master of each if there is one."""
    board = wiring.board
    places = wiring.places("ide")
    drives = {(drive.bus, drive.unit): drive for drive in ata_drives(wiring.guest, UNITS, len(CHANNELS))}
    functions = wiring.pci.find(INTEL, *PIIX_IDE)
    for number, (command, control, irq) in enumerate(CHANNELS):
        if command not in places:
            continue
        found = [drives.get((number, unit)) for unit in range(UNITS)]
        channel = AtaChannel(
            board.clock,
            wiring.irq(irq),
            (_configured(found[0], UNITS * number), _configured(found[1], UNITS * number + 1)),
            (found[0] is not None and found[0].is_cd, found[1] is not None and found[1].is_cd),
        )
        board.add(f"ide{number}", channel, pio=[(command, 8, 0), (control, 1, 8)])
        for function in functions:
            master = board.add(f"bmide{number}", PiixBusMaster(channel))
            function.show(BUS_MASTER_BAR, master, first=BUS_MASTER_SIZE * number, size=BUS_MASTER_SIZE)


def add_ahci(wiring: Wiring) -> None:
    """AHCI controllers: the chipset's, whose ports QEMU names "ide", and cards, which have names of the user's."""
    for function in wiring.pci.find(INTEL, ICH9_AHCI):
        name = "ide" if function.name == CHIPSET_AHCI and wiring.guest.machine == "q35" else function.what.qdev_id
        own = ata_drives(wiring.guest, 1, AHCI_PORTS, name)
        kinds = {drive.bus: drive.is_cd for drive in own}
        ports = [kinds.get(port) for port in range(AHCI_PORTS)]
        model = Ahci(function.intx, ports, foresees=len(apic_ids(wiring.guest)) > 1)
        ahci = wiring.board.add(f"ahci@{function.name}", model)
        function.show(AHCI_BAR, ahci)
        function.show(PAIR_BAR, ahci, at=PAIR)


def add_floppy(wiring: Wiring) -> None:
    """The floppy disk controller. Its DMA controller has to be on the board already."""
    places = wiring.places("fdc")
    if FDC + FDC_FIRST not in places:
        return
    spins_empty = wiring.guest.qemu_version < (11, 0)
    drives = {drive.unit: FloppyDrive(drive.medium, spins_empty=spins_empty) for drive in floppy_drives(wiring.guest)}
    a, b = (drives.get(unit) or FloppyDrive(present=False) for unit in range(2))
    dma = wiring.board.devices.get("dma")
    connect = partial(dma.connect, FDC_DMA) if isinstance(dma, I8237Pair) else no_dma
    controller = I82078(wiring.board.clock, wiring.irq(FDC_IRQ), (a, b), connect)
    # Port 3F6h is the ATA channel's; QEMU's PCs do not decode 3F0h
    ports = [(FDC + FDC_FIRST, 5, FDC_FIRST), (FDC + FDC_LAST, 1, FDC_LAST)]
    wiring.board.add("fdc", controller, pio=[port for port in ports if port[0] in places])


def _configured(drive: Drive | None, number: int) -> tuple[Medium | None, Identity]:
    """A place's medium and identity. QEMU numbers the places, and serial numbers follow."""
    if drive is None:
        return None, Identity()
    medium = drive.medium
    if medium is None and drive.is_cd:
        medium = Medium(0)
    return medium, identity(drive, number)


def identity(drive: Drive, number: int) -> Identity:
    """What the properties of QEMU's device say about a drive; `number` is that of its place."""
    given = drive.properties
    geometry = tuple(_number(given.get(name, "")) for name in ("cyls", "heads", "secs"))
    block = _number(given.get("physical_block_size", "512")) // _number(given.get("logical_block_size", "512") or "512")
    return Identity(
        serial=given.get("serial", f"QM{number + 1:05}"),
        model=given.get("model", ""),
        firmware=given.get("ver", "2.5+"),
        wwn=_number(given.get("wwn", "")),
        geometry=(geometry[0], geometry[1], geometry[2]) if all(geometry) else None,
        physical_block_exponent=max(block, 1).bit_length() - 1,
        rotation_rate=_number(given.get("rotation_rate", "")),
        discards=given.get("discard_granularity") != "0",
        write_cache=given.get("write-cache") != "off",
    )


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0
