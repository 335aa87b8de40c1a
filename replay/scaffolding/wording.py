"""What is said of a device in its model's docstring: what was seen, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .behaviour import RULES
from .inference import Cell, Inferred
from .plan import Plan
from .rendering import counted, hexadecimal, joined, plain, times, wrapped

MOST_SEEN: Final = 40
"""Registers that the docstring tells of, one by one."""

MOST_VALUES: Final = 4
"""Values that are shown of a register."""

MANY_VALUES: Final = 16
"""More than a status has."""

MOST_PLACES: Final = 4
MOST_NAMES: Final = 12


class Wording:
    """The words about one device."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._names = plan.names

    def docstring(self) -> list[str]:
        """The module's, in lines."""
        seen = self._plan.seen
        what = plain(seen.title) or f"Device {plain(seen.name)}"
        lines = [f'"""{what}: a scaffold, made from a recording.']
        for paragraph in (self._source(), self._modelled(), self._not_modelled()):
            lines += ["", *wrapped(paragraph)]
        lines += ["", "Seen, by register:"]
        accessed = [register for register in self._plan.registers if register.reads or register.writes]
        for register in accessed[:MOST_SEEN]:
            lines += wrapped(f"- {self._names[register.offset]}: {self._observed(register)}", "  ")
        if len(accessed) > MOST_SEEN:
            lines.append(f"- and {len(accessed) - MOST_SEEN:,} more.")
        for block in self._plan.inferred.blocks[:MOST_SEEN]:
            often = f"{times('read', block.reads)}, {times('written', block.writes)}"
            first, last = block.offset, block.offset + block.size - 1
            lines += wrapped(f"- {hexadecimal(first)} to {hexadecimal(last)}: {often}; memory.", "  ")
        return [*lines, '"""']

    def _source(self) -> str:
        seen = self._plan.seen
        machine = f", a recording of a {plain(seen.machine)}" if seen.machine else ""
        places = ", ".join(map(str, seen.places[:MOST_PLACES])) + (", ..." if len(seen.places) > MOST_PLACES else "")
        count = f"{len(seen.accesses):,} accesses"
        if seen.total > len(seen.accesses):
            count += f", the first of {seen.total:,}"
        text = f"Source: {plain(seen.trace)}{machine}: what its guest read from and wrote to {plain(seen.name)}"
        text += f"{f' ({places})' if places else ''}, {count}"
        if self._plan.description:
            text += f"; names, fields and rules of registers from {plain(self._plan.description)}"
        return f"{text}. Written by `vmdev scaffold`, from no data sheet."

    def _modelled(self) -> str:
        plan, found = self._plan, self._plan.inferred
        cells = [cell for _, cell in plan.cells() if cell.behaviour]
        kinds = []
        if any(cell.behaviour and cell.behaviour.is_fixed and cell.reads for cell in cells):
            kinds.append("registers that always or mostly had one value")
        if any(cell.behaviour and not cell.behaviour.is_fixed for cell in cells):
            kinds.append("bits that reads and writes change")
        if plan.counters:
            kinds.append("free-running counters")
        if plan.selected:
            kinds.append("cells and banks that a register selects")
        if found.blocks:
            kinds.append("memory")
        text = f"Modelled: {found.matched:,} of the {found.reads:,} reads that were recorded"
        text += f", by {joined(kinds)}" if kinds else ""
        text += ". Nothing else of the recording is in here: no value is given because of when it was read."
        once = sum(cell.reads == 1 for cell in cells)
        unused = sum(not register.reads and not register.writes for register in plan.registers)
        if unused:
            text += f" {counted(unused, 'register')} that the guest did not use are as described."
        if once:
            text += f" Of {once:,} of the registers and cells a single read is all that is known."
        return text

    def _not_modelled(self) -> str:
        plan = self._plan
        parts = []
        unruled = [
            self._names[register.offset]
            for register in plan.registers
            if register.reads and not register.counter and not any(cell.behaviour for cell in register.cells)
        ]
        if unruled:
            names = joined(unruled[:MOST_NAMES])
            if len(unruled) > MOST_NAMES:
                names = f"{', '.join(unruled[:MOST_NAMES])} and {len(unruled) - MOST_NAMES:,} more"
            parts.append(f"the values of {names}, for which no rule was found: such reads count as unmodelled")
        unread = sum(
            register.writes > 0 and not register.reads and not any(cell.behaviour for cell in register.cells)
            for register in plan.registers
        )
        if unread:
            parts.append(f"what writes to {counted(unread, 'register')} that were never read do")
        if plan.inferred.left_out:
            parts.append(f"{counted(plan.inferred.left_out, 'register')} that were accessed least")
        parts.append("interrupts, and whatever one register does to another")
        text = f"Not modelled: {'; '.join(parts)}."
        if plan.seen.is_needed:
            text += (
                " What other devices ask of this one is left to vmdev's own model, which sees all writes and no reads."
            )
        return text

    def _observed(self, register: Inferred) -> str:
        often = times("read", register.reads)
        if register.selector is not None:
            often = f"{counted(len(register.cells), 'cell')}, {often}"
        elif register.reads:
            often += self._values(register.cells[0].values, register.size)
        words = [often, times("written", register.writes), self.remark(register)]
        return f"{'; '.join(words if words[2] != 'never read' else words[:2])}."

    def _values(self, values: Mapping[int, int], size: int) -> str:
        if len(values) == 1:
            return f", always {hexadecimal(next(iter(values)), size)}"
        usual = sorted(values, key=lambda value: (-values[value], value))[:MOST_VALUES]
        shown = ", ".join(
            hexadecimal(value, size) + (f" {values[value]:,} times" if values[value] > 1 else "") for value in usual
        )
        if len(values) > MOST_VALUES:
            if values[usual[0]] * 10 < sum(values.values()):
                return f", {len(values):,} values from {hexadecimal(min(values))} to {hexadecimal(max(values))}"
            return f", {len(values):,} values, most often {shown.split(', ')[0]}"
        return f": {shown}"

    def remark(self, register: Inferred) -> str:
        """What a register was found to be."""
        remarks = []
        if register.selects:
            names = joined([self._names[offset] for offset in sorted(register.selects)])
            remarks.append(f"selects what {names} {'shows' if len(register.selects) == 1 else 'show'}")
        if register.selector is not None:
            name = self._names[register.selector.offset]
            full = self._plan.by_offset[register.selector.offset].bits
            by = name if register.selector.mask == full else f"bits {hexadecimal(register.selector.mask)} of {name}"
            remarks.append(f"selected by {by}; {register.matched:,} of {register.reads:,} reads explained")
        elif register.counter is not None:
            remarks.append(self._counter_remark(register))
        else:
            remarks.append(self.cell_remark(register, register.cells[0]))
        return "; ".join(remarks)

    def _counter_remark(self, register: Inferred) -> str:
        rule = register.counter
        assert rule is not None
        text = f"counts {rule.counts} at {rule.hz:,} Hz"
        if rule.low_hz != rule.high_hz:
            text += f" (from {rule.low_hz:,} to {rule.high_hz:,} would explain it as well)"
        text += f", {rule.bits} bits wide" if rule.has_wrapped else ", no wrap seen"
        if rule.started_by is not None:
            text += f", from when {self._names[rule.started_by[0]]} was written"
        elif rule.phase_ns:
            text += ", from a time that is this recording's"
        if register.matched < register.reads:
            text += f"; {register.matched:,} of {register.reads:,} reads explained"
        return text

    def cell_remark(self, register: Inferred, cell: Cell) -> str:
        """What a cell of a register was found to be."""
        full = register.bits
        if not cell.reads:
            return "never read" if cell.behaviour is None else "as described"
        if cell.behaviour is None:
            if register.is_string:
                return "a data port, for which no rule was found"
            if len(cell.values) >= MANY_VALUES:
                return "no rule was found; so many values are of a data port, or of a counter with a latch"
            return "no rule was found"
        remarks = []
        for rule, mask in cell.behaviour.rules():
            if rule == "kept" and mask == full:
                remarks.append("reads as it was last written")
            else:
                remarks.append(f"bits {hexadecimal(mask)} {RULES[rule]}")
        if not remarks:
            remarks.append("constant" if cell.is_explained else "mostly the same")
        if not cell.is_explained:
            remarks.append(f"bits {hexadecimal(cell.varying)} vary; {cell.matched:,} of {cell.reads:,} reads explained")
        return ", ".join(remarks)
