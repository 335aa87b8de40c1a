"""Registers as a description file declares them: what a scaffold takes from CMSIS-SVD and SystemRDL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from ..errors import DescriptionError
from ..registers import Field
from .behaviour import Behaviour

MOST_BYTES: Final = 32 << 20
"""Of a description's file."""

MOST_REGISTERS: Final = 4096
MOST_VALUES: Final = 256
"""Named values of a field."""


@dataclass(frozen=True, slots=True)
class Described:
    """A register."""

    name: str
    title: str
    offset: int
    size: int
    """Bytes: 1, 2, 4 or 8."""
    access: Literal["r", "w", "rw"]
    fields: tuple[Field, ...]
    behaviour: Behaviour
    """Bits whose value after a reset is not described are 0 in it."""


def checked(registers: Iterable[Described], whose: str) -> list[Described]:
    """Those that a model can declare: for each direction one at an offset, and none that overlaps another.

    Raises:
        DescriptionError: there are none, too many, or their offsets are impossible.
    """
    found: list[Described] = []
    taken: dict[int, Described] = {}
    names: Counter[str] = Counter()
    for register in registers:
        if len(found) >= MOST_REGISTERS:
            raise DescriptionError(f"{whose} has more than {MOST_REGISTERS:,} registers")
        if not 0 <= register.offset < 1 << 48:
            raise DescriptionError(f"{whose}: {register.name} is at offset {register.offset:#x}")
        there = {taken[at].name: taken[at] for at in _bytes(register) if at in taken}.values()
        if any(
            (other.offset, other.size) != (register.offset, register.size)
            or set(other.access) & set(register.access)
            or sum(each.offset == other.offset for each in found) > 1
            for other in there
        ):
            continue  # an alternative view of what is declared already
        names[register.name] += 1
        if names[register.name] > 1:
            register = replace(register, name=f"{register.name}@{register.offset:#x}")
        found.append(register)
        taken.update((at, register) for at in _bytes(register))
    if not found:
        raise DescriptionError(f"{whose} has no registers")
    return found


def _bytes(register: Described) -> range:
    return range(register.offset, register.offset + register.size)
