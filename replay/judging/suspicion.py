"""Which differences of a device are roots, and which may be consequences of an earlier one.

The rules, for one device:

1. A root makes its registers' parts suspect (`Register.part`; registers without one are a part together). A later
   difference is a consequence if all its registers are in suspect parts; else it is a root of its own, for no earlier
   root can have touched it.
2. A register that the model does not declare is in a part of its own kind, with all other such registers.
3. A fault (an exception, a value that is none) may have touched anything: it makes the whole device suspect. So do
   `MANY` roots: what they share is the likelier cause of a further one. A fault that was not seen before is a root in
   any case.
4. A reset ends all suspicion.
5. The guest's reprogramming ends that of rule 1, too: once it has written the registers that a root was in, or a
   register that is declared to set its whole part anew (`Register.programs`), that root explains nothing any more.
6. A difference in the same fields of the same register as an earlier one since the reset is the same fault showing
   again, and no new root, even after 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..registers import Register
from ..verdict import Kind
from .faults import Place

MANY: Final = 3
"""Roots of one device, since its last reset, after which all of it is suspect."""

UNDECLARED: Final = "\0undeclared"
"""The part of registers that the model does not declare."""


class Spot(NamedTuple):
    """A register in which two values differ, and in which of its fields they do."""

    name: str
    part: str
    fields: frozenset[str]

    @classmethod
    def of(cls, register: Register, fields: Iterable[str]) -> Spot:
        """A declared one."""
        return cls(register.name, register.part, frozenset(fields))

    @classmethod
    def undeclared(cls, offset: int) -> Spot:
        """A byte that no register is declared for."""
        return cls(f"offset {offset:#x}", UNDECLARED, frozenset())


class _Root:
    """A root since the last reset: what it makes suspect, and what the guest has to write to end that."""

    __slots__ = ("parts", "seq", "unwritten")

    def __init__(self, seq: int, parts: set[str], registers: set[str]) -> None:
        self.seq = seq
        self.parts = parts
        self.unwritten = registers


class Suspicion:
    """What is suspected of one device."""

    __slots__ = ("_fault_seq", "_faults", "_live", "_roots", "_seen")

    def __init__(self) -> None:
        self._live: list[_Root] = []
        """Roots that the guest has not written over."""
        self._roots: list[_Root] = []
        """All of them that are no faults, since the last reset."""
        self._seen: dict[str, tuple[frozenset[str], int]] = {}
        """By register: fields that differed since the last reset, and the root that explained it first."""
        self._faults: dict[Place, int] = {}
        self._fault_seq: int | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no root makes anything suspect."""
        return not self._live and self._fault_seq is None

    def heal(self) -> None:
        """The device was reset."""
        self._live.clear()
        self._roots.clear()
        self._seen.clear()
        self._faults.clear()
        self._fault_seq = None

    def differ(self, seq: int, spots: Sequence[Spot]) -> tuple[Kind, int]:
        """Judge a difference: its kind, and the seq of the root that it is or that may explain it."""
        root = self._explanation(spots)
        kind: Kind = "consequence"
        if root is None:
            kind, root = "root", seq
            new = _Root(seq, {spot.part for spot in spots}, {spot.name for spot in spots})
            self._live.append(new)
            self._roots.append(new)
        for name, _, fields in spots:
            before, first = self._seen.get(name, (frozenset[str](), root))
            self._seen[name] = before | fields, first
        return kind, root

    def fail(self, seq: int, place: Place) -> tuple[Kind, int]:
        """Judge a fault likewise."""
        known = self._faults.get(place)
        if known is not None:
            return "consequence", known
        self._faults[place] = self._fault_seq = seq
        return "root", seq

    def write(self, registers: Iterable[Register]) -> None:
        """The guest has written these registers."""
        for register in registers:
            for root in self._live:
                root.unwritten.discard(register.name)
                if register.programs:
                    root.parts.discard(register.part)
        self._live = [root for root in self._live if root.parts and root.unwritten]

    def _explanation(self, spots: Sequence[Spot]) -> int | None:
        """The root that may explain a difference."""
        if self._fault_seq is not None:
            return self._fault_seq
        if len(self._roots) >= MANY:
            return self._roots[-1].seq
        again = [self._seen[spot.name] for spot in spots if spot.name in self._seen]
        if len(again) == len(spots) and all(
            spot.fields <= fields for spot, (fields, _) in zip(spots, again, strict=True)
        ):
            return again[0][1]
        suspect = {part for root in self._live for part in root.parts}
        if all(spot.part in suspect for spot in spots):
            return next(root.seq for root in reversed(self._live) if spots[0].part in root.parts)
        return None
