"""``vmdev machines``: the machines that a trace can be replayed into."""

from __future__ import annotations

import click

from vmdev.replay.machines import MACHINES

from .output import table


@click.command()
def machines() -> None:
    """List the machines that a trace can be replayed into.

    Example:

    \b
        vmdev machines
    """
    click.echo(table([(name, title) for name, (title, _) in MACHINES.items()]), nl=False)
