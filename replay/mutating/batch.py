"""Many mutants in one replay: those that only show another value in a register that models may explain.

Whether a wrong answer would be explained, as input from outside, is asked of the model on the spot, for each mutant. As
long as it is not, it changes nothing, and the replay goes on with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from ..device import Device, Unknown
from ..naming import Piece
from .faults import MISRESET, Mutant, showing
from .taps import Change, Plan, Tap, is_value


class Spoiled(BaseException):
    """The model has explained what a mutant shows, and is in another state now."""


class Batch(Tap):
    """Tries mutants along one replay. Each is done with the first read in which it differs from the model.

    Args:
        device: the model.
        mutants: all of the kinds `OF_READS`.
        explained: numbers of reads, from 1 on, in which the model's own answer was explained, so that this does not
            tell whether a mutant's would be.
        plan: see `Tap`.
    """

    def __init__(self, device: Device, mutants: Iterable[Mutant], explained: Collection[int], plan: Plan) -> None:
        super().__init__(device, plan=plan)
        self.killed: set[Mutant] = set()
        self.unsure: set[Mutant] = set()
        """Those that take a replay of their own."""
        self._explained = explained
        self._reads = 0
        self._written: set[str] = set()
        """Registers that were written since the last reset."""
        self._reset = device.reset
        device.reset = self.reset  # type: ignore[method-assign]
        self._left: dict[str, list[tuple[Mutant, Change]]] = {}
        for mutant in mutants:
            change = self._fresh(mutant) if mutant.kind == MISRESET else showing(mutant)
            self._left.setdefault(mutant.register, []).append((mutant, change))

    def reset(self) -> None:
        """See `Device.reset`."""
        self._reset()
        self._written.clear()

    def take(self, reached: Sequence[Piece], write: Callable[[int], None], value: int) -> None:
        """See `Tap.take`."""
        write(value)
        self._written.update(piece.register.name for piece in reached if piece.register)

    def read(self, offset: int, size: int, read: Callable[[], int]) -> int:
        """See `Tap.read`."""
        self._reads += 1
        answer = read()
        if not is_value(answer):
            return answer
        known, unknown = (answer.known, answer.mask) if isinstance(answer, Unknown) else (answer, 0)
        for register, start, bits, shift in self.pieces(offset, size, "r"):
            left = self._left.get(register.name) if register else None
            if left is None:
                continue
            full = (1 << bits) - 1
            visible = (full & ~(unknown >> start)) << shift
            value = (known >> start & full) << shift & visible
            for mutant, change in [*left]:
                shown = change(value, visible) & visible
                if shown != value:
                    left.remove((mutant, change))
                    self._judge(mutant, offset, size, known, known & ~(full << start) | shown >> shift << start)
        return answer

    def _fresh(self, mutant: Mutant) -> Change:
        name, _, bits = mutant
        return lambda value, visible: value if name in self._written else value ^ bits

    def _judge(self, mutant: Mutant, offset: int, size: int, hw: int, model: int) -> None:
        """A mutant answers `model` where the model has `hw`."""
        if self._reads in self._explained:
            self.unsure.add(mutant)
            return
        try:
            is_explained = self.device.assume(offset, size, hw, model)
        except Exception:  # a model's, which is a divergence, too
            is_explained = False
        if is_explained:
            self.unsure.add(mutant)
            raise Spoiled
        self.killed.add(mutant)
