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
        f"{trace}: complete\n"
        "\n"
        "  guest       pc, pc-i440fx-10.0, x86_64, 1 CPU\n"
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
    assert f"{path}: complete\n" in result.stdout
    assert "  exits     0\n" in result.stdout


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
