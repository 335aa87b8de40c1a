"""Runs of whole guests, each made once for all tests that look at it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import guests
from matrix import Boot

from vmdev.replay.trace.reader import TraceReader

TIMEOUT_S = 600
CONSOLE = "latin-1"  # a character a byte, whatever a guest says


@dataclass(frozen=True, slots=True)
class Recording:
    """A run under ``vmdev record``."""

    trace: Path
    console: str
    complaint: str
    """What was wrong with it; "" if it is complete and the guest came to its end."""


@dataclass(frozen=True, slots=True)
class PlainRun:
    """A run of the same QEMU with the same arguments, and no recorder."""

    console: str
    status: int | None
    """QEMU's exit status; None if it was ended because it had printed as much as the recorded one."""


class Runs:
    """The runs of each boot, made when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._recordings: dict[tuple[str, str, int], Recording] = {}
        self._plain: dict[tuple[str, int], PlainRun] = {}
        self._commands: dict[str, Sequence[str]] = {}

    def command(self, boot: Boot) -> Sequence[str]:
        """The boot's command; its guest is fetched, and its images are made, once."""
        if boot.name not in self._commands:
            directory = self._directory / boot.name
            directory.mkdir()
            self._commands[boot.name] = boot.command(directory)
        command = self._commands[boot.name]
        if shutil.which(command[0]) is None:
            raise guests.UnavailableError(f"{command[0]} is not installed")
        return command

    def recording(self, boot: Boot, mmio: str = "fast", number: int = 1) -> Recording:
        """A complete recording, number `number` of this kind. The recorder and QEMU had no complaint."""
        key = (boot.name, mmio, number)
        if key not in self._recordings:
            self._recordings[key] = self._record(boot, mmio, number)
        recording = self._recordings[key]
        if recording.complaint:
            raise AssertionError(recording.complaint)
        return recording

    def _record(self, boot: Boot, mmio: str, number: int) -> Recording:
        trace = self._directory / boot.name / f"{mmio}-{number}.db"
        done = record("-o", trace, "--mmio", mmio, *boot.limits, "--", *self.command(boot))
        console, messages = done.stdout, done.stderr
        complaint = ""
        if done.returncode or "QEMU itself ended" in messages or "not finished" in messages:
            complaint = messages
        elif boot.says not in console:
            complaint = f"{boot.says!r} is not in what the guest said, at last: {console[-1000:]}"
        else:
            with TraceReader(trace) as reader:
                if not reader.closed or reader.meta["dropped"] != 0:
                    complaint = f"not complete: {reader.meta}"
        return Recording(trace, console, complaint)

    def plain(self, boot: Boot, number: int = 1) -> PlainRun:
        """The command that the recording names, run without the recorder."""
        key = (boot.name, number)
        if key not in self._plain:
            recorded = self.recording(boot)
            with TraceReader(recorded.trace) as reader:
                program, *arguments = json.loads(str(reader.meta["command"]))
            enough = None if boot.ends else len(recorded.console)
            self._plain[key] = _run_plain([str(shutil.which(program)), *arguments], enough)
        return self._plain[key]


def vmdev() -> Path:
    """The program, as this environment has it."""
    return Path(sys.executable).with_name("vmdev")


def record(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``vmdev record`` with nothing to type. If it takes too long it is asked to end, and QEMU with it."""
    with subprocess.Popen(
        [vmdev(), "record", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            console, messages = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            console, messages = process.communicate()
            messages += b"\nnot finished within %d s" % TIMEOUT_S
    return subprocess.CompletedProcess(
        process.args, process.returncode, console.decode(CONSOLE), messages.decode(errors="replace")
    )


def _run_plain(command: Sequence[str], enough: int | None) -> PlainRun:
    """Run until QEMU ends, or has printed `enough` bytes."""
    output = bytearray()
    status: int | None = None
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline and (enough is None or len(output) < enough):
            ended = process.poll() is not None
            output += process.stdout.read() or b""
            if ended:
                status = process.returncode
                break
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return PlainRun(output[:enough].decode(CONSOLE), status)
