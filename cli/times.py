"""Times on the command line, such as ``1.5ms``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

import click

from vmdev.replay.clock import NANOSECONDS_PER_SECOND

_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": NANOSECONDS_PER_SECOND,
    "min": 60 * NANOSECONDS_PER_SECOND,
}
LATEST_NS: Final = 2**63 - 1
"""What the trace can hold."""


def parse_time(text: str, *, unit: str = "s", latest_ns: int | None = LATEST_NS) -> int:
    """A time like 1.5s, 500ms, 2min, 17us or 120ns in ns; a number alone is in `unit`.

    Raises:
        ValueError: it is none, no whole number of ns, or later than `latest_ns`.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|ms|us|ns|min)?", text)
    if found is None:
        raise ValueError(f"{text!r} is not a time like 1000, 20us, 1.5ms or 2s")
    ns = Fraction(found[1]) * _UNITS_NS[found[2] or unit]
    if ns.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of nanoseconds")
    if latest_ns is not None and ns > latest_ns:
        raise ValueError(f"{text!r} is later than a trace can hold")
    return int(ns)


class TimeType(click.ParamType[int]):
    """A time of the guest, in ns."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read an option's value."""
        if isinstance(value, int):
            return value
        try:
            return parse_time(str(value))
        except ValueError:
            self.fail(f"must be a time like 1.5s, 500ms or 2min, not {value!r}", param, ctx)
