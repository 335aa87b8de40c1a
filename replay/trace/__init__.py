"""The recorded trace: the only code that knows SQL. traces/README.md describes the format."""

from __future__ import annotations

from .completeness import Verification, find_gaps, find_losses, verify
from .reader import TraceReader
from .rows import Event, ExitRow, Interrupt, Site
from .schema import FORMAT, U64_MASK
from .writer import TraceWriter

__all__ = [
    "FORMAT",
    "U64_MASK",
    "Event",
    "ExitRow",
    "Interrupt",
    "Site",
    "TraceReader",
    "TraceWriter",
    "Verification",
    "find_gaps",
    "find_losses",
    "verify",
]
