from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdev.replay.printable import printable


@pytest.mark.parametrize("text", ["", "mov eax, dword ptr [edi]", "größer"])
def test_printable_text_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\nb", r"a\r\nb"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("abc\u202edef", r"abc\u202edef"),
        ("a\u2028b", r"a\u2028b"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@settings(deadline=None)
@given(st.text())
def test_result_is_always_printable(text: str) -> None:
    assert printable(text).isprintable()
