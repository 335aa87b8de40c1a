"""The report for programs: its keys are public."""

from __future__ import annotations

import json

from vmdev.replay.report.json import VERSION, as_dict, render
from vmdev.replay.verdict import (
    Access,
    DeviceVerdict,
    Divergence,
    FieldDifference,
    Instruction,
    Tally,
    TraceSummary,
    Unclaimed,
    Verdict,
)

COUNTS = [
    "exits", "reads", "writes", "matched", "masked", "learned", "assumed", "diverged", "roots", "consequences",
    "unmodelled", "unclaimed_reads", "delivered", "unclaimed_writes", "excluded", "known", "checked", "agreement",
]  # fmt: skip


def verdict() -> Verdict:
    tally = Tally(6, 5, 1, matched=2, learned=1, diverged=2, roots=1, consequences=1, delivered=1)
    divergence = Divergence(
        seq=4,
        t_ns=99,
        device="rtc",
        kind="root",
        cause="value",
        vcpu=0,
        instruction=Instruction(0xFFFF0, b"\xe4\x71", "inb $0x71, %al", 1),
        space="pio",
        direction="r",
        address=0x71,
        offset=1,
        size=1,
        register="Register A",
        hw=0xA6,
        model=0x26,
        fields=(FieldDifference("UIP", "1", "0"),),
        state={"index": 10},
        context=(Access(3, 98, "w", "Index", 0, 0x70, 1, 0x0A),),
    )
    fault = Divergence(5, 100, "rtc", "consequence", "fault", detail="ValueError")
    return Verdict(
        trace=TraceSummary("boot.db", "pc", "x86_64", "virtual", 6, True),
        machine="pc",
        selected=("rtc",),
        totals=tally,
        devices=[DeviceVerdict("rtc", "Mc146818", tally=tally, learned={"CMOS 0x10": 1})],
        divergences=[divergence, fault],
        unclaimed=[Unclaimed("pio", "vga", 0x3C0, 0x3DA, 2, 1)],
    )


def test_the_text_is_json_of_the_dictionary() -> None:
    assert json.loads(render(verdict())) == as_dict(verdict())
    assert render(verdict()).endswith("}\n")


def test_top_level() -> None:
    found = as_dict(verdict())
    assert list(found) == [
        "version", "trace", "machine", "selected", "totals", "devices", "agrees", "strict", "selection", "learned",
        "assumed", "unclaimed", "contracts", "known", "divergences", "consequences",
    ]  # fmt: skip
    assert found["version"] == VERSION == 1
    assert found["trace"] == {
        "name": "boot.db", "machine": "pc", "target": "x86_64", "clock": "virtual", "exits": 6, "closed": True,
    }  # fmt: skip
    assert found["selected"] == ["rtc"]


def test_totals_and_devices_have_all_counts() -> None:
    found = as_dict(verdict())
    assert list(found["totals"]) == COUNTS
    (device,) = found["devices"]
    assert list(device) == ["name", "model", *COUNTS]
    assert (device["name"], device["model"]) == ("rtc", "Mc146818")
    assert (device["checked"], device["agreement"], device["matched"]) == (4, 0.5, 2)


def test_agreement_is_null_if_nothing_was_checked() -> None:
    nothing = verdict()
    nothing.totals = Tally(1, 0, 1, delivered=1)
    assert json.loads(render(nothing))["totals"]["agreement"] is None


def test_details_by_register_and_region() -> None:
    found = as_dict(verdict())
    assert found["learned"] == {"rtc": {"CMOS 0x10": 1}}
    assert found["assumed"] == {}
    assert found["unclaimed"] == [
        {"space": "pio", "region": "vga", "first": 0x3C0, "last": 0x3DA, "reads": 2, "writes": 1, "share": 0.4}
    ]


def test_a_divergence() -> None:
    assert as_dict(verdict())["divergences"][0] == {
        "seq": 4,
        "t_ns": 99,
        "vcpu": 0,
        "pc": 0xFFFF0,
        "device": "rtc",
        "register": "Register A",
        "space": "pio",
        "direction": "r",
        "offset": 1,
        "address": 0x71,
        "size": 1,
        "hw": 0xA6,
        "model": 0x26,
        "kind": "root",
        "cause": "value",
        "class": "logic",
        "explanation": "",
        "root_seq": None,
        "fields": [{"name": "UIP", "hw": "1", "model": "0"}],
        "side_by_side": [],
        "instruction": {"bytes": "e471", "text": "in al, 0x71"},
        "detail": "",
        "state": {"index": 10},
        "context": [
            {
                "seq": 3, "t_ns": 98, "direction": "w", "register": "Index", "offset": 0, "address": 0x70, "size": 1,
                "value": 10, "decoded": "", "instruction": None,
            }
        ],
    }  # fmt: skip


def test_a_fault_outside_any_access_has_nulls() -> None:
    fault = as_dict(verdict())["divergences"][1]
    assert [fault[key] for key in ("vcpu", "pc", "register", "address", "hw", "model", "instruction")] == [None] * 7
    assert (fault["kind"], fault["cause"], fault["detail"]) == ("consequence", "fault", "ValueError")


def test_the_limit_cuts_the_list_but_not_the_counts() -> None:
    found = as_dict(verdict(), 1)
    assert len(found["divergences"]) == 1
    assert found["totals"]["diverged"] == 2


def test_the_text_has_no_control_characters() -> None:
    odd = verdict()
    odd.unclaimed[0].region = "\x1b\x7f\u009b"
    text = render(odd)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert json.loads(text)["unclaimed"][0]["region"] == "\x1b\x7f\u009b"
