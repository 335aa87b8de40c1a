"""Delta debugging: the smallest part of a list that still does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def ddmin(
    items: Sequence[int],
    holds: Callable[[Sequence[int]], bool],
    worth: Callable[[int, int], bool] = lambda left, size: True,
) -> list[int]:
    """A part of `items`, in their order, for which `holds` is true, and of which no single item can be left out.

    Chunks are left out, first halves, then smaller ones, and at last single items until none can be spared. `holds`
    is not asked about `items` itself, which must hold. Before each round `worth` is asked whether to go on, with the
    number of items that are left and the size of the chunks to come.

    Of the two steps of Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), this is the
    one that tests complements: the other seldom succeeds where most items are harmless.
    """
    kept = list(items)
    if kept and holds([]):
        return []
    size = len(kept) // 2
    while size and len(kept) > 1 and worth(len(kept), size):
        before = len(kept)
        # The last items are the likeliest to matter, so the first go first.
        at = 0
        while at < len(kept):
            candidate = kept[:at] + kept[at + size :]
            if candidate and holds(candidate):
                kept = candidate
            else:
                at += size
        if size > 1:
            size = min(size // 2, max(1, len(kept) // 2))
        elif len(kept) == before:
            break
    return kept
