"""The project of docs/ci.md, made and run as a reader would: green, red with a seeded bug, and green again.

Its traces are cut from golden ones.
"""

from __future__ import annotations

import doctest
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.schema import U64_MASK
from vmdev.replay.trace.writer import TraceWriter

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")

FILE = re.compile(r"^`(?P<name>[\w./-]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.M)
JOB = re.compile(r"^ +- (?:run|uses): (?P<step>[^#\n]*)", re.M)

MAX_CPU_S = 10.0
FIRST_LINES = 14
SMALL_BYTES = 100_000
BUG = ("self._value = value", "self._value = value ^ 1")

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


def cut(source: Path, target: Path, port: int) -> None:
    """The accesses of a trace to one port, as a trace."""
    with TraceReader(source) as reader:
        wanted = [site.id for site in reader.sites if site.space == "pio" and site.address == port]
        facts = {key: reader.meta[key] for key in ("machine", "target", "clock", "icount_shift")}
        with TraceWriter(target, facts) as writer:
            sites = {}
            for number in wanted:
                site = reader.sites[number]
                sites[number] = writer.add_site(
                    address=site.address, direction=site.direction, size=site.size, pc=site.pc,
                    insn=bytes(site.insn), text=site.text, region=site.region,
                )  # fmt: skip
            for rows in reader.find(site_ids=wanted):
                for _, t_ns, number, value in rows:
                    writer.add_exit(t_ns, sites[number], value & U64_MASK)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for found in FILE.finditer(PAGE):
        path = tmp_path / found["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["text"], encoding="utf-8")
    (tmp_path / "my_devices" / "__init__.py").touch()
    (tmp_path / "traces").mkdir()
    cut(ROOT / "traces" / "seabios-pc.db", tmp_path / "traces" / "boot.db", 0x92)
    cut(ROOT / "traces" / "seabios-q35-devices.db", tmp_path / "traces" / "q35.db", 0x92)
    return tmp_path


@pytest.fixture
def run(project: Path) -> Run:
    """Runs a command in the project, as a person would."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "80",
        "PYTEST_ADDOPTS": "-W ignore::pytest.PytestAssertRewriteWarning",  # of an editable install
    }  # fmt: skip
    for variable in ("CI", "PYTEST_XDIST_WORKER"):
        environment.pop(variable, None)

    def run_command(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, shell=True, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    return run_command


def test_the_page_is_as_shown(run: Run) -> None:
    ran = 0
    for console in CONSOLE.finditer(PAGE):
        for found in COMMAND.finditer(console[1]):
            done = run(found["command"])
            shown = found["output"]
            same = doctest.OutputChecker().check_output(shown, done.stdout, doctest.ELLIPSIS)
            assert same, f"$ {found['command']}\n{done.stdout}{done.stderr}"
            assert done.returncode == any(word in shown for word in ("Root divergence", "AssertionError")), found[
                "command"
            ]
            ran += 1
    assert ran == 14


def test_its_ci_is_five_lines_green_and_red_with_a_bug(run: Run, project: Path) -> None:
    workflow = (project / ".github" / "workflows" / "devices.yml").read_text(encoding="utf-8")
    steps = [found["step"].strip() for found in JOB.finditer(workflow)]
    assert len(steps) == 5
    assert run(steps[-1]).returncode == 0
    assert run("pytest").returncode == 0

    model = project / "my_devices" / "port92.py"
    model.write_text(model.read_text().replace(*BUG))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    red = run(steps[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert red.returncode == 1
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MAX_CPU_S
    assert "port92.PORTA: hw=0x02 model=0x03" in "\n".join(red.stdout.splitlines()[:FIRST_LINES])
    junit = Xml.parse(project / "junit.xml")
    assert [case.get("name") for case in junit.iter("testcase") if case.find("failure") is not None] == ["port92"] * 2


def test_it_is_one_model_one_board_and_two_small_traces(project: Path) -> None:
    assert [path.name for path in (project / "my_devices").glob("*.py") if path.stat().st_size] == ["port92.py"]
    assert 'name = "my-devices"' in (project / "pyproject.toml").read_text()
    assert (project / "board.py").is_file()
    traces = [*(project / "traces").glob("*.db")]
    assert len(traces) == 2
    assert all(trace.stat().st_size < SMALL_BYTES for trace in traces)
    assert ROOT not in project.parents


def test_hooks_run_commands_that_exist_on_files_that_matter(run: Run) -> None:
    hooks = dict(re.findall(r"^- id: ([\w-]+)\n(.*?)(?=^- |\Z)", HOOKS, re.M | re.S))
    used = re.findall(r"- id: ([\w-]+)", PAGE)
    assert set(used) == set(hooks) == {"vmdev", "vmdev-replay"}

    def key(hook: str, name: str) -> str:
        (found,) = re.findall(rf"^  {name}: (.*)$", hooks[hook], re.M)
        return str(found)

    assert run(f"{key('vmdev', 'entry')} {key('vmdev', 'args').strip('[]')}").returncode == 0
    assert run(f"{key('vmdev-replay', 'entry')} --board board.py traces/boot.db traces/q35.db").returncode == 0
    files = re.compile(key("vmdev", "files"))
    for name in ("my_devices/port92.py", "traces/boot.db", "traces/boot.golden.json", "traces/boot.known.toml"):
        assert files.search(name)
    assert not files.search("README.md")
    assert [bool(re.search(key("vmdev-replay", "files"), name)) for name in ("a.db", "a.py")] == [True, False]
