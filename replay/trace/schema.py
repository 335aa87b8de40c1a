"""The format of a trace: its schema, its marks, and how SQLite's signed integers stand for unsigned ones."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from ..errors import TraceError

FORMAT: Final = 2
"""The format's version: SQLite's user_version."""

APPLICATION_ID: Final = 0x766D6476
"""SQLite's application_id: "vmdv"."""

U64_MASK: Final = (1 << 64) - 1

SCHEMA_SQL: Final = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")

COUNTERS: Final = ("exits", "sites", "reads_pio", "writes_pio", "reads_mmio", "writes_mmio", "dropped")
"""The keys of `meta` under which a recorder writes at its end what it has counted."""

_MINIMUM_SQLITE: Final = (3, 37, 0)
"""The first version that knows STRICT tables."""

_MAX_OBJECTS: Final = 1000

_COMMENTS_AND_SPACE: Final = re.compile(r"(?:--[^\n]*|\s)+")
_COMPUTES: Final = re.compile(r"\b(?:CHECK|AS)\b", re.IGNORECASE)
"""In a table's definition: a constraint, or a generated column."""

_VIRTUAL: Final = re.compile(r"CREATE VIRTUAL", re.IGNORECASE)


def to_signed(value: int) -> int:
    """The signed integer of 64 bits under which SQLite stores the unsigned `value`."""
    return value - (1 << 64) if value >> 63 else value


def require_sqlite() -> None:
    """Check that Python's SQLite can read traces at all.

    Raises:
        TraceError: it is older than 3.37.
    """
    if sqlite3.sqlite_version_info < _MINIMUM_SQLITE:
        raise TraceError(f"Python's SQLite must be 3.37 or newer, not {sqlite3.sqlite_version}; use a newer Python")


def create(connection: sqlite3.Connection) -> None:
    """Make an empty database a trace, at once or not at all."""
    connection.executescript(f"BEGIN;\n{SCHEMA_SQL}\nCOMMIT;")


def find_foreign(connection: sqlite3.Connection) -> str | None:
    """What in the database is not as the format says, and the way out, as a phrase; None if all is well.

    Ordinary tables and indexes of one's own are allowed beside the trace's. What could act when the trace is used is
    not: triggers, other views, virtual tables, and expressions, which a check of the file would compute.
    """
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchmany(_MAX_OBJECTS)
    if len(rows) == _MAX_OBJECTS:
        return f"has {_MAX_OBJECTS} tables and indexes or more, which no trace has; record again"
    found = {name: (kind, _normalise(sql)) for kind, name, sql in rows if isinstance(sql, str)}
    for name, expected in _expected().items():
        if name not in found:
            return f"has no {expected[0]} {name!r}; its recording never began, or it is damaged: record again"
        if found[name] != expected:
            return f"has a {found[name][0]} {name!r} that is not as format {FORMAT} defines it; record again"
    for name, (kind, sql) in found.items():
        if name not in _expected() and (kind in {"trigger", "view"} or _VIRTUAL.match(sql)):
            what = "virtual table" if kind == "table" else kind
            return f"has the {what} {name!r}, which a trace may not have; drop it, or record again"
        if name not in _expected() and (sql.count("(") > 1 if kind == "index" else _COMPUTES.search(sql)):
            return f"has the {kind} {name!r} with an expression, which a trace may not have; drop it, or record again"
    return None


@cache
def _expected() -> Mapping[str, tuple[str, str]]:
    connection = sqlite3.connect(":memory:")
    try:
        create(connection)
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    finally:
        connection.close()
    return {name: (kind, _normalise(sql)) for kind, name, sql in rows}


def _normalise(sql: str) -> str:
    """The statement without its comments and line breaks, which may change without changing the format."""
    return _COMMENTS_AND_SPACE.sub(" ", sql).replace(" )", ")").strip()
