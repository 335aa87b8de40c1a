"""Interrupt and signal lines between devices: levels, not edges.

A device drives its `Line` after every access with the level that its state calls for; whoever listens (an interrupt
controller's input) sees changes only. Edge triggering is the listener's business.
"""

from __future__ import annotations

from collections.abc import Callable


class Line:
    """One line. `level` is what the driver last set; sinks are told of each change."""

    __slots__ = ("_sinks", "level")

    def __init__(self, *sinks: Callable[[bool], None]) -> None:
        self.level = False
        self._sinks = list(sinks)

    def connect(self, sink: Callable[[bool], None]) -> None:
        """Tell `sink` of every later change of level."""
        self._sinks.append(sink)

    def set(self, level: bool) -> None:
        """Drive the line to `level`."""
        if level != self.level:
            self.level = level
            for sink in self._sinks:
                sink(level)
