"""``vmdev record --verify``: hold the recording against what QEMU itself says of the same run.

QEMU's log goes through a pipe to a thread that keeps it, compressed, in a temporary file without a name: a boot of
UEFI writes 1.5 GB. A reader that is slow holds QEMU up, but not the guest's clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import io
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from vmdev.replay.errors import RecordError
from vmdev.replay.guest import Region
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.schema import U64_MASK

from ..output import table
from .command import Option
from .ops_events import EVENTS, LOG_ITEMS, Access, Agreement, OpsEvent, UnknownAccess, compare, parse_events

_PIPE_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16

_TAKEN: Final = ("D", "d", "trace")
"""Options of QEMU that decide what is logged, and where."""


_NO_FAULTS: Final = ("i386", "x86_64")
"""Targets whose CPU takes no exception for an access that no device accepts."""

_UNKNOWN: Final = re.compile(r"port (0x[0-9a-f]+) size (\d+)")

_RULES: Final = ("exact", "split", "widened", "swapped", "aliased", "refused", "unexplained")

SHOWN: Final = 3
"""How many unexplained accesses and events an error shows."""


def refuse(options: Sequence[Option], mmio: str) -> None:
    """Check that the events can be had, and that all that they tell of is recorded.

    Raises:
        RecordError: they cannot, or it is not.
    """
    for option in options:
        if option.name in _TAKEN:
            raise RecordError(
                f"-{option.name} {option.argument}: --verify needs QEMU's log for itself; leave one of them out"
            )
    if mmio == "off":
        raise RecordError("--verify compares all accesses, and --mmio off leaves some out; leave one of them out")


class EventLog:
    """QEMU's log of one run. A context manager."""

    def __init__(self) -> None:
        self._reading, self.fd = os.pipe()
        with contextlib.suppress(OSError):  # a user may have too many large pipes
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._file = tempfile.TemporaryFile(prefix="vmdev-verify-")  # noqa: SIM115  (`__exit__` closes it)
        self._error: OSError | None = None
        self._open = True
        self._thread = threading.Thread(target=self._keep, name="vmdev-verify", daemon=True)
        self._thread.start()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        with contextlib.suppress(OSError):  # the disk is full
            self._file.close()

    @property
    def arguments(self) -> list[str]:
        """What QEMU has to be given besides the descriptor `fd`."""
        return [
            *(word for event in EVENTS for word in ("-trace", event)),
            "-d", LOG_ITEMS,
            "-D", f"/proc/self/fd/{self.fd}",
        ]  # fmt: skip

    def events(self) -> Iterator[OpsEvent]:
        """The events of the run. QEMU must have ended.

        Raises:
            RecordError: the log could not be kept.
        """
        self._end()
        if self._error:
            raise RecordError(
                f"--verify: QEMU's events could not be kept in {tempfile.gettempdir()}: {self._error.strerror}; make "
                "room there, or set TMPDIR"
            )
        self._file.seek(0)
        with gzip.open(self._file, "rb") as packed, io.TextIOWrapper(packed, "utf-8", "backslashreplace") as lines:
            yield from parse_events(lines)

    def _end(self) -> None:
        if self._open:
            self._open = False
            os.close(self.fd)
            self._thread.join()
            os.close(self._reading)

    def _keep(self) -> None:
        try:
            with gzip.open(self._file, "wb", compresslevel=1) as packed:
                while chunk := os.read(self._reading, _CHUNK_BYTES):
                    packed.write(chunk)
        except OSError as error:
            self._error = error
            while os.read(self._reading, _CHUNK_BYTES):  # or QEMU would wait for ever
                pass


def verify(path: Path, log: EventLog, *, ended_by: str) -> Agreement:
    """Compare the trace at `path` with the log of its run."""
    with TraceReader(path) as trace:
        target = str(trace.meta.get("target", ""))
        return compare(accesses(trace), log.events(), cut=ended_by != "guest", faults=target not in _NO_FAULTS)


def accesses(trace: TraceReader) -> Iterator[Access | UnknownAccess]:
    """All that the trace tells of, for `compare`."""
    sites = [
        (site.vcpu, site.direction, site.address, site.size, site.region, *place)
        for site, place in zip(trace.sites, _places(trace), strict=True)
    ]
    unknown = list(_unknown_accesses(trace))[::-1]
    for rows in trace.exits():
        for seq, _, site, value in rows:
            while unknown and unknown[-1].seq <= seq:
                yield unknown.pop()
            vcpu, direction, address, size, region, offset, elsewhere = sites[site]
            yield Access(seq, vcpu, direction, address, size, value & U64_MASK, region, offset, elsewhere)
    yield from reversed(unknown)


def _places(trace: TraceReader) -> Iterator[tuple[int, tuple[int, ...]]]:
    """For each site, its address within its region, and where else this is mapped."""
    maps: dict[str, list[Region]] = {}
    for region in trace.regions:
        maps.setdefault(region.name, []).append(region)
    for site in trace.sites:
        regions = maps.get(site.region, [])
        offset = next(
            (
                site.address - region.first + region.offset
                for region in reversed(regions)
                if region.space == site.space and region.first <= site.address <= region.last
            ),
            None,
        )
        if offset is None:
            yield site.address, ()
            continue
        addresses = {
            region.first + offset - region.offset
            for region in regions
            if 0 <= offset - region.offset <= region.last - region.first
        }
        yield offset, tuple(sorted(addresses - {site.address}))


def _unknown_accesses(trace: TraceReader) -> Iterator[UnknownAccess]:
    for event in trace.events():
        found = _UNKNOWN.search(event.detail)
        if event.kind in ("unread-in", "refused-io") and event.vcpu is not None and found:
            yield UnknownAccess(event.seq, event.vcpu, event.kind, int(found[1], 16), int(found[2]))


def summary(agreement: Agreement) -> dict[str, object]:
    """What the trace's `meta` keeps of it, under "verified"."""
    return {
        "complete": agreement.complete,
        "rules": dict(agreement.rules),
        "others": dict(agreement.others),
        "lost": len(agreement.lost),
    }


def report(agreement: Agreement) -> str:
    """The agreement for people: a line for each region, then the events that are nobody's access."""
    lost = agreement.lost_by_region
    rules = [rule for rule in _RULES if agreement.rules[rule]]
    heading = ["region", "accesses", *rules, *(["not recorded"] if lost else [])]
    rows = [heading]
    for region in sorted({*agreement.regions, *lost}):
        counts = agreement.regions.get(region, Counter())
        numbers = [sum(counts.values()), *(counts.get(rule, 0) for rule in rules), *([lost[region]] if lost else [])]
        rows.append([region or "(none)", *(f"{number:,}" if number else "-" for number in numbers)])
    text = table(rows, right=range(1, len(heading)), indent="  ")
    others = ", ".join(f"{count:,} {name}" for name, count in sorted(agreement.others.items()))
    return text + (f"  besides, QEMU tells of: {others}\n" if others else "")


def complaint(agreement: Agreement) -> str:
    """Why the recording is not proved complete, with the first few accesses."""
    first = [
        *(
            f"exit {a.seq} ({_text(a.direction, a.address, a.size, a.value, a.region)}) is not in QEMU's account"
            for a in agreement.unexplained[:SHOWN]
        ),
        *(
            f"QEMU's {_text(e.direction, e.address, e.size, e.value, e.region)} was not recorded"
            for e in agreement.lost[:SHOWN]
        ),
    ]
    return (
        f"{len(agreement.unexplained):,} accesses and {len(agreement.lost):,} of QEMU's events are unexplained: "
        + "; ".join(first[:SHOWN])
    )


def _text(direction: str, address: int, size: int, value: int, region: str) -> str:
    kind = "read" if direction == "r" else "write"
    return f"{kind} of {size} at {address:#x}, {value:#x}, {region or 'no region'}"
