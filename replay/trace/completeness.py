"""Whether a recording holds every access that the guest made. It is proved, not hoped.

`find_gaps` compares the recorder's counters with what the trace says of itself; `verify` looks at every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..errors import TraceCorruptError
from .reader import TraceReader
from .schema import COUNTERS

_MAX_SIGNED: Final = (1 << 63) - 1


def find_gaps(trace: TraceReader, counts: Sequence[int] | None = None) -> list[str]:
    """Why the recording cannot be taken as complete, one reason a line; empty if it is complete.

    Without `counts` this looks only at what the trace says of itself, and is quick. With `counts`, which are
    `trace.count_by_site()`, the recorder's counters are compared with the rows themselves.
    """
    gaps: list[str] = []
    if not trace.closed:
        gaps.append("not closed: the recording was cut off, and its end is missing")
    if trace.meta.get("end_reason") == "qemu-died":
        gaps.append("QEMU died while it was being recorded")
    verified = trace.meta.get("verified")
    if verified is not None and '"complete": true' not in str(verified):
        gaps.append(f"QEMU's own trace events of the run tell of other accesses: {verified}")
    return gaps + find_losses(trace, counts)


def find_losses(trace: TraceReader, counts: Sequence[int] | None = None) -> list[str]:
    """What is missing of the accesses that the recorder saw, as `find_gaps` tells it; the trace may be unclosed."""
    meta = trace.meta
    losses: list[str] = []
    counters = (*COUNTERS, "excluded") if "filter" in meta else COUNTERS
    missing = [key for key in counters if not isinstance(meta.get(key), int)]
    if missing:
        losses.append(f"the recorder's counters are missing: {', '.join(missing)}")
    if meta.get("dropped", 0) != 0:
        losses.append(f"{meta['dropped']} accesses were dropped")
    ring = meta.get("ring", 0)
    if trace.first_exit and ring and trace.exit_count != ring:
        losses.append(f"the last {ring} exits were to be kept, but the trace holds {trace.exit_count}")
    # Exits that were not kept, before the first one, were counted, too.
    held = {"exits": trace.end, "sites": len(trace.sites)}
    if counts is not None:
        if sum(counts) != trace.exit_count:
            begin = f" from number {trace.first_exit} on" if trace.first_exit else ""
            losses.append(f"exits are not gapless: {sum(counts)} rows{begin}, but the last is number {trace.end - 1}")
        if trace.first_exit == 0 or "part" in meta:  # a ring has counted what it dropped, too
            held |= _count_by_kind(trace, counts)
    for key, rows in held.items():
        if key in meta and meta[key] != rows:
            losses.append(f"the recorder counted {meta[key]} {key.replace('_', ' of ')}, but the trace holds {rows}")
    return losses


@dataclass(slots=True)
class Verification:
    """What a look at every row has found, one line each."""

    gaps: list[str] = field(default_factory=list)
    """What is missing or cannot be true; empty if the recording is complete."""
    notes: list[str] = field(default_factory=list)
    """What is in order, but good to know."""


def verify(trace: TraceReader, progress: Callable[[int], None] | None = None) -> Verification:
    """Look at every row, and have SQLite look at every page. It takes tens of seconds for 10^7 exits.

    Args:
        trace: just opened.
        progress: called with the number of exits that were looked at since the last call.
    """
    found = Verification()
    found.gaps += trace.find_dangling()
    try:
        found.gaps += find_gaps(trace, trace.count_by_site())
        found.gaps += _check_cpus(trace)
        found.gaps += _check_places(trace)
        _check_exits(trace, found, progress)
    except TraceCorruptError as error:
        found.gaps.append(str(error).removeprefix(f"{trace.path}: "))
    found.gaps += [f"the file is damaged: {message}" for message in trace.check_file()]
    return found


def _check_exits(trace: TraceReader, found: Verification, progress: Callable[[int], None] | None) -> None:
    """That values fit their sites and times do not go back. Reading proves that exits are gapless and have sites."""
    ceilings = [(1 << 8 * site.size) - 1 if site.size < 8 else _MAX_SIGNED for site in trace.sites]
    floors = [0 if site.size < 8 else -_MAX_SIGNED - 1 for site in trace.sites]
    before = steps_back = misfits = 0
    first_step = first_misfit = ""
    for rows in trace.exits():
        for seq, t_ns, site, value in rows:
            if t_ns < before:
                first_step = first_step or f"exit {seq} is at {t_ns} ns, {before - t_ns} ns before the one before it"
                steps_back += 1
            before = t_ns
            if not floors[site] <= value <= ceilings[site]:
                size = trace.sites[site].size
                first_misfit = first_misfit or f"exit {seq} has value {value:#x}, but site {site} has {size} bytes"
                misfits += 1
        if progress is not None:
            progress(len(rows))
    if misfits:
        found.gaps.append(_with_others(first_misfit, misfits))
    if not steps_back:
        return
    if trace.guest.clock == "host" and _cpus(trace) > 1:
        found.notes.append(
            f"{steps_back} exits are earlier than the one before them: CPUs that follow the host's clock; the order is "
            "that in which they were logged"
        )
    else:
        found.gaps.append(_with_others(f"time goes back: {first_step}", steps_back))


def _check_cpus(trace: TraceReader) -> Iterator[str]:
    """That vCPUs are ones that the machine has."""
    cpus = _cpus(trace)
    if not cpus:
        return
    wheres = [
        *((f"site {site.id}", site.vcpu) for site in trace.sites),
        *((f"event {event.kind!r} before exit {event.seq}", event.vcpu) for event in trace.events()),
        *((f"interrupt before exit {interrupt.seq}", interrupt.vcpu) for interrupt in trace.interrupts()),
    ]
    wrong = [f"{where} is of CPU {vcpu}" for where, vcpu in wheres if vcpu is not None and not 0 <= vcpu < cpus]
    if wrong:
        yield _with_others(f"{wrong[0]}, but the machine has {cpus}", len(wrong))


def _check_places(trace: TraceReader) -> Iterator[str]:
    """That what is no exit stands between exits."""
    wheres = [
        *((f"event {event.kind!r}", event.seq) for event in trace.events()),
        *(("an interrupt", interrupt.seq) for interrupt in trace.interrupts()),
    ]
    wrong = [f"{what} stands before exit {seq}" for what, seq in wheres if not 0 <= seq <= trace.end]
    if wrong:
        yield _with_others(f"{wrong[0]}, not 0 to {trace.end}", len(wrong))
    held = len(trace.interrupts())
    counted = trace.meta.get("interrupts", held)
    if trace.first_exit == 0 and counted != held:
        yield f"the recorder counted {counted} interrupts, but the trace holds {held}"
    if trace.epoch_end != trace.end:
        yield f"epochs end with exit {trace.epoch_end - 1}, but the last is number {trace.end - 1}"


def _with_others(first: str, count: int) -> str:
    return f"{first} (and {count - 1} more such)" if count > 1 else first


def _cpus(trace: TraceReader) -> int:
    """Number of CPUs of the machine; 0 if the trace does not say it."""
    cpus = trace.meta.get("smp", 0)
    return cpus if isinstance(cpus, int) else 0


def _count_by_kind(trace: TraceReader, counts: Sequence[int]) -> dict[str, int]:
    """Exits by direction and space, under the keys of the counters."""
    kinds = {"reads_pio": 0, "writes_pio": 0, "reads_mmio": 0, "writes_mmio": 0}
    for site, count in zip(trace.sites, counts, strict=True):
        kinds[f"{'reads' if site.direction == 'r' else 'writes'}_{site.space}"] += count
    return kinds
