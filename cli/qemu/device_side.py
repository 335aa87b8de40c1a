"""The command line of a recording, for a QEMU of which only the devices are wanted.

A trace may come from a stranger, and it says how QEMU was started. So what it says is not run as it is: of the options
only those that make the machine and its devices are kept. Nothing reaches the host: terminals, networks and the like
lead nowhere. A file is opened only if it is the very one of the recording, by size and SHA-256, and never written to.
A drive whose image is not at hand is there all the same, of the right size, and reads as zeros.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vmdev.replay.errors import OracleError
from vmdev.replay.guest import Guest
from vmdev.replay.machines.command import properties
from vmdev.replay.machines.command_line import FLAGS, CommandLine

from .command import parse_options
from .serial_port import FIRST as FIRST_SERIAL

Words = Iterator[str]

DEFAULTS: Final = ("-display", "none", "-action", "reboot=reset,shutdown=pause,panic=none,watchdog=none")
"""What every such QEMU gets: a reset is a reset, and nothing that a guest does ends it."""

FED: Final = "vmdev-serial"

_KEPT: Final = frozenset(
    "m smp nodefaults vga rtc seed usb no-hpet no-acpi uuid win2k-hack no-fd-bootchk append numa".split()
)
"""Options that stay as they are."""

_MEANINGLESS: Final = frozenset(
    "S s gdb d D dfilter trace plugin icount accel enable-kvm daemonize pidfile runas run-with chroot sandbox qtest "
    "qtest-log qmp qmp-pretty mon monitor incoming loadvm no-reboot no-shutdown action display nographic vnc spice sdl "
    "gtk curses full-screen k audio msg perfmap jitdump snapshot one-insn-per-tb name overcommit no-user-config".split()
)
"""Options of how QEMU runs and of whom it talks to. They go without a word."""

_NAME: Final = re.compile(r"[\w.\-]+")

_PROPERTIES: Final = re.compile(r"[\w.\-:+/ ]*")
"""Values of properties that are no lists, no JSON and no strange characters."""

_FILE_PROPERTIES: Final = frozenset(
    "romfile file filename path rootdir pcap logfile splash host hostdevice hostbus hostaddr hostport sysfsdev shm "
    "memdev fsdev chardev-path dumpdtb".split()
)
"""Properties that name files, which are read or written, or what is the host's."""

_HOST_DEVICES: Final = re.compile(
    r"vfio-|vhost-|usb-host|usb-redir|ivshmem|loader|guest-loader|scsi-(block|generic)|"
    r"(u2f|ccid-card)-passthru|tpm-|igd-passthrough|xen-|usb-mtp"
)
"""Devices that are the host's, read files, or talk to other programs."""

_DRIVES: Final = {
    "hda": "if=ide,index=0", "hdb": "if=ide,index=1", "hdc": "if=ide,index=2", "hdd": "if=ide,index=3",
    "cdrom": "if=ide,index=2,media=cdrom", "fda": "if=floppy,index=0", "fdb": "if=floppy,index=1",
    "pflash": "if=pflash", "sd": "if=sd", "mtdblock": "if=mtd",
}  # fmt: skip
"""Short forms, and the -drive that each is."""

_DRIVE_PROPERTIES: Final = frozenset("if index bus unit media id readonly read-only serial werror rerror".split())


@dataclass(slots=True)
class DeviceSide:
    """The arguments of such a QEMU."""

    arguments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is otherwise than in the recording, in sentences."""
    serial: str = ""
    """A character device that is still to be made: that of the serial port which is to be fed."""


def device_side(guest: Guest, fed: str = "") -> DeviceSide:
    """The arguments with which `guest` was recorded, as far as its devices need them.

    Args:
        guest: of the trace.
        fed: QEMU's name of the character device that input came from; empty: none came.

    Raises:
        OracleError: the trace does not tell them.
    """
    line = CommandLine(guest)
    if not line.options:
        raise OracleError("the trace does not tell how its QEMU was started; give QEMU's arguments after --")
    return _Sieve(line, fed).run()


def users_own(arguments: Sequence[str]) -> list[str]:
    """A user's own arguments, less those that would keep the devices from being played."""
    return [
        word
        for option in parse_options(arguments)
        if option.name not in _MEANINGLESS
        for word in (f"-{option.name}", *([option.argument] if option.argument else []))
    ]


class _Sieve:
    """Sifts the options of a recording."""

    def __init__(self, line: CommandLine, fed: str) -> None:
        self._line = line
        self._fed = fed
        self._found = DeviceSide()
        self._has_kernel = False

    def run(self) -> DeviceSide:
        """All that may stay."""
        special: Mapping[str, Callable[[str], Words]] = {
            "M": self._machine, "machine": self._machine, "cpu": self._cpu, "boot": self._boot, "device": self._device,
            "global": self._global, "chardev": self._chardev, "netdev": self._netdev, "nic": self._nic,
            "net": self._net, "audiodev": self._audiodev, "object": self._object, "drive": self._drive,
            "blockdev": self._blockdev, "fw_cfg": self._fw_cfg, "smbios": self._smbios,
        }  # fmt: skip
        for name, value in self._line.options:
            if name in special:
                words = list(special[name](value))
            elif name in ("serial", "parallel", "debugcon"):
                words = [f"-{name}", self._backend(name, value)]
            elif name in ("kernel", "initrd", "dtb", "bios"):
                words = list(self._file(name, value))
            elif name in _DRIVES:
                words = list(self._drive(f"{_DRIVES[name]},file={value.replace(',', ',,')}"))
            elif name in _KEPT:
                words = [f"-{name}"] if name in FLAGS else [f"-{name}", value]
            else:
                words = []
                if name not in _MEANINGLESS:
                    self._note(f"-{name} is left out")
            self._found.arguments += words
        if not self._has_kernel:
            self._drop("append")
            self._drop("initrd")
        return self._found

    def _note(self, text: str) -> None:
        if text not in self._found.notes:
            self._found.notes.append(text)

    def _drop(self, name: str) -> None:
        words = self._found.arguments
        while f"-{name}" in words:
            at = words.index(f"-{name}")
            del words[at : at + 2]

    # The machine and its devices

    def _plain(self, what: str, found: Mapping[str, str], first: str) -> str:
        """Properties as words, without those that may name a file."""
        kept = []
        for key, value in found.items():
            if key == first:
                kept.append(value)
            elif value and not _is_harmless(key, value):
                self._note(f"{what}: {key} is left out")
            else:
                kept.append(f"{key}={value}")
        return ",".join(kept)

    def _machine(self, value: str) -> Words:
        found = properties(value, "type")
        for key in ("accel", "kernel-irqchip", "kernel_irqchip", "memory-backend", "dumpdtb", "dtb", "firmware"):
            found.pop(key, None)
        if found:
            yield "-M"
            yield self._plain("-machine", found, "type")

    def _boot(self, value: str) -> Words:
        yield "-boot"
        yield self._plain("-boot", properties(value, "order"), "order")

    def _cpu(self, value: str) -> Words:
        yield "-cpu"
        # "max" and "host" mean what the accelerator has
        yield ",".join(word for word in value.split(",") if _PROPERTIES.fullmatch(word) and "/" not in word)

    def _device(self, value: str) -> Words:
        found = properties(value, "driver")
        driver = found.get("driver", "")
        if not _NAME.fullmatch(driver) or _HOST_DEVICES.match(driver):
            self._note(f"-device {driver} is left out: it is the host's")
            return
        yield "-device"
        yield self._plain(f"-device {driver}", {"driver": driver, **found}, "driver")

    def _global(self, value: str) -> Words:
        key, _, text = value.partition("=")
        if key == "driver":  # the long form
            found = properties(value)
            key, text = found.get("property", ""), found.get("value", "")
        if not _is_harmless(key, text) or not _PROPERTIES.fullmatch(value.replace("=", "").replace(",", "")):
            self._note("a -global is left out")
            return
        yield "-global"
        yield value

    # What leads out of the machine

    def _backend(self, name: str, value: str) -> str:
        if name == "serial" and self._fed == FIRST_SERIAL and not self._found.serial and value != "none":
            self._found.serial = FED
            return f"chardev:{FED}"
        return value if value == "none" or value.startswith("chardev:") else "null"

    def _chardev(self, value: str) -> Words:
        found = properties(value, "backend")
        if self._fed and self._fed == found.get("id") and _NAME.fullmatch(self._fed):
            self._found.serial = self._fed
            return
        yield "-chardev"
        yield f"null,id={_identifier(found)}{',mux=on' if found.get('mux') in ('on', 'yes', 'true') else ''}"

    def _netdev(self, value: str) -> Words:
        yield "-netdev"
        yield f"hubport,hubid=0,id={_identifier(properties(value, 'type'))}"

    def _nic(self, value: str) -> Words:
        found = properties(value, "type")
        wanted = {key: found.get(key, "") for key in ("model", "mac", "addr")}
        kept = [f"{key}={text}" for key, text in wanted.items() if re.fullmatch(r"[\w.:\-]+", text)]
        yield "-nic"
        yield ",".join(["none" if found.get("type") == "none" else "user,restrict=on", *kept])

    def _net(self, value: str) -> Words:
        found = properties(value, "type")
        if found.get("type") in ("nic", "none"):
            yield "-net"
            yield self._plain("-net", found, "type")

    def _audiodev(self, value: str) -> Words:
        yield "-audiodev"
        yield f"none,id={_identifier(properties(value, 'driver'))}"

    def _object(self, value: str) -> Words:
        found = properties(value, "qom-type")
        kind = found.get("qom-type", "")
        if kind.startswith("rng-"):
            yield "-object"
            yield f"rng-builtin,id={_identifier(found)}"
        elif kind in ("memory-backend-ram", "iothread", "can-bus"):
            yield "-object"
            yield self._plain(f"-object {kind}", found, "qom-type")
        else:
            self._note(f"-object {kind} is left out")

    # Files

    def _is_recorded(self, path: str) -> bool:
        """Whether there is such a file, and it is the one of the recording."""
        size, digest = self._line.image(path)
        try:
            file = Path(path)
            if size is None or not digest or not file.is_file() or file.stat().st_size != size:
                return False
            with file.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest() == digest
        except (OSError, ValueError):
            return False

    def _file(self, name: str, value: str) -> Words:
        is_qemus_own = name == "bios" and _NAME.fullmatch(value)
        if not is_qemus_own and not self._is_recorded(value):
            self._note(f"-{name} is left out: the file of the recording, {value.rpartition('/')[2]}, is not here")
            return
        self._has_kernel |= name == "kernel"
        yield f"-{name}"
        yield value

    def _drive(self, value: str) -> Words:
        found = properties(value, "file")
        path = found.get("file", "")
        kept = {key: text for key, text in found.items() if key in _DRIVE_PROPERTIES}
        words = [self._plain("-drive", kept, "")] if kept else []
        if path and self._is_recorded(path):
            words += ["snapshot=on", f"file={path.replace(',', ',,')}"]
            if re.fullmatch(r"\w+", found.get("format", "")):
                words.append(f"format={found['format']}")
        elif path:
            words += [self._empty(path)]
        yield "-drive"
        yield ",".join(words)

    def _empty(self, path: str) -> str:
        """Options of a drive that takes an image's place."""
        size, _ = self._line.image(path)
        if not path.startswith("null-co:"):
            self._note(f"the image of the recording, {path.rpartition('/')[2]}, is not here: its drive reads as zeros")
        return f"driver=null-co,read-zeroes=on,size={size or 1 << 20}"

    def _blockdev(self, value: str) -> Words:
        """A node is not opened, since nothing would keep the guest's writes from it."""
        found = properties(value, "driver")
        name = found.get("node-name", "")
        path = found.get("filename") or found.get("file.filename") or ""
        if not _NAME.fullmatch(name):
            self._note("a -blockdev is left out")
            return
        yield "-blockdev"
        below = found.get("file", "")
        if path or not below:
            yield f"node-name={name},{self._empty(path)}"
        else:
            yield f"driver=raw,node-name={name},file={below if _NAME.fullmatch(below) else ''}"

    def _fw_cfg(self, value: str) -> Words:
        found = properties(value, "name")
        if "string" in found and re.fullmatch(r"[\w./\-]+", found.get("name", "")):
            yield "-fw_cfg"
            yield f"name={found['name']},string={found['string'].replace(',', ',,')}"
        else:
            self._note("a -fw_cfg is left out: its file is not read")

    def _smbios(self, value: str) -> Words:
        found = properties(value)
        if "file" in found or "path" in found:
            self._note("a -smbios is left out: its file is not read")
        else:
            yield "-smbios"
            yield value


def _is_harmless(key: str, value: str) -> bool:
    """Whether a property names no file, and is written with plain characters."""
    is_plain = all(map(_PROPERTIES.fullmatch, (key, value)))
    return is_plain and key.rpartition(".")[2] not in _FILE_PROPERTIES and "/" not in value


def _identifier(found: Mapping[str, str]) -> str:
    name = found.get("id", "")
    return name if _NAME.fullmatch(name) else "unnamed"
