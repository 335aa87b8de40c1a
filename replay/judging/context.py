"""The accesses to a device before a divergence, with the registers that they reached.

Which register an access reached can depend on the bank at that time, which nobody remembers. So the accesses are made
again, in a fresh model of the same kind: it knows, if enough of them are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..clock import Clock
from ..device import Device, Unknown
from ..naming import decode, pieces, unbanked_name
from ..registers import Register
from ..routes import Target
from ..verdict import Access, Instruction

if TYPE_CHECKING:
    from ..trace.rows import ExitRow, Site

CONTEXT_LENGTH: Final = 8
"""Accesses that are kept with a root divergence."""

WARM_UP: Final = 256
"""Accesses before them that are made in the fresh model."""

Row = tuple["ExitRow", "Site", Target]


def context(model: Device | None, rows: Sequence[Row], last: Row | None) -> tuple[Access, ...]:
    """The last `CONTEXT_LENGTH` of the accesses in `rows`, oldest first.

    Args:
        model: the device.
        rows: its accesses before the divergence, up to `CONTEXT_LENGTH + WARM_UP`, oldest first.
        last: the diverging one, after which `model` still shows its banks; None if none was under way.
    """
    kept = rows[-CONTEXT_LENGTH:]
    reached = _made_again(model, rows, last) if model is not None else None
    if reached is None:
        reached = [_unbanked(model, route, site) for _, site, route in kept]
    return tuple(_access(row, name) for row, name in zip(kept, reached[-CONTEXT_LENGTH:], strict=True))


Reached = tuple[str | None, Register | None]
"""What an access reached: the registers' names, and the one register if it was one and whole."""


def _access(row: Row, reached: Reached) -> Access:
    (seq, t_ns, _, value), site, route = row
    name, register = reached
    value &= (1 << 8 * site.size) - 1
    return Access(
        seq,
        t_ns,
        site.direction,
        name,
        route.offset,
        site.address,
        site.size,
        value,
        decode(register, value) if register else "",
        Instruction(site.pc, bytes(site.insn), site.text, site.size),
    )


def _unbanked(model: Device | None, route: Target, site: Site) -> Reached:
    if model is None:
        return None, None
    name = unbanked_name(model, route.offset, site.direction)
    for register in model.registers.named(name or ""):
        if register.offset == route.offset and register.width == 8 * site.size:
            return name, register
    return name, None


def _made_again(model: Device, rows: Sequence[Row], last: Row | None) -> list[Reached] | None:
    """What each access reached; None if the fresh model cannot tell."""
    if not model.registers.banks:
        return None
    with suppress(Exception):
        clock = Clock()
        fresh = type(model).alone(clock)
        reached = [_make(fresh, clock, row) for row in rows]
        if last is not None:
            _make(fresh, clock, last)
            offset = last[2].offset
            if fresh.bank(offset) != model.bank(offset):
                return None  # what set the bank came earlier
        return reached
    return None


def _make(fresh: Device, clock: Clock, row: Row) -> Reached:
    (_, t_ns, _, value), site, route = row
    clock.now_ns = t_ns
    value &= (1 << 8 * site.size) - 1
    if site.direction == "r":
        answer = fresh.read_any(route.offset, route.size)
        if isinstance(answer, Unknown):
            answer.learn(value & answer.mask)
    else:
        fresh.write_any(route.offset, route.size, value)
    found = pieces(fresh, route.offset, route.size, site.direction)
    names = "+".join(piece.register.name for piece in found if piece.register) or None
    register = found[0].register if len(found) == 1 and found[0].shift == 0 else None
    return names, register if register and register.width == 8 * site.size else None
