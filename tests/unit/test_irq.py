"""Lines carry levels, and tell of changes only."""

from __future__ import annotations

from vmdev.replay.irq import Line


def test_sinks_hear_changes_only() -> None:
    first: list[bool] = []
    second: list[bool] = []
    line = Line(first.append)
    line.connect(second.append)
    for level in (False, True, True, False, False, True):
        line.set(level)
    assert first == second == [True, False, True]
    assert line.level is True
