"""Writing a trace: for importers, for tests, and for what `vmdev record` adds to what the recorder writes."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

from ..errors import OutputExistsError, TraceError
from ..guest import PciFunction, Region
from ..version import vmdev_version
from . import opening, schema
from .rows import ExitRow
from .schema import COUNTERS, U64_MASK, to_signed

MetaValue = str | int | Sequence[object] | Mapping[str, object]
"""A fact; lists and mappings are stored as JSON."""

_BATCH: Final = 16_384
"""Exits kept back and then written at once, each batch a transaction of its own."""

_BACKGROUND: Final = ("pio", "io")
"""The region that QEMU shows where no device has the port."""

_NO_NAMES: Final = ("", "(null)")

_ANONYMOUS: Final = re.compile(r"anon[0-9a-f]+")
"""What QEMU's plugin interface calls a region without a name: a host address, different in each run."""

_UNNAMED: Final = "unnamed"
"""What such a region is called if the region map does not name it either."""

_JOURNALS: Final = ("-journal", "-wal", "-shm")

_SPACES: Final = ("pio", "mmio")
_DIRECTIONS: Final = ("r", "w")
"""How the table `site_packed` numbers them, in the bits of its `kind`."""

_MAX_NS: Final = (1 << 63) - 1

_NEAR_NS: Final = 1 << 15
"""An offset from -this up to, not including, this takes two bytes."""

_EPOCH_WIDE_MAX: Final = 4
"""Exits with longer offsets in an epoch, before a new one is cheaper. trace_writer.c does the same."""


class TraceWriter:
    """A trace, open for writing. A context manager.

    Leaving the context closes the trace: `closed` is written last, and says that nothing is missing. Leaving it by an
    exception does not: what was added stays readable, and the trace can be continued with `open_existing`.

    Args:
        path: the file to make.
        meta: facts to begin with; see `set_meta`.
        overwrite: replace a file that exists.

    Raises:
        OutputExistsError: the file exists and may not be overwritten.
        TraceError: it cannot be made. All methods raise this when the file cannot be written to.
    """

    _next_seq: int
    _counts: dict[str, int]
    _is_open: bool

    def __init__(
        self, path: str | PathLike[str], meta: Mapping[str, MetaValue] | None = None, overwrite: bool = False
    ) -> None:
        schema.require_sqlite()
        self.path = Path(path)
        _make_file(self.path, overwrite)
        self._open()
        with self._writing():
            schema.create(self._connection)
        self._is_ours = True
        self._set_all({"format": schema.FORMAT, "vmdev": vmdev_version(), **(meta or {})})

    @classmethod
    def open_existing(cls, path: str | PathLike[str]) -> TraceWriter:
        """Continue a trace that is not closed.

        Raises:
            TraceNotFoundError: there is no such file.
            NotATraceError: it is something else.
            TraceVersionError: it has a format that this vmdev does not write.
            TraceError: it is closed, or cannot be written to.
        """
        schema.require_sqlite()
        self = cls.__new__(cls)
        self.path = Path(path)
        opening.read_header(self.path)
        self._open()
        self._is_ours = False
        try:
            with self._writing():
                opening.check(self._connection, self.path)
                self._load()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(TraceError):
                self.suspend()

    def close(self) -> None:
        """Write the counters, then `closed`, and close the file. Does nothing if the file is closed already.

        A trace that was continued has to hold its recorder's counters: only they can prove that nothing is missing.

        Raises:
            TraceError: they are absent.
        """
        if not self._is_open:
            return
        try:
            with self._writing():
                self._flush()
                self._write_counters()
                self._connection.commit()
                self._db.table("meta").upsert({"key": "closed", "value": 1}, pk="key")
                self._connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._shut()

    def suspend(self) -> None:
        """Write what was added and close the file, but leave the trace open for a recorder or `open_existing`."""
        if not self._is_open:
            return
        try:
            with self._writing():
                self._flush()
                self._connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._shut()

    @property
    def exit_count(self) -> int:
        """Number of exits so far."""
        return self._next_seq

    # Facts

    def set_meta(self, key: str, value: MetaValue) -> None:
        """Set a fact of the table `meta`; traces/README.md lists the keys."""
        self._set_all({key: value})

    def add_regions(self, snapshot: int, seq: int, regions: Iterable[Region]) -> None:
        """Add the flat view at one moment.

        Args:
            snapshot: the moment's number, from 0.
            seq: number of exits recorded before it.
            regions: what is mapped; their own `snapshot` does not count.
        """
        rows = [
            {
                "snapshot": snapshot,
                "seq": seq,
                "space": region.space,
                "first": to_signed(region.first),
                "last": to_signed(region.last),
                "name": region.name,
                "kind": region.kind,
                "offset": to_signed(region.offset),
                "priority": region.priority,
            }
            for region in regions
        ]
        with self._writing():
            self._db.table("region").insert_all(rows)

    def add_pci_function(self, function: PciFunction, bars: Sequence[Mapping[str, object]] = ()) -> None:
        """Add a PCI function; `bars` are its base addresses as QEMU's ``query-pci`` tells them."""
        row = {
            "bus": function.bus,
            "slot": function.slot,
            "function": function.function,
            "vendor_id": function.vendor_id,
            "device_id": function.device_id,
            "class": function.class_code,
            "qdev_id": function.qdev_id,
            "bars": json.dumps(list(bars)),
        }
        with self._writing():
            self._db.table("pci_function").insert(row, replace=True)

    # Accesses

    def add_site(
        self,
        *,
        address: int,
        direction: Literal["r", "w"],
        size: int = 1,
        space: Literal["pio", "mmio"] = "pio",
        pc: int = 0,
        vcpu: int = 0,
        string: bool = False,
        insn: bytes = b"",
        text: str = "",
        region: str = "",
    ) -> int:
        """Add a place from which accesses come; see `Site` for the parts. The same place again gives the same id."""
        key = (vcpu, pc, space, direction, address, size, string, insn, text, region)
        found = self._sites.get(key)
        if found is not None:
            return found
        if space not in _SPACES or direction not in _DIRECTIONS or size not in {1, 2, 4, 8}:
            raise ValueError(f"no access: {space!r} {direction!r}, {size!r} bytes")
        site = len(self._sites)
        with self._writing():
            instruction = self._insn_id(to_signed(pc), insn, text)
            self._connection.execute(
                "INSERT INTO site_packed (id, insn, region, vcpu, kind, address) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    site,
                    instruction,
                    self._region_id(region),
                    vcpu,
                    size | _SPACES.index(space) << 4 | _DIRECTIONS.index(direction) << 5 | string << 6,
                    to_signed(address),
                ),
            )
        self._sites[key] = site
        self._kinds.append((size, _counter(space, direction)))
        return site

    def add_exit(self, t_ns: int, site: int, value: int) -> int:
        """Add an access and return its seq.

        Args:
            t_ns: when it was made.
            site: where it comes from: what `add_site` returned.
            value: what was read or written, unsigned.

        Raises:
            ValueError: the site does not exist, the value does not fit the site's size, or the time is negative or
                does not fit 63 bits.
        """
        if not 0 <= site < len(self._kinds):
            raise ValueError(f"there is no site {site}; the last is {len(self._kinds) - 1}")
        size, kind = self._kinds[site]
        if value >> 8 * size:
            raise ValueError(f"value {value:#x} does not fit the {size} bytes of site {site}")
        if not 0 <= t_ns <= _MAX_NS:
            raise ValueError(f"the time must be from 0 to {_MAX_NS}, not {t_ns}")
        seq = self._next_seq
        self._pending.append((seq, t_ns, site, to_signed(value)))
        self._counts[kind] += 1
        self._next_seq = seq + 1
        if len(self._pending) >= _BATCH:
            with self._writing():
                self._flush()
        return seq

    def add_event(
        self, kind: str, detail: str = "", t_ns: int = 0, vcpu: int | None = None, seq: int | None = None
    ) -> None:
        """Add something that is no exit. It happened before the exit numbered `seq`; None: before the next one."""
        with self._writing():
            self._connection.execute(
                "INSERT INTO event (seq, t_ns, vcpu, kind, detail) VALUES (?, ?, ?, ?, ?)",
                (self._next_seq if seq is None else seq, t_ns, vcpu, kind, detail),
            )

    def add_interrupt(self, t_ns: int, vcpu: int, from_pc: int, to_pc: int) -> None:
        """Add an interrupt that a vCPU took before the next exit; see `Interrupt` for the parts."""
        with self._writing():
            self._connection.execute(
                "INSERT INTO interrupt (seq, t_ns, vcpu, from_pc, to_pc) VALUES (?, ?, ?, ?, ?)",
                (self._next_seq, t_ns, vcpu, to_signed(from_pc), to_signed(to_pc)),
            )

    def resolve_regions(self, sites_before: Sequence[int] | None = None) -> None:
        """Name the region of each site that the recorder could not name, from the regions that were added.

        These are the port accesses, and those to regions that have no name in QEMU. The snapshot that was in force
        when the site was first used names it; if nothing was mapped there, the first later one in which something is.
        Where nothing is mapped the name is empty.

        Args:
            sites_before: how many sites there were when snapshot 1 was taken, then 2, and so on; what follows the last
                number is in force for no site. None: not known, and the latest snapshot that maps the address names it.
        """
        with self._writing():
            self._flush()
            regions = self._connection.execute(
                "SELECT space, first, last, name, snapshot FROM region WHERE kind <> 'ram' "
                f"ORDER BY snapshot {'DESC' if sites_before is None else 'ASC'}, rowid"
            ).fetchall()
            views = {space: [row[1:] for row in regions if row[0] == space] for space in _SPACES}
            sites = self._connection.execute("SELECT id, space, address, region FROM site").fetchall()
            names: dict[tuple[str, int, int], str] = {}
            resolved: list[tuple[int | None, int]] = []
            for site, space, address, region in sites:
                is_anonymous = bool(_ANONYMOUS.fullmatch(region))
                if region and not is_anonymous:
                    continue
                place = (space, address & U64_MASK, bisect_right(sites_before or (), site))
                if place not in names:
                    names[place] = _name_of(views[space], *place)
                resolved.append((self._region_id(names[place] or (_UNNAMED if is_anonymous else "")), site))
            self._connection.executemany("UPDATE site_packed SET region = ? WHERE id = ?", resolved)
            # A host address must not stay in the trace: it would differ from one recording to the next.
            self._connection.execute(
                "DELETE FROM region_name WHERE id NOT IN (SELECT region FROM site_packed WHERE region IS NOT NULL)"
            )
            self._connection.commit()
            self._region_ids.clear()

    # How it is written

    def _open(self) -> None:
        with self._writing():
            self._connection = sqlite3.connect(self.path)
        from sqlite_utils import Database  # takes longer than the rest of a start, and a replay writes nothing

        self._db = Database(self._connection, execute_plugins=False)
        self._is_open = True
        self._sites: dict[tuple[object, ...], int] = {}
        self._insns: dict[tuple[int, bytes, str], int] = {}
        self._region_ids: dict[str, int] = {}
        self._kinds: list[tuple[int, str]] = []
        """Size and counter of each site."""
        self._pending: list[ExitRow] = []
        self._next_seq = 0
        self._counts = {"reads_pio": 0, "writes_pio": 0, "reads_mmio": 0, "writes_mmio": 0}

    def _load(self) -> None:
        """Take up the thread of a trace that exists."""
        closed = self._connection.execute("SELECT value FROM meta WHERE key = 'closed'").fetchone()
        if closed == (1,):
            raise TraceError(f"{self.path}: closed: a finished recording is not changed; make a new one")
        for site in self._connection.execute(
            "SELECT vcpu, pc, space, direction, address, size, string, insn, text, region FROM site ORDER BY id"
        ):
            vcpu, pc, space, direction, address, size, string, insn, text, region = site
            key = (vcpu, pc & U64_MASK, space, direction, address & U64_MASK, size, bool(string), insn, text, region)
            self._sites[key] = len(self._kinds)
            self._kinds.append((size, _counter(space, direction)))
        for pc, insn, text, number in self._connection.execute("SELECT pc, bytes, text, id FROM insn"):
            self._insns[pc, insn, text] = number
        (next_seq,) = self._connection.execute("SELECT coalesce(max(seq) + 1, 0) FROM exit").fetchone()
        self._next_seq = int(next_seq)

    def _insn_id(self, pc: int, insn: bytes, text: str) -> int:
        if (pc, insn, text) not in self._insns:
            (number,) = self._connection.execute(
                "INSERT INTO insn (pc, bytes, text) VALUES (?, ?, ?) RETURNING id", (pc, insn, text)
            ).fetchone()
            self._insns[pc, insn, text] = number
        return self._insns[pc, insn, text]

    def _region_id(self, name: str) -> int | None:
        if name and name not in self._region_ids:
            self._connection.execute("INSERT OR IGNORE INTO region_name (name) VALUES (?)", (name,))
            (number,) = self._connection.execute("SELECT id FROM region_name WHERE name = ?", (name,)).fetchone()
            self._region_ids[name] = number
        return self._region_ids.get(name)

    def _set_all(self, facts: Mapping[str, MetaValue]) -> None:
        rows = [
            {"key": key, "value": value if isinstance(value, (str, int)) else json.dumps(value)}
            for key, value in facts.items()
        ]
        with self._writing():
            self._db.table("meta").upsert_all(rows, pk="key")

    def _flush(self) -> None:
        exits, epochs = _in_epochs(self._pending)
        self._connection.executemany("INSERT INTO exit (seq, dt_ns, site, value) VALUES (?, ?, ?, ?)", exits)
        self._connection.executemany("INSERT INTO epoch (first, last, t_ns) VALUES (?, ?, ?)", epochs)
        self._connection.commit()
        self._pending.clear()

    def _write_counters(self) -> None:
        if self._is_ours:
            counters = {"exits": self._next_seq, "sites": len(self._sites), **self._counts, "dropped": 0}
            self._db.table("meta").insert_all(
                ({"key": key, "value": value} for key, value in counters.items()), pk="key", ignore=True
            )
            return
        present = {key for (key,) in self._connection.execute("SELECT key FROM meta")}
        missing = [key for key in COUNTERS if key not in present]
        if missing:
            raise TraceError(
                f"{self.path}: cannot be closed: the recorder's counters are missing ({', '.join(missing)}), so it "
                "was cut off; record again"
            )

    def _shut(self) -> None:
        self._is_open = False
        self._connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise TraceError(f"{self.path}: cannot be written: {error}") from error


def _make_file(path: Path, overwrite: bool) -> None:
    """Make an empty file at `path`, without a journal that an earlier file of that name has left."""
    try:
        if path.exists() and not path.is_file():
            raise OutputExistsError(f"{path}: exists and is not a regular file; choose another name")
        if overwrite:
            path.unlink(missing_ok=True)
        with path.open("xb"):
            pass
        for suffix in _JOURNALS:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except FileExistsError:
        raise OutputExistsError(f"{path}: exists; choose another name, or overwrite it with --force") from None
    except FileNotFoundError:
        raise TraceError(f"{path}: cannot be made: there is no folder {path.parent}; make it first") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be made: {error.strerror}; choose another place") from error


def _in_epochs(exits: Sequence[ExitRow]) -> tuple[list[ExitRow], list[tuple[int, int, int]]]:
    """Rows of `exit`, their times as offsets, and the rows of `epoch` that these offsets are from."""
    rows: list[ExitRow] = []
    bases: list[tuple[int, int]] = []
    base = wide = 0
    for seq, t_ns, site, value in exits:
        is_wide = not -_NEAR_NS <= t_ns - base < _NEAR_NS
        if not bases or (is_wide and wide == _EPOCH_WIDE_MAX):
            # Times rise: the first exit has the lowest offset of two bytes.
            base = min(t_ns + _NEAR_NS, _MAX_NS)
            bases.append((seq, base))
            is_wide, wide = False, 0
        wide += is_wide
        rows.append((seq, t_ns - base, site, value))
    ends = [first - 1 for first, _ in bases[1:]] + [row[0] for row in rows[-1:]]
    return rows, [(first, last, t_ns) for (first, t_ns), last in zip(bases, ends, strict=True)]


def _counter(space: str, direction: str) -> str:
    """The counter, a key of `meta`, that an access counts for."""
    return f"{'reads' if direction == 'r' else 'writes'}_{space}"


def _name_of(view: Sequence[tuple[int, int, str, int]], space: str, address: int, since: int) -> str:
    """The name of the region at `address`: of the first in `view`, (first, last, name, snapshot), that is no older."""
    for first, last, name, snapshot in view:
        if (
            snapshot >= since
            and first & U64_MASK <= address <= last & U64_MASK
            and name not in _NO_NAMES
            and (space, name) != _BACKGROUND
        ):
            return name
    return ""
