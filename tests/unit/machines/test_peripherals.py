"""What QEMU's command line says of devices."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.guest import Guest
from vmdev.replay.machines.peripherals import Peripherals, integer


def of(text: str, **meta: str | int) -> Peripherals:
    return Peripherals(Guest("pc", meta={"command": json.dumps(["qemu", *text.split()]), **meta}))


def test_a_trace_without_a_command_has_no_devices_but_the_usual_card() -> None:
    nothing = Peripherals(Guest("pc"))
    assert nothing.devices == []
    assert nothing.built_in_nics == [("", 0x5254_0012_3456)]
    assert nothing.machine_version == (99, 0)
    assert nothing.cpus == 1


def test_devices_have_properties_and_globals() -> None:
    found = of(
        "-device virtio-blk-pci,drive=d,id=a "
        '-device {"driver":"e1000","mac":"52:54:00:01:02:03","a":{"b":true,"c":false}}'
        " -device {broken -global virtio-blk-pci.queue-size=64 -global driver=e1000,property=x,value=y",
        machine_type="pc-i440fx-9.2", smp=4,
    )  # fmt: skip
    disk, card, broken = found.devices
    assert disk == {"driver": "virtio-blk-pci", "drive": "d", "id": "a"}
    assert card == {"driver": "e1000", "mac": "52:54:00:01:02:03", "a.b": "on", "a.c": "off"}
    assert broken == {}
    assert found.properties(disk)["queue-size"] == "64"
    assert found.properties({"driver": "x"}, "e1000")["x"] == "y"
    assert found.machine_version == (9, 2)
    assert found.cpus == 4


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("-drive if=none,id=d,format=raw,file=/a/disk.img", 4096),
        ("-blockdev driver=file,filename=/a/disk.img,node-name=f -blockdev driver=raw,file=f,node-name=d", 4096),
        ("-blockdev driver=raw,file.driver=file,file.filename=/a/disk.img,node-name=d", 4096),
        ("-drive if=none,id=d,format=raw,file=/a/disk.img,offset=512", None),
        ("-drive if=none,id=d,format=qcow2,file=/a/disk.img", None),
        ("-drive if=none,id=d,file=/a/disk.img", None),
        ("-drive if=none,id=d,format=raw,file=/a/other.img", None),
        ("-drive if=none,id=d,format=raw,file=/a/twice.img", None),
        ("", None),
    ],
)
def test_the_size_of_a_raw_image_is_known(options: str, size: int | None) -> None:
    images = [{"name": "disk.img", "size": 4096}, {"name": "twice.img", "size": 1}, {"name": "twice.img", "size": 2}]
    assert of(options, images=json.dumps(images)).image_size({"drive": "d"}) == size


@pytest.mark.parametrize("images", ["not JSON", "{}", "[1]"])
def test_images_that_are_none_have_no_size(images: str) -> None:
    assert of("-drive id=d,format=raw,file=a", images=images).image_size({"drive": "d"}) is None


def test_cards_get_consecutive_addresses_that_are_not_taken() -> None:
    found = of(
        "-nic user,model=e1000 -nic none -net nic,macaddr=52:54:00:12:34:57 -device e1000 -device VGA -device rtl8139"
    )
    assert found.built_in_nics == [("e1000", 0x5254_0012_3456), ("", 0x5254_0012_3457)]
    assert found.macs == [0x5254_0012_3458, 0, 0x5254_0012_3459]


def test_a_network_or_nodefaults_leaves_the_usual_card_out() -> None:
    assert of("-nodefaults").built_in_nics == of("-netdev user,id=n").built_in_nics == []


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12), ("0x10", 16), ("4k", 4096), ("1M", 1 << 20), ("", 5), ("many", 5)]
)
def test_integers_have_suffixes(text: str, value: int) -> None:
    assert integer({"n": text}, "n", 5) == value
    assert integer({}, "n", 5) == 5
