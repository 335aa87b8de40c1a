"""``vmdev export``: a trace as other programs read it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Final

import click

from vmdev.replay.errors import OutputExistsError
from vmdev.replay.exporters import FORMATS, Choice
from vmdev.replay.exporters import export as exported
from vmdev.replay.printable import printable
from vmdev.replay.selection import AddressRange
from vmdev.replay.trace.reader import TraceReader

from .filters import AddressType
from .ranges import Bounds, bounds, parse_integer, parse_time

_TITLES: Final = "; ".join(f"{name}: {kind.title}" for name, kind in FORMATS.items())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(FORMATS)), required=True, help=f"{_TITLES}.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write; by default the standard output.",
)
@click.option("--force", is_flag=True, help="Overwrite the output.")
@click.option(
    "--device",
    "devices",
    metavar="NAME",
    multiple=True,
    help="Only accesses to regions of this name; 'vmdev info' shows the names. Repeatable.",
)
@click.option(
    "--address",
    "addresses",
    type=AddressType(),
    metavar="RANGE",
    multiple=True,
    help="Only accesses that touch these ports or addresses, such as 0x70-0x71, 0x3f8+8 or mmio:0xfed00000; "
    "repeatable.",
)
@click.option("--seq", "seqs", metavar="A:B", callback=bounds(parse_integer), help="Only exits A to B.")
@click.option(
    "--time",
    "times_ns",
    metavar="A:B",
    callback=bounds(parse_time),
    help="Only from A to B, in ns or like 20us, 1.5ms, 2s.",
)
def export(
    trace: Path,
    form: str,
    output: Path | None,
    force: bool,
    devices: tuple[str, ...],
    addresses: tuple[AddressRange, ...],
    seqs: Bounds,
    times_ns: Bounds,
) -> None:
    """Write a trace, or a part of it, in a format of other programs.

    What a format has no place for is told on stderr. Filters add up; a range includes both of its ends.

    Example:

    \b
        vmdev export boot.db --format qtest -o boot.qtest
        vmdev export boot.db --format csv --device rtc --time :1s
        vmdev export nic.db --format mmiotrace -o nic.log
    """  # fmt: skip
    if output is not None and output.exists():
        if not force:
            raise OutputExistsError(f"{output}: exists; choose another name, or overwrite it with --force")
        if trace.exists() and output.samefile(trace):
            raise OutputExistsError(f"{output}: is the trace itself; choose another name with -o")
    choice = Choice(devices, addresses, seqs, times_ns)
    with TraceReader(trace) as reader:
        choice.check(reader)
        exporter = FORMATS[form](reader)
        with _opened(output) as file:
            for text in exported(reader, exporter, choice):
                file.write(text)
        for loss in exporter.losses:
            click.echo(f"note: {form} has no place for {loss}", err=True)
        if exporter.left_out:
            click.echo(f"note: {exporter.left_out:,} accesses were left out", err=True)
        if not reader.closed:
            click.echo(printable(f"note: {trace}: the recording was cut off"), err=True)


def _opened(output: Path | None) -> AbstractContextManager[IO[str]]:
    """Where to write. All is ASCII but for names that others gave."""
    if output is None:
        return nullcontext(sys.stdout)
    return output.open("w", encoding="utf-8", newline="\n")
