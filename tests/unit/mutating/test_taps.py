"""Taps: they show what a fault makes of an access, and leave everything else alone."""

from __future__ import annotations

import pytest

from ports import Port
from vmdev.replay.clock import Clock
from vmdev.replay.device import UNMODELLED, Device, Unknown
from vmdev.replay.irq import Line
from vmdev.replay.mutating.faults import freezing
from vmdev.replay.mutating.taps import Deaf, Hearing, Misreset, Show, Tap, Twice


@pytest.fixture
def port() -> Port:
    return Port(Clock(), Line())


def read(device: Device, offset: int) -> int:
    return device.reader(offset, 1)()


def write(device: Device, offset: int, value: int) -> None:
    device.writer(offset, 1)(value)


def test_a_tap_alone_changes_nothing(port: Port) -> None:
    Tap(port)
    write(port, 2, 0x55)
    assert (read(port, 2), read(port, 1), read(port, 1)) == (0x55, 1, 0)
    answer = read(port, 3)
    assert isinstance(answer, Unknown)
    answer.learn(7)
    assert read(port, 3) == 7


def test_only_what_the_guest_sees_is_changed(port: Port) -> None:
    Show(port, "DATA", lambda value, visible: value | 0x80)
    write(port, 2, 1)
    assert read(port, 2) == 0x81
    assert port.read(2, 1) == 1
    assert read(port, 1) == 1, "another register"


def test_sites_that_cannot_reach_the_register_are_not_tapped(port: Port) -> None:
    Show(port, "DATA", lambda value, visible: 0)
    for offset in (0, 1, 3):
        assert getattr(port.reader(offset, 1), "func", None) == port.read


def test_of_several_registers_one_is_changed(port: Port) -> None:
    port.width = 1  # type: ignore[misc]
    Show(port, "DATA", lambda value, visible: 0xFF)
    assert port.reader(1, 2)() == 0xFF00


def test_the_bank_tells_registers_apart(port: Port) -> None:
    Show(port, "Y", lambda value, visible: 0xFF)
    write(port, 3, 1)
    assert read(port, 3) == 1
    write(port, 0, 2)
    assert read(port, 3) == 0xFF


class Half(Device):
    """Knows the lower four bits of its only register."""

    registers = Port.registers

    def __init__(self) -> None:
        self.learned = -1

    def learn(self, value: int) -> None:
        self.learned = value

    def read(self, offset: int, size: int) -> int:
        return Unknown(0x05, 0xF0, self.learn) if offset == 2 else UNMODELLED


def test_of_what_the_recording_tells_nothing_is_changed() -> None:
    half = Half()
    Show(half, "DATA", lambda value, visible: value | 0x18)
    answer = read(half, 2)
    assert isinstance(answer, Unknown)
    assert (answer.known, answer.mask, answer.kind) == (0x0D, 0xF0, "learned")
    answer.learn(0xA0)
    assert half.learned == 0xA0
    Show(half, "CTRL", lambda value, visible: 0)
    assert read(half, 0) is UNMODELLED


def test_a_frozen_register_shows_each_bit_as_it_was_first() -> None:
    change = freezing()
    assert change(0x0F, 0x0F) == 0x0F
    assert change(0xA0, 0xFF) == 0xAF
    assert change(0x00, 0xF0) == 0xA0


def test_a_deaf_register_misses_writes_and_what_they_do(port: Port) -> None:
    Deaf(port, "DATA")
    write(port, 2, 0x55)
    write(port, 0, 1)
    assert (read(port, 2), read(port, 1), read(port, 0)) == (0, 0, 1)


@pytest.mark.parametrize(("level", "arrives"), [(0, 0x50), (1, 0x5F)])
def test_some_bits_arrive_as_0_or_1(port: Port, level: int, arrives: int) -> None:
    Hearing(port, "DATA", 0x0F, level)
    write(port, 2, 0x55)
    write(port, 0, 5)
    assert (read(port, 2), read(port, 0)) == (arrives, 5)


def test_a_plan_tells_which_writes_are_the_registers(port: Port) -> None:
    """With banks, a model tells only afterwards what it took a write for."""
    x = Tap(port).pieces(3, 1, "w")
    Deaf(port, "X", [(), x])
    write(port, 3, 1)
    write(port, 3, 2)
    write(port, 3, 3)  # after the plan's end nothing is known
    assert port.state()["cell0"] == 3


def test_a_register_is_wrong_after_each_reset_until_it_is_written(port: Port) -> None:
    Misreset(port, "DATA", 0xFF)
    assert read(port, 2) == 0xFF
    write(port, 2, 5)
    assert read(port, 2) == 5
    port.reset()
    assert read(port, 2) == 0xFF


def test_reads_that_count_twice(port: Port) -> None:
    reads = []
    inner = port.reader

    def counting(offset: int, size: int):  # type: ignore[no-untyped-def]
        read = inner(offset, size)
        return lambda: reads.append(offset) or read()

    port.reader = counting  # type: ignore[method-assign]
    Twice(port, "STAT")
    write(port, 2, 1)
    assert read(port, 1) == 1, "the first answer counts"
    read(port, 2)
    assert reads == [1, 1, 2]


def test_a_model_that_fails_when_it_is_asked_for_its_bank_is_left_alone(port: Port) -> None:
    def fail(offset: int) -> str:
        raise ValueError("no")

    port.bank = fail  # type: ignore[method-assign]
    Show(port, "CTRL", lambda value, visible: 0xFF)
    Deaf(port, "CTRL")
    write(port, 0, 1)
    assert read(port, 0) == 1
