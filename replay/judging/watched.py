"""A device under judgement: its counts, and what is suspected of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from ..contracts import Clause
from ..device import Device
from ..errors import ModelHungError
from ..verdict import DeviceVerdict, Tally
from .suspicion import Suspicion


class Watched:
    """One device.

    Args:
        name: its name on the board.
        device: the model, or whatever else is on the bus.
        judged: whether its exits can be judged at all.
        clauses: the contracts on it.
    """

    __slots__ = (
        "by_register", "clauses", "excluded_reads", "excluded_writes", "judged", "kept", "model", "name", "observes",
        "retired", "suspicion", "verdict", "write_faults",
    )  # fmt: skip

    def __init__(self, name: str, device: object, judged: bool, clauses: Iterable[Clause] = ()) -> None:
        self.name = name
        self.model = device if isinstance(device, Device) else None
        """None if it is something on the bus that is no model: it has no names and no state to show."""
        self.verdict = DeviceVerdict(name, "" if device is None else type(device).__name__, excluded=not judged)
        self.judged = judged
        self.clauses = list(clauses)
        self.by_register: dict[str, list[Clause]] = {}
        for clause in self.clauses:
            self.by_register.setdefault(clause.register.name, []).append(clause)
        self.observes = frozenset(
            clause.register.offset + into
            for clause in self.clauses
            if clause.needs_all
            for into in range(clause.register.width // 8)
        )
        """Offsets of the registers of which a contract wants to see every read."""
        self.suspicion = Suspicion()
        self.kept = 0
        """Consequences that were kept."""
        self.write_faults = 0
        self.excluded_reads = self.excluded_writes = 0
        """Of the exits in the tally: those that are not judged."""
        self.retired: ModelHungError | None = None
        """It hung, so, and is not called any more."""

    def heal(self) -> None:
        """Forget what went wrong before a reset."""
        if self.retired is None:
            self.suspicion.heal()
        for clause in self.clauses:
            clause.forget()

    def state(self) -> Mapping[str, int]:
        """The model's state; nothing if it fails when asked."""
        if self.model is None:
            return {}
        with suppress(Exception):
            return dict(self.model.state())
        return {}

    def close(self) -> None:
        """Complete the tally: what was not counted otherwise went well."""
        tally = self.verdict.tally
        if self.judged:
            not_matched = tally.masked + tally.learned + tally.assumed + tally.unmodelled + tally.known
            failed_reads = tally.diverged - self.write_faults
            tally.matched = tally.reads - self.excluded_reads - not_matched - failed_reads
            tally.delivered = tally.writes - self.excluded_writes - self.write_faults
            tally.excluded = self.excluded_reads + self.excluded_writes
        else:
            self.verdict.tally = Tally(tally.exits, tally.reads, tally.writes, excluded=tally.exits)
