from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.replay.guest import Region
from vmdev.replay.trace import TraceWriter

Run = Callable[..., Result]

POST_CODE = 0x80


def record(path: Path, *answers: int, machine: str = "pc", close: bool = True) -> Path:
    """A trace of reads of the RTC's register D, which always answers 0x80, and of a POST code."""
    writer = TraceWriter(path, meta={"machine": machine, "target": "x86_64", "rtc_base": "2026-01-01T00:00:00"})
    index = writer.add_site(address=0x70, direction="w", pc=0xFEC16, insn=b"\xe6\x70")
    data = writer.add_site(address=0x71, direction="r", pc=0xFEC18, insn=b"\xe4\x71")
    post = writer.add_site(address=POST_CODE, direction="w", pc=0xFEC1A, insn=b"\xe6\x80")
    writer.add_exit(1000, index, 0x0D)
    for number, answer in enumerate(answers):
        writer.add_exit(2000 + number, data, answer)
    writer.add_exit(9000, post, 0x11)
    if close:
        writer.close()
    else:
        writer.suspend()
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return record(tmp_path / "good.db", 0x80, 0x80)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return record(tmp_path / "bad.db", 0x80, 0x00, 0x01)


def test_agreement_is_status_0(run: Run, good: Path) -> None:
    result = run("replay", good)
    assert result.exit_code == 0
    assert result.stdout.startswith("2 of 2 checked reads match; 0 divergences.\n")
    assert result.stderr == ""


def test_divergence_is_status_1(run: Run, bad: Path) -> None:
    result = run("replay", bad)
    assert result.exit_code == 1
    assert result.stdout.startswith("1 root divergence and 1 consequence, in rtc; 1 of 3 checked reads match.\n")
    assert "rtc.Register D (offset 0x1, pio 0x71, 1 byte): hw=0x00 model=0x80" in result.stdout
    assert "instruction at 0xfec18: in al, 0x71  [e4 71]" in result.stdout
    assert result.stderr == ""


def test_json(run: Run, bad: Path) -> None:
    result = run("replay", bad, "--format", "json")
    assert result.exit_code == 1
    verdict = json.loads(result.stdout)
    assert verdict["version"] == 1
    assert verdict["trace"]["name"] == "bad.db"
    assert [divergence["kind"] for divergence in verdict["divergences"]] == ["root", "consequence"]


def test_limit(run: Run, bad: Path) -> None:
    result = run("replay", bad, "--format", "json", "--limit", 1)
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["divergences"]) == 1
    assert "--limit shows them" in run("replay", bad, "--limit", 0).stdout


def test_device(run: Run, bad: Path) -> None:
    result = run("replay", bad, "--device", "rtc", "--device", "port80", "--format", "json")
    assert json.loads(result.stdout)["selected"] == ["rtc", "port80"]


def test_a_choice_that_compares_nothing_is_trouble(run: Run, bad: Path) -> None:
    result = run("replay", bad, "--device", "port80")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(r"Error: no read was compared: .*\n", result.stderr)


def test_unknown_device_is_trouble(run: Run, good: Path) -> None:
    result = run("replay", good, "--device", "vga")
    assert result.exit_code == 2
    assert re.fullmatch(r"Error: pc has no device 'vga'; its devices: pic, .*\n", result.stderr)


def test_another_machine(run: Run, good: Path) -> None:
    result = run("replay", good, "--machine", "microvm")
    assert result.exit_code == 0
    assert "replayed into microvm" in result.stdout
    assert "(no device)" in result.stdout  # it has no port 80h


def test_unknown_machine_is_trouble(run: Run, good: Path) -> None:
    result = run("replay", good, "--machine", "vax")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: there is no machine 'vax'; known machines: pc, q35, isapc, microvm\n",
    )


def test_a_recorded_machine_that_is_not_known_is_trouble(run: Run, tmp_path: Path) -> None:
    result = run("replay", record(tmp_path / "virt.db", 0x80, machine="virt"))
    assert result.exit_code == 2
    assert "Error: the trace was recorded on machine 'virt', which cannot be replayed into" in result.stderr


def test_a_missing_trace_is_trouble(run: Run, tmp_path: Path) -> None:
    result = run("replay", tmp_path / "none.db")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


def test_a_damaged_trace_is_trouble(run: Run, good: Path) -> None:
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("DELETE FROM exit WHERE seq = 1")
        connection.commit()
    result = run("replay", good)
    assert result.exit_code == 2
    assert "exit 1 is missing" in result.stderr


def test_a_recording_that_was_cut_off_is_replayed_with_a_loud_note(run: Run, tmp_path: Path) -> None:
    path = record(tmp_path / "cut.db", 0x80, close=False)
    result = run("replay", path)
    assert result.exit_code == 0
    assert result.stderr == f"WARNING: {path}: the recording was cut off: it may end before its guest did\n"
    assert "NOTE: the recording was cut off" in result.stdout


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_what_a_filter_left_out_is_told(run: Run, good: Path) -> None:
    change(good, """INSERT INTO meta VALUES ('filter', '{"device": ["rtc"]}'), ('excluded', 12)""")
    result = run("replay", good)
    assert result.exit_code == 0
    assert result.stderr == (
        f'WARNING: {good}: 12 accesses were left out, and models miss them; recorded was {{"device": ["rtc"]}}\n'
    )


def test_exits_that_were_not_kept_are_told(run: Run, good: Path) -> None:
    change(
        good,
        "DELETE FROM exit WHERE seq = 0",
        "UPDATE epoch SET first = 1 WHERE first = 0",
        "INSERT INTO meta VALUES ('first_exit', 1)",
    )
    result = run("replay", good)
    assert result.stderr == f"WARNING: {good}: exits before 1 were not kept; models begin as after a reset\n"
    change(good, "INSERT INTO meta VALUES ('part', 1), ('parts', 3)")
    assert "exits before 1 are in the files before it; models" in run("replay", good).stderr
    assert "  file 2 of 3 of a rotated recording: exits from number 1 on\n" in run("info", good).stdout


def test_the_trace_is_not_written_to(run: Run, good: Path) -> None:
    before = good.read_bytes()
    run("replay", good)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["good.db"]


def test_text_from_the_trace_cannot_command_the_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2Jevil.db"
    with TraceWriter(path, meta={"machine": "pc", "target": "\x1b[31m"}) as writer:
        writer.add_regions(0, 0, [Region("pio", 0x80, 0x80, "ioport80")])
        post = writer.add_site(address=POST_CODE, direction="r", insn=b"\x0f", text="in\x1b[31m", region="ioport80")
        stray = writer.add_site(address=0x999, direction="r", region="\x1b[31m")
        writer.add_exit(0, post, 0)
        writer.add_exit(0, stray, 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'closed'")
        connection.commit()
    result = run("replay", path)
    assert result.exit_code == 1
    assert "cut off" in result.stderr
    assert "\x1b" not in result.stdout + result.stderr


def test_help_has_an_example(run: Run) -> None:
    assert "vmdev replay boot.db" in run("replay", "--help").stdout


# Reports in files


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.txt", "2 of 2 checked"), ("a.json", "{"), ("a.xml", "<?xml"), ("a.html", "<!DOCTYPE html>")],
)
def test_report_is_written_into_a_file_too(run: Run, good: Path, tmp_path: Path, name: str, begins: str) -> None:
    done = run("replay", str(good), "--write", str(tmp_path / name), "--write", str(tmp_path / "other.json"))
    assert done.stdout == run("replay", str(good)).stdout
    assert (tmp_path / name).read_text().startswith(begins)
    assert (tmp_path / "other.json").exists()


def test_a_file_whose_name_says_nothing_is_refused(run: Run, trace: Path, tmp_path: Path) -> None:
    done = run("replay", str(trace), "--write", str(tmp_path / "report.pdf"))
    assert done.exit_code == 2
    assert "must end in one of .txt, .json, .xml, .html" in done.stderr


def test_a_page_shows_one_trace(run: Run, trace: Path) -> None:
    done = run("replay", str(trace), str(trace), "--format", "html")
    assert done.exit_code == 2
    assert "shows one trace" in done.stderr
