"""Reports: pure functions from what became of traces to text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from . import combined, json, text
from .combined import Outcome

__all__ = ["FORMATS", "NEEDS_ACTIVITY", "NEEDS_ONE_TRACE", "SUFFIXES", "Outcome"]

Report = Callable[[Sequence[Outcome], int | None], str]
"""Makes the report of at least one outcome, given how many divergences to show at most (None: the usual number)."""


def _text(outcomes: Sequence[Outcome], limit: int | None) -> str:
    verdict = outcomes[0].verdict
    return text.render(verdict, limit) if verdict and len(outcomes) == 1 else combined.as_text(outcomes, limit)


def _json(outcomes: Sequence[Outcome], limit: int | None) -> str:
    verdict = outcomes[0].verdict
    return json.render(verdict, limit) if verdict and len(outcomes) == 1 else combined.as_json(outcomes, limit)


def _html(outcomes: Sequence[Outcome], limit: int | None) -> str:
    from . import html  # what few ask for is imported for them only

    (outcome,) = outcomes
    assert outcome.verdict is not None
    assert outcome.activity is not None
    return html.render(outcome.verdict, outcome.activity, limit)


def _junit(outcomes: Sequence[Outcome], limit: int | None) -> str:
    from . import junit

    return junit.render(outcomes)


FORMATS: Final[dict[str, Report]] = {"text": _text, "json": _json, "junit": _junit, "html": _html}
"""By name."""

SUFFIXES: Final = {".txt": "text", ".json": "json", ".xml": "junit", ".html": "html"}
"""What a file is, by how its name ends."""

NEEDS_ACTIVITY: Final = frozenset({"html"})
"""Formats that show `Outcome.activity`."""

NEEDS_ONE_TRACE: Final = frozenset({"html"})
"""Formats that have one outcome, with a verdict."""
