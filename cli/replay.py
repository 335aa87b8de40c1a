"""``vmdev replay``: replay a trace into device models and compare every answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from vmdev.replay.printable import printable
from vmdev.replay.replayer import Replayer
from vmdev.replay.report import COMBINED, FORMATS
from vmdev.replay.trace.reader import TraceReader

from .judging import Judging, judging_options

DIVERGED, TROUBLE = 1, 2
"""Exit status as diff(1)'s: 0 no divergence, 1 divergences, 2 trouble."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@judging_options
@click.option(
    "--format", "report", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="What to print."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Report at most N divergences of a trace in detail (text: 10 unless given). All are counted.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replay up to N traces at a time, each in a process of its own; by default as many as there are processors.",
)
@click.pass_context
def replay(
    context: click.Context,
    /,
    traces: tuple[Path, ...],
    report: str,
    limit: int | None,
    jobs: int | None,
    **judging: Any,
) -> None:
    """Replay traces into device models and compare every answer with the recorded one.

    The exit status is 0 if no answer diverged, 1 if one did, and 2 in case of trouble. Of several traces it is the
    worst, and what is wrong with one does not keep the others from being replayed.

    Beside the trace boot.db, boot.contracts.toml may say where an answer need not equal the recorded one, and
    boot.known.toml which divergences are known. A known divergence that no longer occurs fails, too.

    Example:

    \b
        vmdev replay boot.db
        vmdev replay boot.db --device rtc --format json
        vmdev replay boot.db --device com1=my_uart:Uart --until-divergence
        vmdev replay traces/*.db --jobs 4
    """
    make = Judging(**judging).replayer
    if len(traces) > 1:
        status = _replay_several(traces, make, report, limit, jobs)
    else:
        status = _replay_one(traces[0], make, report, limit)
    if status:
        context.exit(status)


def _replay_one(trace: Path, make: Callable[[TraceReader], Replayer], report: str, limit: int | None) -> int:
    with TraceReader(trace) as reader:
        _tell(_notes(reader))
        replayer = make(reader)
        with click.progressbar(
            length=reader.exit_count, label="Replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            verdict = replayer.run(bar.update)
    click.echo(FORMATS[report](verdict, limit), nl=False)
    return 0 if verdict.agrees else DIVERGED


def _replay_several(
    traces: Sequence[Path],
    make: Callable[[TraceReader], Replayer],
    report: str,
    limit: int | None,
    jobs: int | None,
) -> int:
    from .shards import replay_all, weight  # not needed, and slow to import, for one trace

    with click.progressbar(
        length=sum(map(weight, traces)),
        label=f"Replaying {len(traces)} traces",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    ) as bar:
        results = replay_all(traces, make, _notes, jobs or len(os.sched_getaffinity(0)), bar.update)
    outcomes = [result.outcome for result in results]
    for result in results:
        _tell(result.notes)
        if result.outcome.trouble:
            click.echo(printable(f"Error: {result.outcome.trouble}"), err=True)
    click.echo(COMBINED[report](outcomes, limit), nl=False)
    if any(outcome.trouble for outcome in outcomes):
        return TROUBLE
    return 0 if all(outcome.verdict is not None and outcome.verdict.agrees for outcome in outcomes) else DIVERGED


def _notes(reader: TraceReader) -> list[str]:
    """What the user should know of a trace before its verdict."""
    notes = []
    if not reader.closed:
        notes.append("the recording was cut off: it may end before its guest did")
    if "filter" in reader.meta:
        excluded, asked = reader.meta.get("excluded", "some"), reader.meta["filter"]
        notes.append(f"{excluded} accesses were left out, and models miss them; recorded was {asked}")
    if reader.first_exit:
        where = "are in the files before it" if "part" in reader.meta else "were not kept"
        notes.append(f"exits before {reader.first_exit} {where}; models begin as after a reset")
    return [f"WARNING: {reader.path}: {note}" for note in notes]


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(printable(note), err=True)
