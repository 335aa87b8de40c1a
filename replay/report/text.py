"""The verdict as text, for people: the verdict in a sentence, the counts, then each root divergence in full."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ..disassembly import disassemble
from ..printable import printable
from ..verdict import (
    Access,
    Against,
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
from .wording import COLUMNS, ODD_ONES, bits, internal, number, percent, place_of, table, value

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
        *(_against(verdict.against, verdict.totals) if verdict.against else ()),
        *_divergences(verdict, USUAL_ROOTS if limit is None else limit),
    ]
    return "".join(f"{printable(line)}\n" for line in "\n\n".join(blocks).splitlines())


def sentence(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    totals = verdict.totals
    good = totals.matched + totals.masked
    matches = f"{good:,} of {number(totals.checked, 'checked read')} {'matches' if totals.checked == 1 else 'match'}"
    others = []
    if totals.known:
        others.append(number(totals.known, "known divergence"))
    if verdict.stale:
        others.append(number(len(verdict.stale), "stale known divergence"))
    if verdict.unanswered:
        others.append(f"{number(verdict.unanswered, 'read')} unanswered")
    matches = "; ".join([matches, *others])
    if not totals.roots and not totals.consequences:
        return f"{matches}; 0 divergences."
    culprits = ", ".join(device.name for device in verdict.devices if device.tally.roots)
    consequences = f" and {number(totals.consequences, 'consequence')}" if totals.consequences else ""
    return f"{number(totals.roots, 'root divergence')}{consequences}, in {culprits}; {matches}."


def first_root(verdict: Verdict, device: str) -> str:
    """A device's first root divergence in full, without a newline at its end; "" if it has none."""
    roots = [root for root in verdict.roots if root.device == device]
    if not roots:
        return ""
    title = f"Root divergence 1 of {len(roots):,} in {device}"
    return "\n".join(printable(line) for line in (title, *(f"  {line}" for line in root_lines(roots[0], verdict))))


def in_short(root: Divergence) -> str:
    """A root divergence in one line."""
    name = root.subject
    if root.cause == "fault":
        error = root.detail.strip().splitlines()
        return printable(f"{name}: the model failed at seq {root.seq:,}{': ' + error[-1] if error else ''}")
    hw, model, size = root.hw or 0, root.model or 0, root.size or 0
    values = f"hw={value(hw, size)} model={value(model, size)}"
    return printable(f"{name}: {values}, differing bits {bits(hw ^ model)}, at seq {root.seq:,}")


def _headline(verdict: Verdict) -> str:
    trace = verdict.trace
    subject = f"{trace.name}: " if trace.name else ""
    into = f", replayed into {verdict.machine}" if verdict.machine != trace.machine else ""
    lines = [sentence(verdict)]
    if not trace.closed:
        lines.append(CUT_OFF)
    if trace.imported:
        lines += textwrap.wrap(f"NOTE: {trace.imported}.", LINE_LENGTH)
    lines.append(f"{subject}{number(trace.exits, 'exit')} of a {trace.machine} ({trace.target}){into}.")
    judged = [*([", ".join(verdict.selected)] if verdict.selected else []), *verdict.selection]
    if judged:
        lines.append(f"Judged: {'; '.join(judged)}; all other exits are excluded.")
    if verdict.against:
        it = "Judged, and called model below, is" if verdict.totals.diverged else "Judged is"
        who = it if verdict.against.witnesses is None else "Beside the models answers"
        lines += textwrap.wrap(" ".join([f"{who} {verdict.against.name}.", *verdict.against.notes]), LINE_LENGTH)
    return "\n".join(lines)


def _counts(verdict: Verdict) -> str:
    totals = verdict.totals
    columns = [(title, count) for title, count, always in COLUMNS if always or count(totals)]
    tallies = [(device.name, device.tally) for device in verdict.devices if not device.excluded]
    if totals.unclaimed_reads or totals.unclaimed_writes:
        tallies.append(("(no device)", _nobody(totals)))
    tallies.append(("total", totals))
    rows = [[name, *(f"{count(tally):,}" for _, count in columns), percent(tally.agreement)] for name, tally in tallies]
    return table(["device", *(title for title, _ in columns), "agreement"], rows)


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


def _against(against: Against, totals: Tally) -> Iterable[str]:
    """Who of three witnesses is alone, or why QEMU differs."""
    if against.witnesses is not None:
        lines = [f"Recording, model and QEMU answer {number(against.alike, 'read')} alike."]
        if against.unheard:
            lines.append(f"One of them says nothing about {number(against.unheard, 'read')}.")
        if against.witnesses:
            rows = [
                [
                    f"{row.device}.{row.register}", ODD_ONES[row.odd], f"{row.reads:,}", f"{row.first_seq:,}",
                    *(value(each, row.size) for each in (row.recording, row.model, row.qemu)),
                ]
                for row in against.witnesses
            ]  # fmt: skip
            columns = ["register", "alone is", "reads", "first seq", "recording", "model", "QEMU"]
            lines += ["", table(columns, rows)]
        yield "\n".join(lines)
    elif totals.diverged:
        rows = [[one.device, f"{one.reads:,}", one.cause_class, one.reason] for one in against.explained]
        left = totals.diverged - sum(one.reads for one in against.explained)
        if left:
            rows.append(["", f"{left:,}", "", "no reason is known: see below"])
        yield f"Why QEMU differs:\n{table(['device', 'reads', 'class', 'reason'], rows)}"


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
        yield table(["excused by contract", "rule", "covers", "reads", "bits", "reason"], rows)
    idle = dict.fromkeys(f"{use.device}.{use.register} ({use.rule})" for use in uses if not use.reads)
    if idle:
        yield _wrapped(f"Contracts that excused nothing: {', '.join(idle)}.")


def _known(verdict: Verdict) -> Iterable[str]:
    """The ledger of known divergences."""
    uses = verdict.known
    rows = [
        [f"{use.device}.{use.register}", "any" if use.bits is None else f"{use.bits:#x}", f"{use.reads:,}", why(use)]
        for use in uses
        if use.reads
    ]
    if rows:
        yield table(["known divergence", "bits", "reads", "reason"], rows)
    if verdict.stale:
        names = ", ".join(f"{use.device}.{use.register}" for use in verdict.stale)
        yield _wrapped(f"STALE: nothing diverges any more where the ledger says so; remove these entries: {names}.")
    idle = [f"{use.device}.{use.register}" for use in uses if not use.reads and not use.stale]
    if idle:
        yield _wrapped(f"Known divergences of which nothing was judged: {', '.join(idle)}.")


def why(use: KnownUse) -> str:
    """The reason of an entry of the ledger, with its link."""
    return f"{use.reason} <{use.link}>" if use.link else use.reason


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LINE_LENGTH, subsequent_indent="  "))


def _unclaimed(places: Sequence[Unclaimed], all_reads: int) -> Iterable[str]:
    """What has no model, what the guest reads most first, with the share of all its reads."""
    if not places:
        return []
    rows = [_unclaimed_row(place_of(place), place.reads, place.writes, all_reads) for place in places[:MAX_PLACES]]
    rest = places[MAX_PLACES:]
    if rest:
        reads, writes = sum(place.reads for place in rest), sum(place.writes for place in rest)
        rows.append(_unclaimed_row(number(len(rest), "other place"), reads, writes, all_reads))
    return [table(["unclaimed", "reads", "writes", "of all reads"], rows)]


def _unclaimed_row(name: str, reads: int, writes: int, all_reads: int) -> list[str]:
    return [name, f"{reads:,}", f"{writes:,}", percent(reads / all_reads if all_reads else 0.0)]


def _divergences(verdict: Verdict, limit: int) -> Iterable[str]:
    roots = verdict.roots
    for count, root in enumerate(roots[:limit], 1):
        yield f"Root divergence {count:,} of {len(roots):,}\n" + textwrap.indent(
            "\n".join(root_lines(root, verdict)), "  "
        )
    if len(roots) > limit:
        yield f"{number(len(roots) - limit, 'root divergence')} more; --limit shows them."
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
            f"{fold.device}.{folded(fold)}" if fold.register else fold.device,
            f"{fold.bits:#x}" if fold.cause == "value" else "failed",
            f"{fold.count:,}",
            f"{fold.first_seq:,}",
            f"{fold.last_seq:,}",
            f"seq {fold.root_seq:,}",
        ]
        for fold in folds[:MAX_FOLDS]
    ]
    yield table(["consequence", "bits", "times", "first seq", "last seq", "may follow from"], rows)
    if len(folds) > MAX_FOLDS:
        rest = sum(fold.count for fold in folds[MAX_FOLDS:])
        yield f"{number(rest, 'consequence')} in {number(len(folds) - MAX_FOLDS, 'other place')} more."


def folded(fold: Fold) -> str:
    """What consequences of one kind are of: ``LSR (THRE)``."""
    return f"{fold.register} ({', '.join(fold.fields)})" if fold.fields else fold.register


def root_lines(root: Divergence, verdict: Verdict) -> Iterable[str]:
    """A root divergence in full."""
    vcpu = "" if root.vcpu is None else f", vCPU {root.vcpu}"
    yield f"seq {root.seq:,} at {root.t_ns / 1e9:.9f} s{vcpu}"
    yield from _what(root)
    if root.instruction is not None:
        yield _instruction(root.instruction, verdict.trace.target)
    if root.context:
        yield f"the last {number(len(root.context), 'access')} to {root.device} before it"
        rows = [_access(access, verdict.trace.target) for access in root.context]
        yield from textwrap.indent(table([], rows), "  ").splitlines()
    if root.state:
        yield "state of the model after it"
        text = ", ".join(f"{name}={internal(name, held)}" for name, held in root.state.items())
        yield from textwrap.wrap(text, LINE_LENGTH, initial_indent="  ", subsequent_indent="  ")


def _what(root: Divergence) -> Iterable[str]:
    """What is wrong: the place, then the two answers, or the fault."""
    if root.address is None:
        yield f"{root.device}: the model failed outside any access, in a timer or a reset"
        yield from textwrap.indent(root.detail, "  ").splitlines()
        return
    access = "read" if root.direction == "r" else "write"
    place = f"offset {root.offset or 0:#x}, {root.space} {root.address:#x}, {number(root.size or 0, 'byte')}"
    hw = value(root.hw or 0, root.size or 0)
    if root.cause == "fault":
        yield f"{root.subject} ({place}): the model failed at this {access}; hw={hw}"
        yield from textwrap.indent(root.detail, "  ").splitlines()
        return
    model = value(root.model or 0, root.size or 0)
    different = (root.hw or 0) ^ (root.model or 0)
    yield f"{root.subject} ({place}): hw={hw} model={model}"
    yield f"  differing bits {bits(different)} ({value(different, root.size or 0)})"
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
    shown = value(access.value, access.size)
    verb = "read" if access.direction == "r" else "write"
    code = access.instruction
    text = "" if code is None else disassemble(code.code, code.pc, target, code.size, code.text)
    return [
        f"seq {access.seq:,}",
        f"{access.t_ns / 1e9:.9f} s",
        verb,
        register,
        f"{access.address:#x}",
        shown,
        "" if code is None else f"{code.pc:#x}",
        text,
        access.decoded,
    ]
