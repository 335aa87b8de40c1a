"""Runs a function on many numbers, in several processes.

Forked, a process has all that the function needs, and no time to start. There must be one thread here.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from ..errors import MutatingError, VmdevError

Result = TypeVar("Result")


def spread(work: Callable[[int], Result], count: int, jobs: int) -> Iterator[tuple[int, Result]]:
    """Each number below `count` with what `work` gives for it, in the order in which they are done.

    Args:
        work: with one job, it runs in this process.
        count: how many numbers.
        jobs: processes at a time.

    Raises:
        VmdevError: as `work` raises it.
        MutatingError: a process ended early.
    """
    if jobs <= 1 or count <= 1:
        yield from ((number, work(number)) for number in range(count))
        return
    context = multiprocessing.get_context("fork")
    processes: dict[Connection, BaseProcess] = {}
    asked: dict[Connection, int] = {}
    try:
        for _ in range(min(jobs, count)):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, [ours, *processes], work), daemon=True)
            process.start()
            theirs.close()
            processes[ours] = process
        waiting = iter(range(count))
        for ours, number in zip(processes, waiting, strict=False):
            asked[ours] = number
            ours.send(number)
        while asked:
            for ready in wait(list(asked)):
                assert isinstance(ready, Connection)
                answer = _received(ready, processes[ready])
                yield asked.pop(ready), answer
                following = next(waiting, None)
                if following is not None:
                    asked[ready] = following
                    ready.send(following)
    finally:
        for each in processes.values():
            each.kill()
        for ours, each in processes.items():
            each.join()
            ours.close()


def _received(connection: Connection, process: BaseProcess) -> Any:
    try:
        answer = connection.recv()
    except EOFError:
        process.join()
        raise MutatingError(f"a process ended early, with status {process.exitcode}") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _serve(connection: Connection, others: list[Connection], work: Callable[[int], object]) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
    for other in others:  # which we have because we were forked; while we do, their processes do not see them closed
        other.close()
    try:
        while True:
            try:
                answer: object = work(connection.recv())
            except VmdevError as error:
                answer = error
            except EOFError:
                return
            connection.send(answer)
    except BrokenPipeError:  # it is not there any more
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
