"""Which devices may show a fault of another one."""

from __future__ import annotations

from ..machines.board import Board
from ..minimizing.reach import reached


def affected(board: Board, name: str) -> frozenset[str]:
    """Names of the devices whose answers a fault of one may change.

    They are those to which its lines lead, that it knows, or that know it, and again from these on.
    """
    ids = {id(device): each for each, device in board.devices.items()}
    knows = {each: {ids[found] for found in reached(device, ids)} for each, device in board.devices.items()}
    drives = {
        each: {ids[found] for line in board.lines.get(each, ()) for found in reached(line._sinks, ids)}
        for each in board.devices
    }
    found = {name}
    left = [name]
    while left:
        each = left.pop()
        near = drives[each] | knows[each] | {other for other in knows if each in knows[other]}
        left += near - found
        found |= near
    return frozenset(found)
