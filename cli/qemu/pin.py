"""``vmdev record --pin``: the same run again, though disks, networks and people answer at the host's pace.

QEMU's own record/replay (its docs/system/replay.rst) does the work. The guest runs twice: once while QEMU logs what
comes from outside, and when; then again from that log, and that run is recorded. A pin is the log in a file, after a
line that says which guest it belongs to.

What QEMU demands, found with 10.0.2: each drive goes through its driver blkreplay, and writes into a temporary overlay;
each network backend has a filter; `sleep=off` hangs; a vCPU's thread cannot wait for QEMU's monitor, so that there are
no snapshots of the memory map between the start and the end. Where the log ends, replays differ by a few accesses: some
stop before the very access that ended the first run. So the first run is never what is recorded, and a recording ends
`MARGIN` accesses before the log does.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from vmdev.replay.errors import RecordError

from .command import DEAF_BACKENDS, ICOUNT_SHIFT, NETWORK_OPTIONS, Option, no_ioeventfd, parse_options

_DRIVES: Final = {
    "hda": "index=0,media=disk",
    "hdb": "index=1,media=disk",
    "hdc": "index=2,media=disk",
    "hdd": "index=3,media=disk",
    "cdrom": "index=2,media=cdrom",
    "fda": "if=floppy,index=0",
    "fdb": "if=floppy,index=1",
    "sd": "if=sd",
    "mtdblock": "if=mtd",
    "pflash": "if=pflash",
}
"""Options that are short for ``-drive``."""

_FRONT: Final = frozenset(("if", "index", "bus", "unit", "media", "id", "werror", "rerror"))
"""What of ``-drive`` concerns the guest's drive; the rest concerns the image."""

_FLASH: Final = frozenset(("mtd", "pflash"))
"""Drives that the guest reads as memory: there is nothing to pin."""

_NOT_COVERED: Final = frozenset(("floppy", "sd"))
"""Drives that QEMU waits for in its main loop. With a log before them it waits for ever; without one, their data moves
at the host's pace."""

_WORD: Final = re.compile(r"((?:[^,]|,,)+)")

MARGIN: Final = 64

_KIND: Final = "vmdev-pin"
_VERSION: Final = 1
_HEADER_LIMIT_BYTES: Final = 1 << 20
_NEITHER: Final = "; choose another file for --pin, or delete it to pin the guest anew"


class Pin:
    """The file of a pin, and QEMU's log while QEMU uses it. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exists = path.exists()
        self.ended_by = ""
        """Why the first run ended, once the file is loaded."""
        self.limit = 0
        """How many accesses every replay makes, once the file is loaded."""
        self._directory = tempfile.TemporaryDirectory(prefix="vmdev-pin-")
        self._log = Path(self._directory.name) / "log"

    def __enter__(self) -> Pin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._directory.cleanup()

    def scratch(self, name: str) -> Path:
        """A file that is deleted with the log."""
        return self._log.with_name(name)

    def rewrite(self, words: Sequence[str]) -> list[str]:
        """QEMU's arguments for the replay; see `rewrite`."""
        return rewrite(words, str(self._log))

    def recording(self, arguments: Sequence[str]) -> list[str]:
        """The arguments of the first run, from those of the replay."""
        return [word.replace(",rr=replay,", ",rr=record,") if ",rr=replay," in word else word for word in arguments]

    def command(self, arguments: Sequence[str]) -> list[str]:
        """`arguments` with the name of the pin instead of the log's: these are the same in each run."""
        return [word.replace(str(self._log), self.path.name) for word in arguments]

    def keep(self, guest: Mapping[str, object], ended_by: str, accesses: int) -> None:
        """After the first run: make the file from QEMU's log, what identifies the guest, and how the run ended.

        Raises:
            RecordError: it was too short.
        """
        limit = accesses if ended_by in ("exits", "duration") else accesses - MARGIN
        if limit < 1:
            raise RecordError(f"{self.path}: not made: the guest ended after {accesses} accesses, too few to pin")
        header = json.dumps({_KIND: _VERSION, **guest, "ended_by": ended_by, "limit": limit}).encode()
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            part.write_bytes(header + b"\n" + self._log.read_bytes())
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def load(self, guest: Mapping[str, object]) -> dict[str, object]:
        """Lay the log out for QEMU; returns what the trace's `meta` says of it, under "pin".

        Raises:
            RecordError: the file is no pin, or was made with another guest, as `guest` identifies it.
        """
        with self.path.open("rb") as file:
            try:
                header = json.loads(file.readline(_HEADER_LIMIT_BYTES))
                version = header[_KIND]
                self.ended_by, self.limit = str(header["ended_by"]), int(header["limit"])
            except (ValueError, TypeError, KeyError):
                raise RecordError(f"{self.path}: not a pin that --pin has made{_NEITHER}") from None
            log = file.read()
        if version != _VERSION:
            raise RecordError(f"{self.path}: a pin of version {version!r}, not {_VERSION}{_NEITHER}")
        for key, value in guest.items():
            if header.get(key) != value:
                raise RecordError(f"{self.path}: pins another guest; its {key}: {_difference(header.get(key), value)}"
                                  f"{_NEITHER}")  # fmt: skip
        self._log.write_bytes(log)
        return {"name": self.path.name, "size": len(log), "sha256": hashlib.sha256(log).hexdigest()}


def rewrite(words: Sequence[str], log: str) -> list[str]:
    """QEMU's arguments such that all that record/replay covers goes through it, replaying `log`.

    Raises:
        RecordError: an argument cannot be combined with record/replay.
    """
    out: list[str] = []
    icount = f"shift={ICOUNT_SHIFT}"
    images = 0
    networks = 0
    waiting = False  # for the argument of the last option
    pending = ""  # the option whose argument is the next word
    for word in words:
        if pending:
            name, pending = pending, ""
            if name == "icount":
                icount = _checked_icount(word)
            elif name == "drive" or name in _DRIVES:
                given = word if name == "drive" else f"{_DRIVES[name]},file={word.replace(',', ',,')}"
                out += _drive(given, images)
                images += 1
            elif name == "blockdev":
                raise RecordError(f"-blockdev {word}: --pin needs the image as -drive file=…, to put its log before it")
            else:
                out += _network(name, word, networks)
                networks += 1
            waiting = False
        elif word.startswith("-") and len(word) > 1:
            name = word.lstrip("-")
            waiting = True
            if name in ("icount", "drive", "blockdev", *_DRIVES, *NETWORK_OPTIONS):
                pending = name
            elif name != "snapshot":  # each image has an overlay of its own
                out.append(word)
        elif waiting:
            out.append(word)
            waiting = False
        else:
            out += _drive(f"{_DRIVES['hda']},file={word.replace(',', ',,')}", images)
            images += 1
    options = parse_options(words)
    names = {option.name for option in options}
    if not names & {"nodefaults", *NETWORK_OPTIONS}:
        out += _network("nic", "user", 0)  # what QEMU does by itself
    return [*out, *no_ioeventfd(options), "-icount", f"{icount},sleep=on,rr=replay,rrfile={log.replace(',', ',,')}"]


def unpinned(options: Sequence[Option], sources: Sequence[str]) -> list[str]:
    """Which of a guest's asynchronous `sources` record/replay does not cover.

    QEMU logs what comes through -serial, keyboards and the like, but nothing that comes through a -chardev; the random
    numbers of its own generator, but not those of a device of the host.
    """
    open_chardevs = [o for o in options if o.name == "chardev" and o.words[0] not in DEAF_BACKENDS]
    host_entropy = [o for o in options if o.name == "object" and o.words[0] in ("rng-random", "rng-egd")]
    left = {"typed input": bool(open_chardevs), "entropy": bool(host_entropy), "network": False}
    return [source for source in sources if left.get(source, True)]


def _difference(old: object, new: object) -> str:
    """What it was, and is not any more; of lists the first item that differs."""
    if isinstance(old, list) and isinstance(new, list):
        at = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), None)
        at = min(len(old), len(new)) if at is None else at
        old, new = (items[at] if at < len(items) else "no more" for items in (old, new))
    return f"{json.dumps(old)}, not {json.dumps(new)}"


def _checked_icount(argument: str) -> str:
    option = Option("icount", argument)
    for key in ("rr", "rrfile", "rrsnapshot"):
        if option.value(key):
            raise RecordError(f"-icount {argument}: --pin uses QEMU's record/replay itself; leave {key} out")
    if option.value("sleep") == "off":
        raise RecordError(f"-icount {argument}: with sleep=off, QEMU's record/replay hangs; leave it out")
    return ",".join(word for word in option.words if not word.startswith("sleep="))


def _drive(argument: str, number: int) -> list[str]:
    """``-drive argument`` behind a log: the image with a temporary overlay, and a drive that logs."""
    parts = [(key, value if equals else "on") for key, equals, value in _split(argument)]
    values = dict(parts)
    if "file" not in values and "driver" not in values:
        return ["-drive", argument]  # an empty drive
    if values.get("driver") == "blkreplay":
        raise RecordError(f"-drive {argument}: --pin uses QEMU's record/replay itself; give the image alone")
    image = [(key, value) for key, value in parts if key not in _FRONT and key != "snapshot"]
    if values.get("if") in _NOT_COVERED:
        raise RecordError(f"-drive {argument}: QEMU's record/replay does not cover this kind of drive; leave it out")
    if values.get("if") in _FLASH:
        writable = values.get("readonly", values.get("read-only", "off")) != "on"
        kept = [*image, *((key, value) for key, value in parts if key in _FRONT)]
        return ["-drive", _joined([*kept, ("snapshot", "on")] if writable else kept)]
    name = f"vmdev-image{number}"
    drive = [("driver", "blkreplay"), ("image", name), *((key, value) for key, value in parts if key in _FRONT)]
    return ["-drive", _joined([*image, ("snapshot", "on"), ("if", "none"), ("id", name)]), "-drive", _joined(drive)]


def _network(option: str, argument: str, number: int) -> list[str]:
    """A network backend with a log."""
    given = Option(option, argument)
    if given.words[0] == "none":
        return [f"-{option}", argument]
    if option == "net" or argument.startswith("{"):
        raise RecordError(f"-{option} {argument}: --pin needs the network as -nic or -netdev with plain options")
    name = given.value("id")
    if name is None:
        name = f"vmdev-network{number}"
        argument += f",id={name}"
    return [f"-{option}", argument, "-object", f"filter-replay,id={name}-replay,netdev={name}"]


def _split(argument: str) -> list[tuple[str, str, str]]:
    return [word.partition("=") for word in _WORD.findall(argument)]


def _joined(parts: Sequence[tuple[str, str]]) -> str:
    return ",".join(f"{key}={value}" for key, value in parts)
