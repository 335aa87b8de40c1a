"""Would a replay notice? One recorded value is changed, or one model broken: the report names it, and only it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vmdev.cli import main
from vmdev.replay.clock import Clock
from vmdev.replay.devices import acpi_pm_timer, i8254
from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.verdict import Verdict

TRACES = Path(__file__).parents[2] / "traces"


def replay_in_process(path: Path) -> Verdict:
    with TraceReader(path) as trace:
        return Replayer(trace, build(trace.guest)).run()


def change_one_value(name: str, port: int, nth: int, flip: int, directory: Path) -> tuple[Path, int]:
    """A copy of a golden trace in which the `nth` read of `port` has the bits `flip` inverted, and that read's seq."""
    path = directory / f"{name}.db"
    shutil.copy(TRACES / path.name, path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        ((seq,),) = connection.execute(
            "SELECT exit.seq FROM exit JOIN site ON site.id = exit.site "
            "WHERE space = 'pio' AND direction = 'r' AND address = ? ORDER BY seq LIMIT 1 OFFSET ?",
            (port, nth),
        )
        connection.execute(
            "UPDATE exit SET value = (value | :flip) - (value & :flip) WHERE seq = :seq", {"seq": seq, "flip": flip}
        )
    return path, seq


@pytest.mark.parametrize(
    ("name", "port", "nth", "flip", "device", "register", "field"),
    [
        ("seabios-pc", 0x608, 5_000, 0x10, "pmtimer", "PM_TMR", "TMR_VAL"),
        ("seabios-pc", 0x92, 100, 0x02, "port92", None, "A20"),
        ("seabios-pc", 0x70, 50, 0x80, "rtc", None, None),
        ("seabios-pc", 0x3FD, 7, 0x20, "com1", "LSR", "THRE"),
        ("seabios-pc", 0x21, 3, 0x01, "pic", "PIC1_IMR", None),
        ("seabios-pc", 0x402, 0, 0x01, "debugcon", None, None),
        ("linux-pc", 0x42, 10_000, 0x04, "pit", "Counter 2", None),
        ("linux-pc", 0x71, 60, 0x01, "rtc", None, None),
        ("linux-pc", 0x61, 0, 0x20, "port61", None, None),
        ("linux-pc", 0x3FA, 2, 0x02, "com1", "IIR", "ID"),
    ],
)
def test_changed_value_is_the_one_root(
    name: str, port: int, nth: int, flip: int, device: str, register: str | None, field: str | None, tmp_path: Path
) -> None:
    path, seq = change_one_value(name, port, nth, flip, tmp_path)
    done = CliRunner().invoke(main, ["replay", str(path), "--format", "json"])
    assert done.exit_code == 1
    verdict = json.loads(done.stdout)
    roots = [divergence for divergence in verdict["divergences"] if divergence["kind"] == "root"]
    assert [root["seq"] for root in roots] == [seq]
    root: dict[str, Any] = roots[0]
    assert root["device"] == device
    assert root["hw"] ^ root["model"] == flip
    assert root["register"] == (register or root["register"]) is not None
    if field:
        assert field in [row["name"] for row in root["fields"]]
    assert root["instruction"]["text"].startswith("in ")

    text = CliRunner().invoke(main, ["replay", str(path)]).stdout
    assert text.startswith("1 root divergence")
    assert f"seq {seq:,}" in text
    assert f"{device}.{root['register']}" in text


def test_pit_that_reloads_one_too_few_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    write = i8254._Counter.write

    def write_off_by_one(counter: i8254._Counter, value: int, now_ns: int) -> bool:
        loaded = write(counter, value, now_ns)
        if loaded:
            counter.count -= 1
        return loaded

    monkeypatch.setattr(i8254._Counter, "write", write_off_by_one)
    verdict = replay_in_process(TRACES / "linux-pc.db")
    assert not verdict.agrees
    assert {divergence.device for divergence in verdict.divergences} <= {"pit", "pic", "port61"}
    root = verdict.divergences[0]
    assert (root.device, root.register, root.kind) == ("pit", "Counter 2", "root")


def test_timer_of_another_frequency_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acpi_pm_timer, "FREQUENCY_HZ", acpi_pm_timer.FREQUENCY_HZ + 1)
    assert acpi_pm_timer.AcpiPmTimer(Clock(10**9)).read(0, 4) == 3_579_546
    verdict = replay_in_process(TRACES / "seabios-pc.db")
    assert {divergence.device for divergence in verdict.divergences} == {"pmtimer"}
