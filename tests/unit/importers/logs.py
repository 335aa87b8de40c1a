"""What tests of importers share: a log as a text, and what an import made of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vmdev.replay.importers import FORMATS, Hints, Import, Imported, read_lines
from vmdev.replay.importers.records import NO_HINTS
from vmdev.replay.trace import U64_MASK, Event, TraceReader, TraceWriter


@dataclass
class Result:
    """What an import has found and written."""

    found: Imported
    rows: list[tuple[str, int, int, int]]
    """Direction, address, size and value of each access."""
    reader: TraceReader
    path: Path

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(event.kind, event.detail) for event in self.reader.events()]

    def event(self, kind: str) -> Event:
        (found,) = (event for event in self.reader.events() if event.kind == kind)
        return found


Importing = Callable[..., Result]


Importing = Callable[..., Result]


def run_import(path: Path, form: str, text: str | bytes, hints: Hints = NO_HINTS) -> Imported:
    """Import a text as a log of a format."""
    data = text.encode() if isinstance(text, str) else text
    with TraceWriter(path, overwrite=True) as writer:
        return Import(FORMATS[form](hints), writer).run(read_lines(io.BytesIO(data)))


def result(path: Path, found: Imported) -> Result:
    """What is in the trace that an import has made."""
    reader = TraceReader(path)
    sites = reader.sites
    rows = [
        (sites[site].direction, sites[site].address, sites[site].size, value & U64_MASK)
        for chunk in reader.exits()
        for _, _, site, value in chunk
    ]
    return Result(found, rows, reader, path)
