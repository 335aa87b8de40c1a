"""Opening a trace to read it: what can be wrong with a file, each said in one line with the way out.

The file is never written to, nor is anything beside it. A recording that was cut off by a crash leaves a journal
beside its file, and SQLite would repair the file with it; here a copy is repaired instead.
"""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import NotATraceError, TraceCorruptError, TraceError, TraceNotFoundError, TraceVersionError
from . import schema
from .limits import BoundedConnection, Budget

_MAGIC: Final = b"SQLite format 3\0"

# The database header: https://www.sqlite.org/fileformat2.html, section 1.3
_HEADER_BYTES: Final = 100
_PAGE_SIZE: Final = slice(16, 18)
_READ_VERSION: Final = 19
_READ_VERSION_WAL: Final = 2
_CHANGE_COUNTER: Final = slice(24, 28)
_PAGE_COUNT: Final = slice(28, 32)
_PAGE_COUNT_VALID_FOR: Final = slice(92, 96)

_PRIMARY_CODE: Final = 0xFF

BUSY_TIMEOUT_S: Final = 5.0
"""How long a recorder may keep the file to itself, while it writes, before reading is given up."""

_BEING_WRITTEN: Final = "is being written; use it when the recording has ended"


class OpenTrace:
    """An open connection to a trace that is known to be one, and what has to be removed after it."""

    __slots__ = ("_copy", "connection")

    def __init__(self, connection: BoundedConnection, copy: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self.connection = connection
        self._copy = copy

    def close(self) -> None:
        """Close the connection and remove the copy, if one had to be made."""
        self.connection.close()
        if self._copy is not None:
            self._copy.cleanup()


def open_trace(path: Path) -> OpenTrace:
    """Open the trace at `path` for reading.

    Raises:
        TraceNotFoundError: there is no such file.
        NotATraceError: it is something else.
        TraceVersionError: its format is newer or older than what this vmdev reads.
        TraceCorruptError: it is truncated or damaged.
        TraceError: it cannot be read for another reason.
    """
    schema.require_sqlite()
    header = read_header(path)
    real = path.resolve()
    with translated(path):
        opened = _open_sqlite(real, path, header)
        try:
            opened.connection.know_size()
            check(opened.connection, path)
        except BaseException:
            opened.close()
            raise
    return opened


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that an open database is a trace of the format that this vmdev knows.

    Raises:
        NotATraceError: it belongs to another program.
        TraceVersionError: it has another format.
        TraceCorruptError: its tables are not those of the format.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != schema.APPLICATION_ID:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise NotATraceError(f"{path}: an SQLite file with nothing in it; the recording never began, record again")
        raise NotATraceError(
            f"{path}: not a trace but an SQLite file of another program (application id {application_id:#x}, not "
            f"{schema.APPLICATION_ID:#x}); make a trace with 'vmdev record'"
        )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > schema.FORMAT:
        raise TraceVersionError(
            f"{path}: format {version} is newer than this vmdev, which reads format {schema.FORMAT}; update vmdev"
        )
    if version < schema.FORMAT:
        raise TraceVersionError(
            f"{path}: format {version} is older than this vmdev, which reads format {schema.FORMAT}; "
            "record again, or read it with the vmdev that wrote it"
        )
    foreign = schema.find_foreign(connection)
    if foreign:
        raise TraceCorruptError(f"{path}: {foreign}")


@contextmanager
def translated(path: Path, where: str = "") -> Iterator[None]:
    """Turn SQLite's errors within the block into errors of ours. `where` says what was being read."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path, where) from error


def translate(error: sqlite3.Error, path: Path, where: str = "") -> TraceError:
    """The error of ours that tells what SQLite's `error` means for the trace at `path`."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    place = f" {where}" if where else ""
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return TraceError(f"{path}: {_BEING_WRITTEN}")
    if code == sqlite3.SQLITE_INTERRUPT:
        if Budget.cancelled:
            raise KeyboardInterrupt from error
        return TraceCorruptError(
            f"{path}: damaged{place}: reading it takes longer than its size explains; copy it again, or record again"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        truncated = _truncation(path)
        if truncated:
            return TraceCorruptError(f"{path}: {truncated}; copy it again, or record again")
        return TraceCorruptError(f"{path}: damaged{place} ({error}); copy it again, or record again")
    return TraceError(f"{path}: cannot be read{place}: {error}")


def read_header(path: Path) -> bytes:
    """The first bytes of the file at `path`, which by these is at least an SQLite database.

    Raises:
        TraceNotFoundError: there is no such file.
        NotATraceError: it is something else.
        TraceCorruptError: it ends within the header.
        TraceError: it cannot be read for another reason.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            if path.is_dir():
                raise NotATraceError(f"{path}: a directory; name the trace file in it")
            raise NotATraceError(f"{path}: not a regular file; SQLite reads from nothing else, so store it in one")
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise TraceNotFoundError(f"{path}: no such file; make a trace with 'vmdev record -o {path} -- ...'") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}; check its owner and mode") from error
    if not header:
        raise NotATraceError(f"{path}: an empty file; the recording never began, record again")
    if not header.startswith(_MAGIC):
        raise NotATraceError(f"{path}: not a trace: not an SQLite file; make a trace with 'vmdev record'")
    if len(header) < _HEADER_BYTES:
        raise TraceCorruptError(f"{path}: ends within its header, after {len(header)} bytes; copy it again")
    return header


def _open_sqlite(real: Path, path: Path, header: bytes) -> OpenTrace:
    if header[_READ_VERSION] == _READ_VERSION_WAL:
        wal = _beside(real, "-wal")
        if wal.exists() and wal.stat().st_size:
            return _open_copy(real, path, wal)
        # Without a log nobody has it open. SQLite would make one, and fail where it may not write.
        return OpenTrace(_connect(real, "mode=ro&immutable=1"))
    connection = _connect(real, "mode=ro")
    try:
        # The first read finds a journal that a crash has left; a live recorder's journal is none of our business.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            return _open_copy(real, path, _beside(real, "-journal"))
        raise
    return OpenTrace(connection)


def _open_copy(real: Path, path: Path, journal: Path) -> OpenTrace:
    """Open a copy of the file that SQLite repairs with the journal."""
    directory = tempfile.TemporaryDirectory(prefix="vmdev-")
    try:
        copy = Path(directory.name) / real.name
        before = _state(real), _state(journal)
        shutil.copyfile(real, copy)
        shutil.copyfile(journal, _beside(copy, journal.name.removeprefix(real.name)))
        if before != (_state(real), _state(journal)):
            raise TraceError(f"{path}: {_BEING_WRITTEN}")
        connection = _connect(copy, "mode=rw")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
    except FileNotFoundError:
        directory.cleanup()
        raise TraceError(f"{path}: {_BEING_WRITTEN}") from None
    except OSError as error:
        directory.cleanup()
        raise TraceError(
            f"{path}: a crash left {journal.name} beside it, and the copy to repair cannot be made in "
            f"{directory.name}: {error.strerror}; make room there, or set TMPDIR"
        ) from error
    except BaseException:
        directory.cleanup()
        raise
    return OpenTrace(connection, directory)


def _connect(real: Path, options: str) -> BoundedConnection:
    connection = sqlite3.connect(
        f"{real.as_uri()}?{options}", uri=True, timeout=BUSY_TIMEOUT_S, factory=BoundedConnection
    )
    connection.text_factory = _decode
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _truncation(path: Path) -> str | None:
    """Whether the file is shorter than it says of itself, as a phrase."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            size = file.seek(0, 2)
    except OSError:
        return None
    if len(header) < _HEADER_BYTES or header[_CHANGE_COUNTER] != header[_PAGE_COUNT_VALID_FOR]:
        return None
    page_size = int.from_bytes(header[_PAGE_SIZE], "big")
    expected = int.from_bytes(header[_PAGE_COUNT], "big") * (65536 if page_size == 1 else page_size)
    return f"truncated: ends after {size} bytes of {expected}" if size < expected else None
