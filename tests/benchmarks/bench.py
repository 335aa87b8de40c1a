"""What vmdev costs: recording beside plain QEMU, replaying beside merely reading the rows.

Each figure is a ratio of medians over pairs that were run in turn, so that a slow moment of the machine hits both
sides. Not a test: nothing here fails because a machine is slow.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
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

import generated
from vmdev.cli.against import Opponent
from vmdev.cli.judging import Judging
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
JOB_EXITS = 2_000_000
"""Of each of two traces that are replayed at the same time: enough that starting does not count."""
PORT = 0x80
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Of programs whose start is measured: that they are compiled anew each time is not the usual case."""
VMDEV = Path(sys.executable).with_name("vmdev")


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


def in_turn(pairs: int, *sides: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> list[Timing]:
    """Run the sides one after the other, `pairs` times, after one run of each that does not count.

    `clock` is the processor's for what this process does by itself: others that run then do not count.
    """
    runs: list[list[float]] = [[] for _ in sides]
    for round_number in range(pairs + 1):
        for side, times in zip(sides, runs, strict=True):
            gc.collect()
            began = clock()
            side()
            if round_number:
                times.append(clock() - began)
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

    rows, replayed = in_turn(pairs, lambda: read_rows(path), replay, clock=time.process_time)
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


def replays(pairs: int, traces: list[Path], directory: Path) -> None:
    """Replaying beside reading the rows: a trivial device, whole boots, a short trace of many sites."""
    synthetic = directory / "synthetic.db"
    make_synthetic(synthetic)
    replaying("trivial device", pairs, synthetic, scratch_board)
    for path in traces or [*recorded_boots(directory), GOLDEN]:
        replaying(path.stem, pairs, path, lambda reader: build(reader.guest))


def recorded_boots(directory: Path) -> list[Path]:
    """Linux on a pc, which polls more the shorter an instruction takes; with and without a screen to clear."""
    made = []
    for name, extra in (("linux-pc", ()), ("linux-pc-vga", ("-vga", "std"))):
        try:
            guest = linux_pc(directory)
        except guests.UnavailableError as error:
            say(f"{name}: {error}", "skipped")
            continue
        path = directory / f"{name}-shift-1.db"
        qemu = [guest.program, *guest.arguments, *extra, "-icount", "shift=1,sleep=off"]
        subprocess.run(
            [VMDEV, "record", "-o", path, "--", *qemu], stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        made.append(path)
    return made


def starting(pairs: int, directory: Path) -> None:
    """What a replay costs before its first exit."""
    path = directory / "short.db"
    generated.make(path, 2)
    interpreter, command_line = in_turn(
        pairs,
        lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        lambda: subprocess.run([VMDEV, "replay", path], stdout=subprocess.DEVNULL, check=True, env=ENVIRONMENT),
    )
    say("starting Python", f"{1000 * interpreter.median:.0f} ms")
    say("vmdev replay of a trace of two exits", f"{1000 * command_line.median:.0f} ms")


def several(pairs: int, directory: Path) -> None:
    """Two equal traces, one after the other and at the same time; and what the machine gives two processes at all."""
    path = directory / "half.db"
    generated.make(path, JOB_EXITS)

    def run(jobs: int) -> Callable[[], object]:
        command = [VMDEV, "replay", path, path, "--jobs", str(jobs)]
        return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=ENVIRONMENT)

    def processor_time() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = processor_time()
    run(1)()
    between = processor_time()
    run(2)()
    after = processor_time()

    def counting(at_once: int) -> Callable[[], object]:
        command = [sys.executable, "-c", "sum(n * n % 7 for n in range(10_000_000))"]

        def count() -> None:
            for _ in range(2 // at_once):
                for process in [subprocess.Popen(command) for _ in range(at_once)]:
                    process.wait()

        return count

    one, two, alone, together = in_turn(pairs, run(1), run(2), counting(1), counting(2))
    say("two interpreters that count, at once / in turn, in speed", f"{alone.median / together.median:.2f} x")
    say(f"two traces of {JOB_EXITS:,} exits, --jobs 2 / --jobs 1, in speed", f"{one.median / two.median:.2f} x")
    say("the same, in processor time", f"{(after - between) / (between - before):.2f} x")


def memory(exits: int, directory: Path) -> None:
    """The largest resident set of a process that replays a long trace."""
    path = directory / "long.db"
    generated.make(path, exits)
    above = generated.peak_mib(path) - generated.peak_mib(None)
    say(f"memory above the interpreter's, replaying {exits:,} exits", f"{above:.0f} MiB")


def playing(pairs: int, traces: list[Path]) -> None:
    """Playing a trace to QEMU's own devices over qtest, beside replaying it into the models; without QEMU's start."""
    for path in traces or [GOLDEN]:
        with TraceReader(path) as reader:
            exits = reader.exit_count

        def into_models(path: Path = path) -> float:
            with TraceReader(path) as reader:
                return seconds(Judging().replayer(reader))

        def into_qemu(path: Path = path) -> float:
            with TraceReader(path) as reader, Opponent("qemu").match(reader, Judging()) as match:
                return seconds(match.replayer)

        def into_both(path: Path = path) -> float:
            with TraceReader(path) as reader, Opponent("both").match(reader, Judging()) as match:
                return seconds(match.replayer)

        sides = (into_models, into_qemu, into_both)
        runs = [[side() for side in sides] for _ in range(pairs + 1)][1:]
        for name, times in zip(("the models", "QEMU over qtest", "both"), zip(*runs, strict=True), strict=True):
            say(f"{path.stem}, {exits:,} exits: against {name}", f"{exits / statistics.median(times):,.0f} /s")


def seconds(replayer: Replayer) -> float:
    """How long a replay takes."""
    gc.collect()
    began = time.perf_counter()
    replayer.run()
    return time.perf_counter() - began


PARTS = ("replay", "start", "jobs", "memory", "qtest")

GUESTS: dict[str, Callable[[Path], Guest]] = {
    "seabios": lambda directory: Guest("SeaBIOS on pc", command.DEFAULT_PROGRAM, command.DEFAULT_GUEST),
    "linux-pc": linux_pc,
    "linux-aarch64": linux_aarch64,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument(
        "--only", action="append", choices=[*GUESTS, *PARTS], help="one guest's recording, or a part; repeatable"
    )
    parser.add_argument(
        "--trace", action="append", type=Path, default=[], help="replay this trace instead of boots; repeatable"
    )
    parser.add_argument(
        "--exits",
        type=int,
        default=10_000_000,
        help="length of the trace whose memory is measured (default: 10 million)",
    )
    options = parser.parse_args()
    wanted = options.only or [*GUESTS, *PARTS]
    pairs = options.pairs
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, medians of {pairs} runs in turn")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for guest, make in GUESTS.items():
            if guest in wanted:
                try:
                    recording(make(directory), pairs, directory)
                except (guests.UnavailableError, RecordError) as error:
                    say(f"{guest}: {error}", "skipped")
        if "replay" in wanted:
            replays(pairs, options.trace, directory)
        if "start" in wanted:
            starting(pairs, directory)
        if "jobs" in wanted:
            several(pairs, directory)
        if "memory" in wanted:
            memory(options.exits, directory)
        if "qtest" in wanted:
            playing(pairs, options.trace)


if __name__ == "__main__":
    main()
