"""The first part of a model's source: imports, the register map, and the tables of what registers do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..registers import Field
from .behaviour import RULES
from .descriptions import Described
from .inference import Cell, Inferred
from .plan import TABLES, Plan
from .rendering import WIDTH, Display, capitalized, decimal, hexadecimal, packed, plain, quoted, shortened
from .wording import Wording

MANY_CELLS: Final = 48
"""More cells than these are declared by a table."""

RUN: Final = 4
"""Equal registers in a row that are declared together."""

LONGEST_TITLE: Final = 80
SHORTEST_TITLE: Final = 20


def imports(plan: Plan) -> list[str]:
    """The lines that import what the source needs."""
    is_cut, is_needed = plan.inferred.is_cut, plan.seen.is_needed
    has_fields = any(each.fields for register in plan.registers for each in register.described)
    is_tolerant = any(register.counter and register.counter.tolerance_ticks for register in plan.counters)
    return [
        "from __future__ import annotations",
        "",
        f"from collections.abc import {'Iterator, ' if is_cut else ''}Mapping",
        f"from typing import {'Any, ' if is_needed else ''}Final, Self",
        "",
        f"from vmdev.replay.clock import Clock{', ticks' if plan.counters else ''}",
        *(["from vmdev.replay.contracts import Contract"] if is_tolerant else []),
        "from vmdev.replay.device import UNMODELLED, Device",
        f"from vmdev.replay.registers import {'Field, ' if has_fields else ''}Register, RegisterMap",
        "",
    ]


def declarations(plan: Plan, words: Wording) -> list[str]:
    """The lines of the register map and the tables."""
    lines = []
    offsets = {register.offset for register in plan.counters}
    offsets |= {counter.started_by[0] for each in plan.started if (counter := each.counter) and counter.started_by}
    lines += [f"{plan.constants[offset]}: Final = {hexadecimal(offset)}" for offset in sorted(offsets)]
    lines += [""] if offsets else []
    for register in plan.selected:
        if len(register.cells) > MANY_CELLS:
            lines += _cells_table(plan, register)
    lines += [*_Map(plan, words).lines(), "", *_tables(plan)]
    for register in plan.counters:
        lines += _counter_constants(plan, register)
    return lines


def _cells_table(plan: Plan, register: Inferred) -> list[str]:
    items = [
        f"{hexadecimal(cell.selected)}: {hexadecimal(cell.behaviour.reset) if cell.behaviour else None}"
        for cell in register.cells
    ]
    name = f"CELLS_{plan.constants[register.offset]}"
    doc = f'"""Of {plan.names[register.offset]}, by what selects it: the value after a reset; None: no rule."""'
    return [*packed(f"{name}: Final[Mapping[int, int | None]] = {{", items, "}"), doc, ""]


class _Map:
    """Writes the register map."""

    def __init__(self, plan: Plan, words: Wording) -> None:
        self._plan = plan
        self._words = words

    def lines(self) -> list[str]:
        plan = self._plan
        lines = ["REGISTERS: Final = RegisterMap("]
        for group in self._groups():
            lines += self._run(group) if len(group) > 1 else self._register(group[0])
        banks = sorted({cell.selected for register in plan.selected for cell in register.cells})
        if not banks:
            return [*lines, ")"]
        found = packed("banks=(", [f'"{bank:#04x}"' for bank in banks], ",)," if len(banks) == 1 else "),", indent=4)
        if len(found) == 1:
            return [*lines, *found, ")"]
        found[-1] = found[-1].partition("  #")[0]
        return [*lines, *found, ")  # fmt: skip"]

    # Runs of equal registers

    def _groups(self) -> Iterator[list[Inferred]]:
        run: list[Inferred] = []
        for register in self._plan.registers:
            if run and self._continues(run, register):
                run.append(register)
                continue
            yield from _split(run)
            run = [register]
        yield from _split(run)

    def _continues(self, run: Sequence[Inferred], register: Inferred) -> bool:
        last = run[-1]
        if any(each.described or each.counter or each.selector for each in (last, register)):
            return False
        stride = run[1].offset - run[0].offset if len(run) > 1 else register.offset - last.offset
        return (
            (register.size, register.offset - last.offset) == (last.size, stride)
            and register.cells[0].behaviour == last.cells[0].behaviour
            and self._words.remark(register) == self._words.remark(last)
            and self._plan.access(register) == self._plan.access(last)
        )

    def _run(self, run: Sequence[Inferred]) -> list[str]:
        first, stride = run[0], run[1].offset - run[0].offset
        title = quoted(shortened(capitalized(self._words.remark(first)), LONGEST_TITLE))
        item = [f'f"R{{offset:0{self._plan.digits}X}}"', title, "offset", *self._rest(first, first.cells[0], None)]
        ends = (first.offset, run[-1].offset + stride, stride)
        return _loop(item, f"for offset in range({', '.join(map(hexadecimal, ends))})")

    # Single registers

    def _register(self, register: Inferred) -> list[str]:
        plan = self._plan
        where = f"0x{register.offset:0{plan.digits}X}"
        if register.selector is not None and len(register.cells) > MANY_CELLS:
            item = [f'f"{plan.names[register.offset]}[{{cell:#04x}}]"']
            item += [quoted(f"Behind {plan.names[register.selector.offset]}"), where, f'"{plan.access(register)}"']
            item += ['bank=f"{cell:#04x}"', "reset=reset", *_width(register)]
            return _loop(item, f"for cell, reset in CELLS_{plan.constants[register.offset]}.items()")
        lines = []
        for cell in register.cells:
            views: list[Described | None] = [None]
            if register.described and register.selector is None:
                views = [*register.described]
            for described in views:
                name, title = plan.names[register.offset], self._words.remark(register)
                if register.selector is not None:
                    name = f"{name}[{cell.selected:#04x}]"
                    title = self._words.cell_remark(register, cell)
                if described is not None:
                    name, title = plain(described.name, 60), described.title or title
                rest = self._rest(register, cell, described)
                room = WIDTH - len(Display("Register(", (quoted(name), '""', where, *rest), "),").flat) - 4
                room = room if room >= SHORTEST_TITLE else LONGEST_TITLE
                title = shortened(plain(capitalized(title)), min(LONGEST_TITLE, room))
                lines += Display("Register(", (quoted(name), json.dumps(title), where, *rest)).lines(4, ",")
        return lines

    def _rest(self, register: Inferred, cell: Cell, described: Described | None) -> list[str | Display]:
        """A register's arguments from its access on."""
        access = self._plan.access(register)
        if register.selector is not None:
            access = ("r" if cell.reads else "") + ("w" if cell.writes else "")
        elif described is not None and len(register.described) > 1:
            access = described.access
        found: list[str | Display] = [f'"{access}"']
        if described is not None and described.fields:
            found.append(_fields(described.fields))
        if register.selector is not None:
            found.append(f'bank="{cell.selected:#04x}"')
        if cell.behaviour is not None and "r" in access:
            found.append(f"reset={hexadecimal(cell.behaviour.reset, register.size)}")
        found += _width(register)
        if register.counter is not None:
            found.append(f"hz={decimal(register.counter.hz)}")
            found += ['counts="down"'] if register.counter.counts == "down" else []
        return found


def _split(run: list[Inferred]) -> Iterator[list[Inferred]]:
    if len(run) >= RUN:
        yield run
    else:
        yield from ([register] for register in run)


def _width(register: Inferred) -> list[str]:
    return [f"width={8 * register.size}"] if register.size > 1 else []


def _loop(arguments: Sequence[str | Display], loop: str) -> list[str]:
    """Declarations that differ in little."""
    item = Display("Register(", tuple(arguments))
    one = f"    *({item.flat} {loop}),"
    return [one] if len(one) <= WIDTH else ["    *(", *item.lines(8), f"        {loop}", "    ),"]


def _fields(fields: Iterable[Field]) -> Display:
    found: list[str | Display] = []
    for field in fields:
        arguments: list[str | Display] = [quoted(field.name, 40), str(field.msb), str(field.lsb)]
        if field.values:
            values = (f"{hexadecimal(value)}: {quoted(text, 40)}" for value, text in field.values.items())
            arguments.append(Display("{", tuple(values), "}"))
        found.append(Display("Field(", tuple(arguments)))
    return Display("(", tuple(found))


# Tables


def _tables(plan: Plan) -> list[str]:
    lines: list[str] = []
    by = "By register, and what selects it" if plan.selected else "By register"
    key_type = "tuple[int, int]" if plan.selected else "int"
    for rule, table in plan.tables.items():
        items = [f"{_key(plan, key)}: {hexadecimal(mask)}" for key, mask in sorted(table.items())]
        lines += packed(f"{TABLES[rule]}: Final[Mapping[{key_type}, int]] = {{", items, "}")
        lines += [f'"""{by}: bits that {RULES[rule]}."""', ""]
    if plan.selected:
        items = [
            f"{hexadecimal(register.offset)}: ({hexadecimal(selector.offset)}, {hexadecimal(selector.mask)})"
            for register in plan.selected
            if (selector := register.selector)
        ]
        lines += packed("SELECTED_BY: Final[Mapping[int, tuple[int, int]]] = {", items, "}")
        lines += ['"""By register: the one that selects its cells, and the bits of it that do."""', ""]
    if plan.tracked:
        lines += packed("TRACKED: Final = frozenset({", [hexadecimal(offset) for offset in plan.tracked], "})")
        lines += ['"""Registers whose last written value matters, whatever they read as."""', ""]
    blocks = plan.inferred.blocks
    if blocks:
        items = [f"range({hexadecimal(block.offset)}, {hexadecimal(block.offset + block.size)})" for block in blocks]
        lines += packed("MEMORY: Final = (", items, ",)" if len(items) == 1 else ")")
        lines += ['"""Offsets that read as they were written."""', ""]
    if plan.inferred.is_cut:
        lines += [
            "WIDTHS: Final = {register.offset: register.width // 8 for register in REGISTERS}",
            '"""By register: its bytes."""',
            "",
            "HOMES: Final = {offset + at: offset for offset, width in WIDTHS.items() for at in range(width)}",
            '"""By offset: the register that has the byte."""',
            "HOMES.update((offset, offset) for offset in WIDTHS)",
            "",
        ]
    return lines


def _key(plan: Plan, key: tuple[int, int]) -> str:
    offset, selected = key
    return f"({hexadecimal(offset)}, {hexadecimal(selected)})" if plan.selected else hexadecimal(offset)


def _counter_constants(plan: Plan, register: Inferred) -> list[str]:
    rule = register.counter
    assert rule is not None
    name = plan.constants[register.offset]
    if rule.tolerance_ticks:
        remark = f"about, between {rule.low_hz:,} and {rule.high_hz:,}: the recording's clock was the host's"
    elif rule.low_hz == rule.high_hz:
        remark = "the only whole frequency that explains all reads"
    else:
        remark = f"one of those from {rule.low_hz:,} to {rule.high_hz:,}, which explain all reads as well"
    wrap = "It was seen to wrap" if rule.has_wrapped else "It was not seen to wrap: there may be fewer"
    lines = [
        f"{name}_HZ: Final = {decimal(rule.hz)}",
        f'"""In Hz: {remark}."""',
        "",
        f"{name}_BITS: Final = {hexadecimal((1 << rule.bits) - 1)}",
        f'"""The bits that count. {wrap}."""',
        "",
    ]
    if rule.phase_ns and rule.started_by is None:
        lines += [
            f"{name}_PHASE_NS: Final = {decimal(rule.phase_ns)}",
            '"""What to add to the clock, in ns. It is this recording\'s: what started the counter is not known."""',
            "",
        ]
    return lines
