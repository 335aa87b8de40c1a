"""Several traces in one call, each replayed in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.cli import shards
from vmdev.replay.errors import DeviceConfigError
from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace import TraceReader, TraceWriter

Run = Callable[..., Result]

# The processes are forked, and from 3.12 on Python warns if there are threads, as pytest-xdist has them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def record(path: Path, *answers: int) -> Path:
    """Reads of the RTC's register D, which always answers 0x80."""
    with TraceWriter(path, meta={"machine": "pc", "target": "x86_64", "rtc_base": "2026-01-01T00:00:00"}) as writer:
        writer.add_exit(1000, writer.add_site(address=0x70, direction="w"), 0x0D)
        data = writer.add_site(address=0x71, direction="r")
        for number, answer in enumerate(answers):
            writer.add_exit(2000 + number, data, answer)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return record(tmp_path / "good.db", 0x80, 0x80)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return record(tmp_path / "bad.db", 0x80, 0x00, 0x01)


def make(reader: TraceReader) -> Replayer:
    return Replayer(reader, build(reader.guest), name=reader.path.name)


def no_notes(reader: TraceReader) -> list[str]:
    return []


def outcomes(traces: list[Path], make: shards.Make = make, jobs: int = 2) -> list[tuple[str, bool, str]]:
    """For each trace: its name, whether it has a verdict, what the trouble was."""
    results = shards.replay_all(traces, make, no_notes, jobs, lambda done: None)
    return [(result.outcome.trace, result.outcome.verdict is not None, result.outcome.trouble) for result in results]


# The command


def test_a_row_for_each_trace_and_the_report_of_those_that_diverge(run: Run, good: Path, bad: Path) -> None:
    result = run("replay", good, bad, good, "--jobs", 2)
    assert result.exit_code == 1
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "3 traces: 2 agree, 1 diverges."
    assert [line.split()[0] for line in lines[3:6]] == [str(good), str(bad), str(good)]
    assert [line.endswith("diverges") for line in lines[3:6]] == [False, True, False]
    assert result.stdout.count("1 root divergence and 1 consequence, in rtc") == 1
    assert f"{bad}: 4 exits" in result.stdout
    assert "checked reads match; 0 divergences" not in result.stdout


def test_all_agree(run: Run, good: Path) -> None:
    result = run("replay", good, good)
    assert result.exit_code == 0
    assert result.stdout.startswith("2 traces: 2 agree.\n")


def test_limit_holds_for_each_trace(run: Run, bad: Path) -> None:
    assert run("replay", bad, bad, "--limit", 0).stdout.count("--limit shows them") == 2


def test_json_is_one_document(run: Run, good: Path, bad: Path) -> None:
    result = run("replay", good, bad, "missing.db", "--format", "json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert (document["version"], document["agrees"]) == (1, False)
    assert [each["trace"]["name"] for each in document["traces"]] == [str(good), str(bad), "missing.db"]
    assert document["traces"][0]["agrees"]
    assert [each["kind"] for each in document["traces"][1]["divergences"]] == ["root", "consequence"]
    assert document["traces"][2]["error"].startswith("missing.db: no such file")
    assert document["totals"]["exits"] == sum(each["totals"]["exits"] for each in document["traces"][:2])


def test_trouble_with_one_trace_does_not_keep_the_others_from_being_replayed(
    run: Run, good: Path, bad: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(good.read_bytes()[:5000])
    result = run("replay", damaged, good, tmp_path / "missing.db", bad, "--jobs", 1)
    assert result.exit_code == 2
    assert result.stdout.startswith("4 traces: 1 agrees, 1 diverges, 2 could not be replayed.\n")
    assert result.stdout.count("not replayed\n") == 2
    errors = result.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"Error: {damaged}: ")
    assert errors[1].startswith(f"Error: {tmp_path / 'missing.db'}: no such file")


def test_an_option_that_fits_no_trace_is_trouble_with_each(run: Run, good: Path) -> None:
    result = run("replay", good, good, "--device", "nothing")
    assert result.exit_code == 2
    assert result.stderr.count("pc has no device 'nothing'") == 2


def test_notes_name_their_trace(run: Run, good: Path, tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "cut.db", meta={"machine": "pc"})
    writer.add_exit(0, writer.add_site(address=0x92, direction="r"), 0)
    writer.suspend()
    result = run("replay", good, tmp_path / "cut.db")
    assert result.stderr.startswith(f"WARNING: {tmp_path / 'cut.db'}: the recording was cut off")


# The processes


def test_results_come_in_the_order_of_the_traces(tmp_path: Path) -> None:
    traces = [record(tmp_path / f"{number}.db", *[0x80] * (1 + 3000 * (number % 2))) for number in range(6)]
    assert [name for name, _, _ in outcomes(traces, jobs=3)] == [str(path) for path in traces]


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_processes_than_jobs(good: Path, tmp_path: Path, jobs: int) -> None:
    here = tmp_path / "here"
    here.mkdir()

    def slow(reader: TraceReader) -> Replayer:
        (here / str(os.getpid())).touch()
        if len(list(here.iterdir())) > jobs:
            raise DeviceConfigError("too many")
        time.sleep(0.05)
        (here / str(os.getpid())).unlink()
        return make(reader)

    assert {trouble for _, _, trouble in outcomes([good] * 5, slow, jobs)} == {""}


def test_progress_adds_up_to_the_weight_of_all_traces(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "TELL_S", 0.0)
    long = record(tmp_path / "long.db", *[0x80] * 20_000)
    traces = [good, long, tmp_path / "missing.db"]
    steps: list[int] = []
    shards.replay_all(traces, make, no_notes, 2, steps.append)
    assert min(steps) >= 0
    assert sum(steps) == sum(map(shards.weight, traces))
    assert len(steps) > len(traces)


@pytest.mark.parametrize(
    ("end", "how"),
    [(lambda: os._exit(3), "with status 3"), (lambda: os.kill(os.getpid(), signal.SIGKILL), "by signal 9")],
)
def test_a_process_that_ends_costs_its_own_verdict_only(
    good: Path, bad: Path, end: Callable[[], object], how: str
) -> None:
    def dies(reader: TraceReader) -> Replayer:
        if reader.path == bad:
            end()
        return make(reader)

    assert outcomes([good, bad, good], dies) == [
        (str(good), True, ""),
        (str(bad), False, f"{bad}: the process that replayed it ended {how}"),
        (str(good), True, ""),
    ]


def test_a_bug_is_told_with_its_traceback(good: Path, bad: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fails(reader: TraceReader) -> Replayer:
        if reader.path == bad:
            raise KeyError("oops")
        return make(reader)

    assert [trouble for _, _, trouble in outcomes([good, bad], fails)] == [
        "",
        f"{bad}: this is a bug in vmdev; please report it with the lines above",
    ]
    assert "KeyError: 'oops'" in capfd.readouterr().err


SLOW = """
import os, sys, time
from pathlib import Path
from vmdev.cli import shards
def make(reader):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
shards.replay_all([Path(sys.argv[1])] * 2, make, lambda reader: [], 2, lambda done: None)
"""


def test_ctrl_c_ends_all_processes(good: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(good)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        workers = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert errors.count("Traceback") == 1, "that of the one which was interrupted"
    assert errors.rstrip().endswith("KeyboardInterrupt")
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
