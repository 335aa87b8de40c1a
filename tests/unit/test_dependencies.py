"""The layers: what may import what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vmdev.replay

REPLAY = Path(next(iter(vmdev.replay.__path__))).resolve()
DATABASES = {"sqlite3", "sqlite_utils"}

ALLOWED = {
    "clock": {"errors"},
    "irq": set(),
    "registers": {"errors"},
    "contracts": {"clock", "errors", "registers"},
    "device": {"clock", "contracts", "registers", "verdict"},
    "guest": set(),
    "verdict": set(),
    "bus": {"bus", "device", "errors"},
    "devices": {"devices", "device", "contracts", "registers", "clock", "irq", "errors"},
    "machines": {"machines", "contracts", "registers", "devices", "bus", "clock", "irq", "guest", "device", "errors"},
    "naming": {"device", "registers", "verdict"},
    "routes": {"bus", "device", "verdict", "judging.watched", "trace.rows"},
    "judging": {
        "judging", "clock", "contracts", "device", "errors", "naming", "registers", "routes", "trace.rows", "verdict",
    },
    "agenda": {"trace.rows"},
    "goldens": {"errors", "judging.rulefiles", "report", "verdict"},
    "selection": {"routes", "trace.rows"},
    "watchdog": {"errors"},
    "replayer": {
        "agenda", "contracts", "device", "guest", "judging", "machines.board", "registers", "routes", "selection",
        "trace.rows", "verdict", "watchdog", "errors", "provenance",
    },
    "oracle": {
        "oracle", "clock", "device", "errors", "guest", "machines.board", "naming", "registers", "replayer", "routes",
        "trace.rows", "verdict",
    },
    "importers": {"importers", "guest", "errors", "trace.writer"},
    "exporters": {
        "exporters", "clock", "disassembly", "errors", "guest", "oracle.protocol", "printable", "selection",
        "trace.reader", "trace.rows", "trace.schema",
    },
    "provenance": set(),
    "reproducing": {"device"},
    "minimizing": {
        "minimizing", "bus", "clock", "device", "errors", "guest", "irq", "machines.board", "naming", "registers",
        "replayer", "reproducing", "routes", "selection", "trace.rows", "verdict",
    },
    "mutating": {
        "mutating", "device", "errors", "irq", "machines.board", "minimizing", "naming", "printable", "registers",
        "replayer", "report.wording", "routes", "selection", "trace.rows", "verdict",
    },
    "scaffolding": {
        "scaffolding", "bus", "clock", "device", "errors", "guest", "machines", "printable", "registers", "replayer",
        "routes", "selection", "trace",
    },
    "comparing": {
        "comparing", "contracts", "device", "errors", "guest", "naming", "printable", "provenance", "registers",
        "replayer", "report.wording", "routes", "trace.reader", "trace.rows", "verdict",
    },
    "activity": {"device", "naming", "routes", "trace.rows"},
    "report": {"report", "verdict", "activity", "registers", "disassembly", "printable", "errors"},
    "trace": {"trace", "guest", "errors", "version"},
}  # fmt: skip
"""By module or folder of replay/: what it may import of replay/. A folder stands for all in it."""

FILES = sorted(REPLAY.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of all modules that a file imports, also those it imports for types only."""
    package = ["vmdev", "replay", *path.relative_to(REPLAY).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from (module,) if node.module else (f"{module}.{alias.name}" for alias in node.names)


def layer(path: Path) -> str:
    """The entry of `ALLOWED` that a file falls under."""
    return path.relative_to(REPLAY).with_suffix("").parts[0]


def within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def test_there_are_files_to_check() -> None:
    assert {"replayer", "devices", "bus"} <= {layer(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPLAY)))
def test_imports_follow_the_layers(path: Path) -> None:
    ours = {name.removeprefix("vmdev.replay.") for name in imports(path) if name.startswith("vmdev.replay.")}
    allowed = ALLOWED.get(layer(path))
    if allowed is not None:
        assert {name for name in ours if not any(within(name, entry) for entry in allowed)} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPLAY)))
def test_only_the_trace_knows_sql(path: Path) -> None:
    if layer(path) != "trace":
        assert {name for name in imports(path) if name.split(".")[0] in DATABASES} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPLAY)))
def test_nothing_imports_the_command_line(path: Path) -> None:
    assert [name for name in imports(path) if within(name, "vmdev.cli")] == []


@pytest.mark.parametrize("module", ["time", "random", "os", "logging", "secrets"])
def test_no_device_asks_the_host(module: str) -> None:
    for path in (REPLAY / "devices").glob("*.py"):
        assert module not in set(imports(path)), path.name
