from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from vmdev.cli import main
from vmdev.cli.main import COMMANDS
from vmdev.replay.errors import VmdevError
from vmdev.replay.trace import TraceWriter

Run = Callable[..., Result]

FULL = Path("/dev/full")
PROGRAM = [sys.executable, "-c", "from vmdev.cli import main; main(prog_name='vmdev')"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes the command ``machines`` fail in a given way."""

    def install(error: BaseException) -> None:
        @click.command()
        def machines() -> None:
            raise error

        monkeypatch.setattr("vmdev.cli.machines.machines", machines)

    return install


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_of_the_group(run: Run, option: str) -> None:
    result = run(option)
    assert result.exit_code == 0
    assert "Usage: vmdev [OPTIONS] COMMAND [ARGS]..." in result.stdout
    assert [line.split()[0] for line in result.stdout.partition("Commands:\n")[2].splitlines()] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_of_each_command_has_an_example(run: Run, command: str, option: str) -> None:
    result = run(command, option)
    assert result.exit_code == 0
    assert f"Usage: vmdev {command} " in result.stdout
    assert f"\n      vmdev {command}" in result.stdout.partition("Example:")[2]


def test_version(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("vmdev ")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--nonsense"], ["info"], ["info", "--nonsense"]])
def test_usage_errors_have_status_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: vmdev" in result.stderr


def test_error_of_ours_is_one_line_on_stderr(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(VmdevError("no good: \x1b[31m\nthis way out"))
    result = run("machines")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "Error: no good: \\x1b[31m\\nthis way out\n"


def test_clicks_own_errors_have_status_2(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(click.FileError("x.db", "no such thing"))
    result = run("machines")
    assert result.exit_code == 2
    assert result.stderr == "Error: Could not open file 'x.db': no such thing\n"


def test_error_of_the_system_is_one_line_on_stderr(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(OSError(errno.EIO, "Input/output error", "trace.db"))
    result = run("machines")
    assert result.exit_code == 2
    assert result.stderr == "Error: trace.db: Input/output error\n"


def test_bug_shows_its_traceback_and_has_status_2(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(ZeroDivisionError("oops"))
    result = run("machines")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith(
        "ZeroDivisionError: oops\nError: this is a bug in vmdev; please report it with the lines above\n"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupt_has_status_130(run: Run, failing: Callable[[BaseException], None], error: BaseException) -> None:
    failing(error)
    result = run("machines")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "")


def test_status_that_a_command_chooses_stays(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(click.exceptions.Exit(1))
    assert run("machines").exit_code == 1


def test_main_is_the_entry_point() -> None:
    assert isinstance(main, click.Group)


# In a process of its own


@pytest.fixture
def long_trace(tmp_path: Path) -> Path:
    """More output than fits a pipe."""
    path = tmp_path / "long.db"
    with TraceWriter(path) as writer:
        site = writer.add_site(address=0x60, direction="r")
        for seq in range(20_000):
            writer.add_exit(seq, site, 0)
    return path


def test_reader_that_goes_away_is_no_trouble(long_trace: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "show", str(long_trace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["machines", "show"])
def test_full_disk_is_told(long_trace: Path, command: str) -> None:
    arguments = [command, str(long_trace)] if command == "show" else [command]
    with FULL.open("w") as full:
        done = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "Error: No space left on device\n")


def test_interrupt_of_a_process_is_quiet(long_trace: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "show", str(long_trace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # it is at work, and the pipe is full
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "")
