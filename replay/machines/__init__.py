"""Machines that recordings can be replayed into: which devices sit where, and how they are wired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import DeviceConfigError, UnknownMachineError
from ..guest import Guest
from . import pc
from .board import Board, Placement
from .replacement import Replacement, Replacements

__all__ = ["MACHINES", "Board", "Placement", "Replacement", "Replacements", "build"]

MACHINES: Final[dict[str, tuple[str, Callable[[Guest, Replacements | None], Board]]]] = {
    "pc": ("PC with i440FX and PIIX4", pc.build_pc),
    "q35": ("PC with Q35 and ICH9", pc.build_q35),
    "isapc": ("ISA-only PC", pc.build_isapc),
    "microvm": ("Minimal machine with a few ISA devices", pc.build_microvm),
}
"""By QEMU's machine type without its version: the title, and what builds its board for a guest."""


def build(guest: Guest, machine: str | None = None, replacements: Replacements | None = None) -> Board:
    """The board to replay `guest` into: `machine`, or by default the one that the guest was recorded on.

    Args:
        guest: what the trace says of it.
        machine: the machine's name.
        replacements: models in place of those that the machine would have, by the name on the board. Others are put
            where they say. If all say where, the guest's machine need not be known: then there is nothing else.

    Raises:
        UnknownMachineError: there is no such machine.
        DeviceConfigError: a replacement has no place, or lacks what another device needs of it.
    """
    name = guest.machine if machine is None else machine
    if name not in MACHINES:
        if machine is None and replacements and all(each.is_placed for each in replacements.values()):
            board = Board(name or "bare", guest.step_ns, replacements)
            board.add_rest()
            return board
        if machine is not None:
            problem = f"there is no machine {name!r}"
        elif name:
            problem = f"the trace was recorded on machine {name!r}, which cannot be replayed into"
        else:
            problem = "the trace does not say on which machine it was recorded: name one"
        raise UnknownMachineError(f"{problem}; known machines: {', '.join(MACHINES)}")
    _, builder = MACHINES[name]
    try:
        board = builder(guest, replacements)
    except AttributeError as error:
        if not replacements or error.obj is None or type(error.obj).__module__.startswith("vmdev."):
            raise
        raise DeviceConfigError(f"{type(error.obj).__name__} lacks what other devices need of it: {error}") from error
    board.add_rest()
    return board
