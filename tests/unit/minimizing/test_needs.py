"""What has to stay of a trace, so that a right model answers as recorded; and the search for what need not."""

from __future__ import annotations

from collections.abc import Sequence

from vmdev.replay.device import Device
from vmdev.replay.minimizing.ddmin import ddmin
from vmdev.replay.minimizing.needs import IN_TURN, RECENT, SEVERAL, Census, closure
from vmdev.replay.registers import Direction, Register, RegisterMap

INDEX, DATA, COMMAND, COUNT, MEMORY = 0, 1, 2, 3, 8
LOW, HIGH = "low", "high"

Access = tuple[int, Direction, int]


class Chip(Device):
    """A register with an index, a command register, a count that is read in two bytes, and memory."""

    registers = RegisterMap(
        Register("INDEX", "", INDEX, "rw"),
        *(Register(f"DATA{n}", "", DATA, "rw", bank=f"{n}") for n in range(10)),
        Register("COMMAND", "", COMMAND, "w"),
        Register("COUNT", "", COUNT, "rw", bank=LOW),
        Register("COUNT", "", COUNT, "rw", bank=HIGH),
        Register("OTHER", "", 4, "rw", part="other"),
        banks=(*map(str, range(10)), LOW, HIGH),
    )

    def __init__(self) -> None:
        self.index = 0

    def bank(self, offset: int) -> str | None:
        return str(self.index) if offset == DATA else LOW if offset == COUNT else None


def pinned(accesses: Sequence[Access], several: int = SEVERAL) -> list[int]:
    """The accesses that stay for the last one's sake, by number."""
    chip = Chip()
    census = Census(chip)
    for item, (offset, direction, value) in enumerate(accesses):
        if offset == INDEX and direction == "w":
            chip.index = value
        census.add(item, offset, 1, direction, value)
    return closure(census.pins(census.uses[-1], several), [census.selectors()])


def recent() -> list[Access]:
    """So many accesses that those before them are not the last."""
    return [(INDEX, "r", 0)] * RECENT


def test_the_last_accesses_stay() -> None:
    assert pinned([(INDEX, "r", 0)] * 20) == list(range(19 - RECENT, 19))


def test_the_last_write_of_each_register_stays_with_what_chose_it() -> None:
    writes: list[Access] = [(INDEX, "w", 1), (DATA, "w", 5), (INDEX, "w", 2), (DATA, "w", 6), (INDEX, "w", 1)]
    writes += [(DATA, "w", 7), *recent(), (5, "r", 0)]
    assert {1, 2, 3, 4, 5} & set(pinned(writes)) == {2, 3, 4, 5}


def test_of_commands_several_values_stay() -> None:
    commands: list[Access] = [(COMMAND, "w", value) for value in (9, 1, 2, 3, 3, 4)]
    accesses = [each for command in commands for each in (command, (INDEX, "w", 0))]
    found = pinned([*accesses, *recent(), (5, "r", 0)])
    assert [item for item in (0, 2, 4, 6, 8, 10) if item in found] == [2, 4, 8, 10]


def test_reads_that_come_in_turn_stay_since_the_last_write() -> None:
    few: list[Access] = [(COUNT, "r", 0)] * 3 + [(COUNT, "w", 1)] + [(COUNT, "r", 0)] * 20
    assert pinned(few) == list(range(3, 23))
    many: list[Access] = [(COUNT, "w", 1)] + [(COUNT, "r", 0)] * 1_002
    left = [item for item in pinned(many) if item]
    assert left == list(range(1_002 - len(left), 1_002))
    assert len(left) == IN_TURN + 1, "as evenly many as there were: 1,001 before the last"


def test_another_part_does_not_stay() -> None:
    assert 0 not in pinned([(4, "w", 1), *recent(), (COUNT, "r", 0)])


def test_memory_does_not_stay() -> None:
    stores: list[Access] = [(MEMORY + n, "w", n) for n in range(100)]
    assert [item for item in pinned([*stores, *recent(), (COUNT, "r", 0)]) if item < 100] == []
    assert [item for item in pinned([*stores, *recent(), (MEMORY + 7, "r", 0)]) if item < 100] == [7]


def test_at_last_only_the_registers_own_writes_stay() -> None:
    writes: list[Access] = [(COUNT, "w", 1), (COMMAND, "w", 5), *recent(), (COUNT, "r", 0)]
    assert {0, 1} & set(pinned(writes)) == {0, 1}
    assert {0, 1} & set(pinned(writes, several=0)) == {0}


def test_a_part_is_left_of_which_nothing_can_be_spared() -> None:
    assert ddmin(range(100), lambda kept: {3, 70, 71} <= {*kept}) == [3, 70, 71]
    assert ddmin(range(100), lambda kept: True) == []


def test_the_search_ends_where_it_is_not_worth_it() -> None:
    asked: list[int] = []

    def worth(left: int, size: int) -> bool:
        asked.append(size)
        return size > 10

    assert len(ddmin(range(64), lambda kept: {*range(0, 64, 2)} <= {*kept}, worth)) == 64
    assert asked == [32, 16, 8]
