"""The JSON report's schema, and the page that explains it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import vmdev.replay.report
from vmdev.cli.pytest_plugin import Vmdev
from vmdev.replay.report.json import VERSION, as_dict
from vmdev.replay.verdict import (
    Access,
    Against,
    ContractUse,
    DeviceVerdict,
    Divergence,
    Explained,
    FieldDifference,
    FieldPair,
    Fold,
    Instruction,
    KnownUse,
    Tally,
    TraceSummary,
    Unclaimed,
    Verdict,
    WitnessRow,
)

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = json.loads(
    (Path(next(iter(vmdev.replay.report.__path__))) / "verdict.schema.json").read_text(encoding="utf-8")
)
PAGE = ROOT / "docs" / "verdict-json.md"

CODE = Instruction(0xFFF0, b"\xec", "in", 1)


def full_verdict() -> Verdict:
    """One that has something everywhere."""
    divergence = Divergence(
        4, 99, "rtc", "root", "value", "time", "off by 1 tick", None, 0, CODE, "pio", "r", 0x71, 1, 1, "Seconds", 1, 2,
        (FieldDifference("A", "1", "0"),), (FieldPair("A", "1", "0", True),), "", {"index": 1},
        (Access(3, 98, "w", "Index", 0, 0x70, 1, 10, "Index=0xa", CODE), Access(2, 97, "r", None, 0, 0x70, 1, 10)),
    )  # fmt: skip
    fault = Divergence(5, 100, "rtc", "consequence", "fault", "fault", root_seq=4, detail="ValueError")
    tally = Tally(6, 5, 1, matched=2, learned=1, diverged=2, roots=1, consequences=1, delivered=1)
    verdict = Verdict(TraceSummary("boot.db", "pc", "x86_64", "virtual", 6, True), "pc", ("rtc",), ("seq 1:",), True)
    verdict.devices = [DeviceVerdict("rtc", "Mc146818", False, tally, {"CMOS 0x10": 1}, {"RBR": 2})]
    verdict.totals.add(tally)
    verdict.divergences = [divergence, fault]
    verdict.unclaimed = [Unclaimed("pio", "vga", 0x3C0, 0x3DA, 2, 1)]
    verdict.folds = [Fold(4, "rtc", "Minutes", ("A",), "value", 5, 100, 6, 101, 2, 3)]
    verdict.contracts = [ContractUse("rtc", "Seconds", "mask", 0xFF, "why", 1, 2)]
    verdict.known = [KnownUse("rtc", "Seconds", None, "why", "", 0, None, None, True)]
    return verdict


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["version"]["const"] == VERSION


def test_a_full_report_fits_the_schema() -> None:
    jsonschema.validate(as_dict(full_verdict()), SCHEMA)


@pytest.mark.parametrize("name", ["seabios-pc", "linux-microvm"])
def test_verdicts_on_golden_traces_fit_the_schema(name: str, vmdev: Vmdev) -> None:
    jsonschema.validate(as_dict(vmdev.replay(f"traces/{name}.db")), SCHEMA)


def test_verdicts_of_other_implementations_fit_the_schema() -> None:
    verdict = full_verdict()
    verdict.against = Against("QEMU", ("A note.",), (Explained("rtc", "interrupt", "why", 3),))
    jsonschema.validate(as_dict(verdict), SCHEMA)
    assert as_dict(verdict)["against"]["explained"][0]["reads"] == 3
    verdict.against = Against("QEMU", witnesses=(WitnessRow("rtc", "A", "qemu", 1, 9, 1, 1, 2, 7),), alike=5, unheard=1)
    jsonschema.validate(as_dict(verdict), SCHEMA)
    assert as_dict(verdict)["against"]["witnesses"][0]["qemu"] == 2


def test_a_key_that_the_schema_does_not_know_is_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(as_dict(full_verdict()) | {"new": 1}, SCHEMA)


def properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key of the schema with its description, at any depth."""
    for key, value in schema.get("properties", {}).items():
        yield key, value.get("description", "")
    for value in schema.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from properties(inner)


def test_the_page_has_every_key_with_its_meaning() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    keys = set(properties(SCHEMA))
    assert len(keys) > 80
    assert {
        (key, text) for key, text in keys if (key, text) not in rows and key not in ("name", "model", "hw")
    } == set()
    assert {key for key, _ in rows} == {key for key, _ in keys}
