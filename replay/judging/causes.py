"""Which class of mistake the evidence of a wrong value points to. What the evidence is, each function says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..clock import NANOSECONDS_PER_SECOND
from ..naming import Differing, Piece
from ..registers import Register
from ..verdict import CauseClass

Finding = tuple[CauseClass, str]
"""The class, and the evidence in words."""


def find_cause(
    rows: Sequence[Differing],
    parts: Sequence[Piece],
    size: int,
    hw: int,
    model: int,
    written: Callable[[Register], bool],
) -> Finding:
    """The class of a wrong value.

    Args:
        rows: the registers that differ.
        parts: the whole access, cut into registers.
        size: bytes of the access.
        hw: the recorded value.
        model: the model's.
        written: whether the guest may have written a register since the replay began.
    """
    if any(row.register is None for row in rows) or not rows:
        return "register", "the model declares no register there"
    return (
        _by_width(rows, parts, size, hw, model) or _by_nature(rows) or _by_reset_value(rows, written) or ("logic", "")
    )


def _by_width(rows: Sequence[Differing], parts: Sequence[Piece], size: int, hw: int, model: int) -> Finding | None:
    """The access is of several registers or straddles one, and an answer is what splitting or refusing it gives.

    That is: nothing (zeros, or all ones as from an empty bus), one byte repeated, or an answer that is right in its
    first register and wrong in all others.
    """
    straddles = parts[0].shift // 8 % size != 0
    if len(parts) == 1 and not straddles:
        return None
    full = (1 << 8 * size) - 1
    what = f"the access of {size} bytes is of {len(parts)} registers" if len(parts) > 1 else "the access is not aligned"
    for who, value in (("the recording", hw), ("the model", model)):
        if value in (0, full):
            return "width", f"{what}, and {who} answers it with {'ones' if value else 'zeros'}"
        if size > 1 and value == (value & 0xFF) * (full // 0xFF):
            return "width", f"{what}, and {who} repeats one byte"
    if len(rows) == len(parts) - 1 and not (hw ^ model) & (1 << parts[0].bits) - 1:
        return "width", f"{what}; the first agrees, and no other does"
    return None


def _by_nature(rows: Sequence[Differing]) -> Finding | None:
    """All fields that differ are declared to come from the same source."""
    natures = set()
    for register, row in ((row.register, row) for row in rows):
        assert register is not None
        rest = row.bits
        for field in row.fields:
            rest &= ~field.mask
            natures.add(register.nature_of(field))
        if rest:
            natures.add(register.effective_nature)
    (nature,) = natures if len(natures) == 1 else (None,)
    if nature is None:
        return None
    return nature, _in_ticks(rows[0]) if nature == "time" and len(rows) == 1 else ""


def _in_ticks(row: Differing) -> str:
    """How far a counter is off, and which way."""
    register = row.register
    assert register is not None
    counter = register.counter
    if not register.hz or row.bits & ~counter.mask:
        return ""
    full = counter.mask & row.visible
    if not full & 1:
        return ""  # the access does not show the lowest bit
    ahead = (row.model - row.hw) & full
    behind = (row.hw - row.model) & full
    if register.counts == "down":
        ahead, behind = behind, ahead
    ticks = min(ahead, behind) * register.step
    which = "ahead" if ahead <= behind else "behind"
    time = _duration(ticks * NANOSECONDS_PER_SECOND / register.hz)
    unit = "tick" if ticks == 1 else "ticks"
    return f"off by {ticks:,} {unit} of {register.hz:,} Hz, {time}; the model is {which}"


def _duration(ns: float) -> str:
    for unit, length in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= length:
            return f"{ns / length:.3g} {unit}"
    return f"{ns:.3g} ns"


def _by_reset_value(rows: Sequence[Differing], written: Callable[[Register], bool]) -> Finding | None:
    """Nothing has written the register, so its value is that after a reset: which of the two is declared?"""
    if len(rows) != 1:
        return None
    row = rows[0]
    register = row.register
    assert register is not None
    if register.reset is None or written(register):
        return None
    declared = register.reset & row.visible
    if row.model == declared:
        return "configuration", f"the guest has not written it; the model has the declared reset value {declared:#x}"
    if row.hw == declared:
        return "logic", f"the guest has not written it; the recording has the declared reset value {declared:#x}"
    return None
