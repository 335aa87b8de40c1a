"""Recordings that leave something out, keep only the end, or go into several files: all against the whole one."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vmdev.cli.qemu.command import DEFAULT_GUEST
from vmdev.replay.trace import TraceReader, verify

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration

COLUMNS = "t_ns, vcpu, pc, space, direction, address, size, value, text, region"
NUMBERED = f"seq, {COLUMNS}"


def rows(path: Path, columns: str, where: str = "1") -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM access WHERE {where} ORDER BY seq").fetchall()


def record(vmdev: Vmdev, path: Path, *options: str) -> str:
    """Record the default guest; returns what was said."""
    done = vmdev("record", "-o", path, *options)
    assert done.returncode == 0, done.stderr
    return done.stderr


def meta(path: Path) -> dict[str, str | int]:
    """The facts of a trace that is complete, whatever it was meant to hold."""
    with TraceReader(path) as trace:
        assert verify(trace).gaps == []
        return trace.meta


def test_addresses_and_devices(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    """Of the devices one is memory, and one comes to its ports only when the firmware has placed it."""
    path = tmp_path / "trace.db"
    said = record(vmdev, path, "--address", "0x70-0x71", "--device", "acpi-tmr", "--device", "edid")
    wanted = "region IN ('acpi-tmr', 'edid') OR space = 'pio' AND address IN ('0x70', '0x71')"
    expected = rows(recorded, COLUMNS, wanted)
    assert {row[-1] for row in expected} == {"acpi-tmr", "edid", "rtc", "rtc-index"}
    assert rows(path, COLUMNS) == expected
    facts = meta(path)
    assert int(facts["exits"]) + int(facts["excluded"]) == len(rows(recorded, "seq"))
    assert f"{facts['excluded']:,} others were left out" in said
    told = vmdev("info", "--check", path)
    assert told.returncode == 0
    assert '{"address": ["pio:0x70-0x71"], "device": ["acpi-tmr", "edid"]}' in told.stdout
    assert "models miss them" in vmdev("replay", path).stderr


def test_stores_that_qemu_does_not_name(vmdev: Vmdev, tmp_path: Path) -> None:
    """PCI configuration space in memory: the firmware places it, and uses it at once."""
    guest = ("--duration", "110ms", "--", "qemu-system-x86_64", "-M", "q35", "-nodefaults", "-display", "none")
    whole, path = tmp_path / "whole.db", tmp_path / "trace.db"
    record(vmdev, whole, *guest)
    record(vmdev, path, "--device", "pcie-mmcfg-mmio", *guest)
    expected = rows(whole, COLUMNS, "region = 'pcie-mmcfg-mmio'")
    assert rows(path, COLUMNS) == expected
    assert {row[4] for row in expected} == {"r", "w"}


def test_a_window_of_time(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.db"
    record(vmdev, path, "--from", "100ms", "--duration", "200ms")
    expected = rows(recorded, COLUMNS, "t_ns >= 100000000 AND t_ns < 200000000")
    assert rows(path, COLUMNS) == expected != []
    assert meta(path)["excluded"] == len(rows(recorded, "seq", "t_ns < 100000000"))


def test_a_ring_is_the_end_of_it(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.db"
    said = record(vmdev, path, "--ring", "5000")
    whole = rows(recorded, NUMBERED)
    assert rows(path, NUMBERED) == whole[-5000:]
    facts = meta(path)
    assert facts["exits"] == len(whole)
    assert facts["ring"] == 5000
    assert f"the last 5,000 accesses of {len(whole):,}" in said
    assert f"exits before {len(whole) - 5000} were not kept" in vmdev("replay", path).stderr


def test_parts_are_the_whole(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    record(vmdev, tmp_path / "trace.db", "--rotate", "20000")
    parts = [tmp_path / name for name in ("trace.db", "trace.1.db", "trace.2.db")]
    assert sorted(tmp_path.iterdir()) == sorted(parts)
    assert [row for part in parts for row in rows(part, NUMBERED)] == rows(recorded, NUMBERED)
    for number, part in enumerate(parts):
        facts = meta(part)
        assert (facts["part"], facts["parts"], facts["rotate"]) == (number, 3, 20_000)
        assert facts["end_reason"] == ("guest" if number == 2 else "rotate")
        with TraceReader(part) as trace, TraceReader(recorded) as whole:
            assert trace.guest.regions == whole.guest.regions
            assert trace.guest.functions == whole.guest.functions
            assert trace.first_exit == 20_000 * number
    done = vmdev("record", "-o", tmp_path / "trace.db", "--rotate", "20000", "--force", "--exits", "10")
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == parts[:1]


def test_parts_of_a_killed_qemu(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    """It is killed when SeaBIOS has given up: without a reboot-timeout it halts for ever."""
    path, pid = tmp_path / "trace.db", tmp_path / "pid"
    wrapper = tmp_path / "qemu-system-x86_64"
    wrapper.write_text(f'#!/bin/sh\necho $$ > {pid}\nexec qemu-system-x86_64 "$@"\n')
    wrapper.chmod(0o755)
    guest = DEFAULT_GUEST[: DEFAULT_GUEST.index("-boot")]
    with subprocess.Popen(
        [
            Path(sys.executable).with_name("vmdev"), "record", "-o", path, "--rotate", "10000", "--qemu", wrapper, "--",
            *guest,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert any("No bootable device" in line for line in process.stdout)
        os.kill(int(pid.read_text()), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    parts = [path, *sorted(tmp_path.glob("trace.*.db"))]
    assert f"{path} to {parts[-1].name} (the last one is an unclosed trace)" in errors
    whole = rows(recorded, NUMBERED)
    kept = [row for part in parts for row in rows(part, NUMBERED)]
    assert len(kept) >= 10_000
    assert kept == whole[: len(kept)]
    for part in parts[:-1]:
        assert meta(part)["end_reason"] == "rotate"
    with TraceReader(parts[-1]) as trace:
        assert not trace.closed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "rtcc"], "--device rtcc: this machine has no region of that name; near it: rtc"),
        (["--address", "mmio:0x1000", "--mmio", "off"], "needs --mmio fast or full"),
        (["--address", "0x10000"], "ports end at 0xffff"),
        (["--address", "0x71-0x70"], "ends before it begins"),
        (["--from", "2s", "--duration", "1s"], "--from 2s is not before the recording's end"),
        (["--ring", "0"], "0 is not in the range x>=1"),
        (["--rotate", "0"], "0 is not in the range x>=1"),
        (["--ring", "5", "--rotate", "5"], "exclude each other"),
        (["--ring", "5", "--verify"], "--verify compares whole recordings"),
    ],
)
def test_bad_input(vmdev: Vmdev, tmp_path: Path, options: list[str], message: str) -> None:
    done = vmdev("record", "-o", tmp_path / "trace.db", *options)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert message in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_parts_in_the_way_are_found_before_the_start(vmdev: Vmdev, tmp_path: Path) -> None:
    part = tmp_path / "trace.7.db"
    part.write_text("precious")
    done = vmdev("record", "-o", tmp_path / "trace.db", "--rotate", "20000")
    assert done.returncode == 2
    assert f"{part}: exists" in done.stderr
    assert list(tmp_path.iterdir()) == [part]
