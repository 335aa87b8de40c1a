"""Options that are ranges: ``A:B``, of numbers or of times."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import click

from vmdev.replay.selection import Bounds

from . import times

__all__ = ["Bounds", "bounds", "parse_integer", "parse_time"]


def bounds(parse: Callable[[str], int]) -> Callable[[click.Context, click.Parameter, str | None], Bounds]:
    """What turns an option's ``A:B``, ``A:``, ``:B`` or ``A`` alone into bounds; `parse` reads A and B."""

    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> Bounds:
        if value is None:
            return None, None
        first, colon, last = value.partition(":")
        try:
            low = parse(first) if first else None
            high = parse(last) if last else None if colon else low
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
        if low is None and high is None:
            raise click.BadParameter(f"must be like 10:20, 10:, :20 or 10, not {value!r}")
        if low is not None and high is not None and high < low:
            raise click.BadParameter(f"must not end before it begins: {value!r}")
        return low, high

    return convert


def parse_integer(text: str) -> int:
    """A decimal number, or one with a prefix: ``0x3f8``.

    Raises:
        ValueError: it is none.
    """
    try:
        number = int(text, 0)
    except ValueError:
        raise ValueError(f"{text!r} is not a number like 1000 or 0x3f8") from None
    if number < 0:
        raise ValueError(f"{text!r} is negative")
    return number


parse_time: Final = partial(times.parse_time, unit="ns", latest_ns=None)
"""A time in ns, or in the unit that follows it: ``1.5ms``. Raises ValueError, as `times.parse_time`."""
