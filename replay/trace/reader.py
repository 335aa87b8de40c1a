"""Reading a trace: its facts as plain data, its exits as a stream of tuples."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from ..errors import TraceCorruptError
from ..guest import Guest, PciBar, PciFunction, Region
from . import opening
from .rows import KIND_MMIO, KIND_SIZE, KIND_STRING, KIND_WRITE, Access, Event, ExitRow, Interrupt, PackedSite, Site
from .schema import U64_MASK

CHUNK: Final = 4096
"""Exits read at a time."""

STREAM_CHUNK: Final = 1024
"""Accesses read at a time: few enough to stay in the processor's cache."""

CONTEXT_WINDOW: Final = 100_000
"""`TraceReader.context` looks at no more exits than these."""

FIND_STEP: Final = 1 << 16
"""Exits looked at, at a time."""

TALLY_STEP: Final = 1 << 18
"""Exits counted at a time."""

_COLUMNS: Final[dict[str, dict[str, type | tuple[type, ...]]]] = {
    "meta": {"key": str, "value": (str, int)},
    "region": {
        "snapshot": int,
        "seq": int,
        "space": str,
        "first": int,
        "last": int,
        "name": str,
        "kind": str,
        "offset": int,
        "priority": int,
    },
    "pci_function": {
        "bus": int,
        "slot": int,
        "function": int,
        "vendor_id": int,
        "device_id": int,
        "class": int,
        "qdev_id": str,
        "bars": str,
    },
    "site": {
        "id": int,
        "vcpu": int,
        "pc": int,
        "space": str,
        "direction": str,
        "address": int,
        "size": int,
        "string": int,
        "insn": bytes,
        "text": str,
        "region": str,
    },
    "event": {"seq": int, "t_ns": int, "vcpu": (int, type(None)), "kind": str, "detail": str},
    "interrupt": {"seq": int, "t_ns": int, "vcpu": int, "from_pc": int, "to_pc": int},
}
"""The small tables, and what Python gets from each column: a damaged row can hold anything."""

_SIZES: Final = frozenset({1, 2, 4, 8})

_KINDS: Final = frozenset(
    kind for kind in range(KIND_SIZE | KIND_MMIO | KIND_WRITE | KIND_STRING) if kind & KIND_SIZE in _SIZES
)

# A row that is no access (a site that does not exist, a value that is no integer) is left out and so leaves a gap,
# which costs nothing to notice. NULL, text and blobs fail these comparisons, too.
_SOUND: Final = (
    "site BETWEEN 0 AND :last_site AND t_ns + dt_ns BETWEEN 0 AND 9223372036854775807 AND value <= 9223372036854775807"
)

# From epoch to epoch, and within each from exit to exit: as quick as reading the exits alone, and in order. Epochs were
# checked when the trace was opened: they neither overlap nor leave exits out.
_EXITS: Final = (
    "SELECT seq, t_ns + dt_ns, site, value FROM epoch CROSS JOIN exit "
    "WHERE first >= (SELECT max(first) FROM epoch WHERE first <= :start) AND first < :stop "
    f"AND seq BETWEEN max(first, :start) AND min(last, :stop - 1) AND {_SOUND}"
)
_EXITS_IN_ORDER: Final = f"{_EXITS} ORDER BY first, seq LIMIT 1 + :stop - :start"  # one too many is enough to know

# What a replay needs, and no more: a column less is a sixth of the time. Values below 0, which are of 64 bits and rare,
# are left out and so leave a gap.
_ACCESSES: Final = _EXITS_IN_ORDER.replace("seq, t_ns", "t_ns", 1).replace("value <=", "value BETWEEN 0 AND", 1)

_UNSOUND_EPOCH: Final = (
    "SELECT first, last, t_ns, (SELECT min(first) FROM epoch WHERE first > one.first) AS next FROM epoch AS one "
    "WHERE (last >= first AND last <= 9223372036854775807 AND t_ns BETWEEN 0 AND 9223372036854775807 "
    "AND last + 1 = coalesce(next, last + 1)) IS NOT TRUE ORDER BY first LIMIT 1"
)

_LATEST_NS: Final = (1 << 63) - 1


class TraceReader:
    """A trace, open for reading. A context manager; the file is never written to.

    Nothing is locked between two calls, so a recording that is still going on is not held up.

    Args:
        path: the file.

    Raises:
        TraceError: the file is missing, something else, of another format, or damaged; see `opening.open_trace`.
            All methods raise `TraceCorruptError` where they come upon damage, with the place and the value found.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._opened = opening.open_trace(self.path)
        self._connection = self._opened.connection
        try:
            with opening.translated(self.path), self._connection:
                self._connection.execute("BEGIN")  # all of one moment, if the recording goes on
                self.meta: dict[str, str | int] = self._read_meta()
                """The facts of the table `meta`, as recorded. traces/README.md lists the keys."""
                self.first_exit, self.end = self._read_bounds()
                """Number of the first exit, and of the last one plus one, when the trace was opened. The first is 0
                unless the recorder kept only the last exits."""
                self.epoch_end = self._check_epochs()
                """As `end`, but as the table `epoch` has it: greater if exits are missing at the end."""
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> TraceReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. The reader is of no use afterwards; what it has returned is."""
        self._opened.close()

    # Facts

    @property
    def exit_count(self) -> int:
        """Number of exits when the trace was opened."""
        return self.end - self.first_exit

    @property
    def closed(self) -> bool:
        """Whether the recorder ended in order: nothing can be missing at the end."""
        return self.meta.get("closed") == 1

    @cached_property
    def guest(self) -> Guest:
        """The recorded machine. `machine` is empty if the trace does not say it."""
        meta = self.meta
        rtc_base = meta.get("rtc_base")
        return Guest(
            machine=str(meta.get("machine", "")),
            target=str(meta.get("target", "x86_64")),
            clock=str(meta.get("clock", "virtual")),
            rtc_base=None if rtc_base is None else str(rtc_base),
            regions=tuple(self.regions),
            functions=tuple(self._read_functions()),
            meta=meta,
        )

    @cached_property
    def sites(self) -> list[Site]:
        """Where accesses come from; a site's place in the list is its id."""
        sites: list[Site] = []
        _, last = self._read_site_bounds()
        for site in self._read_sites(0, last):
            if site.id != len(sites):
                raise self._corrupt(f"the site after {len(sites)} others has id {site.id}, not {len(sites)}")
            sites.append(site)
        if last >= len(sites):
            raise self._corrupt(f"the instruction of site {len(sites)} is missing")
        return sites

    def site(self, number: int) -> Site:
        """As ``sites[number]``, without reading all of them.

        Raises:
            IndexError: there is none.
        """
        sites = self.__dict__.get("sites")
        if sites is not None:
            return cast(list[Site], sites)[number]
        if not 0 <= number < len(self.packed_sites):
            raise IndexError(f"{self.path}: no site {number}; there are {len(self.packed_sites)}")
        for site in self._read_sites(number, number):
            return site
        raise self._corrupt(f"the instruction of site {number} is missing")

    @cached_property
    def packed_sites(self) -> list[PackedSite]:
        """As `sites`, but of each only what tells where its accesses go: a boot can have ten thousands."""
        first, last = self._read_site_bounds()
        with opening.translated(self.path, "in site_packed"):
            rows = cast(
                list[PackedSite],
                self._connection.fetch(
                    "SELECT address, kind, vcpu, region FROM site_packed WHERE id <= ? ORDER BY id", (last,)
                ),
            )
        if not rows:
            return rows
        addresses, kinds, vcpus, _ = zip(*rows, strict=True)
        if (
            (first, last) != (0, len(rows) - 1)
            or not {*map(type, addresses), *map(type, vcpus)} <= {int}
            or not set(kinds) <= _KINDS
        ):
            assert self.sites  # finds the one that is missing or damaged, and says so
            raise self._corrupt(f"one of the {len(rows)} sites from {first} to {last} is missing or damaged")
        if min(addresses) < 0:
            rows = [(address & U64_MASK, kind, vcpu, region) for address, kind, vcpu, region in rows]
        return rows

    @cached_property
    def region_names(self) -> dict[int, str]:
        """Names of regions by their numbers in `packed_sites`."""
        with opening.translated(self.path, "in region_name"):
            return dict(cast(list[tuple[int, str]], self._connection.fetch("SELECT id, name FROM region_name")))

    @cached_property
    def regions(self) -> list[Region]:
        """The flat view of the address spaces, by snapshot, space and address."""
        regions: list[Region] = []
        for row in self._rows("region", "snapshot, space"):
            del row["seq"]
            for unsigned in ("first", "last", "offset"):
                row[unsigned] &= U64_MASK
            regions.append(Region(**row))
        return sorted(regions, key=lambda region: (region.snapshot, region.space, region.first))

    def snapshots(self) -> dict[int, int]:
        """Of each snapshot of the address spaces, by its number: how many exits were recorded before it."""
        return {row["snapshot"]: row["seq"] for row in self._rows("region", "snapshot")}

    def events(self) -> list[Event]:
        """Everything that is no exit, in order."""
        return [Event(**row) for row in self._rows("event", "seq, rowid")]

    def interrupts(self) -> list[Interrupt]:
        """The interrupts that were taken, in order; none if the recorder could not see them."""
        interrupts: list[Interrupt] = []
        for row in self._rows("interrupt", "seq, rowid"):
            for unsigned in ("from_pc", "to_pc"):
                row[unsigned] &= U64_MASK
            interrupts.append(Interrupt(**row))
        return interrupts

    # Exits

    def exits(self, start: int = 0, stop: int | None = None, chunk: int = CHUNK) -> Iterator[list[ExitRow]]:
        """The exits from `start` up to, not including, `stop` (None: all), in order, in lists of up to `chunk`.

        Those that the trace does not hold, before `first_exit` or from `end` on, are passed over.

        Each exit is a tuple (seq, t_ns, site, value); `value` is signed: mask it with `U64_MASK`. Seqs are gapless,
        and sites exist.

        Raises:
            TraceCorruptError: an exit is missing, or is no access.
            ValueError: `start` or `stop` is negative, or `chunk` is not positive.
        """
        if start < 0 or (stop is not None and stop < 0) or chunk < 1:
            raise ValueError(
                f"start and stop must not be negative and chunk must be positive: {start}, {stop}, {chunk}"
            )
        begin, end = self._clip(start, stop)
        last_site = len(self.packed_sites) - 1
        execute = self._connection.execute
        for first in range(begin, end, chunk):
            last = min(first + chunk, end)
            bounds = {"start": first, "stop": last, "last_site": last_site}
            try:
                rows: list[ExitRow] = execute(_EXITS_IN_ORDER, bounds).fetchall()
            except sqlite3.Error as error:
                raise opening.translate(error, self.path, f"between exits {first} and {last - 1}") from error
            if len(rows) != last - first:
                raise self._unsound(first, rows)
            yield rows

    def accesses(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, list[Access]]]:
        """As `exits`, in the form that is the quickest to read: the number of a list's first exit, and the list."""
        begin, end = self._clip(start, stop)
        last_site = len(self.packed_sites) - 1
        execute = self._connection.execute
        for first in range(begin, end, STREAM_CHUNK):
            last = min(first + STREAM_CHUNK, end)
            bounds = {"start": first, "stop": last, "last_site": last_site}
            try:
                rows: list[Access] = execute(_ACCESSES, bounds).fetchall()
            except sqlite3.Error as error:
                raise opening.translate(error, self.path, f"between exits {first} and {last - 1}") from error
            if len(rows) != last - first:
                exits = next(self.exits(first, last, STREAM_CHUNK))
                rows = [(t_ns, site, value & U64_MASK) for _, t_ns, site, value in exits]
            yield first, rows

    def exit(self, seq: int) -> ExitRow:
        """The exit numbered `seq`.

        Raises:
            IndexError: there is none.
        """
        if not self.first_exit <= seq < self.end:
            held = f"it holds {self.first_exit} to {self.end - 1}" if self.exit_count else "it holds none"
            raise IndexError(f"{self.path}: no exit {seq}; {held}")
        return next(self.exits(seq, seq + 1))[0]

    def context(self, seq: int, site_ids: Collection[int], n: int) -> list[ExitRow]:
        """The last `n` exits before `seq` that come from `site_ids`, oldest first.

        They are looked for among the `CONTEXT_WINDOW` exits before `seq`, so that a rare site does not make it slow.
        """
        wanted = json.dumps(list(site_ids))
        begin, end = self._clip(max(0, seq - CONTEXT_WINDOW), seq)
        found = self._select(begin, end, wanted, order="DESC", limit=max(0, n))
        return found[::-1]

    def find(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        site_ids: Collection[int] | None = None,
        from_ns: int = 0,
        to_ns: int = _LATEST_NS,
    ) -> Iterator[list[ExitRow]]:
        """As `exits`, but only those from `site_ids` (None: from any) at a time from `from_ns` to `to_ns`, inclusive.

        Gaps are not noticed.
        """
        begin, end = self._clip(start, stop)
        wanted = None if site_ids is None else json.dumps(list(site_ids))
        for first in range(begin, end, FIND_STEP):
            rows = self._select(first, min(first + FIND_STEP, end), wanted, from_ns=from_ns, to_ns=to_ns)
            if rows:
                yield rows

    def count_by_site(self, progress: Callable[[int], None] | None = None) -> list[int]:
        """Number of exits from each site; a site's place in the list is its id.

        It takes seconds for 10^7 exits; `progress` is called with the number of exits that were counted since the
        last call.

        Raises:
            TraceCorruptError: an exit comes from a site that does not exist.
        """
        counts = [0] * len(self.packed_sites)
        for first in range(self.first_exit, self.end, TALLY_STEP):
            last = min(first + TALLY_STEP, self.end)
            with opening.translated(self.path, f"between exits {first} and {last - 1}"):
                rows = self._connection.execute(
                    "SELECT site, count(*) FROM exit WHERE seq >= ? AND seq < ? GROUP BY site", (first, last)
                ).fetchall()
            for site, count in rows:
                if not isinstance(site, int) or not 0 <= site < len(counts):
                    for _ in self.exits(first, last):  # finds the exit, and says so
                        pass
                    raise self._corrupt(f"an exit between {first} and {last - 1} has site {site!r}")
                counts[site] += count
            if progress is not None:
                progress(last - first)
        return counts

    def find_dangling(self) -> list[str]:
        """Sites whose instruction or region does not exist, the first one of each, in a line each."""
        dangling: list[str] = []
        for column, table in (("insn", "insn"), ("region", "region_name")):
            with opening.translated(self.path, "in site_packed"):
                found = self._connection.execute(
                    f"SELECT id, {column} FROM site_packed "
                    f"WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {table}) ORDER BY id"
                ).fetchone()
            if found is not None:
                dangling.append(f"site {found[0]} has {column} {found[1]!r}, but {table} has no such row")
        return dangling

    def check_file(self) -> list[str]:
        """What SQLite finds wrong with the file when it looks at all of it, in its words. Seconds for 10^7 exits."""
        try:
            rows = self._connection.execute("PRAGMA integrity_check(10)").fetchall()
        except sqlite3.DatabaseError as error:  # it gives up where it cannot go on
            return [str(error)]
        return [line for (message,) in rows for line in str(message).splitlines() if message != "ok"]

    # How it is read

    def _select(
        self,
        start: int,
        stop: int,
        wanted: str | None,
        *,
        from_ns: int = 0,
        to_ns: int = _LATEST_NS,
        order: str = "ASC",
        limit: int = -1,
    ) -> list[ExitRow]:
        """Exits from `start` up to `stop`; `wanted` are the ids of sites as a JSON list."""
        choice = "" if wanted is None else "AND site IN (SELECT value FROM json_each(:wanted))"
        parameters = {
            "start": start,
            "stop": stop,
            "last_site": len(self.packed_sites) - 1,
            "wanted": wanted,
            "from_ns": min(from_ns, _LATEST_NS),
            "to_ns": min(to_ns, _LATEST_NS),
            "limit": limit if limit >= 0 else 1 + stop - start,
        }
        with opening.translated(self.path, f"between exits {start} and {stop - 1}"):
            return self._connection.execute(
                f"{_EXITS} {choice} AND t_ns + dt_ns >= :from_ns AND t_ns + dt_ns <= :to_ns "
                f"ORDER BY first {order}, seq {order} LIMIT :limit",
                parameters,
            ).fetchall()

    def _rows(self, table: str, order: str) -> list[dict[str, Any]]:
        """All rows of a small table or view; each value has its column's type."""
        columns = _COLUMNS[table]
        with opening.translated(self.path, f"in {table}"):
            found = self._connection.fetch(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}")
        rows = [dict(zip(columns, row, strict=True)) for row in found]
        for row in rows:
            self._check_row(table, row)
        return rows

    def _check_row(self, table: str, row: Mapping[str, Any]) -> None:
        for name, kind in _COLUMNS[table].items():
            if not isinstance(row[name], kind):
                raise self._corrupt(f"in {table}, {name} is {row[name]!r}: {row!r}")

    def _read_site_bounds(self) -> tuple[int, int]:
        """Numbers of the first and the last site so far: a recording that goes on adds others. (0, -1) if none."""
        with opening.translated(self.path, "in site_packed"):
            first, last = self._connection.execute(
                "SELECT (SELECT min(id) FROM site_packed), (SELECT max(id) FROM site_packed)"
            ).fetchone()
        return (0, -1) if last is None else (first, last)

    def _read_sites(self, first: int, last: int) -> Iterator[Site]:
        columns = _COLUMNS["site"]
        kinds = tuple(columns.values())
        with opening.translated(self.path, "in site"):
            rows = self._connection.fetch(
                f"SELECT {', '.join(columns)} FROM site WHERE id BETWEEN ? AND ? ORDER BY id", (first, last)
            )
        for row in rows:
            if tuple(map(type, row)) != kinds:
                self._check_row("site", dict(zip(columns, row, strict=True)))
            site = Site._make(row)
            if site.size not in _SIZES:
                raise self._corrupt(f"site {site.id} has {site.size} bytes")
            if site.pc < 0 or site.address < 0 or site.string:
                site = site._replace(pc=site.pc & U64_MASK, address=site.address & U64_MASK, string=bool(site.string))
            yield site

    def _read_meta(self) -> dict[str, str | int]:
        return {row["key"]: row["value"] for row in self._rows("meta", "key")}

    def _read_bounds(self) -> tuple[int, int]:
        first, last = self._connection.execute(
            "SELECT (SELECT min(seq) FROM exit), (SELECT max(seq) FROM exit)"
        ).fetchone()
        expected = self.meta.get("first_exit", 0)
        if first is None:
            return 0, 0
        if first != expected:
            raise self._corrupt(f"the first exit has seq {first!r}, not {expected!r}")
        if not self._connection.has_room(int(last) - int(first)):
            raise self._corrupt(f"exits {first} to {last} are more than the file has room for")
        return int(first), int(last) + 1

    def _check_epochs(self) -> int:
        found = self._connection.execute(_UNSOUND_EPOCH).fetchone()
        if found is not None:
            first, last, t_ns, follower = found
            follows = "" if follower is None else f", and the next from exit {follower}"
            raise self._corrupt(f"an epoch is from exit {first} to {last!r} at {t_ns!r} ns{follows}")
        first, last = self._connection.execute(
            "SELECT (SELECT min(first) FROM epoch), (SELECT last FROM epoch ORDER BY first DESC LIMIT 1)"
        ).fetchone()
        if self.exit_count and (first is None or first > self.first_exit or last < self.end - 1):
            held = "there are none" if first is None else f"they are of exits {first} to {last}"
            raise self._corrupt(f"not all exits from {self.first_exit} to {self.end - 1} have epochs: {held}")
        return 0 if last is None else int(last) + 1

    def _clip(self, start: int, stop: int | None) -> tuple[int, int]:
        """The part of a range of exits that the trace holds."""
        return max(start, self.first_exit), self.end if stop is None else min(stop, self.end)

    def _read_functions(self) -> Iterator[PciFunction]:
        for row in self._rows("pci_function", "bus, slot, function"):
            bars = self._bars(row.pop("bars"))
            yield PciFunction(class_code=row.pop("class"), bars=bars, **row)

    def _bars(self, text: str) -> tuple[PciBar, ...]:
        try:
            return tuple(
                PciBar(
                    number=bar["bar"],
                    size=bar["size"],
                    is_io=bar["type"] == "io",
                    is_64=bar.get("mem_type_64", False),
                    prefetch=bar.get("prefetch", False),
                    address=bar["address"] if bar["address"] >= 0 else None,
                )
                for bar in json.loads(text)
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self._corrupt(f"the base addresses of a PCI function cannot be read: {text[:80]!r}") from None

    def _unsound(self, first: int, rows: list[ExitRow]) -> TraceCorruptError:
        """The error for the first exit from `first` on that is not among `rows`."""
        found = {row[0] for row in rows}
        seq = next(seq for seq in range(first, first + len(rows) + 1) if seq not in found)
        with opening.translated(self.path, f"at exit {seq}"):
            row = self._connection.execute(
                "SELECT t_ns + dt_ns, site, value FROM exit JOIN epoch ON seq BETWEEN first AND last WHERE seq = ?",
                (seq,),
            ).fetchone()
        if row is None:
            return self._corrupt(f"exit {seq} is missing, though exit {self.end - 1} is there")
        t_ns, site, value = row
        if isinstance(site, int) and not 0 <= site < len(self.packed_sites):
            return self._corrupt(f"exit {seq} has site {site}, but there are {len(self.packed_sites)} sites")
        return self._corrupt(f"exit {seq} is no access: t_ns {t_ns!r}, site {site!r}, value {value!r}")

    def _corrupt(self, what: str) -> TraceCorruptError:
        return TraceCorruptError(f"{self.path}: {what}; copy it again, or record again")
