"""The golden traces: complete, small, and each modelled device agrees.

That each verdict is as blessed, down to every count, is for vmdev's pytest plugin, which collects traces/*.db and
compares with the goldens beside them: `vmdev_traces` in pyproject.toml. A golden is made with `vmdev bless`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from vmdev.cli.pytest_plugin import Vmdev
from vmdev.replay import goldens
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
def test_every_modelled_device_agrees_and_outcomes_add_up(name: str, vmdev: Vmdev) -> None:
    verdict = as_dict(vmdev.replay(f"traces/{name}.db"))
    totals = verdict["totals"]
    assert sum(totals[outcome] for outcome in OUTCOMES) == totals["exits"] == verdict["trace"]["exits"]
    assert totals["diverged"] == 0
    assert totals["learned"] + totals["assumed"] <= MAX_NOT_COMPUTED * totals["reads"]
    for device in verdict["devices"]:
        assert sum(device[outcome] for outcome in OUTCOMES) == device["exits"]


def test_every_trace_has_a_golden_and_none_is_orphaned() -> None:
    assert goldens.orphans(TRACES) == []
    assert [name for name in NAMES if goldens.read_beside(TRACES / f"{name}.db") is None] == []
