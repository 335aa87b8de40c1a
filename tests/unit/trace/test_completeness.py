from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmdev.replay.trace import TraceReader, TraceWriter, find_gaps


def gaps(path: Path, thorough: bool = True) -> list[str]:
    with TraceReader(path) as trace:
        return find_gaps(trace, trace.count_by_site() if thorough else None)


@pytest.mark.parametrize("thorough", [False, True])
def test_closed_trace_with_the_right_counters_is_complete(trace: Path, thorough: bool) -> None:
    assert gaps(trace, thorough) == []


def test_recording_that_was_cut_off(path: Path) -> None:
    TraceWriter(path).suspend()
    assert gaps(path) == [
        "not closed: the recording was cut off, and its end is missing",
        "the recorder's counters are missing: exits, sites, reads_pio, writes_pio, reads_mmio, writes_mmio, dropped",
    ]


@pytest.mark.parametrize(
    ("statement", "gap"),
    [
        ("UPDATE meta SET value = 'qemu-died' WHERE key = 'end_reason'", "QEMU died while it was being recorded"),
        ("UPDATE meta SET value = 3 WHERE key = 'dropped'", "3 accesses were dropped"),
        ("UPDATE meta SET value = 11 WHERE key = 'exits'", "the recorder counted 11 exits, but the trace holds 10"),
        ("DELETE FROM exit WHERE seq = 9", "the recorder counted 10 exits, but the trace holds 9"),
        ("UPDATE meta SET value = 3 WHERE key = 'sites'", "the recorder counted 3 sites, but the trace holds 2"),
        ("DELETE FROM meta WHERE key = 'dropped'", "the recorder's counters are missing: dropped"),
    ],
)
def test_what_is_told_without_counting(trace: Path, damage: Callable[..., None], statement: str, gap: str) -> None:
    damage("INSERT INTO meta VALUES ('end_reason', 'guest')", statement)
    assert gap in gaps(trace, thorough=False)


@pytest.mark.parametrize(
    ("statement", "gap"),
    [
        ("DELETE FROM exit WHERE seq = 4", "exits are not gapless: 9 rows, but the last is number 9"),
        ("UPDATE exit SET site = 1 WHERE seq = 4", "the recorder counted 5 reads of pio, but the trace holds 4"),
        ("UPDATE exit SET site = 1 WHERE seq = 4", "the recorder counted 5 writes of mmio, but the trace holds 6"),
    ],
)
def test_what_is_told_after_counting(trace: Path, damage: Callable[..., None], statement: str, gap: str) -> None:
    damage(statement)
    assert gap in gaps(trace)
    assert gaps(trace, thorough=False) == []
