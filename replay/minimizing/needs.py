"""What a difference may rest on: which accesses go together, and which have to stay for the recording to remain true.

What the model alone needs, a replay tells. But the recorded answers are the device's, and a model that, say, ignores a
register does not tell that the device needed it. So of what could matter to the device some accesses stay in any case:

- an access to one of several registers at an offset needs the writes that led there: an index register, a bank's bit;
- the last write to each register of the wrong one's part (`Register.part`), with those right before it to the same
  place: a value can be written in several pieces. Of a register that cannot be read several values: it takes commands.
  At the wrong register's own offset several writes: a model that ignores it may take others for writes to it. Several
  of all registers, if the wrong one's offset has banks but the model never changes them;
- the last read of the wrong register itself, which may have had side effects; where its offset has banks, all reads
  since the last write to its part, or if these are many, the last ones and as evenly many: such reads come in turn;
- the last accesses to the wrong one's part, whatever they are.

Memory, that is what has no registers of its own or one for all of it, does not count, but for the wrong one's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ..device import Device
from ..naming import pieces
from ..registers import Direction

BANKED_MAX: Final = 64
"""Offsets with several registers that are looked at: a PCI host has thousands."""

SEVERAL: Final = 4
"""Writes, where the last one alone will not do."""

IN_TURN: Final = 24
"""Reads that stay where they come in turn."""

RECENT: Final = 8
"""Last accesses that stay."""

RUN: Final = 8
"""Writes in a row to one place that stay together."""


class Use(NamedTuple):
    """What an exit did with a device."""

    item: int
    offset: int
    size: int
    direction: Direction
    value: int
    registers: tuple[tuple[str, str, str], ...]
    """Name, bank and part of each; without those that are not declared."""
    is_memory: bool
    """Whether no register is declared there, or one that goes on for longer than it is wide."""


class Census:
    """All accesses of a slice to one device, in order; `add` is called right after each."""

    def __init__(self, device: Device) -> None:
        self.uses: list[Use] = []
        self._device = device
        registers = getattr(device, "registers", None) or ()
        banked = sorted({register.offset for register in registers if register.bank is not None})
        self._banked = banked if len(banked) <= BANKED_MAX else []
        self._banks = self._look()
        self._selectors: dict[int, set[int]] = {}
        """By banked offset: offsets at which writes change its bank."""

    def add(self, item: int, offset: int, size: int, direction: Direction, value: int) -> None:
        """An access has been made."""
        try:
            found = pieces(self._device, offset, size, direction)
        except Exception:  # a model's, which the judge has told of
            found = []
        named = tuple(
            (piece.register.name, piece.register.bank or "", piece.register.part) for piece in found if piece.register
        )
        is_memory = all(
            piece.register is None or offset >= piece.register.offset + piece.register.width // 8 for piece in found
        )
        self.uses.append(Use(item, offset, size, direction, value, named, is_memory))
        if self._banked and direction == "w":
            before, self._banks = self._banks, self._look()
            for at, old in before.items():
                if self._banks[at] != old and not offset <= at < offset + size:
                    self._selectors.setdefault(at, set()).add(offset)

    def _look(self) -> dict[int, str | None]:
        try:
            return {offset: self._device.bank(offset) for offset in self._banked}
        except Exception:
            return dict.fromkeys(self._banked)

    def selectors(self) -> dict[int, list[int]]:
        """By item: the items that have chosen what it reaches."""
        found: dict[int, list[int]] = {}
        last: dict[int, int] = {}
        """By offset: the last write."""
        for use in self.uses:
            needs = {
                last[at]
                for offset in range(use.offset, use.offset + use.size)
                for at in self._selectors.get(offset, ())
                if at in last
            }
            if needs:
                found[use.item] = sorted(needs)
            if use.direction == "w":
                last[use.offset] = use.item
        return found

    def pins(self, root: Use | None, several: int = SEVERAL) -> set[int]:
        """The items that stay for the sake of a difference at `root`, or at another device (None).

        Args:
            root: the access that diverges.
            several: how many writes to keep where the last one may not do; 0: of other registers, none at all.
        """
        if root is None:
            return self._written(range(len(self.uses)), None, several)
        parts = {part for *_, part in root.registers}
        near = [
            at
            for at, use in enumerate(self.uses)
            if use.item < root.item
            and not (parts and use.registers and parts.isdisjoint(part for *_, part in use.registers))
            and (not use.is_memory or use.offset == root.offset)
        ]
        recent = {self.uses[at].item for at in near[-RECENT:]}
        return recent | self._read(near, root) | self._written(near, root, several)

    def _read(self, near: Sequence[int], root: Use) -> set[int]:
        """Reads of the wrong register, of these uses."""
        own = {(name, bank) for name, bank, _ in root.registers}
        last: dict[tuple[int, int], int] = {}
        in_turn: list[int] = []
        for use in map(self.uses.__getitem__, near):
            if use.direction == "w":
                in_turn.clear()
                continue
            if not own.isdisjoint((name, bank) for name, bank, _ in use.registers):
                last[use.offset, use.size] = use.item
            if use.offset == root.offset and root.offset in self._banked:
                in_turn.append(use.item)
        return {*last.values(), *in_turn[-IN_TURN - len(in_turn) % 2 :]}

    def _written(self, near: Sequence[int], root: Use | None, several: int) -> set[int]:
        """The last writes to each register, of these uses."""
        pinned: set[int] = set()
        seen: dict[tuple[object, ...], int] = {}
        readable = {(register.offset, register.bank) for register in self._device.registers if register.access != "w"}
        own = {(name, bank) for name, bank, _ in root.registers} if root else set()
        # Where a model's bank never changes, which writes should have changed it is not known.
        at_any = root is not None and root.offset in self._banked and root.offset not in self._selectors
        for at in reversed(near):
            use = self.uses[at]
            if use.direction == "r" or (root is None and use.is_memory):
                continue
            key = (use.offset, use.size, use.registers)
            at_root = root is not None and (use.offset, use.size) == (root.offset, root.size)
            if not several and own.isdisjoint((name, bank) for name, bank, _ in use.registers):
                continue
            is_command = use.registers and not any(
                (use.offset, bank or None) in readable for _, bank, _ in use.registers
            )
            count = seen.get(key, 0)
            if count >= (max(several, 1) if at_any or is_command or at_root else 1):
                continue
            if is_command and not (at_any or at_root) and (*key, use.value) in seen:
                continue
            seen[key] = count + 1
            seen[(*key, use.value)] = 1
            pinned.update(self._run(at))
        return pinned

    def _run(self, at: int) -> Iterable[int]:
        """The writes in a row, up to the one at `at`, to the same place."""
        last = self.uses[at]
        for use in self.uses[at : max(-1, at - RUN) if at >= RUN else None : -1]:
            if (use.offset, use.size, use.direction) != (last.offset, last.size, "w"):
                return
            yield use.item


def closure(items: Iterable[int], needs: Sequence[Mapping[int, Sequence[int]]]) -> list[int]:
    """`items` with all that they need."""
    kept = set(items)
    left = list(kept)
    while left:
        item = left.pop()
        for each in needs:
            for need in each.get(item, ()):
                if need not in kept:
                    kept.add(need)
                    left.append(need)
    return sorted(kept)
