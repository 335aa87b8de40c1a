from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.replay.trace import TraceWriter

Run = Callable[..., Result]


def test_text(run: Run, trace: Path) -> None:
    size = trace.stat().st_size
    result = run("info", trace)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == (
        f"{trace}: complete as far as the counters tell; --check looks at every row\n"
        "\n"
        "  guest       pc, pc-i440fx-10.0, x86_64, 2 CPUs\n"
        "  QEMU        10.0.2, plugin API 4\n"
        "  recorded    2026-11-22T20:11:59+00:00, by vmdev 0.1.0, MMIO fast\n"
        "  ended by    guest\n"
        "  clock       virtual, icount shift 5, RTC base 2026-01-01T00:00:00, seed 0\n"
        "  host input  none\n"
        "  images      disk.img, 5,120 bytes, sha256 ab12\n"
        "              big.img, 2,147,483,648 bytes\n"
        "  command     qemu-system-x86_64 -M pc -append 'a b'\n"
        "  exits       6 in 1.000000 s, from 0.000000 s to 1.000000 s\n"
        "  sites       4\n"
        "  events      reset 1\n"
        f"  file        {size:,} bytes, {size / 6:.1f} for each exit\n"
        "\n"
        "  space  reads  writes\n"
        "  pio        3       2\n"
        "  mmio       0       1\n"
        "\n"
        "  device            space  reads  writes\n"
        "  rtc               pio        2       0\n"
        "  rtc-index         pio        0       2\n"
        "  apic-msi          mmio       0       1\n"
        "  (nothing mapped)  pio        1       0\n"
        "\n"
        "  PCI\n"
        "  00:01.3 8086:7113 class 0680\n"
    )


def test_json(run: Run, trace: Path) -> None:
    result = run("info", trace, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    meta = found.pop("meta")
    assert meta["machine"] == "pc"
    assert found == {
        "version": 1,
        "trace": str(trace),
        "complete": True,
        "closed": True,
        "gaps": [],
        "notes": [],
        "first_exit": 0,
        "exits": 6,
        "sites": 4,
        "first_ns": 416,
        "last_ns": 1_000_000_000,
        "file_bytes": trace.stat().st_size,
        "bytes_per_exit": round(trace.stat().st_size / 6, 1),
        "spaces": [
            {"region": "", "space": "pio", "reads": 3, "writes": 2},
            {"region": "", "space": "mmio", "reads": 0, "writes": 1},
        ],
        "devices": [
            {"region": "rtc", "space": "pio", "reads": 2, "writes": 0},
            {"region": "rtc-index", "space": "pio", "reads": 0, "writes": 2},
            {"region": "apic-msi", "space": "mmio", "reads": 0, "writes": 1},
            {"region": "", "space": "pio", "reads": 1, "writes": 0},
        ],
        "events": {"reset": 1},
        "pci_functions": ["00:01.3 8086:7113 class 0680"],
    }


def test_unclosed_trace_is_not_complete(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cut.db"
    TraceWriter(path).suspend()
    result = run("info", path)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"{path}: NOT COMPLETE\n  not closed: the recording was cut off, and its end is missing\n"
    )


def test_lost_exit_is_told(run: Run, trace: Path) -> None:
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("DELETE FROM exit WHERE seq = 3")
        connection.commit()
    found = json.loads(run("info", trace, "--format", "json").stdout)
    assert not found["complete"]
    assert found["closed"]
    assert found["gaps"] == [
        "exits are not gapless: 5 rows, but the last is number 5",
        "the recorder counted 3 reads of pio, but the trace holds 2",
    ]


def test_empty_trace(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    TraceWriter(path).close()
    result = run("info", path)
    assert result.exit_code == 0
    assert f"{path}: complete as far as the counters tell" in result.stdout
    assert "  exits     0\n" in result.stdout


@pytest.fixture
def partial(trace: Path) -> Path:
    """A trace from which exits were left out on purpose."""
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("DELETE FROM exit WHERE seq < 2")
        facts = [("first_exit", 2), ("excluded", 12345), ("filter", '{"regions": ["rtc"]}')]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts)
        connection.commit()
    return trace


NOTES = [
    'filtered: 12,345 accesses were left out; recorded was {"regions": ["rtc"]}',
    "exits before number 2 were not kept",
]


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_what_was_left_out_on_purpose_is_told(run: Run, partial: Path, options: list[str]) -> None:
    result = run("info", partial, *options)
    assert result.exit_code == 0, result.stdout
    title, *lines = result.stdout.splitlines()
    assert title.startswith(f"{partial}: complete")
    assert lines[:2] == [f"  {note}" for note in NOTES]
    assert json.loads(run("info", partial, *options, "--format", "json").stdout)["notes"] == NOTES


def test_times_of_a_trace_that_begins_later(run: Run, partial: Path) -> None:
    found = json.loads(run("info", partial, "--format", "json").stdout)
    assert (found["first_exit"], found["exits"], found["first_ns"]) == (2, 4, 1_000_000)


def test_check_of_a_complete_trace(run: Run, trace: Path) -> None:
    result = run("info", trace, "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{trace}: complete\n", "")
    found = json.loads(run("info", trace, "--check", "--format", "json").stdout)
    assert found == {"version": 1, "trace": str(trace), "complete": True, "gaps": [], "notes": []}


@pytest.fixture
def misfit(trace: Path) -> Path:
    """A trace whose counters are right, but an exit is not."""
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("UPDATE exit SET value = 0x8f0 WHERE seq = 1")
        connection.commit()
    return trace


def test_check_of_a_trace_that_cannot_be_true(run: Run, misfit: Path) -> None:
    gap = "exit 1 has value 0x8f0, but site 1 has 1 bytes"
    result = run("info", misfit, "--check")
    assert result.exit_code == 1
    assert result.stdout == f"{misfit}: NOT COMPLETE\n  {gap}\n"
    result = run("info", misfit, "--check", "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["gaps"] == [gap]
    assert "complete as far as the counters tell" in run("info", misfit).stdout


def test_check_of_a_trace_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    assert run("info", tmp_path / "none.db", "--check").exit_code == 2


def test_sources_of_host_input_are_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "input.db"
    TraceWriter(path, meta={"async_sources": ["typed input", "disk"]}).close()
    assert "  host input  typed input, disk: differs from run to run\n" in run("info", path).stdout


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_control_character_reaches_the_terminal(run: Run, hostile: Path, form: str) -> None:
    result = run("info", hostile, "--format", form)
    assert result.exit_code == 0
    assert all(character.isprintable() or character == "\n" for character in result.stdout)


def test_trace_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    result = run("info", tmp_path / "none.db")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path}/none.db: no such file;")
    assert result.stderr.count("\n") == 1
