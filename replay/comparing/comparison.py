"""What differs between two recordings: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..registers import Direction


@dataclass(slots=True)
class Difference:
    """A register of which two values differ, of a read or of what was written."""

    device: str
    register: str
    direction: Direction
    fields: tuple[str, ...] = ()
    """Fields that differ in any pair."""
    bits: int = 0
    """Bits that differ in any pair."""
    count: int = 0
    """Pairs in which it differs."""
    pairs: int = 0
    """All pairs of accesses to it."""
    seq_a: int = 0
    """Of the first pair that differs."""
    seq_b: int = 0
    value_a: int = 0
    """Of the first pair that differs: the register, as far as the access covers it."""
    value_b: int = 0
    width: int = 8
    """Of the register, in bits."""
    is_declared: bool = False
    """Whether the model declares the register, so that a contract can name it."""
    models_agree: bool | None = None
    """Whether the models answer all reads of it as recorded, in both recordings; None: not known."""


@dataclass(slots=True)
class Unpaired:
    """Accesses of one kind that have no counterpart in the other recording, or have it elsewhere."""

    device: str
    register: str
    direction: Direction
    a: int = 0
    """How many of them are in the first recording only."""
    b: int = 0
    seq_a: int | None = None
    """Of the first one."""
    seq_b: int | None = None
    value_a: int | None = None
    value_b: int | None = None


@dataclass(slots=True)
class DeviceCounts:
    """Accesses to one device.

    Those of a recording are the sum of its `pairs`, `moved`, `only`, `repeats` and `declared`. An access that the other
    recording's log has in parts counts as so many.
    """

    device: str
    a: int = 0
    b: int = 0
    pairs: int = 0
    moved: int = 0
    """Pairs of accesses that were made in another order."""
    differing: int = 0
    """Those of all pairs that have another value."""
    only_a: int = 0
    only_b: int = 0
    repeats_a: int = 0
    """Accesses of the turns that a loop made more than in the other recording."""
    repeats_b: int = 0
    declared_a: int = 0
    """Accesses that the other recording cannot have, by its importer's word."""
    declared_b: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the two recordings were made differently in."""

    name: str
    a: str
    b: str


@dataclass(slots=True)
class Subject:
    """One of the two recordings."""

    name: str
    machine: str
    target: str
    clock: str
    exits: int
    imported: str = ""
    """Where it came from, and what it lacks, if vmdev did not record it."""
    format: str = ""
    """Of the log that it was imported from."""
    named_by_models: bool = False
    """Whether it was replayed, so that registers have names."""


@dataclass(slots=True)
class Comparison:
    """What differs between two recordings."""

    a: Subject
    b: Subject
    facts: list[Fact] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    selected: tuple[str, ...] = ()
    devices: list[DeviceCounts] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    missing: list[Unpaired] = field(default_factory=list)
    """What only one of them has."""
    moved: list[Unpaired] = field(default_factory=list)
    """What they have in another order; with the first place of each."""
    repeats: list[Unpaired] = field(default_factory=list)
    """Accesses of the turns that loops made more, and ends of interrupts that came more often."""
    declared: dict[str, int] = field(default_factory=dict)
    """What is explained by what an importer declares to lack, and not counted; with how often."""
    strict: bool = False
    """Whether `moved` and `repeats` are differences."""

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.differences or self.missing or (self.strict and (self.moved or self.repeats)))
