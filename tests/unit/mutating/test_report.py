"""What the report says."""

from __future__ import annotations

import json
from pathlib import Path

from ports import Port
from vmdev.replay.mutating.adequacy import Adequacy, TraceResult
from vmdev.replay.mutating.faults import (
    DEAF,
    FROZEN,
    LATE,
    LOST_0,
    QUIET,
    SAME,
    STUCK_0,
    STUCK_1,
    UNREAD,
    UNSET,
    UNWRITTEN,
    Mutant,
)
from vmdev.replay.mutating.report import as_dict, render_json, render_text
from vmdev.replay.mutating.survey import Use
from vmdev.replay.registers import Register

CTRL, STAT, DATA, *_ = Port.registers


def sample(traces: int = 1) -> Adequacy:
    found = Adequacy("port")
    found.model = "Port"
    found.add_registers([*Port.registers])
    uses = {
        "DATA": Use(DATA, reads=1_234, writes=0, ones=0x81, zeros=0xF1),
        "CTRL": Use(CTRL, writes=2, written_ones=7),
    }
    survived = {
        Mutant("DATA", STUCK_0, 0x40): UNSET,
        Mutant("DATA", STUCK_0, 0x20): UNSET,
        Mutant("DATA", DEAF): UNWRITTEN,
        Mutant("DATA", FROZEN): SAME,
        Mutant("CTRL", STUCK_1, 2): UNREAD,
        Mutant("CTRL", LOST_0, 6): "no read depends on it",
        Mutant("CTRL", LOST_0, 1): "no read depends on it",
        Mutant("CTRL", STUCK_1, 1): UNREAD,
        Mutant("CTRL", STUCK_0, 2): "what differs is listed as known",
        Mutant("STAT", STUCK_0, 1): UNREAD,
        Mutant("(interrupt)", LATE): QUIET,
    }
    killed = {Mutant("DATA", STUCK_0, 0x80), Mutant("CTRL", DEAF)}
    for number in range(traces):
        result = TraceResult(f"{'ab'[number]}.db", 1_000, diverging=number, killed=set(killed), survived=dict(survived))
        found.add(result, uses, {5: [1, 2]} if number == 0 else {})
        killed.pop()
    return found


def test_the_text() -> None:
    assert render_text(sample()) == (
        "15.38 % of the mutants of port are killed: 2 of 13, by a.db.\n"
        "Of those in registers that are accessed, 16.66 %: 2 of 12.\n"
        "\n"
        "register  reads  writes  bits read as 0 and 1  only 0  only 1  never  killed\n"
        "CTRL          0       2                     -       -       -   2..0  1 of 6\n"
        "DATA      1,234       0                  7, 0    6..4       -   3..1  1 of 5\n"
        "\n"
        "Never accessed: STAT, X (0), Y (1).\n"
        "Never read: CTRL.\n"
        "Never written: DATA.\n"
        "Accessed, but not declared: offset 0x5 (1 read and 2 writes).\n"
        "\n"
        "Surviving mutants of what is accessed:\n"
        "  (interrupt): comes late: the line never changes\n"
        "  CTRL: BANK[0] stuck at 0: what differs is listed as known\n"
        "  CTRL: BANK, EN written as 0: no read depends on it\n"
        "  DATA: bits 6..5 stuck at 0: no read shows it set\n"
        "  DATA: never changes: every read shows the same\n"
    )


def test_of_several_traces_each_is_told() -> None:
    text = render_text(sample(2))
    assert text.startswith("15.38 % of the mutants of port are killed: 2 of 13, by 2 traces.\n")
    assert "b.db: 1 read diverges without a fault; there, mutants are compared with the model.\n" in text
    assert "trace  exits  kills  that no other kills\na.db   1,000      2                    1\n" in text
    assert text.endswith("\nEnough to kill as many (chosen greedily, so there may be fewer): a.db.\n")


def test_survivors_are_limited() -> None:
    text = render_text(sample(), 2)
    assert text.endswith(
        "  CTRL: BANK[0] stuck at 0: what differs is listed as known\n  ... and 3 lines more; --limit shows more\n"
    )
    assert "Surviving" in render_text(sample(), 0)


def test_what_was_not_tried_is_told() -> None:
    found = sample()
    found.traces[0].untried.add(Mutant("DATA", LOST_0, 1))
    assert render_text(found).startswith(
        "15.38 % of the mutants of port are killed: 2 of 13, by a.db; 1 more was not tried.\n"
    )


def test_where_all_is_killed_there_is_no_more_to_say() -> None:
    found = Adequacy("port")
    found.add_registers([DATA])
    found.add(TraceResult("a.db", 1, killed={Mutant("DATA", STUCK_0, 1)}), {"DATA": Use(DATA, reads=1, ones=1)}, {})
    assert render_text(found) == (
        "100.00 % of the mutants of port are killed: 1 of 1, by a.db.\n"
        + "\nregister  reads  writes  bits read as 0 and 1  only 0  only 1  never  killed\n"
        + "DATA          1       0                     -       -       0   7..1  1 of 1\n"
        + "\nNever written: DATA.\n"
    )


def test_many_names_are_not_listed() -> None:
    found = Adequacy("port")
    found.add_registers([Register(f"R{number}", "", number, "r") for number in range(20)])
    found.add(TraceResult("a.db", 1), {}, {})
    assert "Never accessed: R0, R1, " in render_text(found)
    assert "R11 and 8 more." in render_text(found)


def test_what_a_trace_says_cannot_obey_the_terminal() -> None:
    found = Adequacy("port")
    found.add(TraceResult("\x1b[31m.db", 1), {}, {})
    assert "\x1b" not in render_text(found)
    assert "\x1b" not in render_json(found)


def test_the_json() -> None:
    found = json.loads(render_json(sample(2)))
    assert found == as_dict(sample(2))
    assert found["total"] == {"killed": 2, "tried": 13, "untried": 0, "score": 2 / 13}
    data = next(row for row in found["registers"] if row["name"] == "DATA")
    assert data == {
        "name": "DATA", "offset": 2, "access": "rw", "banks": [], "width": 8, "reads": 2_468, "writes": 0,
        "read_as_0": 0xF1, "read_as_1": 0x81, "written_as_0": 0, "written_as_1": 0,
        "killed": 1, "tried": 5, "untried": 0, "score": 0.2,
    }  # fmt: skip
    assert {"register": "DATA", "fault": STUCK_0, "bits": 0x40, "killed_by": [], "reason": UNSET} in found["mutants"]
    killed = [row for row in found["mutants"] if row["killed_by"]]
    assert all(row["reason"] is None for row in killed)
    assert sorted(row["killed_by"] for row in killed) == [["a.db"], ["a.db", "b.db"]]
    assert found["traces"][1] == {"name": "b.db", "exits": 1_000, "diverging": 1, "kills": 1, "only": 0}
    assert found["smallest"] == ["a.db"]
    assert found["undeclared"] == [{"offset": 5, "reads": 1, "writes": 2}]


def test_the_page_has_all_keys() -> None:
    page = (Path(__file__).parents[3] / "docs" / "mutate.md").read_text()
    table = page[page.index("## As JSON") :]
    found = as_dict(sample(2))
    found["lines"] = [{"file": "", "lines": 0, "not_run": []}]
    for row in (found, *(rows[0] for rows in found.values() if isinstance(rows, list) and isinstance(rows[0], dict))):
        assert [key for key in row if f"`{key}`" not in table] == []
