"""What QEMU's command line says: options, parameters, sizes."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.guest import Guest
from vmdev.replay.machines import command


def guest(*words: str) -> Guest:
    return Guest("pc", meta={"command": json.dumps(["qemu-system-x86_64", *words])})


def test_a_trace_without_a_command_has_no_options() -> None:
    for meta in ({}, {"command": "nonsense"}, {"command": "3"}):
        assert command.arguments(Guest("pc", meta=meta)) == []


def test_options_are_found_with_one_dash_or_two() -> None:
    found = guest("-m", "256", "--machine", "pc", "-machine", "graphics=off", "-nographic")
    assert command.values(found, "m") == ["256"]
    assert command.values(found, "M", "machine") == ["pc", "graphics=off"]
    assert command.has(found, "nographic")
    assert not command.has(found, "graphics")


def test_the_last_parameter_of_a_name_counts() -> None:
    found = command.merged(guest("-M", "pc,a=1", "-machine", "a=2,b"), "M", "machine", first="type")
    assert found == {"type": "pc", "a": "2", "b": "on"}


def test_two_commas_are_one_of_a_value() -> None:
    assert command.parameters("file=a,,b,x=,,") == {"file": "a,b", "x": ","}


@pytest.mark.parametrize(
    ("text", "size"),
    [("256", 256 << 20), ("1G", 1 << 30), ("64k", 64 << 10), ("7B", 7), ("2T", 2 << 40), ("1.5G", None)],
)
def test_sizes_are_in_mib_unless_they_say_otherwise(text: str, size: int | None) -> None:
    assert command.size(text) == size


def test_numbers_and_switches() -> None:
    found = command.parameters("a=0x10,b=no,c=on,d=maybe")
    assert command.number(found, "a", 1) == 16
    assert command.number(found, "z", 1) == 1
    assert command.number(found, "d", 1) is None
    assert [command.is_on(found, name) for name in "bcz"] == [False, True, False]
    assert command.is_on(found, "z", True)
