"""One run, told twice: by the recorder, and by QEMU's own trace log, imported. The models judge both alike."""

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

WORKS_FOR_A_TIME = {"fdc"}
"""A command of the floppy disk controller takes a second: the log has no times, and the model is not done yet."""

JUDGED = ("matched", "learned", "assumed", "diverged", "unclaimed_reads")


def verdict(vmdev: Vmdev, trace: Path) -> dict[str, Any]:
    done = vmdev("replay", trace, "--format", "json")
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_verdicts_on_a_recording_and_on_qemus_log_of_it_agree(vmdev: Vmdev, tmp_path: Path) -> None:
    log, recorded, imported = tmp_path / "qemu.log", tmp_path / "recorded.db", tmp_path / "imported.db"
    trace = ["-trace", "memory_region_ops_read", "-trace", "memory_region_ops_write", "-D", str(log)]
    done = vmdev("record", "-o", recorded, "--", "qemu-system-x86_64", *DEFAULT_GUEST, *trace)
    assert done.returncode == 0, done.stderr
    done = vmdev("import", "-o", imported, "--like", recorded, log)
    assert done.returncode == 0, done.stderr
    assert vmdev("info", "--check", imported).returncode == 0

    ours, theirs = verdict(vmdev, recorded), verdict(vmdev, imported)
    assert "no times" in theirs["trace"]["imported"]
    excused = {use["device"] for use in theirs["contracts"] if use["reads"]}
    assert excused == {"pmtimer"}
    for mine, its in zip(ours["devices"], theirs["devices"], strict=True):
        assert (mine["name"], mine["reads"]) == (its["name"], its["reads"])
        if mine["name"] not in excused | WORKS_FOR_A_TIME:
            assert [mine[key] for key in JUDGED] == [its[key] for key in JUDGED], mine["name"]
    assert ours["agrees"]
    assert {divergence["device"] for divergence in theirs["divergences"]} <= WORKS_FOR_A_TIME
