"""Which drives a guest had: QEMU's rules for what its command line says."""

from __future__ import annotations

import hashlib
import json

import pytest

from vmdev.replay.guest import Guest
from vmdev.replay.machines.drives import Drive, ata_drives, floppy_drives

ZEROS = hashlib.sha256(bytes(4096)).hexdigest()
IMAGES: list[dict[str, object]] = [
    {"name": "zeros.img", "size": 4096, "sha256": ZEROS},
    {"name": "data.img", "size": 5000, "sha256": "00"},
    {"name": "large.img", "size": 1 << 40},
    {"name": "twice.img", "size": 512},
    {"name": "twice.img", "size": 1024},
]


def guest(*words: str, nodefaults: bool = True) -> Guest:
    command = ["qemu-system-x86_64", *(["-nodefaults"] if nodefaults else []), *words]
    return Guest("pc", meta={"command": json.dumps(command), "images": json.dumps(IMAGES)})


def places(drives: list[Drive]) -> list[tuple[int, int, bool]]:
    return [(drive.bus, drive.unit, drive.is_cd) for drive in drives]


def ata(*words: str, units: int = 2, buses: int = 2, nodefaults: bool = True) -> list[Drive]:
    return ata_drives(guest(*words, nodefaults=nodefaults), units, buses)


def test_a_trace_without_a_command_has_no_drives_of_its_own() -> None:
    assert [drive.medium for drive in ata_drives(Guest("pc"), 2, 2)] == [None]
    assert ata_drives(Guest("pc", meta={"command": "no list", "images": "{"}), 2, 2)[0].is_cd


def test_shorthands_have_their_places() -> None:
    drives = ata("-hda", "zeros.img", "-hdd", "data.img", "-cdrom", "cd.iso")
    assert places(drives) == [(0, 0, False), (1, 1, False), (1, 0, True)]
    assert places(ata("-hdb", "x", "-cdrom", "y", units=1, buses=6)) == [(1, 0, False), (2, 0, True)]


def test_a_word_without_an_option_is_the_first_disk() -> None:
    assert places(ata("zeros.img")) == [(0, 0, False)]
    assert places(ata("-snapshot")) == []


def test_drives_take_the_first_free_place() -> None:
    drives = ata("-drive", "file=a", "-drive", "file=b,media=cdrom", "-drive", "file=c", "-drive", "file=d,bus=1")
    assert places(drives) == [(0, 0, False), (0, 1, True), (1, 0, False), (1, 1, False)]
    assert places(ata("-drive", "file=a,bus=1,unit=1", "-drive", "file=b,index=2")) == [(1, 1, False), (1, 0, False)]


def test_other_interfaces_are_left_out() -> None:
    assert ata("-drive", "file=a,if=virtio", "-drive", "file=b,if=none,id=b", "-fda", "c", "-device", "nvme") == []


def test_by_default_there_is_an_empty_cd_drive() -> None:
    assert places(ata(nodefaults=False)) == [(1, 0, True)]
    assert places(ata("-hdc", "x", nodefaults=False)) == [(1, 0, False)]
    assert places(ata("-device", "ide-hd,bus=ide.0,drive=x", nodefaults=False)) == [(0, 0, False)]


def test_devices_name_their_bus_or_get_the_last_one() -> None:
    drives = ata("-device", "ide-hd,drive=d", "-device", "ide-cd", "-device", "ide-hd,bus=ide.0,unit=1,drive=d")
    assert places(drives) == [(1, 0, False), (1, 1, True), (0, 1, False)]
    assert places(ata("-device", "ide-hd,drive=d", units=1, buses=6)) == [(5, 0, False)]
    assert ata("-device", "ide-hd,bus=ahci0.0") == []


def test_other_controllers_have_buses_of_other_names() -> None:
    command = guest("-hda", "zeros.img", "-device", "ide-cd,bus=card.3", nodefaults=False)
    assert places(ata_drives(command, 1, 6, "card")) == [(3, 0, True)]
    assert ata_drives(command, 1, 6, "") == []


def test_read_only_in_json_is_as_in_words() -> None:
    blockdev = {
        "driver": "raw",
        "node-name": "n",
        "read-only": True,
        "file": {"driver": "file", "filename": "data.img"},
    }
    (drive,) = ata("-blockdev", json.dumps(blockdev), "-device", "ide-hd,drive=n")
    assert drive.medium is not None
    assert drive.medium.read_only


def test_devices_keep_their_properties_also_in_json() -> None:
    (drive,) = ata("-device", json.dumps({"driver": "ide-hd", "bus": "ide.0", "unit": 1, "serial": "S"}))
    assert (drive.bus, drive.unit, drive.properties["serial"]) == (0, 1, "S")
    assert ata("-device", "{no json", "-device", "{}") == []


@pytest.mark.parametrize("cache", ["writethrough", "directsync", "writeback"])
def test_the_cache_mode_tells_about_the_write_cache(cache: str) -> None:
    (drive,) = ata("-drive", f"file=a,cache={cache}")
    assert (drive.properties.get("write-cache") == "off") == (cache != "writeback")


def test_an_image_of_zeros_is_known_by_its_hash() -> None:
    (drive,) = ata("-hda", "/some/where/zeros.img")
    assert drive.medium
    assert (drive.medium.sectors, drive.medium.zeros) == (8, True)


@pytest.mark.parametrize(
    ("options", "sectors"),
    [("file=data.img,format=raw", 10), ("file=data.img", None), ("file=missing.img,format=raw", None),
     ("file=twice.img,format=raw", None), ("file=large.img,format=raw", 1 << 31)],
)  # fmt: skip
def test_the_size_is_known_of_raw_images(options: str, sectors: int | None) -> None:
    (drive,) = ata("-drive", options)
    assert drive.medium
    assert (drive.medium.sectors, drive.medium.zeros) == (sectors, False)


def test_commas_in_names_are_doubled() -> None:
    (drive,) = ata("-drive", "file=a,,b/zeros.img,read-only=on")
    assert drive.medium
    assert drive.medium.sectors == 8
    assert drive.medium.read_only


def test_a_device_finds_its_drive_or_its_chain_of_block_devices() -> None:
    drives = ata(
        *("-drive", "if=none,id=d,format=raw,file=data.img"),
        *("-blockdev", "driver=file,filename=data.img,node-name=f"),
        *("-blockdev", json.dumps({"driver": "raw", "file": "f", "node-name": "r"})),
        *("-device", "ide-hd,drive=d,bus=ide.0"),
        *("-device", "ide-hd,drive=r,bus=ide.1"),
        *("-device", "ide-cd,drive=none,bus=ide.0"),
    )
    assert [drive.medium and drive.medium.sectors for drive in drives] == [10, 10, None]


def test_block_devices_may_be_nested_and_may_not_name_themselves() -> None:
    inner = {"driver": "raw", "node-name": "n", "file": {"driver": "file", "filename": "data.img"}}
    drives = ata(
        *("-blockdev", json.dumps(inner), "-device", "ide-hd,drive=n"),
        *("-blockdev", "driver=raw,file=loop,node-name=loop", "-device", "ide-hd,drive=loop"),
    )
    assert [drive.medium and drive.medium.sectors for drive in drives] == [10, None]


def test_floppy_drives() -> None:
    assert places(floppy_drives(guest(nodefaults=False))) == [(0, 0, False)]
    assert floppy_drives(guest()) == []
    assert floppy_drives(guest("-device", "isa-fdc", nodefaults=False)) == []
    drives = floppy_drives(
        guest(
            "-fdb",
            "zeros.img",
            "-drive",
            "if=none,id=x,file=a",
            "-device",
            "floppy",
            "-device",
            "floppy,drive=x,unit=1",
        )
    )
    assert places(drives) == [(0, 1, False), (0, 0, False), (0, 1, False)]
    assert [drive.medium is None for drive in drives] == [False, True, False]
