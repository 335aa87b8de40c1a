"""What QEMU's command line says of the guest: options, their values, and the parameters in these.

Source: QEMU documentation, "Invocation"; the syntax of parameters is that of its option parser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from ..guest import Guest

UNITS: Final = {"": 1 << 20, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
"""Of sizes of memory; without a unit it is MiB."""

_SIZE: Final = re.compile(r"(\d+)([BKMGT]?)", re.IGNORECASE)


def arguments(guest: Guest) -> list[str]:
    """The command's words after the program's name; none if the trace does not have them."""
    try:
        words = json.loads(str(guest.meta.get("command", "[]")))
    except (ValueError, RecursionError):
        return []
    return [str(word) for word in words[1:]] if isinstance(words, list) else []


def values(guest: Guest, *names: str) -> list[str]:
    """What follows each option of these names (``"M", "machine"``), in order; QEMU takes one dash or two."""
    words = arguments(guest)
    spellings = {dashes + name for name in names for dashes in ("-", "--")}
    return [value for option, value in pairwise(words) if option in spellings]


def has(guest: Guest, *names: str) -> bool:
    """Whether an option of one of these names is given."""
    words = arguments(guest)
    return any(dashes + name in words for name in names for dashes in ("-", "--"))


def parameters(text: str, first: str = "") -> dict[str, str]:
    """The parameters in an option's value: ``1G,slots=2``, whose first is called `first` if it has no name.

    A name without a value is "on". Two commas are one comma of a value.
    """
    found: dict[str, str] = {}
    for number, part in enumerate(_split(text)):
        name, equals, value = part.partition("=")
        if not equals and number == 0 and first:
            name, value = first, part
        elif not equals:
            value = "on"
        found[name] = value
    return found


def properties(text: str, first: str = "") -> dict[str, str]:
    """The parameters in an option's value, which may be an object in JSON: {} if it is a broken one.

    Members of an object within it are called ``outer.inner``; booleans are "on" and "off", as in words.
    """
    if not text.startswith("{"):
        return parameters(text, first)
    try:
        return dict(_flat(json.loads(text)))
    except (ValueError, RecursionError):
        return {}


def merged(guest: Guest, *names: str, first: str = "") -> dict[str, str]:
    """The parameters of all options of these names; the last one counts."""
    found: dict[str, str] = {}
    for text in values(guest, *names):
        found |= parameters(text, first)
    return found


def size(text: str) -> int | None:
    """A size of memory in bytes; None if it is no plain one."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) * UNITS[match[2].upper()] if match else None


def number(found: Mapping[str, str], name: str, default: int) -> int | None:
    """A parameter that is a number, decimal or hexadecimal; `default` without it; None if it is none."""
    text = found.get(name)
    if text is None:
        return default
    try:
        return int(text, 0)
    except (ValueError, RecursionError):
        return None


def is_on(found: Mapping[str, str], name: str, default: bool = False) -> bool:
    """A parameter that is on or off."""
    text = found.get(name)
    return default if text is None else text in ("on", "yes", "true", "y")


def _flat(value: dict[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, part in value.items():
        if isinstance(part, dict):
            yield from _flat(part, f"{prefix}{key}.")
        else:
            yield prefix + key, "on" if part is True else "off" if part is False else str(part)


def _split(text: str) -> list[str]:
    """At single commas."""
    parts = [""]
    position = 0
    while position < len(text):
        if text.startswith(",,", position):
            parts[-1] += ","
            position += 2
        elif text[position] == ",":
            parts.append("")
            position += 1
        else:
            parts[-1] += text[position]
            position += 1
    return parts
