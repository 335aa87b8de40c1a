"""Whether a recording holds every access that the guest made. It is proved, not hoped."""

from __future__ import annotations

from collections.abc import Sequence

from .reader import TraceReader
from .schema import COUNTERS


def find_gaps(trace: TraceReader, counts: Sequence[int] | None = None) -> list[str]:
    """Why the recording cannot be taken as complete, one reason a line; empty if it is complete.

    Without `counts` this looks only at what the trace says of itself, and is quick. With `counts`, which are
    `trace.count_by_site()`, the recorder's counters are compared with the rows themselves.
    """
    meta = trace.meta
    gaps: list[str] = []
    if not trace.closed:
        gaps.append("not closed: the recording was cut off, and its end is missing")
    if meta.get("end_reason") == "qemu-died":
        gaps.append("QEMU died while it was being recorded")
    missing = [key for key in COUNTERS if not isinstance(meta.get(key), int)]
    if missing:
        gaps.append(f"the recorder's counters are missing: {', '.join(missing)}")
    if meta.get("dropped", 0) != 0:
        gaps.append(f"{meta['dropped']} accesses were dropped")
    held = {"exits": trace.exit_count, "sites": len(trace.sites)}
    if counts is not None:
        held |= _count_by_kind(trace, counts)
        if sum(counts) != trace.exit_count:
            gaps.append(f"exits are not gapless: {sum(counts)} rows, but the last is number {trace.exit_count - 1}")
    for key, rows in held.items():
        if key in meta and meta[key] != rows:
            gaps.append(f"the recorder counted {meta[key]} {key.replace('_', ' of ')}, but the trace holds {rows}")
    return gaps


def _count_by_kind(trace: TraceReader, counts: Sequence[int]) -> dict[str, int]:
    """Exits by direction and space, under the keys of the counters."""
    kinds = {"reads_pio": 0, "writes_pio": 0, "reads_mmio": 0, "writes_mmio": 0}
    for site, count in zip(trace.sites, counts, strict=True):
        kinds[f"{'reads' if site.direction == 'r' else 'writes'}_{site.space}"] += count
    return kinds
