"""Which mutants a model has, and what a recording must do to show one."""

from __future__ import annotations

import pytest

from ports import Port, make_board
from vmdev.replay.bus import PioAddress
from vmdev.replay.irq import Line
from vmdev.replay.machines import Board
from vmdev.replay.mutating.faults import (
    AHEAD,
    ALWAYS,
    DEAF,
    DEVICE,
    FROZEN,
    HOPELESS,
    INTERRUPT,
    LATE,
    LATE_NS,
    LATER,
    LEARNED,
    LOST_0,
    LOST_1,
    MISRESET,
    NEVER,
    NEVER_CLEARED,
    NEVER_SET,
    NO_RESET,
    NO_RESETS,
    QUIET,
    SAME,
    STUCK_0,
    STUCK_1,
    TWICE,
    UNCLEAR,
    UNREAD,
    UNSEEN,
    UNSET,
    UNWRITTEN,
    Chances,
    Mutant,
    apply,
    interrupt_name,
    mutants_of,
    nearness,
)
from vmdev.replay.mutating.survey import Use
from vmdev.replay.registers import Register

CTRL, STAT, DATA, *_ = Port.registers
COUNTER = Register("COUNTER", "Counts", 0, "r", hz=1000)
WIDE = Register("WIDE", "Of 32 bits", 0, "w", width=32)


def kinds(register: Register, kind: str, twice: tuple[str, ...] = ()) -> list[int]:
    return [mutant.bits for mutant in mutants_of([register], 0, twice) if mutant[:2] == (register.name, kind)]


def test_each_declared_bit_can_be_stuck() -> None:
    assert kinds(CTRL, STUCK_0) == kinds(CTRL, STUCK_1) == [1, 2, 4]
    assert kinds(DATA, STUCK_0) == [1 << at for at in range(8)]


def test_each_field_can_be_lost_or_each_bit_of_a_byte_or_each_byte() -> None:
    assert kinds(CTRL, LOST_0) == [1, 6]
    assert kinds(DATA, LOST_1) == [1 << at for at in range(8)]
    assert kinds(WIDE, LOST_0) == [0xFF, 0xFF00, 0xFF0000, 0xFF000000]


def test_what_cannot_be_read_or_written_has_no_such_faults() -> None:
    assert not kinds(STAT, DEAF)
    assert not kinds(WIDE, STUCK_0)
    assert kinds(CTRL, MISRESET) == [7]


def test_reads_count_twice_where_reading_does_something() -> None:
    assert not kinds(STAT, TWICE)
    assert kinds(STAT, TWICE, ("STAT",)) == [0]


def test_a_counter_can_be_ahead() -> None:
    assert kinds(COUNTER, AHEAD) == [0]
    assert not kinds(DATA, AHEAD)


def test_lines_and_resets_have_faults_of_their_own() -> None:
    found = [*mutants_of([], 2, ())]
    assert found == [
        (DEVICE, NO_RESET, 0),
        *((name, kind, 0) for name in (INTERRUPT, "(interrupt 1)") for kind in (NEVER, LATE, ALWAYS)),
    ]
    assert interrupt_name(1) == "(interrupt 1)"


def test_registers_of_one_name_are_one() -> None:
    low, high = Register("R", "", 0, "r", width=8), Register("R", "", 4, "w", width=8)
    assert [*mutants_of([low, high], 0, ())] == [*mutants_of([Register("R", "", 0, "rw")], 0, ())]


READ = Use(DATA, reads=2, ones=0x0F, zeros=0xF3, fresh_zeros=0x0F)
WRITTEN = Use(DATA, writes=1, written_ones=0x0F, written_zeros=0xF0)


@pytest.mark.parametrize(
    ("use", "kind", "bits", "reason"),
    [
        (WRITTEN, STUCK_0, 1, UNREAD),
        (Use(DATA, reads=1), FROZEN, 0, LEARNED),
        (Use(DATA, reads=1, ones=1), STUCK_1, 2, UNSEEN),
        (READ, STUCK_0, 0x80, UNSET),
        (READ, STUCK_0, 0x08, ""),
        (READ, STUCK_1, 0x08, UNCLEAR),
        (READ, STUCK_1, 0x01, ""),
        (READ, FROZEN, 0, ""),
        (Use(DATA, reads=1, ones=1), FROZEN, 0, SAME),
        (READ, MISRESET, 0xFF, ""),
        (Use(DATA, reads=1, ones=1), MISRESET, 0xFF, LATER),
        (READ, TWICE, 0, ""),
        (READ, DEAF, 0, UNWRITTEN),
        (WRITTEN, DEAF, 0, ""),
        (WRITTEN, LOST_0, 0x80, NEVER_SET),
        (WRITTEN, LOST_0, 0x08, ""),
        (WRITTEN, LOST_1, 0x80, ""),
        (WRITTEN, LOST_1, 0x08, NEVER_CLEARED),
    ],
)
def test_what_a_recording_must_do(use: Use, kind: str, bits: int, reason: str) -> None:
    assert Chances({"DATA": use}, 0, ()).hopeless(Mutant("DATA", kind, bits)) == reason


def test_registers_that_are_not_accessed_show_nothing() -> None:
    chances = Chances({}, 0, (0,))
    assert chances.hopeless(Mutant("DATA", STUCK_0, 1)) == UNREAD
    assert chances.hopeless(Mutant("DATA", DEAF)) == UNWRITTEN
    assert chances.hopeless(Mutant(DEVICE, NO_RESET)) == NO_RESETS
    assert chances.hopeless(Mutant(INTERRUPT, LATE)) == QUIET
    assert not Chances({}, 1, (0, 3)).hopeless(Mutant(DEVICE, NO_RESET))
    assert not Chances({}, 1, (0, 3)).hopeless(Mutant("(interrupt 1)", NEVER))


def test_reasons_can_be_compared() -> None:
    assert [nearness(reason) for reason in HOPELESS] == [*range(len(HOPELESS))]
    assert nearness("no read depends on it") > max(map(nearness, HOPELESS))


# Each kind of fault, made


def poke(board: Board, port: int, value: int) -> None:
    board.io.resolve_pio(PioAddress(port), 1).device.writer(port - 0x90, 1)(value)  # type: ignore[attr-defined]


def peek(board: Board, port: int) -> int:
    return int(board.io.resolve_pio(PioAddress(port), 1).device.reader(port - 0x90, 1)())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mutant", "shown"),
    [
        (Mutant("DATA", STUCK_0, 4), [0, 1]),
        (Mutant("DATA", STUCK_1, 2), [2, 7]),
        (Mutant("DATA", FROZEN), [0, 0]),
        (Mutant("DATA", AHEAD), [1, 6]),
        (Mutant("DATA", MISRESET, 0xFF), [0xFF, 5]),
        (Mutant("DATA", TWICE), [0, 5]),
        (Mutant("DATA", DEAF), [0, 0]),
        (Mutant("DATA", LOST_0, 1), [0, 4]),
        (Mutant("DATA", LOST_1, 2), [0, 7]),
        (Mutant(DEVICE, NO_RESET), [0, 5]),
    ],
    ids=lambda each: str(each),
)
def test_a_fault_shows(mutant: Mutant, shown: list[int]) -> None:
    board = make_board()
    apply(mutant, board, "port")
    first = peek(board, 0x92)
    poke(board, 0x92, 5)
    assert [first, peek(board, 0x92)] == shown
    board.reset()
    assert port_data(board) == (port_data(board) if mutant.kind == NO_RESET else 0)


def port_data(board: Board) -> int:
    return int(board.devices["port"].state()["data"])


def test_a_device_that_is_not_reset_keeps_its_state() -> None:
    board = make_board()
    apply(Mutant(DEVICE, NO_RESET), board, "port")
    poke(board, 0x92, 5)
    board.reset()
    assert port_data(board) == 5


@pytest.mark.parametrize(("kind", "levels"), [(NEVER, []), (ALWAYS, [True]), (LATE, [True, False, True])])
def test_a_fault_of_a_line(kind: str, levels: list[bool]) -> None:
    board = make_board()
    seen: list[tuple[int, bool]] = []
    line: Line = board.lines["port"][0]
    line._sinks = [lambda level: seen.append((board.clock.now_ns, level))]
    apply(Mutant(INTERRUPT, kind), board, "port")
    for number, level in enumerate((True, False, True)):
        board.clock.advance(1_000_000 * number)
        line.set(level)
    board.clock.advance(10_000_000)
    assert [level for _, level in seen] == levels
    if kind == LATE:
        assert [now_ns for now_ns, _ in seen] == [LATE_NS, 1_000_000 + LATE_NS, 2_000_000 + LATE_NS]
