"""Models with one fault each, made for golden traces: `vmdev.replay.mutating` puts the fault in, at one register.

What is worth breaking in a model is found in a replay of the recording, so a new model gets its mutants for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, zip_longest
from operator import xor
from pathlib import Path

from vmdev.replay.device import Device
from vmdev.replay.irq import Line
from vmdev.replay.machines import Board, build
from vmdev.replay.mutating.faults import freezing, late, never
from vmdev.replay.mutating.survey import Survey, Use
from vmdev.replay.mutating.taps import Deaf, Misreset, Show, Tap
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.verdict import Verdict

INTERRUPT_REGISTERS = frozenset(
    f"{chip}_{register}" for chip in ("PIC1", "PIC2") for register in ("IRR", "ISR", "POLL")
)

MakeTap = Callable[[Device], Tap]


@dataclass(frozen=True)
class Mutant:
    """A fault: what it is, and in which register a verdict should find it first."""

    trace: str
    device: str
    fault: str
    registers: frozenset[str]
    """Any of them: of an interrupt line, those of the controllers."""
    tap: MakeTap | None = None
    line: Callable[[Board], None] | None = None
    """What breaks the device's interrupt line instead, given the board."""

    def __str__(self) -> str:
        return f"{self.trace} {self.device}.{'/'.join(sorted(self.registers))}: {self.fault}"

    def apply(self, board: Board) -> None:
        """Put the fault into its device."""
        if self.tap is not None:
            self.tap(board.devices[self.device])
        if self.line is not None:
            self.line(board)


def _remembering(change: Callable[[int, int], int]) -> Callable[[], Callable[[int, int], int]]:
    """A function of a value and of the one before it."""

    def make() -> Callable[[int, int], int]:
        seen: list[int] = []

        def changed(value: int, visible: int) -> int:
            before = seen[0] if seen else value
            seen[:] = [value]
            return change(value, before)

        return changed

    return make


def _lowest(mask: int) -> int:
    return mask & -mask


def _highest(mask: int) -> int:
    return 1 << mask.bit_length() - 1 if mask else 0


def faults_of(use: Use) -> Iterator[tuple[str, MakeTap]]:
    """Faults of one register that the recording can show, the plainest first."""
    name, full = use.register.name, use.register.full
    varies = len(use.values) > 1

    def faulty(make: Callable[[], Callable[[int, int], int]]) -> MakeTap:
        return lambda device: Show(device, name, make())

    def always(change: Callable[[int], int]) -> MakeTap:
        return faulty(lambda: lambda value, visible: change(value))

    def stuck(bit: int, level: int) -> MakeTap:
        return always(lambda value: value | bit if level else value & ~bit)

    def swapped(value: int) -> int:
        return (value & 0x0F0F0F0F0F0F0F0F) << 4 & full | (value & 0xF0F0F0F0F0F0F0F0) >> 4

    if bit := _lowest(use.ones):
        yield f"bit {bit.bit_length() - 1} stuck at 0", stuck(bit, 0)
    if bit := _highest(use.zeros):
        yield f"bit {bit.bit_length() - 1} stuck at 1", stuck(bit, 1)
    if use.register.hz:
        yield "counter one too high", always(lambda value: value + 1 & full)
    if use.writes and use.values:
        yield "writes are ignored", lambda device: Deaf(device, name)
    if use.fresh_bits & 1:
        yield "wrong after reset", lambda device: Misreset(device, name, 1)
    if any(swapped(value) != value for value in use.values):
        yield "nibbles swapped", always(swapped)
    if varies:
        yield "never changes", faulty(freezing)
    if use.shown & 1:
        yield "bit 0 inverted", always(lambda value: value ^ 1)
    if varies:
        yield "one read late", faulty(_remembering(lambda value, before: before))
    if bit := _highest(use.ones):
        yield f"bit {bit.bit_length() - 1} stuck at 0 too", stuck(bit, 0)
    if bit := _lowest(use.zeros):
        yield f"bit {bit.bit_length() - 1} stuck at 1 too", stuck(bit, 1)
    yield "one too high", always(lambda value: value + 1 & full)
    if any(value >> 1 != value for value in use.values):
        yield "shifted by one bit", always(lambda value: value >> 1)
    if use.shown & (highest := full + 1 >> 1):
        yield "highest bit inverted", always(lambda value: value ^ highest)
    if varies:
        yield "bits stay set", faulty(_remembering(lambda value, before: value | before))
    if any(value for value in use.values):
        yield "reads as 0", always(lambda value: 0)
    yield "reads as all ones", always(lambda value: full)
    for at in range(1, min(4, use.register.width - 1)):
        if use.shown >> at & 1:
            yield f"bit {at} inverted", always(partial(xor, 1 << at))


def on_line(fault: Callable[[Board, Line], None], device: str) -> Callable[[Board], None]:
    """Put a fault into the first line of a device."""
    return lambda board: fault(board, board.lines[device][0])


class Recording:
    """A golden trace, read once."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        with TraceReader(path) as reader:
            self.guest = reader.guest
            self.closed = reader.closed
            self.exit_count = reader.exit_count
            self.sites = reader.sites
            self._events = reader.events()
        self._path = path

    @cached_property
    def uses(self) -> dict[str, dict[str, Use]]:
        """What it does with each register of each device."""
        surveys: dict[str, Survey] = {}

        def survey(board: Board) -> None:
            surveys.update({name: Survey(device) for name, device in board.devices.items()})

        self.replay(survey)
        return {name: found.uses for name, found in surveys.items() if found.uses}

    def replay(self, prepare: Callable[[Board], None] | None = None) -> Verdict:
        """The verdict, with the board prepared."""
        board = build(self.guest)
        if prepare is not None:
            prepare(board)
        with TraceReader(self._path) as reader:
            return Replayer(reader, board, name=self.name).run()

    def verdict(self, mutant: Mutant) -> Verdict:
        """The verdict with one model replaced by a mutant."""
        return self.replay(mutant.apply)


def mutants(recordings: Sequence[Recording], per_device: int) -> Iterator[Mutant]:
    """About `per_device` mutants of each device, of its registers in turn, in the shortest recording that has them."""
    offers: dict[str, list[list[Mutant]]] = defaultdict(list)
    offered: set[tuple[str, str]] = set()
    for recording in sorted(recordings, key=lambda recording: recording.exit_count):
        board = build(recording.guest)
        for device, uses in recording.uses.items():
            for use in sorted(uses.values(), key=lambda use: -use.reads):
                if use.shown and (device, use.register.name) not in offered:
                    offered.add((device, use.register.name))
                    names = frozenset((use.register.name,))
                    faults = [Mutant(recording.name, device, what, names, tap) for what, tap in faults_of(use)]
                    offers[device].append(faults)
            if board.lines[device] and "pic" in recording.uses and device in ("pit", "rtc", "com1"):
                breaks = {"interrupt comes late": late, "interrupt never comes": never}
                offers[device].append(
                    [
                        Mutant(recording.name, device, what, INTERRUPT_REGISTERS, line=on_line(fault, device))
                        for what, fault in breaks.items()
                    ]
                )
    for found in offers.values():
        # Each register begins with another kind of fault, so that a device of many registers has all kinds.
        found = [faults[at % len(faults) :] + faults[: at % len(faults)] for at, faults in enumerate(found)]
        in_turn = [mutant for mutant in chain.from_iterable(zip_longest(*found)) if mutant is not None]
        yield from in_turn[:per_device]
