"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from latches import MODEL, with_board, write_trace

pytest_plugins = ("pytester",)


@pytest.fixture(autouse=True)
def _not_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a board of latches and a trace of a guest that uses two of them."""
    with_board(pytester.path)
    write_trace(pytester.path / "traces" / "boot.db")
    return pytester


def test_each_device_that_a_trace_may_reach_is_a_test(project: pytest.Pytester) -> None:
    done = project.runpytest("--vmdev", "traces", "-v")
    done.assert_outcomes(passed=3, skipped=1)
    done.stdout.fnmatch_lines(
        [
            "traces/boot.db::one PASSED*",
            "traces/boot.db::two PASSED*",
            "traces/boot.db::placeless SKIPPED*",
            "traces/boot.db::totals PASSED*",
            "*vmdev: what was checked*",
            "traces/boot.db: 6 of 6 checked reads match; 0 divergences. 13 exits, 1 unclaimed.",
        ]
    )
    done.stdout.no_fnmatch_line("*unused*")


def test_without_the_option_traces_are_no_tests(project: pytest.Pytester) -> None:
    assert project.runpytest("traces").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_failure_begins_with_the_root(project: pytest.Pytester) -> None:
    with_board(project.path, "Stuck")
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=2, skipped=1, failed=1)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(
        [
            "=* FAILURES =*",
            "_* traces/boot.db one _*",
            "one.LATCH: hw=0x02 model=0x00, differing bits 1, at seq 5; 1 root, 1 consequence",
            "Root divergence 1 of 1 in one",
            "  seq 5 at *",
            "  one.LATCH (offset 0x0, pio 0x92, 1 byte): hw=0x02 model=0x00",
            "    differing bits 1 (0x02)",
            "FAILED traces/boot.db::one - *one.LATCH: hw=0x02 model=0x00*",
        ]
    )


def test_tests_are_chosen_by_name_and_by_what_failed(project: pytest.Pytester) -> None:
    project.runpytest("--vmdev", "traces", "-k", "two").assert_outcomes(passed=1, deselected=3)
    project.runpytest("--vmdev", "traces", "-m", "not vmdev").assert_outcomes(deselected=4)
    with_board(project.path, "Stuck")
    project.runpytest("--vmdev", "traces").assert_outcomes(passed=2, skipped=1, failed=1)
    with_board(project.path)
    project.runpytest("--vmdev", "traces", "--lf").assert_outcomes(passed=1)


def test_junit_has_counts_and_roots(project: pytest.Pytester) -> None:
    with_board(project.path, "Stuck")
    project.runpytest("--vmdev", "traces", "--junitxml=junit.xml")
    suite = Xml.parse(project.path / "junit.xml").getroot()[0]
    cases = {case.get("name"): case for case in suite}
    assert {*cases} == {"one", "two", "placeless", "totals"}
    failure = cases["one"].find("failure")
    assert failure is not None
    assert "one.LATCH: hw=0x02" in (failure.get("message") or "")
    counts = {each.get("name"): each.get("value") for each in cases["one"].iter("property")}
    assert (counts["exits"], counts["matched"], counts["diverged"]) == ("6", "1", "2")
    assert cases["placeless"].find("skipped") is not None


def test_the_items_of_a_trace_share_a_replay_in_all_processes(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCH_LOG", str(project.path / "log"))
    with_board(project.path, "Logging")
    write_trace(project.path / "traces" / "other.db", (4, 5))
    project.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_own(n): pass")
    done = project.runpytest_subprocess("--vmdev", "-n", "2")
    done.assert_outcomes(passed=10, skipped=2)
    done.stdout.fnmatch_lines_random(["traces/boot.db: 6 of 6 checked*", "traces/other.db: 4 of 4 checked*"])
    assert (project.path / "log").read_text() == "replay\n" * 2


def test_an_unclosed_trace_is_told_loudly(project: pytest.Pytester) -> None:
    write_trace(project.path / "traces" / "cut.db", closed=False)
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=6, skipped=2)
    done.stdout.fnmatch_lines(["WARNING: *cut.db: the recording was cut off: it may end before its guest did"])


def test_rules_beside_the_trace_hold(project: pytest.Pytester) -> None:
    with_board(project.path, "Stuck")
    entry = 'device = "one"\nregister = "LATCH"\nbits = 2\nreason = "broken for now"\n'
    known = project.path / "traces" / "boot.known.toml"
    known.write_text(f"[[known]]\n{entry}")
    project.runpytest("--vmdev", "traces").assert_outcomes(passed=3, skipped=1)
    with_board(project.path)
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=2, skipped=1, failed=1)
    done.stdout.fnmatch_lines(["stale: nothing diverges any more in one.LATCH*"])
    known.unlink()
    with_board(project.path, "Stuck")
    (project.path / "traces" / "boot.contracts.toml").write_text(f'[[contract]]\nrule = "mask"\n{entry}')
    project.runpytest("--vmdev", "traces").assert_outcomes(passed=3, skipped=1)


def test_a_trace_that_cannot_be_used_is_an_error_in_one_line(project: pytest.Pytester) -> None:
    (project.path / "traces" / "bad.db").write_text("no database")
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(passed=3, skipped=1, errors=1)
    done.stdout.fnmatch_lines(["ERROR traces/bad.db::totals - *: *"])
    done.stdout.no_fnmatch_line("*Traceback*")


def test_a_board_that_cannot_be_used_is_an_error_of_each_trace(project: pytest.Pytester) -> None:
    (project.path / "board.py").write_text("raise RuntimeError('no board')")
    done = project.runpytest("--vmdev", "traces")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*board.py: cannot be imported: RuntimeError: no board"])


def test_rules_that_cannot_be_used_are_an_error_of_each_device(project: pytest.Pytester) -> None:
    (project.path / "traces" / "boot.known.toml").write_text("known = 1")
    project.runpytest("--vmdev", "traces").assert_outcomes(errors=4)


def configure(project: pytest.Pytester, *lines: str) -> None:
    (project.path / "pytest.ini").write_text("\n".join(["[pytest]", "vmdev_board = board.py", *lines]))


@pytest.mark.parametrize("where", ["traces", "traces/boot.db", "tra*/*.db"])
def test_traces_of_the_configuration_are_collected_when_all_is(project: pytest.Pytester, where: str) -> None:
    configure(project, f"vmdev_traces = {where}", "testpaths = tests")
    (project.path / "tests").mkdir()
    (project.path / "tests" / "test_own.py").write_text("def test_own(): pass")
    project.runpytest().assert_outcomes(passed=4, skipped=1)
    project.runpytest("tests").assert_outcomes(passed=1)
    project.runpytest("traces/boot.db").assert_outcomes(passed=3, skipped=1)


def test_a_configured_trace_that_is_missing_is_an_error(project: pytest.Pytester) -> None:
    configure(project, "vmdev_traces = traces gone.db")
    done = project.runpytest()
    done.assert_outcomes(passed=3, skipped=1, errors=1)
    done.stdout.fnmatch_lines(["*vmdev_traces: gone.db: there is no such file"])
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=3, skipped=1, errors=1)


def test_models_and_strictness_are_configured(project: pytest.Pytester) -> None:
    (project.path / "mine.py").write_text(MODEL.replace("FIRST", "Latch"))
    (project.path / "pytest.ini").write_text(
        "[pytest]\nvmdev_traces = traces\nvmdev_strict = true\n"
        "vmdev_machine = microvm\nvmdev_devices = one=mine:Stuck@pio:0x92\n"
    )
    done = project.runpytest()
    done.stdout.fnmatch_lines(["one.LATCH: hw=0x02*", "4 reads not answered*"])


def test_own_tests_replay_with_the_fixture(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        from board import Stuck, board
        from vmdev.replay.errors import VmdevError

        def test_file(vmdev):
            verdict = vmdev.replay("traces/boot.db", board="board.py")
            assert verdict.agrees and verdict.totals.matched == 6
            assert vmdev.replay("traces/boot.db", board="board.py") is verdict

        def test_function_and_devices(vmdev):
            verdict = vmdev.replay("traces/boot.db", board=board, devices=["two"])
            assert verdict.selected == ("two",) and verdict.totals.checked == 3

        def test_models_by_name(vmdev):
            verdict = vmdev.replay("traces/boot.db", devices={"port92": Stuck})
            assert [root.register for root in verdict.roots] == ["LATCH"]
            again = vmdev.replay("traces/boot.db", devices=["port92=board:Stuck"], until_divergence=True)
            assert len(again.roots) == 1

        def test_trouble(vmdev):
            with pytest.raises(VmdevError, match="no such file"):
                vmdev.replay("gone.db")
            with pytest.raises(VmdevError, match="must be like"):
                vmdev.replay("traces/boot.db", devices=["one="])
        """
    )
    done = project.runpytest("-p", "no:cacheprovider")
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["traces/boot.db: 6 of 6 checked reads match*"])
