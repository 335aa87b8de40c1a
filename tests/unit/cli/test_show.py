from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.cli.ranges import parse_integer

Run = Callable[..., Result]


def shown(result: Result) -> list[int]:
    """The seqs of a text output."""
    assert result.exit_code == 0, result.stderr
    return [int(line.split()[0]) for line in result.stdout.splitlines()[1:]]


def test_text(run: Run, trace: Path) -> None:
    result = run("show", trace)
    assert result.exit_code == 0
    assert [line.split(None, 8) for line in result.stdout.splitlines()] == [
        ["seq", "time/s", "cpu", "pc", "access", "address", "value", "region", "instruction"],
        ["0", "0.000000416", "0", "fec16", "pio", "w1", "0x70", "0x8f", "rtc-index        out 0x70, al"],
        ["1", "0.000000448", "0", "fec18", "pio", "r1", "0x71", "0x00", "rtc              in al, 0x71"],
        ["2", "0.001000000", "0", "fec16", "pio", "w1", "0x70", "0x0a", "rtc-index        out 0x70, al"],
        ["3", "0.001000032", "0", "fec18", "pio", "r1", "0x71", "0x26", "rtc              in al, 0x71"],
        ["4", "0.002500000", "1", "ffffffff81000000", "mmio", "w4", "0xfee00300", "0x000c4500",
         "apic-msi         mov dword ptr [rdi], eax"],
        ["5", "1.000000000", "0", "7000000", "pio", "r2", "0x999", "0xffff", "in ax, dx"],
    ]  # fmt: skip


def test_columns_of_text_stand_below_their_titles(run: Run, trace: Path) -> None:
    title, *lines = run("show", trace).stdout.splitlines()
    assert {line.index("pio") for line in lines if "pio" in line} == {title.index("access")}
    assert {line.index("rtc") for line in lines if "rtc" in line} == {title.index("region")}
    assert lines[0].index("out 0x70") == title.index("instruction")


def test_json_is_an_object_a_line(run: Run, trace: Path) -> None:
    result = run("show", trace, "--seq", 4, "--format", "json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "seq": 4,
            "t_ns": 2_500_000,
            "value": 0xC4500,
            "site": 2,
            "vcpu": 1,
            "pc": 0xFFFFFFFF81000000,
            "space": "mmio",
            "direction": "w",
            "address": 0xFEE00300,
            "size": 4,
            "string": False,
            "region": "apic-msi",
            "instruction": "mov dword ptr [rdi], eax",
        }
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("--seq 2:4", [2, 3, 4]),
        ("--seq 4:", [4, 5]),
        ("--seq :1", [0, 1]),
        ("--seq 3", [3]),
        ("--seq 99:", []),
        (f"--seq {1 << 70}:", []),
        ("--time 448:1000000", [1, 2]),
        ("--time 1ms:2.5ms", [2, 3, 4]),
        ("--time 1s:", [5]),
        ("--time :0.448us", [0, 1]),
        (f"--time {1 << 70}:", []),
        ("--address 0x71", [1, 3]),
        ("--address 0x70:0x71", [0, 1, 2, 3]),
        ("--address 0xfee00303", [4]),
        ("--address 0xfee00304", []),
        ("--address 0x99a", [5]),
        ("--address 0x1000:", [4]),
        ("--address :0x70", [0, 2]),
        ("--space mmio", [4]),
        ("--region rtc", [1, 3]),
        ("--region rtc --region apic-msi", [1, 3, 4]),
        ("--reads", [1, 3, 5]),
        ("--writes", [0, 2, 4]),
        ("--limit 2", [0, 1]),
        ("--limit 0", []),
        ("--limit 99", [0, 1, 2, 3, 4, 5]),
        ("--seq 1: --address 0x70:0x71 --time :1ms", [1, 2]),
        ("--reads --limit 2", [1, 3]),
        ("--writes --region rtc", []),
    ],
)
def test_filters(run: Run, trace: Path, options: str, expected: list[int]) -> None:
    assert shown(run("show", trace, *options.split())) == expected


def test_accesses_where_nothing_was_mapped(run: Run, trace: Path) -> None:
    assert shown(run("show", trace, "--region", "")) == [5]


def test_unknown_region_is_told_with_the_known_ones(run: Run, trace: Path) -> None:
    result = run("show", trace, "--region", "hpet")
    assert result.exit_code == 2
    assert result.stderr == "Error: the trace has no region 'hpet'; accessed were: apic-msi, rtc, rtc-index\n"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--seq", "5:3", "must not end before it begins: '5:3'"),
        ("--seq", ":", "must be like 10:20, 10:, :20 or 10, not ':'"),
        ("--seq", "", "must be like 10:20, 10:, :20 or 10, not ''"),
        ("--seq", "a", "'a' is not a number like 1000 or 0x3f8"),
        ("--seq", "1:2:3", "'2:3' is not a number"),
        ("--seq", "-5", "'-5' is negative"),
        ("--address", "serial", "'serial' is not a number"),
        ("--time", "5m", "'5m' is not a time like 1000, 20us, 1.5ms or 2s"),
        ("--time", "0.5ns", "'0.5ns' is not a whole number of nanoseconds"),
        ("--limit", "-1", "-1 is not in the range x>=0"),
    ],
)
def test_wrong_options_are_usage_errors(run: Run, trace: Path, option: str, value: str, message: str) -> None:
    result = run("show", trace, f"{option}={value}")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(("text", "number"), [("10", 10), ("0x3F8", 0x3F8), ("0b11", 3)])
def test_numbers(text: str, number: int) -> None:
    assert parse_integer(text) == number


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_control_character_reaches_the_terminal(run: Run, hostile: Path, form: str) -> None:
    result = run("show", hostile, "--format", form)
    assert result.exit_code == 0
    assert all(character.isprintable() or character == "\n" for character in result.stdout)


def test_unknown_region_is_printed_safely(run: Run, hostile: Path) -> None:
    result = run("show", hostile, "--region", "none")
    assert result.exit_code == 2
    assert all(character.isprintable() or character == "\n" for character in result.stderr)
