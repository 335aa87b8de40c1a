"""Faults of a model, as its registers and lines show them: which there are, how they are made, and what can show them.

They need nothing of the model but its register map, so that every model has them. Of each register that can be read,
each bit may be stuck; of each that can be written, each field may be lost. Where no fields are declared, bytes stand
for them, or, in a register of one byte, bits. Other faults, such as inverted bits or reads that lag behind, would be
found by the same reads, and are not made: they would only make the score look better.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ..irq import Line
from ..registers import Register
from .survey import Use
from .taps import Change, Deaf, Hearing, Misreset, Plan, Show, Twice

if TYPE_CHECKING:
    from ..machines.board import Board

STUCK_0: Final = "stuck at 0"
STUCK_1: Final = "stuck at 1"
FROZEN: Final = "never changes"
AHEAD: Final = "one tick ahead"
MISRESET: Final = "wrong after reset"
TWICE: Final = "reads count twice"
DEAF: Final = "writes are ignored"
LOST_0: Final = "written as 0"
LOST_1: Final = "written as 1"
NO_RESET: Final = "is not reset"
NEVER: Final = "never comes"
LATE: Final = "comes late"
ALWAYS: Final = "never ends"

KINDS: Final = (
    STUCK_0, STUCK_1, FROZEN, AHEAD, MISRESET, TWICE, DEAF, LOST_0, LOST_1, NO_RESET, NEVER, LATE, ALWAYS
)  # fmt: skip

OF_VALUES: Final = (STUCK_0, STUCK_1, FROZEN, AHEAD)
"""Faults that are a matter of what one register shows, and of nothing else."""

OF_READS: Final = (*OF_VALUES, MISRESET)
"""Faults that are only in what reads show, so that the guest's accesses find the model as ever."""

OF_LINES: Final = (NEVER, LATE, ALWAYS)

DEVICE: Final = "(device)"
INTERRUPT: Final = "(interrupt)"
"""What stands for a register where a fault is in none; further lines are ``(interrupt 1)`` and so on."""

LATE_NS: Final = 100_000
"""How late a late interrupt comes."""

BYTE_BITS: Final = 8


class Mutant(NamedTuple):
    """A model with one fault."""

    register: str
    """Its name; `DEVICE` or an interrupt's."""
    kind: str
    """One of the faults above."""
    bits: int = 0
    """Of the register, in place; 0: the fault is of the register as a whole."""


def interrupt_name(number: int) -> str:
    """What stands for a register in faults of a line."""
    return INTERRUPT if number == 0 else f"{INTERRUPT[:-1]} {number})"


def declared_bits(register: Register) -> int:
    """Those of its fields; all, if it has none."""
    mask = 0
    for field in register.fields:
        mask |= field.mask
    return mask or register.full


def mutants_of(registers: Iterable[Register], lines: int, twice: Collection[str]) -> Iterator[Mutant]:
    """All mutants of a model.

    Args:
        registers: the model's. Those of one name are one.
        lines: how many interrupt lines it has.
        twice: registers whose reads change the model's state.
    """
    by_name: dict[str, list[Register]] = {}
    for register in registers:
        by_name.setdefault(register.name, []).append(register)
    for name, alike in by_name.items():
        readable = [register for register in alike if "r" in register.access]
        if readable:
            bits = 0
            for register in readable:
                bits |= declared_bits(register)
            for kind in (STUCK_0, STUCK_1):
                for at in range(bits.bit_length()):
                    if bits >> at & 1:
                        yield Mutant(name, kind, 1 << at)
            yield Mutant(name, FROZEN)
            if any(register.hz for register in readable):
                yield Mutant(name, AHEAD)
            yield Mutant(name, MISRESET, bits)
            if name in twice:
                yield Mutant(name, TWICE)
        writable = [register for register in alike if "w" in register.access]
        if writable:
            yield Mutant(name, DEAF)
            groups = dict.fromkeys(group for register in writable for group in _groups(register))
            for kind in (LOST_0, LOST_1):
                for group in groups:
                    yield Mutant(name, kind, group)
    yield Mutant(DEVICE, NO_RESET)
    for number in range(lines):
        for kind in OF_LINES:
            yield Mutant(interrupt_name(number), kind)


def _groups(register: Register) -> Iterator[int]:
    """Bits that are written together."""
    if register.fields:
        yield from (field.mask for field in register.fields)
    else:
        step = 1 if register.width <= BYTE_BITS else BYTE_BITS
        yield from ((1 << step) - 1 << at for at in range(0, register.width, step))


# What can show a fault

UNREAD: Final = "nothing reads it"
UNWRITTEN: Final = "nothing writes it"
LEARNED: Final = "what it shows is learned from the recording"
UNSEEN: Final = "no read shows it"
UNSET: Final = "no read shows it set"
UNCLEAR: Final = "no read shows it clear"
SAME: Final = "every read shows the same"
LATER: Final = "no read comes before a write"
NEVER_SET: Final = "no write sets it"
NEVER_CLEARED: Final = "no write clears it"
NO_RESETS: Final = "the guest never resets the machine"
QUIET: Final = "the line never changes"

HOPELESS: Final = (
    "", UNREAD, UNWRITTEN, LEARNED, UNSEEN, UNSET, UNCLEAR, SAME, LATER, NEVER_SET, NEVER_CLEARED, NO_RESETS, QUIET,
)  # fmt: skip
"""Why a recording cannot show a fault, the reasons that say least first."""


def nearness(reason: str) -> int:
    """How near a recording with that reason came to showing a fault: to compare."""
    return HOPELESS.index(reason) if reason in HOPELESS else len(HOPELESS)


@dataclass(frozen=True, slots=True)
class Chances:
    """What a recording does with the model that could show faults of it.

    `hopeless` tells why it cannot show a mutant.
    """

    uses: dict[str, Use]
    resets: int
    changes: Sequence[int]
    """Of each line: how often its level changed."""

    def hopeless(self, mutant: Mutant) -> str:
        """Why the mutant cannot be told from the model, one of `HOPELESS`; empty if perhaps it can."""
        name, kind, bits = mutant
        if kind == NO_RESET:
            return "" if self.resets else NO_RESETS
        if kind in OF_LINES:
            lines = {interrupt_name(number): changes for number, changes in enumerate(self.changes)}
            return "" if lines.get(name) else QUIET
        use = self.uses.get(name)
        if kind in (DEAF, LOST_0, LOST_1):
            if use is None or not use.writes:
                return UNWRITTEN
            if kind == LOST_0 and not use.written_ones & bits:
                return NEVER_SET
            return NEVER_CLEARED if kind == LOST_1 and not use.written_zeros & bits else ""
        return UNREAD if use is None or not use.reads else _unseen(use, kind, bits)


def _unseen(use: Use, kind: str, bits: int) -> str:
    if not use.shown:
        return LEARNED
    if kind == MISRESET:
        return "" if use.fresh_bits & bits else LATER
    if bits and not use.shown & bits:
        return UNSEEN
    if kind == STUCK_0 and not use.ones & bits:
        return UNSET
    if kind == STUCK_1 and not use.zeros & bits:
        return UNCLEAR
    return SAME if kind == FROZEN and not use.both else ""


# How a fault is made


def apply(mutant: Mutant, board: Board, name: str, plan: Plan | None = None) -> None:
    """Make the mutant of a board's device; `plan` tells what its writes reach."""
    register, kind, bits = mutant
    device = board.devices[name]
    if kind in OF_LINES:
        lines = {interrupt_name(number): line for number, line in enumerate(board.lines[name])}
        _LINE_FAULTS[kind](board, lines[register])
    elif kind == NO_RESET:
        device.reset = lambda: None  # type: ignore[method-assign]
    elif kind == TWICE:
        Twice(device, register)
    elif kind == DEAF:
        Deaf(device, register, plan)
    elif kind in (LOST_0, LOST_1):
        Hearing(device, register, bits, int(kind == LOST_1), plan)
    elif kind == MISRESET:
        Misreset(device, register, bits, plan)
    else:
        Show(device, register, showing(mutant))


def showing(mutant: Mutant) -> Change:
    """What a mutant of the kinds `OF_VALUES` makes of a value."""
    _, kind, bits = mutant
    if kind == STUCK_0:
        return lambda value, visible: value & ~bits
    if kind == STUCK_1:
        return lambda value, visible: value | bits
    return freezing() if kind == FROZEN else lambda value, visible: value + 1


def freezing() -> Change:
    """A function that shows each bit as it was first."""
    seen = first = 0

    def changed(value: int, visible: int) -> int:
        nonlocal seen, first
        new = visible & ~seen
        seen |= new
        first |= value & new
        return first & visible

    return changed


def late(board: Board, line: Line) -> None:
    """Let a line's changes come `LATE_NS` late."""
    sinks, line._sinks = line._sinks, []

    def change(level: bool) -> None:
        def deliver() -> None:
            for sink in sinks:
                sink(level)

        board.clock.timer(deliver).arm(board.clock.now_ns + LATE_NS)

    line.connect(change)


def never(board: Board, line: Line) -> None:
    """Let a line lead nowhere."""
    line._sinks = []


def always(board: Board, line: Line) -> None:
    """Let a line stay as it is after its first change."""
    sinks, line._sinks = line._sinks, []

    def change(level: bool) -> None:
        line._sinks = []
        for sink in sinks:
            sink(level)

    line.connect(change)


_LINE_FAULTS: Final = {NEVER: never, LATE: late, ALWAYS: always}
