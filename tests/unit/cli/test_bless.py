"""Goldens: blessed by `vmdev bless` and by pytest, compared by pytest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from latches import with_board, write_trace
from vmdev.cli import main

pytest_plugins = ("pytester",)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose model of the first latch is broken."""
    monkeypatch.delenv("CI", raising=False)
    with_board(pytester.path, "Stuck")
    write_trace(pytester.path / "traces" / "boot.db")
    return pytester


def bless(project: pytest.Pytester, *arguments: str, reason: str = "it is so") -> Result:
    path = str(project.path / "traces" / "boot.db")
    board = str(project.path / "board.py")
    return CliRunner().invoke(main, ["bless", path, "--board", board, "--reason", reason, *arguments])


def golden(project: pytest.Pytester) -> Path:
    return project.path / "traces" / "boot.golden.json"


def test_a_blessed_divergence_passes(project: pytest.Pytester) -> None:
    done = bless(project)
    assert done.exit_code == 0, done.output
    assert "one.LATCH: bits 1 (0x2) differ now" in done.stdout
    content = json.loads(golden(project).read_text())
    assert content["reason"] == "it is so"
    assert content["devices"]["one"] == {
        "exits": 6, "matched": 1, "diverged": 2, "delivered": 3,
        "divergences": {"LATCH": {"bits": "0x2", "roots": 1, "consequences": 1}},
    }  # fmt: skip
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=3)  # it is known by now that one more device is not reached
    done.stdout.fnmatch_lines(["traces/boot.db: *as blessed."])


def test_what_got_better_fails_until_it_is_blessed(project: pytest.Pytester) -> None:
    bless(project)
    with_board(project.path)
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(
        [
            "not as blessed: 0 regressions, 5 improvements",
            "improvements:",
            "  one: matched 1 -> 3",
            "  one: diverged 2 -> 0",
            "  one.LATCH: bits 1 (0x2) differ no more",
        ]
    )
    done.stdout.no_fnmatch_line("*regressions:*")
    done = project.runpytest("--vmdev", "traces", "--vmdev-bless=mended")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["boot.golden.json: blessed", "*bits 1 (0x2) differ no more"])
    assert json.loads(golden(project).read_text())["reason"] == "mended"
    project.runpytest("--vmdev", "traces").assert_outcomes(passed=3)


def test_what_got_worse_fails_with_the_root(project: pytest.Pytester) -> None:
    with_board(project.path)
    bless(project)
    with_board(project.path, "Stuck")
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(
        [
            "not as blessed: 5 regressions, 0 improvements; one.LATCH: hw=0x02 model=0x00*",
            "regressions:",
            "  one: matched 3 -> 1",
            "  one.LATCH: bits 1 (0x2) differ now",
            "Root divergence 1 of 1 in one",
        ]
    )


def test_improvements_and_regressions_are_listed_apart(project: pytest.Pytester) -> None:
    bless(project)
    board = project.path / "board.py"
    board.write_text(board.read_text().replace("stuck = 2", "stuck = 1"))
    done = project.runpytest("--vmdev", "traces", "-k", "one")
    done.stdout.fnmatch_lines(
        ["regressions:", "*bits 0 (0x1) differ now", "improvements:", "*bits 1 (0x2) differ no more"]
    )


def test_only_what_was_run_is_blessed(project: pytest.Pytester) -> None:
    with_board(project.path)
    bless(project)
    before = json.loads(golden(project).read_text())
    board = project.path / "board.py"
    board.write_text(board.read_text().replace('"two", Latch()', '"two", Stuck()'))
    project.runpytest("--vmdev", "traces", "--vmdev-bless=x", "-k", "one").stdout.fnmatch_lines(["*is so already"])
    assert json.loads(golden(project).read_text()) == before
    project.runpytest_subprocess("--vmdev", "traces", "--vmdev-bless=x", "-k", "two", "-n", "1").assert_outcomes(
        passed=1
    )
    after = json.loads(golden(project).read_text())
    assert after["devices"]["one"] == before["devices"]["one"]
    assert after["devices"]["two"] != before["devices"]["two"]


def test_a_device_that_is_gone_fails_until_it_is_blessed(project: pytest.Pytester) -> None:
    bless(project)
    board = project.path / "board.py"
    board.write_text(board.read_text().replace('machine.add("two"', '#machine.add("two"'))
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*two: gone, or not reached*", "*unclaimed pio 0x93: reads 0 -> 3"])
    project.runpytest("--vmdev", "traces", "--vmdev-bless=less")
    assert "two" not in json.loads(golden(project).read_text())["devices"]


def test_nothing_is_blessed_where_nobody_looks(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    done = bless(project)
    assert done.exit_code == 2
    assert "CI is set" in done.stderr
    done_in_pytest = project.runpytest("--vmdev", "traces", "--vmdev-bless=x")
    assert done_in_pytest.ret == pytest.ExitCode.USAGE_ERROR
    done_in_pytest.stderr.fnmatch_lines(["*CI is set in the environment*"])
    assert not golden(project).exists()


def test_nothing_is_blessed_without_a_reason(project: pytest.Pytester) -> None:
    assert bless(project, reason=" ").exit_code == 2
    assert project.runpytest("--vmdev", "traces", "--vmdev-bless= ").ret == pytest.ExitCode.USAGE_ERROR
    assert not golden(project).exists()


def test_an_unclosed_trace_is_not_blessed(project: pytest.Pytester) -> None:
    write_trace(project.path / "traces" / "boot.db", closed=False)
    done = bless(project)
    assert done.exit_code == 2
    assert "an unclosed trace is not blessed" in done.stderr
    project.runpytest("--vmdev", "traces", "--vmdev-bless=x").assert_outcomes(failed=4)
    assert not golden(project).exists()


def test_a_part_of_a_trace_is_not_blessed(project: pytest.Pytester) -> None:
    done = bless(project, "--device", "one")
    assert done.exit_code == 2
    assert not golden(project).exists()


def test_a_golden_that_changes_nothing_is_not_written(project: pytest.Pytester) -> None:
    bless(project)
    done = bless(project, reason="another")
    assert "is so already" in done.stdout
    assert json.loads(golden(project).read_text())["reason"] == "it is so"


def test_orphans_are_listed_and_kept(project: pytest.Pytester) -> None:
    orphan = project.path / "traces" / "old.golden.json"
    orphan.write_text("{}")
    assert "old.golden.json: has no trace any more" in bless(project).stderr
    project.runpytest("--vmdev", "traces").stdout.fnmatch_lines(["*old.golden.json: a golden that has no trace*"])
    assert orphan.exists()


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"version": 2}', '{"version": 1, "devices": {"one": 1}}'])
def test_a_damaged_golden_is_an_error(project: pytest.Pytester, content: str) -> None:
    golden(project).write_text(content)
    assert bless(project).exit_code == 2
    done = project.runpytest("--vmdev", "traces", "-k", "one")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*boot.golden.json: *"])
