"""``vmdev replay``: replay a trace into device models and compare every answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from vmdev.replay.printable import printable
from vmdev.replay.report import FORMATS
from vmdev.replay.trace.reader import TraceReader

from .judging import Judging, judging_options

DIVERGED = 1
"""Exit status as diff(1)'s: 0 no divergence, 1 divergences, 2 trouble."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", type=click.Path(path_type=Path))
@judging_options
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
def replay(context: click.Context, /, trace: Path, report: str, limit: int | None, **judging: Any) -> None:
    """Replay a trace into device models and compare every answer with the recorded one.

    The exit status is 0 if no answer diverged, 1 if one did, and 2 in case of trouble.

    Beside the trace boot.db, boot.contracts.toml may say where an answer need not equal the recorded one, and
    boot.known.toml which divergences are known. A known divergence that no longer occurs fails, too.

    Example:

    \b
        vmdev replay boot.db
        vmdev replay boot.db --device rtc --format json
        vmdev replay boot.db --device com1=my_uart:Uart --until-divergence
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
        replayer = Judging(**judging).replayer(reader)
        with click.progressbar(
            length=reader.exit_count, label="Replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            verdict = replayer.run(bar.update)
    click.echo(FORMATS[report](verdict, limit), nl=False)
    if not verdict.agrees:
        context.exit(DIVERGED)
