"""``vmdev mutate``: how good traces are as tests of a device model."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from vmdev.replay.errors import MutatingError, UnknownMachineError
from vmdev.replay.mutating import Adequacy, Limits
from vmdev.replay.mutating import mutate as mutate_in
from vmdev.replay.mutating.report import render_json, render_text
from vmdev.replay.printable import printable
from vmdev.replay.trace.reader import TraceReader

from .judging import Judging, UserModel, notes, whole_options
from .minimize import time_limit_option
from .progress import forget, teller
from .trace_tests import devices_of

TOO_LOW: Final = 1
LINES: Final = 40


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@whole_options
@click.option(
    "--format", "report", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=LINES,
    show_default=True,
    help="List at most N lines of surviving mutants in the text. All are counted.",
)
@click.option("--lines", "with_lines", is_flag=True, help="Tell, too, which lines of the model's source no trace runs.")
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Exit with 1 if less than that share of the mutants is killed.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Try N mutants at a time, each in a process of its own; by default as many as there are processors.",
)
@time_limit_option
@click.pass_context
def mutate(
    context: click.Context, /, traces: tuple[Path, ...], report: str, limit: int, with_lines: bool,
    fail_under: float | None, jobs: int | None, time_limit_s: float, **judging: Any,
) -> None:  # fmt: skip
    """Tell how good traces are as tests of a device model.

    Faults are put into the model that --device names, one at a time: bits of its registers stuck, writes ignored,
    values wrong after a reset, interrupts late. A trace kills such a mutant if a replay tells it from the model. The
    mutants that survive show what no trace tests.

    The exit status is 0, or 1 if --fail-under says so, and 2 in case of trouble.

    Example:

    \b
        vmdev mutate boot.db --device rtc
        vmdev mutate traces/*.db --device com1=my_uart:Uart --fail-under 60
        vmdev mutate traces/*.db --device com1 --format json
    """
    began_s = time.monotonic()
    asked = Judging(**judging)
    device = _device(asked, traces)
    limits = Limits(began_s + time_limit_s, jobs or len(os.sched_getaffinity(0)))
    found = Adequacy(device)
    _try(traces, asked, found, limits, with_lines)
    forget()
    if found.total.untried:
        click.echo(
            f"The time limit of {time_limit_s:g} s is reached: {found.total.untried:,} mutants were not tried.",
            err=True,
        )
    click.echo(render_json(found) if report == "json" else render_text(found, limit), nl=False)
    if fail_under is not None and 100 * (found.total.share or 0) < fail_under:
        context.exit(TOO_LOW)


def _device(asked: Judging, traces: Sequence[Path]) -> str:
    """The device whose model gets the faults."""
    plain = [each for each in asked.devices if not isinstance(each, UserModel)]
    names = plain or [each.name for each in asked.devices if isinstance(each, UserModel)]
    if len(names) == 1:
        return names[0]
    if names:
        raise click.UsageError(f"--device: mutants are made of one model at a time, not of {', '.join(names)}")
    accessed = ", ".join(devices_of(traces[0], asked))
    raise click.UsageError(f"say of which device with --device NAME; {traces[0]} may access {accessed}")


def _try(traces: Sequence[Path], asked: Judging, found: Adequacy, limits: Limits, with_lines: bool) -> None:
    """Try the mutants in all traces.

    Raises:
        VmdevError: a trace cannot be used, or none accesses the device.
    """
    missing: list[str] = []
    touched = False
    tell = teller("Mutating")
    for trace in traces:
        with TraceReader(trace) as reader:
            for note in notes(reader):
                _warn(note)
            try:
                accesses = mutate_in(reader, str(trace), asked.bench(trace), found, limits, tell, with_lines=with_lines)
            except UnknownMachineError as error:
                if len(traces) == 1:
                    raise
                missing.append(f"{trace}: {error}")
                continue
            except MutatingError as error:
                raise MutatingError(f"{trace}: {error}") from error
        if not accesses:
            _warn(f"WARNING: {trace}: nothing accesses {found.device}")
        touched = touched or accesses
    if not found.traces:
        raise UnknownMachineError(missing[0])
    for each in missing:
        _warn(f"WARNING: {each}")
    if not touched:
        first = found.traces[0]
        accessed = ", ".join(first.accessed)
        raise MutatingError(f"no trace accesses {found.device}, so none tests it; {first.name} accesses {accessed}")


def _warn(text: str) -> None:
    forget()
    click.echo(printable(text), err=True)
