"""``vmdev minimize``: the smallest trace that still shows a divergence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vmdev.replay.errors import MinimizingError, OutputExistsError
from vmdev.replay.minimizing import Minimized, Minimizer, Signature
from vmdev.replay.printable import printable
from vmdev.replay.selection import Selection
from vmdev.replay.trace.excerpt import write_excerpt
from vmdev.replay.trace.reader import TraceReader

from .judging import Judging, judging_options
from .progress import forget, teller

DIVERGED, TROUBLE = 1, 2


def time_limit_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --time-limit."""
    return click.option(
        "--time-limit", "time_limit_s", type=click.FloatRange(min=0), metavar="S", default=60, show_default=True,
        help="Seconds after which the best so far is the result.",
    )(command)  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", metavar="TRACE", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The file to write; by default boot.min.db beside boot.db.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the output.")
@time_limit_option
@judging_options
@click.pass_context
def minimize(
    context: click.Context, /, trace: Path, output: Path | None, force: bool, time_limit_s: float, **judging: Any
) -> None:
    """Write the smallest trace that still shows the first root divergence of a replay.

    It has the same device, register, bits and class, and ends with the access that diverges. Times stay as they were
    recorded.

    The exit status is 0 if the trace was written, 1 if nothing diverges, and 2 in case of trouble.

    Example:

    \b
        vmdev minimize boot.db
        vmdev minimize boot.db -o small.db --device com1=my_uart:Uart --time-limit 10
    """
    output = output or trace.with_name(f"{trace.stem}.min.db")
    if output.exists() and not force:
        raise OutputExistsError(f"{output}: exists; choose another name with -o, or overwrite it with --force")
    if output.exists() and output.samefile(trace):
        raise OutputExistsError(f"{output}: is the trace itself; choose another name with -o")
    asked = Judging(**judging)
    with TraceReader(trace) as reader:
        found = minimizer(reader, asked, time_limit_s).run()
        if found is None:
            click.echo(f"{printable(str(trace))}: nothing diverges, so there is nothing to minimize")
            context.exit(DIVERGED)
        warn(found, time_limit_s)
        part = found.slice
        write_excerpt(
            reader,
            output,
            [
                (found.source.seqs[item], access)
                for item, access in found.exits
            ],
            part.events(),
            part.interrupts(),
            {"name": trace.name, "exits": found.exits_before, "seq": found.root.seq, "device": found.root.device,
             "register": found.root.register},
            overwrite=force,
        )  # fmt: skip
    with TraceReader(output) as written:
        bench = asked.bench(trace)
        only = Selection(bench.selection.devices, bench.selection.addresses)
        roots = bench.replayer(written, bench.board(written.guest), only).run().roots
    if Signature.of(found.root) not in map(Signature.of, roots):
        output.unlink()
        raise MinimizingError(f"{trace}: what was written does not show the divergence; please report this")
    click.echo(f"{printable(str(output))}: {summary(found)}")


def minimizer(reader: TraceReader, asked: Judging, time_limit_s: float) -> Minimizer:
    """What minimizes a trace, with progress on stderr."""
    return Minimizer(reader, asked.bench(reader.path), time_limit_s, teller("Minimizing"))


def warn(found: Minimized, time_limit_s: float) -> None:
    """Say on stderr what is not as it should be."""
    forget()
    if found.timed_out:
        click.echo(f"The time limit of {time_limit_s:g} s is reached: this is the best so far.", err=True)
    if not found.same_state:
        click.echo(
            "WARNING: other models' state, or the model's own, differs from that after the whole recording, so that a "
            "right model may answer otherwise than recorded",
            err=True,
        )


def summary(found: Minimized) -> str:
    """What is left, in a line."""
    root = found.root
    exits = found.slice.exit_count
    return printable(
        f"{exits:,} {'exit' if exits == 1 else 'exits'} of {found.exits_before:,} show {root.device}"
        f"{'.' + root.register if root.register else ''}, seq {root.seq:,} "
        f"({found.replays:,} replays, {found.seconds:.1f} s)"
    )
