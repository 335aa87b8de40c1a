"""Bounds on what reading a trace may cost, whoever made the file.

SQLite checks that a page is one, not that it has one parent only: a file of a few pages can hold more rows than could
ever be read. So a statement may take a time that the file's size explains, and no more; a value has a longest length;
and rows that are read at once are no more than the file has room for.
"""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar, Final

MAX_VALUE_BYTES: Final = 16 << 20
"""The longest text or blob, and the longest parameter of a statement."""

TICK: Final = 1 << 20
"""Steps of SQLite's machine between two looks at the budget."""

_BASE_TICKS: Final = 64
_STEPS_A_BYTE: Final = 32
"""A statement that looks at each row of a file once takes about ten steps a byte."""

_ROW_BYTES: Final = 4
"""Less than what any row takes."""

_BASE_TEXT_BYTES: Final = 64 << 20
_TEXT_A_BYTE: Final = 8
"""A view repeats names: more text may come from a file than there is in it."""


class DamagedError(sqlite3.DatabaseError):
    """More is in the file than it has room for, or SQLite's own message about it cannot be read."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Budget:
    """What a statement may cost."""

    cancelled: ClassVar[bool] = False
    """Ctrl-C was pressed within a statement, which SQLite tells as an error like any other."""

    __slots__ = ("left", "ticks")

    def __init__(self) -> None:
        self.ticks = self.left = _BASE_TICKS

    def tick(self) -> bool:
        """Whether the statement has to end."""
        try:
            self.left -= 1
            return self.left < 0
        except KeyboardInterrupt:
            Budget.cancelled = True
            return True


class BoundedConnection(sqlite3.Connection):
    """A connection of which no statement takes longer than the file's size explains."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._budget = Budget()
        self._bytes = 0
        self.set_progress_handler(self._budget.tick, TICK)
        for limit, value in (
            (sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 0),
        ):
            self.setlimit(limit, value)

    def know_size(self) -> None:
        """Ask SQLite for the size of the file."""
        (pages,), (page_bytes,) = (self.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size"))
        self._bytes = pages * page_bytes
        self._budget.ticks = _BASE_TICKS + self._bytes * _STEPS_A_BYTE // TICK

    def has_room(self, rows: int) -> bool:
        """Whether the file can hold so many rows of a table."""
        return rows <= self._bytes // _ROW_BYTES + 1024

    def execute(self, *args: Any) -> sqlite3.Cursor:
        """Begin a statement with a budget of its own."""
        self._budget.left = self._budget.ticks
        try:
            return super().execute(*args)
        except UnicodeDecodeError:  # the message quotes a name that is no text
            raise DamagedError("a name in it is no text") from None

    def fetch(self, *args: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement.

        Raises:
            DamagedError: they are more, or hold more, than the file has room for.
        """
        cursor = self.execute(*args)
        rows: list[tuple[Any, ...]] = []
        text_left = _BASE_TEXT_BYTES + _TEXT_A_BYTE * self._bytes
        while chunk := cursor.fetchmany(1024):
            rows += chunk
            for row in chunk:
                for value in row:
                    if value.__class__ is str or value.__class__ is bytes:
                        text_left -= len(value)
            if text_left < 0 or not self.has_room(len(rows)):
                raise DamagedError("more rows than the file has room for")
        return rows
