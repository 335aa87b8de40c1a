"""A comparison as text, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from ..printable import printable
from ..registers import Direction
from ..report.wording import bits, number, table
from .comparison import Comparison, DeviceCounts, Difference, Subject, Unpaired
from .proposals import proposals

LINE_LENGTH: Final = 110

USUAL_ROWS: Final = 20
"""Rows of each table, unless the caller asks for another number."""

_ACCESS: Final[dict[Direction, str]] = {"r": "read", "w": "write"}


def render(comparison: Comparison, limit: int | None = None) -> str:
    """The report, ending with a newline; tables have up to `limit` rows (None: `USUAL_ROWS`)."""
    rows = USUAL_ROWS if limit is None else limit
    blocks = [
        _head(comparison),
        *_counts(comparison),
        *_differences(comparison, rows),
        *_unpaired("only in one", comparison.missing, rows),
        *(_unpaired("in another order", comparison.moved, rows) if comparison.strict else ()),
        *(_unpaired("repeated", comparison.repeats, rows) if comparison.strict else ()),
        *_proposed(comparison),
    ]
    return "".join(f"{printable(line)}\n" for line in "\n\n".join(blocks).splitlines())


def sentence(comparison: Comparison) -> str:
    """What differs, in a sentence."""
    parts = []
    if comparison.differences:
        count = len(comparison.differences)
        parts.append(f"{number(count, 'register')} {'differs' if count == 1 else 'differ'}")
    missing = sum(row.a + row.b for row in comparison.missing)
    if missing:
        parts.append(f"{number(missing, 'access')} only in one of them")
    moved = sum(row.a for row in comparison.moved)
    repeats = sum(row.a + row.b for row in comparison.repeats)
    others = []
    if moved:
        others.append(f"{number(moved, 'access')} in another order")
    if repeats:
        others.append(f"{number(repeats, 'access')} of loops and interrupts more often in one")
    rows: list[Difference | Unpaired] = [*comparison.differences, *comparison.missing]
    if comparison.strict:
        parts += others
        rows += [*comparison.moved, *comparison.repeats]
    devices = ", ".join(dict.fromkeys(row.device for row in rows))
    told = f"{', '.join(parts)}; in {devices}." if parts else _nothing(comparison)
    if others and not comparison.strict:
        told += f" Besides, and no difference: {', '.join(others)}; --strict lists them."
    return told


def _nothing(comparison: Comparison) -> str:
    pairs = sum(device.pairs + device.moved for device in comparison.devices)
    return f"Nothing differs in {number(pairs, 'pair')} of accesses."


def _head(comparison: Comparison) -> str:
    lines = _wrapped(sentence(comparison))
    for letter, subject in (("A", comparison.a), ("B", comparison.b)):
        lines.append(f"{letter} is {subject.name}: {number(subject.exits, 'exit')} of a {_machine(subject)}.")
    for fact in comparison.facts:
        lines += _wrapped(f"Made differently: {fact.name}: A {fact.a}; B {fact.b}")
    for note in comparison.notes:
        lines += _wrapped(f"NOTE: {note}.")
    for letter, subject in (("A", comparison.a), ("B", comparison.b)):
        if subject.imported:
            lines += _wrapped(f"NOTE: {letter}: {subject.imported}.")
    for what, count in comparison.declared.items():
        lines += _wrapped(f"Declared, and no difference: {what}: {count:,}.")
    if comparison.selected:
        lines += _wrapped(f"Compared: {', '.join(comparison.selected)}; nothing else.")
    return "\n".join(lines)


def _machine(subject: Subject) -> str:
    clock = {"virtual": "", "host": ", by the host's clock"}.get(subject.clock, ", without times")
    return f"{subject.machine or 'machine that it does not name'} ({subject.target}){clock}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, LINE_LENGTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _counts(comparison: Comparison) -> Iterable[str]:
    """The counts of the devices with something to tell."""
    rows = [_count_row(device.device, device) for device in comparison.devices if _tells(device, comparison.strict)]
    if not rows:
        return
    total = DeviceCounts("total")
    for device in comparison.devices:
        for name in DeviceCounts.__slots__:
            if name != "device":
                setattr(total, name, getattr(total, name) + getattr(device, name))
    rows.append(_count_row("total", total))
    titles = [
        "device", "in A", "in B", "pairs", "moved", "differ", "only in A", "only in B", "repeated in A", "in B",
    ]  # fmt: skip
    yield table(titles, rows)


def _tells(device: DeviceCounts, strict: bool) -> bool:
    others = device.moved or device.repeats_a or device.repeats_b
    return bool(device.differing or device.only_a or device.only_b or (strict and others))


def _count_row(name: str, counts: DeviceCounts) -> list[str]:
    numbers = (
        counts.a, counts.b, counts.pairs, counts.moved, counts.differing, counts.only_a, counts.only_b,
        counts.repeats_a, counts.repeats_b,
    )  # fmt: skip
    return [name, *(f"{each:,}" for each in numbers)]


def _differences(comparison: Comparison, limit: int) -> Iterable[str]:
    found = comparison.differences
    if not found:
        return
    rows = [
        [
            _subject(row),
            _ACCESS[row.direction],
            bits(row.bits),
            f"{row.count:,} of {row.pairs:,}",
            f"{row.value_a:#x}",
            f"{row.value_b:#x}",
            f"{row.seq_a:,}",
            f"{row.seq_b:,}",
            {True: "answer as recorded", False: "do not", None: "-"}[row.models_agree],
        ]
        for row in found[:limit]
    ]
    titles = ["differs", "access", "bits", "times", "first in A", "in B", "seq in A", "in B", "models"]
    yield _cut(table(titles, rows), len(found) - limit)


def _subject(row: Difference) -> str:
    fields = f" ({', '.join(row.fields)})" if row.fields else ""
    return f"{row.device}.{row.register}{fields}"


def _unpaired(title: str, found: Sequence[Unpaired], limit: int) -> Iterable[str]:
    if not found:
        return
    rows = [
        [
            f"{row.device}.{row.register}",
            _ACCESS[row.direction],
            f"{row.a:,}",
            f"{row.b:,}",
            _shown(row.value_a),
            _shown(row.value_b),
            _seq(row.seq_a),
            _seq(row.seq_b),
        ]
        for row in found[:limit]
    ]
    titles = [title, "access", "in A", "in B", "first in A", "in B", "seq in A", "in B"]
    yield _cut(table(titles, rows), len(found) - limit)


def _shown(value: int | None) -> str:
    return "-" if value is None else f"{value:#x}"


def _seq(seq: int | None) -> str:
    return "-" if seq is None else f"{seq:,}"


def _cut(text: str, rest: int) -> str:
    return f"{text}\n{number(rest, 'row')} more; --limit shows them." if rest > 0 else text


def _proposed(comparison: Comparison) -> Iterable[str]:
    """What --write-contracts would write."""
    found = proposals(comparison)
    if not found:
        return
    idle = sum(difference.models_agree is True for difference, _ in found)
    needed = f"; the models answer {idle:,} of these registers as recorded, and need none for them" if idle else ""
    yield "\n".join(
        _wrapped(f"{number(len(found), 'contract')} can be proposed, --write-contracts FILE writes them{needed}.")
    )
