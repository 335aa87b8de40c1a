"""Work in several processes."""

from __future__ import annotations

import os
import signal

import pytest

from vmdev.replay.errors import MutatingError, TraceError
from vmdev.replay.mutating.pool import spread


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_everything_is_done_once(jobs: int) -> None:
    assert dict(spread(lambda number: number * number, 20, jobs)) == {number: number * number for number in range(20)}


def test_it_is_done_elsewhere_unless_there_is_one_job() -> None:
    assert {pid for _, pid in spread(lambda number: os.getpid(), 5, 1)} == {os.getpid()}
    assert os.getpid() not in {pid for _, pid in spread(lambda number: os.getpid(), 5, 2)}


def test_no_work_needs_no_process() -> None:
    assert [*spread(lambda number: number, 0, 4)] == []


def test_trouble_is_passed_on() -> None:
    def fail(number: int) -> int:
        raise TraceError("it is damaged")

    with pytest.raises(TraceError, match="it is damaged"):
        dict(spread(fail, 5, 2))


def test_a_process_that_dies_is_noticed() -> None:
    def die(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(MutatingError, match="a process ended early, with status -9"):
        dict(spread(die, 9, 2))


def test_a_bug_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(number: int) -> int:
        raise ZeroDivisionError("a bug")

    with pytest.raises(MutatingError, match="with status 1"):
        dict(spread(fail, 9, 2))
    assert "ZeroDivisionError: a bug" in capfd.readouterr().err


def test_who_loses_interest_leaves_no_process() -> None:
    results = spread(lambda number: os.getpid(), 9, 2)
    _, pid = next(results)
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
