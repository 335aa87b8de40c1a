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
    images_a, images_b = _images(a), _images(b)
    if images_a and images_b and images_a != images_b:
        found.append(Fact("images", _others(images_a, images_b), _others(images_b, images_a)))
    words_a, words_b = _words(a), _words(b)
    if words_a and words_b and words_a != words_b:
        options_a, options_b = _options(words_a), _options(words_b)
        found.append(Fact("command line", _others(options_a, options_b), _others(options_b, options_a)))
    return found


def _words(meta: Meta) -> list[str]:
    """QEMU's command line; empty if the trace does not say it."""
    return list(map(str, _list(meta, "command")))


def _images(meta: Meta) -> list[str]:
    """The guest's images, by name and hash, or size if they were too large to hash."""
    images = [image for image in _list(meta, "images") if isinstance(image, dict)]
    hashes = [str(image["sha256"])[:12] if "sha256" in image else f"{image.get('size')} bytes" for image in images]
    return [f"{image.get('name')} ({known})" for image, known in zip(images, hashes, strict=True)]


def _list(meta: Meta, key: str) -> list[object]:
    try:
        found = json.loads(str(meta.get(key, "")))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _others(mine: Sequence[str], its: Sequence[str]) -> str:
    """What is not among the other's."""
    return " ".join(each for each in mine if each not in its) or "nothing else"


def _options(words: Sequence[str]) -> list[str]:
    """Options with their arguments."""
    options: list[str] = []
    for word in words:
        if options and not word.startswith("-") and options[-1].startswith("-") and " " not in options[-1]:
            options[-1] += f" {word}"
        else:
            options.append(word)
    return options
