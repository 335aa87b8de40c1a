"""Replays several traces, each in a process of its own, so many at a time as there are to be jobs.

One trace is never split: the models carry their state from each exit to the next. A process that ends early, for
whatever reason, costs the verdict on its trace and nothing else.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, NamedTuple

from vmdev.replay.errors import VmdevError
from vmdev.replay.replayer import Replayer
from vmdev.replay.report.combined import Outcome
from vmdev.replay.trace.reader import TraceReader

TELL_S: Final = 0.1
"""Between two reports of a process on how far it is."""

Make = Callable[[TraceReader], Replayer]
"""Prepares the replay of a trace."""

Notes = Callable[[TraceReader], list[str]]
"""What the user should know of a trace before its verdict."""


class Result(NamedTuple):
    """What a process found."""

    outcome: Outcome
    notes: list[str]


class _Shard(NamedTuple):
    number: int
    process: multiprocessing.process.BaseProcess
    connection: Connection
    weight: int


def replay_all(
    traces: Sequence[Path], make: Make, notes: Notes, jobs: int, progress: Callable[[int], None]
) -> list[Result]:
    """Replay all traces, and return what became of each, in their order.

    Args:
        traces: the files.
        make: prepares a replay, in the trace's process.
        notes: asked there, too.
        jobs: processes at a time.
        progress: called with how much of the total `weight` of the traces was done since the last call.
    """
    # Forked, a process needs nothing that could not be sent, and no time to start. There is one thread here.
    context = multiprocessing.get_context("fork")
    weights = [weight(path) for path in traces]
    waiting = sorted(range(len(traces)), key=weights.__getitem__)  # the largest last, which is taken first
    results: dict[int, Result] = {}
    running: dict[Connection, _Shard] = {}
    done = [0] * len(traces)

    def tell(number: int, now: int) -> None:
        progress(now - done[number])
        done[number] = now

    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(theirs, traces[number], make, notes), daemon=True)
                process.start()
                theirs.close()
                running[ours] = _Shard(number, process, ours, weights[number])
            for connection in wait(list(running)):
                shard = running[connection]  # type: ignore[index]
                try:
                    message = shard.connection.recv()
                except EOFError:
                    message = None
                if isinstance(message, float):
                    tell(shard.number, int(message * shard.weight))
                    continue
                shard.process.join()
                shard.connection.close()
                del running[shard.connection]
                path = traces[shard.number]
                results[shard.number] = message or Result(Outcome(str(path), None, _died(path, shard.process)), [])
                tell(shard.number, shard.weight)
    finally:
        for shard in running.values():
            shard.process.kill()
        for shard in running.values():
            shard.process.join()
    return [results[number] for number in range(len(traces))]


def weight(path: Path) -> int:
    """What a trace counts for in a progress bar: its size, which is known before it is opened."""
    try:
        return max(1, path.stat().st_size)
    except OSError:
        return 1


def _died(path: Path, process: multiprocessing.process.BaseProcess) -> str:
    status = process.exitcode or 0
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return f"{path}: the process that replayed it ended {how}"


def _work(connection: Connection, path: Path, make: Make, notes: Notes) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
    try:
        connection.send(_replay(connection, path, make, notes))
    except BrokenPipeError:  # it is not there any more
        sys.exit(1)


def _replay(connection: Connection, path: Path, make: Make, notes: Notes) -> Result:
    found: list[str] = []
    try:
        with TraceReader(path) as reader:
            found = notes(reader)
            verdict = make(reader).run(_Teller(connection, reader.exit_count))
    except BrokenPipeError:
        raise
    except (VmdevError, OSError) as error:
        return Result(Outcome(str(path), None, str(error)), found)
    except Exception:
        traceback.print_exc()
        trouble = f"{path}: this is a bug in vmdev; please report it with the lines above"
        return Result(Outcome(str(path), None, trouble), found)
    verdict.trace = replace(verdict.trace, name=str(path))
    return Result(Outcome(str(path), verdict), found)


class _Teller:
    """Tells the other process how far we are, as a share of the whole, now and then."""

    def __init__(self, connection: Connection, length: int) -> None:
        self._connection = connection
        self._length = max(1, length)
        self._done = 0
        self._next_s = time.monotonic() + TELL_S

    def __call__(self, exits: int) -> None:
        self._done += exits
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + TELL_S
            self._connection.send(self._done / self._length)
