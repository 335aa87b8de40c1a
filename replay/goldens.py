"""Goldens: what a person blessed of a verdict, and what is different now, improvements and regressions apart.

Beside the trace boot.db, boot.golden.json keeps the counts that matter. Of each device: its exits by outcome, the reads
that were learned and assumed by register, and its divergences by register with the bits that differ. Of the whole: the
accesses that nobody answered, by place. Counts of zero are left out, and nothing depends on when it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .errors import GoldenError
from .judging.rulefiles import beside
from .report.wording import bits as bit_numbers
from .report.wording import place_of
from .verdict import DeviceVerdict, Verdict

SUFFIX: Final = ".golden.json"
"""What a golden's name ends with, in place of its trace's own suffix."""

VERSION: Final = 1

Part = dict[str, Any]
"""What is kept of a device, or of the rest: plain JSON."""

REST: Final = "totals"
"""What the part that belongs to no device is called."""

_BETTER: Final = {
    "exits": True, "matched": True, "delivered": True, "masked": False, "learned": False, "assumed": False,
    "diverged": False, "known": False, "unmodelled": False, "faults": False, "stale": False, "unanswered": False,
}  # fmt: skip
"""Counts by whether more of them is better. A read that is explained rather than computed is worse than one that
matches."""

_OUTCOMES: Final = ("exits", "matched", "masked", "learned", "assumed", "diverged", "known", "unmodelled", "delivered")


@dataclass(slots=True)
class Changes:
    """What differs from a golden, in lines of text."""

    improvements: list[str] = field(default_factory=list)
    regressions: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Neither better nor worse by itself."""

    def __bool__(self) -> bool:
        return bool(self.improvements or self.regressions or self.others)

    def add(self, other: Changes) -> None:
        """Add the lines of `other`."""
        self.improvements += other.improvements
        self.regressions += other.regressions
        self.others += other.others

    @property
    def lines(self) -> Iterator[str]:
        """All of them for people, regressions first."""
        for title, lines in (
            ("regressions", self.regressions), ("improvements", self.improvements), ("other changes", self.others),
        ):  # fmt: skip
            if lines:
                yield f"{title}:"
                yield from (f"  {line}" for line in lines)

    def note(self, line: str, better: bool) -> None:
        """Add a line to the list that it belongs to."""
        (self.improvements if better else self.regressions).append(line)


def path_for(trace: Path) -> Path:
    """Where the golden of a trace is, or would be."""
    return trace.with_name(trace.stem + SUFFIX)


def orphans(directory: Path) -> list[Path]:
    """Goldens in a directory whose trace is not there."""
    return sorted(
        path
        for path in directory.glob(f"*{SUFFIX}")
        if not path.with_name(path.name.removesuffix(SUFFIX) + ".db").exists()
    )


# What is kept


def parts(verdict: Verdict) -> dict[str, Part]:
    """What a golden of the verdict has, by device in alphabetical order, then the `REST`."""
    found = {device.name: device_part(verdict, device) for device in verdict.devices}
    return {**dict(sorted(found.items())), REST: rest_part(verdict)}


def device_part(verdict: Verdict, device: DeviceVerdict) -> Part:
    """What is kept of a device."""
    part: Part = {name: count for name in _OUTCOMES if (count := getattr(device.tally, name))}
    for name, by_register in (("learned by register", device.learned), ("assumed by register", device.assumed)):
        if by_register:
            part[name] = dict(sorted(by_register.items()))
    divergences = _divergences(verdict, device.name)
    if divergences:
        part["divergences"] = divergences
    return part


def rest_part(verdict: Verdict) -> Part:
    """What is kept besides the devices."""
    part: Part = {"exits": verdict.totals.exits}
    if verdict.stale:
        part["stale"] = len(verdict.stale)
    if verdict.unanswered:
        part["unanswered"] = verdict.unanswered
    unclaimed = {place_of(row): {"reads": row.reads, "writes": row.writes} for row in verdict.unclaimed}
    if unclaimed:
        part["unclaimed"] = dict(sorted(unclaimed.items()))
    return part


def _divergences(verdict: Verdict, device: str) -> Part:
    """A device's divergences by register: the bits that differ in any of them, and how many there are."""
    found: dict[str, dict[str, int]] = {}

    def row(register: str) -> dict[str, int]:
        return found.setdefault(register, {"bits": 0, "roots": 0, "consequences": 0, "faults": 0})

    for root in verdict.roots:
        if root.device == device:
            name = root.register or ("outside any access" if root.offset is None else f"offset {root.offset:#x}")
            counts = row(name)
            counts["roots"] += 1
            counts["faults"] += root.cause == "fault"
            if root.model is not None:
                counts["bits"] |= (root.hw or 0) ^ root.model
    for fold in verdict.folds:
        if fold.device == device:
            counts = row(fold.register or "outside any access")
            counts["consequences"] += fold.count
            counts["bits"] |= fold.bits
            counts["faults"] += fold.count if fold.cause == "fault" else 0
    return {
        name: {key: hex(count) if key == "bits" else count for key, count in counts.items() if count}
        for name, counts in sorted(found.items())
    }


# The file


@dataclass(slots=True)
class Golden:
    """A golden as it is on disk."""

    reason: str
    """Why it was blessed last."""
    parts: dict[str, Part]

    def write(self, path: Path) -> None:
        """Write it into a file, which is there as a whole or not at all."""
        devices = {name: self.parts[name] for name in sorted(self.parts) if name != REST}
        content = {"version": VERSION, "reason": self.reason, REST: self.parts.get(REST, {}), "devices": devices}
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(json.dumps(content, indent=1).replace("\x7f", "\\u007f") + "\n", encoding="utf-8")
        draft.replace(path)


def read(path: Path) -> Golden:
    """The golden in a file.

    Raises:
        GoldenError: it cannot be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GoldenError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise GoldenError(f"{path}: is no golden of version {VERSION}")
    devices, rest = content.get("devices"), content.get(REST)
    if not isinstance(devices, dict) or not all(isinstance(part, dict) for part in (rest, *devices.values())):
        raise GoldenError(f"{path}: lacks its devices or its {REST}")
    found = {**devices, REST: rest}
    return Golden(str(content.get("reason", "")), found)


def read_beside(trace: Path) -> Golden | None:
    """The golden of a trace; None if there is none.

    Raises:
        GoldenError: the file is none.
    """
    path = beside(trace, SUFFIX)
    return None if path is None else read(path)


# What is different


def compare(golden: Mapping[str, Part], now: Mapping[str, Part]) -> Changes:
    """What differs between the parts of a golden and those of a verdict."""
    changes = Changes()
    for name in sorted({*golden, *now}, key=lambda name: (name == REST, name)):
        changes.add(compare_part(name, golden.get(name), now.get(name)))
    return changes


def compare_part(name: str, golden: Part | None, now: Part | None) -> Changes:
    """What differs in one part. None: it is not there."""
    changes = Changes()
    if golden == now:
        return changes
    if golden is None:
        changes.note(f"{name}: new", not (now or {}).get("divergences"))
    elif now is None:
        changes.note(f"{name}: gone, or not reached by the guest any more", better=False)
    before, after = golden or {}, now or {}
    for count, more_is_better in _BETTER.items():
        _compare_count(changes, f"{name}: {count}", before.get(count, 0), after.get(count, 0), more_is_better)
    for kind in ("learned", "assumed"):
        key = f"{kind} by register"
        for register, old, new in _pairs(before.get(key), after.get(key), 0):
            _compare_count(changes, f"{name}.{register}: {kind}", old, new, more_is_better=False)
    for register, old, new in _pairs(before.get("divergences"), after.get("divergences"), {}):
        _compare_divergences(changes, f"{name}.{register}", _mapping(old), _mapping(new))
    for place, old, new in _pairs(before.get("unclaimed"), after.get("unclaimed"), {}):
        for direction in ("reads", "writes"):
            counts = _mapping(old).get(direction, 0), _mapping(new).get(direction, 0)
            _compare_count(changes, f"unclaimed {place}: {direction}", *counts, more_is_better=False)
    if not changes:
        changes.others.append(f"{name}: has other keys than the golden")
    return changes


def _compare_divergences(changes: Changes, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    old, new = _number(before.get("bits", 0)), _number(after.get("bits", 0))
    if gained := new & ~old:
        changes.regressions.append(f"{what}: bits {bit_numbers(gained)} ({gained:#x}) differ now")
    if lost := old & ~new:
        changes.improvements.append(f"{what}: bits {bit_numbers(lost)} ({lost:#x}) differ no more")
    for count in ("roots", "consequences", "faults"):
        _compare_count(changes, f"{what}: {count}", before.get(count, 0), after.get(count, 0), more_is_better=False)


def _compare_count(changes: Changes, what: str, before: Any, after: Any, more_is_better: bool) -> None:
    old, new = _number(before), _number(after)
    if old != new:
        changes.note(f"{what} {old:,} -> {new:,}", (new > old) == more_is_better)


def _pairs(before: object, after: object, absent: Any) -> Iterable[tuple[str, Any, Any]]:
    old, new = _mapping(before), _mapping(after)
    return [(key, old.get(key, absent), new.get(key, absent)) for key in sorted({*old, *new})]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    """A count, or bits in hexadecimal; whatever else a hand-edited file has is 0."""
    if isinstance(value, str):
        try:
            return int(value, 16)
        except ValueError:
            return 0
    return value if isinstance(value, int) else 0
