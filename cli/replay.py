"""``vmdev replay``: replay a trace into device models and compare every answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from vmdev.replay.activity import Activity
from vmdev.replay.errors import VmdevError
from vmdev.replay.printable import printable
from vmdev.replay.replayer import Replayer
from vmdev.replay.report import FORMATS, NEEDS_ACTIVITY, NEEDS_ONE_TRACE, SUFFIXES, Outcome
from vmdev.replay.trace.reader import TraceReader

from .against import MODES, CommandBeforeQemu, Mode, Opponent, qemu_arguments
from .judging import Judging, judging_options, notes

DIVERGED, TROUBLE = 1, 2
"""Exit status as diff(1)'s: 0 no divergence, 1 divergences, 2 trouble."""


class _ReportFile(click.Path):
    """The path of a report, whose name says what it is."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read an option's value."""
        if Path(str(value)).suffix not in SUFFIXES:
            self.fail(f"{value}: the name must end in one of {', '.join(SUFFIXES)}", param, ctx)
        return super().convert(value, param, ctx)


@click.command(cls=CommandBeforeQemu, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@judging_options
@click.option(
    "--against",
    "mode",
    type=click.Choice(MODES),
    default="models",
    show_default=True,
    help="Who answers: our models; QEMU's own devices, without a guest; or both, and the report says who of recording, "
    "model and QEMU is alone.",
)
@click.option(
    "--qemu",
    "program",
    metavar="PROGRAM",
    help="The QEMU to play against; its arguments, instead of the recording's, may follow after --.",
)
@click.option(
    "--format", "report", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="What to print."
)
@click.option(
    "--write",
    "files",
    type=_ReportFile(),
    metavar="FILE",
    multiple=True,
    help=f"Write a report into a file, too; its name tells which: {', '.join(SUFFIXES)}. Repeatable.",
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
    mode: Mode,
    program: str | None,
    report: str,
    files: tuple[Path, ...],
    limit: int | None,
    jobs: int | None,
    **judging: Any,
) -> None:
    """Replay traces into device models and compare every answer with the recorded one.

    The exit status is 0 if no answer diverged, 1 if one did, and 2 in case of trouble. Of several traces it is the
    worst, and what is wrong with one does not keep the others from being replayed.

    Beside the trace boot.db, boot.contracts.toml may say where an answer need not equal the recorded one, and
    boot.known.toml which divergences are known. A known divergence that no longer occurs fails, too.

    With --against qemu the accesses are made again in a QEMU of which no CPU runs, each at its own time, and QEMU's
    answers are judged. See docs/qtest.md.

    Example:

    \b
        vmdev replay boot.db
        vmdev replay boot.db --device rtc --format json
        vmdev replay boot.db --device com1=my_uart:Uart --until-divergence
        vmdev replay boot.db --write verdict.html
        vmdev replay traces/*.db --jobs 4 --write junit.xml
        vmdev replay boot.db --against both --device rtc
        vmdev replay boot.db --against qemu -- -M pc -nodefaults -vga std
    """
    asked = Judging(**judging)
    arguments = qemu_arguments(context)
    if mode == "models" and (program is not None or arguments is not None):
        raise click.UsageError("a QEMU and its arguments are of use with --against qemu or both only")
    opponent = Opponent(mode, program, arguments)
    formats = {report, *(SUFFIXES[file.suffix] for file in files)}
    if len(traces) > 1:
        if formats & NEEDS_ONE_TRACE:
            raise click.UsageError(f"a report as {' or '.join(formats & NEEDS_ONE_TRACE)} shows one trace, give one")
        if mode == "models":
            outcomes = _replay_several(traces, asked.replayer, jobs)
        else:
            outcomes = [_replay_or_tell(trace, asked, opponent) for trace in traces]
    else:
        outcomes = [_replay_one(traces[0], asked, opponent, bool(formats & NEEDS_ACTIVITY))]
    for file in files:
        file.write_text(FORMATS[SUFFIXES[file.suffix]](outcomes, limit), encoding="utf-8")
    click.echo(FORMATS[report](outcomes, limit), nl=False)
    if any(outcome.trouble for outcome in outcomes):
        context.exit(TROUBLE)
    if not all(outcome.verdict is not None and outcome.verdict.agrees for outcome in outcomes):
        context.exit(DIVERGED)


def _replay_one(trace: Path, asked: Judging, opponent: Opponent, shows_activity: bool = False) -> Outcome:
    with TraceReader(trace) as reader, opponent.match(reader, asked) as match:
        _tell(notes(reader))
        replayer = match.replayer
        activity = None
        if shows_activity:
            activity = Activity(reader.packed_sites, reader.first_exit, reader.exit_count, replayer.claim)
        with click.progressbar(
            length=reader.exit_count, label="Replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            verdict = replayer.run(bar.update, activity)
        match.complete(verdict)
    return Outcome(trace.name, verdict, activity=activity)


def _replay_or_tell(trace: Path, asked: Judging, opponent: Opponent) -> Outcome:
    """As `_replay_one`, for one of several traces: trouble with it does not keep the others from being replayed."""
    try:
        return _replay_one(trace, asked, opponent)
    except VmdevError as error:
        click.echo(printable(f"Error: {error}"), err=True)
        return Outcome(trace.name, None, str(error))


def _replay_several(traces: Sequence[Path], make: Callable[[TraceReader], Replayer], jobs: int | None) -> list[Outcome]:
    from .shards import replay_all, weight  # not needed, and slow to import, for one trace

    with click.progressbar(
        length=sum(map(weight, traces)),
        label=f"Replaying {len(traces)} traces",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    ) as bar:
        results = replay_all(traces, make, notes, jobs or len(os.sched_getaffinity(0)), bar.update)
    for result in results:
        _tell(result.notes)
        if result.outcome.trouble:
            click.echo(printable(f"Error: {result.outcome.trouble}"), err=True)
    return [result.outcome for result in results]


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(printable(note), err=True)
