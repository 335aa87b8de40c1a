"""Recordings made elsewhere: one importer for each format of logs. docs/importing.md says how to make such logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .ftrace import Ftrace
from .importing import Import, Imported, MalformedLine
from .lines import Line, read_lines
from .mmiotrace import Mmiotrace
from .qemu_log import QemuLog
from .records import Hints, Importer
from .renode import Renode

__all__ = ["FORMATS", "Hints", "Import", "Imported", "Importer", "Line", "MalformedLine", "guess", "read_lines"]

FORMATS: Final[dict[str, type[Importer]]] = {kind.name: kind for kind in (QemuLog, Mmiotrace, Ftrace, Renode)}
"""By name."""


def guess(lines: Iterable[Line]) -> type[Importer] | None:
    """The format of a log that begins with `lines`: that of the first line which is of one only. None: of none."""
    for line in lines:
        for kind in FORMATS.values():
            if kind.recognises(line.text):
                return kind
    return None
