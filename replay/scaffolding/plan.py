"""What a model's source is written by: the device's registers with their names, and which parts the source needs."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from .behaviour import RULES
from .inference import Cell, Inference, Inferred
from .observation import Observation
from .rendering import plain

TABLES: Final = {rule: rule.upper() for rule in RULES}
"""The names of the source's tables of bits, by the rule of `Behaviour`."""

_TAKEN: Final = frozenset(
    """Any Clock Contract Device Final Iterator Mapping Register RegisterMap Self Field UNMODELLED REGISTERS SELECTED_BY
    TRACKED MEMORY WIDTHS HOMES""".split()
) | {*TABLES.values()}


class Plan:
    """Everything about one device.

    Args:
        seen: what the guest did.
        inferred: what follows from it.
        description: what else its registers are known from.
    """

    def __init__(self, seen: Observation, inferred: Inference, description: str = "") -> None:
        self.seen = seen
        self.inferred = inferred
        self.description = description
        self.registers = inferred.registers
        self.class_name = _class_name(seen.name)
        self.by_offset = {register.offset: register for register in self.registers}
        self.selected = [register for register in self.registers if register.selector]
        self.counters = [register for register in self.registers if register.counter]
        self.started = [register for register in self.counters if register.counter and register.counter.started_by]
        """Counters that a write starts."""
        self.digits = max((len(f"{register.offset:X}") for register in self.registers), default=1)
        """Of an offset."""
        self.names = {register.offset: self._name(register) for register in self.registers}
        self.constants = self._make_constants()
        self.tables = self._make_tables()
        self.tracked = self._make_tracked()
        self.has_values = any(cell.behaviour for register in self.registers for cell in register.cells)
        """Whether there is anything that a register's value is needed for."""
        self.is_written = bool(self.tracked) or any(not rule.startswith("reads") for rule in self.tables)
        """Whether a write to a register changes anything."""

    def access(self, register: Inferred) -> str:
        """The directions in which a register is declared: as described, and as seen."""
        known = "".join(each.access for each in register.described)
        return ("r" if register.reads or "r" in known else "") + ("w" if register.writes or "w" in known else "")

    def since(self, counter: Inferred) -> str:
        """The attribute that says since when a counter counts."""
        return f"_{self.constants[counter.offset].lower()}_started_ns"

    def _name(self, register: Inferred) -> str:
        if register.described:
            return plain(register.described[0].name, 60)
        return f"R{register.offset:0{self.digits}X}"

    def _make_constants(self) -> dict[int, str]:
        """Names of constants for offsets."""
        wanted = {offset: re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") for offset, name in self.names.items()}
        uses = Counter(wanted.values())
        return {
            offset: f"R_{offset:X}" if uses[name] > 1 or name in _TAKEN or not name[:1].isalpha() else name
            for offset, name in wanted.items()
        }

    def _make_tables(self) -> dict[str, dict[tuple[int, int], int]]:
        """By rule, and register and cell: the bits that obey it."""
        tables: dict[str, dict[tuple[int, int], int]] = {}
        for register, cell in self.cells():
            for rule, mask in cell.behaviour.rules() if cell.behaviour is not None else ():
                tables.setdefault(rule, {})[register.offset, cell.selected] = mask
        return {rule: tables[rule] for rule in RULES if rule in tables}

    def _make_tracked(self) -> list[int]:
        """Registers whose last written value matters, whatever they read as."""
        found = {register.selector.offset for register in self.selected if register.selector}
        for register in self.started:
            if register.counter and register.counter.started_by:
                found.add(register.counter.started_by[0])
        return sorted(found)

    def cells(self) -> Iterable[tuple[Inferred, Cell]]:
        """All cells, each with its register."""
        return ((register, cell) for register in self.registers for cell in register.cells)


def module_name(name: str) -> str:
    """A name for the module of a device of that name."""
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "scaffold"
    return f"{found}_model" if found[0].isalpha() else f"device_{found}_model"


def _class_name(name: str) -> str:
    found = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", name)) or "Scaffold"
    if found[0].isdigit():
        return f"Device{found}"
    return f"{found}Model" if found in _TAKEN or keyword.iskeyword(found) else found
