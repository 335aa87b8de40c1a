"""Which exits are judged. All others are replayed all the same, as far as the judged ones need it, and excluded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .routes import MMIO, SIZE

if TYPE_CHECKING:
    from .trace.rows import PackedSite

Bounds = tuple[int | None, int | None]
"""First and last, both inclusive; None: no bound."""


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Ports or addresses."""

    space: str
    """"pio", "mmio", or empty: either."""
    first: int
    last: int
    """Inclusive."""

    def holds(self, space: str, address: int, size: int) -> bool:
        """Whether an access touches it."""
        return self.space in ("", space) and address <= self.last and self.first < address + size

    def __str__(self) -> str:
        return f"{self.space}{':' if self.space else ''}{self.first:#x}-{self.last:#x}"


@dataclass(frozen=True, slots=True)
class Selection:
    """What to judge. All that is given must hold."""

    devices: tuple[str, ...] = ()
    """Empty: all."""
    addresses: tuple[AddressRange, ...] = ()
    """Accesses that touch any of them; empty: all."""
    seqs: Bounds = (None, None)
    times_ns: Bounds = (None, None)
    until_divergence: bool = False
    """Judge nothing after the first root."""

    @property
    def is_everything(self) -> bool:
        """Whether every exit is judged."""
        return self == Selection()

    @property
    def is_partial(self) -> bool:
        """Whether exits of judged devices are left out, so that what was not seen may yet be there."""
        return Selection(self.devices) != self

    def holds(self, site: PackedSite) -> bool:
        """Whether the exits of a site are judged, as far as addresses tell."""
        address, kind, _, _ = site
        space = "mmio" if kind & MMIO else "pio"
        return not self.addresses or any(each.holds(space, address, kind & SIZE) for each in self.addresses)

    @property
    def words(self) -> tuple[str, ...]:
        """What was asked for besides devices."""
        words = []
        if self.addresses:
            words.append(f"accesses that touch {', '.join(map(str, self.addresses))}")
        if self.seqs != (None, None):
            words.append(f"seq {_bounds(self.seqs)}")
        if self.times_ns != (None, None):
            words.append(f"time {_bounds(self.times_ns)} ns")
        if self.until_divergence:
            words.append("up to the first root divergence")
        return tuple(words)


def _bounds(bounds: Bounds) -> str:
    return ":".join("" if bound is None else str(bound) for bound in bounds)
