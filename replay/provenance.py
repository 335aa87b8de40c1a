"""Where a trace that vmdev did not record came from, and what it lacks: the fact `imported`, read with care."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a trace says of the log it was imported from. Every text is a stranger's."""

    title: str
    losses: tuple[str, ...]
    """What the log never had."""
    notes: tuple[str, ...]
    """What the trace does not hold as the log told it, with counts."""
    form: str = ""
    """What ``vmdev import --format`` calls the log; empty if the trace does not say it."""

    @property
    def sentence(self) -> str:
        """What a verdict on the trace has to say first."""
        lacks = "; ".join((*self.losses, *self.notes)) or "it does not say what it lacks"
        return f"this trace was imported from a {self.title}: {lacks}"


def provenance(meta: Mapping[str, str | int]) -> Provenance | None:
    """Where a trace with these facts came from; None: vmdev recorded it."""
    if "imported" not in meta:
        return None
    try:
        facts = json.loads(str(meta["imported"]))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        return Provenance("log", (), ("its fact 'imported' cannot be read",))
    losses, counted = facts.get("losses"), facts.get("notes")
    notes = [f"{what}: {count:,}" for what, count in _items(counted) if isinstance(count, int)]
    malformed = facts.get("malformed")
    if isinstance(malformed, int) and malformed:
        notes.append(f"malformed lines, left out: {malformed:,}{_places(facts.get('first_malformed'))}")
    return Provenance(
        str(facts.get("title", "log")),
        tuple(map(str, losses)) if isinstance(losses, list) else (),
        tuple(notes),
        str(facts.get("format", "")),
    )


def _items(counted: object) -> list[tuple[str, object]]:
    return [(str(what), count) for what, count in counted.items()] if isinstance(counted, dict) else []


def _places(first: object) -> str:
    numbers = [str(line.get("line")) for line in first if isinstance(line, dict)] if isinstance(first, list) else []
    return f" (the first: {', '.join(numbers[:10])})" if numbers else ""
