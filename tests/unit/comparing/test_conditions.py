"""What two recordings were made differently in."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.comparing.comparison import Comparison, Difference, Fact, Subject
from vmdev.replay.comparing.conditions import facts
from vmdev.replay.comparing.proposals import as_toml


def command(*words: str) -> dict[str, str | int]:
    return {"command": json.dumps(["qemu", *words])}


def test_facts_that_only_one_knows_are_no_difference() -> None:
    assert facts({"qemu": "10.0.2", "clock": "host"}, {"qemu": "11.1.3", "icount_shift": 5}) == [
        Fact("QEMU", "10.0.2", "11.1.3")
    ]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (command("-m", "1G"), command("-m", "2G"), [("-m 1G", "-m 2G")]),
        (command("-m", "1G", "-no-reboot"), command("-no-reboot", "-m", "1G"), [("nothing else", "nothing else")]),
        (command("-S"), command("-S"), []),
        ({"command": "no JSON"}, command("-S"), []),
        ({"command": "5"}, command("-S"), []),
        ({}, command("-S"), []),
    ],
)
def test_of_command_lines_the_options_are_told_that_differ(
    a: dict[str, str | int], b: dict[str, str | int], expected: list[tuple[str, str]]
) -> None:
    assert facts(a, b) == [Fact("command line", *each) for each in expected]


def test_of_images_those_are_told_that_differ() -> None:
    kernel: dict[str, object] = {"name": "bzImage", "size": 5, "sha256": "ab" * 32}
    disks: list[dict[str, object]] = [{"name": "disk.img", "size": size} for size in (1 << 40, 1 << 41)]
    a, b = ({"images": json.dumps([kernel, disk])} for disk in disks)
    assert facts(a, b) == [Fact("images", "disk.img (1099511627776 bytes)", "disk.img (2199023255552 bytes)")]
    assert facts(a, a) == []
    assert facts({"images": "[1]"}, a) == []


def test_texts_of_contracts_are_quoted() -> None:
    import tomllib

    subject = Subject('a"\\\n\x7f.db', "pc", "x86_64", "virtual", 1)
    difference = Difference('de"v', "ÄREG\x1b", "r", bits=1, count=1, pairs=1, is_declared=True)
    found = Comparison(subject, subject, differences=[difference])
    (contract,) = tomllib.loads(as_toml(found))["contract"]
    assert (contract["device"], contract["register"]) == ('de"v', "ÄREG\\x1b")
