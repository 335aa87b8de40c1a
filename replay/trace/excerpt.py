"""An excerpt: some exits of a trace, and what happened between them, as a trace of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Final

from .reader import TraceReader
from .rows import Access, Event, Interrupt
from .schema import COUNTERS
from .writer import TraceWriter

if TYPE_CHECKING:
    from ..guest import PciBar

_NOT_KEPT: Final = frozenset(COUNTERS) | {
    "closed", "end_reason", "excluded", "filter", "first_exit", "format", "map_requests", "marks_left",
    "mmio_fast_misses", "part", "parts", "queue_waits", "ring", "rotate", "serial_input_left", "verified", "vmdev",
}  # fmt: skip
"""Facts of a recording that are not true of a part of it."""


def write_excerpt(
    reader: TraceReader,
    path: str | PathLike[str],
    exits: Sequence[tuple[int, Access]],
    events: Sequence[Event],
    interrupts: Sequence[Interrupt],
    minimized: Mapping[str, object],
    overwrite: bool = False,
) -> None:
    """Write a closed trace.

    Args:
        reader: what the exits are from; all that it says of its guest is kept.
        path: the file to make.
        exits: each with its number in `reader`, in order; `site` is the number in `reader`. They are numbered anew.
        events: what happened between them, each with the new number of the exit after it.
        interrupts: likewise.
        minimized: the fact of that name.
        overwrite: replace a file that exists.
    """
    facts = {key: value for key, value in reader.meta.items() if key not in _NOT_KEPT}
    if "interrupts" in facts:
        facts["interrupts"] = len(interrupts)
    with TraceWriter(path, meta={**facts, "minimized": minimized}, overwrite=overwrite) as writer:
        numbers = [seq for seq, _ in exits]
        for snapshot, seq in reader.snapshots().items():
            regions = [region for region in reader.regions if region.snapshot == snapshot]
            writer.add_regions(snapshot, sum(number < seq for number in numbers), regions)
        for function in reader.guest.functions:
            writer.add_pci_function(function, [_bar(bar) for bar in function.bars])
        for event in reader.events():
            if event.kind == "reset" and event.seq == 0:  # power-on
                writer.add_event(event.kind, event.detail, event.t_ns, event.vcpu, seq=0)
        for event in events:
            writer.add_event(event.kind, event.detail, event.t_ns, event.vcpu, seq=event.seq)
        left = list(interrupts)
        for seq, (_, (t_ns, number, value)) in enumerate(exits):
            while left and left[0].seq <= seq:
                interrupt = left.pop(0)
                writer.add_interrupt(interrupt.t_ns, interrupt.vcpu, interrupt.from_pc, interrupt.to_pc)
            site = reader.site(number)
            writer.add_exit(
                t_ns,
                writer.add_site(
                    address=site.address,
                    direction=site.direction,
                    size=site.size,
                    space=site.space,
                    pc=site.pc,
                    vcpu=site.vcpu,
                    string=site.string,
                    insn=bytes(site.insn),
                    text=site.text,
                    region=site.region,
                ),
                value,
            )


def _bar(bar: PciBar) -> dict[str, object]:
    """As QEMU tells it."""
    return {
        "bar": bar.number,
        "size": bar.size,
        "type": "io" if bar.is_io else "memory",
        "mem_type_64": bar.is_64,
        "prefetch": bar.prefetch,
        "address": -1 if bar.address is None else bar.address,
    }
