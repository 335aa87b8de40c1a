"""Traces for other programs: one exporter for each format. docs/exporting.md says what each is good for, and lacks."""

from __future__ import annotations

from typing import Final

from .csv import Csv
from .exporting import Choice, Exporter, export
from .json_lines import JsonLines
from .mmiotrace import Mmiotrace
from .qtest import Qtest

__all__ = ["FORMATS", "Choice", "Exporter", "export"]

FORMATS: Final[dict[str, type[Exporter]]] = {kind.name: kind for kind in (Qtest, Csv, JsonLines, Mmiotrace)}
"""By name."""
