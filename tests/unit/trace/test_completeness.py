from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmdev.replay.trace import TraceReader, TraceWriter, Verification, find_gaps, find_losses, verify


def gaps(path: Path, thorough: bool = True) -> list[str]:
    with TraceReader(path) as trace:
        return find_gaps(trace, trace.count_by_site() if thorough else None)


@pytest.mark.parametrize("thorough", [False, True])
def test_closed_trace_with_the_right_counters_is_complete(trace: Path, thorough: bool) -> None:
    assert gaps(trace, thorough) == []


def test_recording_that_was_cut_off(path: Path) -> None:
    TraceWriter(path).suspend()
    assert gaps(path) == [
        "not closed: the recording was cut off, and its end is missing",
        "the recorder's counters are missing: exits, sites, reads_pio, writes_pio, reads_mmio, writes_mmio, dropped",
    ]


def test_verified_recording_is_complete(trace: Path, damage: Callable[..., None]) -> None:
    damage("""INSERT INTO meta VALUES ('verified', '{"complete": true, "lost": 0}')""")
    assert gaps(trace) == []


@pytest.mark.parametrize(
    ("statement", "gap"),
    [
        ("UPDATE meta SET value = 'qemu-died' WHERE key = 'end_reason'", "QEMU died while it was being recorded"),
        ("UPDATE meta SET value = 3 WHERE key = 'dropped'", "3 accesses were dropped"),
        (
            """INSERT INTO meta VALUES ('verified', '{"complete": false, "lost": 2}')""",
            """QEMU's own trace events of the run tell of other accesses: {"complete": false, "lost": 2}""",
        ),
        ("UPDATE meta SET value = 11 WHERE key = 'exits'", "the recorder counted 11 exits, but the trace holds 10"),
        ("DELETE FROM exit WHERE seq = 9", "the recorder counted 10 exits, but the trace holds 9"),
        ("UPDATE meta SET value = 3 WHERE key = 'sites'", "the recorder counted 3 sites, but the trace holds 2"),
        ("DELETE FROM meta WHERE key = 'dropped'", "the recorder's counters are missing: dropped"),
    ],
)
def test_what_is_told_without_counting(trace: Path, damage: Callable[..., None], statement: str, gap: str) -> None:
    damage("INSERT INTO meta VALUES ('end_reason', 'guest')", statement)
    assert gap in gaps(trace, thorough=False)


@pytest.mark.parametrize(
    ("statement", "gap"),
    [
        ("DELETE FROM exit WHERE seq = 4", "exits are not gapless: 9 rows, but the last is number 9"),
        ("UPDATE exit SET site = 1 WHERE seq = 4", "the recorder counted 5 reads of pio, but the trace holds 4"),
        ("UPDATE exit SET site = 1 WHERE seq = 4", "the recorder counted 5 writes of mmio, but the trace holds 6"),
    ],
)
def test_what_is_told_after_counting(trace: Path, damage: Callable[..., None], statement: str, gap: str) -> None:
    damage(statement)
    assert gap in gaps(trace)
    assert gaps(trace, thorough=False) == []


def test_losses_are_told_of_an_unclosed_trace(path: Path) -> None:
    with TraceWriter(path) as writer:
        writer.set_meta("dropped", 2)
        for key in ("exits", "sites", "reads_pio", "writes_pio", "reads_mmio", "writes_mmio"):
            writer.set_meta(key, 0)
        writer.suspend()
    with TraceReader(path) as trace:
        assert find_losses(trace) == ["2 accesses were dropped"]


def test_exits_that_were_not_kept_are_counted(trace: Path, damage: Callable[..., None]) -> None:
    damage("DELETE FROM exit WHERE seq < 4", "INSERT INTO meta VALUES ('first_exit', 4)")
    assert gaps(trace) == gaps(trace, thorough=False) == []
    damage("DELETE FROM exit WHERE seq = 6")
    assert gaps(trace) == ["exits are not gapless: 5 rows from number 4 on, but the last is number 9"]


def test_a_part_of_a_recording_counts_its_own_kinds(trace: Path, damage: Callable[..., None]) -> None:
    damage("DELETE FROM exit WHERE seq < 4", "INSERT INTO meta VALUES ('first_exit', 4), ('part', 1)")
    assert gaps(trace) == [
        "the recorder counted 5 reads of pio, but the trace holds 3",
        "the recorder counted 5 writes of mmio, but the trace holds 3",
    ]
    damage("UPDATE meta SET value = 3 WHERE key IN ('reads_pio', 'writes_mmio')")
    assert gaps(trace) == []


def test_a_ring_holds_as_many_exits_as_it_should(trace: Path, damage: Callable[..., None]) -> None:
    damage("DELETE FROM exit WHERE seq < 4", "INSERT INTO meta VALUES ('first_exit', 4), ('ring', 6)")
    assert gaps(trace) == gaps(trace, thorough=False) == []
    damage("DELETE FROM exit WHERE seq = 4", "UPDATE meta SET value = 5 WHERE key = 'first_exit'")
    assert gaps(trace, thorough=False) == ["the last 6 exits were to be kept, but the trace holds 5"]


def test_a_filter_that_does_not_say_what_it_left_out(trace: Path, damage: Callable[..., None]) -> None:
    damage("INSERT INTO meta VALUES ('filter', '{}')")
    assert gaps(trace) == ["the recorder's counters are missing: excluded"]
    damage("INSERT INTO meta VALUES ('excluded', 3)")
    assert gaps(trace) == []


# Every row


def verified(path: Path) -> Verification:
    with TraceReader(path) as trace:
        return verify(trace)


def test_sound_trace_is_verified_and_every_exit_looked_at(trace: Path) -> None:
    looked_at: list[int] = []
    with TraceReader(trace) as opened:
        assert verify(opened, looked_at.append) == Verification()
    assert sum(looked_at) == 10


@pytest.mark.parametrize(
    ("statement", "gap"),
    [
        ("DELETE FROM meta WHERE key = 'closed'", "not closed: the recording was cut off, and its end is missing"),
        ("DELETE FROM exit WHERE seq = 4", "exits are not gapless: 9 rows, but the last is number 9"),
        (
            "DELETE FROM exit WHERE seq = 4",
            "exit 4 is missing, though exit 9 is there; copy it again, or record again",
        ),
        ("DELETE FROM exit WHERE seq = 9", "epochs end with exit 9, but the last is number 8"),
        ("UPDATE exit SET value = 256 WHERE seq = 4", "exit 4 has value 0x100, but site 0 has 1 bytes"),
        ("UPDATE exit SET value = -1 WHERE seq = 5", "exit 5 has value -0x1, but site 1 has 4 bytes"),
        ("UPDATE exit SET value = -1", "exit 0 has value -0x1, but site 0 has 1 bytes (and 9 more such)"),
        (
            "UPDATE exit SET dt_ns = dt_ns - 150 WHERE seq = 4",
            "time goes back: exit 4 is at 250 ns, 50 ns before the one before it",
        ),
        (
            "UPDATE exit SET dt_ns = -32768 WHERE seq IN (4, 8)",
            "time goes back: exit 4 is at 0 ns, 300 ns before the one before it (and 1 more such)",
        ),
        (
            "UPDATE exit SET site = 7 WHERE seq = 4",
            "exit 4 has site 7, but there are 2 sites; copy it again, or record again",
        ),
        ("UPDATE site_packed SET insn = 99 WHERE id = 1", "site 1 has insn 99, but insn has no such row"),
        ("DELETE FROM region_name WHERE name = 'rtc'", "site 0 has region 2, but region_name has no such row"),
        ("UPDATE site_packed SET vcpu = 2 WHERE id = 1", "site 1 is of CPU 2, but the machine has 2"),
        ("UPDATE event SET vcpu = -1", "event 'reset' before exit 0 is of CPU -1, but the machine has 2"),
        ("INSERT INTO interrupt VALUES (3, 0, 5, 0, 0)", "interrupt before exit 3 is of CPU 5, but the machine has 2"),
        ("UPDATE event SET seq = 11", "event 'reset' stands before exit 11, not 0 to 10"),
        (
            "INSERT INTO interrupt VALUES (-1, 0, 0, 0, 0)",
            "an interrupt stands before exit -1, not 0 to 10",
        ),
        ("INSERT INTO meta VALUES ('interrupts', 1)", "the recorder counted 1 interrupts, but the trace holds 0"),
        ("UPDATE site_packed SET kind = 3 WHERE id = 1", "site 1 has 3 bytes; copy it again, or record again"),
    ],
)
def test_what_a_look_at_every_row_finds(trace: Path, damage: Callable[..., None], statement: str, gap: str) -> None:
    damage("INSERT INTO meta VALUES ('smp', 2)", statement)
    assert gap in verified(trace).gaps


def test_event_after_the_last_exit_is_in_place(trace: Path, damage: Callable[..., None]) -> None:
    damage("UPDATE event SET seq = 10", "INSERT INTO interrupt VALUES (10, 0, 0, 0, 0)")
    assert verified(trace) == Verification()


def test_cpus_of_a_machine_that_is_not_known_are_not_judged(trace: Path, damage: Callable[..., None]) -> None:
    damage("UPDATE site_packed SET vcpu = 200 WHERE id = 1")
    assert verified(trace) == Verification()


@pytest.mark.parametrize(("clock", "cpus", "sound"), [("host", 2, True), ("host", 1, False), ("virtual", 2, False)])
def test_only_cpus_that_follow_the_hosts_clock_may_disagree(
    trace: Path, damage: Callable[..., None], clock: str, cpus: int, sound: bool
) -> None:
    damage(
        "UPDATE exit SET dt_ns = -32768 WHERE seq IN (4, 8)",
        f"UPDATE meta SET value = '{clock}' WHERE key = 'clock'",
        f"INSERT INTO meta VALUES ('smp', {cpus})",
    )
    found = verified(trace)
    assert (not found.gaps) == sound
    assert [note.partition(":")[0] for note in found.notes] == ["2 exits are earlier than the one before them"] * sound


def test_value_of_8_bytes_is_any(path: Path) -> None:
    with TraceWriter(path) as writer:
        site = writer.add_site(address=0, direction="r", size=8, space="mmio")
        for value in (0, 1 << 63, (1 << 64) - 1):
            writer.add_exit(0, site, value)
    assert verified(path) == Verification()


def test_damaged_page_is_found(path: Path) -> None:
    with TraceWriter(path) as writer:
        site = writer.add_site(address=0x60, direction="r")
        for _ in range(5000):
            writer.add_exit(0, site, 1)
    with path.open("r+b") as file:
        file.seek(-8 * 4096, 2)
        file.write(b"\xa5" * 4 * 4096)
    found = verified(path).gaps
    assert any(gap.startswith("damaged between exits") for gap in found)
    assert any(gap.startswith("the file is damaged: ") for gap in found)
