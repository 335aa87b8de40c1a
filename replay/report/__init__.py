"""Reports: pure functions from a verdict to text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..verdict import Verdict
from . import json, text

__all__ = ["FORMATS"]

FORMATS: Final[dict[str, Callable[[Verdict, int | None], str]]] = {"text": text.render, "json": json.render}
"""By name: what makes the report of a verdict, given how many divergences to show at most (None: the usual number)."""
