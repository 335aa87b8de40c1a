"""What the documents say is true: outputs that they show are what the commands print, and their code runs."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vmdev.cli import main
from vmdev.cli.main import COMMANDS
from vmdev.replay.devices import i8254
from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.report.text import render
from vmdev.replay.trace.reader import TraceReader

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block_with(text: str) -> str:
    (found,) = [block for block in blocks("") if text in block]
    return found


def test_readme_shows_the_verdict_that_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(main, ["replay", "traces/seabios-pc.db"])
    assert done.exit_code == 0
    shown = block_with("(no device)").removesuffix("...\n")
    assert shown
    assert done.stdout.startswith(shown)


def test_readme_shows_the_divergence_that_a_broken_timer_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README: the interval timer was made to count from one too few."""
    write = i8254._Counter.write

    def write_off_by_one(counter: i8254._Counter, value: int, now_ns: int) -> bool:
        loaded = write(counter, value, now_ns)
        counter.count -= loaded
        return loaded

    monkeypatch.setattr(i8254._Counter, "write", write_off_by_one)
    with TraceReader(ROOT / "traces" / "linux-pc.db") as trace:
        report = render(Replayer(trace, build(trace.guest), name="linux-pc.db").run(), None)
    (shown,) = [block for block in blocks("") if block.startswith("Root divergence")]
    assert doctest.OutputChecker().check_output(f"...\n{shown}", report, doctest.ELLIPSIS)


def test_readmes_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = "\n".join(blocks("python"))
    assert "assert verdict.agrees" in code
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    model = blocks("python")[0]
    assert len([line for line in model.splitlines() if line.strip()]) <= 30


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_helps_with_an_example(command: str) -> None:
    assert f"vmdev {command}" in block_with("vmdev machines")
    done = CliRunner().invoke(main, [command, "-h"])
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"vmdev {command}" in done.stdout


def test_every_file_that_the_documents_link_exists() -> None:
    for document in (*ROOT.glob("*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_architecture_names_every_folder_and_file_of_the_replayer() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    names = [path.name for path in (ROOT / "replay").iterdir() if not path.name.startswith(("__", "."))]
    small = {"errors.py", "naming.py", "printable.py", "version.py", "disassembly.py", "py.typed"}
    missing = [name for name in names if name not in text and name not in small]
    assert not missing, missing


def test_python_versions_are_the_ones_promised() -> None:
    assert sys.version_info >= (3, 11)
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
