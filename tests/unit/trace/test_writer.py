from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vmdev.replay.errors import (
    NotATraceError,
    OutputExistsError,
    TraceCorruptError,
    TraceError,
    TraceNotFoundError,
    TraceVersionError,
)
from vmdev.replay.guest import PciBar, PciFunction, Region
from vmdev.replay.trace import U64_MASK, Event, TraceReader, TraceWriter, find_gaps, schema, writer


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


# Making and closing


def test_new_trace_says_its_format_and_what_made_it(path: Path) -> None:
    TraceWriter(path, meta={"machine": "pc", "smp": 1}).close()
    with TraceReader(path) as opened:
        meta = opened.meta
    assert (meta["format"], meta["machine"], meta["smp"]) == (2, "pc", 1)
    assert meta["vmdev"]


def test_closing_writes_the_counters(path: Path) -> None:
    with TraceWriter(path) as new:
        port = new.add_site(address=0x60, direction="r")
        memory = new.add_site(address=0x60, direction="w", space="mmio")
        for site in (port, memory, memory):
            new.add_exit(0, site, 0)
    with TraceReader(path) as opened:
        counters = {key: opened.meta[key] for key in schema.COUNTERS}
        assert find_gaps(opened, opened.count_by_site()) == []
    assert counters == {
        "exits": 3,
        "sites": 2,
        "reads_pio": 1,
        "writes_pio": 0,
        "reads_mmio": 0,
        "writes_mmio": 2,
        "dropped": 0,
    }


def test_counters_that_were_set_stay(path: Path) -> None:
    TraceWriter(path, meta={"dropped": 3}).close()
    with TraceReader(path) as opened:
        assert opened.meta["dropped"] == 3


def test_closed_is_written_after_everything_else(path: Path) -> None:
    new = TraceWriter(path)
    statements: list[str] = []
    new._connection.set_trace_callback(statements.append)
    new.add_exit(0, new.add_site(address=0x60, direction="r"), 1)
    new.close()
    writing = [statement for statement in statements if statement.startswith(("INSERT", "UPDATE", "COMMIT"))]
    (closing_at,) = [number for number, statement in enumerate(writing) if "'closed'" in statement]
    assert writing[closing_at - 1] == "COMMIT"
    assert writing[closing_at + 1 :] == ["COMMIT"]


def test_exception_leaves_the_trace_unclosed_but_readable(path: Path) -> None:
    def write() -> None:
        with TraceWriter(path) as new:
            new.add_exit(5, new.add_site(address=0x60, direction="r"), 1)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write()
    with TraceReader(path) as opened:
        assert not opened.closed
        assert opened.exit(0) == (0, 5, 0, 1)


def test_closing_twice_does_nothing(path: Path) -> None:
    with TraceWriter(path) as new:
        new.close()
        new.suspend()


def test_existing_file_is_not_overwritten(trace: Path) -> None:
    before = trace.read_bytes()
    with pytest.raises(OutputExistsError, match="exists; choose another name, or overwrite it with --force"):
        TraceWriter(trace)
    assert trace.read_bytes() == before


def test_existing_file_is_overwritten_on_demand(trace: Path) -> None:
    TraceWriter(trace, overwrite=True).close()
    with TraceReader(trace) as opened:
        assert opened.exit_count == 0


def test_journal_of_an_earlier_file_is_removed(path: Path) -> None:
    journals = [path.with_name(path.name + suffix) for suffix in ("-journal", "-wal", "-shm")]
    for journal in journals:
        journal.write_bytes(b"old")
    TraceWriter(path).close()
    assert not any(journal.exists() for journal in journals)


def test_directory_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists and is not a regular file; choose another name"):
        TraceWriter(tmp_path, overwrite=True)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"there is no folder .*/nowhere; make it first"):
        TraceWriter(tmp_path / "nowhere" / "trace.db")


def test_file_that_cannot_be_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    with pytest.raises(TraceError, match="cannot be made: Permission denied; choose another place"):
        TraceWriter(path)


def test_trace_is_one_file(path: Path) -> None:
    new = TraceWriter(path)
    new.suspend()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    again = TraceWriter.open_existing(path)
    for key in schema.COUNTERS:
        again.set_meta(key, 0)
    again.close()
    assert path.read_bytes()[18:20] == b"\1\1"
    assert list(path.parent.iterdir()) == [path]


# Continuing


def test_continued_trace_goes_on_where_it_stopped(path: Path) -> None:
    new = TraceWriter(path)
    place = {"address": 0x60, "direction": "r", "pc": U64_MASK, "insn": b"\xec", "region": "i8042-data"}
    assert new.add_site(**place) == 0  # type: ignore[arg-type]
    assert new.add_exit(0, 0, 1) == 0
    new.suspend()
    again = TraceWriter.open_existing(path)
    assert again.add_site(**place) == 0  # type: ignore[arg-type]
    assert again.add_site(address=0x64, direction="r", region="i8042-cmd") == 1
    assert again.add_exit(1, 1, 2) == 1
    again.add_event("marker")
    again.suspend()
    with TraceReader(path) as opened:
        assert [site.address for site in opened.sites] == [0x60, 0x64]
        assert list(opened.exits()) == [[(0, 0, 0, 1), (1, 1, 1, 2)]]
        assert opened.events() == [Event(2, 0, None, "marker", "")]


def test_continued_trace_needs_its_recorders_counters_to_be_closed(path: Path) -> None:
    TraceWriter(path).suspend()
    again = TraceWriter.open_existing(path)
    again.set_meta("exits", 0)
    with pytest.raises(
        TraceError, match=r"cannot be closed: the recorder's counters are missing \(sites, .*record again"
    ):
        again.close()
    with TraceReader(path) as opened:
        assert not opened.closed


def test_counters_of_the_recorder_are_not_changed(path: Path) -> None:
    TraceWriter(path).suspend()
    again = TraceWriter.open_existing(path)
    for number, key in enumerate(schema.COUNTERS):
        again.set_meta(key, number)
    again.close()
    with TraceReader(path) as opened:
        assert [opened.meta[key] for key in schema.COUNTERS] == list(range(7))
        assert opened.closed


def test_closed_trace_is_not_continued(trace: Path) -> None:
    with pytest.raises(TraceError, match="closed: a finished recording is not changed; make a new one"):
        TraceWriter.open_existing(trace)


def test_missing_trace_is_not_continued(path: Path) -> None:
    with pytest.raises(TraceNotFoundError, match="no such file"):
        TraceWriter.open_existing(path)
    assert not path.exists()


def test_something_else_is_not_continued(path: Path) -> None:
    path.write_text("text")
    with pytest.raises(NotATraceError, match="not an SQLite file"):
        TraceWriter.open_existing(path)


def test_other_format_is_not_continued(path: Path) -> None:
    TraceWriter(path).suspend()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(TraceVersionError, match="newer"):
        TraceWriter.open_existing(path)


# Facts


def test_lists_and_mappings_are_json(path: Path) -> None:
    TraceWriter(path, meta={"command": ["qemu", "-M pc"], "images": [{"path": "a"}]}).close()
    with TraceReader(path) as opened:
        assert json.loads(str(opened.meta["command"])) == ["qemu", "-M pc"]
        assert json.loads(str(opened.meta["images"])) == [{"path": "a"}]


def test_fact_can_be_set_again(path: Path) -> None:
    with TraceWriter(path) as new:
        new.set_meta("seed", "0")
        new.set_meta("seed", 1)
    with TraceReader(path) as opened:
        assert opened.meta["seed"] == 1


def test_pci_function_with_its_bars(path: Path) -> None:
    bars = [
        {"bar": 0, "type": "memory", "address": 0xFD00_0000, "size": 1 << 24, "mem_type_64": False, "prefetch": True},
        {"bar": 1, "type": "io", "address": -1, "size": 16},
    ]
    with TraceWriter(path) as new:
        new.add_pci_function(PciFunction(0, 2, 0, 0x1234, 0x1111, 0x0300, "vga"), bars)
    with TraceReader(path) as opened:
        (function,) = opened.guest.functions
    assert function == PciFunction(
        *(0, 2, 0, 0x1234, 0x1111, 0x0300, "vga"),
        bars=(
            PciBar(0, 1 << 24, is_io=False, is_64=False, prefetch=True, address=0xFD00_0000),
            PciBar(1, 16, is_io=True, is_64=False, prefetch=False, address=None),
        ),
    )
    assert query(path, "SELECT bars FROM pci_function") == [(json.dumps(bars),)]


def test_bars_that_cannot_be_read_are_damage(path: Path) -> None:
    with TraceWriter(path) as new:
        new.add_pci_function(PciFunction(0, 2, 0, 0x1234, 0x1111, 0x0300), [{"bar": 0, "size": 16}])
    with TraceReader(path) as opened, pytest.raises(TraceCorruptError, match="base addresses of a PCI function"):
        opened.guest  # noqa: B018


def test_number_of_exits_is_kept_with_a_snapshot(path: Path) -> None:
    with TraceWriter(path) as new:
        new.add_regions(1, 42, [Region("pio", 0x60, 0x60, "i8042-data", snapshot=9)])
    assert query(path, "SELECT snapshot, seq FROM region") == [(1, 42)]


# Accesses


def test_same_place_gives_the_same_site(path: Path) -> None:
    with TraceWriter(path) as new:
        assert new.add_site(address=0x60, direction="r") == 0
        assert new.add_site(address=0x60, direction="w") == 1
        assert new.add_site(address=0x60, direction="r") == 0


def test_instruction_is_stored_once(path: Path) -> None:
    with TraceWriter(path) as new:
        new.add_site(address=0x60, direction="r", pc=5, insn=b"\xec")
        new.add_site(address=0x64, direction="r", pc=5, insn=b"\xec")
    assert query(path, "SELECT count(*) FROM insn") == [(1,)]


@pytest.mark.parametrize(
    "place",
    [{"size": 3}, {"size": 16}, {"space": "io"}, {"direction": "rw"}],
)
def test_impossible_site_is_refused(path: Path, place: dict[str, Any]) -> None:
    with TraceWriter(path) as new, pytest.raises(ValueError, match="no access"):
        new.add_site(**{"address": 0, "direction": "r", **place})


@pytest.mark.parametrize(
    ("t_ns", "site", "value", "message"),
    [
        (0, 1, 0, "there is no site 1; the last is 0"),
        (0, -1, 0, "there is no site -1"),
        (0, 0, 0x100, "value 0x100 does not fit the 1 bytes of site 0"),
        (0, 0, -1, "does not fit"),
        (-1, 0, 0, "the time must be from 0 to 9223372036854775807, not -1"),
        (1 << 63, 0, 0, "the time must be from 0 to 9223372036854775807, not 9223372036854775808"),
    ],
)
def test_impossible_exit_is_refused(path: Path, t_ns: int, site: int, value: int, message: str) -> None:
    with TraceWriter(path) as new:
        new.add_site(address=0x60, direction="r")
        with pytest.raises(ValueError, match=message):
            new.add_exit(t_ns, site, value)


def test_batches_make_no_difference(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH", 3)
    with TraceWriter(path) as new:
        site = new.add_site(address=0x60, direction="r")
        assert [new.add_exit(seq, site, seq) for seq in range(8)] == list(range(8))
        with TraceReader(path) as opened:
            assert opened.exit_count == 6
    with TraceReader(path) as opened:
        assert list(opened.exits()) == [[(seq, seq, 0, seq) for seq in range(8)]]


def test_batches_end_with_an_epoch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH", 3)
    with TraceWriter(path) as new:
        site = new.add_site(address=0x60, direction="r")
        for t_ns in (5, 6, 7, 5, 3):
            new.add_exit(t_ns, site, 0)
    assert query(path, "SELECT * FROM epoch") == [(0, 2, 32773), (3, 4, 32773)]
    assert query(path, "SELECT t_ns FROM access ORDER BY seq") == [(5,), (6,), (7,), (5,), (3,)]


def test_times_that_fit_two_bytes_share_an_epoch(path: Path) -> None:
    assert epochs(path, [1000, 1000 + 65535, 1001, 1000]) == [(0, 3, 33768)]


def test_epoch_ends_when_more_times_than_four_are_far_off(path: Path) -> None:
    """The recorder's test has the same times and the same epochs."""
    times = [50, 100000, 51, 0, 100001, 100002, 52, 165538, 100003]
    assert epochs(path, times) == [(0, 6, 32818), (7, 8, 198306)]


def epochs(path: Path, times: list[int]) -> list[tuple[Any, ...]]:
    """The epochs of exits at these times."""
    with TraceWriter(path) as new:
        site = new.add_site(address=0x60, direction="r")
        for t_ns in times:
            new.add_exit(t_ns, site, 0)
    return query(path, "SELECT * FROM epoch")


@settings(deadline=None, max_examples=60)
@given(
    first=st.integers(0, (1 << 63) - 1),
    steps=st.lists(
        st.integers(0, 200) | st.integers(-70_000, 70_000) | st.integers(-(1 << 63), 1 << 63),
        max_size=60,
    ),
    batch=st.integers(1, 61),
    chunk=st.integers(1, 61),
)
@example(first=0, steps=[(1 << 63) - 1, -(1 << 63)] * 6, batch=61, chunk=61)
def test_any_times_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, first: int, steps: list[int], batch: int, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.db"
    times = [min(max(t_ns, 0), (1 << 63) - 1) for t_ns in accumulate(steps, initial=first)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_BATCH", batch)
        with TraceWriter(path) as new:
            site = new.add_site(address=0x60, direction="r")
            for t_ns in times:
                new.add_exit(t_ns, site, 0)
    with TraceReader(path) as opened:
        assert [row[1] for rows in opened.exits(chunk=chunk) for row in rows] == times
        assert [row[1] for rows in opened.find() for row in rows] == times
        assert [row[1] for row in opened.context(len(times), [site], len(times))] == times
        middle = sorted(times)[len(times) // 2]
        assert [row[1] for rows in opened.find(to_ns=middle) for row in rows] == [t for t in times if t <= middle]
    assert query(path, "SELECT t_ns FROM access ORDER BY seq") == [(t_ns,) for t_ns in times]


def test_event_belongs_before_the_next_exit_unless_told_otherwise(path: Path) -> None:
    with TraceWriter(path) as new:
        new.add_exit(0, new.add_site(address=0x60, direction="r"), 0)
        new.add_event("a")
        new.add_event("b", seq=0)
    with TraceReader(path) as opened:
        assert [(event.seq, event.kind) for event in opened.events()] == [(0, "b"), (1, "a")]


def test_write_errors_are_told_in_one_line(path: Path) -> None:
    with TraceWriter(path) as new:
        new._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(TraceError, match=f"^{path}: cannot be written: attempt to write a readonly database$"):
            new.set_meta("a", 1)
        new._connection.execute("PRAGMA query_only = OFF")


@settings(deadline=None, max_examples=30)
@given(
    places=st.lists(
        st.fixed_dictionaries(
            {
                "address": st.integers(0, U64_MASK),
                "direction": st.sampled_from(["r", "w"]),
                "size": st.sampled_from([1, 2, 4, 8]),
                "space": st.sampled_from(["pio", "mmio"]),
                "pc": st.integers(0, U64_MASK),
                "vcpu": st.integers(0, 255),
                "string": st.booleans(),
                "insn": st.binary(max_size=16),
                "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
                "region": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
            }
        ),
        min_size=1,
        max_size=5,
    ),
    data=st.data(),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, places: list[dict[str, Any]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.db"
    expected: list[tuple[int, int, int, int]] = []
    with TraceWriter(path) as new:
        ids = [new.add_site(**place) for place in places]
        for seq in range(data.draw(st.integers(0, 5))):
            number = data.draw(st.integers(0, len(places) - 1))
            t_ns = data.draw(st.integers(0, (1 << 63) - 1))
            value = data.draw(st.integers(0, (1 << 8 * places[number]["size"]) - 1))
            assert new.add_exit(t_ns, ids[number], value) == seq
            expected.append((seq, t_ns, ids[number], value))
    with TraceReader(path) as opened:
        for site, place in zip(ids, places, strict=True):
            assert {key: getattr(opened.sites[site], key) for key in place} == place
        found = [(*row[:3], row[3] & U64_MASK) for rows in opened.exits() for row in rows]
        assert found == expected
        assert find_gaps(opened, opened.count_by_site()) == []


# Names of regions


def resolve(path: Path, *sites: dict[str, Any], views: list[list[Region]]) -> list[str]:
    """The names that sites get from these snapshots."""
    with TraceWriter(path) as new:
        for site in sites:
            new.add_site(**{"direction": "r", **site})
        for snapshot, regions in enumerate(views):
            new.add_regions(snapshot, 0, regions)
        new.resolve_regions()
    with TraceReader(path) as opened:
        return [site.region for site in opened.sites]


BACKGROUND = Region("pio", 0, 0xFFFF, "io")
PORTS = [
    Region("pio", 0x60, 0x60, "i8042-data"),
    Region("pio", 0x61, 0x63, "io"),
    Region("pio", 0x64, 0x64, "i8042-cmd"),
]


def test_ports_are_named_from_the_map(path: Path) -> None:
    names = resolve(path, {"address": 0x60}, {"address": 0x64}, views=[PORTS])
    assert names == ["i8042-data", "i8042-cmd"]


def test_background_and_unmapped_ports_have_no_name(path: Path) -> None:
    assert resolve(path, {"address": 0x62}, {"address": 0x999}, views=[PORTS]) == ["", ""]


def test_latest_snapshot_names_a_port(path: Path) -> None:
    early = [Region("pio", 0xC000, 0xC00F, "early"), Region("pio", 0xD000, 0xD00F, "gone"), BACKGROUND]
    late = [Region("pio", 0xC000, 0xC00F, "late"), BACKGROUND]
    names = resolve(path, {"address": 0xC00F}, {"address": 0xD000}, {"address": 0xC010}, views=[early, late])
    assert names == ["late", "gone", ""]


def test_name_from_the_recorder_stays(path: Path) -> None:
    memory = {"space": "mmio", "address": 0xFEC00000, "region": "ioapic"}
    assert resolve(path, memory, views=[[Region("mmio", 0xFEC00000, 0xFEC00FFF, "other")]]) == ["ioapic"]


def test_region_without_a_name_in_qemu_is_named_from_the_map(path: Path) -> None:
    memory = {"space": "mmio", "address": 0xFED00000, "region": "anon12345678"}
    assert resolve(path, memory, views=[[Region("mmio", 0xFED00000, 0xFED003FF, "hpet")]]) == ["hpet"]
    assert query(path, "SELECT name FROM region_name") == [("hpet",)]


def test_host_address_never_stays_in_the_trace(path: Path) -> None:
    memory = {"space": "mmio", "address": 0xFED00000, "region": "anon12345678"}
    assert resolve(path, memory, views=[[Region("mmio", 0xFED00000, 0xFED003FF, "(null)")]]) == ["unnamed"]
    assert query(path, "SELECT name FROM region_name") == [("unnamed",)]


def test_spaces_are_apart_and_ram_names_nothing(path: Path) -> None:
    views = [[Region("mmio", 0, 0xFFFF, "pc.ram", "ram"), Region("mmio", 0x60, 0x60, "memory")]]
    names = resolve(path, {"address": 0x60}, {"space": "mmio", "address": 0x70}, views=views)
    assert names == ["", ""]


def test_region_at_the_end_of_the_address_space(path: Path) -> None:
    names = resolve(
        path,
        {"space": "mmio", "address": U64_MASK},
        views=[[Region("mmio", 1 << 63, U64_MASK, "high")]],
    )
    assert names == ["high"]
