"""Pages of docs/, done as a reader would: every file is written, every command is run, every output is as shown."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    "tutorial": ("seabios-pc", 8),
    "minimize": ("linux-pc", 6),
    "mutate": ("linux-pc seabios-pc", 3),
    "scaffold": ("linux-pc", 6),
    "exporting": ("seabios-pc", 4),
    "qtest": ("seabios-pc", 2),
    "compare": ("seabios-pc", 4),
}
"""Pages of docs/ that are done so, the recordings that each is about, and its number of commands."""

NEED_QEMU = {"qtest"}

BLOCK = re.compile(r"^(?:`(?P<name>[\w./-]+)`:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.M)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console, each with the output that is shown for it."""
    for found in COMMAND.finditer(text):
        yield found["command"], found["output"]


def as_shown(shown: str, printed: str) -> bool:
    """Whether the output is the one shown, in which ... stands for anything."""
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.integration] if page in NEED_QEMU else []) for page in PAGES],
)
def test_a_page_works(page: str, tmp_path: Path) -> None:
    recordings, count = PAGES[page]
    for recording in recordings.split():
        shutil.copy(ROOT / "traces" / f"{recording}.db", tmp_path)
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-W ignore::pytest.PytestAssertRewriteWarning",  # of an editable install
    }
    ran = []
    for block in BLOCK.finditer((ROOT / "docs" / f"{page}.md").read_text()):
        if block["name"]:
            (tmp_path / block["name"]).write_text(block["text"])
        if block["language"] != "console":
            continue
        for command, shown in commands(block["text"]):
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert as_shown(shown, done.stdout), f"$ {command}\n{done.stdout}{done.stderr}"
            fails = ("divergence" in shown and "0 divergences" not in shown) or "failed" in shown or "F " in shown
            fails = fails or " differ; in " in shown
            assert done.returncode == fails, f"$ {command}\n{done.stdout}{done.stderr}"
            ran.append(command)
    assert len(ran) == count


@pytest.mark.parametrize(("shown", "printed", "same"), [("a ...\n", "a b\n", True), ("a\n", "b\n", False)])
def test_outputs_are_compared(shown: str, printed: str, same: bool) -> None:
    assert as_shown(shown, printed) == same
