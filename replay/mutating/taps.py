"""Taps: what sits between a model and the guest, sees each access, and may change it.

A tap is put on the model itself, in place of its `reader` and `writer`. So the model stays who it is for all others on
the board, and any model can be tapped, also one of a user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..device import Device, Unknown, Unmodelled
from ..naming import Piece, pieces
from ..registers import Direction, Register

Plan = Sequence[Sequence[Piece]]
"""Of each write to a device, in order: the registers that it reaches."""


Change = Callable[[int, int], int]
"""What a register is to show, of the value that it has and of the bits of it that are visible."""


def is_value(answer: object) -> bool:
    """Whether an answer has bits that the model knows."""
    return isinstance(answer, int) and not isinstance(answer, Unmodelled)


class Tap:
    """Changes nothing; a subclass does.

    Args:
        device: the model to tap.
        name: the register to see the accesses of; None: all. A site that cannot reach it costs nothing, if the model
            declares where it is: a PCI host has registers that it knows only when they are asked for.
        plan: which registers writes reach. What a model with banks takes a write for, it tells only afterwards.
    """

    def __init__(self, device: Device, name: str | None = None, plan: Plan | None = None) -> None:
        self.device = device
        self._plan = plan
        self._writes = 0
        """Writes to the model so far, if there is a plan."""
        self._places: list[tuple[int, int]] | None = None
        if name is not None and (found := device.registers.named(name)):
            self._places = [(each.offset, each.offset + max(1, each.width // 8)) for each in found]
        self._reader, self._writer = device.reader, device.writer
        device.reader, device.writer = self.reader, self.writer  # type: ignore[method-assign]

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        read = self._reader(offset, size)
        if not self._may_reach(offset, size):
            return read
        return partial(self.read, offset, size, read)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`."""
        write = self._writer(offset, size)
        if self._plan is None and not self._may_reach(offset, size):
            return write
        return partial(self.write, offset, size, write)

    def read(self, offset: int, size: int, read: Callable[[], int]) -> int:
        """A read, made by `read`; the answer is what the guest gets."""
        return self.changed(offset, size, read())

    def changed(self, offset: int, size: int, answer: int) -> int:
        """The answer to give to a read; banks are as after it."""
        if not is_value(answer):
            return answer
        known, unknown = (answer.known, answer.mask) if isinstance(answer, Unknown) else (answer, 0)
        shown = known
        for register, start, bits, shift in self.pieces(offset, size, "r"):
            full = (1 << bits) - 1
            visible = (full & ~(unknown >> start)) << shift
            if register is not None and visible:
                part = self.show(register, (known >> start & full) << shift, visible) & visible
                shown = shown & ~(full << start) | part >> shift << start
        if shown == known:
            return answer
        return Unknown(shown, unknown, answer.learn, answer.kind) if isinstance(answer, Unknown) else shown

    def show(self, register: Register, value: int, visible: int) -> int:
        """The value of a register to show. `value` is what the model has, in place, as far as a mask has it visible."""
        return value

    def write(self, offset: int, size: int, write: Callable[[int], None], value: int) -> None:
        """A write; `write` delivers it."""
        if self._plan is None:
            reached: Sequence[Piece] = self.pieces(offset, size, "w")
        else:
            reached = self._plan[self._writes] if self._writes < len(self._plan) else ()
            self._writes += 1
        self.take(reached, write, value)

    def take(self, reached: Sequence[Piece], write: Callable[[int], None], value: int) -> None:
        """A write to these registers; `write` delivers it."""
        write(value)

    def pieces(self, offset: int, size: int, direction: Direction) -> Sequence[Piece]:
        """The registers of the last access; of a write that is yet to be made: if it does not change the bank."""
        try:
            return pieces(self.device, offset, size, direction)
        except Exception:  # a model's own affair
            return ()

    def _may_reach(self, offset: int, size: int) -> bool:
        return self._places is None or any(first < offset + size and offset < end for first, end in self._places)


class Show(Tap):
    """What one register shows goes through a function of the value and of the bits of it that are visible."""

    def __init__(self, device: Device, name: str, change: Change) -> None:
        super().__init__(device, name)
        self._name = name
        self._change = change

    def show(self, register: Register, value: int, visible: int) -> int:
        """See `Tap.show`."""
        return self._change(value, visible) if register.name == self._name else value


class Twice(Tap):
    """Each read of one register is made twice: what reading does to the model happens once too often."""

    def __init__(self, device: Device, name: str) -> None:
        super().__init__(device, name)
        self._name = name

    def read(self, offset: int, size: int, read: Callable[[], int]) -> int:
        """See `Tap.read`."""
        answer = read()
        if any(piece.register and piece.register.name == self._name for piece in self.pieces(offset, size, "r")):
            read()
        return answer


class Deaf(Tap):
    """Writes to one register are lost: their side effects do not happen."""

    def __init__(self, device: Device, name: str, plan: Plan | None = None) -> None:
        super().__init__(device, name, plan)
        self._name = name

    def take(self, reached: Sequence[Piece], write: Callable[[int], None], value: int) -> None:
        """See `Tap.take`."""
        if not any(piece.register and piece.register.name == self._name for piece in reached):
            write(value)


class Hearing(Tap):
    """Some bits of one register always arrive as 0, or as 1."""

    def __init__(self, device: Device, name: str, bits: int, level: int, plan: Plan | None = None) -> None:
        super().__init__(device, name, plan)
        self._name = name
        self._bits = bits
        self._level = level

    def take(self, reached: Sequence[Piece], write: Callable[[int], None], value: int) -> None:
        """See `Tap.take`."""
        for register, start, bits, shift in reached:
            if register and register.name == self._name:
                mask = (self._bits >> shift & (1 << bits) - 1) << start
                value = value | mask if self._level else value & ~mask
        write(value)


class Misreset(Tap):
    """Some bits of one register are inverted after a reset, until it is written."""

    def __init__(self, device: Device, name: str, flip: int, plan: Plan | None = None) -> None:
        super().__init__(device, name, plan)
        self._name = name
        self._flip = self._flip_now = flip
        self._reset = device.reset
        device.reset = self.reset  # type: ignore[method-assign]

    def reset(self) -> None:
        """See `Device.reset`."""
        self._reset()
        self._flip_now = self._flip

    def show(self, register: Register, value: int, visible: int) -> int:
        """See `Tap.show`."""
        return value ^ self._flip_now if register.name == self._name else value

    def take(self, reached: Sequence[Piece], write: Callable[[int], None], value: int) -> None:
        """See `Tap.take`."""
        write(value)
        if any(piece.register and piece.register.name == self._name for piece in reached):
            self._flip_now = 0
