"""What ``vmdev record`` itself puts into a recording."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import pytest

from vmdev.cli.stimulus import (
    Mark,
    MarkPort,
    MarkPortType,
    MarkType,
    SerialInput,
    SerialInputType,
    Stimulus,
)
from vmdev.replay.errors import RecordError


def test_a_mark_is_a_text_and_a_time() -> None:
    assert MarkType().convert("login: a@b@2ms", None, None) == Mark("login: a@b", 2_000_000)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "TEXT@TIME"),
        ("text@", "TEXT@TIME"),
        ("text@soon", "TEXT@TIME"),
        ("text@-1s", "TEXT@TIME"),
        ("@1s", "the text before @ is missing"),
        ("a\nb@1s", "printable"),
        ("\udcff@1s", "printable"),
    ],
)
def test_a_malformed_mark_is_refused(value: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        MarkType().convert(value, None, None)


@pytest.mark.parametrize(
    ("value", "port"),
    [
        ("0x2f0", MarkPort("pio", 0x2F0)),
        ("010", MarkPort("pio", 10)),
        ("65535", MarkPort("pio", 0xFFFF)),
        ("mmio:0xffffffffffffffff", MarkPort("mmio", 2**64 - 1)),
    ],
)
def test_a_marker_port_is_a_port_or_an_address(value: str, port: MarkPort) -> None:
    assert MarkPortType().convert(value, None, None) == port


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("65536", "below 0x10000"),
        ("mmio:0x10000000000000000", "64 bits"),
        ("com1", "a port like"),
        ("-1", "a port like"),
        ("mmio:", "a port like"),
        ("", "a port like"),
    ],
)
def test_a_malformed_marker_port_is_refused(value: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        MarkPortType().convert(value, None, None)


def test_serial_input_is_a_file_and_perhaps_a_time(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"root\n")
    digest = hashlib.sha256(b"root\n").hexdigest()
    assert SerialInputType().convert(str(path), None, None) == SerialInput(path, 0, 5, digest)
    assert SerialInputType().convert(f"{path}@2s", None, None) == SerialInput(path, 2_000_000_000, 5, digest)


def test_a_file_named_with_an_at_needs_the_time(tmp_path: Path) -> None:
    path = tmp_path / "root@host"
    path.write_bytes(b"x")
    with pytest.raises(click.BadParameter, match="NAME@0s"):
        SerialInputType().convert(str(path), None, None)
    assert SerialInputType().convert(f"{path}@0s", None, None).path == path


@pytest.mark.parametrize(("name", "message"), [("none", "cannot be read: No such file"), (".", "not a regular file")])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        SerialInputType().convert(f"{tmp_path / name}@1s", None, None)


def test_the_recorder_gets_inputs_by_time_and_commas_twice(tmp_path: Path) -> None:
    first, second = SerialInput(tmp_path / "a,b", 1, 1, ""), SerialInput(tmp_path / "c", 2, 1, "")
    stimulus = Stimulus([Mark("x,y", 7)], MarkPort("pio", 0x2F0), [second, first])
    assert stimulus.plugin_options("serial0") == [
        "mark=7:x,,y",
        "mark-port=pio:0x2f0",
        "serial-chardev=serial0",
        f"serial-input=1:{tmp_path.resolve()}/a,,b",
        f"serial-input=2:{tmp_path.resolve()}/c",
    ]
    assert Stimulus().plugin_options("serial0") == []


def test_what_did_not_come_to_pass_is_noted(tmp_path: Path) -> None:
    marks = [Mark("late", 3_000_000_000), Mark("early", 1_000_000_000), Mark("later", 4_000_000_000)]
    stimulus = Stimulus(marks, None, [SerialInput(tmp_path, 0, 9, "")])
    assert stimulus.notes({"marks_left": 0, "serial_input_left": 0}) == []
    assert stimulus.notes({}) == []
    assert stimulus.notes({"marks_left": 2, "serial_input_left": 4}) == [
        "--mark 'late': the recording ended before 3 s",
        "--mark 'later': the recording ended before 4 s",
        "--serial-input: 4 of 9 bytes were not fed: the guest ended or took no more",
    ]


def test_a_target_without_ports_has_no_marker_port() -> None:
    Stimulus(mark_port=MarkPort("pio", 1)).check("x86_64", "off")
    Stimulus(mark_port=MarkPort("mmio", 1)).check("aarch64", "fast")
    with pytest.raises(RecordError, match="aarch64 has no ports; use mmio:ADDRESS"):
        Stimulus(mark_port=MarkPort("pio", 1)).check("aarch64", "fast")
    with pytest.raises(RecordError, match="needs --mmio fast or full"):
        Stimulus(mark_port=MarkPort("mmio", 1)).check("x86_64", "off")
