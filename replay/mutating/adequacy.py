"""How good traces are as tests of a model: plain data, put together from what became of the mutants in each trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..registers import Register
from .faults import KINDS, Mutant, nearness
from .lines import Lines
from .survey import Use


@dataclass(slots=True)
class TraceResult:
    """What one trace shows."""

    name: str
    exits: int
    diverging: int = 0
    """Reads in which the model itself is wrong: mutants were compared with it."""
    killed: set[Mutant] = field(default_factory=set)
    survived: dict[Mutant, str] = field(default_factory=dict)
    """With the reason."""
    untried: set[Mutant] = field(default_factory=set)
    """For which there was no time."""
    accessed: list[str] = field(default_factory=list)
    """All devices that the trace accesses."""
    replays: int = 0
    """Of mutants."""
    replayed: list[int] = field(default_factory=list)
    """Exits that each of them took: of most, and of those for which that was not enough."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant."""

    mutant: Mutant
    killers: tuple[int, ...]
    """The traces that kill it, by number."""
    reason: str
    """Why it survives; empty if it does not, or if there was no time to find out."""

    @property
    def is_killed(self) -> bool:
        """Whether any trace kills it."""
        return bool(self.killers)

    @property
    def is_tried(self) -> bool:
        """Whether it is known what becomes of it."""
        return bool(self.killers or self.reason)


@dataclass(frozen=True, slots=True)
class Score:
    """How many of some mutants are killed."""

    killed: int = 0
    tried: int = 0
    """Those of which it is known what becomes of them."""
    untried: int = 0

    @classmethod
    def of(cls, fates: Iterable[Fate]) -> Score:
        """That of these mutants."""
        found = list(fates)
        tried = sum(fate.is_tried for fate in found)
        return cls(sum(fate.is_killed for fate in found), tried, len(found) - tried)

    @property
    def share(self) -> float | None:
        """Of those that were tried, 0 to 1; None if none was."""
        return self.killed / self.tried if self.tried else None


class Adequacy:
    """What traces are worth as tests of a model.

    Args:
        device: its name on the board.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.model = ""
        """Its class."""
        self.registers: dict[str, list[Register]] = {}
        """By name: all of that name."""
        self.uses: dict[str, Use] = {}
        """What the traces do with each register that they access, by name."""
        self.undeclared: dict[int, list[int]] = {}
        """By offset that no register is declared for: reads and writes."""
        self.lines = Lines()
        """Lines of the model's source, if that was asked for."""
        self.traces: list[TraceResult] = []

    def add_registers(self, registers: Sequence[Register]) -> None:
        """Add what is not there yet: a model may have other registers on another board."""
        for register in registers:
            alike = self.registers.setdefault(register.name, [])
            if register not in alike:
                alike.append(register)

    def add(self, trace: TraceResult, uses: Mapping[str, Use], undeclared: Mapping[int, Sequence[int]]) -> None:
        """Add a trace, and what it does with the registers."""
        self.traces.append(trace)
        for name, use in uses.items():
            self.uses.setdefault(name, Use(use.register)).add(use)
        for offset, (reads, writes) in undeclared.items():
            row = self.undeclared.setdefault(offset, [0, 0])
            row[0] += reads
            row[1] += writes

    # Asked when all traces have been added

    @cached_property
    def fates(self) -> list[Fate]:
        """What became of each mutant, those of no register first, then in the order of the registers."""
        registers = {name: number for number, name in enumerate(self.registers)}
        kinds = {kind: number for number, kind in enumerate(KINDS)}
        mutants = {mutant for trace in self.traces for mutant in (*trace.killed, *trace.survived, *trace.untried)}

        def place(mutant: Mutant) -> tuple[int, str, int, int]:
            name, kind, bits = mutant
            return registers.get(name, -1), name, kinds[kind], -bits

        return [self._fate(mutant) for mutant in sorted(mutants, key=place)]

    @cached_property
    def total(self) -> Score:
        """Of all mutants."""
        return Score.of(self.fates)

    @cached_property
    def accessed(self) -> Score:
        """Of the mutants of registers that any trace accesses, and of lines and resets."""
        return Score.of(fate for fate in self.fates if not self._is_untouched(fate.mutant.register))

    @property
    def untouched(self) -> list[str]:
        """The registers that no trace accesses."""
        return [name for name in self.registers if name not in self.uses]

    def score_of(self, register: str) -> Score:
        """Of one register's mutants."""
        return self._scores.get(register, Score())

    def only(self, number: int) -> int:
        """How many mutants that trace alone kills."""
        return sum(fate.killers == (number,) for fate in self.fates)

    @cached_property
    def smallest(self) -> list[int]:
        """Few traces that kill all that any kills, by number: each time the one that adds most.

        There may be a set with fewer; to find the smallest takes time that grows exponentially with the traces.
        """
        left = {fate.mutant for fate in self.fates if fate.is_killed}
        chosen: list[int] = []
        while left:
            gains = [len(left & trace.killed) for trace in self.traces]
            best = max(range(len(gains)), key=lambda number: (gains[number], -self.traces[number].exits))
            chosen.append(best)
            left -= self.traces[best].killed
        return sorted(chosen)

    @cached_property
    def _scores(self) -> dict[str, Score]:
        by_register: dict[str, list[Fate]] = {}
        for fate in self.fates:
            by_register.setdefault(fate.mutant.register, []).append(fate)
        return {name: Score.of(fates) for name, fates in by_register.items()}

    def _is_untouched(self, name: str) -> bool:
        return name in self.registers and name not in self.uses

    def _fate(self, mutant: Mutant) -> Fate:
        killers = tuple(number for number, trace in enumerate(self.traces) if mutant in trace.killed)
        if killers or any(mutant in trace.untried for trace in self.traces):
            return Fate(mutant, killers, "")
        # Of the reasons, that of the trace that came nearest to killing it.
        return Fate(mutant, (), max((trace.survived.get(mutant, "") for trace in self.traces), key=nearness))
