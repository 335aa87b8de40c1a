"""The verdict as one HTML file: the exits of each device along the recording, with every divergence marked on it.

The file holds all that it shows. It opens from disk, asks no network for anything (its own policy forbids it), and can
be used with the keyboard alone: marks are links, `j` and `k` go from divergence to divergence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Final

from ..activity import NOBODY, Activity, DeviceUse, RegisterUse
from ..disassembly import disassemble
from ..printable import printable
from ..verdict import Access, DeviceVerdict, Divergence, FieldPair, Instruction, Verdict
from .text import folded, sentence, why
from .wording import COLUMNS, ODD_ONES, bits, internal, number, percent, place_of, value

USUAL_DIVERGENCES: Final = 200
"""Divergences that are shown unless the caller asks for another number."""

WIDTH: Final = 960
"""Of the timeline, in units of the picture."""
ROW: Final = 26
HEATS: Final = 5
"""Shades of the register map, each for ten times more accesses than the one before."""


def render(verdict: Verdict, activity: Activity, limit: int | None = None) -> str:
    """The page.

    Args:
        verdict: what was found.
        activity: how busy the devices were, gathered in the same replay.
        limit: how many divergences are shown at most (None: `USUAL_DIVERGENCES`), roots first.
    """
    most = USUAL_DIVERGENCES if limit is None else limit
    shown = sorted(verdict.divergences, key=lambda one: (one.kind != "root", one.seq))[:most]
    shown.sort(key=lambda one: one.seq)
    trace = verdict.trace
    facts = f"{trace.name}: {number(trace.exits, 'exit')} of a {trace.machine} ({trace.target}), {trace.clock} clock"
    if not trace.closed:
        facts += "; the recording was cut off"
    if trace.imported:
        facts += f"; {trace.imported}"
    if verdict.against:
        facts += f"; {'judged is' if verdict.against.witnesses is None else 'beside the models answers'} "
        facts += " ".join([f"{verdict.against.name}.", *verdict.against.notes])
    page = Template(resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=_text(f"{trace.name or trace.machine}: {'agrees' if verdict.agrees else 'diverges'}"),
        verdict=_text(sentence(verdict)),
        outcome="good" if verdict.agrees else "bad",
        facts=_text(facts),
        devices=_devices(verdict),
        timeline=_timeline(activity, shown),
        divergences="\n".join(_divergence(one, index, verdict) for index, one in enumerate(shown)) or "<p>None.</p>",
        folds=_folds(verdict) + _against(verdict),
        excused=_excused(verdict),
        heat="\n".join(_heat(device) for device in _in_order(verdict, activity) if device.registers),
        inputs=_inputs(verdict),
        unclaimed=_unclaimed(verdict),
    )


def _text(text: str) -> str:
    """Text from anywhere, safe to show."""
    return escape(printable(text))


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 99) -> str:
    """A table whose cells are HTML; columns from `numbers_from` on are numbers."""
    style = ["" if column < numbers_from else ' class="n"' for column in range(len(titles))]
    head = "".join(f'<th scope="col"{css}>{_text(title)}</th>' for title, css in zip(titles, style, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{css}>{cell}</td>" for cell, css in zip(row, style, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


# Devices


def _devices(verdict: Verdict) -> str:
    columns = [(title, count) for title, count, always in COLUMNS if always or count(verdict.totals)]
    tallies = [(device.name, device.tally) for device in verdict.devices if not device.excluded]
    rows = [
        [_text(name), *(f"{count(tally):,}" for _, count in columns), percent(tally.agreement)]
        for name, tally in [*tallies, ("total", verdict.totals)]
    ]
    return _table(["device", *(title for title, _ in columns), "agreement"], rows, numbers_from=1)


def _in_order(verdict: Verdict, activity: Activity) -> list[DeviceUse]:
    """The devices in the machine's order, and last what no device claimed."""
    names = [device.name for device in verdict.devices if device.name in activity.devices]
    rest = [name for name in activity.devices if name not in names and name != NOBODY]
    nobody = [NOBODY] if NOBODY in activity.devices else []
    return [activity.devices[name] for name in (*names, *rest, *nobody)]


# The timeline


def _timeline(activity: Activity, shown: Sequence[Divergence]) -> str:
    uses = list(activity.devices.values())
    step = WIDTH / max(1, max((len(device.exits) for device in uses), default=1))
    rows = [_lane(device, row, step) for row, device in enumerate(uses)]
    lanes = {device.name: row for row, device in enumerate(uses)}
    marks = [
        _mark(one, index, (activity.column(one.seq) + 0.5) * step, lanes[one.device])
        for index, one in enumerate(shown)
        if one.device in lanes
    ]
    height = ROW * len(uses) + 20
    ticks = _ticks(activity, step, ROW * len(uses))
    return (
        f'<svg viewBox="-150 0 {WIDTH + 170} {height}" role="group" aria-label="Exits of each device, in order">'
        + "\n".join([*rows, *ticks, *marks])
        + "</svg>"
    )


def _lane(device: DeviceUse, row: int, step: float) -> str:
    """One device: a bar for each part of the recording, as high as the root of its share of the busiest part."""
    busiest = max(device.exits) or 1
    base = ROW * (row + 1) - 2
    bars = "".join(
        f"M{column * step:.1f} {base}v{-math.sqrt(count / busiest) * (ROW - 6):.1f}h{step:.1f}V{base}z"
        for column, count in enumerate(device.exits)
        if count
    )
    title = f"{device.name}: {number(sum(device.exits), 'exit')}"
    return (
        f'<g><title>{_text(title)}</title><text x="-8" y="{base - 5}" text-anchor="end">{_text(device.name)}</text>'
        f'<path class="bars" d="{bars}"/><path class="line" d="M0 {base}H{WIDTH}"/></g>'
    )


def _ticks(activity: Activity, step: float, y: int) -> list[str]:
    """What time it was, at five places."""
    times = activity.times_ns
    places = sorted({len(times) * part // 5 for part in range(5)}) if times else []
    first = {column: activity.first_exit + column * activity.length for column in places}
    return [
        f'<text class="tick" x="{column * step:.1f}" y="{y + 14}">exit {seq:,}, {times[column] / 1e9:.3f} s</text>'
        for column, seq in first.items()
    ]


def _mark(one: Divergence, index: int, x: float, row: int) -> str:
    top = ROW * row + 3
    label = f"{one.kind} {one.subject}, exit {one.seq:,}"
    return (
        f'<a href="#d{index}" class="{one.kind}" aria-label="{_text(label)}"><title>{_text(label)}</title>'
        f'<path d="M{x - 5:.1f} {top}h10l-5 9z"/></a>'
    )


# Divergences


def _divergence(one: Divergence, index: int, verdict: Verdict) -> str:
    parts = [f"<h3>{'Root' if one.kind == 'root' else 'Consequence'}: {_text(one.subject)}</h3>"]
    where = f"exit {one.seq:,} at {one.t_ns / 1e9:.9f} s"
    if one.address is not None:
        verb = "read" if one.direction == "r" else "write"
        where += (
            f", {verb} of {number(one.size or 0, 'byte')} at {one.space} {one.address:#x}, offset {one.offset or 0:#x}"
        )
    parts.append(f"<p>{_text(where)}</p>")
    if one.cause != "fault" and one.hw is not None and one.model is not None:
        parts.append(_values(one, one.hw, one.model, one.size or 0))
    if one.kind == "root" and one.cause != "fault":
        evidence = f", {one.explanation}" if one.explanation else ""
        parts.append(f"<p>class: <b>{_text(one.cause_class)}</b>{_text(evidence)}</p>")
    if one.detail:
        parts.append(f"<pre>{_lines(one.detail)}</pre>")
    if one.instruction is not None:
        parts.append(f"<p>instruction at <code>{_code(one.instruction, verdict.trace.target)}</code></p>")
    if one.context:
        parts.append(
            "<details open><summary>the accesses to it before</summary>"
            + _context(one.context, verdict.trace.target)
            + "</details>"
        )
    if one.state:
        parts.append("<details><summary>state of the model after it</summary>" + _state(one.state) + "</details>")
    parts.append("</article>")
    return "\n".join([f'<article id="d{index}" class="{one.kind}" tabindex="-1">', *parts])


def _lines(text: str) -> str:
    return "\n".join(_text(line) for line in text.splitlines())


def _values(one: Divergence, hw: int, model: int, size: int) -> str:
    """Both answers, and their fields: all of them for a root, where those that differ stand out."""
    rows = [["value", value(hw, size), value(model, size)]]
    pairs = one.side_by_side or [FieldPair(field.name, field.hw, field.model, True) for field in one.fields]
    rows += [
        [f"<b>{_text(pair.name)}</b>" if pair.differs else _text(pair.name), _text(pair.hw), _text(pair.model)]
        for pair in pairs
    ]
    return f"{_table(['', 'hw', 'model'], rows)}\n<p>differing bits {bits(hw ^ model)}</p>"


def _context(context: Sequence[Access], target: str) -> str:
    rows = [
        [
            f"{access.seq:,}",
            f"{access.t_ns / 1e9:.9f} s",
            "read" if access.direction == "r" else "write",
            _text(access.register or f"offset {access.offset:#x}"),
            value(access.value, access.size),
            _text(access.decoded),
            _code(access.instruction, target),
        ]
        for access in context
    ]
    return _table(["exit", "time", "", "register", "value", "fields", "instruction"], rows)


def _code(instruction: Instruction | None, target: str) -> str:
    if instruction is None:
        return ""
    text = disassemble(instruction.code, instruction.pc, target, instruction.size, instruction.text) or "unknown"
    return f"{instruction.pc:#x} {_text(text)}"


def _state(state: Mapping[str, int]) -> str:
    return _table(["", "value"], [[_text(name), internal(name, held)] for name, held in state.items()])


def _folds(verdict: Verdict) -> str:
    """All consequences, equal ones in one row."""
    rows = [
        [
            _text(f"{fold.device}.{folded(fold)}" if fold.register else fold.device),
            f"{fold.bits:#x}" if fold.cause == "value" else "failed",
            f"{fold.count:,}",
            f"{fold.first_seq:,}",
            f"{fold.last_seq:,}",
            f"{fold.root_seq:,}",
        ]
        for fold in sorted(verdict.folds, key=lambda fold: -fold.count)
    ]
    titles = ["consequence", "bits", "times", "first exit", "last exit", "may follow from exit"]
    return _table(titles, rows, numbers_from=2) if rows else ""


def _against(verdict: Verdict) -> str:
    """Who of three witnesses is alone, or why QEMU differs."""
    against = verdict.against
    if against is None:
        return ""
    if against.witnesses is None:
        reasons = [
            [_text(one.device), _text(one.cause_class), _text(one.reason), f"{one.reads:,}"]
            for one in against.explained
        ]
        return _table(["QEMU differs in", "class", "reason", "reads"], reasons, numbers_from=3) if reasons else ""
    rows = [
        [
            _text(f"{row.device}.{row.register}"),
            ODD_ONES[row.odd],
            f"{row.reads:,}",
            f"{row.first_seq:,}",
            *(value(each, row.size) for each in (row.recording, row.model, row.qemu)),
        ]
        for row in against.witnesses
    ]
    titles = ["three witnesses", "alone is", "reads", "first exit", "recording", "model", "QEMU"]
    return _table(titles, rows, numbers_from=2) if rows else ""


def _excused(verdict: Verdict) -> str:
    """What contracts and the ledger of known divergences covered."""
    contracts = [
        [_text(f"{use.device}.{use.register}"), _text(use.rule), f"{use.reads:,}", f"{use.bits:,}", _text(use.reason)]
        for use in verdict.contracts
        if use.reads
    ]
    known = [
        [
            _text(f"{use.device}.{use.register}"),
            "known divergence, stale" if use.stale else "known divergence",
            f"{use.reads:,}",
            "any" if use.bits is None else f"{use.bits:#x}",
            _text(why(use)),
        ]
        for use in verdict.known
    ]
    rows = [*contracts, *known]
    return _table(["register", "rule", "reads", "bits", "reason"], rows) if rows else "<p>Nothing.</p>"


# Registers


def _heat(device: DeviceUse) -> str:
    cells = "\n".join(_cell(register) for register in sorted(device.registers.values(), key=lambda one: one.offset))
    total = sum(register.reads + register.writes for register in device.registers.values())
    title = f"{_text(device.name)}: {number(total, 'access')}, {number(len(device.registers), 'place')}"
    return f'<details><summary>{title}</summary><ul class="heat">\n{cells}\n</ul></details>'


def _cell(register: RegisterUse) -> str:
    heat = min(HEATS, len(str(register.reads + register.writes)))
    name = "/".join(register.names) or f"offset {register.offset:#x}"
    return f'<li class="h{heat}"><b>{_text(name)}</b> {register.reads:,} r {register.writes:,} w</li>'


# What was not computed, and what nobody answered


def _inputs(verdict: Verdict) -> str:
    rows = [
        [_text(device.name), kind, _text(register), f"{count:,}"]
        for kind in ("learned", "assumed")
        for device in verdict.devices
        for register, count in sorted(_taught(device, kind).items(), key=lambda item: -item[1])
    ]
    return _table(["device", "", "register", "reads"], rows, numbers_from=3) if rows else "<p>Nothing.</p>"


def _taught(device: DeviceVerdict, kind: str) -> Mapping[str, int]:
    return device.learned if kind == "learned" else device.assumed


def _unclaimed(verdict: Verdict) -> str:
    rows = [[_text(place_of(one)), f"{one.reads:,}", f"{one.writes:,}"] for one in verdict.unclaimed]
    return _table(["place", "reads", "writes"], rows, numbers_from=1) if rows else "<p>Nothing.</p>"
