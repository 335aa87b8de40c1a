"""fw_cfg as a machine has it: its ports, and the items that follow from QEMU's command line."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.bus import MmioAddress, PioAddress
from vmdev.replay.device import Unknown
from vmdev.replay.devices import fw_cfg
from vmdev.replay.guest import Guest, Region
from vmdev.replay.machines import Board, build

MAP = (Region("pio", 0x510, 0x511, "fwcfg"), Region("pio", 0x514, 0x51B, "fwcfg.dma"))


def board(*words: str, regions: tuple[Region, ...] = MAP) -> Board:
    meta = {"command": json.dumps(["qemu-system-x86_64", *words])} if words else {}
    return build(Guest("pc", regions=regions, meta=meta))


def item(board: Board, key: int, size: int) -> int | None:
    """A little-endian number; None if only a recording knows it."""
    board.io.pio_write(PioAddress(0x510), key.to_bytes(2, "little"))
    data = board.io.resolve_pio(PioAddress(0x511), 1)
    answers = [data.read() for _ in range(size)]
    if any(isinstance(answer, Unknown) for answer in answers):
        return None
    return int.from_bytes(bytes(answers), "little")


def test_it_is_where_the_map_shows_it() -> None:
    assert "fwcfg" in board().devices
    assert "fwcfg" not in board(regions=(Region("pio", 0x80, 0x80, "ioport80"),)).devices


@pytest.mark.parametrize(("regions", "features"), [(MAP, 3), (MAP[:1], 1)])
def test_its_revision_says_whether_the_map_shows_dma(regions: tuple[Region, ...], features: int) -> None:
    assert item(board(regions=regions), fw_cfg.KEY_ID, 4) == features


def test_items_follow_from_the_command_line() -> None:
    found = board("-M", "pc", "-m", "size=1G,slots=2", "-smp", "2", "-boot", "menu=on", "-nographic",
                  "-uuid", "00112233-4455-6677-8899-aabbccddeeff")  # fmt: skip
    assert item(found, fw_cfg.KEY_RAM_SIZE, 8) == 1 << 30
    assert item(found, fw_cfg.KEY_NB_CPUS, 2) == 2
    assert item(found, fw_cfg.KEY_MAX_CPUS, 2) is None
    assert item(found, fw_cfg.KEY_BOOT_MENU, 2) == 1
    assert item(found, fw_cfg.KEY_NOGRAPHIC, 2) == 1
    assert item(found, fw_cfg.KEY_IRQ0_OVERRIDE, 4) == 1
    assert item(found, fw_cfg.KEY_UUID, 16) == int.from_bytes(
        bytes.fromhex("00112233445566778899aabbccddeeff"), "little"
    )


def test_defaults() -> None:
    found = board("-M", "pc")
    assert item(found, fw_cfg.KEY_RAM_SIZE, 8) == 128 << 20
    assert item(found, fw_cfg.KEY_NB_CPUS, 2) == item(found, fw_cfg.KEY_MAX_CPUS, 2) == 1
    assert item(found, fw_cfg.KEY_BOOT_MENU, 2) == item(found, fw_cfg.KEY_NOGRAPHIC, 2) == 0
    assert item(found, fw_cfg.KEY_UUID, 16) == 0


def test_what_the_command_line_does_not_say_for_sure_is_learned() -> None:
    assert item(board(), fw_cfg.KEY_RAM_SIZE, 8) is None
    assert item(board("-readconfig", "x"), fw_cfg.KEY_RAM_SIZE, 8) is None
    unsure = board("-M", "pc,memory-backend=mem", "-smp", "cores=2", "-uuid", "none")
    for key, size in ((fw_cfg.KEY_RAM_SIZE, 8), (fw_cfg.KEY_NB_CPUS, 2), (fw_cfg.KEY_UUID, 16)):
        assert item(unsure, key, size) is None


# Flash


FLASH = (
    Region("mmio", 0xE0000, 0xFFFFF, "system.flash0", "rom", offset=0x35C000),
    Region("mmio", 0xFFC00000, 0xFFC83FFF, "system.flash1", "romd"),
    Region("mmio", 0xFFC84000, 0xFFFFFFFF, "system.flash0", "romd"),
)


def flash_status(board: Board, unit: int) -> int:
    """After an attempt to program it."""
    base = MmioAddress(0xFFC84000 if unit == 0 else 0xFFC00000)
    for value in (0x40, 0x12):
        board.io.mmio_write(base, bytes([value]))
    return board.io.resolve_mmio(base, 1).read()


def test_flash_is_below_4_gib() -> None:
    found = board("-M", "pc", regions=FLASH)
    assert found.io.resolve_mmio(MmioAddress(0xFFC84000), 1).device is found.devices["flash0"]
    assert found.io.resolve_mmio(MmioAddress(0xFFFFFFFF), 1).device is found.devices["flash0"]
    assert found.io.resolve_mmio(MmioAddress(0xFFC83FFF), 1).device is found.devices["flash1"]
    assert "flash0" not in board("-M", "pc").devices


@pytest.mark.parametrize(
    ("words", "read_only"),
    [
        (("-drive", "if=pflash,unit=0,readonly=on,file=c", "-drive", "if=pflash,unit=1,file=v"), (True, False)),
        (("-drive", "if=pflash,file=c", "-drive", "if=pflash,read-only=on,file=v"), (False, True)),
        (
            (
                "-drive",
                "if=none,readonly=on,file=c",
            ),
            (False, False),
        ),
        (
            (
                "-M",
                "q35,pflash0=a,pflash1=b",
                "-blockdev",
                "file,node-name=b",
                "-blockdev",
                "raw,node-name=a,read-only=on",
            ),
            (True, False),
        ),
    ],
)
def test_flash_may_be_read_only(words: tuple[str, ...], read_only: tuple[bool, bool]) -> None:
    found = board(*words, regions=FLASH)
    assert tuple(bool(flash_status(found, unit) & 0x10) for unit in (0, 1)) == read_only
