"""A recording's command line, sifted: a trace comes from strangers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from vmdev.cli.qemu.device_side import DeviceSide, device_side, users_own
from vmdev.replay.errors import OracleError
from vmdev.replay.guest import Guest


def sifted(*words: str, images: tuple[Path, ...] = ()) -> DeviceSide:
    facts = [
        {"name": path.name, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in images
    ]
    meta = {"command": json.dumps(["qemu-system-x86_64", *words]), "images": json.dumps(facts)}
    return device_side(Guest("pc", meta=meta))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("-M pc,graphics=off -m 256 -smp 2 -nodefaults -vga std -boot menu=on", None),
        ("-machine q35,accel=tcg,kernel-irqchip=off,smm=off", "-M q35,smm=off"),
        ("-M accel=tcg", ""),
        ("-boot order=c,splash=secret.jpg,menu=on -boot c", "-boot c,menu=on -boot c"),
        ("-device usb-tablet,pcap=out -device VGA,romfile=,addr=2", "-device usb-tablet -device VGA,romfile=,addr=2"),
        ("-cpu 486", None),
        ("-cpu max,+apic,x=/etc/passwd", "-cpu max,+apic"),
        ("-device virtio-blk-pci,drive=d0,addr=0x3 -global isa-fdc.driveA=x", None),
        ("-device e1000,netdev=n,romfile=/tmp/x.rom", "-device e1000,netdev=n"),
        ('-device {"driver":"e1000","mac":"52:54:00:12:34:56"}', "-device e1000,mac=52:54:00:12:34:56"),
        ("-serial stdio -parallel none -debugcon file:/tmp/log", "-serial null -parallel none -debugcon null"),
        ("-serial mon:stdio -serial chardev:c -S -s", "-serial null -serial chardev:c"),
        ("-chardev socket,id=c,path=/tmp/x,server=on,mux=on -mon chardev=c", "-chardev null,id=c,mux=on"),
        ("-chardev file,id=../c,path=/tmp/x", "-chardev null,id=unnamed"),
        ("-netdev tap,id=n,script=/tmp/x", "-netdev hubport,hubid=0,id=n"),
        ("-nic tap,model=e1000,script=/x -nic none", "-nic user,restrict=on,model=e1000 -nic none"),
        ("-net nic,model=ne2k_isa -net user", "-net nic,model=ne2k_isa"),
        ("-audiodev pa,id=a", "-audiodev none,id=a"),
        ("-object rng-random,id=r,filename=/dev/random", "-object rng-builtin,id=r"),
        ("-object memory-backend-ram,id=m,size=1M", None),
        ("-icount shift=5 -accel tcg -rtc base=2026-01-01,clock=vm -seed 7", "-rtc base=2026-01-01,clock=vm -seed 7"),
        ("-qmp unix:/x -monitor stdio -no-reboot -display gtk -nographic -d exec -D /tmp/log -plugin /tmp/evil.so", ""),
        ("-bios bios-microvm.bin", None),
        ("-fw_cfg name=opt/a,string=b -smbios type=1,manufacturer=x", None),
        ("-blockdev driver=raw,node-name=r,file=f", None),
    ],
)  # fmt: skip
def test_what_stays(given: str, kept: str | None) -> None:
    assert " ".join(sifted(*given.split()).arguments) == (given if kept is None else kept)


@pytest.mark.parametrize(
    "given",
    [
        "-device vfio-pci,host=01:00.0", "-device usb-host,hostbus=1", "-device loader,file=/etc/passwd",
        "-device vhost-user-fs-pci,chardev=c", "-device a/b", "-readconfig /tmp/x", "-fsdev local,path=/,id=f",
        "-object memory-backend-file,id=m,mem-path=/etc/passwd", "-global e1000.romfile=x",
        "-global driver=e1000,property=romfile,value=x", "-device usb-mtp,rootdir=.",
        "-fw_cfg name=opt/a,file=/etc/passwd", "-smbios file=/etc/passwd", "-acpitable file=/etc/passwd",
        "-blockdev driver=file,node-name=a/b,filename=/etc/passwd", "-kernel /etc/passwd -append x -initrd /etc/group",
        "-bios /etc/passwd", "-dtb /etc/passwd",
    ],
)  # fmt: skip
def test_what_reaches_the_host_is_left_out_and_told(given: str) -> None:
    found = sifted(*given.split())
    assert found.arguments == []
    assert found.notes


def test_images_of_the_recording_are_used_and_not_written_to(tmp_path: Path) -> None:
    kernel, disk, other = tmp_path / "vmlinuz", tmp_path / "disk.img", tmp_path / "other.img"
    kernel.write_bytes(b"kernel")
    disk.write_bytes(b"disk" * 128)
    other.write_bytes(b"x" * 1024)
    words = (
        "-kernel", str(kernel), "-append", "quiet", "-drive", f"if=none,id=d0,format=raw,snapshot=on,file={disk}",
        "-hda", str(disk),
    )  # fmt: skip
    found = sifted(*words, images=(kernel, disk))
    assert found.arguments == [
        "-kernel", str(kernel), "-append", "quiet",
        "-drive", f"if=none,id=d0,snapshot=on,file={disk},format=raw",
        "-drive", f"if=ide,index=0,snapshot=on,file={disk}",
    ]  # fmt: skip
    assert found.notes == []
    disk.write_bytes(b"risk" * 128)  # another content of the same size
    found = sifted("-hda", str(disk), images=(other,))
    assert found.arguments == ["-drive", "if=ide,index=0,driver=null-co,read-zeroes=on,size=1048576"]


def test_a_drive_whose_image_is_gone_reads_as_zeros(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"\1" * 2048)
    facts = [{"name": "disk.img", "size": 2048, "sha256": "00"}, {"name": "big.img", "size": 1 << 31}]
    command = ["q", "-drive", f"file={disk},if=virtio", "-cdrom", "/gone/big.img",
               "-blockdev", json.dumps({"driver": "file", "node-name": "f", "filename": "/gone/big.img"})]  # fmt: skip
    found = device_side(Guest("pc", meta={"command": json.dumps(command), "images": json.dumps(facts)}))
    assert found.arguments == [
        "-drive", "if=virtio,driver=null-co,read-zeroes=on,size=2048",
        "-drive", "if=ide,index=2,media=cdrom,driver=null-co,read-zeroes=on,size=2147483648",
        "-blockdev", "node-name=f,driver=null-co,read-zeroes=on,size=2147483648",
    ]  # fmt: skip
    assert [note.split(",")[1] for note in found.notes] == [" disk.img", " big.img"]


def test_drives_without_an_image_stay() -> None:
    assert sifted("-drive", "if=floppy,index=0").arguments == ["-drive", "if=floppy,index=0"]
    assert sifted("-drive", "if=none,id=d,file=null-co://").notes == []


@pytest.mark.parametrize("command", [None, "no JSON", "[]", '["qemu-system-x86_64"]'])
def test_a_trace_that_does_not_tell(command: str | None) -> None:
    with pytest.raises(OracleError, match="does not tell how"):
        device_side(Guest("pc", meta={} if command is None else {"command": command}))


def test_a_users_own_arguments_are_only_cleared_of_what_is_in_the_way() -> None:
    given = "-M pc -accel kvm -device vfio-pci,host=01:00.0 -S -monitor stdio -nodefaults -drive file=/my/disk".split()
    assert users_own(given) == [
        "-M", "pc", "-device", "vfio-pci,host=01:00.0", "-nodefaults", "-drive", "file=/my/disk",
    ]  # fmt: skip
