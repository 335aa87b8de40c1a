"""The interrupt pins of a root bus, which several cards may share."""

from __future__ import annotations

from collections.abc import Callable


def _nothing() -> None:
    """Nobody listens."""


class Pirqs:
    """The interrupt pins of the root bus: which are raised, and who listens to the chipset's request lines."""

    def __init__(self) -> None:
        self._raised: dict[tuple[int, int], set[int]] = {}
        self.changed: Callable[[], None] = _nothing
        """Called when a pin changed: the chipset's router looks at `level` then."""

    def set(self, slot: int, pin: int, source: object, level: bool) -> None:
        """Let `source` drive the pin (0: INTA) of a slot."""
        sources = self._raised.setdefault((slot, pin), set())
        before = bool(sources)
        (sources.add if level else sources.discard)(id(source))
        if bool(sources) != before:
            self.changed()

    def raised(self) -> list[tuple[int, int]]:
        """The raised pins: (slot, pin)."""
        return [place for place, sources in self._raised.items() if sources]
