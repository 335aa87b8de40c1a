"""QEMU's command line: what is added to the user's, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from vmdev.cli.qemu.command import DEFAULT_GUEST, ICOUNT_SHIFT, RTC_BASE, complete, no_ioeventfd, parse_options
from vmdev.replay.errors import RecordError


def added(*arguments: str, clock: str | None = None) -> list[str]:
    return complete(arguments, clock).arguments[len(arguments) :]


def test_options_are_split_into_name_and_argument() -> None:
    options = parse_options(["-M", "pc", "--nodefaults", "-drive", "file=a,if=pflash", "disk.img"])
    assert [(option.name, option.argument) for option in options] == [
        ("M", "pc"),
        ("nodefaults", ""),
        ("drive", "file=a,if=pflash"),
        ("drive", "file=disk.img"),
    ]
    assert options[2].value("if") == "pflash"
    assert options[2].value("format") is None


def test_one_cpu_is_recorded_reproducibly() -> None:
    guest = complete(["-M", "pc", "-nic", "none", "-display", "none"], None)
    assert guest.arguments[6:] == [
        "-icount", f"shift={ICOUNT_SHIFT},sleep=off", "-accel", "tcg,thread=single",
        "-rtc", f"base={RTC_BASE},clock=vm", "-seed", "0",
    ]  # fmt: skip
    assert (guest.clock, guest.icount_shift, guest.rtc_base, guest.seed) == ("virtual", ICOUNT_SHIFT, RTC_BASE, "0")
    assert guest.async_sources == []
    assert guest.notes == []


def test_what_the_user_chose_stays() -> None:
    own = ("-icount", "shift=1,sleep=off", "-rtc", "base=2000-02-29,clock=vm", "-seed", "7", "-accel", "tcg")
    guest = complete(own, None)
    assert tuple(guest.arguments) == own
    assert (guest.icount_shift, guest.rtc_base, guest.seed) == (1, "2000-02-29T00:00:00", "7")


@pytest.mark.parametrize("rtc", ["base=utc", "base=localtime,clock=vm", "clock=host", "base=2000-01-01,clock=host"])
def test_rtc_base_is_unknown_if_the_rtc_follows_the_host(rtc: str) -> None:
    assert complete(["-rtc", rtc], None).rtc_base is None


def test_several_cpus_follow_the_hosts_clock() -> None:
    guest = complete(["-smp", "2"], None)
    assert "-icount" not in guest.arguments
    assert "tcg,thread=multi" in guest.arguments
    assert (guest.clock, guest.cpus) == ("host", 2)
    assert "2 CPUs" in guest.notes[0]


@pytest.mark.parametrize(
    ("smp", "cpus"), [("4", 4), ("cpus=3", 3), ("2,maxcpus=8", 2), ("cores=2,threads=2", 4), ("sockets=1", 1)]
)
def test_number_of_cpus(smp: str, cpus: int) -> None:
    assert complete(["-smp", smp], None).cpus == cpus


def test_host_clock_can_be_asked_for() -> None:
    assert "-icount" not in added("-M", "pc", clock="host")
    assert complete(["-M", "pc"], "host").clock == "host"


@pytest.mark.parametrize(
    ("arguments", "clock", "message"),
    [
        (["-accel", "kvm"], None, "only TCG"),
        (["-enable-kvm"], None, "only TCG"),
        (["-M", "pc,accel=kvm:tcg"], None, "only TCG"),
        (["-daemonize"], None, "-daemonize"),
        (["-icount", "shift=5", "-smp", "2"], None, "2 CPUs"),
        (["-accel", "tcg,thread=single", "-smp", "2"], None, "thread=multi"),
        (["-smp", "2"], "virtual", "--clock virtual"),
        (["-icount", "shift=5"], "host", "exclude each other"),
        (["-smp", "0"], None, "positive number"),
    ],
)
def test_what_cannot_be_recorded_is_refused(arguments: list[str], clock: str | None, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        complete(arguments, clock)


def test_tcg_named_as_the_machines_accelerator_is_fine() -> None:
    assert "-accel" not in added("-M", "pc,accel=tcg")


def test_images_are_named_with_size_and_hash(tmp_path: Path) -> None:
    kernel, disk = tmp_path / "vmlinuz", tmp_path / "disk.img"
    kernel.write_bytes(b"kernel")
    disk.write_bytes(b"disk")
    guest = complete(["-kernel", str(kernel), "-drive", f"file={disk},format=raw", "-drive", f"file={disk}"], None)
    assert guest.images == [
        {"name": "vmlinuz", "size": 6, "sha256": hashlib.sha256(b"kernel").hexdigest()},
        {"name": "disk.img", "size": 4, "sha256": hashlib.sha256(b"disk").hexdigest()},
    ]


@pytest.mark.parametrize(
    ("arguments", "sources"),
    [
        (["-nodefaults", "-display", "none"], []),
        (["-display", "none"], ["network"]),
        (["-nic", "none", "-display", "none", "-device", "virtio-rng-pci"], ["entropy"]),
        (["-nic", "none"], ["typed input"]),
        (["-nic", "none", "-nographic"], ["typed input"]),
        (["-nic", "none", "-display", "none", "-serial", "mon:stdio"], ["typed input"]),
        (["-nic", "none", "-display", "none", "-chardev", "socket,id=a,path=b"], ["typed input"]),
        (["-nic", "none", "-display", "none", "-serial", "file:out"], []),
        (["-display", "none", "-netdev", "user,id=n"], ["network"]),
    ],
)
def test_sources_that_differ_from_run_to_run_are_named(arguments: list[str], sources: list[str]) -> None:
    assert complete(arguments, None).async_sources == sources


def test_standard_input_counts_only_if_something_can_come_from_it() -> None:
    arguments = ["-nic", "none", "-nographic", "-serial", "mon:stdio"]
    assert complete(arguments, None, typed_input=False).async_sources == []


def test_default_guest_has_no_such_source() -> None:
    assert complete(DEFAULT_GUEST, None, typed_input=False).async_sources == []


@pytest.mark.parametrize(
    ("device", "turned_off"),
    [
        ("virtio-scsi-pci,id=s", ["virtio-scsi-pci"]),
        ("virtio-rng", ["virtio-rng-pci"]),
        ("virtio-9p-pci-non-transitional,fsdev=f", ["virtio-9p-pci-non-transitional"]),
        ("virtio-vga", ["virtio-vga"]),
        ("virtio-tablet-pci", []),
        ("virtio-blk-device,drive=d", []),
        ("e1000", []),
    ],
)
def test_ioeventfd_is_turned_off_where_there_is_such_a_property(device: str, turned_off: list[str]) -> None:
    implied = ["virtio-mmio", "virtio-blk-pci", "virtio-net-pci"]
    arguments = no_ioeventfd(parse_options(["-device", device]))
    assert arguments == [w for name in [*implied, *turned_off] for w in ("-global", f"{name}.ioeventfd=off")]
