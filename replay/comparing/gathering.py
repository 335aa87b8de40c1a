"""From a trace to its streams: one replay for names, without judgement."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import NothingComparedError
from ..provenance import provenance
from ..verdict import Verdict
from . import losses
from .comparison import Subject
from .finding import Recording
from .places import Places
from .streams import Gatherer, Streams

if TYPE_CHECKING:
    from ..replayer import Replayer
    from ..trace.reader import TraceReader


def gather(
    trace: TraceReader,
    replayer: Replayer | None,
    board_devices: Collection[str],
    places: Places,
    streams: Streams,
    *,
    wanted: Collection[str] = (),
    other_format: str = "",
    name: str = "",
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Fill the streams of a trace.

    Args:
        trace: the recording.
        replayer: a replay of it that was not run yet; None: what accesses reach is told by its region map.
        board_devices: what the replay's board has.
        places: of both recordings.
        streams: to be filled.
        wanted: names of the devices to gather; empty: all.
        other_format: of the log that the other recording was imported from, if it was.
        name: what to call the recording; empty: as its file.
        progress: called now and then with the number of exits since the last call.

    Raises:
        TraceError: the trace is damaged.
    """
    origin = provenance(trace.meta)
    form = origin.form if origin else ""
    formats = {form, other_format}
    gatherer = Gatherer(
        streams,
        places,
        trace.packed_sites,
        trace.region_names,
        trace.guest,
        trace.first_exit,
        board_devices,
        frozenset(wanted),
        firsts_only=not losses.FIRST_ELEMENTS.isdisjoint(formats),
        no_ports=not losses.NO_PORTS.isdisjoint(formats),
    )
    diverging = None
    if replayer is None:
        for first, rows in trace.accesses():
            gatherer(first, rows)
            if progress is not None:
                progress(len(rows))
    else:
        with suppress(NothingComparedError):  # without reads there is nothing to say of the models
            diverging = _diverging(replayer.run(progress, gatherer, gatherer.follow))
    streams.keep(1)
    left_out = {losses.ELEMENTS: gatherer.elements, losses.PORTS: gatherer.ports}
    subject = Subject(
        name=name or trace.path.name,
        machine=trace.guest.machine,
        target=trace.guest.target,
        clock=trace.guest.clock,
        exits=trace.exit_count,
        imported=origin.sentence if origin else "",
        format=form,
        named_by_models=replayer is not None,
    )
    return Recording(subject, streams, diverging, {what: count for what, count in left_out.items() if count})


def _diverging(verdict: Verdict) -> frozenset[tuple[str, str]]:
    """The devices and registers of which a model answered otherwise than recorded."""
    found = [(divergence.device, divergence.register or "") for divergence in verdict.divergences]
    found += [(fold.device, fold.register) for fold in verdict.folds]
    return frozenset((device, name) for device, names in found for name in names.split("+"))
