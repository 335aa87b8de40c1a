"""QEMU's command line: the user's arguments, plus what makes a recording reproducible and possible."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vmdev.replay.errors import RecordError

DEFAULT_PROGRAM: Final = "qemu-system-x86_64"

DEFAULT_GUEST: Final = (
    "-M", "pc,graphics=off", "-nodefaults", "-vga", "std", "-display", "none", "-device", "floppy",
    "-serial", "stdio",
    "-chardev", "null,id=debugcon", "-device", "isa-debugcon,iobase=0x402,chardev=debugcon",
    "-boot", "reboot-timeout=1", "-no-reboot",
)  # fmt: skip
"""SeaBIOS with nothing to boot from: an empty floppy drive, and no ATA drive, whose resets QEMU makes at the host's
pace. It says so on the serial port, and asks for a reboot after 1 ms, which ends QEMU."""

ICOUNT_SHIFT: Final = 5
"""One instruction is 2**5 ns of guest time: polling loops stay short, timeouts still work."""

RTC_BASE: Final = "2026-01-01T00:00:00"

HASH_LIMIT_BYTES: Final = 1 << 30
"""Larger images are named by size alone."""

IMAGE_OPTIONS: Final = frozenset(
    [
        "kernel",
        "initrd",
        "bios",
        "pflash",
        "dtb",
        "hda",
        "hdb",
        "hdc",
        "hdd",
        "cdrom",
        "fda",
        "fdb",
        "sd",
        "mtdblock",
        "drive",
        "blockdev",
    ]
)
DEAF_BACKENDS: Final = frozenset(("none", "null", "file", "ringbuf", "memory", "chardev"))
"""Backends of character devices from which nothing comes."""
NETWORK_OPTIONS: Final = frozenset(("netdev", "nic", "net"))


_IMPLIED_VIRTIO: Final = ("virtio-mmio", "virtio-blk-pci", "virtio-net-pci")
"""What a machine may have without a -device; the first has all virtio devices that are not on PCI."""

_VIRTIO_PCI: Final = re.compile(
    r"(virtio-(?:9p|balloon|blk|crypto|gpu|mem|net|rng|scsi|serial|sound|vga)|vhost-user-(?:gpu|vga))"
    r"(-pci)?((?:-non)?-transitional)?"
)
"""Devices with the property ioeventfd. Others on PCI have none, and QEMU would not set it for them."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of QEMU's options: ``-name argument``."""

    name: str
    argument: str = ""

    @property
    def words(self) -> list[str]:
        """The argument's comma-separated parts."""
        return self.argument.split(",")

    def value(self, key: str) -> str | None:
        """The value of ``key=value`` within the argument."""
        for word in self.words:
            name, equals, value = word.partition("=")
            if equals and name == key:
                return value
        return None


@dataclass(slots=True)
class Command:
    """What will be run, and what that says about the recording."""

    arguments: list[str]
    """QEMU's arguments without the program and without the recorder's own."""
    clock: str
    """"virtual": icount, the same in every run; "host": follows the host's clock."""
    icount_shift: int | None
    rtc_base: str | None
    seed: str | None
    cpus: int
    images: list[dict[str, object]] = field(default_factory=list)
    async_sources: list[str] = field(default_factory=list)
    """What reaches the guest from the host at its own pace, and so differs from run to run. Drives are not among it:
    QEMU knows them better (`process.Machine.drives`)."""
    pins_drives: bool = False
    """Drives answer as a pin tells; see `pin`."""
    paused: bool = False
    """The user's own -S: the guest is started by someone else."""
    notes: list[str] = field(default_factory=list)
    """What the user should know."""


def parse_options(arguments: Sequence[str]) -> list[Option]:
    """Split arguments into options. Words that belong to no option (an image to boot) become option "drive"."""
    options: list[Option] = []
    for word in arguments:
        if word.startswith("-") and len(word) > 1:
            options.append(Option(word.lstrip("-")))
        elif options and not options[-1].argument:
            options[-1] = Option(options[-1].name, word)
        else:
            options.append(Option("drive", f"file={word}"))
    return options


def complete(arguments: Sequence[str], clock: str | None, *, typed_input: bool = True) -> Command:
    """Add to the user's arguments the defaults that make the recording reproducible, unless the user chose.

    Args:
        arguments: QEMU's arguments as the user gave them.
        clock: "virtual" or "host" to insist on one; None: virtual where that is possible.
        typed_input: whether what the user types can reach QEMU.

    Raises:
        RecordError: arguments that exclude recording, or each other.
    """
    options = parse_options(arguments)
    names = {option.name for option in options}
    _refuse(options)
    cpus = _cpus(options)
    icount = _last(options, "icount")
    notes: list[str] = []
    if icount and cpus > 1:
        raise RecordError(
            f"-icount with {cpus} CPUs cannot be recorded: QEMU's plugin interface is broken for more than one CPU "
            "in a single thread; use -smp 1, or leave -icount out"
        )
    if clock == "virtual" and cpus > 1:
        raise RecordError(f"--clock virtual needs a guest with one CPU, not {cpus}; use -smp 1 or --clock host")
    if clock == "host" and icount:
        raise RecordError("--clock host and -icount exclude each other; leave one out")
    if clock is None:
        clock = "host" if cpus > 1 else "virtual"
        if cpus > 1:
            notes.append(
                f"{cpus} CPUs: recorded with the host's clock; this recording cannot be made again bit for bit"
            )
    added: list[str] = []
    if clock == "virtual" and not icount:
        added += ["-icount", f"shift={ICOUNT_SHIFT},sleep=off"]
        icount = Option("icount", f"shift={ICOUNT_SHIFT}")
    if "accel" not in names and not any(o.name in ("M", "machine") and o.value("accel") for o in options):
        added += ["-accel", "tcg,thread=multi" if cpus > 1 else "tcg,thread=single"]
    rtc = _last(options, "rtc")
    if rtc is None:
        rtc = Option("rtc", f"base={RTC_BASE},clock=vm")
        added += ["-rtc", rtc.argument]
    if "seed" not in names:
        added += ["-seed", "0"]
    seed = _last(options, "seed")
    return Command(
        arguments=[*arguments, *added],
        clock=clock,
        icount_shift=_shift(icount),
        rtc_base=_rtc_base(rtc),
        seed=seed.argument if seed else "0",
        cpus=cpus,
        images=list(_images(options)),
        async_sources=_async_sources(options, typed_input),
        paused="S" in names,
        notes=notes,
    )


def no_ioeventfd(options: Sequence[Option]) -> list[str]:
    """Arguments by which a store that notifies a virtio device reaches it as any other store does.

    Otherwise it ends in a file descriptor, before any trace event, and QEMU's main loop sees it at the host's pace.
    """
    types = dict.fromkeys(_IMPLIED_VIRTIO)
    for option in options:
        found = _VIRTIO_PCI.fullmatch(option.words[0]) if option.name == "device" else None
        if found:
            on_pci = "" if found[1].endswith("vga") else "-pci"
            types[f"{found[1]}{on_pci}{found[3] or ''}"] = None
    return [word for name in types for word in ("-global", f"{name}.ioeventfd=off")]


def _last(options: Sequence[Option], name: str) -> Option | None:
    return next((option for option in reversed(options) if option.name == name), None)


def _refuse(options: Sequence[Option]) -> None:
    for option in options:
        accelerators = [option.words[0]] if option.name == "accel" else []
        if option.name in ("M", "machine"):
            accelerators += (option.value("accel") or "").split(":")
        if option.name in ("enable-kvm", "enable-hvf") or any(a not in ("", "tcg") for a in accelerators):
            given = f"-{option.name} {option.argument}".rstrip()
            raise RecordError(f"{given}: only TCG shows a plugin the guest's accesses; leave it out")
        if option.name == "daemonize":
            raise RecordError("-daemonize: the recording would lose its QEMU; leave it out")
        if option.name == "accel" and "thread=single" in option.words and _cpus(options) > 1:
            raise RecordError(
                "-accel tcg,thread=single with several CPUs cannot be recorded: QEMU's plugin interface is broken "
                "there; use thread=multi or -smp 1"
            )


def _cpus(options: Sequence[Option]) -> int:
    smp = _last(options, "smp")
    if smp is None:
        return 1
    text = smp.value("cpus") or (smp.words[0] if "=" not in smp.words[0] else None)
    if text is None:  # derived from the topology
        count = 1
        for part in ("sockets", "dies", "clusters", "cores", "threads"):
            count *= int(smp.value(part) or 1)
        return max(count, 1)
    if not text.isdigit() or text == "0":
        raise RecordError(f"-smp {smp.argument}: the number of CPUs must be a positive number, not {text!r}")
    return int(text)


def _shift(icount: Option | None) -> int | None:
    if icount is None:
        return None
    text = icount.value("shift") or icount.words[0]
    return int(text) if text.isdigit() else None


def _rtc_base(rtc: Option) -> str | None:
    """The RTC's time at time 0, if the RTC follows the guest's clock and has a base of its own."""
    base = rtc.value("base")
    if rtc.value("clock") != "vm" or base is None or base in ("utc", "localtime"):
        return None
    return base if "T" in base else f"{base}T00:00:00"


def _image_paths(options: Sequence[Option]) -> Iterator[Path]:
    for option in options:
        if option.name in IMAGE_OPTIONS and option.argument:
            name = option.value("file") or option.value("filename") or option.words[0]
            if "=" not in name:
                yield Path(name)


def _images(options: Sequence[Option]) -> Iterator[dict[str, object]]:
    seen: set[Path] = set()
    for path in _image_paths(options):
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        size = path.stat().st_size
        image: dict[str, object] = {"name": path.name, "size": size}
        if size <= HASH_LIMIT_BYTES:
            with path.open("rb") as file:
                image["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        yield image


def _async_sources(options: Sequence[Option], typed_input: bool) -> list[str]:
    sources: list[str] = []
    names = {option.name for option in options}
    nics = [option for option in options if option.name in NETWORK_OPTIONS]
    if any(option.words[0] != "none" for option in nics) or (not nics and "nodefaults" not in names):
        sources.append("network")
    if any(option.name == "device" and "virtio-rng" in option.words[0] for option in options):
        sources.append("entropy")
    if _can_be_typed_at(options, typed_input):
        sources.append("typed input")
    return sources


def _can_be_typed_at(options: Sequence[Option], stdin: bool) -> bool:
    """Whether keys or characters can reach the guest: by a window's keyboard, standard input or another backend."""
    names = {option.name for option in options}
    display = _last(options, "display")
    if "nographic" in names:
        if stdin:
            return True
    elif display is None or display.words[0] != "none":
        return True
    backends = [
        re.split(r"[,:]", o.argument) for o in options if o.name in ("serial", "parallel", "chardev", "monitor")
    ]
    return any(backend[0] not in DEAF_BACKENDS and (stdin or "stdio" not in backend) for backend in backends)
