"""Tries all mutants of a model in a trace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..minimizing import Bench
from .adequacy import Adequacy, TraceResult
from .faults import Mutant
from .pool import spread
from .trial import TimeIsUpError, Trial

if TYPE_CHECKING:
    from ..replayer import Trace

PROGRESS_S: Final = 0.2

UNTRIED: Final = "untried"

Answer = bool | str | None
"""Whether a mutant is killed; None: the near part of the trace does not tell; `UNTRIED`: there was no time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the work may take."""

    deadline_s: float | None = None
    """When it has to end, of `time.monotonic`; None: never."""
    jobs: int = 1
    """Processes at a time."""

    @property
    def are_reached(self) -> bool:
        """Whether it has to end."""
        return self.deadline_s is not None and time.monotonic() > self.deadline_s


def mutate(
    trace: Trace, name: str, bench: Bench, into: Adequacy, limits: Limits, tell: Callable[[str], None] | None = None,
    *, with_lines: bool = False,
) -> bool:  # fmt: skip
    """Try all mutants of a device in one trace. Whether the trace accesses the device at all.

    Args:
        trace: the recording.
        name: of the trace.
        bench: how it is replayed.
        into: what the result is added to; it says of which device.
        limits: what it may take.
        tell: called now and then with how far it got.
        with_lines: note, too, which lines of the model's source the trace runs.

    Raises:
        VmdevError: the board has no such device, or a model cannot be tried.
    """
    teller = _Teller(name, tell)
    trial = Trial(trace, bench, into.device, teller.replaying(trace.exit_count))
    into.model = trial.model
    into.add_registers(trial.registers)
    tried = trial.screen()
    result = TraceResult(name, trace.exit_count, trial.diverging, tried.killed, tried.survived)
    result.accessed = trial.accessed
    into.add(result, trial.uses, trial.undeclared)
    waiting = tried.waiting
    for far in (False, True):
        is_needed = waiting or (with_lines and not far)
        if not is_needed or limits.are_reached:
            break
        teller.say("looking for the exits that matter")
        trial.prepare(far)
        result.replayed.append(trial.exits(far))
        if not far:
            if with_lines:
                into.lines.add(trial.lines())
            killed, waiting = trial.batch(waiting, limits.deadline_s)
            result.killed |= killed
        waiting = _replay(trial, far, waiting, result, limits, teller)
    result.untried.update(waiting)
    return trial.touches


def _replay(
    trial: Trial, far: bool, waiting: Sequence[Mutant], result: TraceResult, limits: Limits, teller: _Teller
) -> list[Mutant]:
    """Try mutants by a replay of each. Those are returned about which it does not tell."""
    unsure: list[Mutant] = []

    def kills(number: int) -> Answer:
        try:
            return trial.kills(waiting[number], far, limits.deadline_s)
        except TimeIsUpError:
            return UNTRIED

    for done, (number, answer) in enumerate(spread(kills, len(waiting), limits.jobs), 1):
        mutant = waiting[number]
        if answer == UNTRIED:
            result.untried.add(mutant)
        elif answer:
            result.killed.add(mutant)
        elif answer is None:
            unsure.append(mutant)
        else:
            result.survived[mutant] = trial.why_it_survived(mutant)
        result.replays += answer != UNTRIED
        teller.say(f"{done:,} of {len(waiting):,} mutants that take a replay, {len(result.killed):,} killed")
    return unsure


class _Teller:
    """Tells how far a trace got, now and then."""

    def __init__(self, name: str, tell: Callable[[str], None] | None) -> None:
        self._name = name
        self._tell = tell
        self._next_s = time.monotonic() + PROGRESS_S

    def say(self, what: str) -> None:
        """Tell it, if it is time."""
        if self._tell is not None and time.monotonic() >= self._next_s:
            self._tell(f"{self._name}: {what}")
            self._next_s = time.monotonic() + PROGRESS_S

    def replaying(self, exits: int) -> Callable[[int], None]:
        """What hears of exits that were replayed."""
        done = 0

        def progress(more: int) -> None:
            nonlocal done
            done += more
            self.say(f"replayed {done:,} of {exits:,} exits")

        return progress
