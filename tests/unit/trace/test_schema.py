from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdev.replay.errors import TraceError
from vmdev.replay.trace import schema


def test_constants_are_those_of_the_schema() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.FORMAT,)


def test_application_id_spells_vmdv() -> None:
    assert schema.APPLICATION_ID.to_bytes(4, "big") == b"vmdv"


def test_all_tables_are_strict() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table'").fetchall()
    ours = {name: strict for name, strict in tables if not name.startswith("sqlite_")}
    assert ours
    assert all(ours.values())


def test_view_access_shows_exits_with_their_sites() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        connection.execute("INSERT INTO insn VALUES (0, 0xfec18, x'e471', 'inb $0x71, %al')")
        connection.execute("INSERT INTO region_name VALUES (0, 'rtc')")
        connection.execute("INSERT INTO site_packed VALUES (0, 0, 0, 3, 1, 0x71)")
        connection.execute("INSERT INTO site_packed VALUES (1, 0, NULL, 0, 8 + 16 + 32 + 64, 0x100)")
        connection.execute("INSERT INTO exit VALUES (0, 5, 0, 0x26), (1, -5, 0, 0x27), (2, -5, 1, -1)")
        connection.execute("INSERT INTO epoch VALUES (0, 0, 10), (1, 2, 100)")
        rows = connection.execute(
            "SELECT seq, t_ns, vcpu, pc, space, direction, address, size, value, region FROM access ORDER BY seq"
        ).fetchall()
        strings = connection.execute("SELECT string FROM site ORDER BY id").fetchall()
    assert rows == [
        (0, 15, 3, "0xfec18", "pio", "r", "0x71", 1, "0x26", "rtc"),
        (1, 95, 3, "0xfec18", "pio", "r", "0x71", 1, "0x27", "rtc"),
        (2, 95, 0, "0xfec18", "mmio", "w", "0x100", 8, "0xffffffffffffffff", ""),
    ]
    assert strings == [(0,), (1,)]


@pytest.mark.parametrize("condition", ["seq = 5", "seq BETWEEN 5 AND 7"])
def test_view_access_finds_an_exit_by_its_number_without_a_scan(condition: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM access WHERE {condition}").fetchall()
    assert plan
    assert not [step for *_, step in plan if "SCAN" in step.split("SCALAR")[0].split()]


@pytest.mark.parametrize("kind", [0, 3, 16, 5, 128 + 1, -1])
def test_site_of_no_possible_kind_is_refused(kind: int) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
            connection.execute("INSERT INTO site_packed VALUES (0, 0, 0, 0, ?, 0)", (kind,))


@settings(deadline=None)
@given(st.integers(0, schema.U64_MASK))
def test_to_signed_is_undone_by_the_mask(value: int) -> None:
    assert -(1 << 63) <= schema.to_signed(value) < 1 << 63
    assert schema.to_signed(value) & schema.U64_MASK == value


def test_comments_and_line_breaks_are_not_part_of_the_format() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        stripped = "\n".join(line.partition("--")[0].rstrip() for line in schema.SCHEMA_SQL.splitlines())
        assert stripped != schema.SCHEMA_SQL
        connection.executescript(stripped)
        assert schema.find_foreign(connection) is None


def test_own_tables_and_indexes_are_allowed() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        connection.executescript("CREATE TABLE note (text); CREATE INDEX by_time ON exit (site); ANALYZE")
        assert schema.find_foreign(connection) is None


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON exit BEGIN DELETE FROM exit; END", "has the trigger 't'"),
        ("CREATE VIEW v AS SELECT 1", "has the view 'v'"),
        ("CREATE VIRTUAL TABLE f USING fts5(text)", "has the virtual table 'f'"),
        ("DROP TABLE event", "has no table 'event'"),
        ("DROP VIEW site; CREATE TABLE site (id)", "has a table 'site' that is not as format 2 defines it"),
        ("DROP TABLE meta; CREATE TABLE meta (key, value)", "has a table 'meta' that is not as format 2 defines it"),
        ("DROP VIEW access; CREATE VIEW access AS SELECT 1", "has a view 'access' that is not as format 2"),
    ],
)
def test_what_a_trace_may_not_have_is_named(sql: str, found: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.create(connection)
        connection.executescript(sql)
        assert (schema.find_foreign(connection) or "").startswith(found)


def test_sqlite_without_strict_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(TraceError, match=r"must be 3\.37 or newer, not .*; use a newer Python$"):
        schema.require_sqlite()
