"""``vmdev bless``: keep a verdict as the golden of its trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vmdev.replay import goldens
from vmdev.replay.errors import GoldenError
from vmdev.replay.printable import printable

from . import trace_tests
from .judging import Judging, UserModel, whole_options


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--reason", required=True, metavar="TEXT", help="Why this is how it should be; kept in the golden.")
@whole_options
def bless(traces: tuple[Path, ...], reason: str, **judging: Any) -> None:
    """Keep the verdicts on traces as goldens.

    The golden of boot.db is boot.golden.json beside it. `pytest` then fails when a verdict is not as blessed, and lists
    what got worse and what got better. What changes in the golden is printed, as a review should see it.

    An unclosed trace is not blessed, and nothing is where CI is set in the environment. Goldens without a trace are
    listed; nothing is deleted.

    Example:

    \b
        vmdev bless boot.db --reason "the RTC has its periodic interrupt now"
        vmdev bless traces/*.db --board board.py --reason "first verdicts"
    """
    trace_tests.require_a_person(reason)
    judge = Judging(**judging)
    if any(not isinstance(device, UserModel) for device in judge.devices):
        raise GoldenError("the whole of a trace is blessed: --device takes NAME=MODEL here")
    for trace in traces:
        replayed = trace_tests.replay(trace, judge)
        trace_tests.require_whole(trace, replayed)
        gone = dict.fromkeys(replayed.golden.parts if replayed.golden else ())
        changes = trace_tests.bless(trace, {**gone, **replayed.parts}, reason)
        path = goldens.path_for(trace)
        click.echo(printable(f"{path}: {'blessed' if changes else 'is so already'}"))
        for line in changes.lines:
            click.echo(printable(f"  {line}"))
    for directory in sorted({trace.parent for trace in traces}):
        for path in goldens.orphans(directory):
            click.echo(printable(f"{path}: has no trace any more"), err=True)
