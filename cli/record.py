"""``vmdev record``: run a guest in QEMU and record its device accesses."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from vmdev.replay.errors import OutputExistsError, RecordError
from vmdev.replay.guest import Region
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import TraceWriter

from .qemu import command as qemu_command
from .qemu.binary import Qemu, find_plugin, find_qemu
from .qemu.process import Machine, Outcome, QemuProcess
from .qemu.region_map import hazards, parse_flat_view, parse_pci

_UNITS_S = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}


class _Duration(click.ParamType[float]):
    """Seconds, with an optional unit."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|ms|us|min)?", str(value))
        if found is None:
            self.fail(f"must be a time like 10s, 500ms or 2min, not {value!r}", param, ctx)
        return float(found[1]) * _UNITS_S[found[2] or ""]


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("trace.db"), show_default=True)
@click.option("--qemu", "program", metavar="PROGRAM", help="The QEMU to run; QEMU's arguments then follow after --.")
@click.option("--clock", type=click.Choice(["virtual", "host"]), help="The guest's clock: counted in instructions, the "
              "same in every run (the default for one CPU), or following the host's.")  # fmt: skip
@click.option("--mmio", type=click.Choice(["fast", "full", "off"]), default="fast", show_default=True,
              help="full: a callback on every memory instruction, to check fast.")  # fmt: skip
@click.option("--exits", type=click.IntRange(min=1), metavar="N", help="End after N accesses.")
@click.option("--duration", type=_Duration(), metavar="T", help="End after T of the guest's time: 10s, 500ms, 2min.")
@click.option("--force", is_flag=True, help="Overwrite the output.")
@click.argument("arguments", nargs=-1, metavar="[-- QEMU ARGUMENTS]")
def record(
    output: Path,
    program: str | None,
    clock: str | None,
    mmio: str,
    exits: int | None,
    duration: float | None,
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
    guest = qemu_command.complete(words, clock, typed_input=not default_guest and _has_input())
    for note in guest.notes:
        click.echo(f"note: {note}", err=True)
    if output.exists() and not force:
        raise OutputExistsError(f"{output}: exists; choose another name with -o, or overwrite it with --force")
    TraceWriter(output, meta=_meta(qemu, guest, mmio), overwrite=force).suspend()

    options = [f"trace={output.resolve()}".replace(",", ",,"), f"mmio={mmio}"]
    if exits:
        options.append(f"exits={exits}")
    host_duration_s = None
    if duration and guest.clock == "virtual":
        options.append(f"until={round(duration * 1e9)}")
    elif duration:
        host_duration_s = duration

    def on_machine(machine: Machine) -> str:
        writer = TraceWriter.open_existing(output)
        regions = _write_machine(writer, guest, machine, snapshot=0)
        writer.suspend()
        return hazards(regions)

    began = time.monotonic()
    process = QemuProcess(qemu.path, guest.arguments, quiet_input=default_guest)
    try:
        outcome = asyncio.run(
            process.run(
                lambda fd: ",".join([str(plugin).replace(",", ",,"), *options, f"control={fd}"]),
                on_machine,
                paused=guest.paused,
                duration_s=host_duration_s,
            )
        )
    except RecordError:
        _discard_if_empty(output)
        raise
    _finish(output, guest, outcome, time.monotonic() - began)


def _has_input() -> bool:
    """Whether anything can come from standard input."""
    try:
        return not os.path.samestat(os.fstat(0), os.stat(os.devnull))  # noqa: PTH116  (a descriptor has no path)
    except OSError:
        return False


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


def _write_machine(writer: TraceWriter, guest: qemu_command.Command, machine: Machine, snapshot: int) -> list[Region]:
    """Add a snapshot of the machine to the trace; returns its regions."""
    regions = parse_flat_view(machine.flat_view, snapshot)
    writer.set_meta("machine_type", machine.machine_type)
    writer.set_meta("machine", _machine_name(machine.machine_type))
    writer.add_regions(snapshot, writer.exit_count, regions)
    if snapshot == 0:
        drives = [f"drive {name}" for name in machine.drives]
        writer.set_meta("async_sources", json.dumps([*drives, *guest.async_sources]))
    else:
        for function, bars in parse_pci(machine.pci):
            writer.add_pci_function(function, bars)
    return regions


def _discard_if_empty(output: Path) -> None:
    """Remove a trace that recorded nothing: the guest never ran."""
    with TraceReader(output) as reader:
        empty = reader.exit_count == 0
    if empty:
        output.unlink()


def _finish(output: Path, guest: qemu_command.Command, outcome: Outcome, elapsed_s: float) -> None:
    """Complete the trace, close it if nothing is missing, and say what was recorded.

    Raises:
        RecordError: the recording is incomplete; what there is stays in the unclosed trace.
    """
    writer = TraceWriter.open_existing(output)
    if outcome.final is not None:
        _write_machine(writer, guest, outcome.final, snapshot=1)
    writer.set_meta("end_reason", outcome.reason)
    writer.resolve_regions()
    writer.suspend()
    with TraceReader(output) as reader:
        exits = reader.exit_count
        complete = not outcome.errors and reader.meta.get("exits") == exits and reader.meta.get("dropped") == 0
    if not complete:
        why = outcome.errors[0] if outcome.errors else f"QEMU ended with status {outcome.status} before it could finish"
        raise RecordError(
            f"the recording was cut off: {why}; {exits:,} accesses up to there are in {output} (an unclosed trace)"
        )
    TraceWriter.open_existing(output).close()
    size = output.stat().st_size
    click.echo(
        f"{output}: {exits:,} accesses in {elapsed_s:.1f} s, {size / 1e6:.1f} MB"
        f"{f' ({size / exits:.0f} bytes each)' if exits else ''}; ended by: {outcome.reason}",
        err=True,
    )
    if outcome.status:
        click.echo(f"note: QEMU itself ended with status {outcome.status}", err=True)
    if not exits:
        click.echo("note: the guest accessed no device", err=True)
