from __future__ import annotations

import json

from vmdev.cli.output import table, to_json


def test_columns_are_as_wide_as_needed_and_lines_end_without_spaces() -> None:
    assert table([("a", "bb"), ("ccc", ""), ("", "d")]) == "a    bb\nccc\n     d\n"


def test_columns_can_be_aligned_to_the_right() -> None:
    assert table([("a", "1"), ("b", "10")], right=[1], indent="> ") == "> a   1\n> b  10\n"


def test_no_rows() -> None:
    assert table([]) == ""


def test_cells_are_printable() -> None:
    assert table([("\x1b[31m", "\n")]) == "\\x1b[31m  \\n\n"


def test_json_has_no_control_characters_and_says_the_same() -> None:
    value = {"a": "\x1b\x7f\x9b\u202e\n"}
    text = to_json(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value
