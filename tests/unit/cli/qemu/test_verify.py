"""Holding a trace against QEMU's log: how the log is kept, and what is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmdev.cli.qemu import verify
from vmdev.cli.qemu.command import parse_options
from vmdev.cli.qemu.ops_events import OpsEvent, compare, parse_events
from vmdev.replay.errors import RecordError
from vmdev.replay.guest import Region
from vmdev.replay.trace.writer import TraceWriter

LINES = (
    "memory_region_ops_write cpu 0 mr 0x5 addr 0x70 value 0xf size 1 name 'rtc-index'\n"
    "memory_region_ops_read cpu 0 mr 0x5 addr 0x71 value 0x0 size 1 name 'rtc'\n"
    "memory_region_ops_read cpu 0 mr 0x7 addr 0x2 value 0x8 size 2 name 'ecam'\n"
    "Invalid read at addr 0x1, size 4, region 'rtc', reason: invalid size (min:1 max:1)\n"
    "memory_region_ops_read cpu 0 mr 0x5 addr 0x60 value 0x1 size 1 name 'i8042-data'\n"
)


def make_trace(path: Path, *, without: int | None = None) -> Path:
    """The accesses of `LINES`; the last one is an IN of which the value was lost."""
    with TraceWriter(path, meta={"target": "x86_64"}) as writer:
        writer.add_regions(0, 0, [
            Region("pio", 0x70, 0x70, "rtc-index"), Region("pio", 0x71, 0x71, "rtc", offset=1),
            Region("mmio", 0x4010000000, 0x401FFFFFFF, "ecam"),
        ])  # fmt: skip
        rows = [
            (writer.add_site(address=0x70, direction="w", region="rtc-index"), 0x0F),
            (writer.add_site(address=0x71, direction="r", region="rtc"), 0),
            (writer.add_site(address=0x4010000002, direction="r", size=2, space="mmio", region="ecam"), 8),
            (writer.add_site(address=0x71, direction="r", size=4, region="rtc"), 0),
        ]
        for number, (site, value) in enumerate(rows):
            if number != without:
                writer.add_exit(number, site, value)
        writer.add_event("unread-in", vcpu=0, detail="pc 0xfff0 port 0x60 size 1")
    return path


def log_of(text: str) -> verify.EventLog:
    log = verify.EventLog()
    os.write(log.fd, text.encode())
    return log


def test_log_is_read_back_after_the_run() -> None:
    with log_of(LINES) as log:
        assert f"/proc/self/fd/{log.fd}" in log.arguments
        events = list(log.events())
    assert events[0] == OpsEvent(0, "w", 0x70, 1, 15, "rtc-index")
    assert len(events) == 5


def test_log_larger_than_the_pipe_does_not_stall_its_writer() -> None:
    with verify.EventLog() as log:
        for _ in range(100):
            os.write(log.fd, LINES.encode() * 100)
        assert sum(1 for _ in log.events()) == 50_000


def test_log_that_cannot_be_kept_is_an_error_and_stalls_nobody() -> None:
    with verify.EventLog() as log:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, log._file.fileno())
        os.close(full)
        for _ in range(100):
            os.write(log.fd, os.urandom(1 << 16))
        with pytest.raises(RecordError, match=r"could not be kept in .*: No space left on device; make room there"):
            list(log.events())


def test_trace_agrees_with_its_log(tmp_path: Path) -> None:
    with log_of(LINES) as log:
        agreement = verify.verify(make_trace(tmp_path / "t.db"), log, ended_by="guest")
    assert agreement.complete
    assert verify.summary(agreement) == {
        "complete": True,
        "rules": {"exact": 2, "aliased": 1, "refused": 1},
        "others": {"unread-in": 1},
        "lost": 0,
    }


@pytest.mark.parametrize("number", range(4))
def test_each_lost_access_is_found(tmp_path: Path, number: int) -> None:
    with log_of(LINES) as log:
        agreement = verify.verify(make_trace(tmp_path / "t.db", without=number), log, ended_by="guest")
    assert not agreement.complete
    assert agreement.lost[0] == list(parse_events(LINES.splitlines()))[number]


def test_report_has_a_line_for_each_region() -> None:
    agreement = compare([], [OpsEvent(0, "w", 0x70, 1, 15, "rtc-index")])
    assert verify.report(agreement) == "  region     accesses  not recorded\n  rtc-index         -             1\n"
    assert verify.complaint(agreement) == (
        "0 accesses and 1 of QEMU's events are unexplained: QEMU's write of 1 at 0x70, 0xf, rtc-index was not recorded"
    )


@pytest.mark.parametrize("words", [["-D", "x"], ["-d", "int"], ["-trace", "x"]])
def test_qemus_log_cannot_be_shared(words: list[str]) -> None:
    with pytest.raises(RecordError, match=f"{words[0]} {words[1]}: --verify needs QEMU's log for itself"):
        verify.refuse(parse_options(words), "fast")


def test_all_accesses_have_to_be_recorded() -> None:
    with pytest.raises(RecordError, match="--mmio off"):
        verify.refuse([], "off")
