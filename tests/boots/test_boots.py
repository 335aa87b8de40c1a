"""Whole boots of real guests prove the recorder: it misses nothing, it is exact, and it does not disturb the guest."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path

import pytest
from matrix import ALL, DEVICES, REPRODUCIBLE, SMP, Boot
from runs import Runs, record, vmdev

from vmdev.replay.trace.reader import TraceReader

pytestmark = pytest.mark.boots

ACCESS = "SELECT seq, t_ns, vcpu, pc, space, direction, address, size, value, text, region FROM access ORDER BY seq"


def each(boots: Iterable[Boot]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "boot", [pytest.param(b, id=b.name, marks=[pytest.mark.quick] if b.quick else []) for b in boots]
    )


# Reproducible guests


def accesses(path: Path) -> Iterator[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield from connection.execute(ACCESS)


def check_same(trace: Path, other: Path) -> None:
    """Every access and every event of two traces is the same, its time included."""
    last: tuple[object, ...] | None = None
    for ours, theirs in zip_longest(accesses(trace), accesses(other)):
        assert ours == theirs, f"after {last}"
        last = ours
    with TraceReader(trace) as reader, TraceReader(other) as other_reader:
        assert reader.events() == other_reader.events()
        assert reader.regions == other_reader.regions
        assert reader.exit_count > 1000


@each(REPRODUCIBLE)
def test_no_asynchronous_source(runs: Runs, boot: Boot) -> None:
    """The recorder says of these guests what the next two tests rely on."""
    with TraceReader(runs.recording(boot).trace) as trace:
        assert json.loads(str(trace.meta["async_sources"])) == []
        assert trace.meta["clock"] == "virtual"


@each(REPRODUCIBLE)
def test_two_recordings_are_equal(runs: Runs, boot: Boot) -> None:
    check_same(runs.recording(boot).trace, runs.recording(boot, number=2).trace)


@each(REPRODUCIBLE)
def test_fast_is_full(runs: Runs, boot: Boot) -> None:
    full = runs.recording(boot, "full").trace
    check_same(runs.recording(boot).trace, full)
    with TraceReader(full) as trace:
        assert trace.meta["mmio_fast_misses"] == 0


@each(boot for boot in REPRODUCIBLE if boot.says)
def test_the_guest_is_not_disturbed(runs: Runs, boot: Boot) -> None:
    """It says the same, and comes to the same end. Of a guest without an end, as much as was recorded is compared."""
    plain = runs.plain(boot)
    assert runs.recording(boot).console == plain.console
    assert plain.status == (0 if boot.ends else None)


# Guests with disks, networks and many devices; guests with several CPUs


@each(DEVICES)
def test_fast_misses_nothing(runs: Runs, boot: Boot) -> None:
    """In mmio=full, the recorder counts the accesses that mmio=fast would not have seen."""
    assert runs.command(boot).count("-device") >= 20
    with TraceReader(runs.recording(boot, "full").trace) as trace:
        assert trace.meta["mmio_fast_misses"] == 0
        regions = {site.region for site in trace.sites}
        assert len(regions) >= boot.regions, sorted(regions)
        assert json.loads(str(trace.meta["async_sources"])) != []


@each(SMP)
def test_fast_misses_nothing_of_several_cpus(runs: Runs, boot: Boot) -> None:
    with TraceReader(runs.recording(boot, "full").trace) as trace:
        assert trace.meta["mmio_fast_misses"] == 0
        assert trace.meta["clock"] == "host"
        assert {site.vcpu for site in trace.sites} == set(range(int(trace.meta["smp"])))


VARIES = (
    (re.compile(r"^ *\w+:( +\d+)+"), "COUNTS"),  # of interrupts
    (re.compile(r"\[ *\d+\.\d+\]|\d\d:\d\d:\d\d \d{4}|\d+\.\d+ seconds"), "TIME"),
    (re.compile(r"drive 0x[0-9a-f]+"), "drive ADDRESS"),  # SeaBIOS allocates as it finds them
)


def settled(console: str) -> list[str]:
    """The console's lines without what varies, sorted: drivers get on as their disks answer."""
    lines = console.splitlines()
    for pattern, name in VARIES:
        lines = [pattern.sub(name, line).rstrip() for line in lines]
    return sorted(lines)


@each([*DEVICES, *SMP])
def test_the_guest_is_not_disturbed_beyond_what_differs_anyway(runs: Runs, boot: Boot) -> None:
    """What two runs without the recorder print alike, a run with it prints, too, and nothing else."""
    one, two = (runs.plain(boot, number) for number in (1, 2))
    assert [one.status, two.status] == [0 if boot.ends else None] * 2
    ours, theirs, others = (settled(run.console) for run in (runs.recording(boot), one, two))
    differs = set(theirs) ^ set(others)
    assert [line for line in ours if line not in differs] == [line for line in theirs if line not in differs]


# Against QEMU's own trace events


@cache
def has_verify() -> bool:
    done = subprocess.run([vmdev(), "record", "--help"], capture_output=True, text=True, check=True)
    return "--verify" in done.stdout


@each(ALL)
def test_agrees_with_qemus_own_events(runs: Runs, boot: Boot, tmp_path: Path) -> None:
    """100 % of the guest's accesses, each explained by a rule that ``vmdev record --verify`` names."""
    if not has_verify():
        pytest.skip("this vmdev has no record --verify")
    done = record("-o", tmp_path / "t.db", "--verify", *boot.limits, "--", *runs.command(boot))
    assert done.returncode == 0, done.stderr
    print(done.stderr)
