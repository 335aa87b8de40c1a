"""The verdicts on several traces in one report: text with a row a trace, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..activity import Activity
from ..printable import printable
from ..verdict import Tally, Verdict
from .json import VERSION, as_dict
from .json import _tally as tally_as_dict
from .text import render as render_one
from .wording import number, percent, table

COLUMNS: Final = ("trace", "exits", "checked", "roots", "consequences", "unmodelled", "unclaimed", "agreement", "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trace."""

    trace: str
    """As the user calls it."""
    verdict: Verdict | None = None
    trouble: str = ""
    """Why there is no verdict."""
    activity: Activity | None = None
    """How busy the devices were, if somebody asked for a report that shows it."""


def as_text(outcomes: Sequence[Outcome], limit: int | None = None) -> str:
    """The counts of all traces, then the reports of those that diverge, each with at most `limit` roots in full."""
    blocks = [_headline(outcomes), table(list(COLUMNS), [_row(outcome) for outcome in outcomes])]
    summary = "".join(f"{printable(line)}\n" for line in "\n\n".join(blocks).splitlines())
    diverging = [outcome.verdict for outcome in outcomes if outcome.verdict is not None and not outcome.verdict.agrees]
    return summary + "".join(f"\n{'=' * 78}\n{render_one(verdict, limit)}" for verdict in diverging)


def as_json(outcomes: Sequence[Outcome], limit: int | None = None) -> str:
    """One document: the documents of all traces, and whether all is well."""
    totals = Tally()
    for outcome in outcomes:
        if outcome.verdict is not None:
            totals.add(outcome.verdict.totals)
    document = {
        "version": VERSION,
        "agrees": all(outcome.verdict is not None and outcome.verdict.agrees for outcome in outcomes),
        "totals": tally_as_dict(totals),
        "traces": [
            {"trace": {"name": outcome.trace}, "error": outcome.trouble}
            if outcome.verdict is None
            else as_dict(outcome.verdict, limit)
            for outcome in outcomes
        ],
    }
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n"


def _headline(outcomes: Sequence[Outcome]) -> str:
    failed = sum(outcome.verdict is None for outcome in outcomes)
    agreeing = sum(outcome.verdict is not None and outcome.verdict.agrees for outcome in outcomes)
    diverging = len(outcomes) - failed - agreeing
    parts = [f"{agreeing:,} agree" + ("s" if agreeing == 1 else "")]
    if diverging:
        parts.append(f"{diverging:,} diverge" + ("s" if diverging == 1 else ""))
    if failed:
        parts.append(f"{failed:,} could not be replayed")
    return f"{number(len(outcomes), 'trace')}: {', '.join(parts)}."


def _row(outcome: Outcome) -> list[str]:
    if outcome.verdict is None:
        return [outcome.trace, *["-"] * (len(COLUMNS) - 2), "not replayed"]
    totals = outcome.verdict.totals
    counts = (
        totals.exits,
        totals.checked,
        totals.roots,
        totals.consequences,
        totals.unmodelled,
        totals.unclaimed_reads + totals.unclaimed_writes,
    )
    word = "" if outcome.verdict.agrees else "diverges"
    return [outcome.trace, *(f"{count:,}" for count in counts), percent(totals.agreement), word]
