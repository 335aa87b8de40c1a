"""Recordings that end badly: QEMU, vmdev or the guest is killed, the disk is full, the file is taken away.

What is proved here is that the trace is readable and a prefix of the whole recording of the same guest. That the end
which is missing is at most 0.5 s of the host's time cannot be measured on a busy machine; it follows from the
recorder's commit rule, which tests/plugin/test_trace_writer.c checks with a clock of its own and recorder.c adds up.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from vmdev.cli.qemu.command import DEFAULT_GUEST
from vmdev.replay.trace.reader import TraceReader

pytestmark = pytest.mark.integration

PROGRAM: Final = Path(sys.executable).with_name("vmdev")
KILLS: Final = int(os.environ.get("VMDEV_TEST_KILLS", "6"))
"""How many random moments are tried; the seed of each is its number."""

ENDLESS: Final = DEFAULT_GUEST[: DEFAULT_GUEST.index("-boot")]
"""Without a reboot-timeout SeaBIOS halts for ever when it has found nothing to boot."""
LAST_WORDS: Final = "No bootable device"
PATIENCE_S: Final = 60

Rows = list[tuple[object, ...]]


@dataclass
class Recording:
    """``vmdev record`` at work."""

    path: Path
    process: subprocess.Popen[str]
    pid_file: Path

    @property
    def qemu(self) -> int:
        """QEMU's process id, as soon as it runs."""
        until = time.monotonic() + PATIENCE_S
        while not (self.pid_file.exists() and self.pid_file.read_text().endswith("\n")):
            assert time.monotonic() < until, "QEMU was not started"
            time.sleep(0.005)
        return int(self.pid_file.read_text())

    def await_console(self, text: str) -> None:
        assert self.process.stdout is not None
        assert any(text in line for line in self.process.stdout), f"no {text!r} on the console"

    def end(self) -> tuple[int, str]:
        """Wait for the end of vmdev and of QEMU; returns vmdev's status and messages."""
        _, messages = self.process.communicate(timeout=PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        while self.pid_file.exists() and _runs(self.qemu):
            assert time.monotonic() < until, "QEMU goes on without vmdev"
            time.sleep(0.01)
        return self.process.returncode, messages


def _runs(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be forgotten."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Recording]]:
    """Start ``vmdev record`` with the given options, in a process group of its own as a terminal would."""
    started: list[Recording] = []

    def start(*options: str, guest: tuple[str, ...] = ENDLESS, path: Path | None = None) -> Recording:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        pid_file, wrapper = directory / "pid", directory / "qemu-system-x86_64"
        wrapper.write_text(f'#!/bin/sh\ncase $1 in -M) echo $$ >{pid_file};; esac\nexec qemu-system-x86_64 "$@"\n')
        wrapper.chmod(0o755)
        path = path or directory / "t.db"
        process = subprocess.Popen(
            [PROGRAM, "record", "-o", path, "--qemu", wrapper, *options, "--", *guest],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(Recording(path, process, pid_file))
        return started[-1]

    yield start
    for recording in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(recording.process.pid, signal.SIGKILL)
        recording.process.communicate()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording that nobody disturbs, to a time at which the guest has long been idle."""
    path = tmp_path_factory.mktemp("whole") / "t.db"
    command: list[str | Path] = [
        PROGRAM,
        "record",
        "-o",
        path,
        "--duration",
        "3s",
        "--",
        "qemu-system-x86_64",
        *ENDLESS,
    ]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=300)
    return path


def accesses(trace: TraceReader) -> Rows:
    """All that is known of each access. Regions are left out: the memory map at the end names the PCI BARs."""
    sites = [site._replace(region="") for site in trace.sites]
    return [(seq, t_ns, sites[site], value) for chunk in trace.exits() for seq, t_ns, site, value in chunk]


def check_prefix(path: Path, whole: Path, *, closed: bool = False) -> int:
    """The trace at `path` begins as `whole` does; returns its number of accesses."""
    with TraceReader(path) as trace, TraceReader(whole) as reference:
        assert trace.closed == closed
        assert trace.check_file() == []
        kept, known = accesses(trace), accesses(reference)
        shorter = min(len(kept), len(known))
        assert kept[:shorter] == known[:shorter]
        events = [event for event in trace.events() if event.seq < shorter]
        assert events == [event for event in reference.events() if event.seq < shorter][: len(events)]
        return len(kept)


def console(path: Path) -> str:
    """What the guest wrote to its serial port, as far as the trace knows."""
    with TraceReader(path) as trace:
        sent = [site.space == "pio" and site.direction == "w" and site.address == 0x3F8 for site in trace.sites]
        return "".join(chr(value) for chunk in trace.exits() for _, _, site, value in chunk if sent[site])


def in_qemu(recording: Recording, number: signal.Signals) -> None:
    os.kill(recording.qemu, number)


def in_all(recording: Recording, number: signal.Signals) -> None:
    """The machine's death, as far as a process can see it: nobody is left to tidy up."""
    os.killpg(recording.process.pid, number)


# Death


def test_killed_at_a_random_moment_the_trace_is_a_prefix(start: Callable[..., Recording], whole: Path) -> None:
    began = time.monotonic()
    undisturbed = start(guest=DEFAULT_GUEST)
    undisturbed.end()
    span_s = time.monotonic() - began
    with TraceReader(whole) as trace:
        all_of_them = trace.exit_count
    kept: list[int] = []
    for seed in range(10 * KILLS):
        if seed >= KILLS and any(0 < exits < all_of_them for exits in kept):
            break
        moment_s = random.Random(seed).uniform(0.2, 1) * span_s
        recording = start()
        time.sleep(max(0.0, moment_s))
        kill_all = seed % 2 == 1
        (in_all if kill_all else in_qemu)(recording, signal.SIGKILL)
        status, messages = recording.end()
        what = f"seed {seed}: killed after {moment_s:.3f} s: {messages}"
        if not recording.path.exists() or "before the guest started" in messages:
            continue
        assert status == (-signal.SIGKILL if kill_all else 2), what
        try:
            kept.append(check_prefix(recording.path, whole))
        except Exception as error:
            raise AssertionError(what) from error
    assert any(0 < exits < all_of_them for exits in kept), f"no kill came while the guest ran: {kept}"


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])
def test_a_qemu_that_dies_is_reported(start: Callable[..., Recording], whole: Path, number: signal.Signals) -> None:
    recording = start()
    recording.await_console("SeaBIOS")
    in_qemu(recording, number)
    status, messages = recording.end()
    assert status == 2
    assert f"the recording was cut off: QEMU was ended by {number.name}" in messages
    check_prefix(recording.path, whole)


def test_a_vmdev_that_is_killed_takes_qemu_with_it(start: Callable[..., Recording], whole: Path) -> None:
    """Nobody else would end it. It ends in order: what was recorded until then is all there."""
    recording = start()
    recording.await_console(LAST_WORDS)
    recording.process.kill()
    recording.end()
    exits = check_prefix(recording.path, whole)
    with TraceReader(recording.path) as trace:
        assert trace.meta["exits"] == exits > 10_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_vmdev_ends_the_recording_in_order(
    start: Callable[..., Recording], whole: Path, number: signal.Signals
) -> None:
    """Ctrl-C reaches QEMU, too, which must not end before it was asked for its final memory map."""
    recording = start()
    recording.await_console("SeaBIOS")
    if number == signal.SIGINT:
        in_all(recording, number)
    else:
        recording.process.send_signal(number)
    status, messages = recording.end()
    assert status == 0, messages
    check_prefix(recording.path, whole, closed=True)
    with TraceReader(recording.path) as trace:
        assert trace.meta["end_reason"] == "interrupt"
        assert {region.snapshot for region in trace.regions} >= {0, 1}


def test_what_was_recorded_is_committed_though_nothing_follows(start: Callable[..., Recording], whole: Path) -> None:
    """The guest says its last words and halts: they are in the trace soon, not only when more comes or at the end."""
    recording = start()
    recording.await_console(LAST_WORDS)
    until = time.monotonic() + PATIENCE_S
    while LAST_WORDS not in console(recording.path):
        assert time.monotonic() < until
        time.sleep(0.1)
    in_all(recording, signal.SIGKILL)
    recording.end()
    check_prefix(recording.path, whole)
    assert LAST_WORDS in console(recording.path)


def test_a_trace_that_was_cut_off_is_replayed_with_a_warning(start: Callable[..., Recording]) -> None:
    recording = start()
    recording.await_console(LAST_WORDS)
    time.sleep(1)
    in_qemu(recording, signal.SIGKILL)
    recording.end()
    done = subprocess.run([PROGRAM, "replay", recording.path], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, 1}, done.stderr
    assert "the recording was cut off" in done.stderr


# Errors


@contextlib.contextmanager
def full_file(recording: Recording, whole: Path) -> Iterator[str]:
    """The trace has reached the largest size that a file may have, as ``ulimit -f`` sets it."""
    _, hard = resource.prlimit(recording.qemu, resource.RLIMIT_FSIZE)
    resource.prlimit(recording.qemu, resource.RLIMIT_FSIZE, (recording.path.stat().st_size, hard))
    yield "ulimit -f"


@contextlib.contextmanager
def full_disk(_: Recording, disk: Path) -> Iterator[str]:
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    yield "the disk is full"


@contextlib.contextmanager
def deleted(recording: Recording, _: Path) -> Iterator[str]:
    recording.path.unlink()
    yield "deleted, renamed or replaced"


@contextlib.contextmanager
def replaced(recording: Recording, whole: Path) -> Iterator[str]:
    other = whole.read_bytes()
    recording.path.unlink()
    recording.path.write_bytes(other)
    yield "deleted, renamed or replaced"
    assert recording.path.read_bytes() == other


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; only root may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "vmdev-test", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def check_stopped(recording: Recording, trouble: Callable[..., Any], argument: Path) -> str:
    """`trouble` while the guest runs stops the recording with one message; returns what the guest said after it."""
    recording.await_console("SeaBIOS")
    with trouble(recording, argument) as why:
        out, messages = recording.process.communicate(timeout=PATIENCE_S)
    lines = messages.splitlines()
    assert recording.process.returncode == 2, messages
    assert sum(line.startswith("vmdev: recording stopped: cannot write to the trace: ") for line in lines) == 1
    assert why in messages
    assert lines[-1].startswith("Error: the recording "), messages
    assert not any("Traceback" in line for line in lines)
    return out


def guest_for(on_error: str) -> tuple[str, ...]:
    """With "stop" a guest that would not end by itself, with "continue" one that does."""
    return ENDLESS if on_error == "stop" else DEFAULT_GUEST


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_file_that_cannot_grow_stops_the_recording(
    start: Callable[..., Recording], whole: Path, on_error: str
) -> None:
    recording = start("--on-error", on_error, guest=guest_for(on_error))
    out = check_stopped(recording, full_file, whole)
    check_prefix(recording.path, whole)
    assert on_error == "stop" or LAST_WORDS in out  # with "stop" it ended, as it never does by itself


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_full_disk_stops_the_recording(
    start: Callable[..., Recording], whole: Path, disk: Path, on_error: str
) -> None:
    recording = start("--on-error", on_error, guest=guest_for(on_error), path=disk / "t.db")
    out = check_stopped(recording, full_disk, disk)
    check_prefix(recording.path, whole)
    assert on_error == "stop" or LAST_WORDS in out  # with "stop" it ended, as it never does by itself


@pytest.mark.parametrize("trouble", [deleted, replaced])
def test_a_file_that_is_taken_away_stops_the_recording(
    start: Callable[..., Recording], whole: Path, trouble: Callable[..., Any]
) -> None:
    check_stopped(start(), trouble, whole)


def test_a_database_that_stays_locked_stops_the_recording(start: Callable[..., Recording], whole: Path) -> None:
    recording = start()
    recording.await_console("SeaBIOS")
    with contextlib.closing(sqlite3.connect(recording.path, timeout=PATIENCE_S, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM exit").fetchone()  # a reader that never ends: no commit
        assert recording.process.stderr is not None
        said = next(line for line in recording.process.stderr if "recording stopped" in line)
    status, messages = recording.end()
    assert status == 2
    assert "another program kept the file locked" in said
    assert "another program kept the file locked" in messages
    check_prefix(recording.path, whole)


# A slow writer


def test_when_the_writer_is_slow_the_guest_waits_and_nothing_changes(
    start: Callable[..., Recording], tmp_path: Path
) -> None:
    """Another program holds the trace while the guest runs, until the queue is full and QEMU stands still."""
    guest = (*DEFAULT_GUEST, "-icount", "shift=3,sleep=off")
    undisturbed = start(guest=guest)
    assert undisturbed.end()[0] == 0
    monitor = tmp_path / "monitor"
    slow = start(guest=(*guest, "-S", "-qmp", f"unix:{monitor},server=on,wait=off"))
    with contextlib.closing(_monitor(monitor)) as qmp:
        _await_go(slow)
        with contextlib.closing(sqlite3.connect(slow.path, timeout=PATIENCE_S, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            qmp.sendall(b'{"execute": "cont"}\n')
            _await_standstill(slow.qemu)
            other.execute("ROLLBACK")
        status, messages = slow.end()
    assert status == 0, messages
    with TraceReader(slow.path) as trace, TraceReader(undisturbed.path) as reference:
        assert int(trace.meta["queue_waits"]) > 0
        assert trace.closed
        assert accesses(trace) == accesses(reference)
        assert trace.events() == reference.events()


def _monitor(path: Path) -> socket.socket:
    """A QMP connection that is ready for commands."""
    until = time.monotonic() + PATIENCE_S
    monitor = socket.socket(socket.AF_UNIX)
    monitor.settimeout(PATIENCE_S)
    while True:
        try:
            monitor.connect(str(path))
            break
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < until
            time.sleep(0.01)
    assert "QMP" in json.loads(monitor.recv(65536))
    monitor.sendall(b'{"execute": "qmp_capabilities"}\n')
    assert "return" in json.loads(monitor.recv(65536))
    return monitor


def _await_go(recording: Recording) -> None:
    """Wait until vmdev has written the memory map, and left the trace to the recorder."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(Exception), TraceReader(recording.path) as trace:
            if "async_sources" in trace.meta:
                return
        assert time.monotonic() < until
        time.sleep(0.02)


def _await_standstill(pid: int) -> None:
    """Wait until QEMU has used the processor, and then none for 0.5 s."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    until = time.monotonic() + 8  # the recorder's patience with a locked file is 10 s
    first = last = used()
    since = time.monotonic()
    while time.monotonic() < until:
        time.sleep(0.05)
        now = used()
        if now - last > 1:
            last, since = now, time.monotonic()
        elif last > first and time.monotonic() - since > 0.5:
            return
