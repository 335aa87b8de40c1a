"""What can be wrong with a file: one test for each, with the message and that the file stays as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from vmdev.replay.errors import (
    NotATraceError,
    TraceCorruptError,
    TraceError,
    TraceNotFoundError,
    TraceVersionError,
)
from vmdev.replay.trace import TraceReader, TraceWriter, opening


def refuse(path: Path, kind: type[TraceError], message: str) -> None:
    """Opening must fail with exactly this kind of error, in one line that names the file."""
    with pytest.raises(TraceError, match=message) as caught:
        TraceReader(path)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@contextmanager
def left_alone(*files: Path) -> Iterator[None]:
    """The files are not written to, and none appears beside them."""
    folder = files[0].parent
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    names = sorted(folder.iterdir())
    yield
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files} == before
    assert sorted(folder.iterdir()) == names


def test_missing_file(path: Path) -> None:
    refuse(path, TraceNotFoundError, "no such file; make a trace with 'vmdev record")


def test_missing_folder(path: Path) -> None:
    refuse(path / "deeper", TraceNotFoundError, "no such file")


def test_file_as_folder(trace: Path) -> None:
    refuse(trace / "deeper", TraceNotFoundError, "no such file")


def test_directory(tmp_path: Path) -> None:
    refuse(tmp_path, NotATraceError, "a directory; name the trace file in it")


def test_pipe(path: Path) -> None:
    os.mkfifo(path)
    refuse(path, NotATraceError, "not a regular file")


def test_unreadable_file(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(trace))

    monkeypatch.setattr(Path, "open", forbid)
    refuse(trace, TraceError, "cannot be read: Permission denied; check its owner and mode")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_read_permission(trace: Path) -> None:
    trace.chmod(0)
    refuse(trace, TraceError, "cannot be read: Permission denied; check its owner and mode")


def test_empty_file(path: Path) -> None:
    path.touch()
    refuse(path, NotATraceError, "an empty file; the recording never began, record again")


def test_text_file(path: Path) -> None:
    path.write_text("seq,value\n" * 100)
    refuse(path, NotATraceError, "not a trace: not an SQLite file")


def test_sqlite_file_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA application_id = 0x47504b47; CREATE TABLE t (a)")
    refuse(path, NotATraceError, r"another program \(application id 0x47504b47, not 0x766d6476\)")


def test_sqlite_file_with_nothing_in_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.execute("VACUUM")
    refuse(path, NotATraceError, "an SQLite file with nothing in it")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (3, "format 3 is newer than this vmdev, which reads format 2; update vmdev"),
        (1, "format 1 is older than this vmdev, which reads format 2; record again"),
    ],
)
def test_other_format(trace: Path, version: int, message: str) -> None:
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    refuse(trace, TraceVersionError, message)


def test_other_format_is_told_before_other_tables(trace: Path) -> None:
    with closing(sqlite3.connect(trace)) as connection:
        connection.executescript("PRAGMA user_version = 3; DROP TABLE event")
    refuse(trace, TraceVersionError, "newer")


def test_trigger(trace: Path) -> None:
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON exit BEGIN DELETE FROM meta; END")
    refuse(trace, TraceCorruptError, "has the trigger 't', which a trace may not have; drop it, or record again")


def test_truncated_file(trace: Path) -> None:
    size = trace.stat().st_size
    os.truncate(trace, size // 2)
    refuse(trace, TraceCorruptError, f"truncated: ends after {size // 2} bytes of {size}; copy it again")


@pytest.mark.parametrize("size", [20, 99])
def test_file_truncated_within_its_header(trace: Path, size: int) -> None:
    os.truncate(trace, size)
    refuse(trace, TraceCorruptError, f"ends within its header, after {size} bytes")


def test_damaged_first_page(trace: Path) -> None:
    with trace.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    refuse(trace, TraceCorruptError, "damaged.*; copy it again, or record again")


def test_file_being_written(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_S", 0)
    with closing(sqlite3.connect(trace)) as other:
        other.execute("BEGIN EXCLUSIVE")
        refuse(trace, TraceError, "is being written; use it when the recording has ended")


def test_characters_with_a_meaning_in_uris(tmp_path: Path) -> None:
    odd = tmp_path / "a?mode=rw#1 %41 ü.db"
    TraceWriter(odd).close()
    with TraceReader(odd) as reader, left_alone(odd):
        assert reader.closed


def test_symbolic_link(trace: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(trace)
    with TraceReader(link) as reader:
        assert reader.exit_count == 10


def test_reading_leaves_the_file_alone(trace: Path) -> None:
    with left_alone(trace), TraceReader(trace) as reader:
        assert sum(map(len, reader.exits())) == 10


def test_open_trace_cannot_be_written_to(trace: Path) -> None:
    opened = opening.open_trace(trace)
    with closing(opened), pytest.raises(sqlite3.OperationalError, match="readonly"):
        opened.connection.execute("DELETE FROM exit")


def test_schema_is_not_trusted(trace: Path) -> None:
    opened = opening.open_trace(trace)
    with closing(opened):
        assert opened.connection.execute("PRAGMA trusted_schema").fetchone() == (0,)


# Recordings that a crash cut off


def crash_in_transaction(trace: Path, crashed: Path) -> Path:
    """What a recorder leaves that dies while a transaction is half in the file; returns the journal."""
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # spills into the file at once
        connection.executemany("INSERT INTO exit VALUES (?, 0, 0, 0)", ((seq,) for seq in range(10, 20_000)))
        shutil.copyfile(trace, crashed)
        journal = crashed.with_name(crashed.name + "-journal")
        shutil.copyfile(trace.with_name(trace.name + "-journal"), journal)
        connection.rollback()
    assert crashed.stat().st_size > trace.stat().st_size
    return journal


def test_journal_of_a_crash_is_applied_to_a_copy(trace: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed.db"
    journal = crash_in_transaction(trace, crashed)
    with left_alone(crashed, journal), TraceReader(crashed) as reader:
        assert reader.exit_count == 10
        assert [row[0] for rows in reader.exits() for row in rows] == list(range(10))


def test_copy_is_removed(trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = tmp_path / "crashed.db"
    crash_in_transaction(trace, crashed)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with TraceReader(crashed):
        assert list(temporary.iterdir())
    assert not list(temporary.iterdir())


def test_copy_that_cannot_be_made(trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = tmp_path / "crashed.db"
    crash_in_transaction(trace, crashed)

    def fill(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill)
    refuse(crashed, TraceError, "a crash left crashed.db-journal beside it, .*No space left on device; make room there")


def test_file_that_changes_while_it_is_copied(trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = tmp_path / "crashed.db"
    crash_in_transaction(trace, crashed)
    copy = shutil.copyfile

    def copy_and_change(source: Path, target: Path) -> None:
        copy(source, target)
        os.utime(source, ns=(1, 1))

    monkeypatch.setattr(shutil, "copyfile", copy_and_change)
    refuse(crashed, TraceError, "is being written")


def append_exit(connection: sqlite3.Connection) -> None:
    """What a recorder adds to the fixture's trace in one transaction."""
    connection.execute("INSERT INTO exit VALUES (10, 0, 0, 0)")
    connection.execute("INSERT INTO epoch VALUES (10, 10, 1000)")


def test_journal_of_a_recorder_that_lives_is_not_touched(trace: Path) -> None:
    with closing(sqlite3.connect(trace)) as recorder:
        append_exit(recorder)
        journal = trace.with_name(trace.name + "-journal")
        with left_alone(trace, journal), TraceReader(trace) as reader:
            assert reader.exit_count == 10
        recorder.commit()
    with TraceReader(trace) as reader:
        assert reader.exit_count == 11


def test_recorder_can_commit_between_two_chunks(trace: Path) -> None:
    with closing(sqlite3.connect(trace, timeout=0)) as recorder, TraceReader(trace) as reader:
        chunks = reader.exits(chunk=2)
        assert next(chunks)
        append_exit(recorder)
        recorder.commit()
        assert sum(map(len, chunks)) == 8


def test_write_ahead_log_of_a_crash_is_applied_to_a_copy(trace: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed.db"
    log = tmp_path / "crashed.db-wal"
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        append_exit(connection)
        connection.commit()
        shutil.copyfile(trace, crashed)
        shutil.copyfile(trace.with_name(trace.name + "-wal"), log)
    with left_alone(crashed, log), TraceReader(crashed) as reader:
        assert reader.exit_count == 11


def test_write_ahead_logging_without_a_log(trace: Path) -> None:
    with closing(sqlite3.connect(trace)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with left_alone(trace), TraceReader(trace) as reader:
        assert reader.exit_count == 10


def test_crash_before_the_schema_was_complete(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA application_id = 0x766d6476; PRAGMA user_version = 2; CREATE TABLE meta (key TEXT)"
        )
    refuse(path, TraceCorruptError, "has (a|no) table '.*record again")
