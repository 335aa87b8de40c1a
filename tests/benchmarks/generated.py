"""Traces of any length, and what it takes to replay them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vmdev.replay.devices.acpi_pm_timer import FREQUENCY_HZ, TMR_VAL
from vmdev.replay.trace.writer import TraceWriter

POST_PORT, TIMER_PORT = 0x80, 0x608
STEP_NS = 250

# Not getrusage's figure, which a process inherits from the one that started it.
_PEAK = """
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""

_REPLAY = f"""
import sys
from pathlib import Path
from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
with TraceReader(Path(sys.argv[1])) as reader:
    verdict = Replayer(reader, build(reader.guest)).run()
assert verdict.totals.exits == reader.exit_count
{_PEAK}
"""


def make(path: Path, exits: int, wrong_each: int = 0) -> None:
    """A pc's POST codes and reads of its ACPI timer, by turns; each `wrong_each`th of those is off by one (0: none)."""
    with TraceWriter(path, meta={"machine": "pc", "target": "x86_64", "rtc_base": "2026-01-01T00:00:00"}) as writer:
        post = writer.add_site(address=POST_PORT, direction="w")
        timer = writer.add_site(address=TIMER_PORT, direction="r", size=4)
        for number in range(exits // 2):
            t_ns = 2 * STEP_NS * number
            writer.add_exit(t_ns, post, number & 0xFF)
            t_ns += STEP_NS
            off = wrong_each and number % wrong_each == 0
            writer.add_exit(t_ns, timer, t_ns * FREQUENCY_HZ // 10**9 + off & TMR_VAL)


def peak_mib(path: Path | None) -> float:
    """The largest resident set of a process that replays a trace; None: of the bare interpreter."""
    arguments = ["-c", _PEAK] if path is None else ["-c", _REPLAY, str(path)]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024
