from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmdev.replay.errors import TraceCorruptError
from vmdev.replay.guest import PciFunction, Region
from vmdev.replay.trace import U64_MASK, Event, Interrupt, Site, TraceReader, TraceWriter, reader


def seqs(chunks: object) -> list[int]:
    return [row[0] for rows in chunks for row in rows]  # type: ignore[attr-defined]


# Facts


def test_sites_are_indexed_by_id(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert opened.sites == [
            Site(0, 0, 0xFEC18, "pio", "r", 0x71, 1, False, b"\xe4\x71", "inb $0x71, %al", "rtc"),
            Site(1, 0, U64_MASK - 15, "mmio", "w", 0xFEE000B0, 4, False, b"", "", "apic-msi"),
        ]


def test_guest_is_what_meta_and_the_tables_say(trace: Path) -> None:
    with TraceReader(trace) as opened:
        guest = opened.guest
    assert (guest.machine, guest.target, guest.clock, guest.rtc_base) == ("pc", "x86_64", "virtual", None)
    assert guest.regions == (Region("pio", 0, 0xFFFF, "io"), Region("pio", 0x71, 0x71, "rtc", offset=1))
    assert guest.functions == (PciFunction(0, 1, 3, 0x8086, 0x7113, 0x0680),)
    assert guest.meta["exits"] == 10


def test_guest_of_a_trace_that_knows_nothing_has_no_machine(path: Path) -> None:
    TraceWriter(path).close()
    with TraceReader(path) as opened:
        assert opened.guest.machine == ""


def test_rtc_base(path: Path) -> None:
    TraceWriter(path, meta={"rtc_base": "2026-01-01T00:00:00"}).close()
    with TraceReader(path) as opened:
        assert opened.guest.rtc_base == "2026-01-01T00:00:00"


def test_regions_are_ordered_by_snapshot_space_and_unsigned_address(path: Path) -> None:
    high = Region("mmio", 1 << 63, U64_MASK, "high", offset=1 << 63, priority=-1)
    low = Region("mmio", 0, 0xFFF, "low", "ram", snapshot=0)
    with TraceWriter(path) as writer:
        writer.add_regions(1, 5, [low])
        writer.add_regions(0, 0, [Region("pio", 0, 1, "port"), high, low])
    with TraceReader(path) as opened:
        assert [(region.snapshot, region.name) for region in opened.regions] == [
            (0, "low"),
            (0, "high"),
            (0, "port"),
            (1, "low"),
        ]
        assert opened.regions[1] == high


def test_events(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert opened.events() == [Event(0, 0, 0, "reset", "")]


def test_event_without_a_vcpu(path: Path) -> None:
    with TraceWriter(path) as writer:
        writer.add_event("marker", "here", t_ns=7)
    with TraceReader(path) as opened:
        assert opened.events() == [Event(0, 7, None, "marker", "here")]


def test_empty_trace(path: Path) -> None:
    TraceWriter(path).close()
    with TraceReader(path) as opened:
        assert (opened.closed, opened.exit_count, opened.sites, opened.regions, opened.events()) == (
            True,
            0,
            [],
            [],
            [],
        )
        assert list(opened.exits()) == []
        assert opened.context(0, [], 5) == []
        assert opened.count_by_site() == []


def test_unclosed_trace_opens(path: Path) -> None:
    writer = TraceWriter(path)
    writer.add_exit(0, writer.add_site(address=0x60, direction="r"), 1)
    writer.suspend()
    with TraceReader(path) as opened:
        assert not opened.closed
        assert opened.exit_count == 1


def test_closing_twice_does_no_harm(trace: Path) -> None:
    opened = TraceReader(trace)
    opened.close()
    opened.close()


# Exits


def test_exits_are_tuples_in_order(trace: Path) -> None:
    with TraceReader(trace) as opened:
        (rows,) = opened.exits()
    assert rows == [(seq, 100 * seq, seq % 2, seq) for seq in range(10)]


@pytest.mark.parametrize("chunk", [1, 3, 10, 11])
def test_chunks_make_no_difference(trace: Path, chunk: int) -> None:
    with TraceReader(trace) as opened:
        chunks = list(opened.exits(chunk=chunk))
    assert all(0 < len(rows) <= chunk for rows in chunks)
    assert seqs(chunks) == list(range(10))


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(3, None, range(3, 10)), (3, 7, range(3, 7)), (0, 99, range(10)), (5, 5, []), (7, 3, []), (10, None, [])],
)
def test_part_of_the_exits(trace: Path, start: int, stop: int | None, expected: range) -> None:
    with TraceReader(trace) as opened:
        assert seqs(opened.exits(start, stop, chunk=2)) == list(expected)


@pytest.mark.parametrize(("start", "stop", "chunk"), [(-1, None, 1), (0, -1, 1), (0, None, 0)])
def test_impossible_parts_are_refused(trace: Path, start: int, stop: int | None, chunk: int) -> None:
    with (
        TraceReader(trace) as opened,
        pytest.raises(ValueError, match="must not be negative and chunk must be positive"),
    ):
        next(opened.exits(start, stop, chunk))


def test_value_of_64_bits_is_stored_signed(path: Path) -> None:
    with TraceWriter(path) as writer:
        writer.add_exit(0, writer.add_site(address=0, direction="r", size=8, space="mmio"), U64_MASK)
    with TraceReader(path) as opened:
        assert opened.exit(0) == (0, 0, 0, -1)


def test_single_exit(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert opened.exit(9) == (9, 900, 1, 9)


@pytest.mark.parametrize("seq", [-1, 10])
def test_exit_that_does_not_exist(trace: Path, seq: int) -> None:
    with TraceReader(trace) as opened, pytest.raises(IndexError, match=f"no exit {seq}; it holds 0 to 9$"):
        opened.exit(seq)


@pytest.fixture
def last_exits(trace: Path, damage: Callable[..., None]) -> Path:
    """What a recorder leaves that keeps the last six exits only, of which the first is in the middle of an epoch."""
    damage(
        "UPDATE epoch SET last = 5",
        "INSERT INTO epoch SELECT 6, 9, t_ns + 1 FROM epoch",
        "UPDATE exit SET dt_ns = dt_ns - 1 WHERE seq >= 6",
        "DELETE FROM exit WHERE seq < 4",
        "INSERT INTO meta VALUES ('first_exit', 4)",
    )
    return trace


def test_only_the_last_exits_were_kept(last_exits: Path) -> None:
    with TraceReader(last_exits) as opened:
        assert (opened.first_exit, opened.end, opened.exit_count) == (4, 10, 6)
        assert seqs(opened.exits()) == seqs(opened.find()) == list(range(4, 10))
        assert seqs(opened.exits(2, 6)) == seqs(opened.find(2, 6)) == [4, 5]
        assert seqs(opened.exits(0, 4)) == seqs(opened.find(0, 3)) == []
        assert opened.exit(4) == (4, 400, 0, 4)
        assert opened.exit(6) == (6, 600, 0, 6)
        assert [row[0] for row in opened.context(8, [0], 9)] == [4, 6]
        assert opened.count_by_site() == [3, 3]
        with pytest.raises(IndexError, match=r"no exit 3; it holds 4 to 9$"):
            opened.exit(3)


def test_first_exit_must_be_the_one_that_is_told(last_exits: Path, damage: Callable[..., None]) -> None:
    damage("UPDATE meta SET value = 5 WHERE key = 'first_exit'")
    with pytest.raises(TraceCorruptError, match="the first exit has seq 4, not 5; copy it again"):
        TraceReader(last_exits)


def test_trace_without_exits_has_none_to_show(path: Path) -> None:
    TraceWriter(path).close()
    with TraceReader(path) as opened, pytest.raises(IndexError, match=r"no exit 0; it holds none$"):
        opened.exit(0)


def test_interrupts_are_read_in_order(path: Path) -> None:
    with TraceWriter(path) as writer:
        site = writer.add_site(address=0x60, direction="r")
        writer.add_interrupt(5, 0, 0x7C00, U64_MASK)
        writer.add_exit(7, site, 1)
        writer.add_interrupt(8, 1, 0x7C02, 0x100)
    with TraceReader(path) as opened:
        assert opened.interrupts() == [Interrupt(0, 5, 0, 0x7C00, U64_MASK), Interrupt(1, 8, 1, 0x7C02, 0x100)]


def test_exits_that_are_recorded_after_opening_are_not_seen(path: Path) -> None:
    writer = TraceWriter(path)
    site = writer.add_site(address=0x60, direction="r")
    writer.add_exit(0, site, 1)
    writer.suspend()
    with TraceReader(path) as opened:
        more = TraceWriter.open_existing(path)
        more.add_exit(1, site, 2)
        more.suspend()
        assert seqs(opened.exits()) == [0]


def test_sites_that_are_recorded_while_they_are_read_do_no_harm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = TraceWriter(path)
    writer.add_exit(0, writer.add_site(address=0x60, direction="r"), 1)
    writer.suspend()
    with TraceReader(path) as opened:
        bounds = opened._read_site_bounds

        def then_more() -> tuple[int, int]:
            found = bounds()
            more = TraceWriter.open_existing(path)
            more.add_exit(1, more.add_site(address=0x64 + found[1], direction="r"), 2)
            more.suspend()
            return found

        monkeypatch.setattr(opened, "_read_site_bounds", then_more)
        assert len(opened.packed_sites) == 1
        assert len(opened.sites) == 2
        assert opened.site(0) == opened.sites[0]
        with pytest.raises(IndexError):
            opened.site(2)


# The quickest form


def test_accesses_are_exits_without_their_numbers(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "STREAM_CHUNK", 4)
    with TraceReader(trace) as opened:
        assert [(first, len(rows)) for first, rows in opened.accesses()] == [(0, 4), (4, 4), (8, 2)]
        assert list(opened.accesses(7, 9)) == [(7, [(700, 1, 7), (800, 0, 8)])]


def test_accesses_have_unsigned_values(path: Path) -> None:
    with TraceWriter(path) as writer:
        site = writer.add_site(address=0, direction="r", size=8, space="mmio")
        for value in (U64_MASK, 1, 1 << 63):
            writer.add_exit(5, site, value)
    with TraceReader(path) as opened:
        assert list(opened.accesses()) == [(0, [(5, 0, U64_MASK), (5, 0, 1), (5, 0, 1 << 63)])]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM exit WHERE seq = 5",
        "UPDATE exit SET site = 2 WHERE seq = 5",
        "UPDATE exit SET site = -1 WHERE seq = 5",
    ],
)
def test_damage_is_found_in_the_quickest_form_too(trace: Path, damage: Callable[..., None], statement: str) -> None:
    damage(statement)
    with TraceReader(trace) as opened, pytest.raises(TraceCorruptError, match="exit 5 "):
        list(opened.accesses())


def test_a_site_is_read_alone_or_with_all_others(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert opened.packed_sites == [(0x71, 1, 0, 2), (0xFEE000B0, 4 | 16 | 32, 0, 1)]
        assert [opened.region_names[region or 0] for _, _, _, region in opened.packed_sites] == ["rtc", "apic-msi"]
        alone = [opened.site(number) for number in range(2)]
        assert alone == opened.sites


# Context


def test_context_is_the_last_exits_of_these_sites_oldest_first(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert [row[0] for row in opened.context(7, [0], 2)] == [4, 6]
        assert [row[0] for row in opened.context(7, [0, 1], 3)] == [4, 5, 6]


def test_context_at_the_beginning(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert [row[0] for row in opened.context(1, [0, 1], 3)] == [0]
        assert opened.context(0, [0], 3) == []
        assert opened.context(5, [], 3) == []
        assert opened.context(5, [0], 0) == []


def test_context_looks_no_further_than_its_window(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CONTEXT_WINDOW", 3)
    with TraceReader(trace) as opened:
        assert [row[0] for row in opened.context(9, [0], 8)] == [6, 8]


# Finding


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, range(10)),
        ({"site_ids": [1]}, [1, 3, 5, 7, 9]),
        ({"site_ids": []}, []),
        ({"from_ns": 300, "to_ns": 500}, [3, 4, 5]),
        ({"start": 2, "stop": 8, "site_ids": [0], "from_ns": 300}, [4, 6]),
        ({"from_ns": 1 << 70}, []),
        ({"to_ns": 1 << 70, "start": 1 << 70}, []),
    ],
)
@pytest.mark.parametrize("step", [3, 100])
def test_find(
    trace: Path, arguments: dict[str, int], expected: range, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "FIND_STEP", step)
    with TraceReader(trace) as opened:
        assert seqs(opened.find(**arguments)) == list(expected)  # type: ignore[arg-type]


def test_many_sites_can_be_looked_for_at_once(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert seqs(opened.find(site_ids=range(100_000))) == list(range(10))


def test_counts_by_site(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TALLY_STEP", 4)
    steps: list[int] = []
    with TraceReader(trace) as opened:
        assert opened.count_by_site(steps.append) == [5, 5]
    assert steps == [4, 4, 2]


def test_check_of_a_sound_file_finds_nothing(trace: Path) -> None:
    with TraceReader(trace) as opened:
        assert opened.check_file() == []


# Damage


def read_all(path: Path) -> None:
    with TraceReader(path) as opened:
        assert opened.sites
        assert opened.guest.meta
        opened.events()
        for _ in opened.exits(chunk=4):
            pass


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM exit WHERE seq = 0", "the first exit has seq 1, not 0"),
        ("UPDATE exit SET seq = -1 WHERE seq = 0", "the first exit has seq -1, not 0"),
        ("DELETE FROM exit WHERE seq = 5", "exit 5 is missing, though exit 9 is there"),
        ("DELETE FROM exit WHERE seq IN (8, 3)", "exit 3 is missing"),
        ("UPDATE exit SET seq = 20 WHERE seq = 9", "not all exits from 0 to 20 have epochs: they are of exits 0 to 9"),
        ("UPDATE epoch SET last = 8", "not all exits from 0 to 9 have epochs: they are of exits 0 to 8"),
        ("UPDATE epoch SET first = 1", "not all exits from 0 to 9 have epochs: they are of exits 1 to 9"),
        ("DELETE FROM epoch", "not all exits from 0 to 9 have epochs: there are none"),
        ("UPDATE epoch SET last = -1", "an epoch is from exit 0 to -1 at 32768 ns;"),
        ("UPDATE epoch SET t_ns = -5", "an epoch is from exit 0 to 9 at -5 ns;"),
        (
            "INSERT INTO epoch VALUES (9, 12, 7)",  # they overlap
            "an epoch is from exit 0 to 9 at 32768 ns, and the next from exit 9;",
        ),
        (
            "INSERT INTO epoch VALUES (11, 12, 7)",  # they leave one out
            "an epoch is from exit 0 to 9 at 32768 ns, and the next from exit 11;",
        ),
        ("UPDATE exit SET site = 2 WHERE seq = 6", "exit 6 has site 2, but there are 2 sites"),
        ("UPDATE exit SET site = -1 WHERE seq = 6", "exit 6 has site -1, but there are 2 sites"),
        ("UPDATE exit SET dt_ns = -32769 WHERE seq = 4", "exit 4 is no access: t_ns -1, site 0, value 4"),
        ("UPDATE exit SET dt_ns = 9223372036854775807 WHERE seq = 4", "exit 4 is no access: t_ns 9.22"),
        ("UPDATE site_packed SET id = 7 WHERE id = 1", "the site after 1 others has id 7, not 1"),
        ("UPDATE site_packed SET insn = 99 WHERE id = 0", "the site after 0 others has id 1, not 0"),
        ("UPDATE site_packed SET kind = 3 WHERE id = 1", "site 1 has 3 bytes"),
        ("UPDATE meta SET value = 1.5 WHERE key = 'exits'", "in meta, value is 1.5"),
        ("UPDATE meta SET value = x'00' WHERE key = 'machine'", "in meta, value is b'.x00'"),
    ],
)
def test_damage_is_found_and_told(trace: Path, damage: Callable[..., None], statement: str, message: str) -> None:
    damage(statement)
    with pytest.raises(TraceCorruptError, match=message) as caught:
        read_all(trace)
    assert str(caught.value).startswith(f"{trace}: ")
    assert str(caught.value).endswith("; copy it again, or record again")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE exit SET value = NULL WHERE seq = 6", "exit 6 is no access: t_ns 600, site 0, value None"),
        ("UPDATE exit SET value = 'a' WHERE seq = 6", "exit 6 is no access: t_ns 600, site 0, value 'a'"),
        ("UPDATE exit SET value = x'00' WHERE seq = 6", "exit 6 is no access"),
        ("UPDATE exit SET site = NULL WHERE seq = 6", "exit 6 is no access: t_ns 600, site None, value 6"),
        ("UPDATE exit SET dt_ns = NULL WHERE seq = 6", "exit 6 is no access: t_ns None, site 0, value 6"),
    ],
)
def test_values_of_another_type_are_found(
    trace: Path, damage_untyped: Callable[[str], None], statement: str, message: str
) -> None:
    damage_untyped(statement)
    with pytest.raises(TraceCorruptError, match=message):
        read_all(trace)


def test_file_check_finds_values_of_another_type(trace: Path, damage_untyped: Callable[[str], None]) -> None:
    damage_untyped("UPDATE exit SET value = NULL WHERE seq = 6")
    with TraceReader(trace) as opened:
        assert opened.check_file() == ["NULL value in exit.value"]


def test_counting_finds_a_site_that_does_not_exist(trace: Path, damage: Callable[..., None]) -> None:
    damage("UPDATE exit SET site = 2 WHERE seq = 6")
    with TraceReader(trace) as opened, pytest.raises(TraceCorruptError, match="exit 6 has site 2"):
        opened.count_by_site()


def test_overwritten_pages_are_found(path: Path) -> None:
    with TraceWriter(path) as writer:
        site = writer.add_site(address=0x60, direction="r")
        for _ in range(5000):
            writer.add_exit(0, site, 1)
    with path.open("r+b") as file:
        file.seek(-8 * 4096, 2)
        file.write(b"\xa5" * 4 * 4096)
    with TraceReader(path) as opened, pytest.raises(TraceCorruptError, match=r"damaged between exits \d+ and \d+ \("):
        for _ in opened.exits():
            pass


def test_text_that_is_not_utf8_is_readable(trace: Path, damage: Callable[..., None]) -> None:
    damage("UPDATE region_name SET name = CAST(x'72ff' AS TEXT) WHERE name = 'rtc'")
    with TraceReader(trace) as opened:
        assert opened.sites[0].region == "r\\xff"
