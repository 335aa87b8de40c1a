"""The verdict as text, for people: the verdict in a sentence, the counts, then each root divergence in full."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ..disassembly import disassemble
from ..printable import printable
from ..verdict import (
    Access,
    ContractUse,
    DeviceVerdict,
    Divergence,
    Fold,
    Instruction,
    KnownUse,
    Tally,
    Unclaimed,
    Verdict,
)

USUAL_ROOTS: Final = 10
"""Root divergences that are shown in full unless the caller asks for another number."""

MAX_FOLDS: Final = 20
"""Rows of the list of consequences."""

MAX_PLACES: Final = 20
"""Rows of the list of unclaimed places."""

LINE_LENGTH: Final = 110

CUT_OFF: Final = (
    "NOTE: the recording was cut off: it ends before its guest did, and may lack exits that were not yet stored."
)

_COLUMNS: Final[tuple[tuple[str, Callable[[Tally], int], bool], ...]] = (
    ("exits", lambda tally: tally.exits, True),
    ("reads", lambda tally: tally.reads, True),
    ("matched", lambda tally: tally.matched, True),
    ("masked", lambda tally: tally.masked, False),
    ("learned", lambda tally: tally.learned, False),
    ("assumed", lambda tally: tally.assumed, False),
    ("diverged", lambda tally: tally.diverged, True),
    ("known", lambda tally: tally.known, False),
    ("unmodelled", lambda tally: tally.unmodelled, False),
    ("delivered", lambda tally: tally.delivered, True),
    ("unclaimed", lambda tally: tally.unclaimed_reads + tally.unclaimed_writes, False),
    ("excluded", lambda tally: tally.excluded, False),
)
"""Title, count, and whether the column is shown even where it has only zeros."""


def render(verdict: Verdict, limit: int | None = None) -> str:
    """The report, ending with a newline; at most `limit` roots are shown in full (None: `USUAL_ROOTS`)."""
    blocks = [
        _headline(verdict),
        _counts(verdict),
        *_taught("Learned from the recording, reads by register:", verdict, lambda device: device.learned),
        *_taught("Assumed as outside input, reads by register:", verdict, lambda device: device.assumed),
        *_contracts(verdict.contracts),
        *_known(verdict),
        *_unclaimed(verdict.unclaimed, verdict.totals.reads),
        *_divergences(verdict, USUAL_ROOTS if limit is None else limit),
    ]
    return "".join(f"{printable(line)}\n" for line in "\n\n".join(blocks).splitlines())


def sentence(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    totals = verdict.totals
    good = totals.matched + totals.masked
    matches = f"{good:,} of {_number(totals.checked, 'checked read')} {'matches' if totals.checked == 1 else 'match'}"
    others = []
    if totals.known:
        others.append(_number(totals.known, "known divergence"))
    if verdict.stale:
        others.append(_number(len(verdict.stale), "stale known divergence"))
    if verdict.unanswered:
        others.append(f"{_number(verdict.unanswered, 'read')} unanswered")
    matches = "; ".join([matches, *others])
    if not totals.roots and not totals.consequences:
        return f"{matches}; 0 divergences."
    culprits = ", ".join(device.name for device in verdict.devices if device.tally.roots)
    consequences = f" and {_number(totals.consequences, 'consequence')}" if totals.consequences else ""
    return f"{_number(totals.roots, 'root divergence')}{consequences}, in {culprits}; {matches}."


def _headline(verdict: Verdict) -> str:
    trace = verdict.trace
    subject = f"{trace.name}: " if trace.name else ""
    into = f", replayed into {verdict.machine}" if verdict.machine != trace.machine else ""
    lines = [sentence(verdict)]
    if not trace.closed:
        lines.append(CUT_OFF)
    lines.append(f"{subject}{_number(trace.exits, 'exit')} of a {trace.machine} ({trace.target}){into}.")
    judged = [*([", ".join(verdict.selected)] if verdict.selected else []), *verdict.selection]
    if judged:
        lines.append(f"Judged: {'; '.join(judged)}; all other exits are excluded.")
    return "\n".join(lines)


def _counts(verdict: Verdict) -> str:
    totals = verdict.totals
    columns = [(title, count) for title, count, always in _COLUMNS if always or count(totals)]
    tallies = [(device.name, device.tally) for device in verdict.devices if not device.excluded]
    if totals.unclaimed_reads or totals.unclaimed_writes:
        tallies.append(("(no device)", _nobody(totals)))
    tallies.append(("total", totals))
    rows = [
        [name, *(f"{count(tally):,}" for _, count in columns), _percent(tally.agreement)] for name, tally in tallies
    ]
    return _table(["device", *(title for title, _ in columns), "agreement"], rows)


def _nobody(totals: Tally) -> Tally:
    """The row of what no device claimed."""
    reads, writes = totals.unclaimed_reads, totals.unclaimed_writes
    return Tally(reads + writes, reads, writes, unclaimed_reads=reads, unclaimed_writes=writes)


def _taught(title: str, verdict: Verdict, counts: Callable[[DeviceVerdict], Mapping[str, int]]) -> Iterable[str]:
    lines = []
    for device in verdict.devices:
        by_count = sorted(counts(device).items(), key=lambda item: -item[1])
        text = f"{device.name}: " + ", ".join(f"{register} {count:,}" for register, count in by_count)
        if by_count:
            lines += textwrap.wrap(text, LINE_LENGTH, initial_indent="  ", subsequent_indent="    ")
    return ["\n".join([title, *lines])] if lines else []


def _contracts(uses: Sequence[ContractUse]) -> Iterable[str]:
    """What contracts excused; those that excused nothing are told in a line."""
    if not uses:
        return
    rows = [
        [f"{use.device}.{use.register}", use.rule, f"{use.covers:#x}", f"{use.reads:,}", f"{use.bits:,}", use.reason]
        for use in uses
        if use.reads
    ]
    if rows:
        yield _table(["excused by contract", "rule", "covers", "reads", "bits", "reason"], rows)
    idle = dict.fromkeys(f"{use.device}.{use.register} ({use.rule})" for use in uses if not use.reads)
    if idle:
        yield _wrapped(f"Contracts that excused nothing: {', '.join(idle)}.")


def _known(verdict: Verdict) -> Iterable[str]:
    """The ledger of known divergences."""
    uses = verdict.known
    rows = [
        [f"{use.device}.{use.register}", "any" if use.bits is None else f"{use.bits:#x}", f"{use.reads:,}", _why(use)]
        for use in uses
        if use.reads
    ]
    if rows:
        yield _table(["known divergence", "bits", "reads", "reason"], rows)
    if verdict.stale:
        names = ", ".join(f"{use.device}.{use.register}" for use in verdict.stale)
        yield _wrapped(f"STALE: nothing diverges any more where the ledger says so; remove these entries: {names}.")
    idle = [f"{use.device}.{use.register}" for use in uses if not use.reads and not use.stale]
    if idle:
        yield _wrapped(f"Known divergences of which nothing was judged: {', '.join(idle)}.")


def _why(use: KnownUse) -> str:
    return f"{use.reason} <{use.link}>" if use.link else use.reason


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LINE_LENGTH, subsequent_indent="  "))


def _unclaimed(places: Sequence[Unclaimed], all_reads: int) -> Iterable[str]:
    """What has no model, what the guest reads most first, with the share of all its reads."""
    if not places:
        return []
    rows = [_unclaimed_row(_place(place), place.reads, place.writes, all_reads) for place in places[:MAX_PLACES]]
    rest = places[MAX_PLACES:]
    if rest:
        reads, writes = sum(place.reads for place in rest), sum(place.writes for place in rest)
        rows.append(_unclaimed_row(_number(len(rest), "other place"), reads, writes, all_reads))
    return [_table(["unclaimed", "reads", "writes", "of all reads"], rows)]


def _unclaimed_row(name: str, reads: int, writes: int, all_reads: int) -> list[str]:
    return [name, f"{reads:,}", f"{writes:,}", _percent(reads / all_reads if all_reads else 0.0)]


def _place(place: Unclaimed) -> str:
    first, last = f"{place.first:#x}", f"{place.last:#x}"
    where = f"{place.space} {first}" if place.first == place.last else f"{place.space} {first}-{last}"
    return f"{place.region}, {where}" if place.region else where


def _divergences(verdict: Verdict, limit: int) -> Iterable[str]:
    roots = verdict.roots
    for number, root in enumerate(roots[:limit], 1):
        yield f"Root divergence {number:,} of {len(roots):,}\n" + textwrap.indent("\n".join(_root(root, verdict)), "  ")
    if len(roots) > limit:
        yield f"{_number(len(roots) - limit, 'root divergence')} more; --limit shows them."
    yield from _folds(verdict)


def _folds(verdict: Verdict) -> Iterable[str]:
    """Consequences: a count, and a table with equal ones in one row."""
    followed = [device for device in verdict.devices if device.tally.consequences]
    if followed:
        counts = ", ".join(f"{device.name} {device.tally.consequences:,}" for device in followed)
        yield f"Consequences, later differences that a root may explain: {counts}."
    folds = sorted(verdict.folds, key=lambda fold: -fold.count)
    if not folds:
        return
    rows = [
        [
            f"{fold.device}.{_folded(fold)}" if fold.register else fold.device,
            f"{fold.bits:#x}" if fold.cause == "value" else "failed",
            f"{fold.count:,}",
            f"{fold.first_seq:,}",
            f"{fold.last_seq:,}",
            f"seq {fold.root_seq:,}",
        ]
        for fold in folds[:MAX_FOLDS]
    ]
    yield _table(["consequence", "bits", "times", "first seq", "last seq", "may follow from"], rows)
    if len(folds) > MAX_FOLDS:
        rest = sum(fold.count for fold in folds[MAX_FOLDS:])
        yield f"{_number(rest, 'consequence')} in {_number(len(folds) - MAX_FOLDS, 'other place')} more."


def _folded(fold: Fold) -> str:
    return f"{fold.register} ({', '.join(fold.fields)})" if fold.fields else fold.register


def _root(root: Divergence, verdict: Verdict) -> Iterable[str]:
    vcpu = "" if root.vcpu is None else f", vCPU {root.vcpu}"
    yield f"seq {root.seq:,} at {root.t_ns / 1e9:.9f} s{vcpu}"
    yield from _what(root)
    if root.instruction is not None:
        yield _instruction(root.instruction, verdict.trace.target)
    if root.context:
        yield f"the last {_number(len(root.context), 'access')} to {root.device} before it"
        rows = [_access(access, verdict.trace.target) for access in root.context]
        yield from textwrap.indent(_table([], rows), "  ").splitlines()
    if root.state:
        yield "state of the model after it"
        text = ", ".join(f"{name}={_internal(name, value)}" for name, value in root.state.items())
        yield from textwrap.wrap(text, LINE_LENGTH, initial_indent="  ", subsequent_indent="  ")


def _what(root: Divergence) -> Iterable[str]:
    """What is wrong: the place, then the two answers, or the fault."""
    if root.address is None:
        yield f"{root.device}: the model failed outside any access, in a timer or a reset"
        yield from textwrap.indent(root.detail, "  ").splitlines()
        return
    access = "read" if root.direction == "r" else "write"
    register = f".{root.register}" if root.register else ""
    place = f"offset {root.offset or 0:#x}, {root.space} {root.address:#x}, {_number(root.size or 0, 'byte')}"
    hw = _value(root.hw or 0, root.size or 0)
    if root.cause == "fault":
        yield f"{root.device}{register} ({place}): the model failed at this {access}; hw={hw}"
        yield from textwrap.indent(root.detail, "  ").splitlines()
        return
    model = _value(root.model or 0, root.size or 0)
    different = (root.hw or 0) ^ (root.model or 0)
    yield f"{root.device}{register} ({place}): hw={hw} model={model}"
    yield f"  differing bits {_bits(different)} ({_value(different, root.size or 0)})"
    yield from _fields(root)
    if root.cause_class != "logic" or root.explanation:
        yield f"class: {root.cause_class}" + (f", {root.explanation}" if root.explanation else "")


def _fields(root: Divergence) -> Iterable[str]:
    """The fields that differ; with those that do not, hw and model side by side, if the register has several."""
    width = max((len(field.name) for field in root.fields), default=0)
    for field in root.fields:
        yield f"  {field.name:{width}}  hw={field.hw} model={field.model}"
    agreeing = [pair for pair in root.side_by_side if not pair.differs]
    if agreeing:
        text = f"the same in both: {', '.join(f'{pair.name}={pair.hw}' for pair in agreeing)}"
        yield from textwrap.wrap(text, LINE_LENGTH, initial_indent="  ", subsequent_indent="    ")


def _instruction(instruction: Instruction, target: str) -> str:
    code, pc = instruction.code, instruction.pc
    text = disassemble(code, pc, target, instruction.size, instruction.text) or "unknown"
    return f"instruction at {pc:#x}: {text}" + (f"  [{code.hex(' ')}]" if code else "")


def _access(access: Access, target: str) -> list[str]:
    register = access.register or f"offset {access.offset:#x}"
    value = _value(access.value, access.size)
    verb = "read" if access.direction == "r" else "write"
    code = access.instruction
    text = "" if code is None else disassemble(code.code, code.pc, target, code.size, code.text)
    return [
        f"seq {access.seq:,}",
        f"{access.t_ns / 1e9:.9f} s",
        verb,
        register,
        f"{access.address:#x}",
        value,
        "" if code is None else f"{code.pc:#x}",
        text,
        access.decoded,
    ]


# Wording and layout


def _value(value: int, size: int) -> str:
    """A value with all digits of an access of `size` bytes."""
    return f"{value:#0{2 + 2 * size}x}"


def _internal(name: str, value: int) -> str:
    """A value of a model's state: times in decimal, as they are given everywhere, all else in hexadecimal."""
    return f"{value:,}" if name.endswith(("_ns", "_s")) else f"{value:#x}"


def _bits(mask: int) -> str:
    """The numbers of the bits in `mask`, highest first, runs as ``7..4``."""
    runs: list[str] = []
    top = mask.bit_length() - 1
    while top >= 0:
        bottom = top
        while bottom > 0 and mask >> bottom - 1 & 1:
            bottom -= 1
        runs.append(str(top) if top == bottom else f"{top}..{bottom}")
        top = (mask & (1 << bottom) - 1).bit_length() - 1
    return ", ".join(runs)


def _number(count: int, noun: str) -> str:
    """``1 exit``, ``2 exits``, ``2 accesses``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def _percent(agreement: float | None) -> str:
    """Two decimals, never rounded up to 100 %."""
    return "-" if agreement is None else f"{math.floor(agreement * 10_000) / 100:.2f} %"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: names to the left, numbers to the right."""
    lines = [titles, *rows] if titles else rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    numeric = [all(line[column][:1] in "0123456789-" for line in rows) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if right else f"{cell:<{width}}"
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )
