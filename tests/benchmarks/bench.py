"""What vmdev costs: recording beside plain QEMU, replaying beside merely reading the rows.

Each figure is a ratio of medians over pairs that were run in turn, so that a slow moment of the machine hits both
sides. Not a test: nothing here fails because a machine is slow.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import guests

from vmdev.cli.qemu import command
from vmdev.cli.qemu.binary import Qemu, find_plugin, find_qemu
from vmdev.cli.qemu.ops_events import EVENTS
from vmdev.replay.device import Device
from vmdev.replay.errors import RecordError
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


class Guest(NamedTuple):
    """What QEMU runs."""

    name: str
    program: str
    arguments: tuple[str, ...]


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


def linux_pc(directory: Path) -> Guest:
    """SeaBIOS and Debian's kernel, which lists its devices and reboots."""
    return Guest(
        "Linux on pc",
        "qemu-system-x86_64",
        (
            *("-M", "pc", "-nodefaults", "-display", "none", "-m", "256", "-serial", "stdio", "-no-reboot"),
            *("-kernel", str(guests.kernel()), "-initrd", str(guests.initramfs(directory))),
            *("-append", "console=ttyS0 nokaslr panic=-1 end=reboot"),
        ),
    )


def linux_aarch64(directory: Path) -> Guest:
    """Debian's kernel for 64-bit ARM, which lists its devices and powers off."""
    flavour = ("cloud-arm64", "arm64")
    return Guest(
        "Linux on aarch64",
        "qemu-system-aarch64",
        (
            *("-M", "virt", "-cpu", "cortex-a57", "-nodefaults", "-display", "none", "-m", "256", "-serial", "stdio"),
            *("-no-reboot", "-kernel", str(guests.kernel(*flavour))),
            *("-initrd", str(guests.initramfs(directory, *flavour))),
            *("-append", "console=ttyAMA0 nokaslr panic=-1 end=poweroff"),
        ),
    )


def peak_kib(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process; its largest resident set."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return usage.ru_maxrss


def recording(guest: Guest, pairs: int, directory: Path) -> None:
    """Recording beside plain QEMU, beside a callback on every memory instruction, beside QEMU's own trace log."""
    qemu: Qemu = find_qemu(guest.program)
    trace, log = directory / "recorded.db", directory / "events.log"
    peaks: dict[str, list[int]] = {}

    def run(side: str, *extra: str) -> Callable[[], object]:
        arguments = command.complete(guest.arguments, None, typed_input=False).arguments

        def once() -> None:
            trace.unlink(missing_ok=True)
            log.unlink(missing_ok=True)
            with subprocess.Popen(
                [qemu.path, *arguments, *extra], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            ) as process:
                peaks.setdefault(side, []).append(peak_kib(process))

        return once

    def plugin(mmio: str) -> tuple[str, str]:
        return "-plugin", f"{find_plugin(qemu)},trace={trace},mmio={mmio}"

    events = [word for event in EVENTS for word in ("-trace", event)]
    full, logged, plain, fast = in_turn(  # what is compared first, side by side
        pairs,
        run("full", *plugin("full")),
        run("logged", *events, "-D", str(log)),
        run("plain"),
        run("fast", *plugin("fast")),
    )
    with TraceReader(trace) as reader:
        exits = reader.exit_count
    growth = statistics.median(peaks["fast"]) - statistics.median(peaks["plain"])
    say(f"{guest.name}: plain QEMU ({exits:,} accesses)", f"{plain.median:.2f} s")
    say(f"{guest.name}: recording with --mmio fast / plain", f"{fast.median / plain.median:.2f} x")
    say(f"{guest.name}: recording with --mmio full / plain", f"{full.median / plain.median:.2f} x")
    say(f"{guest.name}: QEMU's own log of memory_region_ops_* / plain", f"{logged.median / plain.median:.2f} x")
    say(f"{guest.name}: size of the trace, everything included", f"{trace.stat().st_size / exits:.1f} bytes/exit")
    say(f"{guest.name}: memory beyond plain QEMU's", f"{growth / 1024:.1f} MiB")


def read_rows(path: Path) -> None:
    """What any reader has to do: fetch the rows as tuples."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(
            "SELECT seq, t_ns + dt_ns, site, value FROM epoch CROSS JOIN exit ON seq BETWEEN first AND last "
            "ORDER BY first, seq"
        )
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


GUESTS: dict[str, Callable[[Path], Guest]] = {
    "seabios": lambda directory: Guest("SeaBIOS on pc", command.DEFAULT_PROGRAM, command.DEFAULT_GUEST),
    "linux-pc": linux_pc,
    "linux-aarch64": linux_aarch64,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--only", choices=[*GUESTS, "replay"], help="one guest's recording, or replaying")
    options = parser.parse_args()
    pairs = options.pairs
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, medians of {pairs} runs in turn")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for guest, make in GUESTS.items():
            if options.only in (None, guest):
                try:
                    recording(make(directory), pairs, directory)
                except (guests.UnavailableError, RecordError) as error:
                    say(f"{guest}: {error}", "skipped")
        if options.only not in (None, "replay"):
            return
        synthetic = directory / "synthetic.db"
        make_synthetic(synthetic)
        replaying("trivial device", pairs, synthetic, scratch_board)
    replaying("traces/seabios-pc.db", pairs, GOLDEN, lambda reader: build(reader.guest))


if __name__ == "__main__":
    main()
