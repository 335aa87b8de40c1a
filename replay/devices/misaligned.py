"""How QEMU's TCG makes misaligned accesses to memory: as aligned ones, lowest address first, each as wide as it can be.

Source: observed.
"""

from __future__ import annotations

from collections.abc import Callable

from ..device import Unknown


def pieces(offset: int, size: int) -> list[tuple[int, int]]:
    """The aligned accesses, each (offset, size)."""
    made = []
    while size:
        piece = (offset | size | 8) & -(offset | size | 8)
        made.append((offset, piece))
        offset += piece
        size -= piece
    return made


def read_pieces(read: Callable[[int, int], int], offset: int, size: int) -> int:
    """Make a misaligned read by aligned ones."""
    known = mask = 0
    lessons: list[tuple[int, Unknown]] = []
    for at, piece in pieces(offset, size):
        shift = 8 * (at - offset)
        answer = read(at, piece)
        if isinstance(answer, Unknown):
            lessons.append((shift, answer))
            mask |= answer.mask << shift
            answer = answer.known
        known |= answer << shift
    if not lessons:
        return known

    def learn(value: int) -> None:
        for shift, lesson in lessons:
            lesson.learn(value >> shift & lesson.mask)

    return Unknown(known, mask, learn, lessons[0][1].kind)


def write_pieces(write: Callable[[int, int, int], None], offset: int, size: int, value: int) -> None:
    """Make a misaligned write by aligned ones."""
    for at, piece in pieces(offset, size):
        write(at, piece, value >> 8 * (at - offset) & (1 << 8 * piece) - 1)
