"""Traces from strangers: damaged at random, or made to do harm. A command ends in time, with one line of trouble.

``script/fuzz`` tries 100,000 damaged files.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.replay.guest import Region
from vmdev.replay.trace import TraceWriter

DAMAGES = int(os.environ.get("VMDEV_FUZZ", "60"))

TIME_LIMIT_S = 60
"""Of one command. A healthy one takes a tenth of a second; the machine may be busy."""

PAGE = 4096

COMMANDS = (
    ("replay",), ("replay", "--format", "json"), ("info",), ("info", "--check"), ("info", "--format", "json"),
    ("show",), ("show", "--format", "json", "--region", "rtc"),
)  # fmt: skip

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """No more memory than the process has already, and a gigabyte."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace of a few hundred exits, with a row in every table."""
    path = tmp_path_factory.mktemp("healthy") / "trace.db"
    with TraceWriter(
        path, {"machine": "pc", "target": "x86_64", "clock": "host", "smp": 1, "command": ["qemu"]}
    ) as writer:
        writer.add_regions(0, 0, [Region("pio", 0x70, 0x71, "rtc"), Region("pio", 0x3F8, 0x3FF, "serial")])
        sites = [
            writer.add_site(address=0x70, direction="w", pc=0x1000, insn=b"\xe6\x70", text="outb", region="rtc"),
            writer.add_site(address=0x71, direction="r", pc=0x1002, insn=b"\xe4\x71", region="rtc"),
            *(writer.add_site(address=0x3F8 + n, direction="r", pc=0x2000 + n, region="serial") for n in range(8)),
        ]
        writer.add_event("reset", vcpu=0)
        for n in range(600):
            writer.add_exit(n * 50_000, sites[n % len(sites)], n & 0x3F)
        writer.add_event("marker", "end")
        writer.add_interrupt(30_000_000, 0, 0x1000, 0x2000)
    return path


def check(result: Result, began: float) -> None:
    """The command found nothing wrong, or divergences, or tells of trouble in one line that is safe to print."""
    assert result.exit_code in (0, 1, 2), result.output
    assert "this is a bug" not in result.stderr
    assert time.monotonic() - began < TIME_LIMIT_S
    if result.exit_code == 2:
        lines = [line for line in result.stderr.splitlines() if not line.startswith(("WARNING: ", "Usage: ", "Try "))]
        assert len([line for line in lines if line]) == 1, result.stderr
    for text in (result.stdout, result.stderr):
        assert all(c.isprintable() or c in "\n" for c in text), ascii(text)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with some bytes, or a page, as they should not be, or without its end."""
    damage = bytearray(data)
    match chance.randrange(5):
        case 0:
            del damage[chance.randrange(len(damage)) :]
        case 1:
            page = chance.randrange(len(damage) // PAGE) * PAGE
            other = chance.randrange(len(damage) // PAGE) * PAGE
            damage[page : page + PAGE] = damage[other : other + PAGE]
        case 2:  # where a page says what it is, and where its cells are
            page = chance.randrange(len(damage) // PAGE) * PAGE + (100 if chance.random() < 0.1 else 0)
            for _ in range(chance.randint(1, 4)):
                damage[page + chance.randrange(24)] = chance.randrange(256)
        case _:
            for _ in range(chance.randint(1, 16)):
                damage[chance.randrange(len(damage))] ^= 1 << chance.randrange(8)
    return bytes(damage)


def test_damage_is_told_in_one_line(healthy: Path, tmp_path: Path, run: Run) -> None:
    chance = random.Random(7)  # what failed, fails again
    data = healthy.read_bytes()
    trace = tmp_path / "damaged.db"
    for number in range(DAMAGES):
        trace.write_bytes(damaged(data, chance))
        command, *options = COMMANDS[number % len(COMMANDS)]
        began = time.monotonic()
        result = run(command, trace, *options)
        try:
            check(result, began)
        except AssertionError as error:
            raise AssertionError(f"damage number {number}, {command} {options}") from error


SCHEMAS = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON exit BEGIN SELECT randomblob(1000000000); END",
    "view": "CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
    "virtual table": "CREATE VIRTUAL TABLE f USING fts5(x)",
    "view in place of a table": "DROP TABLE event; "
    "CREATE VIEW event AS SELECT 1 AS seq, 2 AS t_ns, 3 AS vcpu, 4 AS kind, randomblob(1000000000) AS detail",
    "another view": "DROP VIEW site; CREATE VIEW site AS SELECT * FROM site_packed",
    "table without a column": "DROP TABLE event; CREATE TABLE event (seq INTEGER NOT NULL) STRICT",
    "check": "CREATE TABLE mine (x CHECK (length(randomblob(1000000000)) > x)); ",
    "generated column": "CREATE TABLE mine (x, y GENERATED ALWAYS AS (zeroblob(1000000000)) STORED)",
    "index on an expression": "CREATE INDEX mine ON event (hex(detail))",
    "escape": 'CREATE TRIGGER "\x1b[31m\nx" AFTER INSERT ON exit BEGIN SELECT 1; END',
    "many tables": "BEGIN;" + ";".join(f"CREATE TABLE t{n} (x)" for n in range(1100)) + ";COMMIT",
}


@pytest.mark.parametrize("command", [("replay",), ("info", "--check"), ("show",)], ids=" ".join)
@pytest.mark.parametrize("sql", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_could_act_is_refused(
    healthy: Path, tmp_path: Path, run: Run, sql: str, command: tuple[str, ...]
) -> None:
    trace = tmp_path / "trace.db"
    shutil.copy(healthy, trace)
    with closing(sqlite3.connect(trace)) as connection:
        connection.executescript(sql)
    began = time.monotonic()
    result = run(command[0], trace, *command[1:])
    check(result, began)
    assert result.exit_code == 2


ROWS = {
    "a meta value of a hundred megabytes": "INSERT INTO meta VALUES ('x', zeroblob(100000000))",
    "text for a number": "UPDATE meta SET value = 'many' WHERE key = 'smp'",
    "escapes in texts": "UPDATE event SET kind = char(27, 91, 51, 49, 109, 10), detail = char(27, 8238); "
    "UPDATE region_name SET name = char(27, 91, 50, 74, 8238) || id; UPDATE insn SET text = char(27)",
    "nested JSON": "UPDATE meta SET value = replace(hex(zeroblob(100000)), '00', '[') WHERE key = 'command'; "
    "INSERT INTO meta VALUES ('imported', replace(hex(zeroblob(100000)), '00', '[')), ('images', "
    "replace(hex(zeroblob(100000)), '00', '['))",
    "an import without facts": "INSERT INTO meta VALUES ('imported', '{}')",
    "numbers at their limits": "UPDATE site_packed SET address = -1, vcpu = 9223372036854775807",
    "an exit far away": "INSERT INTO exit VALUES (4611686018427387904, 0, 0, 0); "
    "UPDATE epoch SET last = 4611686018427387904 WHERE first = (SELECT max(first) FROM epoch)",
    "a region of all memory": "UPDATE region SET first = 0, last = -1, offset = -1",
    "regions without end": "UPDATE region SET last = first - 1",
    "a thousand CPUs": "UPDATE meta SET value = 9223372036854775807 WHERE key = 'smp'",
    "an icount shift": "INSERT INTO meta VALUES ('icount_shift', 9223372036854775807)",
    "times at their limit": "UPDATE epoch SET t_ns = 9223372036854775807 - 100000000",
    "a PCI function without BARs": "INSERT INTO pci_function VALUES (0, 0, 0, 0, 0, 0, '', '[{\"bar\": 1e999}]')",
    "a PCI function far away": "INSERT INTO pci_function VALUES (-1, 99999, -5, -1, -1, -1, char(27), '[]')",
}


@pytest.mark.parametrize("command", [("replay",), ("info",), ("info", "--check"), ("show",)], ids=" ".join)
@pytest.mark.parametrize("sql", ROWS.values(), ids=ROWS)
def test_rows_of_strangers_do_no_harm(
    healthy: Path, tmp_path: Path, run: Run, sql: str, command: tuple[str, ...]
) -> None:
    trace = tmp_path / "trace.db"
    shutil.copy(healthy, trace)
    with closing(sqlite3.connect(trace)) as connection:
        connection.executescript(sql)
    began = time.monotonic()
    check(run(command[0], trace, *command[1:]), began)


def bomb(path: Path, table: str) -> None:
    """Let the table's tree be of pages that all lead to the same next one: 500 ** 5 times its first leaf."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE spare (x)")
        connection.execute("INSERT INTO spare VALUES (zeroblob(40000))")
        connection.commit()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    data = bytearray(path.read_bytes())
    spare = [pages - n for n in range(5)]
    leaf = spare[0]
    data[(leaf - 1) * PAGE : leaf * PAGE] = data[(root - 1) * PAGE : root * PAGE]
    below = leaf
    for page in (*spare[1:], root):
        content = bytearray(PAGE)
        count = 500
        start = PAGE - 5 * count
        content[0] = 5  # an interior page of a table
        content[3:5] = count.to_bytes(2, "big")
        content[5:7] = start.to_bytes(2, "big")
        content[8:12] = below.to_bytes(4, "big")
        for n in range(count):
            at = start + 5 * n
            content[12 + 2 * n : 14 + 2 * n] = at.to_bytes(2, "big")
            content[at : at + 5] = below.to_bytes(4, "big") + bytes([n & 0x7F])
        data[(page - 1) * PAGE : page * PAGE] = content
        below = page
    path.write_bytes(data)


@pytest.mark.parametrize("command", [("replay",), ("info",), ("info", "--check"), ("show",)], ids=" ".join)
@pytest.mark.parametrize(
    "table", ["exit", "event", "region", "site_packed", "insn", "region_name", "interrupt", "epoch"]
)
def test_a_tree_that_repeats_itself_ends(
    healthy: Path, tmp_path: Path, run: Run, table: str, command: tuple[str, ...]
) -> None:
    trace = tmp_path / "trace.db"
    shutil.copy(healthy, trace)
    bomb(trace, table)
    began = time.monotonic()
    check(run(command[0], trace, *command[1:]), began)
