"""``vmdev import``: a trace from a log that another program made."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from vmdev.replay.errors import ImportFailedError, OutputExistsError
from vmdev.replay.guest import Guest
from vmdev.replay.importers import FORMATS, Hints, Import, Imported, Importer, Line, guess, read_lines
from vmdev.replay.machines import MACHINES
from vmdev.replay.printable import printable
from vmdev.replay.trace import TraceReader, TraceWriter

from .ranges import parse_integer

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

INCOMPLETE: Final = 1
"""Exit status if lines were left out, as diff(1)'s."""

GUESSED_LINES: Final = 10_000
GUESSED_BYTES: Final = 4 << 20
"""What is looked at to guess the format, whichever comes first."""

_COPIED: Final = ("machine", "machine_type", "target", "qemu", "command", "seed", "images")
"""Facts that are the same of every run of one guest."""


class _Place(click.ParamType[tuple[str, int]]):
    """NAME=ADDRESS."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Read an option's value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).rpartition("=")
        if not equals or not name:
            self.fail(f"must be like uart0=0x40011000, not {value!r}", param, ctx)
        try:
            address = parse_integer(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not 0 <= address < 1 << 63:
            self.fail(f"{text} is no address", param, ctx)
        return name, address


@click.command("import")
@click.argument("log", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="trace.db", show_default=True, help="The trace to make."
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="What the log is; guessed unless given.")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="A recording of the same machine by vmdev: take the machine, its devices' places and the RTC's time from it.",
)
@click.option("--machine", type=click.Choice(list(MACHINES)), help="The machine that the log is of.")
@click.option("--target", metavar="NAME", help="Its architecture, as QEMU calls it.  [default: x86_64]")
@click.option(
    "--place", "places", type=_Place(), metavar="NAME=ADDRESS", multiple=True, help="Where a device is; repeatable."
)
@click.pass_context
def import_(
    context: click.Context,
    log: Path,
    output: Path,
    form: str | None,
    force: bool,
    like: Path | None,
    machine: str | None,
    target: str | None,
    places: tuple[tuple[str, int], ...],
) -> None:
    """Make a trace from a log of accesses that another program has made; - is the standard input.

    The formats: qemu (-trace 'memory_region_ops_*' -D FILE), mmiotrace (Linux's), ftrace (Linux's text of kvm_pio and
    kvm_mmio, also from trace-cmd report), renode (LogAllPeripheralsAccess). What a log lacks is told here, by info and
    by replay. The exit status is 1 if there were malformed lines, which are left out, and 2 in case of trouble.

    Example:

    \b
        vmdev import -o boot.db --like recorded.db qemu.log
        vmdev import -o nic.db mydump.txt
        trace-cmd report | vmdev import -o vm.db --machine pc -
    """
    if output.exists() and (not force or not output.is_file()):
        raise OutputExistsError(f"{output}: exists; choose another name, or overwrite it with --force")
    guest = _guest(like)
    hints = Hints(target or (guest.target if guest else "x86_64"), guest.regions if guest else (), dict(places))
    with _opened(log) as stream:
        found, kind = _import(stream, log, output, form, hints, guest, machine)
    for line in found.first_malformed:
        click.echo(printable(f"{log}:{line.number}: {line.why}: {line.text}"), err=True)
    if found.malformed > len(found.first_malformed):
        click.echo(f"... and {found.malformed - len(found.first_malformed):,} more malformed lines", err=True)
    click.echo("\n".join(map(printable, _summary(output, found, kind))))
    if found.malformed:
        context.exit(INCOMPLETE)


def _guest(like: Path | None) -> Guest | None:
    if like is None:
        return None
    with TraceReader(like) as reader:
        return reader.guest


def _opened(log: Path) -> BinaryIO:
    return sys.stdin.buffer if str(log) == "-" else log.open("rb")


def _import(
    stream: BinaryIO,
    log: Path,
    output: Path,
    form: str | None,
    hints: Hints,
    guest: Guest | None,
    machine: str | None,
) -> tuple[Imported, type[Importer]]:
    """Import beside `output`, and give the trace its name when it is whole."""
    lines = read_lines(stream)
    kind, lines = (FORMATS[form], lines) if form else _guessed(lines, log)
    partial = output.with_name(f"{output.name}.importing")
    try:
        with TraceWriter(partial, _facts(hints, guest, machine), overwrite=True) as writer:
            _copy_map(writer, guest)
            bar: ProgressBar[int]
            with click.progressbar(
                length=_length(stream), label="Importing", file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:
                found = Import(kind(hints), writer, guest.rtc_base if guest else None).run(lines, bar.update)
        partial.replace(output)
    except ImportFailedError as error:
        raise ImportFailedError(f"{log}: {error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return found, kind


def _guessed(lines: Iterator[Line], log: Path) -> tuple[type[Importer], Iterator[Line]]:
    """The format of the log, and all of its lines again."""
    seen: list[Line] = []

    def looked_at() -> Iterator[Line]:
        length = 0
        for line in itertools.islice(lines, GUESSED_LINES):
            seen.append(line)
            yield line
            length += line.length
            if length > GUESSED_BYTES:
                return

    kind = guess(looked_at())
    if kind is None:
        raise ImportFailedError(
            f"{log}: of no known format, by its first {len(seen):,} lines; if it is of one, name it with --format: "
            + ", ".join(FORMATS)
        )
    return kind, itertools.chain(seen, lines)


def _length(stream: BinaryIO) -> int | None:
    with suppress(OSError, ValueError):
        return os.fstat(stream.fileno()).st_size or None
    return None


def _facts(hints: Hints, guest: Guest | None, machine: str | None) -> dict[str, str | int]:
    facts = {key: guest.meta[key] for key in _COPIED if key in guest.meta} if guest else {}
    if machine is not None and facts.get("machine") != machine:
        facts.pop("machine_type", None)
        facts["machine"] = machine
    return {"end_reason": "import", **facts, "target": hints.target}


def _copy_map(writer: TraceWriter, guest: Guest | None) -> None:
    """Where the guest's devices were."""
    if guest is None:
        return
    snapshots = sorted({region.snapshot for region in guest.regions})
    for snapshot in snapshots:
        writer.add_regions(snapshot, 0, [region for region in guest.regions if region.snapshot == snapshot])
    for function in guest.functions:
        writer.add_pci_function(
            function,
            [
                {
                    "bar": bar.number,
                    "size": bar.size,
                    "type": "io" if bar.is_io else "memory",
                    "mem_type_64": bar.is_64,
                    "prefetch": bar.prefetch,
                    "address": -1 if bar.address is None else bar.address,
                }
                for bar in function.bars
            ],
        )


def _summary(output: Path, found: Imported, kind: type[Importer]) -> Sequence[str]:
    return [
        f"{output}: {found.accesses:,} accesses from {found.lines:,} lines of a {kind.title}",
        *(f"  {loss}" for loss in found.losses),
        *(f"  {what}: {count:,}" for what, count in found.notes.items()),
        *([f"  lines of something else: {found.other_lines:,}"] if found.other_lines else []),
        *([f"  malformed lines, left out: {found.malformed:,}"] if found.malformed else []),
    ]
