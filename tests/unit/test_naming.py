"""Which registers an access reaches."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from vmdev.replay.device import Device
from vmdev.replay.naming import differences, pieces, register_names, unbanked_name
from vmdev.replay.registers import Direction, Field, Register, RegisterMap, bit
from vmdev.replay.verdict import FieldDifference


class Chip(Device):
    registers = RegisterMap(
        Register("LOW", "", 0, "r", (bit("A", 0), bit("B", 1))),
        Register("LATCH", "", 0, "w"),
        Register("HIGH", "", 1, "rw", (Field("N", 7, 4, {3: "three"}),)),
        Register("ONE", "", 2, "rw", bank="one"),
        Register("TWO", "", 2, "rw", bank="two"),
        Register("SAME", "", 3, "r", bank="one"),
        Register("SAME", "", 3, "r", bank="two"),
        Register("WORD", "", 4, "r", (Field("TOP", 31, 24), Field("REST", 23, 0)), width=32),
        banks=("one", "two"),
    )
    chosen: str | None = "one"

    def bank(self, offset: int) -> str | None:
        return self.chosen

    def state(self) -> Mapping[str, int]:
        return {}


@pytest.mark.parametrize(
    ("offset", "size", "direction", "bits", "names"),
    [
        (0, 1, "r", 0xFF, "LOW"),
        (0, 1, "w", 0xFF, "LATCH"),
        (0, 2, "r", 0xFFFF, "LOW+HIGH"),
        (0, 2, "r", 0xFF00, "HIGH"),
        (2, 1, "r", 0xFF, "ONE"),
        (4, 4, "r", 1, "WORD"),
        (4, 1, "r", 0xFF, "WORD"),
        (7, 1, "r", 0xFF, "WORD"),
        (8, 1, "r", 0xFF, None),
        (4, 1, "w", 0xFF, None),
        (6, 4, "r", 0xFFFF, "WORD"),
        (6, 4, "r", 0xFFFF0000, None),
        (2, 4, "r", 0xFFFFFFFF, "ONE+SAME+WORD"),
    ],
)
def test_names(offset: int, size: int, direction: Direction, bits: int, names: str | None) -> None:
    assert register_names(Chip(), offset, size, direction, bits) == names


@pytest.mark.parametrize(("offset", "size"), [(0, 1), (0, 8), (1, 2), (5, 8), (7, 4)])
def test_pieces_cover_the_access_without_overlap(offset: int, size: int) -> None:
    at = 0
    for piece in pieces(Chip(), offset, size, "r"):
        assert piece.start == at
        at += piece.bits
    assert at == 8 * size


def test_the_bank_is_the_devices() -> None:
    chip = Chip()
    chip.chosen = "two"
    assert register_names(chip, 2, 1, "r", 0xFF) == "TWO"


def test_differing_fields_of_one_register_have_plain_names() -> None:
    assert differences(Chip(), 0, 2, "r", 0x3001, 0x3002) == (
        "LOW",
        (FieldDifference("A", "1", "0"), FieldDifference("B", "0", "1")),
    )


def test_differing_fields_of_several_registers_have_full_names() -> None:
    name, fields = differences(Chip(), 0, 2, "r", 0x3001, 0x0000)
    assert name == "LOW+HIGH"
    assert fields == (FieldDifference("LOW.A", "1", "0"), FieldDifference("HIGH.N", "0b0011 (three)", "0b0000"))


def test_fields_are_found_in_a_part_of_a_wide_register() -> None:
    assert differences(Chip(), 7, 1, "r", 0x12, 0x34) == ("WORD", (FieldDifference("TOP", "0x12", "0x34"),))


@pytest.mark.parametrize(
    ("offset", "direction", "name"),
    [(0, "r", "LOW"), (0, "w", "LATCH"), (2, "r", None), (3, "r", "SAME"), (9, "r", None)],
)
def test_a_name_without_a_bank_is_given_only_if_all_banks_agree(
    offset: int, direction: Direction, name: str | None
) -> None:
    assert unbanked_name(Chip(), offset, direction) == name
