"""What a device model is: the base class of all models, and the two answers that are not plain values.

A model is written at register level: ``read(offset, size) -> int`` and ``write(offset, size, value)`` over one flat
register space. The base class turns that into vm-device's buffer interface (``pio_read(base, offset, data)`` and its
kin), so that a model can be registered with an `IoManager` on either bus. A device that owns several address ranges
is registered once per range through a `Window` that says which part of its register space the range shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, Final, Literal, Self

from .clock import Clock
from .contracts import Contract
from .registers import RegisterMap
from .verdict import CauseClass

InputKind = Literal["learned", "assumed"]
"""How a model came to know a recorded value: configuration that the first read teaches, or outside input."""


class Unknown(int):
    """A read's answer of which only the recording knows some bits.

    The replayer compares the known bits, hands the recorded value of the others to `learn`, and counts the read as
    `kind`. This is the only way in which a recorded value reaches a model. As an integer it is -1, which no recorded
    value equals, so it costs nothing until it is used.

    Args:
        known: the answer's known bits, in place.
        mask: the bits that only the recording knows, in place. Disjoint from `known`.
        learn: called once with the recorded value of the masked bits, in place.
        kind: "learned" for configuration (straps, NVRAM, identities), "assumed" for input from outside.
    """

    known: int
    mask: int
    learn: Callable[[int], None]
    kind: InputKind

    def __new__(cls, known: int, mask: int, learn: Callable[[int], None], kind: InputKind = "learned") -> Unknown:
        """See the class."""
        self = super().__new__(cls, -1)
        self.known = known & ~mask
        self.mask = mask
        self.learn = learn
        self.kind = kind
        return self


class Unmodelled(int):
    """The answer of a device that owns the address but does not model this register. As an integer it is -1."""

    def __new__(cls) -> Unmodelled:
        """See the class."""
        return super().__new__(cls, -1)


UNMODELLED: Final = Unmodelled()


class Device:
    """Base class of device models.

    A subclass sets `title` and `registers`, takes what it needs from outside (clock, lines, configuration) in its
    constructor, calls `reset` there, and implements `alone`, `read`, `write`, `reset` and `state`.
    """

    title: ClassVar[str]
    """What it is, in one line. A class with a title in a file of devices/ is that file's model."""

    registers: RegisterMap
    """What the registers are called. An instance may have its own map, where they depend on how it was built."""

    kept_by_reset: ClassVar[tuple[str, ...]] = ()
    """Names in `state`, as patterns of fnmatch, that a hardware reset leaves alone. The model says why."""

    contracts: ClassVar[tuple[Contract, ...]] = ()
    """Where an answer need not equal the recorded one, each with its reason."""

    width: ClassVar[int] = 1
    """The widest access, in bytes, that `read` and `write` take. Wider ones arrive split, lowest offset first."""

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """One by itself: its lines lead nowhere, and nothing is configured."""
        raise NotImplementedError

    def read(self, offset: int, size: int) -> int:
        """Answer a read of `size` bytes (1, 2, 4 or 8, at most `width`) at `offset` in the register space.

        Returns the value, or `Unknown` or `UNMODELLED`. It must not raise for anything a guest can do.
        """
        raise NotImplementedError

    def write(self, offset: int, size: int, value: int) -> None:
        """Take a write of `size` bytes (at most `width`) at `offset`; `value` is unsigned and fits `size`."""
        raise NotImplementedError

    def reset(self) -> None:
        """Return to the state after a hardware reset."""
        raise NotImplementedError

    def state(self) -> Mapping[str, int]:
        """The internal state, by name: what a person needs to see beside a divergence."""
        raise NotImplementedError

    def bank(self, offset: int) -> str | None:
        """The bank that the last access at `offset` reached (see `RegisterMap`); None where there are no banks.

        It is asked after the access. A model in which an access changes the bank remembers the one it used.
        """
        return None

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """Can input from outside explain that the recording has `hw` where this model answered `model`?

        The replayer asks right after a read whose answer differs from the recorded one, with the access as the guest
        made it (`size` may exceed `width`). Input that no access carries into the device, such as a received
        character, is never in a trace: the model finds out here. If it explains the *whole* difference the model takes
        it as having happened (undoing what its own answer did too early) and returns True: the read counts as
        "assumed". Else it changes nothing and returns False: the read diverged. Explain as little as possible: what is
        assumed is not checked.
        """
        return False

    def explain(self, offset: int, size: int) -> tuple[CauseClass, str] | None:
        """Why a read that has just diverged did so, if that is known without looking at the values.

        The class of the divergence, and why. It is asked once for each; models need no such thing.
        """
        return None

    # Where accesses go; asked once for each place that a guest accesses from, not for each access

    def seen_by(self, vcpu: int) -> Device:
        """The device that CPU number `vcpu` reaches here: another one where each CPU has its own, as a local APIC."""
        return self

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """What makes reads of `size` bytes (1, 2, 4 or 8) at `offset`, as `read_any`. Models may know a shorter way."""
        return partial(self.read if size <= self.width else self.read_any, offset, size)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """What takes writes of `size` bytes at `offset`: as `write_any`."""
        return partial(self.write if size <= self.width else self.write_any, offset, size)

    # Accesses of any size

    def read_any(self, offset: int, size: int) -> int:
        """As `read`, for any `size`: an access wider than `width` is answered piece by piece, little-endian."""
        width = self.width
        return self.read(offset, size) if size <= width else self.read_pieces(offset, size, width)

    def write_any(self, offset: int, size: int, value: int) -> None:
        """As `write`, for any `size`: an access wider than `width` is delivered piece by piece, little-endian."""
        width = self.width
        if size <= width:
            self.write(offset, size, value)
        else:
            self.write_pieces(offset, size, value, width)

    def read_pieces(self, offset: int, size: int, piece: int) -> int:
        """Answer a read by several of `piece` bytes, the last of what is left; the lowest offset comes first."""
        known = unknown = 0
        lessons: list[tuple[int, Unknown]] = []
        for at in range(0, size, piece):
            answer = self.read(offset + at, min(piece, size - at))
            if isinstance(answer, Unmodelled):
                return UNMODELLED
            if isinstance(answer, Unknown):
                lessons.append((8 * at, answer))
                unknown |= answer.mask << 8 * at
                answer = answer.known
            known |= answer << 8 * at
        if not lessons:
            return known

        def learn(value: int) -> None:
            for shift, lesson in lessons:
                lesson.learn(value >> shift & lesson.mask)

        kind: InputKind = "assumed" if any(lesson.kind == "assumed" for _, lesson in lessons) else "learned"
        return Unknown(known, unknown, learn, kind)

    def write_pieces(self, offset: int, size: int, value: int, piece: int) -> None:
        """Deliver a write as several of `piece` bytes, the last of what is left; the lowest offset comes first."""
        for at in range(0, size, piece):
            length = min(piece, size - at)
            self.write(offset + at, length, value >> 8 * at & (1 << 8 * length) - 1)

    # The handlers of vm-device's DevicePio and DeviceMmio

    def pio_read(self, base: object, offset: int, data: bytearray | memoryview) -> None:
        """Fill `data` from the registers at `offset`. Bits that only a recording knows read as 0."""
        answer = self.read_any(offset, len(data))
        if isinstance(answer, Unknown):
            answer = answer.known
        elif isinstance(answer, Unmodelled):
            answer = (1 << 8 * len(data)) - 1  # as where there is no device
        data[:] = answer.to_bytes(len(data), "little")

    def pio_write(self, base: object, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Deliver `data` to the registers at `offset`."""
        self.write_any(offset, len(data), int.from_bytes(data, "little"))

    mmio_read = pio_read
    mmio_write = pio_write


class Window:
    """The part of a device's register space that one address range shows: offset 0 of the range is `at`."""

    __slots__ = ("at", "device")

    def __init__(self, device: Device, at: int) -> None:
        self.device = device
        self.at = at

    def pio_read(self, base: object, offset: int, data: bytearray | memoryview) -> None:
        """Forward to the device."""
        self.device.pio_read(base, self.at + offset, data)

    def pio_write(self, base: object, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Forward to the device."""
        self.device.pio_write(base, self.at + offset, data)

    mmio_read = pio_read
    mmio_write = pio_write
