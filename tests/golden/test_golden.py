"""The golden traces, replayed: each verdict is as blessed, down to every count.

``pytest --update-golden`` blesses what the models answer now; the change of the .json file is what a review looks at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.report.json import as_dict
from vmdev.replay.trace.completeness import find_gaps
from vmdev.replay.trace.reader import TraceReader

TRACES = Path(__file__).parents[2] / "traces"
NAMES = sorted(path.stem for path in TRACES.glob("*.db"))
MAX_BYTES = 2_000_000
WITH_DRIVES = {"linux-microvm", "seabios-pc-devices", "seabios-q35-devices"}
"""Their drives answer at the host's pace: recorded again, they differ in a few reads."""
MAX_NOT_COMPUTED = 0.05

OUTCOMES = (
    "matched",
    "masked",
    "learned",
    "assumed",
    "diverged",
    "unmodelled",
    "unclaimed_reads",
    "delivered",
    "unclaimed_writes",
    "excluded",
)


def golden(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.json")


def verdict_of(name: str) -> dict[str, Any]:
    with TraceReader(TRACES / f"{name}.db") as trace:
        return as_dict(Replayer(trace, build(trace.guest), name=f"{name}.db").run())


def test_there_are_golden_traces() -> None:
    assert "seabios-pc" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_trace_is_complete_small_and_has_a_recipe(name: str) -> None:
    path = TRACES / f"{name}.db"
    with TraceReader(path) as trace:
        assert find_gaps(trace, trace.count_by_site()) == []
        assert (trace.meta["async_sources"] == "[]") == (name not in WITH_DRIVES)
    assert path.stat().st_size < MAX_BYTES
    assert path.with_suffix(".sh").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_verdict_is_as_blessed(name: str, request: pytest.FixtureRequest) -> None:
    verdict = verdict_of(name)
    if request.config.getoption("--update-golden"):
        golden(name).write_text(json.dumps(verdict, indent=1) + "\n")
    assert verdict == json.loads(golden(name).read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_modelled_device_agrees_and_outcomes_add_up(name: str) -> None:
    verdict = verdict_of(name)
    totals = verdict["totals"]
    assert sum(totals[outcome] for outcome in OUTCOMES) == totals["exits"] == verdict["trace"]["exits"]
    assert totals["diverged"] == 0
    assert totals["learned"] + totals["assumed"] <= MAX_NOT_COMPUTED * totals["reads"]
    for device in verdict["devices"]:
        assert sum(device[outcome] for outcome in OUTCOMES) == device["exits"]


def test_no_verdict_is_orphaned() -> None:
    assert sorted(path.stem for path in Path(__file__).parent.glob("*.json")) == NAMES
