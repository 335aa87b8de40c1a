"""A line on stderr that tells how far a command got."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

import click

from vmdev.replay.printable import printable

LOG_S: Final = 5.0
"""Between two lines, where they stay."""


def teller(label: str) -> Callable[[str], None]:
    """What shows such a line: on a terminal in place of the one before, elsewhere now and then."""
    next_s = 0.0

    def tell(text: str) -> None:
        nonlocal next_s
        line = printable(f"{label}: {text}")
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        elif time.monotonic() >= next_s:
            next_s = time.monotonic() + LOG_S
            click.echo(line, err=True)

    return tell


def forget() -> None:
    """Remove the line from a terminal, to make room for what stays."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
