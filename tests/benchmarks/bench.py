"""What vmdev costs: recording beside plain QEMU, replaying beside merely reading the rows.

Each figure is a ratio of medians over pairs that were run in turn, so that a slow moment of the machine hits both
sides. Not a test: nothing here fails because a machine is slow.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vmdev.cli.qemu import command
from vmdev.cli.qemu.binary import Qemu, find_plugin, find_qemu
from vmdev.replay.device import Device
from vmdev.replay.machines import Board, build
from vmdev.replay.registers import Register, RegisterMap
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import TraceWriter

GOLDEN = Path(__file__).parents[2] / "traces" / "seabios-pc.db"
SYNTHETIC_EXITS = 500_000
PORT = 0x80


class Timing(NamedTuple):
    """Seconds of several runs."""

    runs: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


class Scratch(Device):
    """The cheapest device there is: one register."""

    registers = RegisterMap(Register("SCR", "Scratch", 0, "rw", reset=0))

    def __init__(self) -> None:
        self.reset()

    def read(self, offset: int, size: int) -> int:
        return self._scr

    def write(self, offset: int, size: int, value: int) -> None:
        self._scr = value

    def reset(self) -> None:
        self._scr = 0

    def state(self) -> dict[str, int]:
        return {"scr": self._scr}


def in_turn(pairs: int, *sides: Callable[[], object]) -> list[Timing]:
    """Run the sides one after the other, `pairs` times, after one run of each that does not count."""
    runs: list[list[float]] = [[] for _ in sides]
    for round_number in range(pairs + 1):
        for side, times in zip(sides, runs, strict=True):
            gc.collect()
            began = time.perf_counter()
            side()
            if round_number:
                times.append(time.perf_counter() - began)
    return [Timing(times) for times in runs]


def say(what: str, figure: str) -> None:
    print(f"{what:<66} {figure:>14}", flush=True)


def recording(pairs: int, directory: Path) -> None:
    qemu: Qemu = find_qemu(command.DEFAULT_PROGRAM)
    arguments = command.complete(command.DEFAULT_GUEST, None, typed_input=False).arguments
    plain = [qemu.path, *arguments]
    trace = directory / "recorded.db"

    def run(*extra: str) -> Callable[[], object]:
        def once() -> None:
            trace.unlink(missing_ok=True)
            subprocess.run(
                [*plain, *extra], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=600
            )

        return once

    def plugin(mmio: str) -> tuple[str, str]:
        return "-plugin", f"{find_plugin(qemu)},trace={trace},mmio={mmio}"

    bare, full, fast = in_turn(pairs, run(), run(*plugin("full")), run(*plugin("fast")))
    with TraceReader(trace) as reader:
        exits = reader.exit_count
    say(f"recording: the demo guest under plain QEMU ({exits:,} accesses)", f"{bare.median:.2f} s")
    say("recording: with --mmio fast / plain", f"{fast.median / bare.median:.2f} x")
    say("recording: with --mmio full / plain", f"{full.median / bare.median:.2f} x")
    say("recording: size of the trace, everything included", f"{trace.stat().st_size / exits:.1f} bytes/exit")


def read_rows(path: Path) -> None:
    """What any reader has to do: fetch the rows as tuples."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        cursor = connection.execute("SELECT seq, t_ns, site, value FROM exit ORDER BY seq")
        while cursor.fetchmany(4096):
            pass


def replaying(name: str, pairs: int, path: Path, board: Callable[[TraceReader], Board]) -> None:
    def replay() -> None:
        with TraceReader(path) as reader:
            Replayer(reader, board(reader)).run()

    rows, replayed = in_turn(pairs, lambda: read_rows(path), replay)
    with TraceReader(path) as reader:
        exits = reader.exit_count
    say(f"{name}: reading the rows with sqlite3", f"{exits / rows.median / 1e6:.2f} M exits/s")
    say(f"{name}: replaying", f"{exits / replayed.median / 1e6:.2f} M exits/s")
    say(f"{name}: replaying / reading, in speed", f"{rows.median / replayed.median:.2f} x")


def make_synthetic(path: Path) -> None:
    with TraceWriter(path, meta={"machine": "pc"}) as writer:
        store = writer.add_site(address=PORT, direction="w")
        load = writer.add_site(address=PORT, direction="r")
        for n in range(SYNTHETIC_EXITS // 2):
            writer.add_exit(1000 * n, store, n & 0xFF)
            writer.add_exit(1000 * n + 500, load, n & 0xFF)


def scratch_board(reader: TraceReader) -> Board:
    board = Board("scratch")
    board.add("scratch", Scratch(), pio=[(PORT, 1)])
    return board


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default: 5)")
    pairs = parser.parse_args().pairs
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, medians of {pairs} runs in turn")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        recording(pairs, directory)
        synthetic = directory / "synthetic.db"
        make_synthetic(synthetic)
        replaying("trivial device", pairs, synthetic, scratch_board)
    replaying("traces/seabios-pc.db", pairs, GOLDEN, lambda reader: build(reader.guest))


if __name__ == "__main__":
    main()
