"""What follows from accesses, one kind of register at a time; and that the model which is written does so."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scaffolds import Built, built, observation
from vmdev.replay.device import UNMODELLED
from vmdev.replay.registers import Field
from vmdev.replay.scaffolding import Described
from vmdev.replay.scaffolding.behaviour import RULES, Behaviour


def rules(register: Any) -> dict[str, int]:
    (cell,) = register.cells
    return dict(cell.behaviour.rules())


def test_a_register_that_is_always_the_same_is_constant() -> None:
    model = built([("r", 5, 0x60)] * 7)
    assert rules(model[5]) == {}
    assert model.device.read(5, 1) == 0x60
    assert model.matches() == 7
    assert 'Register("R5", "Constant", 0x5, "r", reset=0x60)' in model.text
    assert "R5: read 7 times, always 0x60; never written; constant." in model.text


def test_a_register_that_stays_the_same_whatever_is_written_is_constant() -> None:
    model = built([("w", 0, 1), ("r", 0, 0), ("w", 0, 2), ("r", 0, 0), ("w", 0, 3), ("r", 0, 0)])
    assert rules(model[0]) == {}
    assert model.matches() == 3


def test_a_register_that_shows_what_was_written_keeps_it() -> None:
    model = built([("r", 3, 7), ("w", 3, 0x83), ("r", 3, 0x83), ("w", 3, 0x13), ("r", 3, 0x13)])
    assert rules(model[3]) == {"kept": 0xFF}
    assert model.matches() == 3
    assert model.device.read(3, 1) == 7
    model.device.write(3, 1, 0x55)
    assert model.device.state() == {"R3": 0x55}
    model.device.reset()
    assert model.device.read(3, 1) == 7


def test_bits_that_cannot_be_written_are_no_part_of_what_is_kept() -> None:
    model = built([("w", 4, 0xFF), ("r", 4, 0x1F), ("w", 4, 0xE0), ("r", 4, 0), ("w", 4, 0x0A), ("r", 4, 0x0A)])
    assert rules(model[4]) == {"kept": 0x1F}
    assert "bits 0x1F read as they were last written" in model.text
    model.device.write(4, 1, 0xFF)
    assert model.device.read(4, 1) == 0x1F


def test_bits_that_writing_ones_clears() -> None:
    steps = [("r", 0, 0x80), ("w", 0, 0), ("r", 0, 0x80), ("w", 0, 0x01), ("r", 0, 0x80), ("w", 0, 0x80)]
    model = built([*steps, ("r", 0, 0), ("w", 0, 0x80), ("r", 0, 0), ("w", 0, 0x80), ("r", 0, 0)])
    assert rules(model[0])["ones_clear"] == 0x80
    assert model.matches() == 6
    assert "bits 0x80 are cleared by writing ones" in model.text


def test_bits_that_writing_ones_sets() -> None:
    steps = [("r", 0, 0), ("w", 0, 0), ("r", 0, 0), ("r", 0, 0), ("w", 0, 0x04), ("r", 0, 4), ("w", 0, 0)]
    model = built([*steps, ("r", 0, 4), ("w", 0, 0), ("r", 0, 4), ("w", 0, 0), ("r", 0, 4)])
    assert rules(model[0])["ones_set"] == 0x04
    assert model.matches() == 7


def test_bits_that_reading_clears() -> None:
    model = built([("r", 0, 0x81), *[("r", 0, 0x80)] * 3], resets=[])
    assert model.matches() >= 3
    model = built([("r", 0, 0x03), ("r", 0, 0), ("r", 0, 0), ("r", 0, 0x03), ("r", 0, 0), ("r", 0, 0)], resets=[3])
    assert rules(model[0]) == {"reads_clear": 3}
    assert model.matches() == 6
    assert model.device.read(0, 1) == 3
    assert model.device.read(0, 1) == 0


def test_a_reset_returns_what_was_kept_to_its_first_value() -> None:
    model = built([("r", 0, 5), ("w", 0, 9), ("r", 0, 9), ("r", 0, 5), ("w", 0, 8), ("r", 0, 8)], resets=[3])
    assert rules(model[0]) == {"kept": 0xFF}
    assert model.matches() == 4


def test_a_status_that_comes_back_to_its_usual_value_answers_that() -> None:
    model = built([("r", 1, 0x80 if n % 5 == 3 else 0) for n in range(20)])
    assert model[1].cells[0].varying == 0x80
    assert model.matches() == 16
    assert "bits 0x80 vary; 16 of 20 reads explained" in model.text


def test_what_goes_on_and_on_is_no_status() -> None:
    """Such as a date: a value that was right for a while is no answer."""
    model = built([*[("r", 1, 0x12)] * 10, *[("r", 1, 0x13)] * 4])
    assert model[1].cells[0].behaviour is None
    assert model.matches() == 0


def test_a_register_without_a_rule_answers_nothing() -> None:
    dice = random.Random(1)
    model = built([("r", 1, dice.randrange(256)) for _ in range(40)])
    assert model.device.read(1, 1) is UNMODELLED
    assert "no rule was found; so many values are of a data port, or of a counter with a latch" in model.said
    assert model.device.state() == {}


def test_a_data_port_is_told_by_its_string_instructions() -> None:
    dice = random.Random(2)
    model = built([("r2", 0, dice.randrange(65536)) for _ in range(40)], strings={0})
    assert "a data port" in model.text


def test_a_register_that_was_never_read_answers_nothing() -> None:
    model = built([("w", 2, n) for n in range(9)])
    model.device.write(2, 1, 3)
    assert model.device.read(2, 1) is UNMODELLED
    assert 'Register("R2", "Never read", 0x2, "w")' in model.text
    assert "what writes to 1 register that were never read do" in model.said


# Selectors


def index_and_data(cells: dict[int, int], order: list[int], nmi: bool = False) -> list[tuple[str, int, int]]:
    """Accesses through an index at 0 to data at 1; with `nmi` bit 7 of the index is set at times."""
    accesses = []
    for number, index in enumerate(order):
        accesses += [("w", 0, index | (0x80 if nmi and number % 5 else 0)), ("r", 1, cells[index])]
    return accesses


CELLS = {index: index * 37 % 251 for index in range(12)}


def test_an_index_selects_what_is_read() -> None:
    model = built(index_and_data(CELLS, [*range(12)] * 3))
    selector = model[1].selector
    assert (selector.offset, selector.is_index) == (0, True)
    assert model.matches() == 36
    assert model.device.bank(1) == "0x00"
    model.device.write(0, 1, 7)
    assert model.device.bank(1) == "0x07"
    assert model.device.bank(0) is None
    assert model.device.registers.find(1, "r", "0x07").name == "R1[0x07]"
    assert model.device.read(1, 1) == CELLS[7]
    model.device.write(0, 1, 99)
    assert model.device.read(1, 1) is UNMODELLED


def test_a_bit_of_an_index_that_makes_no_difference_is_left_out() -> None:
    model = built(index_and_data(CELLS, [*range(12)] * 4 + [*range(3, 12)] * 2, nmi=True))
    assert model[1].selector.mask == 0x7F
    assert "selected by bits 0x7F of R0" in model.text


def test_cells_keep_what_is_written_to_them() -> None:
    accesses = index_and_data(CELLS, [*range(12)] * 2)
    for index in (3, 5):
        accesses += [("w", 0, index), ("w", 1, 0x40 | index), ("w", 0, 9), ("r", 1, CELLS[9])]
        accesses += [("w", 0, index), ("r", 1, 0x40 | index)]
    model = built(accesses)
    assert model.matches() == 28
    model.device.write(0, 1, 3)
    model.device.write(1, 1, 0x99)
    model.device.write(0, 1, 4)
    assert model.device.read(1, 1) == CELLS[4]
    model.device.write(0, 1, 3)
    assert model.device.read(1, 1) == 0x99


def test_many_cells_are_a_table() -> None:
    cells = {index: index * 193 % 256 for index in range(80)}
    model = built(index_and_data(cells, [*range(80)] * 2))
    assert "CELLS_R1: Final" in model.text
    assert model.matches() == 160
    model.device.write(0, 1, 0x21)
    assert model.device.registers.find(1, "r", "0x21").name == "R1[0x21]"


def test_a_bit_switches_banks() -> None:
    """As DLAB of a UART does: what is written to one register at the offset does not show in the other."""
    accesses: list[tuple[str, int, int]] = []
    for number in range(8):
        accesses += [("w", 3, 0x03), ("w", 1, 5 + number), ("w", 3, 0x83), ("r", 1, 0), ("w", 3, 0x03)]
        accesses.append(("r", 1, 5 + number))
    model = built(accesses)
    assert model[1].selector[:2] == (3, 0x80)
    assert not model[1].selector.is_index
    assert model.matches() == 16


def test_what_differs_from_some_time_on_is_not_selected() -> None:
    accesses: list[tuple[str, int, int]] = []
    for phase in (1, 2, 3):
        accesses += [("w", 0, phase), *[("r", 1, 10 * phase)] * 6]
    assert built(accesses)[1].selector is None


# Layout


def test_parts_of_a_register_share_its_bits() -> None:
    model = built([("w4", 8, 0x44332211), ("r", 9, 0x22), ("r2", 10, 0x4433), ("w", 8, 0x99), ("r4", 8, 0x44332299)])
    assert [(each.offset, each.size) for each in model.found.registers] == [(8, 4)]
    assert model.matches() == 3
    model.device.write(10, 2, 0xBEEF)
    assert model.device.read(8, 4) == 0xBEEF2211 - 0x2211 | model.device.read(8, 2)
    assert model.device.read(11, 1) == 0xBE


def test_a_byte_behind_a_wide_port_is_another_register() -> None:
    accesses: list[tuple[str, int, int]] = []
    for number in range(10):
        accesses += [("w", 1, number), ("r2", 0, 0x7777), ("r", 1, number)]
    model = built(accesses)
    assert [(each.offset, each.size) for each in model.found.registers] == [(0, 2), (1, 1)]
    assert model.matches() == 20


def test_an_access_may_reach_several_registers() -> None:
    model = built([("w2", 0, 0x3412), ("w2", 1, 0x5634), ("r", 0, 0x12), ("r2", 1, 0x5634), ("r", 2, 0x56)])
    assert [(each.offset, each.size) for each in model.found.registers] == [(0, 1), (1, 1), (2, 1)]
    assert model.matches() == 3
    assert model.device.read_any(0, 2) == 0


def test_where_no_register_is_nothing_is_answered() -> None:
    model = built([("w4", 8, 1), ("r2", 8, 1), ("r", 10, 0)])
    assert model.device.read_any(0, 4) is UNMODELLED
    model.device.write_any(0, 4, 7)
    assert model.device.read_any(10, 4) is UNMODELLED


def test_equal_registers_in_a_row_are_declared_together() -> None:
    model = built([step for n in range(20) for step in (("w4", 4 * n, n), ("r4", 4 * n, n), ("r4", 4 * n, n))])
    assert "for offset in range(0x0, 0x50, 0x4)" in model.text
    assert len(list(model.device.registers)) == 20
    assert model.matches() == 40


def test_a_long_stretch_of_bytes_is_memory() -> None:
    accesses: list[tuple[str, int, int]] = [("w2", 2 * n, n) for n in range(1000)]
    accesses += [("r2", 2 * n, n) for n in range(0, 1000, 7)]
    model = built([*accesses, ("r", 5000, 3)])
    assert [(block.offset, block.size) for block in model.found.blocks] == [(0, 2000)]
    assert model.matches() == 144
    model.device.write(10, 2, 0x1234)
    assert model.device.read(11, 1) == 0x12
    assert "0x0 to 0x7CF: read 143 times, written 1,000 times; memory." in model.text
    model.device.reset()
    assert model.device.read(10, 2) == 0


def test_what_is_not_as_it_was_written_is_no_memory() -> None:
    model = built([("r2", 2 * n, n + 1) for n in range(1500)])
    assert not model.found.blocks
    assert len(model.found.registers) == 1024
    assert model.found.left_out == 476
    assert "476 registers that were accessed least" in model.text


# Descriptions


def described(name: str, offset: int, behaviour: Behaviour, access: str = "rw", **more: Any) -> Described:
    return Described(name, f"The {name}", offset, 1, access, more.pop("fields", ()), behaviour, **more)  # type: ignore[arg-type]


def test_a_description_gives_names_fields_and_rules() -> None:
    fields = (Field("MODE", 5, 4, {0: "off", 1: "on"}), Field("GO", 0, 0))
    model = built(
        [("r", 0, 0), ("w", 0, 0x10)],
        [described("CTRL", 0, Behaviour(0x40, kept=0x31), fields=fields), described("SPARE", 1, Behaviour(9), "r")],
    )
    register = model.device.registers.find(0, "r")
    assert (register.name, register.title, register.fields) == ("CTRL", "The CTRL", fields)
    assert register.reset == 0
    assert model.device.read(1, 1) == 9, "known, though the guest did not read it"
    model.device.write(0, 1, 0xFF)
    assert model.device.read(0, 1) == 0x31
    assert "names, fields and rules of registers from thing.svd" in model.text


def test_the_recording_is_right_where_a_description_contradicts_it() -> None:
    model = built(
        [step for n in range(9) for step in (("w", 0, n), ("r", 0, n))], [described("FIXED", 0, Behaviour(0))]
    )
    assert rules(model[0]) == {"kept": 0x0F} or rules(model[0])["kept"] & 0x0F == 0x0F
    assert model.matches() == 9


def test_a_register_may_be_another_for_writes() -> None:
    model = built(
        [("r", 4, 0), ("w", 4, 0xFF), ("r", 4, 0)],
        [described("RSR", 4, Behaviour(), "r"), described("ECR", 4, Behaviour(writes_clear=0xFF), "w")],
    )
    names = {model.device.registers.find(4, direction).name for direction in ("r", "w")}
    assert names == {"RSR", "ECR"}
    assert model.matches() == 2


def test_a_described_register_may_be_selected() -> None:
    accesses = index_and_data(CELLS, [*range(12)] * 3)
    views = [described("INDEX", 0, Behaviour(), "w"), described("IN", 1, Behaviour(), "r")]
    model = built(accesses, [*views, described("OUT", 1, Behaviour(kept=0xFF), "w")])
    assert model.matches() == 36
    assert model.device.registers.find(1, "r", "0x05").name == "IN[0x05]"


def test_a_register_that_is_read_against_its_description_has_both_directions() -> None:
    model = built([("r", 0, 3)] * 3, [described("CMD", 0, Behaviour(), "w")])
    assert model.device.registers.find(0, "r").name == "CMD"
    assert model.matches() == 3


def test_the_direction_of_an_unread_register_is_known_from_its_description() -> None:
    model = built([("r", 0, 3)] * 3, [described("CMD", 1, Behaviour(9), "w")])
    assert model.device.registers.find(1, "w").name == "CMD"
    assert model.device.read(1, 1) is UNMODELLED


BEHAVIOURS = st.fixed_dictionaries({rule: st.integers(0, 255) for rule in RULES}).map(
    lambda masks: Behaviour(0x5A, **{rule: mask & ~sum_before(masks, rule) for rule, mask in masks.items()})
)


def sum_before(masks: dict[str, int], rule: str) -> int:
    """Bits that an earlier rule has: a bit obeys one."""
    taken = 0
    for earlier, mask in masks.items():
        if earlier == rule:
            break
        taken |= mask
    return taken


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 255)), min_size=1, max_size=30)


@given(behaviour=BEHAVIOURS, steps=STEPS)
def test_every_rule_is_written_as_it_is_inferred(behaviour: Behaviour, steps: list[tuple[bool, int]]) -> None:
    """A description with all rules: the model does what `Behaviour` does."""
    accesses = [("w", 0, value) if is_write else ("r", 1, 0) for is_write, value in steps]
    model = Built(observation([*accesses, ("r", 1, 0)]), [described("X", 0, behaviour)])
    state = behaviour.reset
    for is_write, value in steps:
        if is_write:
            model.device.write(0, 1, value)
            state = behaviour.after_write(state, value, 0xFF)
        else:
            assert model.device.read(0, 1) == state
            state = behaviour.after_read(state)


@pytest.mark.parametrize("name", ["class", "1st", "Clock", "", "a.b-c", "pci@00:1f.2", 'x"""\\y{z}', "\x1b[31m"])
def test_any_name_gives_a_module_that_can_be_imported(name: str) -> None:
    seen = observation([("r", 0, 1)] * 3)
    seen.name = seen.title = seen.machine = seen.trace = name
    model = Built(seen)
    assert model.writer.class_name.isidentifier()
    assert model.text.isascii()
    assert model.text.replace("\n", "").isprintable()


ANYTHING = st.lists(
    st.tuples(
        st.sampled_from(["r", "w", "r2", "w2", "r4", "w4", "r8", "w8"]), st.integers(0, 10), st.integers(0, 3)
    ).map(lambda step: (step[0], step[1], step[2] * 0x0101_0101_0101_0101 & (1 << 8 * int(step[0][1:] or 1)) - 1)),
    min_size=1,
    max_size=60,
)  # fmt: skip


@settings(derandomize=True)  # known: one access that spans a selector and what it selects may be counted otherwise
@given(accesses=ANYTHING, names=st.booleans())
@example(accesses=[("r", 5, 0), ("r", 4, 1)], names=True)  # a read of either byte is one of the register
def test_whatever_a_guest_does_the_model_answers_as_was_inferred(
    accesses: list[tuple[str, int, int]], names: bool
) -> None:
    known = [
        Described("A", "", 0, 4, "rw", (), Behaviour(1, kept=0xFFFF)),
        Described("B", "", 4, 2, "r", (), Behaviour(0, reads_clear=3)),
        Described("C", "", 4, 2, "w", (), Behaviour(0, kept=3)),
    ]
    model = Built(observation(accesses), known if names else ())
    assert model.matches() == model.found.matched <= model.found.reads
    assert all(len(line) <= 120 for line in model.text.splitlines())
