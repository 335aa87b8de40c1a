"""Reports: pure functions from a verdict to text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..verdict import Verdict
from . import combined, json, text
from .combined import Outcome

__all__ = ["COMBINED", "FORMATS", "Outcome"]

FORMATS: Final[dict[str, Callable[[Verdict, int | None], str]]] = {"text": text.render, "json": json.render}
"""By name: what makes the report of a verdict, given how many divergences to show at most (None: the usual number)."""

COMBINED: Final[dict[str, Callable[[Sequence[Outcome], int | None], str]]] = {
    "text": combined.as_text,
    "json": combined.as_json,
}
"""The same for the report of what became of several traces."""
