"""What a recording does with each register of a model: what has to be known before faults are tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..device import Device, Unknown
from ..naming import Piece
from ..registers import Register
from .taps import Tap, is_value

SAMPLED: Final = 5_000
"""So many reads, and of those after them each `STRIDE`th, are looked at for what they change in the model."""

STRIDE: Final = 61

VALUES_MAX: Final = 1000


@dataclass(slots=True)
class Use:
    """What recordings do with one register."""

    register: Register
    """The first of that name."""
    reads: int = 0
    writes: int = 0
    ones: int = 0
    """Bits that a read showed set, where the model knew them."""
    zeros: int = 0
    """Bits that a read showed clear, where the model knew them."""
    fresh_ones: int = 0
    """As `ones`, before the first write since a reset."""
    fresh_zeros: int = 0
    written_ones: int = 0
    """Bits that a write set."""
    written_zeros: int = 0
    """Bits that a write cleared."""
    reading_changes: bool = False
    """Whether a read was seen to change the model's state."""
    values: set[int] = field(default_factory=set)
    """What reads showed, as far as the first thousand values."""

    @property
    def fresh_bits(self) -> int:
        """Bits that were read before the first write since a reset."""
        return self.fresh_ones | self.fresh_zeros

    @property
    def both(self) -> int:
        """Bits that reads showed set and clear."""
        return self.ones & self.zeros

    @property
    def shown(self) -> int:
        """Bits that reads showed."""
        return self.ones | self.zeros

    def add(self, other: Use) -> None:
        """Add what another recording does with it."""
        self.reads += other.reads
        self.writes += other.writes
        for name in ("ones", "zeros", "fresh_ones", "fresh_zeros", "written_ones", "written_zeros"):
            setattr(self, name, getattr(self, name) | getattr(other, name))
        self.reading_changes |= other.reading_changes


class Survey(Tap):
    """Watches what is done with a model.

    Args:
        device: the model.
        looks_deeper: whether to find out, too, which reads change the model's state, and what each write reaches.
    """

    def __init__(self, device: Device, looks_deeper: bool = False) -> None:
        super().__init__(device)
        self.uses: dict[str, Use] = {}
        """By register, in the order of their first access."""
        self.undeclared: dict[int, list[int]] = {}
        """By offset that no register is declared for: reads and writes."""
        self.plan: list[Sequence[Piece]] = []
        self.resets = 0
        self._looks_deeper = looks_deeper
        self._written: set[str] = set()
        """Registers that were written since the last reset."""
        self._reads = 0
        self.explained: set[int] = set()
        """Numbers of the reads, from 1 on, of which the recording told something, or that input explained."""
        self._layouts: dict[tuple[object, ...], Sequence[Piece]] = {}
        """Equal ones of the plan are one."""
        self._reset = device.reset
        device.reset = self.reset  # type: ignore[method-assign]
        self._assume = device.assume
        if looks_deeper:
            device.assume = self.assume  # type: ignore[method-assign]

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`."""
        is_explained = self._assume(offset, size, hw, model)
        if is_explained:
            self.explained.add(self._reads)
        return is_explained

    def reset(self) -> None:
        """See `Device.reset`."""
        self.resets += 1
        self._written.clear()
        self._reset()

    def read(self, offset: int, size: int, read: Callable[[], int]) -> int:
        """See `Tap.read`."""
        if not self._looks_deeper:
            return self.changed(offset, size, read())
        self._reads += 1
        if self._reads > SAMPLED and self._reads % STRIDE:
            return self.changed(offset, size, read())
        before = self._state()
        answer = read()
        if self._state() != before:
            for piece in self.pieces(offset, size, "r"):
                if piece.register is not None:
                    self._use(piece.register).reading_changes = True
        return self.changed(offset, size, answer)

    def changed(self, offset: int, size: int, answer: int) -> int:
        """See `Tap.changed`."""
        known, unknown = (answer.known, answer.mask) if isinstance(answer, Unknown) else (answer, 0)
        if not is_value(answer):
            known, unknown = 0, -1
        if unknown:
            self.explained.add(self._reads)
        for register, start, bits, shift in self.pieces(offset, size, "r"):
            if register is None:
                self.undeclared.setdefault(offset + start // 8, [0, 0])[0] += 1
                continue
            use = self._use(register)
            use.reads += 1
            full = (1 << bits) - 1
            value = (known >> start & full) << shift
            visible = (full & ~(unknown >> start)) << shift
            ones, zeros = value & visible, ~value & visible
            use.ones |= ones
            use.zeros |= zeros
            if register.name not in self._written:
                use.fresh_ones |= ones
                use.fresh_zeros |= zeros
            if visible and len(use.values) < VALUES_MAX:
                use.values.add(value)
        return answer

    def write(self, offset: int, size: int, write: Callable[[int], None], value: int) -> None:
        """See `Tap.write`. Only after it banks tell what it reached."""
        try:
            write(value)
        finally:
            reached = self.pieces(offset, size, "w")
            if self._looks_deeper:
                key = (offset, size, *(piece.register and piece.register.name for piece in reached))
                self.plan.append(self._layouts.setdefault(key, reached))
            for register, start, bits, shift in reached:
                if register is None:
                    self.undeclared.setdefault(offset + start // 8, [0, 0])[1] += 1
                    continue
                use = self._use(register)
                full = (1 << bits) - 1
                use.writes += 1
                use.written_ones |= (value >> start & full) << shift
                use.written_zeros |= (~value >> start & full) << shift
                self._written.add(register.name)

    def _use(self, register: Register) -> Use:
        use = self.uses.get(register.name)
        if use is None:
            use = self.uses[register.name] = Use(register)
        return use

    def _state(self) -> Mapping[str, int]:
        try:
            return dict(self.device.state())
        except Exception:  # a model's own affair
            return {}
