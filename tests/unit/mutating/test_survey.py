"""What a survey finds out about the use of registers."""

from __future__ import annotations

import pytest

from ports import Port
from vmdev.replay.clock import Clock
from vmdev.replay.device import UNMODELLED, Device, Unknown
from vmdev.replay.irq import Line
from vmdev.replay.mutating import survey as module
from vmdev.replay.mutating.survey import Survey


@pytest.fixture
def port() -> Port:
    return Port(Clock(), Line())


def read(device: Device, offset: int) -> int:
    return device.reader(offset, 1)()


def write(device: Device, offset: int, value: int) -> None:
    device.writer(offset, 1)(value)


def test_accesses_and_bits_are_noted(port: Port) -> None:
    survey = Survey(port)
    for value in (0x55, 0x50):
        write(port, 2, value)
        assert read(port, 2) == value
    use = survey.uses["DATA"]
    assert (use.reads, use.writes, use.ones, use.zeros, use.both, use.shown) == (2, 2, 0x55, 0xAF, 0x05, 0xFF)
    assert (use.written_ones, use.written_zeros, use.fresh_bits) == (0x55, 0xAF, 0)
    assert use.values == {0x55, 0x50}
    assert [*survey.uses] == ["DATA"]


def test_until_a_write_and_after_a_reset_a_register_is_fresh(port: Port) -> None:
    survey = Survey(port)
    assert read(port, 2) == 0
    write(port, 0, 7)
    read(port, 0)
    assert (survey.uses["DATA"].fresh_zeros, survey.uses["CTRL"].fresh_bits) == (0xFF, 0)
    port.reset()
    read(port, 0)
    assert survey.uses["CTRL"].fresh_zeros == 0xFF
    assert survey.resets == 1


def test_what_only_the_recording_knows_shows_no_bits(port: Port) -> None:
    survey = Survey(port, looks_deeper=True)
    assert isinstance(read(port, 3), Unknown)
    use = survey.uses["X"]
    assert (use.reads, use.shown, use.values) == (1, 0, set())
    assert survey.explained == {1}


def test_what_the_model_explains_is_noted(port: Port) -> None:
    survey = Survey(port, looks_deeper=True)
    read(port, 0)
    assert not port.assume(0, 1, 1, 0)
    read(port, 1)
    assert port.assume(1, 1, 2, 0)
    assert survey.explained == {2}


def test_reads_that_change_the_model_are_found(port: Port) -> None:
    survey = Survey(port, looks_deeper=True)
    write(port, 2, 1)
    for offset in (0, 1, 2):
        read(port, offset)
    assert [name for name, use in survey.uses.items() if use.reading_changes] == ["STAT"]


def test_after_many_reads_only_some_are_looked_at_for_it(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLED", 2)
    survey = Survey(port, looks_deeper=True)
    read(port, 1)
    read(port, 1)
    write(port, 2, 1)
    read(port, 1)
    assert not survey.uses["STAT"].reading_changes
    for _ in range(module.STRIDE):
        write(port, 2, 1)
        read(port, 1)
    assert survey.uses["STAT"].reading_changes


def test_what_writes_reach_is_noted_as_the_model_tells_it_afterwards(port: Port) -> None:
    survey = Survey(port, looks_deeper=True)
    for offset, value in ((3, 1), (0, 2), (3, 1), (3, 2)):
        write(port, offset, value)
    assert [[piece.register and piece.register.name for piece in pieces] for pieces in survey.plan] == [
        ["X"], ["CTRL"], ["Y"], ["Y"],
    ]  # fmt: skip
    assert survey.plan[2] is survey.plan[3]


def test_accesses_where_nothing_is_declared_are_counted(port: Port) -> None:
    survey = Survey(port)
    write(port, 1, 5)
    write(port, 9, 5)
    assert survey.undeclared == {1: [0, 1], 9: [0, 1]}


class Odd(Device):
    registers = Port.registers

    def read(self, offset: int, size: int) -> int:
        return UNMODELLED

    def write(self, offset: int, size: int, value: int) -> None:
        raise ValueError("no")

    def state(self) -> dict[str, int]:
        raise ValueError("no")


def test_a_model_that_knows_little_or_fails_is_surveyed_all_the_same() -> None:
    odd = Odd()
    survey = Survey(odd, looks_deeper=True)
    assert read(odd, 2) is UNMODELLED
    assert odd.reader(9, 1)() is UNMODELLED
    with pytest.raises(ValueError, match="no"):
        write(odd, 2, 5)
    use = survey.uses["DATA"]
    assert (use.reads, use.writes, use.shown, use.reading_changes) == (1, 1, 0, False)
    assert survey.undeclared == {9: [1, 0]}
