"""The words and the layout that several reports share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from ..verdict import OddOne, Tally, Unclaimed

COLUMNS: Final[tuple[tuple[str, Callable[[Tally], int], bool], ...]] = (
    ("exits", lambda tally: tally.exits, True),
    ("reads", lambda tally: tally.reads, True),
    ("matched", lambda tally: tally.matched, True),
    ("masked", lambda tally: tally.masked, False),
    ("learned", lambda tally: tally.learned, False),
    ("assumed", lambda tally: tally.assumed, False),
    ("diverged", lambda tally: tally.diverged, True),
    ("known", lambda tally: tally.known, False),
    ("unmodelled", lambda tally: tally.unmodelled, False),
    ("delivered", lambda tally: tally.delivered, True),
    ("unclaimed", lambda tally: tally.unclaimed_reads + tally.unclaimed_writes, False),
    ("excluded", lambda tally: tally.excluded, False),
)
"""Title, count, and whether the column is shown even where it has only zeros."""

ODD_ONES: Final[dict[OddOne, str]] = {
    "recording": "the recording",
    "model": "the model",
    "qemu": "QEMU",
    "all": "each",
    "undecided": "QEMU; the model cannot know",
}
"""Who of three witnesses is alone."""


def value(value: int, size: int) -> str:
    """A value with all digits of an access of `size` bytes."""
    return f"{value:#0{2 + 2 * size}x}"


def internal(name: str, value: int) -> str:
    """A value of a model's state: times in decimal, as they are given everywhere, all else in hexadecimal."""
    return f"{value:,}" if name.endswith(("_ns", "_s")) else f"{value:#x}"


def bits(mask: int) -> str:
    """The numbers of the bits in `mask`, highest first, runs as ``7..4``."""
    runs: list[str] = []
    top = mask.bit_length() - 1
    while top >= 0:
        bottom = top
        while bottom > 0 and mask >> bottom - 1 & 1:
            bottom -= 1
        runs.append(str(top) if top == bottom else f"{top}..{bottom}")
        top = (mask & (1 << bottom) - 1).bit_length() - 1
    return ", ".join(runs)


def number(count: int, noun: str) -> str:
    """``1 exit``, ``2 exits``, ``2 accesses``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def percent(agreement: float | None) -> str:
    """Two decimals, never rounded up to 100 %."""
    return "-" if agreement is None else f"{math.floor(agreement * 10_000) / 100:.2f} %"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: names to the left, numbers to the right."""
    lines = [titles, *rows] if titles else rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    numeric = [all(line[column][:1] in "0123456789-" for line in rows) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if right else f"{cell:<{width}}"
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def place_of(where: Unclaimed) -> str:
    """``vga, pio 0x3c0-0x3da``."""
    first, last = f"{where.first:#x}", f"{where.last:#x}"
    text = f"{where.space} {first}" if where.first == where.last else f"{where.space} {first}-{last}"
    return f"{where.region}, {text}" if where.region else text
