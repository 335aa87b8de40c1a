"""What several traces are worth together."""

from __future__ import annotations

import pytest

from ports import Port
from vmdev.replay.mutating.adequacy import Adequacy, Score, TraceResult
from vmdev.replay.mutating.faults import DEAF, NEVER_SET, UNREAD, UNSET, Mutant
from vmdev.replay.mutating.survey import Use
from vmdev.replay.registers import Register

A, B, C, D = (Mutant("DATA", "stuck at 0", 1 << at) for at in range(4))
CTRL, STAT, DATA, *_ = Port.registers


def adequacy(*kills: set[Mutant], exits: tuple[int, ...] = ()) -> Adequacy:
    found = Adequacy("port")
    found.add_registers([*Port.registers])
    for number, killed in enumerate(kills):
        survived = dict.fromkeys({A, B, C, D} - killed, UNSET)
        size = exits[number] if exits else 10
        found.add(TraceResult(f"{number}.db", size, killed=killed, survived=survived), {"DATA": Use(DATA, reads=1)}, {})
    return found


def test_a_mutant_is_killed_if_any_trace_kills_it() -> None:
    found = adequacy({A}, {A, B}, set())
    assert [fate.killers for fate in found.fates] == [(), (), (1,), (0, 1)]
    assert found.total == Score(2, 4, 0)
    assert found.total.share == 0.5
    assert [found.only(number) for number in range(3)] == [0, 1, 0]


def test_nothing_tried_has_no_score() -> None:
    assert Score().share is None


@pytest.mark.parametrize(
    ("kills", "exits", "chosen"),
    [
        ([{A}, {A, B}], (), [1]),
        ([{A, B}, {B, C}, {C, D}], (), [0, 2]),
        ([{A}, {A}], (20, 10), [1]),
        ([set(), set()], (), []),
    ],
)
def test_few_traces_kill_all_that_can_be_killed(
    kills: list[set[Mutant]], exits: tuple[int, ...], chosen: list[int]
) -> None:
    found = adequacy(*kills, exits=exits)
    assert found.smallest == chosen
    assert {each for number in chosen for each in found.traces[number].killed} == set().union(*kills)


def test_the_reason_is_that_of_the_trace_that_came_nearest() -> None:
    found = Adequacy("port")
    for name, reason in (("a", UNREAD), ("b", "no read depends on it"), ("c", NEVER_SET)):
        found.add(TraceResult(name, 1, survived={A: reason}), {}, {})
    assert [fate.reason for fate in found.fates] == ["no read depends on it"]


def test_what_was_not_tried_in_a_trace_is_not_known() -> None:
    found = Adequacy("port")
    found.add(TraceResult("a", 1, survived={A: UNSET, B: UNSET}), {}, {})
    found.add(TraceResult("b", 1, untried={A}, killed={B}), {}, {})
    assert found.total == Score(1, 1, 1)


def test_registers_that_no_trace_accesses_are_apart() -> None:
    found = adequacy({A})
    found.traces[0].survived[Mutant("CTRL", DEAF)] = UNREAD
    found.traces[0].survived[Mutant("(interrupt)", "comes late")] = UNREAD
    assert found.untouched == ["CTRL", "STAT", "X", "Y"]
    assert (found.total.tried, found.accessed.tried) == (6, 5)
    assert found.score_of("CTRL") == Score(0, 1, 0)
    assert found.score_of("Y") == Score()


def test_what_traces_do_with_a_register_adds_up() -> None:
    found = Adequacy("port")
    first = Use(DATA, reads=2, ones=1, zeros=2, reading_changes=True)
    second = Use(DATA, reads=3, writes=1, ones=2, zeros=4, written_ones=8)
    found.add(TraceResult("a", 1), {"DATA": first}, {7: [1, 0]})
    found.add(TraceResult("b", 1), {"DATA": second}, {7: [1, 2], 9: [0, 1]})
    use = found.uses["DATA"]
    assert (use.reads, use.writes, use.ones, use.zeros, use.both, use.shown) == (5, 1, 3, 6, 2, 7)
    assert use.written_ones == 8
    assert use.reading_changes
    assert found.undeclared == {7: [2, 2], 9: [0, 1]}
    assert first.reads == 2, "what was added stays as it was"


def test_a_model_may_have_other_registers_on_another_board() -> None:
    found = Adequacy("port")
    found.add_registers([CTRL, STAT])
    found.add_registers([CTRL, Register("STAT", "", 5, "r"), DATA])
    assert {name: len(alike) for name, alike in found.registers.items()} == {"CTRL": 1, "STAT": 2, "DATA": 1}
