"""The second part of a model's source: the class."""

from __future__ import annotations

from typing import Final

from .behaviour import RULES
from .plan import TABLES, Plan
from .rendering import Display, hexadecimal, plain, quoted, shortened

_WRITES: Final = {
    "ones_toggle": "new ^= value & {bits}",
    "ones_set": "new |= value & {bits}",
    "ones_clear": "new &= ~(value & {bits})",
    "zeros_set": "new |= ~value & mask & {bits}",
    "zeros_clear": "new &= ~(~value & mask & {bits})",
    "writes_set": "new |= mask & {bits}",
    "writes_clear": "new &= ~(mask & {bits})",
}
"""What a write does to `new`, by rule; in this order, as `Behaviour.after_write`."""

_TITLE: Final = 60
"""The longest."""


def functions(plan: Plan) -> list[str]:
    """What stands before the class."""
    lines: list[str] = []
    if plan.selected:
        lines += [
            "",
            "def _key(register: Register) -> tuple[int, int]:",
            '    """A register\'s offset, and the value that selects it."""',
            '    return register.offset, int(register.bank or "0", 16)',
            "",
        ]
    if plan.inferred.is_cut:
        lines += [
            "",
            "def _parts(offset: int, size: int) -> Iterator[tuple[int, int, int, int]]:",
            '    """What an access reaches: registers, with the first bit in the access, how many, and where."""',
            "    at = 0",
            "    while at < size:",
            "        register = HOMES.get(offset + at, offset + at)",
            "        into = offset + at - register",
            "        length = min(size - at, WIDTHS.get(register, 1) - into)",
            "        if at or into:  # it ends where the next register begins",
            "            length = next((step for step in range(1, length) if offset + at + step in WIDTHS), length)",
            "        yield register, 8 * at, 8 * length, 8 * into",
            "        at += length",
            "",
        ]
    return lines


def model_class(plan: Plan) -> list[str]:
    """The lines of the class."""
    title = shortened(plain(plan.seen.title or plan.seen.name), _TITLE)
    lines = ["", f"class {plan.class_name}(Device):"]
    if plan.seen.is_needed:
        lines += [
            f'    """{title}, as far as a recording showed it.',
            "",
            "    Args:",
            "        other: vmdev's model, which answers what other devices ask of this one.",
            '    """',
        ]
    else:
        lines.append(f'    """{title}, as far as a recording showed it."""')
    lines += ["", f"    title = {quoted(f'{title} (scaffold)')}", "    registers = REGISTERS"]
    lines.append(f"    width = {max((register.size for register in plan.registers), default=1)}")
    contracts = [
        Display(
            "Contract(",
            (
                quoted(plan.names[register.offset]),
                '"time"',
                "\"the recording's clock was the host's\"",
                f"ticks={register.counter.tolerance_ticks}",
            ),
        )
        for register in plan.counters
        if register.counter and register.counter.tolerance_ticks
    ]
    if contracts:
        lines += Display("contracts = (", tuple(contracts)).lines(4)
    for method in (_constructor, _reset, _read, _write, _show, _take, _count, _bank, _state, _others):
        found = method(plan)
        lines += ["", *(f"    {line}" if line else "" for line in found)] if found else []
    return lines


def _key(plan: Plan) -> str:
    """How the methods call what identifies a cell."""
    return "key" if plan.selected else "offset"


def _constructor(plan: Plan) -> list[str]:
    parameters = ["self", *(["clock: Clock"] if plan.counters else [])]
    parameters += ["other: Device | None = None"] if plan.seen.is_needed else []
    lines = [f"def __init__({', '.join(parameters)}) -> None:"]
    lines += ["    self._other = other"] if plan.seen.is_needed else []
    lines += ["    self._clock = clock"] if plan.counters else []
    if plan.has_values:
        lines.append(f"    self._values: dict[{'tuple[int, int]' if plan.selected else 'int'}, int] = {{}}")
    lines += ["    self._written: dict[int, int] = {}"] if plan.tracked else []
    lines += ["    self._memory: dict[int, int] = {}"] if plan.inferred.blocks else []
    lines += [f"    self.{plan.since(register)}: int | None = None" for register in plan.started]
    given = "clock" if plan.counters else ""
    return [
        *lines,
        "    self.reset()",
        "",
        "@classmethod",
        "def alone(cls, clock: Clock) -> Self:",
        '    """See `Device.alone`."""',
        f"    return cls({given})",
    ]


def _reset(plan: Plan) -> list[str]:
    lines = ["def reset(self) -> None:", '    """See `Device.reset`."""']
    if plan.seen.is_needed:
        lines += ["    if self._other is not None:", "        self._other.reset()"]
    if plan.has_values:
        key = "_key(register)" if plan.selected else "register.offset"
        found = f"{key}: register.reset for register in REGISTERS if register.reset is not None"
        lines.append(f"    self._values = {{{found}}}")
    lines += ["    self._written.clear()"] if plan.tracked else []
    lines += ["    self._memory.clear()"] if plan.inferred.blocks else []
    return lines + [f"    self.{plan.since(register)} = None" for register in plan.started]


def _read(plan: Plan) -> list[str]:
    lines = ["def read(self, offset: int, size: int) -> int:", '    """See `Device.read`."""']
    if plan.inferred.blocks:
        lines += [
            "    if any(offset in block for block in MEMORY):",
            "        return sum(self._memory.get(offset + at, 0) << 8 * at for at in range(size))",
        ]
    if not plan.inferred.is_cut:
        return [
            *lines,
            "    value = self._show(offset)",
            "    return UNMODELLED if value is None else value & (1 << 8 * size) - 1",
        ]
    return [
        *lines,
        "    answer = 0",
        "    for register, start, bits, shift in _parts(offset, size):",
        "        value = self._show(register)",
        "        if value is None:",
        "            return UNMODELLED",
        "        answer |= (value >> shift & (1 << bits) - 1) << start",
        "    return answer",
    ]


def _write(plan: Plan) -> list[str]:
    lines = ["def write(self, offset: int, size: int, value: int) -> None:", '    """See `Device.write`."""']
    if plan.seen.is_needed:
        lines += ["    if self._other is not None:", "        self._other.write_any(offset, size, value)"]
    if plan.inferred.blocks:
        lines += [
            "    if any(offset in block for block in MEMORY):",
            "        self._memory.update((offset + at, value >> 8 * at & 0xFF) for at in range(size))",
            *(["        return"] if plan.is_written else []),
        ]
    if plan.is_written and plan.inferred.is_cut:
        lines += [
            "    for register, start, bits, shift in _parts(offset, size):",
            "        full = (1 << bits) - 1",
            "        self._take(register, (value >> start & full) << shift, full << shift)",
        ]
    elif plan.is_written:
        lines.append("    self._take(offset, value, (1 << 8 * size) - 1)")
    return lines


def _show(plan: Plan) -> list[str]:
    lines = [
        "def _show(self, offset: int) -> int | None:",
        '    """The value of a register that is read; None if no rule for it is known."""',
    ]
    for register in plan.counters:
        constant = plan.constants[register.offset]
        lines += [f"    if offset == {constant}:", f"        return self._count_{constant.lower()}()"]
    if not plan.has_values:
        return [*lines, "    return None"]
    key = _key(plan)
    lines += ["    key = offset, self._selected(offset)"] if plan.selected else []
    after = "value"
    if "reads_set" in plan.tables:
        after = f"(value | READS_SET.get({key}, 0))"
    if "reads_clear" in plan.tables:
        after = f"{after} & ~READS_CLEAR.get({key}, 0)"
    if after == "value":
        return [*lines, f"    return self._values.get({key})"]
    return [
        *lines,
        f"    value = self._values.get({key})",
        "    if value is not None:",
        f"        self._values[{key}] = {after.removeprefix('(').removesuffix(')') if '&' not in after else after}",
        "    return value",
    ]


def _take(plan: Plan) -> list[str]:
    if not plan.is_written:
        return []
    lines = [
        "def _take(self, offset: int, value: int, mask: int) -> None:",
        '    """Write the bits in `mask` of a register; `value` has no others."""',
    ]
    if plan.tracked:
        lines += [
            "    if offset in TRACKED:",
            "        before = self._written.get(offset, 0)",
            "        self._written[offset] = before & ~mask | value",
        ]
    for register in plan.started:
        if register.counter is not None and register.counter.started_by is not None:
            offset, bits = register.counter.started_by
            lines += [
                f"        if offset == {plan.constants[offset]} and value & ~before & {hexadecimal(bits)}:",
                f"            self.{plan.since(register)} = self._clock.now_ns",
            ]
    if all(rule.startswith("reads") for rule in plan.tables):
        return lines
    key = _key(plan)
    lines += ["    key = offset, self._selected(offset)"] if plan.selected else []
    lines.append(f"    old = self._values.get({key}, 0)")
    if "kept" in plan.tables:
        lines += [f"    kept = KEPT.get({key}, 0) & mask", "    new = old & ~kept | value & kept"]
    else:
        lines.append("    new = old")
    lines += [
        f"    {_WRITES[rule].format(bits=f'{TABLES[rule]}.get({key}, 0)')}" for rule in _WRITES if rule in plan.tables
    ]
    return [*lines, "    if new != old:", f"        self._values[{key}] = new"]


def _count(plan: Plan) -> list[str]:
    lines: list[str] = []
    for register in plan.counters:
        rule = register.counter
        assert rule is not None
        name = plan.constants[register.offset]
        lines += [
            *([""] if lines else []),
            f"def _count_{name.lower()}(self) -> int:",
            f'    """What {plan.names[register.offset]} shows: a counter that goes {rule.counts}."""',
        ]
        now = "self._clock.now_ns"
        if rule.started_by is not None:
            since = plan.since(register)
            lines += [f"    if self.{since} is None:", f"        return {hexadecimal(rule.base)}"]
            now = f"{now} - self.{since}"
        elif rule.phase_ns:
            now = f"{now} + {name}_PHASE_NS"
        sign = "-" if rule.counts == "down" else ""
        base = f"{hexadecimal(rule.base)} {sign or '+'} " if rule.base else sign
        lines.append(f"    return {base}ticks({now}, {name}_HZ) & {name}_BITS")
    return lines


def _bank(plan: Plan) -> list[str]:
    if not plan.selected:
        return []
    return [
        "def _selected(self, offset: int) -> int:",
        '    """Which of the cells at an offset is selected."""',
        "    register, bits = SELECTED_BY.get(offset, (0, 0))",
        "    return self._written.get(register, 0) & bits",
        "",
        "def bank(self, offset: int) -> str | None:",
        '    """See `Device.bank`."""',
        '    return f"{self._selected(offset):#04x}" if offset in SELECTED_BY else None',
    ]


def _state(plan: Plan) -> list[str]:
    lines = ["def state(self) -> Mapping[str, int]:", '    """See `Device.state`."""', "    found: dict[str, int] = {}"]
    if plan.has_values:
        key = "_key(register)" if plan.selected else "register.offset"
        lines += [
            "    for register in REGISTERS:",
            f"        if {key} in self._values:",
            f"            found[register.name] = self._values[{key}]",
        ]
    for register in plan.counters:
        name = quoted(plan.names[register.offset])
        lines.append(f"    found[{name}] = self._count_{plan.constants[register.offset].lower()}()")
    if plan.tracked:
        lines.append('    found.update((f"written {offset:#x}", value) for offset, value in self._written.items())')
    if plan.inferred.blocks:
        lines.append('    found.update((f"memory {offset:#x}", value) for offset, value in self._memory.items())')
    return [*lines, "    return found"]


def _others(plan: Plan) -> list[str]:
    if not plan.seen.is_needed:
        return []
    return [
        "def __getattr__(self, name: str) -> Any:",
        '    """What other devices of the machine ask of this one, as long as it is not written here."""',
        "    return getattr(self._other, name)",
    ]


assert set(_WRITES) | {"kept", "reads_clear", "reads_set"} == set(RULES)
