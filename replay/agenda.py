"""What happens between exits: resets, input from outside, the begin and the end of what is judged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .trace.rows import Access

Action = Callable[[int], None]
"""Called with the seq of the exit that comes next."""

_TIME: Final = itemgetter(0)


class Agenda:
    """Actions by the exit that they come before.

    Args:
        entries: each with the exit's seq. Of those that come before the same exit, the first is done first.
        timed: each with a time in ns: it comes before the first exit at that time or later.
    """

    def __init__(self, entries: Iterable[tuple[int, Action]], timed: Iterable[tuple[int, Action]] = ()) -> None:
        self._pending = sorted(entries, key=itemgetter(0))[::-1]
        self._timed = list(timed)

    def due(self, first: int, rows: Sequence[Access]) -> list[tuple[int, Action]]:
        """What is to be done before any of the next exits, from number `first` on, in order; each is told once."""
        found: list[tuple[int, Action]] = []
        last = first + len(rows) - 1
        while self._pending and self._pending[-1][0] <= last:
            found.append(self._pending.pop())
        if self._timed:
            for entry in [entry for entry in self._timed if entry[0] <= rows[-1][0]]:
                self._timed.remove(entry)
                t_ns, action = entry
                found.append((first + bisect_left(rows, t_ns, key=_TIME), action))
            found.sort(key=itemgetter(0))
        return found
