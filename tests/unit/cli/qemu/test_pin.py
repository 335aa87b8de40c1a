"""Pinning a guest: QEMU's arguments under record/replay, and the file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from vmdev.cli.qemu.command import no_ioeventfd, parse_options
from vmdev.cli.qemu.pin import MARGIN, Pin, rewrite, unpinned
from vmdev.replay.errors import RecordError

GUEST = {"command": ["qemu", "-m", "64"], "images": [{"name": "a"}]}


def rewritten(*words: str) -> list[str]:
    """What becomes of `words`, without what is always added."""
    *rest, icount, argument = rewrite(["-nodefaults", *words], "/log")
    assert (icount, argument) == ("-icount", "shift=5,sleep=on,rr=replay,rrfile=/log")
    added = no_ioeventfd(parse_options(words))
    assert rest[-len(added) :] == added
    assert rest[0] == "-nodefaults"
    return rest[1 : -len(added)]


def drives(image: str, drive: str, number: int = 0) -> list[str]:
    return [
        "-drive", f"{image},snapshot=on,if=none,id=vmdev-image{number}",
        "-drive", f"driver=blkreplay,image=vmdev-image{number},{drive}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-hda", "a.img"], drives("file=a.img", "index=0,media=disk")),
        (["-cdrom", "a,b.iso"], drives("file=a,,b.iso", "index=2,media=cdrom")),
        (["-m", "64", "a.img"], ["-m", "64", *drives("file=a.img", "index=0,media=disk")]),
        (["-drive", "file=a,if=virtio,format=raw"], drives("file=a,format=raw", "if=virtio")),
        (["-drive", "file=a,,b,if=none,id=x,snapshot=off"], drives("file=a,,b", "if=none,id=x")),
        (["-drive", "if=ide,media=cdrom"], ["-drive", "if=ide,media=cdrom"]),
        (["-pflash", "code.fd"], ["-drive", "file=code.fd,if=pflash,snapshot=on"]),
        (["-drive", "if=pflash,file=c,readonly=on"], ["-drive", "file=c,readonly=on,if=pflash"]),
        (["-snapshot", "-m", "64"], ["-m", "64"]),
        (["-append", "quiet"], ["-append", "quiet"]),
        (["-nic", "none"], ["-nic", "none"]),
        (["-netdev", "user,id=n"], ["-netdev", "user,id=n", "-object", "filter-replay,id=n-replay,netdev=n"]),
    ],
)
def test_option(words: list[str], expected: list[str]) -> None:
    assert rewritten(*words) == expected


def test_images_are_numbered() -> None:
    expected = [*drives("file=a", "index=0,media=disk"), *drives("file=b", "if=virtio", 1)]
    assert rewritten("-hda", "a", "-drive", "file=b,if=virtio") == expected


def test_network_card_that_qemu_adds_by_itself_is_pinned() -> None:
    assert rewrite(["-m", "64"], "/log")[:6] == [
        "-m", "64", "-nic", "user,id=vmdev-network0",
        "-object", "filter-replay,id=vmdev-network0-replay,netdev=vmdev-network0",
    ]  # fmt: skip


def test_users_shift_is_kept() -> None:
    assert rewrite(["-icount", "shift=2,sleep=on"], "/log")[-1] == "shift=2,sleep=on,rr=replay,rrfile=/log"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-icount", "shift=1,rr=record,rrfile=x"], "leave rr out"),
        (["-icount", "shift=1,sleep=off"], "hangs"),
        (["-blockdev", "driver=file,node-name=x"], "-drive file="),
        (["-drive", "driver=blkreplay,image=x"], "give the image alone"),
        (["-fda", "floppy.img"], "does not cover this kind of drive"),
        (["-sd", "card.img"], "does not cover this kind of drive"),
        (["-net", "user"], "-nic or -netdev"),
    ],
)
def test_what_cannot_be_pinned_is_refused(words: Sequence[str], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        rewrite(words, "/log")


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["-serial", "stdio"], []),
        (["-chardev", "null,id=c"], []),
        (["-chardev", "stdio,id=c"], ["typed input"]),
        (["-object", "rng-random,id=r"], ["entropy"]),
    ],
)
def test_what_stays_unpinned(words: list[str], left: list[str]) -> None:
    assert unpinned(parse_options(words), ["network", "entropy", "typed input"]) == left


def test_first_run_differs_by_its_mode_alone() -> None:
    with Pin(Path("x.pin")) as pin:
        replay = pin.rewrite(["-m", "64", "-append", "a,rr=replayed"])
        record = pin.recording(replay)
    assert [(a, b) for a, b in zip(replay, record, strict=True) if a != b] == [
        (replay[-1], replay[-1].replace("rr=replay", "rr=record"))
    ]


def test_command_is_the_same_in_each_run() -> None:
    commands = []
    for _ in range(2):
        with Pin(Path("folder/x.pin")) as pin:
            commands.append(pin.command(pin.rewrite(["-m", "64"])))
    assert commands[0] == commands[1]
    assert commands[0][-1].endswith(",rrfile=x.pin")


def make(path: Path, log: bytes = b"log\n\x00", accesses: int = 1000, ended_by: str = "guest") -> Path:
    with Pin(path) as pin:
        assert not pin.exists
        pin.scratch("log").write_bytes(log)
        pin.keep(GUEST, ended_by, accesses)
    return path


@pytest.mark.parametrize(
    ("ended_by", "limit"), [("guest", 1000 - MARGIN), ("interrupt", 1000 - MARGIN), ("exits", 1000)]
)
def test_file_gives_back_the_log_and_its_end(tmp_path: Path, ended_by: str, limit: int) -> None:
    with Pin(make(tmp_path / "x.pin", ended_by=ended_by)) as pin:
        assert pin.exists
        facts = pin.load(GUEST)
        assert pin.scratch("log").read_bytes() == b"log\n\x00"
        assert (pin.ended_by, pin.limit) == (ended_by, limit)
    assert facts == {"name": "x.pin", "size": 5, "sha256": hashlib.sha256(b"log\n\x00").hexdigest()}
    assert list(tmp_path.iterdir()) == [tmp_path / "x.pin"]


def test_log_is_deleted_afterwards(tmp_path: Path) -> None:
    with Pin(make(tmp_path / "x.pin")) as pin:
        pin.load(GUEST)
        log = pin.scratch("log")
    assert not log.exists()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"images": [{"name": "b"}]}, r'another guest; its images: {"name": "a"}, not {"name": "b"}; choose another'),
        ({"command": ["qemu", "-m", "64", "-S"]}, r'its command: "no more", not "-S"'),
    ],
)
def test_pin_of_another_guest_is_refused(tmp_path: Path, other: dict[str, object], message: str) -> None:
    with Pin(make(tmp_path / "x.pin")) as pin, pytest.raises(RecordError, match=message):
        pin.load({**GUEST, **other})


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[1]\n", b"\xff\xfe", b'{"vmdev-pin": 1}\n'])
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pin"
    path.write_bytes(content)
    with Pin(path) as pin, pytest.raises(RecordError, match="not a pin that --pin has made"):
        pin.load(GUEST)
    assert path.read_bytes() == content


def test_run_too_short_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="too few to pin"):
        make(tmp_path / "x.pin", accesses=MARGIN)
    assert list(tmp_path.iterdir()) == []
