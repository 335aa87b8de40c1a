"""The guest's first serial port, made ready to be fed."""

from __future__ import annotations

import pytest

from vmdev.cli.qemu.serial_port import prepare
from vmdev.replay.errors import RecordError


@pytest.mark.parametrize("backend", ["stdio", "null", "file:log", "pty", "vc"])
def test_a_port_of_its_own_stays_as_it_is(backend: str) -> None:
    arguments = ["-M", "pc", "-serial", backend, "-serial", "mon:stdio"]
    assert prepare(arguments) == (arguments, "serial0")


def test_a_named_character_device_is_fed_by_its_name() -> None:
    arguments = ["-chardev", "stdio,id=com", "-serial", "chardev:com"]
    assert prepare(arguments) == (arguments, "com")


@pytest.mark.parametrize(
    ("arguments", "prepared"),
    [
        (["-display", "none"], ["-display", "none", "-serial", "stdio"]),
        (["-nographic"], ["-nographic", "-serial", "stdio", "-monitor", "none"]),
        (["-nographic", "-monitor", "null"], ["-nographic", "-monitor", "null", "-serial", "stdio"]),
        (["-serial", "mon:stdio", "-S"], ["-serial", "stdio", "-S", "-monitor", "none"]),
        (["-nodefaults", "-serial", "mon:stdio"], ["-nodefaults", "-serial", "stdio"]),
    ],
)
def test_a_monitor_does_not_share_it(arguments: list[str], prepared: list[str]) -> None:
    assert prepare(arguments) == (prepared, "serial0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-nodefaults"], "without a serial port"),
        (["-serial", "none"], "without a serial port"),
        (["-chardev", "stdio,id=com,mux=on", "-serial", "chardev:com"], "shared by several users"),
    ],
)
def test_a_port_that_cannot_be_fed_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        prepare(arguments)
