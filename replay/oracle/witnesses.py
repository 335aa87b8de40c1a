"""Three witnesses of each read: the recording, the model, and another implementation. Who is alone with an answer?"""

from __future__ import annotations

from ..device import Device, Unknown, Unmodelled
from ..naming import differing, pieces
from ..verdict import OddOne, WitnessRow
from .oracle import Oracle


class Witnesses:
    """Compares the answers of a replay's models, and the recording, with those of an `oracle`."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self.alike = 0
        """Reads that all three answer alike."""
        self.unheard = 0
        """Reads about which one of them says nothing: the model has no such register, or nobody can be asked."""
        self._rows: dict[tuple[str, str, OddOne], WitnessRow] = {}

    @property
    def rows(self) -> list[WitnessRow]:
        """Where they are not alike: by register and who is alone, in order of their first."""
        return sorted(self._rows.values(), key=lambda row: row.first_seq)

    def hear(self, seq: int, name: str, model: Device | None, offset: int, size: int, answer: object) -> None:
        """The model called `name` has answered the read that is exit `seq`."""
        place = seq - self._oracle.first
        theirs = self._oracle.answers[place]
        recorded = self._oracle.rows[place][2]
        if isinstance(answer, tuple):  # undo the replayer's wrapping
            (answer,) = answer
        if theirs is None or isinstance(answer, Unmodelled) or not isinstance(answer, int):
            self.unheard += 1
            return
        known = -1
        if isinstance(answer, Unknown):
            known = ~answer.mask
            answer = answer.known | recorded & answer.mask
        if answer == recorded == theirs:
            self.alike += 1
            return
        if answer == recorded:
            # Where the model leaves it to the recording, it does not speak for it.
            odd: OddOne = "qemu" if (theirs ^ recorded) & known else "undecided"
        elif theirs == recorded:
            odd = "model"
        elif theirs == answer:
            odd = "recording"
        else:
            odd = "all"
        register = self._register(model, offset, size, recorded ^ answer | recorded ^ theirs)
        row = self._rows.get((name, register, odd))
        if row is None:
            row = WitnessRow(name, register, odd, size, seq, recorded, answer, theirs)
            self._rows[name, register, odd] = row
        row.reads += 1

    def _register(self, model: Device | None, offset: int, size: int, bits: int) -> str:
        if model is not None:
            rows = differing(offset, pieces(model, offset, size, "r"), bits, 0)
            return "+".join(row.name for row in rows)
        return f"offset {offset:#x}"
