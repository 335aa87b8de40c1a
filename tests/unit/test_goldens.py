"""What a golden keeps of a verdict, and how two of them differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay import goldens
from vmdev.replay.goldens import REST, Golden, Part, compare, compare_part
from vmdev.replay.verdict import DeviceVerdict, Divergence, Fold, Tally, TraceSummary, Unclaimed, Verdict


def verdict() -> Verdict:
    tally = Tally(exits=9, reads=9, matched=3, learned=1, diverged=5, roots=2, consequences=3)
    found = Verdict(TraceSummary("t.db", "pc", "x86_64", "virtual", 12, True), "pc")
    found.devices = [DeviceVerdict("rtc", "Rtc", tally=tally, learned={"CMOS 0x10": 1})]
    found.totals = Tally(exits=12, reads=12)
    found.divergences = [
        Divergence(1, 0, "rtc", "root", "value", register="A", hw=3, model=1, offset=0, size=1, address=0x71),
        Divergence(2, 0, "rtc", "root", "fault", offset=7),
        Divergence(3, 0, "rtc", "root", "fault"),
        Divergence(4, 0, "other", "root", "value", register="A", hw=3, model=1),
    ]
    found.folds = [
        Fold(1, "rtc", "A", (), "value", 2, 0, 3, 0, count=2, bits=4),
        Fold(1, "rtc", "", (), "fault", 2, 0, 3, 0, count=1),
        Fold(1, "other", "A", (), "value", 2, 0, 3, 0, count=2, bits=4),
    ]
    found.unclaimed = [Unclaimed("pio", "vga", 0x3C0, 0x3DA, reads=3)]
    return found


def test_a_golden_has_outcomes_and_divergences_by_register_and_bits() -> None:
    assert goldens.parts(verdict()) == {
        "rtc": {
            "exits": 9, "matched": 3, "learned": 1, "diverged": 5, "learned by register": {"CMOS 0x10": 1},
            "divergences": {
                "A": {"bits": "0x6", "roots": 1, "consequences": 2},
                "offset 0x7": {"roots": 1, "faults": 1},
                "outside any access": {"roots": 1, "consequences": 1, "faults": 2},
            },
        },
        REST: {"exits": 12, "unclaimed": {"vga, pio 0x3c0-0x3da": {"reads": 3, "writes": 0}}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "better", "worse"),
    [
        ({"matched": 1}, {"matched": 2}, ["d: matched 1 -> 2"], []),
        ({"matched": 2}, {"matched": 1}, [], ["d: matched 2 -> 1"]),
        ({}, {"learned": 1}, [], ["d: learned 0 -> 1"]),
        ({"unmodelled": 1}, {}, ["d: unmodelled 1 -> 0"], []),
        ({"learned by register": {"A": 2}}, {"learned by register": {"A": 1}}, ["d.A: learned 2 -> 1"], []),
        (
            {"divergences": {"A": {"bits": "0x6"}}},
            {"divergences": {"A": {"bits": "0x3"}}},
            ["d.A: bits 2 (0x4) differ no more"],
            ["d.A: bits 0 (0x1) differ now"],
        ),
        (
            {"unclaimed": {"vga": {"reads": 2, "writes": 1}}},
            {"unclaimed": {"vga": {"reads": 1, "writes": 2}}},
            ["unclaimed vga: reads 2 -> 1"],
            ["unclaimed vga: writes 1 -> 2"],
        ),
        (None, {"matched": 1}, ["d: new", "d: matched 0 -> 1"], []),
        (
            None,
            {"divergences": {"A": {"roots": 1}}},
            [],
            ["d: new", "d.A: roots 0 -> 1"],
        ),
    ],
)
def test_changes_are_better_or_worse(before: Part | None, after: Part, better: list[str], worse: list[str]) -> None:
    changes = compare_part("d", before, after)
    assert (changes.improvements, changes.regressions, changes.others) == (better, worse, [])


@pytest.mark.parametrize("odd", [{"of a later vmdev": 1}, {"matched": "x"}, {"matched": None}])
def test_any_other_change_is_told_too(odd: Part) -> None:
    assert list(compare_part("d", odd, {}).lines) == ["other changes:", "  d: has other keys than the golden"]


COUNTS = st.dictionaries(st.sampled_from(("exits", "matched", "learned", "diverged")), st.integers(1, 9))
PARTS = st.dictionaries(st.sampled_from(("a", "b", REST)), COUNTS)


@given(PARTS, PARTS)
def test_there_are_changes_exactly_if_something_differs(before: dict[str, Part], after: dict[str, Part]) -> None:
    assert bool(compare(before, after)) == (before != after)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    trace = tmp_path / "boot.db"
    assert goldens.read_beside(trace) is None
    golden = Golden("so\x7f it is", goldens.parts(verdict()))
    golden.write(goldens.path_for(trace))
    assert goldens.read_beside(trace) == golden
    assert [path.name for path in tmp_path.iterdir()] == ["boot.golden.json"]
