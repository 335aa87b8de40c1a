"""A model that stands in place of one that a machine would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..device import Device
from ..irq import Line

if TYPE_CHECKING:
    from .board import Board


class Placement(NamedTuple):
    """Where a part of a device's register space sits on a bus."""

    base: int
    """First port or address."""
    size: int
    """Number of bytes."""
    at: int = 0
    """The offset in the register space that `base` shows."""


Make = Callable[["Board", Sequence[Line], Device | None], Device]
"""Makes the model, given the board that it comes to, the lines of the one that it replaces, and that one itself (None
where there is none)."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What comes in place of a device."""

    make: Make
    pio: tuple[Placement, ...] = ()
    """Where it sits; nowhere on either bus: where the other one would."""
    mmio: tuple[Placement, ...] = ()

    @property
    def is_placed(self) -> bool:
        """Whether it has places of its own."""
        return bool(self.pio or self.mmio)


Replacements = Mapping[str, Replacement]
"""By the name on the board."""
