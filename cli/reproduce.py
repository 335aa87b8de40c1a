"""``vmdev reproduce``: a divergence as a short test."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from vmdev.replay.minimizing import Reproducer
from vmdev.replay.printable import printable
from vmdev.replay.trace.reader import TraceReader

from .judging import Judging, judging_options
from .minimize import DIVERGED, minimizer, time_limit_option, warn


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", metavar="TRACE", type=click.Path(path_type=Path))
@time_limit_option
@judging_options
@click.pass_context
def reproduce(context: click.Context, /, trace: Path, time_limit_s: float, **judging: Any) -> None:
    """Print a pytest that fails on the broken model and passes on the right one.

    It makes the few accesses that show the first root divergence of a replay, on the model alone, or, where others have
    a part in it, on the board. The test was run: it fails as it says.

    The exit status is 0 if there is a test, 1 if nothing diverges, and 2 in case of trouble, or if no test shows it.

    Example:

    \b
        vmdev reproduce boot.db > test_boot.py
        vmdev reproduce boot.db --device com1=my_uart:Uart > test_uart.py
    """
    asked = Judging(**judging)
    with TraceReader(trace) as reader:
        minimizing = minimizer(reader, asked, time_limit_s)
        found = minimizing.run()
        if found is None:
            click.echo(f"{printable(str(trace))}: nothing diverges, so there is nothing to reproduce", err=True)
            context.exit(DIVERGED)
        warn(found, time_limit_s)
        options = [f"--device {shlex.quote(each)}" for each in asked.model_options]
        command = " ".join(["vmdev reproduce", shlex.quote(trace.name), *options])
        reproducer = Reproducer(minimizing, found, asked.bench(trace), asked.board_source(), trace.name, command)
        text = reproducer.source()
    if reproducer.reason:
        click.echo(printable(f"{reproducer.reason}; the test builds the board"), err=True)
    click.echo(text, nl=False)
