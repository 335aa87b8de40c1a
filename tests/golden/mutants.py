"""Models with one fault each: a wrapper that puts a fault between a model and the guest, at one register.

Any model can be wrapped, and what is worth breaking in it is found in a replay of the recording (`survey`): so a new
model gets its mutants for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, zip_longest
from operator import xor
from pathlib import Path
from typing import Any

from vmdev.replay.device import Device
from vmdev.replay.irq import Line
from vmdev.replay.machines import Replacement, build
from vmdev.replay.naming import pieces
from vmdev.replay.registers import Register
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.verdict import Verdict

LATE_NS = 100_000
"""How late a late interrupt comes."""

INTERRUPT_REGISTERS = frozenset(
    f"{chip}_{register}" for chip in ("PIC1", "PIC2") for register in ("IRR", "ISR", "POLL")
)


class Wrapper(Device):
    """A model within: everything goes to it, but for what a subclass changes."""

    def __init__(self, inner: Device) -> None:
        self.inner = inner
        self.registers = inner.registers  # type: ignore[misc]
        self.width = inner.width  # type: ignore[misc]
        self.contracts = inner.contracts  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)  # what other devices on the board use of it

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        read = self.inner.reader(offset, size)
        return lambda: self.changed(offset, size, read())

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        write = self.inner.writer(offset, size)
        return lambda value: self.take(offset, size, value, write)

    def read(self, offset: int, size: int) -> int:
        return self.reader(offset, size)()

    def write(self, offset: int, size: int, value: int) -> None:
        self.writer(offset, size)(value)

    def reset(self) -> None:
        self.inner.reset()

    def state(self) -> Mapping[str, int]:
        return self.inner.state()

    def bank(self, offset: int) -> str | None:
        return self.inner.bank(offset)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        return self.inner.assume(offset, size, hw, model)

    def changed(self, offset: int, size: int, answer: int) -> int:
        """The answer to give to a read; banks are as after it."""
        if type(answer) is not int:  # learned, assumed, or not modelled
            return answer
        for register, start, bits, shift in pieces(self.inner, offset, size, "r"):
            if register is not None:
                full = (1 << bits) - 1
                part = self.show(register, (answer >> start & full) << shift) >> shift & full
                answer = answer & ~(full << start) | part << start
        return answer

    def take(self, offset: int, size: int, value: int, write: Callable[[int], None]) -> None:
        """A write."""
        write(value)

    def show(self, register: Register, value: int) -> int:
        """The value of a register to show; `value` is what the model has, in place."""
        return value


@dataclass
class Use:
    """What a recording does with one register."""

    register: Register
    reads: int = 0
    ones: int = 0
    """Bits that a read showed set."""
    zeros: int = 0
    """Bits that a read showed clear."""
    values: set[int] = field(default_factory=set)
    is_written: bool = False
    fresh_reads: int = 0
    """Before it was written."""


class Survey(Wrapper):
    """Watches what is done with the model."""

    def __init__(self, inner: Device) -> None:
        super().__init__(inner)
        self.uses: dict[str, Use] = {}

    def show(self, register: Register, value: int) -> int:
        use = self.uses.setdefault(register.name, Use(register))
        use.reads += 1
        use.fresh_reads += not use.is_written
        use.ones |= value
        use.zeros |= ~value & register.full
        if len(use.values) < 1000:
            use.values.add(value)
        return value

    def take(self, offset: int, size: int, value: int, write: Callable[[int], None]) -> None:
        write(value)
        for register, *_ in pieces(self.inner, offset, size, "w"):
            if register is not None:
                self.uses.setdefault(register.name, Use(register)).is_written = True


@dataclass(frozen=True)
class Mutant:
    """A fault: what it is, and in which register a verdict should find it first."""

    trace: str
    device: str
    fault: str
    registers: frozenset[str]
    """Any of them: of an interrupt line, those of the controllers."""
    wrap: Callable[[Device], Device] | None = None
    line: Callable[[Any, Line], None] | None = None
    """What breaks the device's interrupt line instead, given the board."""

    def __str__(self) -> str:
        return f"{self.trace} {self.device}.{'/'.join(sorted(self.registers))}: {self.fault}"


class Faulty(Wrapper):
    """One register's reads go through a function, which may remember what it saw."""

    def __init__(self, inner: Device, name: str, change: Callable[[int], int]) -> None:
        super().__init__(inner)
        self._name = name
        self._change = change

    def show(self, register: Register, value: int) -> int:
        return self._change(value) if register.name == self._name else value


class Deaf(Wrapper):
    """Writes to one register are lost: their side effects do not happen."""

    def __init__(self, inner: Device, name: str) -> None:
        super().__init__(inner)
        self._name = name

    def take(self, offset: int, size: int, value: int, write: Callable[[int], None]) -> None:
        before = self.inner.registers.find(offset, "w", self.inner.bank(offset))
        if before is None or before.name != self._name:
            write(value)


class Misreset(Wrapper):
    """One register shows a wrong value until it is written."""

    def __init__(self, inner: Device, name: str, flip: int) -> None:
        super().__init__(inner)
        self._name = name
        self._flip = flip

    def show(self, register: Register, value: int) -> int:
        return value ^ self._flip if register.name == self._name else value

    def take(self, offset: int, size: int, value: int, write: Callable[[int], None]) -> None:
        write(value)
        if any(register and register.name == self._name for register, *_ in pieces(self.inner, offset, size, "w")):
            self._flip = 0


def _remembering(change: Callable[[int, int], int]) -> Callable[[], Callable[[int], int]]:
    """A function of a value and of the one before it."""

    def make() -> Callable[[int], int]:
        seen: list[int] = []

        def changed(value: int) -> int:
            before = seen[0] if seen else value
            seen[:] = [value]
            return change(value, before)

        return changed

    return make


def _freezing() -> Callable[[int], int]:
    seen: list[int] = []

    def changed(value: int) -> int:
        seen[:] = seen or [value]
        return seen[0]

    return changed


def _lowest(mask: int) -> int:
    return mask & -mask


def _highest(mask: int) -> int:
    return 1 << mask.bit_length() - 1 if mask else 0


def faults_of(use: Use) -> Iterator[tuple[str, Callable[[Device], Device]]]:
    """Faults of one register that the recording can show, the plainest first."""
    name, full = use.register.name, use.register.full
    varies = len(use.values) > 1

    def faulty(make: Callable[[], Callable[[int], int]]) -> Callable[[Device], Device]:
        return lambda inner: Faulty(inner, name, make())

    def always(change: Callable[[int], int]) -> Callable[[Device], Device]:
        return faulty(lambda: change)

    def stuck(bit: int, level: int) -> Callable[[Device], Device]:
        return always(lambda value: value | bit if level else value & ~bit)

    def swapped(value: int) -> int:
        return (value & 0x0F0F0F0F0F0F0F0F) << 4 & full | (value & 0xF0F0F0F0F0F0F0F0) >> 4

    if bit := _lowest(use.ones):
        yield f"bit {bit.bit_length() - 1} stuck at 0", stuck(bit, 0)
    if bit := _highest(use.zeros):
        yield f"bit {bit.bit_length() - 1} stuck at 1", stuck(bit, 1)
    if use.register.hz:
        yield "counter one too high", always(lambda value: value + 1 & full)
    if use.is_written and use.values:
        yield "writes are ignored", lambda inner: Deaf(inner, name)
    if use.fresh_reads:
        yield "wrong after reset", lambda inner: Misreset(inner, name, 1)
    if any(swapped(value) != value for value in use.values):
        yield "nibbles swapped", always(swapped)
    if varies:
        yield "never changes", faulty(_freezing)
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
    yield "highest bit inverted", always(lambda value: value ^ (full + 1 >> 1))
    if varies:
        yield "bits stay set", faulty(_remembering(lambda value, before: value | before))
    if any(value for value in use.values):
        yield "reads as 0", always(lambda value: 0)
    yield "reads as all ones", always(lambda value: full)
    for at in range(1, min(4, use.register.width - 1)):
        yield f"bit {at} inverted", always(partial(xor, 1 << at))


def _late(board: Any, line: Line) -> None:
    """A line whose changes come `LATE_NS` late."""
    sinks, line._sinks = line._sinks, []

    def change(level: bool) -> None:
        def deliver() -> None:
            for sink in sinks:
                sink(level)

        board.clock.timer(deliver).arm(board.clock.now_ns + LATE_NS)

    line.connect(change)


def _never(board: Any, line: Line) -> None:
    line._sinks = []


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
        board = build(self.guest)
        surveys: dict[str, Survey] = {}

        def survey(name: str) -> Replacement:
            def make(_: Any, __: Sequence[Line], other: Device | None) -> Device:
                assert other is not None
                surveys[name] = Survey(other)
                return surveys[name]

            return Replacement(make)

        self.replay({name: survey(name) for name in board.devices})
        return {name: found.uses for name, found in surveys.items() if found.uses}

    def replay(self, replacements: Mapping[str, Replacement]) -> Verdict:
        with TraceReader(self._path) as reader:
            return Replayer(reader, build(self.guest, replacements=replacements), name=self.name).run()

    def verdict(self, mutant: Mutant) -> Verdict:
        """The verdict with one model replaced by a mutant."""

        def make(board: Any, lines: Sequence[Line], other: Device | None) -> Device:
            assert other is not None
            if mutant.line is not None:
                mutant.line(board, lines[0])
            return mutant.wrap(other) if mutant.wrap else other

        return self.replay({mutant.device: Replacement(make)})


def mutants(recordings: Sequence[Recording], per_device: int) -> Iterator[Mutant]:
    """About `per_device` mutants of each device, of its registers in turn, in the shortest recording that has them."""
    offers: dict[str, list[list[Mutant]]] = defaultdict(list)
    offered: set[tuple[str, str]] = set()
    for recording in sorted(recordings, key=lambda recording: recording.exit_count):
        board = build(recording.guest)
        for device, uses in recording.uses.items():
            for use in sorted(uses.values(), key=lambda use: -use.reads):
                if use.reads and (device, use.register.name) not in offered:
                    offered.add((device, use.register.name))
                    names = frozenset((use.register.name,))
                    faults = [Mutant(recording.name, device, what, names, wrap) for what, wrap in faults_of(use)]
                    offers[device].append(faults)
            if board.lines[device] and "pic" in recording.uses and device in ("pit", "rtc", "com1"):
                offers[device].append(
                    [
                        Mutant(recording.name, device, "interrupt comes late", INTERRUPT_REGISTERS, line=_late),
                        Mutant(recording.name, device, "interrupt never comes", INTERRUPT_REGISTERS, line=_never),
                    ]
                )
    for found in offers.values():
        # Each register begins with another kind of fault, so that a device of many registers has all kinds.
        found = [faults[at % len(faults) :] + faults[: at % len(faults)] for at, faults in enumerate(found)]
        in_turn = [mutant for mutant in chain.from_iterable(zip_longest(*found)) if mutant is not None]
        yield from in_turn[:per_device]
