"""``vmdev replay``: replay a trace into device models and compare every answer."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vmdev.replay.machines import build
from vmdev.replay.printable import printable
from vmdev.replay.replayer import Replayer
from vmdev.replay.report import FORMATS
from vmdev.replay.trace.reader import TraceReader

DIVERGED = 1
"""Exit status as diff(1)'s: 0 no divergence, 1 divergences, 2 trouble."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "--machine",
    metavar="NAME",
    help="The machine to replay into; by default the one that was recorded.",
)
@click.option(
    "--device", "devices", metavar="NAME", multiple=True, help="Judge only this device; may be given several times."
)
@click.option(
    "--format", "report", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="What to print."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Report at most N divergences in detail (text: 10 unless given). All are counted.",
)
@click.pass_context
def replay(
    context: click.Context, trace: Path, machine: str | None, devices: tuple[str, ...], report: str, limit: int | None
) -> None:
    """Replay a trace into device models and compare every answer with the recorded one.

    The exit status is 0 if no answer diverged, 1 if one did, and 2 in case of trouble.

    Example:

    \b
        vmdev replay boot.db
        vmdev replay boot.db --device rtc --format json
    """
    with TraceReader(trace) as reader:
        if not reader.closed:
            note = f"WARNING: {trace}: the recording was cut off: it may end before its guest did"
            click.echo(printable(note), err=True)
        if "filter" in reader.meta:
            excluded, asked = reader.meta.get("excluded", "some"), reader.meta["filter"]
            note = f"WARNING: {trace}: {excluded} accesses were left out, and models miss them; recorded was {asked}"
            click.echo(printable(note), err=True)
        if reader.first_exit:
            where = "are in the files before it" if "part" in reader.meta else "were not kept"
            note = f"WARNING: {trace}: exits before {reader.first_exit} {where}; models begin as after a reset"
            click.echo(printable(note), err=True)
        replayer = Replayer(reader, build(reader.guest, machine), devices=devices, name=trace.name)
        with click.progressbar(
            length=reader.exit_count, label="Replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            verdict = replayer.run(bar.update)
    click.echo(FORMATS[report](verdict, limit), nl=False)
    if not verdict.agrees:
        context.exit(DIVERGED)
