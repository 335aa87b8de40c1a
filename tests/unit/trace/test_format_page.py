"""traces/README.md, the page that documents the format, against the format."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vmdev.replay.trace import TraceReader, schema

PAGE = (Path(__file__).parents[3] / "traces" / "README.md").read_text(encoding="utf-8")


def columns() -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        return connection.execute(
            "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
            "WHERE m.type IN ('table', 'view')"
        ).fetchall()


@pytest.mark.parametrize("table", sorted({table for table, _ in columns()}))
def test_every_table_and_view_is_documented(table: str) -> None:
    assert f"**{table}**" in PAGE or f"{table}(key, value)" in PAGE


@pytest.mark.parametrize(("table", "column"), [row for row in columns() if row[0] not in {"meta", "access"}])
def test_every_column_is_documented(table: str, column: str) -> None:
    section = PAGE[PAGE.index(f"**{table}**") :].partition("\n\n**")[0]
    assert f"`{column}`" in section


def test_numbers_are_those_of_the_schema() -> None:
    assert PAGE.startswith(f"# The trace, format {schema.FORMAT}\n")
    assert f"`application_id` is {schema.APPLICATION_ID:#x}" in PAGE


@pytest.mark.parametrize("key", [*schema.COUNTERS, "closed"])
def test_every_counter_is_documented(key: str) -> None:
    assert f"| `{key}`" in PAGE or f", `{key}`" in PAGE


def test_facts_of_a_recorded_trace_are_documented() -> None:
    facts = PAGE.partition("## Facts")[2].partition("\n## ")[0]
    for path in (Path(__file__).parents[3] / "traces").glob("*.db"):
        with TraceReader(path) as trace:
            undocumented = [key for key in trace.meta if f"`{key}`" not in facts]
        assert not undocumented, path.name


@pytest.mark.parametrize("statement", re.findall(r"^SELECT .*?;", PAGE, re.MULTILINE))
def test_examples_run(trace: Path, statement: str) -> None:
    with closing(sqlite3.connect(trace)) as connection:
        assert connection.execute(statement).fetchall()
