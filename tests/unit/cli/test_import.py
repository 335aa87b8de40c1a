from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.replay.trace import TraceReader

Run = Callable[..., Result]

GOOD = "memory_region_ops_read cpu 0 mr 0x5 addr 0x71 value 0x26 size 1 name 'rtc'\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "qemu.log"
    path.write_text(GOOD * 3)
    return path


def test_a_log_becomes_a_complete_trace_that_tells_what_it_lacks(log: Path, tmp_path: Path, run: Run) -> None:
    output = tmp_path / "t.db"
    result = run("import", "-o", output, log)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{output}: 3 accesses from 3 lines of a QEMU trace log")
    checked = run("info", "--check", output)
    assert checked.exit_code == 0
    assert "imported from a QEMU trace log" in checked.stdout
    assert "no times" in checked.stdout
    assert "3, at unknown times" in run("info", output).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["qemu.log", "t.db"]


def test_the_same_log_gives_the_same_trace(log: Path, tmp_path: Path, run: Run) -> None:
    for name in ("a.db", "b.db"):
        run("import", "-o", tmp_path / name, log)
    assert (tmp_path / "a.db").read_bytes() == (tmp_path / "b.db").read_bytes()


def test_malformed_lines_are_told_safely_and_make_the_status_1(log: Path, tmp_path: Path, run: Run) -> None:
    log.write_text(GOOD + "memory_region_ops_read \x1b[31m\n" * 12 + GOOD)
    result = run("import", "-o", tmp_path / "t.db", log)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].startswith(f"{log}:2: not as QEMU writes")
    assert result.stderr.splitlines()[-1] == "... and 2 more malformed lines"
    assert "\x1b" not in result.stderr + result.stdout
    with TraceReader(tmp_path / "t.db") as trace:
        facts = json.loads(str(trace.meta["imported"]))
    assert facts["malformed"] == 12
    assert facts["first_malformed"][0]["line"] == 2
    assert "malformed lines, left out: 12 (the first: 2, 3" in run("info", tmp_path / "t.db").stdout


@pytest.mark.parametrize("content", [b"", b"nothing\n", b"\xff" * 100_000, b"memory_region_ops_read x\n"])
def test_what_is_no_log_makes_no_trace(log: Path, tmp_path: Path, run: Run, content: bytes) -> None:
    log.write_bytes(content)
    result = run("import", "-o", tmp_path / "t.db", log)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "t.db").exists()


def test_a_failed_import_leaves_the_old_trace(log: Path, tmp_path: Path, run: Run) -> None:
    output = tmp_path / "t.db"
    run("import", "-o", output, log)
    before = output.read_bytes()
    assert run("import", "-o", output, log).exit_code == 2
    log.write_text("memory_region_ops_read x\n")
    assert run("import", "--force", "-o", output, log).exit_code == 2
    assert output.read_bytes() == before
    log.write_text(GOOD)
    assert run("import", "--force", "-o", output, log).exit_code == 0
    assert output.read_bytes() != before


def test_like_takes_the_machine_and_the_places(log: Path, tmp_path: Path, trace: Path, run: Run) -> None:
    output = tmp_path / "t.db"
    assert run("import", "-o", output, "--like", trace, log).exit_code == 0
    with TraceReader(output) as made, TraceReader(trace) as like:
        assert made.guest.machine == like.guest.machine == "pc"
        assert made.guest.regions == like.guest.regions
        assert made.guest.functions == like.guest.functions
        assert made.meta["rtc_base"] == like.meta["rtc_base"]


def test_a_log_with_times_does_not_tell_when_the_machine_started(log: Path, tmp_path: Path, run: Run) -> None:
    """Reads of the RTC do: the first of each cell is learned."""
    accesses = [(0.0, "write", "0x70", 0)]
    accesses += [(at, "read", "0x71", value) for at, value in ((0.1, 0x37), (0.8, 0x38), (1.9, 0x39), (3.9, 0x41))]
    log.write_text(
        "".join(
            f"2026-01-01T10:00:{second:09.6f}Z memory_region_ops_{way} cpu 0 mr 0x5 addr {port} "
            f"value {value:#x} size 1 name 'rtc'\n"
            for second, way, port, value in accesses
        )
    )
    output, like = tmp_path / "t.db", Path(__file__).parents[3] / "traces" / "seabios-pc.db"
    assert run("import", "-o", output, "--like", like, log).exit_code == 0
    with TraceReader(output) as made:
        assert made.guest.clock == "host"
        assert made.guest.rtc_base is None
    verdict = run("replay", output).stdout
    assert verdict.startswith("2 of 2 checked reads match")
    assert "Seconds 1" in verdict[verdict.index("Assumed") :], "where in a second the log begins"


def test_a_verdict_begins_with_what_the_trace_lacks(log: Path, tmp_path: Path, run: Run) -> None:
    output = tmp_path / "t.db"
    log.write_text(GOOD.replace("read", "write").replace("0x71", "0x70").replace("0x26", "0x0d") + GOOD * 2)
    run("import", "-o", output, "--machine", "pc", log)
    assert "NOTE: this trace was imported from a QEMU trace log of memory_region_ops_*: no PC" in run(
        "replay", output
    ).stdout.replace("\n", " ")
    facts = json.loads(run("replay", output, "--format", "json").stdout)["trace"]
    assert facts["clock"] == "none"
    assert facts["imported"].startswith("this trace was imported from a QEMU trace log")


@pytest.mark.parametrize("place", ["uart0", "=1", "uart0=x", "uart0=-1", f"uart0={1 << 63}"])
def test_places_that_are_none(log: Path, tmp_path: Path, run: Run, place: str) -> None:
    assert run("import", "-o", tmp_path / "t.db", "--place", place, log).exit_code == 2
