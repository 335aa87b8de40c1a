"""Many mutants in one replay."""

from __future__ import annotations

import pytest

from ports import Port
from vmdev.replay.clock import Clock
from vmdev.replay.device import UNMODELLED, Unknown
from vmdev.replay.irq import Line
from vmdev.replay.mutating.batch import Batch, Spoiled
from vmdev.replay.mutating.faults import MISRESET, STUCK_0, STUCK_1, Mutant

DATA_0, DATA_1 = Mutant("DATA", STUCK_0, 1), Mutant("DATA", STUCK_1, 1)
IN, RDY = Mutant("STAT", STUCK_1, 2), Mutant("STAT", STUCK_1, 1)
FRESH = Mutant("DATA", MISRESET, 0xFF)


@pytest.fixture
def port() -> Port:
    return Port(Clock(), Line())


def read(port: Port, offset: int) -> int:
    return port.reader(offset, 1)()


def test_each_is_killed_by_the_first_read_that_differs(port: Port) -> None:
    batch = Batch(port, [DATA_0, DATA_1], (), [])
    assert read(port, 2) == 0, "the model's own answer"
    assert batch.killed == {DATA_1}
    port.writer(2, 1)(1)
    assert read(port, 2) == 1
    assert batch.killed == {DATA_0, DATA_1}


def test_what_the_model_explains_is_not_known_and_spoils_it(port: Port) -> None:
    batch = Batch(port, [IN, RDY], (), [])
    with pytest.raises(Spoiled):
        read(port, 1)
    assert (batch.killed, batch.unsure) == (set(), {IN})


def test_where_the_models_answer_was_explained_nothing_is_known(port: Port) -> None:
    batch = Batch(port, [DATA_1, RDY], {1}, [])
    read(port, 2)
    read(port, 1)
    assert (batch.killed, batch.unsure) == ({RDY}, {DATA_1})


def test_a_model_that_fails_to_explain_would_have_failed(port: Port) -> None:
    def fail(*arguments: int) -> bool:
        raise ValueError("no")

    port.assume = fail  # type: ignore[method-assign]
    batch = Batch(port, [DATA_1], (), [])
    read(port, 2)
    assert batch.killed == {DATA_1}


def test_until_it_is_written_a_register_may_be_wrong(port: Port) -> None:
    reached = Batch(port, [], (), []).pieces(2, 1, "w")
    batch = Batch(port, [FRESH], (), [reached])
    port.writer(2, 1)(1)
    read(port, 2)
    assert not batch.killed
    port.reset()
    read(port, 2)
    assert batch.killed == {FRESH}


def test_answers_that_are_no_values_tell_nothing(port: Port) -> None:
    answers = [UNMODELLED, Unknown(0x10, 0x0F, lambda value: None)]
    port.read = lambda offset, size: answers.pop(0)  # type: ignore[method-assign]
    high = Mutant("DATA", STUCK_0, 0x10)
    batch = Batch(port, [DATA_1, high], {2}, [])
    assert read(port, 2) is UNMODELLED
    assert isinstance(read(port, 2), Unknown)
    assert (batch.killed, batch.unsure) == (set(), {high})
