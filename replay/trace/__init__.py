"""The recorded trace: the only code that knows SQL. traces/README.md describes the format."""

from __future__ import annotations

from .completeness import find_gaps
from .reader import TraceReader
from .rows import Event, ExitRow, Site
from .schema import FORMAT, U64_MASK
from .writer import TraceWriter

__all__ = ["FORMAT", "U64_MASK", "Event", "ExitRow", "Site", "TraceReader", "TraceWriter", "find_gaps"]
