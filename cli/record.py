"""``vmdev record``: run a guest in QEMU and record its device accesses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from vmdev.replay.errors import OutputExistsError, RecordError, TraceError
from vmdev.replay.guest import Region
from vmdev.replay.selection import AddressRange
from vmdev.replay.trace.completeness import find_losses
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import MetaValue, TraceWriter

from . import parts
from .filters import AddressType, Filters
from .qemu import command as qemu_command
from .qemu import serial_port, verify
from .qemu.binary import Qemu, find_plugin, find_qemu
from .qemu.ops_events import Agreement
from .qemu.pin import Pin, unpinned
from .qemu.process import Machine, MapSnapshot, Outcome, QemuProcess
from .qemu.region_map import hazards, parse_flat_view, parse_pci
from .stimulus import Mark, MarkPort, MarkPortType, MarkType, SerialInput, SerialInputType, Stimulus
from .times import TimeType


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("trace.db"), show_default=True)
@click.option("--qemu", "program", metavar="PROGRAM", help="The QEMU to run; QEMU's arguments then follow after --.")
@click.option("--clock", type=click.Choice(["virtual", "host"]), help="The guest's clock: counted in instructions, the "
              "same in every run (the default for one CPU), or following the host's.")  # fmt: skip
@click.option("--mmio", type=click.Choice(["fast", "full", "off"]), default="fast", show_default=True,
              help="full: a callback on every memory instruction, to check fast.")  # fmt: skip
@click.option("--exits", type=click.IntRange(min=1), metavar="N", help="End after N accesses.")
@click.option(
    "--duration", "duration_ns", type=TimeType(), metavar="T", help="End after T of the guest's time: 10s, 500ms, 2min."
)
@click.option("--address", "addresses", type=AddressType(), multiple=True, metavar="RANGE",
              help="Record accesses to these ports only: 0x70-0x71, 0x3f8+8, 0x80; or memory: mmio:0xfed00000+0x400. "
              "May be repeated.")  # fmt: skip
@click.option("--device", "devices", multiple=True, metavar="NAME",
              help="Record accesses to regions of this name only; 'vmdev info' shows the names. May be "
              "repeated.")  # fmt: skip
@click.option("--from", "from_ns", type=TimeType(), metavar="T", help="Record nothing before T of the guest's time.")
@click.option("--ring", type=click.IntRange(min=1), metavar="N", help="Keep only the last N accesses.")
@click.option("--rotate", type=click.IntRange(min=1), metavar="N",
              help="After each N accesses begin another file: trace.db, trace.1.db, trace.2.db ...")  # fmt: skip
@click.option("--on-error", type=click.Choice(["stop", "continue"]), default="stop", show_default=True,
              help="If the trace can't be written (the disk is full): end the guest, or let it go on.")  # fmt: skip
@click.option("--mark", "marks", type=MarkType(), multiple=True, metavar="TEXT@TIME",
              help="Put a marker into the trace at a time of the guest. May be repeated.")  # fmt: skip
@click.option("--mark-port", type=MarkPortType(), metavar="PORT",
              help="Each line that the guest writes there is a marker: 0x2f0, or mmio:ADDRESS.")  # fmt: skip
@click.option("--serial-input", "inputs", type=SerialInputType(), multiple=True, metavar="FILE[@TIME]",
              help="Feed the bytes of FILE to the guest's first serial port, one a millisecond of its time, from TIME "
              "on; the same in every run. Standard input is then not read. May be repeated.")  # fmt: skip
@click.option("--verify", "is_verified", is_flag=True,
              help="Compare the recording with QEMU's own trace events of the same run, device by device.")  # fmt: skip
@click.option("--pin", "pin_path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Have disks, networks and typed input answer as FILE tells, the same in every run. If there is no "
              "such file, the guest runs twice, and the first run makes it. Images are not written to.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the output.")
@click.argument("arguments", nargs=-1, metavar="[-- QEMU ARGUMENTS]")
def record(
    output: Path,
    program: str | None,
    clock: str | None,
    mmio: str,
    exits: int | None,
    duration_ns: int | None,
    addresses: tuple[AddressRange, ...],
    devices: tuple[str, ...],
    from_ns: int | None,
    ring: int | None,
    rotate: int | None,
    on_error: str,
    marks: tuple[Mark, ...],
    mark_port: MarkPort | None,
    inputs: tuple[SerialInput, ...],
    is_verified: bool,
    pin_path: Path | None,
    force: bool,
    arguments: tuple[str, ...],
) -> None:
    """Run a guest in QEMU and record every port and MMIO access it makes.

    After -- stands the QEMU command. Without one, SeaBIOS boots on a pc with no disk, and the recording ends by
    itself. Unless the command says otherwise, the recording is reproducible: -icount, -rtc, -seed and a
    single-threaded TCG are added.

    Example:

    \b
        vmdev record -o boot.db
        vmdev record -o linux.db -- qemu-system-x86_64 -M q35 -display none \\
            -serial stdio -kernel bzImage -initrd rootfs -append console=ttyS0
    """
    default_guest = not arguments
    words = list(arguments or qemu_command.DEFAULT_GUEST)
    if program is None:
        program = qemu_command.DEFAULT_PROGRAM
        if arguments and not words[0].startswith("-"):
            program = words.pop(0)
    qemu = find_qemu(program)
    plugin = find_plugin(qemu)
    stimulus = Stimulus(marks, mark_port, inputs)
    stimulus.check(qemu.target, mmio)
    filters = Filters(addresses, devices, from_ns).for_target(qemu.target, mmio, duration_ns)
    if ring and rotate:
        raise RecordError("--ring and --rotate exclude each other: a ring keeps one file, and drops what is older")
    if is_verified and (filters.facts or ring or rotate):
        raise RecordError("--verify compares whole recordings; leave out --address, --device, --from, --ring, --rotate")
    chardev = serial_port.FIRST
    if inputs:
        words, chardev = serial_port.prepare(words)
    no_input = default_guest or bool(inputs)
    pin = None
    if pin_path:
        if clock == "host":
            raise RecordError("--pin needs the virtual clock: QEMU's record/replay counts instructions; leave out one")
        if devices:
            raise RecordError("--pin and --device exclude each other: nobody would see devices move; use --address")
        if (cpus := qemu_command.complete(words, None).cpus) > 1:
            raise RecordError(f"--pin needs a guest with one CPU, not {cpus}: so does record/replay; use -smp 1")
        pin = click.get_current_context().with_resource(Pin(pin_path))
        words = pin.rewrite(words)
    guest = qemu_command.complete(words, clock, typed_input=not no_input and _has_input())
    if pin:
        guest.pins_drives = True
        guest.async_sources = unpinned(qemu_command.parse_options(words), guest.async_sources)
    for note in guest.notes:
        click.echo(f"note: {note}", err=True)
    log = None
    if is_verified:
        verify.refuse(qemu_command.parse_options(words), mmio)
        if not pin:
            guest.arguments += qemu_command.no_ioeventfd(qemu_command.parse_options(words))
        log = click.get_current_context().with_resource(verify.EventLog())
    if output.exists() and not force:
        raise OutputExistsError(f"{output}: exists; choose another name with -o, or overwrite it with --force")
    if rotate:
        parts.make_room(output, force)
    limits: dict[str, MetaValue] = {"ring": ring} if ring else {"rotate": rotate, "part": 0} if rotate else {}
    meta = {**_meta(qemu, guest, mmio), **stimulus.facts, **filters.facts, **limits}
    if pin:
        meta["command"] = json.dumps(pin.command(json.loads(str(meta["command"]))))
    TraceWriter(output, meta=meta, overwrite=force).suspend()
    file = _identity(output)

    options = [f"trace={output.resolve()}".replace(",", ",,"), f"mmio={mmio}"]
    options += stimulus.plugin_options(chardev) + filters.plugin_options()
    options += [f"ring={ring}"] if ring else [f"rotate={rotate}"] if rotate else []
    if exits:
        options.append(f"exits={exits}")
    host_duration_s = None
    if duration_ns and guest.clock == "virtual":
        options.append(f"until={duration_ns}")
    elif duration_ns:
        host_duration_s = duration_ns / 1e9

    def on_machine(machine: Machine) -> str:
        writer = TraceWriter.open_existing(output)
        regions = _write_machine(writer, guest, machine, 0, 0)
        writer.suspend()
        filters.check_names(regions, machine.region_names)
        return hazards(regions)

    def run(
        qemu_arguments: list[str],
        options: Sequence[str],
        on_machine: Callable[[Machine], str],
        pass_fds: Sequence[int] = (),
        replay_end: str | None = None,
    ) -> Outcome:
        process = QemuProcess(
            qemu.path,
            qemu_arguments,
            quiet_input=no_input,
            end_on_error=on_error == "stop",
            pass_fds=pass_fds,
            replay_end=replay_end,
        )
        return asyncio.run(
            process.run(
                lambda fd: ",".join([str(plugin).replace(",", ",,"), *options, f"control={fd}"]),
                on_machine,
                places=filters.places,
                paused=guest.paused,
                duration_s=host_duration_s,
            )
        )

    began = time.monotonic()
    try:
        if pin:
            identity = {key: json.loads(str(meta[key])) for key in ("command", "images")} | {"QEMU": qemu.version_text}
            if not pin.exists:
                click.echo("note: the guest runs twice; what it does the first time is not recorded", err=True)
                first = pin.scratch("first.db")
                TraceWriter(first).suspend()
                outcome = run(
                    pin.recording(guest.arguments),
                    [f"trace={first}", *options[1:]],
                    lambda machine: hazards(parse_flat_view(machine.flat_view)),
                    replay_end="guest",
                )
                if outcome.errors or outcome.reason == "qemu-died":
                    raise RecordError(f"{pin.path}: not made: {(outcome.errors or ['QEMU died in the first run'])[0]}")
                with TraceReader(first) as reader:
                    pin.keep(identity, outcome.reason, reader.exit_count)
            writer = TraceWriter.open_existing(output)
            writer.set_meta("pin", pin.load(identity))
            writer.suspend()
            options = [option for option in options if not option.startswith("exits=")]
            options.append(f"exits={min(exits or pin.limit, pin.limit)}")
        outcome = run(
            [*guest.arguments, *(log.arguments if log else ())],
            options,
            on_machine,
            pass_fds=(log.fd,) if log else (),
            replay_end=pin.ended_by if pin else None,
        )
        if pin and outcome.reason == "exits" and (not exits or exits > pin.limit):
            outcome.reason = "pin"
    except BaseException:
        with contextlib.suppress(TraceError):
            _discard_if_empty(output)
        raise
    if _identity(output) != file:
        raise RecordError(f"the recording is lost: {output} was deleted, renamed or replaced; record again")
    agreement = _finish(output, guest, outcome, rotate, time.monotonic() - began, log)
    with TraceReader(parts.part_path(output, outcome.last_part)) as reader:
        for note in stimulus.notes(reader.meta):
            click.echo(f"note: {note}", err=True)
    if agreement is not None:
        _report_agreement(output, agreement)


def _has_input() -> bool:
    """Whether anything can come from standard input."""
    try:
        return not os.path.samestat(os.fstat(0), os.stat(os.devnull))  # noqa: PTH116  (a descriptor has no path)
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    """What distinguishes the file at `path` from one that takes its place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _meta(qemu: Qemu, guest: qemu_command.Command, mmio: str) -> dict[str, str | int]:
    meta: dict[str, str | int] = {
        "qemu": qemu.version_text,
        "target": qemu.target,
        "command": json.dumps([Path(qemu.path).name, *guest.arguments]),
        "clock": guest.clock,
        "smp": guest.cpus,
        "mmio": mmio,
        "images": json.dumps(guest.images),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if guest.icount_shift is not None:
        meta["icount_shift"] = guest.icount_shift
    if guest.rtc_base is not None:
        meta["rtc_base"] = guest.rtc_base
    if guest.seed is not None:
        meta["seed"] = guest.seed
    return meta


def _machine_name(machine_type: str) -> str:
    """The machine without its version: "pc-i440fx-10.0" is "pc"."""
    name = re.sub(r"-\d+\.\d+$", "", machine_type)
    return {"pc-i440fx": "pc", "pc-q35": "q35"}.get(name, name)


def _write_machine(
    writer: TraceWriter, guest: qemu_command.Command, machine: Machine, snapshot: int, seq: int
) -> list[Region]:
    """Add a snapshot of the machine, taken after `seq` exits, to the trace; returns its regions."""
    regions = parse_flat_view(machine.flat_view, snapshot)
    writer.set_meta("machine_type", machine.machine_type)
    writer.set_meta("machine", _machine_name(machine.machine_type))
    writer.add_regions(snapshot, seq, regions)
    if snapshot == 0:
        drives = [] if guest.pins_drives else [f"drive {name}" for name in machine.drives]
        writer.set_meta("async_sources", json.dumps([*drives, *guest.async_sources]))
    else:
        for function, bars in parse_pci(machine.pci):
            writer.add_pci_function(function, bars)
    return regions


def _write_maps(writer: TraceWriter, maps: Sequence[MapSnapshot]) -> int:
    """Add the snapshots that were taken while the guest ran; returns the last one's number."""
    for snapshot, taken in enumerate(maps, 1):
        writer.add_regions(snapshot, taken.seq, taken.regions)
    return len(maps)


def _discard_if_empty(output: Path) -> None:
    """Remove a trace that recorded nothing: the guest never ran."""
    with TraceReader(output) as reader:
        empty = reader.exit_count == 0
    if empty:
        output.unlink()


def _how_qemu_ended(status: int) -> str:
    if status < 0:
        return f"QEMU was ended by {signal.Signals(-status).name}"
    return f"QEMU ended with status {status} before it could finish"


def _write_end(
    path: Path, guest: qemu_command.Command, outcome: Outcome, part: int, rotate: int | None, end: int | None
) -> int:
    """Add what is known at the end of the recording to one of its files.

    `end` is the number of all exits; None: this is the last file, which tells. Returns it.
    """
    writer = TraceWriter.open_existing(path)
    try:
        end = writer.exit_count if end is None else end
        last = _write_maps(writer, outcome.maps)
        if outcome.final is not None:
            _write_machine(writer, guest, outcome.final, last + 1, end)
        reason = "rotate" if part < outcome.last_part else "error" if outcome.errors else outcome.reason
        writer.set_meta("end_reason", reason)
        if rotate:
            writer.set_meta("parts", outcome.last_part + 1)
        writer.resolve_regions(parts.sites_before(outcome.maps, part, rotate))
    finally:
        writer.suspend()
    return end


def _finish(
    output: Path,
    guest: qemu_command.Command,
    outcome: Outcome,
    rotate: int | None,
    elapsed_s: float,
    log: verify.EventLog | None,
) -> Agreement | None:
    """Complete the trace, close it if nothing is missing, and say what was recorded. Of a rotated one, each file.

    Returns how the trace agrees with `log`, if there is one.

    Raises:
        RecordError: the recording is incomplete; what there is stays in the unclosed trace.
    """
    files = [parts.part_path(output, number) for number in range(outcome.last_part + 1)]
    contents = _write_ends(files, guest, outcome, rotate)
    losses = [content.loss for content in contents if content.loss]
    exits = sum(content.exits for content in contents)
    if outcome.errors or losses:
        for content in contents[:-1]:
            if not content.loss:
                TraceWriter.open_existing(content.path).close()
        where = f"{output} to {files[-1].name} (the last one is an unclosed trace)"
        raise RecordError(
            f"the recording was cut off: {(outcome.errors or losses)[0]}; {exits:,} accesses up to there are in "
            f"{where if rotate and outcome.last_part else f'{output} (an unclosed trace)'}"
        )
    agreement = verify.verify(output, log, ended_by=outcome.reason) if log else None
    for content in contents:
        with TraceWriter.open_existing(content.path) as writer:
            if agreement:
                writer.set_meta("verified", verify.summary(agreement))
    size = sum(path.stat().st_size for path in files)
    excluded = sum(content.excluded for content in contents)
    dropped = contents[-1].end - exits
    click.echo(
        f"{output}{f' to {files[-1].name}' if outcome.last_part else ''}: "
        f"{'the last ' if dropped else ''}{exits:,} accesses{f' of {contents[-1].end:,}' if dropped else ''} in "
        f"{elapsed_s:.1f} s, {size / 1e6:.1f} MB{f' ({size / exits:.0f} bytes each)' if exits else ''}"
        f"{f'; {excluded:,} others were left out' if excluded else ''}; ended by: {outcome.reason}",
        err=True,
    )
    if outcome.status:
        click.echo(f"note: QEMU itself ended with status {outcome.status}", err=True)
    if not exits:
        click.echo(f"note: the guest accessed {'nothing of what was asked for' if excluded else 'no device'}", err=True)
    return agreement


@dataclass(frozen=True, slots=True)
class _Contents:
    """What one file of a recording holds."""

    path: Path
    exits: int
    end: int
    excluded: int
    loss: str
    """Why it is not complete; empty if it is."""


def _write_ends(
    files: Sequence[Path], guest: qemu_command.Command, outcome: Outcome, rotate: int | None
) -> list[_Contents]:
    """Add what is known at the end of the recording to all of its files; `outcome` gets the errors."""
    contents: list[_Contents] = []
    end: int | None = None
    for number in reversed(range(len(files))):
        path = files[number]
        if not path.exists():
            outcome.errors.append(f"{path} was deleted or renamed")
            continue
        try:
            end = _write_end(path, guest, outcome, number, rotate, end)
        except TraceError as error:
            outcome.errors.append(str(error))
        with TraceReader(path) as reader:
            losses = find_losses(reader)
            if losses and "exits" not in reader.meta:  # the recorder's end was never written
                losses = [_how_qemu_ended(outcome.status)]
            excluded = int(reader.meta.get("excluded", 0))
            contents.append(_Contents(path, reader.exit_count, reader.end, excluded, losses[0] if losses else ""))
    return contents[::-1]


def _report_agreement(output: Path, agreement: Agreement) -> None:
    """Say what QEMU's own account proves.

    Raises:
        RecordError: not all; the trace is kept.
    """
    click.echo(verify.report(agreement), err=True, nl=False)
    if not agreement.complete:
        raise RecordError(f"{output} is kept, but not proved complete: {verify.complaint(agreement)}")
    click.echo("verified: QEMU's own trace events tell of the same accesses", err=True)
