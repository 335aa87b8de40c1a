"""`vmdev mutate` takes short cuts; a replay of the whole trace finds the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from vmdev.cli.judging import Judging
from vmdev.replay.mutating import Adequacy, Limits, mutate
from vmdev.replay.mutating.faults import apply
from vmdev.replay.mutating.trial import Trial
from vmdev.replay.selection import Selection
from vmdev.replay.trace.reader import TraceReader

TRACES = Path(__file__).parents[2] / "traces"
SAMPLES = 8


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("seabios-q35-devices", "pic"),
        ("seabios-q35-devices", "rtc"),
        ("seabios-q35-devices", "i8042"),
        ("seabios-q35-devices", "smi"),
        ("seabios-q35-devices", "virtio-blk@01:00.0"),
        ("linux-pc", "com1"),
        ("linux-pc", "port61"),
        ("linux-pc", "pmtimer"),
    ],
)
def test_mutants_fare_as_in_the_whole_trace(name: str, device: str) -> None:
    path = TRACES / f"{name}.db"
    bench = Judging().bench(path)
    found = Adequacy(device)
    with TraceReader(path) as trace:
        assert mutate(trace, name, bench, found, Limits(jobs=2))
        assert found.total.killed
        assert not found.total.untried
        plan = Trial(trace, bench, device)._survey.plan
        choose = random.Random(5)
        for is_killed in (True, False):
            alike = [fate for fate in found.fates if fate.is_killed == is_killed]
            for fate in choose.sample(alike, min(SAMPLES, len(alike))):
                board = bench.board(trace.guest)
                apply(fate.mutant, board, device, plan)
                verdict = bench.replayer(trace, board, Selection(until_divergence=True)).run()
                assert bool(verdict.roots) == is_killed, fate
