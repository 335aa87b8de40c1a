"""Marks, marker ports and serial input; guests that are assembled here."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from vmdev.replay.trace.reader import TraceReader

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration

GUEST = ("-M", "pc", "-nodefaults", "-display", "none", "-no-reboot")
GAP_NS = 1_000_000


def firmware(directory: Path, *, fifo: bool = True, delay: int = 0) -> Path:
    """The guest that echoes what comes to its serial port, until a '.'."""
    elf, image = directory / "echo.o", directory / "echo.bin"
    source = Path(__file__).with_name("guests_stimulus") / "echo.S"
    symbols = ("--defsym", f"FIFO={fifo:d}", "--defsym", f"DELAY={delay}")
    subprocess.run(["as", "--32", *symbols, "-o", elf, source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", elf, image], check=True)
    return image


def record_echo(vmdev: Vmdev, trace: Path, image: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = vmdev("record", "-o", trace, *options, "--", *GUEST, "-bios", image, "-serial", "stdio")
    assert done.returncode == 0, done.stderr
    return done


def query(trace: Path, text: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(trace)) as connection:
        return connection.execute(text).fetchall()


def content(trace: Path) -> list[object]:
    """All that two recordings of one guest have in common."""
    with TraceReader(trace) as reader:
        exits = [row for chunk in reader.exits() for row in chunk]
        return [exits, reader.sites, list(reader.events()), query(trace, "SELECT * FROM region ORDER BY rowid")]


def fed(trace: Path) -> list[tuple[int, int, str]]:
    with TraceReader(trace) as reader:
        return [(event.seq, event.t_ns, event.detail) for event in reader.events() if event.kind == "serial-input"]


@pytest.mark.parametrize(("fifo", "delay"), [(True, 0), (False, 0), (False, 2000), (True, 2000)])
def test_serial_input_comes_to_the_guest_at_the_same_instruction(
    vmdev: Vmdev, tmp_path: Path, fifo: bool, delay: int
) -> None:
    """Also to one that takes its bytes far slower than they come."""
    text = b"Hello, serial port! \x00\x01\x7f."
    keys = tmp_path / "keys"
    keys.write_bytes(text)
    image = firmware(tmp_path, fifo=fifo, delay=delay)
    traces = [tmp_path / f"{i}.db" for i in range(3)]
    for trace in traces:
        done = record_echo(vmdev, trace, image, "--serial-input", f"{keys}@2ms")
        assert done.stdout.encode() == text
        assert "note:" not in done.stderr
    contents = [content(trace) for trace in traces]
    assert contents[1:] == contents[:1] * 2
    events = fed(traces[0])
    assert [detail for _, _, detail in events] == [f"serial0 {byte:02x}" for byte in text]
    assert 2_000_000 <= events[0][1] < 2_001_000
    assert all(later[1] - earlier[1] >= GAP_NS for earlier, later in pairwise(events))
    echoed = query(
        traces[0], "SELECT value FROM access WHERE address = '0x3f8' AND direction = 'r' ORDER BY access.seq"
    )
    assert [int(str(value), 0) for (value,) in echoed] == list(text)
    assert query(traces[0], "SELECT value FROM meta WHERE key = 'async_sources'") == [("[]",)]


def test_a_byte_is_seen_by_the_access_after_its_event(vmdev: Vmdev, tmp_path: Path) -> None:
    """The event stands before the IN during which the byte came: that IN reads LSR with DR set, the one before not."""
    keys = tmp_path / "keys"
    keys.write_bytes(b".")
    trace = tmp_path / "t.db"
    record_echo(vmdev, trace, firmware(tmp_path), "--serial-input", f"{keys}@1ms")
    ((seq, _, _),) = fed(trace)
    lsr = query(trace, f"SELECT address, value FROM access WHERE seq IN ({seq - 1}, {seq}) ORDER BY access.seq")
    assert lsr == [("0x3fd", "0x60"), ("0x3fd", "0x61")]


def test_files_come_at_their_times(vmdev: Vmdev, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"A")
    (tmp_path / "b").write_bytes(b"B.")
    options = ("--serial-input", f"{tmp_path / 'b'}@9ms", "--serial-input", f"{tmp_path / 'a'}@4ms")
    record_echo(vmdev, tmp_path / "t.db", firmware(tmp_path), *options)
    assert [(t_ns // 1_000_000, detail) for _, t_ns, detail in fed(tmp_path / "t.db")] == [
        (4, "serial0 41"),
        (9, "serial0 42"),
        (10, "serial0 2e"),
    ]


def test_input_that_was_not_taken_is_told(vmdev: Vmdev, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b".never")
    done = record_echo(vmdev, tmp_path / "t.db", firmware(tmp_path), "--serial-input", f"{keys}@1ms")
    assert "note: --serial-input: 5 of 6 bytes were not fed" in done.stderr


def test_marks_stand_before_the_first_access_at_their_time(vmdev: Vmdev, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b".")
    trace = tmp_path / "t.db"
    long_text = "x" * 5000
    done = record_echo(
        vmdev, trace, firmware(tmp_path), "--serial-input", f"{keys}@3ms", "--mark", "two, or so@2ms",
        "--mark", f"{long_text}@1ms", "--mark", "never@1min",
    )  # fmt: skip
    assert "note: --mark 'never': the recording ended before 60 s" in done.stderr
    with TraceReader(trace) as reader:
        marks = [event for event in reader.events() if event.kind == "marker"][:3]
        times = [row[1] for chunk in reader.exits() for row in chunk]
    assert [event.t_ns for event in marks] == [1_000_000, 1_000_000, 2_000_000]
    assert [event.detail for event in marks] == ["x" * 4096, "x" * 904, "two, or so"]
    for event in marks:
        assert times[event.seq - 1] < event.t_ns <= times[event.seq]


def test_a_line_that_the_guest_writes_to_the_marker_port_is_a_marker(vmdev: Vmdev, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b".")
    trace = tmp_path / "t.db"
    record_echo(vmdev, trace, firmware(tmp_path), "--serial-input", f"{keys}@1ms", "--mark-port", "0x2f0")
    written = query(trace, "SELECT seq, t_ns, value FROM access WHERE address = '0x2f0' ORDER BY access.seq")
    assert [value for _, _, value in written] == ["0x65", "0x6e", "0x64", "0xa"]  # the writes stay
    seq, t_ns = int(str(written[-1][0])), written[-1][1]
    assert query(trace, "SELECT seq, t_ns, vcpu, detail FROM event WHERE kind = 'marker'") == [
        (seq + 1, t_ns, 0, "end")
    ]


def test_ports_are_named_by_the_map_at_their_first_use(vmdev: Vmdev, recorded: Path) -> None:
    """SeaBIOS gives the Bochs display and the PM timer their places: 0x608 is nothing before."""
    snapshots = query(recorded, "SELECT DISTINCT snapshot, seq FROM region ORDER BY snapshot")
    assert [number for number, _ in snapshots] == list(range(len(snapshots)))
    assert len(snapshots) > 3
    assert snapshots == sorted(snapshots, key=lambda row: int(str(row[1])))
    (requests,) = query(recorded, "SELECT value FROM meta WHERE key = 'map_requests'")[0]
    assert len(snapshots) - 2 <= int(str(requests)) < 50
    assert query(recorded, "SELECT DISTINCT region FROM site WHERE space = 'pio' AND address = 1544") == [("acpi-tmr",)]
    assert query(recorded, "SELECT count(*) FROM event WHERE kind = 'snapshot-missing'") == [(0,)]
    first_use = query(recorded, "SELECT min(exit.seq) FROM exit JOIN site ON site.id = exit.site WHERE address = 1544")
    in_force = max(number for number, seq in snapshots if int(str(seq)) <= int(str(first_use[0][0])))
    mapped = "SELECT count(*) FROM region WHERE name = 'acpi-tmr' AND snapshot = {}"
    assert query(recorded, mapped.format(0)) == [(0,)]
    assert query(recorded, mapped.format(in_force)) == [(1,)]
    assert in_force < len(snapshots) - 1


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mark", "text"), "TEXT@TIME"),
        (("--mark", "@1s"), "the text before @ is missing"),
        (("--mark", "text@1h"), "TEXT@TIME"),
        (("--mark-port", "0x10000"), "below 0x10000"),
        (("--serial-input", "no/such/file@1s"), "no/such/file: cannot be read: No such file or directory"),
        (("--serial-input", "file@soon"), "FILE@TIME"),
        (("--mark-port", "mmio:0", "--mmio", "off"), "needs --mmio fast or full"),
    ],
)
def test_bad_values_are_refused(vmdev: Vmdev, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = vmdev("record", "-o", tmp_path / "t.db", *options)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "t.db").exists()


def test_serial_input_needs_a_serial_port(vmdev: Vmdev, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"x")
    done = vmdev("record", "-o", tmp_path / "t.db", "--serial-input", tmp_path / "keys", "--", *GUEST)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: --serial-input: -nodefaults leaves the guest without")


@pytest.mark.parametrize(("fifo", "delay"), [(True, 0), (False, 0), (False, 2000), (True, 2000)])
def test_replay_takes_serial_input_from_the_events_and_assumes_nothing(
    vmdev: Vmdev, tmp_path: Path, fifo: bool, delay: int
) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b"Hello, serial port! \x00\x01\x7f.")
    trace = tmp_path / "t.db"
    record_echo(vmdev, trace, firmware(tmp_path, fifo=fifo, delay=delay), "--serial-input", f"{keys}@2ms")
    done = vmdev("replay", trace, "--device", "com1", "--format", "json")
    assert done.returncode == 0, done.stdout
    totals = json.loads(done.stdout)["totals"]
    assert (totals["assumed"], totals["learned"], totals["diverged"]) == (0, 0, 0)
    assert totals["matched"] > len(keys.read_bytes())


@pytest.mark.parametrize(("fifo", "delay"), [(True, 0), (False, 2000)])
def test_serial_input_comes_to_qemus_own_device_as_it_did(vmdev: Vmdev, tmp_path: Path, fifo: bool, delay: int) -> None:
    keys, trace = tmp_path / "keys", tmp_path / "echo.db"
    keys.write_bytes(b"Hello\x00\x7f.")
    record_echo(vmdev, trace, firmware(tmp_path, fifo=fifo, delay=delay), "--serial-input", f"{keys}@1ms")
    assert len(fed(trace)) == 8
    done = vmdev("replay", trace, "--against", "both", "--format", "json")
    assert done.returncode == 0, done.stdout
    against = json.loads(done.stdout)["against"]
    assert against["witnesses"] == []
    assert against["alike"] > 1000
