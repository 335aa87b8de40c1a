"""What traces are worth as tests of a model, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ..printable import printable
from ..registers import Register
from ..report.wording import bits as bit_numbers
from ..report.wording import number, percent, table
from .adequacy import Adequacy, Fate, Score
from .faults import LOST_0, LOST_1, STUCK_0, STUCK_1, UNREAD, UNWRITTEN, declared_bits

VERSION: Final = 1

OF_BITS: Final = (STUCK_0, STUCK_1, LOST_0, LOST_1)

FEW: Final = 12
"""Names that are given one by one."""


def render_text(found: Adequacy, limit: int | None = None) -> str:
    """The report as text; of the surviving mutants the first `limit` lines (None: all)."""
    blocks = [_head(found), _registers(found), _survivors(found, limit), _lines_of_source(found), _traces(found)]
    text = "\n\n".join(block for block in blocks if block)
    return "".join(f"{printable(line)}\n" for line in text.splitlines())


def _head(found: Adequacy) -> str:
    total, accessed = found.total, found.accessed
    traces = found.traces[0].name if len(found.traces) == 1 else number(len(found.traces), "trace")
    lines = [
        f"{percent(total.share)} of the mutants of {found.device} are killed: {total.killed:,} of {total.tried:,}, by "
        f"{traces}."
    ]
    if total.untried:
        lines[0] = f"{lines[0][:-1]}; {total.untried:,} more {_verb(total.untried, 'was', 'were')} not tried."
    if accessed.tried != total.tried:
        lines.append(
            f"Of those in registers that are accessed, {percent(accessed.share)}: {accessed.killed:,} of "
            f"{accessed.tried:,}."
        )
    lines += [
        f"{trace.name}: {number(trace.diverging, 'read')} {_verb(trace.diverging, 'diverges', 'diverge')} without a "
        "fault; there, mutants are compared with the model."
        for trace in found.traces
        if trace.diverging
    ]
    return "\n".join(lines)


def _registers(found: Adequacy) -> str:
    rows = []
    for name, alike in found.registers.items():
        use = found.uses.get(name)
        if use is None:
            continue
        score = found.score_of(name)
        only_0, only_1 = use.zeros & ~use.ones, use.ones & ~use.zeros
        mask = 0
        for register in alike:
            mask |= declared_bits(register)
        unseen = mask & ~use.shown if _has(found, name, "r") else 0
        rows.append(
            (
                name, f"{use.reads:,}", f"{use.writes:,}", *map(_ranges, (use.both, only_0, only_1, unseen)),
                f"{score.killed} of {score.tried}",
            )
        )  # fmt: skip
    titles = ("register", "reads", "writes", "bits read as 0 and 1", "only 0", "only 1", "never", "killed")
    blocks = [table(titles, rows)] if rows else []
    never = {
        "Never accessed": found.untouched,
        "Never read": [name for name, use in found.uses.items() if not use.reads and _has(found, name, "r")],
        "Never written": [name for name, use in found.uses.items() if not use.writes and _has(found, name, "w")],
    }
    notes = [
        f"{what}: {_names([_with_bank(name, found) for name in names])}." for what, names in never.items() if names
    ]
    if found.undeclared:
        places = [f"offset {offset:#x} ({_accesses(*counts)})" for offset, counts in sorted(found.undeclared.items())]
        notes.append(f"Accessed, but not declared: {_names(places)}.")
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])


def _has(found: Adequacy, name: str, direction: str) -> bool:
    return any(direction in register.access for register in found.registers[name])


def _survivors(found: Adequacy, limit: int | None) -> str:
    lines = list(_lines(found))
    if not lines:
        return ""
    shown = lines[:limit]
    rest = [f"  ... and {number(len(lines) - len(shown), 'line')} more; --limit shows more"] if shown != lines else []
    return "\n".join(["Surviving mutants of what is accessed:", *(f"  {line}" for line in shown), *rest])


def _lines(found: Adequacy) -> Iterator[str]:
    """A line for each register, kind of fault and reason; without those that nothing reads or nothing writes."""
    untouched = {*found.untouched}
    groups: dict[tuple[str, str], dict[str, int]] = {}
    for fate in found.fates:
        name, kind, bits = fate.mutant
        if fate.reason and name not in untouched and fate.reason not in (UNREAD, UNWRITTEN):
            kinds = groups.setdefault((name, fate.reason), {})
            kinds[kind] = kinds.get(kind, 0) | bits
    for (name, reason), kinds in groups.items():
        alike = found.registers.get(name, [])
        for kind, bits in kinds.items():
            yield f"{name}: {f'{_bits(bits, alike)} ' if kind in OF_BITS else ''}{kind}: {reason}"


def _lines_of_source(found: Adequacy) -> str:
    rows = []
    for file, missed in found.lines.missed.items():
        mask = sum(1 << line for line in missed)
        name, total = Path(file).name, len(found.lines.all[file])
        places = f": {_upwards(mask)}" if missed else ""
        rows.append(f"{name}: {len(missed):,} of {number(total, 'line')} of functions are not run{places}")
    return "\n".join(rows)


def _upwards(mask: int) -> str:
    """Numbers in a mask, the lowest first, runs as ``7-9``."""
    return ", ".join("-".join(part.split("..")[::-1]) for part in bit_numbers(mask).split(", ")[::-1])


def _traces(found: Adequacy) -> str:
    if len(found.traces) < 2:
        return ""
    rows = [
        (trace.name, f"{trace.exits:,}", f"{len(trace.killed):,}", f"{found.only(number):,}")
        for number, trace in enumerate(found.traces)
    ]
    smallest = ", ".join(found.traces[number].name for number in found.smallest)
    lines = [table(("trace", "exits", "kills", "that no other kills"), rows)]
    if smallest:
        lines.append(f"\nEnough to kill as many (chosen greedily, so there may be fewer): {smallest}.")
    return "\n".join(lines)


def _bits(mask: int, alike: Sequence[Register]) -> str:
    """Bits by the names of their fields, the highest first: ``BI, FE, ID[3..2], bits 15..8``."""
    names: list[str] = []
    fields = {(field.msb, field.name): field for register in alike for field in register.fields}
    for _, field in sorted(fields.items(), reverse=True):
        part = mask & field.mask
        if part:
            names.append(field.name if part == field.mask else f"{field.name}[{bit_numbers(part >> field.lsb)}]")
            mask &= ~part
    if mask:
        names.append(f"{'bit' if mask.bit_count() == 1 else 'bits'} {bit_numbers(mask)}")
    return ", ".join(names)


def _ranges(mask: int) -> str:
    return bit_numbers(mask) or "-"


def _with_bank(name: str, found: Adequacy) -> str:
    banks = dict.fromkeys(register.bank for register in found.registers[name] if register.bank)
    return f"{name} ({', '.join(banks)})" if banks and len(banks) <= FEW else name


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:FEW])
    return f"{shown} and {len(names) - FEW:,} more" if len(names) > FEW else shown


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _accesses(reads: int, writes: int) -> str:
    return " and ".join(number(count, noun) for count, noun in ((reads, "read"), (writes, "write")) if count)


# JSON


def render_json(found: Adequacy) -> str:
    """The report as JSON text that ends with a newline; docs/mutate.md has the keys."""
    return json.dumps(as_dict(found), indent=2).replace("\x7f", "\\u007f") + "\n"


def as_dict(found: Adequacy) -> dict[str, Any]:
    """What `render_json` prints, as plain Python data."""
    names = [trace.name for trace in found.traces]
    return {
        "version": VERSION,
        "device": found.device,
        "model": found.model,
        "total": _score(found.total),
        "accessed": _score(found.accessed),
        "registers": [_register(name, found) for name in found.registers],
        "undeclared": [
            {"offset": offset, "reads": reads, "writes": writes}
            for offset, (reads, writes) in sorted(found.undeclared.items())
        ],
        "mutants": [_mutant(fate, found, names) for fate in found.fates],
        "traces": [
            {
                "name": trace.name,
                "exits": trace.exits,
                "diverging": trace.diverging,
                "kills": len(trace.killed),
                "only": found.only(number),
            }
            for number, trace in enumerate(found.traces)
        ],
        "lines": [
            {"file": file, "lines": len(found.lines.all[file]), "not_run": missed}
            for file, missed in found.lines.missed.items()
        ],
        "smallest": [names[number] for number in found.smallest],
    }


def _score(score: Score) -> dict[str, Any]:
    return {"killed": score.killed, "tried": score.tried, "untried": score.untried, "score": score.share}


def _register(name: str, found: Adequacy) -> dict[str, Any]:
    alike = found.registers[name]
    use = found.uses.get(name)
    return {
        "name": name,
        "offset": alike[0].offset,
        "access": "".join(letter for letter in "rw" if any(letter in register.access for register in alike)),
        "banks": list(dict.fromkeys(register.bank for register in alike if register.bank)),
        "width": alike[0].width,
        "reads": use.reads if use else 0,
        "writes": use.writes if use else 0,
        "read_as_0": use.zeros if use else 0,
        "read_as_1": use.ones if use else 0,
        "written_as_0": use.written_zeros if use else 0,
        "written_as_1": use.written_ones if use else 0,
        **_score(found.score_of(name)),
    }


def _mutant(fate: Fate, found: Adequacy, names: Sequence[str]) -> dict[str, Any]:
    mutant = fate.mutant
    return {
        "register": mutant.register,
        "fault": mutant.kind,
        "bits": mutant.bits,
        "killed_by": [names[number] for number in fate.killers],
        "reason": fate.reason or None,
    }
