"""The lines of a file from strangers: of any length, in any encoding, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

MAX_LINE: Final = 16_384
"""Bytes of the longest line that is looked at. The longest that any format has is a few hundred."""


class Line(NamedTuple):
    """A line of a log."""

    number: int
    """From 1."""
    text: str
    """Without its end. Bytes that are no UTF-8 are escaped."""
    length: int
    """Bytes, with its end. If more than `MAX_LINE`, `text` is the beginning."""


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    """The lines of a stream, to its end."""
    number = 0
    while chunk := stream.readline(MAX_LINE):
        number += 1
        length = len(chunk)
        if not chunk.endswith(b"\n"):
            while rest := stream.readline(MAX_LINE):
                length += len(rest)
                if rest.endswith(b"\n"):
                    break
        yield Line(number, chunk.decode("utf-8", "backslashreplace").rstrip("\r\n"), length)
