"""Real recordings, compared: by the host's clock, reproducible, and one run told twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmdev.cli.qemu.command import DEFAULT_GUEST

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration

TIMED = {"pmtimer", "rtc", "pit", "port61"}
"""Devices that show the time; port 61h shows outputs of the PIT."""


def compared(vmdev: Vmdev, a: Path, b: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = vmdev("compare", a, b, "--format", "json", *options)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def test_recordings_by_the_hosts_clock_differ_in_what_shows_the_time(vmdev: Vmdev, tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    for path in (first, second):
        assert vmdev("record", "--clock", "host", "-o", path).returncode == 0
    status, found = compared(vmdev, first, second)
    assert status == 1
    named = {(row["device"], row["register"]) for row in found["differences"]}
    assert ("pmtimer", "PM_TMR") in named
    assert {device for device, _ in named} <= TIMED
    assert found["only_in_one"] == []
    assert all(row["models_agree"] for row in found["differences"]), "time is recorded, and models compute from it"


def test_proposed_contracts_are_read_by_replay(vmdev: Vmdev, tmp_path: Path) -> None:
    first, second, file = tmp_path / "first.db", tmp_path / "second.db", tmp_path / "volatile.toml"
    for path in (first, second):
        assert vmdev("record", "--clock", "host", "-o", path).returncode == 0
    assert vmdev("compare", first, second, "--write-contracts", file).returncode == 1
    done = vmdev("replay", first, "--contracts", file, "--format", "json")
    assert done.returncode == 0, done.stdout
    assert "pmtimer" in {use["device"] for use in json.loads(done.stdout)["contracts"] if use["rule"] == "mask"}


def test_reproducible_recordings_do_not_differ(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.db"
    assert vmdev("record", "-o", again).returncode == 0
    status, found = compared(vmdev, recorded, again, "--strict")
    assert status == 0
    for key in ("made_differently", "differences", "only_in_one", "moved", "repeated", "declared", "contracts"):
        assert not found[key], key
    assert sum(device["pairs"] for device in found["devices"]) == found["a"]["exits"] > 10_000


def test_a_recording_and_qemus_log_of_it_differ_in_what_the_importer_declares(vmdev: Vmdev, tmp_path: Path) -> None:
    log, recording, imported = tmp_path / "qemu.log", tmp_path / "recorded.db", tmp_path / "imported.db"
    trace = ["-trace", "memory_region_ops_read", "-trace", "memory_region_ops_write", "-D", str(log)]
    done = vmdev("record", "-o", recording, "--", "qemu-system-x86_64", *DEFAULT_GUEST, *trace)
    assert done.returncode == 0, done.stderr
    assert vmdev("import", "-o", imported, "--like", recording, log).returncode == 0
    status, found = compared(vmdev, recording, imported, "--strict")
    assert status == 0, found
    assert "no times" in found["b"]["imported"]
    assert set(found["declared"]) == {
        "accesses that the log has in parts, as the device saw them",
        "accesses that the log has in the device's order of bytes",
    }
    assert {row["name"] for row in found["made_differently"]} == {"clock", "ended by"}
    for name in ("pmtimer", "rtc", "pic", "com1", "pci", "fdc", "vga"):
        (device,) = [device for device in found["devices"] if device["device"] == name]
        assert device["pairs"] == device["a"] == device["b"] > 0, name
