"""Registers from SystemRDL."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmdev.replay.errors import DescriptionError
from vmdev.replay.registers import Field
from vmdev.replay.scaffolding import rdl
from vmdev.replay.scaffolding.rdl import read_rdl

pytest.importorskip("systemrdl")

TIMER = """
enum mode_e { ONCE = 0; AGAIN = 1 { name = "again and again"; }; };

addrmap timer {
    desc = "A timer";
    default regwidth = 32;
    reg {
        desc = "Control";
        field { sw = rw; hw = r; reset = 1; } EN[0:0];
        field { sw = rw; hw = r; encode = mode_e; } MODE[4:4];
        field { sw = r; hw = w; } BUSY[31:31];
    } CTRL @ 0x0;
    reg {
        field { sw = rw; hw = w; onwrite = woclr; } DONE[0:0];
        field { sw = r; hw = w; onread = rclr; } SEEN[2:1];
        field { sw = rw; hw = r; onwrite = wot; } FLIP[3:3];
    } STATUS @ 0x4;
    reg { regwidth = 8; field { sw = w; } CMD[7:0]; } CMD @ 0x8;
    regfile {
        reg { field { sw = rw; reset = 0x1234; } V[31:0]; } LOW;
        reg { field { sw = rw; } V[31:0]; } HIGH;
    } CH[2] @ 0x100;
};
"""


@pytest.fixture
def timer(tmp_path: Path) -> Path:
    path = tmp_path / "timer.rdl"
    path.write_text(TIMER)
    return path


def test_registers_have_names_offsets_sizes_and_access(timer: Path) -> None:
    assert [(each.name, each.offset, each.size, each.access) for each in read_rdl(timer)] == [
        ("CTRL", 0x0, 4, "rw"),
        ("STATUS", 0x4, 4, "rw"),
        ("CMD", 0x8, 1, "w"),
        ("CH[0].LOW", 0x100, 4, "rw"),
        ("CH[0].HIGH", 0x104, 4, "rw"),
        ("CH[1].LOW", 0x108, 4, "rw"),
        ("CH[1].HIGH", 0x10C, 4, "rw"),
    ]


def test_fields_and_what_they_do_are_taken_over(timer: Path) -> None:
    control, status, *_, low, _ = read_rdl(timer)
    assert control.title == "Control"
    assert control.fields == (
        Field("EN", 0, 0),
        Field("MODE", 4, 4, {0: "ONCE", 1: "again and again"}),
        Field("BUSY", 31, 31),
    )
    assert dict(control.behaviour.rules()) == {"kept": 0x11}
    assert control.behaviour.reset == 1
    assert dict(status.behaviour.rules()) == {"ones_clear": 0x1, "reads_clear": 0x6, "ones_toggle": 0x8}
    assert low.behaviour.reset == 0x1234


def test_a_part_is_chosen_by_its_name(timer: Path) -> None:
    assert [(each.name, each.offset) for each in read_rdl(timer, "CH[1]")] == [("LOW", 0), ("HIGH", 4)]
    assert len(read_rdl(timer, "timer")) == 7


@pytest.mark.parametrize(
    ("text", "part", "said"),
    [
        ("", None, "bad.rdl"),
        ("addrmap a {", None, "error|fatal"),
        (TIMER.replace("woclr", "nonsense"), None, "error|fatal"),
        (TIMER, "UART", "has no 'UART'; it has timer, CTRL, STATUS, CMD, CH"),
        (TIMER.replace("CH[2]", "CH[2000000000]"), None, "more than 4,096 registers"),
        (TIMER.replace("regwidth = 8", "regwidth = 128"), None, "has 128 bits"),
        ("<% system('true'); %>" + TIMER, None, "Perl"),
        ("\x00\xff", None, "bad.rdl"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(tmp_path: Path, text: str, part: str | None, said: str) -> None:
    path = tmp_path / "bad.rdl"
    path.write_text(text)
    with pytest.raises(DescriptionError, match=said) as caught:
        read_rdl(path, part)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_large_file_is_refused(timer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdl, "MOST_BYTES", 100)
    with pytest.raises(DescriptionError, match="is larger than"):
        read_rdl(timer)
