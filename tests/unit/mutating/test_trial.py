"""A trace as a test: the same mutants are killed, in whatever way that is found out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ports import BANKED, CTRL, DATA, LEVEL, RESET, STAT, USES_ALL, Level, Port, Step, bench, make_board, record
from vmdev.replay.contracts import Contract
from vmdev.replay.device import Device
from vmdev.replay.errors import MutatingError, NothingComparedError, UnknownMachineError
from vmdev.replay.guest import Guest
from vmdev.replay.machines import Board
from vmdev.replay.minimizing import Bench
from vmdev.replay.mutating import Adequacy, Limits, mutate
from vmdev.replay.mutating.faults import ALWAYS, DEAF, DEVICE, INTERRUPT, LATE, MISRESET, NEVER, NO_RESET, Mutant, apply
from vmdev.replay.mutating.influence import affected
from vmdev.replay.mutating.trial import TimeIsUpError, Trial
from vmdev.replay.registers import RegisterMap
from vmdev.replay.selection import Selection
from vmdev.replay.trace.reader import TraceReader

MORE: list[Step] = [
    *USES_ALL, (DATA, None), (RESET, None), (CTRL, None), (DATA, None), (CTRL, 1), (DATA, 1), (DATA, 3), (STAT, None),
    (DATA, 4), (LEVEL, None), (CTRL, 0), (LEVEL, None),
]  # fmt: skip


def tried(path: Path, how: Bench | None = None, limits: Limits = Limits()) -> Adequacy:  # noqa: B008 - it is frozen
    found = Adequacy("port")
    with TraceReader(path) as trace:
        mutate(trace, path.name, how or bench(), found, limits)
    return found


def shown_by_the_whole(path: Path, mutant: Mutant, how: Bench) -> bool:
    with TraceReader(path) as trace:
        survey = Trial(trace, how, "port")
        board = how.board(trace.guest)
        apply(mutant, board, "port", survey._survey.plan)
        try:
            return bool(how.replayer(trace, board, Selection(until_divergence=True)).run().roots)
        except NothingComparedError:
            return False


@pytest.mark.parametrize("steps", [USES_ALL, MORE, [(DATA, 1), (LEVEL, None)], [(STAT, None), (STAT, None)]])
def test_mutants_fare_as_in_a_replay_of_the_whole_trace(tmp_path: Path, steps: list[Step]) -> None:
    path = record(tmp_path / "trace.db", steps)
    found = tried(path)
    assert found.total.untried == 0
    for fate in found.fates:
        assert fate.is_killed == shown_by_the_whole(path, fate.mutant, bench()), fate


def test_input_from_outside_excuses_what_it_explains(tmp_path: Path) -> None:
    """The model explains any IN: so nobody tells whether it is stuck."""
    steps: list[Step] = [*MORE, (STAT, None), (STAT, None), (CTRL, None)]
    path = record(tmp_path / "trace.db", steps, told={len(MORE): 3, len(MORE) + 1: 2})
    found = tried(path)
    for fate in found.fates:
        assert fate.is_killed == shown_by_the_whole(path, fate.mutant, bench()), fate
    stuck = {fate.mutant.kind: fate.reason for fate in found.fates if fate.mutant[::2] == ("STAT", 2)}
    assert stuck == dict.fromkeys(stuck, "what differs is taken for input from outside")
    assert len(stuck) == 2


class Excused(Port):
    contracts = (Contract("DATA", "mask", "so", bits=0xF0),)


def test_contracts_excuse_what_they_cover(tmp_path: Path) -> None:
    found = tried(record(tmp_path / "trace.db", USES_ALL), bench(Excused))
    reasons = {fate.mutant.bits: fate.reason for fate in found.fates if fate.mutant[:2] == ("DATA", "stuck at 0")}
    assert reasons[0x40] == reasons[0x10] == "a contract excuses what differs"
    assert reasons[0x04] == reasons[0x01] == ""


class Wrong(Port):
    """Always shows one bit of DATA."""

    def read(self, offset: int, size: int) -> int:
        answer = super().read(offset, size)
        return answer | 0x80 if offset == 2 else answer


def test_mutants_of_a_wrong_model_are_compared_with_the_model(tmp_path: Path) -> None:
    path = record(tmp_path / "trace.db", MORE)
    found = tried(path, bench(Wrong))
    assert found.traces[0].diverging == 3
    killed = {fate.mutant for fate in found.fates if fate.is_killed}
    assert Mutant("DATA", "stuck at 0", 0x80) in killed
    assert Mutant("CTRL", DEAF) in killed
    assert Mutant("DATA", "stuck at 1", 0x80) not in killed


class Failing(Port):
    def read(self, offset: int, size: int) -> int:
        if offset == 2:
            raise ValueError("no\nthing")
        return super().read(offset, size)


def test_a_model_that_fails_has_no_mutants(tmp_path: Path) -> None:
    with pytest.raises(MutatingError, match=r"port fails at exit 6: ValueError: no; .*mend that first|port fails at"):
        tried(record(tmp_path / "trace.db", USES_ALL), bench(Failing))


def test_the_device_has_to_be_there(tmp_path: Path) -> None:
    with (
        TraceReader(record(tmp_path / "trace.db", USES_ALL)) as trace,
        pytest.raises(UnknownMachineError, match="ports has no device 'com1'; its devices: port, level, idle"),
    ):
        Trial(trace, bench(), "com1")


class Nameless(Port):
    registers = RegisterMap()


def test_a_device_without_registers_has_no_faults(tmp_path: Path) -> None:
    with pytest.raises(MutatingError, match="declares no registers"):
        tried(record(tmp_path / "trace.db", USES_ALL), bench(Nameless))


def test_a_device_that_is_not_accessed(tmp_path: Path) -> None:
    with TraceReader(record(tmp_path / "trace.db", USES_ALL)) as trace:
        found = Adequacy("idle")
        assert not mutate(trace, "trace", bench(), found, Limits())
    assert found.total.killed == 0
    assert found.untouched == ["COUNT"]


class Fickle(Port):
    """Its second and later lives differ from its first one."""

    lives = 0

    def __init__(self, *arguments: object) -> None:
        type(self).lives += 1
        super().__init__(*arguments)  # type: ignore[arg-type]

    def read(self, offset: int, size: int) -> int:
        answer = super().read(offset, size)
        return answer | 0x80 if offset == 2 and self.lives > 1 else answer


def test_answers_that_change_from_replay_to_replay_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(MutatingError, match="answers otherwise when the trace is replayed once more"):
        tried(record(tmp_path / "trace.db", USES_ALL), bench(Fickle))


def test_no_time_leaves_mutants_untried(tmp_path: Path) -> None:
    path = record(tmp_path / "trace.db", MORE)
    found = tried(path, limits=Limits(deadline_s=time.monotonic() - 1))
    assert found.total.untried > 0
    assert not any(fate.mutant.kind == DEAF and fate.is_tried and not fate.reason for fate in found.fates)
    with TraceReader(path) as trace:
        trial = Trial(trace, bench(), "port")
        trial.prepare(False)
        with pytest.raises(TimeIsUpError):
            trial.kills(Mutant("DATA", DEAF), False, time.monotonic() - 1)


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    path = record(tmp_path / "trace.db", MORE)
    alone, together = tried(path), tried(path, limits=Limits(jobs=3))
    assert alone.fates == together.fates


def test_faults_that_others_show_take_the_exits_at_these(tmp_path: Path) -> None:
    """What the line does shows in COUNT, and what a reset does."""
    found = tried(record(tmp_path / "trace.db", MORE))
    fates = {fate.mutant[:2]: fate.is_killed for fate in found.fates}
    assert fates[INTERRUPT, NEVER]
    assert not fates[INTERRUPT, LATE]
    assert fates[INTERRUPT, ALWAYS]
    assert fates[DEVICE, NO_RESET]
    assert fates["CTRL", MISRESET]
    assert found.traces[0].replayed[0] < found.traces[0].replayed[1]


def test_the_exits_at_the_model_do_for_most(tmp_path: Path) -> None:
    polling: list[Step] = [(LEVEL, None)] * 2_000
    found = tried(record(tmp_path / "trace.db", [*MORE, *polling, *USES_ALL]))
    assert found.traces[0].replayed[0] < 100


def test_a_fault_can_reach_those_that_lines_lead_to() -> None:
    board = make_board()
    assert affected(board, "port") == {"port", "level"}
    assert affected(board, "idle") == {"idle"}

    class Asking(Port):
        other: Device | None = None

    asking = make_board(model=Asking)
    port = asking.devices["port"]
    assert isinstance(port, Asking)
    port.other = asking.devices["idle"]
    assert affected(asking, "idle") == {"port", "level", "idle"}


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmdev.replay.mutating.mutator.PROGRESS_S", 0)
    told: list[str] = []
    with TraceReader(record(tmp_path / "trace.db", MORE)) as trace:
        mutate(trace, "a.db", bench(), Adequacy("port"), Limits(), told.append)
    assert told[0] == f"a.db: replayed {len(MORE) - 1} of {len(MORE) - 1} exits"
    assert told[1] == "a.db: looking for the exits that matter"
    assert "mutants that take a replay" in told[-1]


def test_banked_registers_are_told_apart(tmp_path: Path) -> None:
    path = record(tmp_path / "trace.db", [(BANKED, 1), (CTRL, 2), (BANKED, 2), (BANKED, None), (CTRL, 0), (CTRL, None)])
    found = tried(path)
    assert {name: (use.reads, use.writes) for name, use in found.uses.items()} == {
        "X": (0, 1), "CTRL": (1, 2), "Y": (1, 1),
    }  # fmt: skip
    fates = {fate.mutant: fate.is_killed for fate in found.fates}
    assert fates[Mutant("Y", DEAF)]
    assert not fates[Mutant("X", DEAF)]


SOURCE, NOISE = 0xA0, 0xA1


class Source(Level):
    """Counts accesses of one kind."""

    def __init__(self, counted: str) -> None:
        super().__init__()
        self._counted = counted

    def read(self, offset: int, size: int) -> int:
        self.count += self._counted == "r"
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self.count += self._counted == "w"


class Fed(Port):
    """Shows in DATA what a source has counted."""

    source: Source

    def read(self, offset: int, size: int) -> int:
        return self.source.count & 0xFF if offset == 2 else super().read(offset, size)


@pytest.mark.parametrize("counted", ["r", "w", ""])
@pytest.mark.parametrize("accesses", [3, 900])
def test_exits_at_others_stay_as_far_as_the_model_needs_them(tmp_path: Path, counted: str, accesses: int) -> None:
    def board(guest: Guest | None = None) -> Board:
        made = make_board(model=Fed)
        source = made.add("source", Source(counted), pio=[(SOURCE, 1)])
        made.add("noise", Level(), pio=[(NOISE, 1)])
        port = made.devices["port"]
        assert isinstance(port, Fed)
        port.source = source
        return made

    each: list[Step] = [(SOURCE, None), (SOURCE, 1), (NOISE, None), (NOISE, 2)]
    noise: list[Step] = [(NOISE, None), (NOISE, 2)] * 2_000
    steps = [*USES_ALL[:8], *each * accesses, *noise, (DATA, None)]
    path = record(tmp_path / "trace.db", steps, made=board())
    found = tried(path, Bench(board, bench().replayer))
    needed = {"r": accesses, "w": accesses, "": 0}[counted]
    replayed = found.traces[0].replayed[0]
    assert 8 + needed <= replayed <= 8 + needed + (2 * accesses if accesses < 100 else 0) + 3
    assert not found.traces[0].diverging
    assert any(fate.mutant[:2] == ("DATA", "stuck at 0") and fate.is_killed == bool(counted) for fate in found.fates)
