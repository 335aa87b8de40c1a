"""Python source as ruff formats it, and words: small things that a model's text is made of."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Union

from ..printable import printable

WIDTH: Final = 120
"""Columns."""

SKIP: Final = "  # fmt: skip"
"""What keeps ruff from giving each of many numbers a line of its own."""

_UNFIT: Final = str.maketrans({"\\": "/", '"': "'", "{": "(", "}": ")"})


# Text


def plain(text: str, longest: int = 200) -> str:
    """Text of a recording or a description, fit for strings, f-strings and docstrings: ASCII, no quotes and braces."""
    ascii_text = printable(text).encode("ascii", "replace").decode().translate(_UNFIT)
    return " ".join(ascii_text.split())[:longest]


def quoted(text: str, longest: int = 200) -> str:
    """The same as a string literal."""
    return json.dumps(plain(text, longest))


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= longest else f"{text[: max(0, longest - 3)]}..."


def capitalized(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]


def wrapped(text: str, indent: str = "") -> list[str]:
    """The lines of a paragraph; `indent` is that of all but the first."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def joined(words: Sequence[str]) -> str:
    """An enumeration."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def counted(count: int, what: str) -> str:
    """A number of things: ``1 cell``, ``1,000 cells``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def times(done: str, count: int) -> str:
    """How often something was done: ``read twice``."""
    often = {0: f"never {done}", 1: f"{done} once", 2: f"{done} twice"}
    return often.get(count, f"{done} {count:,} times")


# Numbers


def hexadecimal(number: int, size: int = 0) -> str:
    """A number as ruff writes it, with the digits of `size` bytes."""
    return f"0x{number:0{2 * size}X}"


def decimal(number: int) -> str:
    """A number with its digits in groups, if they are many."""
    return f"{number:_}" if abs(number) > 9999 else str(number)


# Displays and calls


@dataclass(frozen=True, slots=True)
class Display:
    """A call, a tuple or a dict: what is before its items, the items, and what is behind them."""

    head: str
    items: tuple[Item, ...]
    tail: str = ")"

    @property
    def flat(self) -> str:
        """It on one line."""
        items = ", ".join(item if isinstance(item, str) else item.flat for item in self.items)
        comma = "," if self.head.endswith("(") and self.head[-2:-1] in ("", " ", "(") and len(self.items) == 1 else ""
        return f"{self.head}{items}{comma}{self.tail}"

    def lines(self, indent: int, suffix: str = "") -> list[str]:
        """It on one line, if that is not too long, or with each item on lines of its own."""
        one = f"{' ' * indent}{self.flat}{suffix}"
        if len(one) <= WIDTH:
            return [one]
        found = [f"{' ' * indent}{self.head}"]
        for item in self.items:
            found += [f"{' ' * (indent + 4)}{item},"] if isinstance(item, str) else item.lines(indent + 4, ",")
        return [*found, f"{' ' * indent}{self.tail}{suffix}"]


Item = Union[str, "Display"]


def packed(head: str, items: Sequence[str], tail: str, indent: int = 0) -> list[str]:
    """A display of numbers on one line, or on as few as will do, which ruff is then told to leave as they are."""
    one = f"{head}{', '.join(items)}{tail}"
    if len(one) <= WIDTH - indent:
        return [" " * indent + one]
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > WIDTH - indent - 4:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{item},"
    return [" " * indent + head, *(" " * (indent + 4) + line for line in lines), " " * indent + tail.lstrip(",") + SKIP]
