"""What two recordings were made differently in, by their own facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from .comparison import Fact

Meta = Mapping[str, str | int]

_FACTS: Final = {
    "target": "target",
    "machine": "machine",
    "machine_type": "machine type",
    "smp": "CPUs",
    "qemu": "QEMU",
    "clock": "clock",
    "icount_shift": "icount shift",
    "rtc_base": "RTC base",
    "seed": "seed",
    "images": "images",
    "filter": "recorded",
    "mmio": "MMIO",
    "end_reason": "ended by",
}
"""What is compared besides the command line: the key, and what to call it."""


def facts(a: Meta, b: Meta) -> list[Fact]:
    """The facts that both traces know and that differ."""
    found = [
        Fact(title, str(a[key]), str(b[key]))
        for key, title in _FACTS.items()
        if key in a and key in b and a[key] != b[key]
    ]
    words_a, words_b = _words(a), _words(b)
    if words_a and words_b and words_a != words_b:
        found.append(Fact("command line", _others(words_a, words_b), _others(words_b, words_a)))
    return found


def _words(meta: Meta) -> list[str]:
    """QEMU's command line; empty if the trace does not say it."""
    try:
        command = json.loads(str(meta.get("command", "")))
    except (ValueError, RecursionError):
        return []
    return list(map(str, command)) if isinstance(command, list) else []


def _others(words: Sequence[str], those: Sequence[str]) -> str:
    """The options that are not among those of another command line."""
    known = set(_options(those))
    return " ".join(option for option in _options(words) if option not in known) or "nothing else"


def _options(words: Sequence[str]) -> list[str]:
    """Options with their arguments."""
    options: list[str] = []
    for word in words:
        if options and not word.startswith("-") and options[-1].startswith("-") and " " not in options[-1]:
            options[-1] += f" {word}"
        else:
            options.append(word)
    return options
