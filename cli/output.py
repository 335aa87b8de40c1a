"""How commands print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from vmdev.replay.printable import printable


def table(rows: Iterable[Sequence[str]], right: Iterable[int] = (), indent: str = "") -> str:
    """Rows in columns as wide as needed, one line each.

    Args:
        rows: all of one length.
        right: numbers of the columns that are aligned to the right.
        indent: what each line begins with.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = set(right)
    lines = (
        "  ".join(
            cell.rjust(width) if number in aligned else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)


def to_json(value: Mapping[str, object], indent: int | None = None) -> str:
    """`value` as JSON in ASCII, without control characters."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
