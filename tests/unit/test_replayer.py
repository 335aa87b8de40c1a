"""The replayer: outcomes, divergences, time and resets. Traces are made with `TraceWriter`, models are tiny."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdev.replay import clock as clock_module
from vmdev.replay import replayer as replayer_module
from vmdev.replay.bus import PioAddress, PioRange
from vmdev.replay.clock import Clock
from vmdev.replay.contracts import Contract
from vmdev.replay.device import UNMODELLED, Device, Unknown
from vmdev.replay.errors import ContractError, NothingComparedError, TraceCorruptError, UnknownMachineError
from vmdev.replay.judging import judge as judge_module
from vmdev.replay.judging.context import CONTEXT_LENGTH
from vmdev.replay.judging.ledger import Known
from vmdev.replay.machines.board import Board
from vmdev.replay.registers import Register, RegisterMap, bit
from vmdev.replay.replayer import Replayer
from vmdev.replay.selection import AddressRange, Selection
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import TraceWriter
from vmdev.replay.verdict import Access, DeviceVerdict, FieldDifference, FieldPair, Instruction, Tally, Verdict

BASE = 0x300
ALL_ONES_64 = (1 << 64) - 1
NO_INSTRUCTION = Instruction(0, b"", "", 1)


class Script:
    """A recording in the making: a list of accesses and events."""

    def __init__(self, path: Path) -> None:
        self.writer = TraceWriter(path, meta={"machine": "toy", "target": "x86_64"})
        self.path = path
        self.t_ns = 0

    def read(self, address: int, value: int, size: int = 1, t_ns: int | None = None, **site: Any) -> None:
        self._add("r", address, value, size, t_ns, site)

    def write(self, address: int, value: int, size: int = 1, t_ns: int | None = None, **site: Any) -> None:
        self._add("w", address, value, size, t_ns, site)

    def reset(self, t_ns: int | None = None) -> None:
        self.writer.add_event("reset", t_ns=self.t_ns if t_ns is None else t_ns, vcpu=0)

    def _add(self, direction: Any, address: int, value: int, size: int, t_ns: int | None, site: dict[str, Any]) -> None:
        self.t_ns = self.t_ns + 1000 if t_ns is None else t_ns
        number = self.writer.add_site(address=address, direction=direction, size=size, **site)
        self.writer.add_exit(self.t_ns, number, value)

    def replay(self, board: Board, **options: Any) -> Verdict:
        self.writer.close()
        with TraceReader(self.path) as reader:
            return Replayer(reader, board, **options).run()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path / "trace.db")


REGISTERS = RegisterMap(
    Register("DATA", "Data", 0, "rw", bank="data"),
    Register("DIV", "Divisor", 0, "rw", bank="divisor"),
    Register("STAT", "Status", 1, "r", (bit("READY", 7), bit("ERROR", 0, {0: "fine", 1: "broken"}))),
    Register("CTRL", "Control", 1, "w"),
    Register("COUNT", "Counter", 4, "r", width=32),
    banks=("data", "divisor"),
)


class Toy(Device):
    """A device whose reads are answered by a function, and which remembers what happened to it."""

    registers = REGISTERS

    def __init__(self, answer: Callable[[int, int], Any] = lambda offset, size: 0) -> None:
        self.answer = answer
        self.writes: list[tuple[int, int, int]] = []
        self.resets = 0
        self.bank_name = "data"
        self.excuse: Callable[[int, int, int, int], bool] = lambda offset, size, hw, model: False

    def read(self, offset: int, size: int) -> int:
        answer: int = self.answer(offset, size)
        return answer

    def write(self, offset: int, size: int, value: int) -> None:
        self.writes.append((offset, size, value))

    def reset(self) -> None:
        self.resets += 1

    def state(self) -> Mapping[str, int]:
        return {"resets": self.resets}

    def bank(self, offset: int) -> str | None:
        return self.bank_name

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        return self.excuse(offset, size, hw, model)


class WideToy(Toy):
    """The same with registers of up to 8 bytes."""

    width = 8


def constant(value: Any) -> Callable[[int, int], Any]:
    return lambda offset, size: value


def board_of(*devices: Device, size: int = 8) -> Board:
    """Devices "a", "b", … at 0x300, 0x310, …"""
    board = Board("toy")
    for number, device in enumerate(devices):
        board.add("abcdef"[number], device, pio=[(BASE + 0x10 * number, size)])
    return board


def device_of(verdict: Verdict, name: str = "a") -> DeviceVerdict:
    return next(device for device in verdict.devices if device.name == name)


# Plain outcomes


def test_equal_answers_match_and_writes_are_delivered(script: Script) -> None:
    toy = Toy(constant(0x5A))
    script.read(BASE, 0x5A)
    script.write(BASE + 1, 0x12)
    script.read(BASE, 0x5A)
    verdict = script.replay(board_of(toy))
    totals = verdict.totals
    assert (totals.exits, totals.reads, totals.writes) == (3, 2, 1)
    assert (totals.matched, totals.delivered, totals.checked, totals.agreement) == (2, 1, 2, 1.0)
    assert toy.writes == [(1, 1, 0x12)]
    assert verdict.agrees
    assert verdict.divergences == []
    assert device_of(verdict).tally == totals


def test_one_wrong_bit_diverges(script: Script) -> None:
    script.read(BASE, 0x5A)
    script.read(BASE, 0x5B)
    verdict = script.replay(board_of(Toy(constant(0x5A))))
    assert (verdict.totals.matched, verdict.totals.diverged, verdict.totals.roots) == (1, 1, 1)
    assert verdict.totals.agreement == 0.5
    assert not verdict.agrees


def test_mmio_goes_to_the_mmio_bus(script: Script) -> None:
    board = Board("toy")
    board.add("pio", Toy(constant(1)), pio=[(0x300, 4)])
    board.add("mmio", Toy(constant(2)), mmio=[(0x300, 4)])
    script.read(0x300, 1)
    script.read(0x300, 2, space="mmio")
    verdict = script.replay(board)
    assert verdict.totals.matched == 2
    assert [device.tally.matched for device in verdict.devices] == [1, 1]


def test_a_window_shows_its_part_of_the_register_space(script: Script) -> None:
    toy = Toy(lambda offset, size: offset)
    board = Board("toy")
    board.add("a", toy, pio=[(0x20, 2), (0xA0, 2, 2)])
    script.read(0x21, 1)
    script.read(0xA1, 3)
    script.write(0xA0, 7)
    verdict = script.replay(board)
    assert verdict.totals.matched == 2
    assert toy.writes == [(2, 1, 7)]


def test_unmodelled_register_is_counted_and_not_checked(script: Script) -> None:
    script.read(BASE, 0)
    script.read(BASE + 1, 0x77)
    verdict = script.replay(board_of(Toy(lambda offset, size: UNMODELLED if offset else 0)))
    assert (verdict.totals.unmodelled, verdict.totals.checked) == (1, 1)
    assert verdict.agrees


def test_accesses_where_no_device_is_are_unclaimed(script: Script) -> None:
    script.read(BASE, 0)
    script.read(0x500, 0xFF)
    script.write(0x501, 1)
    script.read(BASE + 7, 0xFFFF, size=2)  # the device has only its first byte
    script.read(0xFFFF, 0xFFFF, size=2)  # beyond the last port
    totals = script.replay(board_of(Toy())).totals
    assert (totals.unclaimed_reads, totals.unclaimed_writes, totals.matched) == (3, 1, 1)


def test_unclaimed_accesses_are_listed_by_region_most_reads_first(script: Script) -> None:
    script.read(BASE, 0)
    script.read(0x80, 0xFF, region="io")
    script.read(0x70, 1, region="rtc")
    for port in (0x1CE, 0x1CF, 0x1CF):
        script.read(port, 0, region="vbe")
    script.write(0x1D0, 0, size=2, region="vbe")
    script.write(0x81, 0)
    rows = script.replay(board_of(Toy())).unclaimed
    assert [(row.region, row.first, row.last, row.reads, row.writes) for row in rows] == [
        ("vbe", 0x1CE, 0x1D1, 3, 1),
        ("rtc", 0x70, 0x70, 1, 0),
        ("", 0x80, 0x80, 1, 0),
        ("", 0x81, 0x81, 0, 1),
    ]


def test_a_replay_that_compares_nothing_is_an_error(script: Script) -> None:
    script.write(BASE, 1)
    script.read(0x500, 1)
    with pytest.raises(NothingComparedError, match="of 2 exits 1 were delivered writes, 1 unclaimed"):
        script.replay(board_of(Toy()))


def test_an_empty_trace_compares_nothing(script: Script) -> None:
    with pytest.raises(NothingComparedError, match="of 0 exits"):
        script.replay(board_of(Toy()))


def test_learning_alone_compares_nothing(script: Script) -> None:
    script.read(BASE, 1)
    with pytest.raises(NothingComparedError, match="1 learned"):
        script.replay(board_of(Toy(lambda offset, size: Unknown(0, 0xFF, lambda value: None))))


# Values of eight bytes, which SQLite stores signed


def test_eight_bytes_with_the_top_bit_set_match(script: Script) -> None:
    script.read(BASE, ALL_ONES_64, size=8)
    script.read(BASE, 1 << 63, size=8)
    answers = iter([ALL_ONES_64, 1 << 63])
    assert script.replay(board_of(WideToy(lambda offset, size: next(answers)))).totals.matched == 2


def test_eight_bytes_that_differ_are_reported_unsigned(script: Script) -> None:
    script.read(BASE, ALL_ONES_64, size=8)
    (divergence,) = script.replay(board_of(WideToy(constant(1 << 63)))).divergences
    assert (divergence.hw, divergence.model) == (ALL_ONES_64, 1 << 63)


@pytest.mark.parametrize("kind", ["learned", "assumed"])
def test_all_ones_of_eight_bytes_are_not_mistaken_for_an_unknown_answer(script: Script, kind: Any) -> None:
    learned: list[int] = []
    answers = iter([Unknown(0, ALL_ONES_64, learned.append, kind), ALL_ONES_64])
    script.read(BASE, ALL_ONES_64, size=8)
    script.read(BASE, ALL_ONES_64, size=8)
    totals = script.replay(board_of(WideToy(lambda offset, size: next(answers)))).totals
    assert learned == [ALL_ONES_64]
    assert (getattr(totals, kind), totals.matched) == (1, 1)


def test_all_ones_of_eight_bytes_are_not_mistaken_for_an_unmodelled_register(script: Script) -> None:
    script.read(BASE, ALL_ONES_64, size=8)
    script.read(BASE + 1, 0)
    totals = script.replay(board_of(WideToy(lambda offset, size: 0 if offset else UNMODELLED))).totals
    assert (totals.unmodelled, totals.matched) == (1, 1)


def test_minus_one_is_no_answer_to_a_read_of_all_ones(script: Script) -> None:
    script.read(BASE, ALL_ONES_64, size=8)
    (divergence,) = script.replay(board_of(WideToy(constant(-1)))).divergences
    assert divergence.cause == "fault"


def test_eight_bytes_are_written_unsigned(script: Script) -> None:
    toy = WideToy()
    script.write(BASE, ALL_ONES_64, size=8)
    script.read(BASE, 0)
    script.replay(board_of(toy))
    assert toy.writes == [(0, 8, ALL_ONES_64)]


# Learned and assumed


class Nvram(Toy):
    """One cell that the first read teaches; bit 7 is known to be 0."""

    def __init__(self) -> None:
        super().__init__()
        self.cell: int | None = None

    def read(self, offset: int, size: int) -> int:
        return Unknown(0, 0x7F, self.learn) if self.cell is None else self.cell

    def learn(self, value: int) -> None:
        self.cell = value


def test_the_first_read_teaches_and_later_ones_are_checked(script: Script) -> None:
    for value in (0x42, 0x42, 0x43):
        script.read(BASE, value)
    verdict = script.replay(board_of(Nvram()))
    totals = verdict.totals
    assert (totals.learned, totals.matched, totals.diverged, totals.checked) == (1, 1, 1, 2)
    assert device_of(verdict).learned == {"DATA": 1}


def test_a_wrong_known_bit_diverges_but_the_rest_is_still_taught(script: Script) -> None:
    nvram = Nvram()
    script.read(BASE, 0xC2)
    script.read(BASE, 0x42)
    verdict = script.replay(board_of(nvram))
    (divergence,) = verdict.divergences
    assert (divergence.hw, divergence.model, divergence.cause) == (0xC2, 0x42, "value")
    assert nvram.cell == 0x42
    assert (verdict.totals.diverged, verdict.totals.learned, verdict.totals.matched) == (1, 0, 1)


def test_learned_reads_are_counted_by_the_registers_that_hold_the_bits(script: Script) -> None:
    def answer(offset: int, size: int) -> int:
        return Unknown(0x00, 0xFF00, lambda value: None) if size == 2 else 0

    script.read(BASE, 0x1200, size=2)
    script.read(BASE, 0)
    assert device_of(script.replay(board_of(WideToy(answer)))).learned == {"STAT": 1}


def test_learned_reads_of_an_undeclared_register_are_counted_by_offset(script: Script) -> None:
    script.read(BASE + 3, 5)
    script.read(BASE, 0)
    toy = Toy(lambda offset, size: Unknown(0, 0xFF, lambda value: None) if offset else 0)
    assert device_of(script.replay(board_of(toy))).learned == {"offset 0x3": 1}


def test_outside_input_is_counted_as_assumed(script: Script) -> None:
    script.read(BASE, 0x41)
    script.read(BASE + 1, 0)
    toy = Toy(lambda offset, size: 0 if offset else Unknown(0, 0xFF, lambda value: None, "assumed"))
    verdict = script.replay(board_of(toy))
    assert (verdict.totals.assumed, verdict.totals.learned, verdict.totals.checked) == (1, 0, 1)
    assert device_of(verdict).assumed == {"DATA": 1}


def test_a_difference_that_the_model_explains_is_assumed(script: Script) -> None:
    toy = Toy(constant(0))
    asked: list[tuple[int, int, int, int]] = []

    def excuse(offset: int, size: int, hw: int, model: int) -> bool:
        asked.append((offset, size, hw, model))
        return hw == 0x80

    toy.excuse = excuse
    script.read(BASE + 1, 0x80)
    script.read(BASE + 1, 0x01)
    verdict = script.replay(board_of(toy))
    assert asked == [(1, 1, 0x80, 0), (1, 1, 0x01, 0)]
    assert (verdict.totals.assumed, verdict.totals.diverged) == (1, 1)
    assert device_of(verdict).assumed == {"STAT": 1}
    assert [(d.seq, d.kind) for d in verdict.divergences] == [(1, "root")]


# Divergences


def test_later_divergences_of_a_device_are_consequences(script: Script) -> None:
    script.read(BASE, 1)
    script.read(BASE + 0x10, 1)
    script.read(BASE, 2)
    script.read(BASE + 0x10, 0)
    verdict = script.replay(board_of(Toy(), Toy()))
    assert [(d.seq, d.device, d.kind) for d in verdict.divergences] == [
        (0, "a", "root"),
        (1, "b", "root"),
        (2, "a", "consequence"),
    ]
    assert (verdict.totals.roots, verdict.totals.consequences, verdict.totals.diverged) == (2, 1, 3)
    assert device_of(verdict, "a").tally.consequences == 1


def test_consequences_are_all_counted_but_not_all_kept(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "MAX_CONSEQUENCES", 2)
    for _ in range(6):
        script.read(BASE, 1)
    verdict = script.replay(board_of(Toy()))
    assert verdict.totals.consequences == 5
    assert [d.kind for d in verdict.divergences] == ["root", "consequence", "consequence"]


def test_a_divergence_says_where_and_what(script: Script) -> None:
    script.read(BASE + 1, 0x80, t_ns=123, pc=0xFFF0, vcpu=1, insn=b"\xec", text="inb %dx, %al")
    (divergence,) = script.replay(board_of(Toy(constant(0x81)))).divergences
    assert (divergence.seq, divergence.t_ns, divergence.vcpu) == (0, 123, 1)
    assert (divergence.space, divergence.direction) == ("pio", "r")
    assert (divergence.address, divergence.offset, divergence.size) == (BASE + 1, 1, 1)
    assert (divergence.hw, divergence.model, divergence.register) == (0x80, 0x81, "STAT")
    assert divergence.fields == (FieldDifference("ERROR", "0 (fine)", "1 (broken)"),)
    assert divergence.instruction is not None
    assert (divergence.instruction.pc, divergence.instruction.code) == (0xFFF0, b"\xec")
    assert divergence.instruction.text == "inb %dx, %al"
    assert divergence.state == {"resets": 0}


def test_the_register_is_the_one_of_the_bank_that_the_access_used(script: Script) -> None:
    toy = Toy()
    toy.bank_name = "divisor"
    script.read(BASE, 1)
    assert script.replay(board_of(toy)).divergences[0].register == "DIV"


def test_a_wide_access_names_the_registers_whose_bytes_differ(script: Script) -> None:
    script.read(BASE, 0x8000, size=2)
    script.read(BASE, 0x8001, size=2)
    first, second = script.replay(board_of(Toy())).divergences
    assert first.register == "STAT"
    assert [field.name for field in first.fields] == ["READY"]
    assert second.register == "DATA+STAT"
    assert [field.name for field in second.fields] == ["STAT.READY"]


def test_part_of_a_wide_register_has_its_name(script: Script) -> None:
    script.read(BASE + 6, 1)
    assert script.replay(board_of(Toy())).divergences[0].register == "COUNT"


def test_an_undeclared_register_has_no_name(script: Script) -> None:
    script.read(BASE + 3, 1)
    (divergence,) = script.replay(board_of(Toy())).divergences
    assert (divergence.register, divergence.fields) == (None, ())


def test_a_root_comes_with_the_accesses_to_its_device_before_it(script: Script) -> None:
    for value in range(10):
        script.write(BASE + 1, value)
        script.write(BASE + 0x10, value)
    script.read(BASE, 0, t_ns=50_000)
    script.read(BASE + 1, 1)
    (divergence,) = script.replay(board_of(Toy(), Toy())).divergences
    assert len(divergence.context) == CONTEXT_LENGTH
    assert [access.seq for access in divergence.context] == [6, 8, 10, 12, 14, 16, 18, 20]
    assert divergence.context[-2] == Access(18, 19_000, "w", "CTRL", 1, BASE + 1, 1, 9, "", NO_INSTRUCTION)
    # Whether offset 0 was DATA or DIV then, nobody knows any more.
    assert divergence.context[-1] == Access(20, 50_000, "r", None, 0, BASE, 1, 0, "", NO_INSTRUCTION)


def test_consequences_carry_neither_state_nor_context(script: Script) -> None:
    script.read(BASE, 1)
    script.read(BASE, 1)
    _, consequence = script.replay(board_of(Toy())).divergences
    assert (consequence.state, consequence.context) == ({}, ())


# Faults


def fail(*arguments: Any) -> Any:
    raise ZeroDivisionError("the model is wrong")


def test_an_exception_in_a_read_is_a_divergence_and_the_replay_goes_on(script: Script) -> None:
    script.read(BASE, 7)
    script.read(BASE + 1, 0)
    verdict = script.replay(board_of(Toy(lambda offset, size: 0 if offset else fail())))
    (divergence,) = verdict.divergences
    assert (divergence.kind, divergence.cause, divergence.hw, divergence.model) == ("root", "fault", 7, None)
    assert "ZeroDivisionError: the model is wrong" in divergence.detail
    assert "in fail" in divergence.detail
    assert replayer_module.__file__ not in divergence.detail
    assert divergence.register == "DATA"
    assert (verdict.totals.diverged, verdict.totals.matched) == (1, 1)


def test_an_exception_in_a_write_is_a_divergence_of_that_exit(script: Script) -> None:
    class Brittle(Toy):
        def write(self, offset: int, size: int, value: int) -> None:
            fail()

    script.write(BASE + 1, 7)
    script.read(BASE, 0)
    verdict = script.replay(board_of(Brittle()))
    (divergence,) = verdict.divergences
    assert (divergence.direction, divergence.register, divergence.hw) == ("w", "CTRL", 7)
    assert (verdict.totals.diverged, verdict.totals.delivered, verdict.totals.matched) == (1, 0, 1)


def test_the_same_fault_again_is_a_consequence_and_another_one_a_root(script: Script) -> None:
    def answer(offset: int, size: int) -> int:
        if offset == 0:
            raise ValueError("here")
        raise ValueError("there")

    for offset in (0, 0, 1, 0):
        script.read(BASE + offset, 0)
    verdict = script.replay(board_of(Toy(answer)))
    assert [d.kind for d in verdict.divergences] == ["root", "consequence", "root", "consequence"]


def test_a_wrong_value_after_a_fault_is_a_consequence(script: Script) -> None:
    script.read(BASE, 0)
    script.read(BASE + 1, 1)
    verdict = script.replay(board_of(Toy(lambda offset, size: 0 if offset else fail())))
    assert [(d.cause, d.kind) for d in verdict.divergences] == [("fault", "root"), ("value", "consequence")]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [(0x100, "0x100"), (-1, "-0x1"), (None, "None"), ("A", "'A'"), (Unknown(0x100, 0, fail), "0x100")],
)
def test_an_answer_that_is_no_value_of_that_size_is_a_fault(script: Script, answer: Any, shown: str) -> None:
    script.read(BASE, 0xFF)
    (divergence,) = script.replay(board_of(Toy(constant(answer)))).divergences
    assert (divergence.cause, divergence.model) == ("fault", None)
    assert f"answered with {shown}" in divergence.detail


def test_an_exception_while_learning_is_a_fault(script: Script) -> None:
    script.read(BASE, 1)
    verdict = script.replay(board_of(Toy(constant(Unknown(0, 0xFF, fail)))))
    assert (verdict.divergences[0].cause, verdict.totals.learned, verdict.totals.diverged) == ("fault", 0, 1)


def test_an_exception_while_assuming_is_a_fault(script: Script) -> None:
    toy = Toy()
    toy.excuse = fail
    script.read(BASE, 1)
    verdict = script.replay(board_of(toy))
    assert (verdict.divergences[0].cause, verdict.totals.assumed, verdict.totals.diverged) == ("fault", 0, 1)


def test_a_model_that_cannot_tell_its_bank_or_state_still_diverges(script: Script) -> None:
    class Mute(Toy):
        def bank(self, offset: int) -> str | None:
            raise ValueError

        def state(self) -> Mapping[str, int]:
            raise ValueError

    script.read(BASE, 1)
    (divergence,) = script.replay(board_of(Mute())).divergences
    assert (divergence.register, divergence.state, divergence.cause) == (None, {}, "value")


class Ticker(Toy):
    """Something with a timer."""

    def __init__(self, clock: Clock, fire: Callable[[Ticker], None]) -> None:
        super().__init__()
        self.clock = clock
        self.timer = clock.timer(self.due)
        self.fire = fire

    def due(self) -> None:
        self.fire(self)


def test_an_exception_in_a_timer_is_a_fault_of_its_device_outside_any_exit(script: Script) -> None:
    board = Board("toy")
    ticker = board.add("a", Ticker(board.clock, fail), pio=[(BASE, 8)])
    ticker.timer.arm(1500)
    script.read(BASE, 0, t_ns=1000)
    script.read(BASE, 0, t_ns=2000)
    verdict = script.replay(board)
    (divergence,) = verdict.divergences
    assert (divergence.device, divergence.seq, divergence.t_ns) == ("a", 1, 1500)
    assert (divergence.cause, divergence.kind, divergence.address) == ("fault", "root", None)
    assert [access.seq for access in divergence.context] == [0]
    assert (verdict.totals.matched, verdict.totals.diverged, verdict.totals.roots) == (2, 0, 1)
    assert not verdict.agrees


def test_other_timers_fire_after_one_has_failed(script: Script) -> None:
    fired: list[int] = []
    board = Board("toy")
    bad = board.add("a", Ticker(board.clock, fail), pio=[(BASE, 8)])
    good = board.add("b", Ticker(board.clock, lambda self: fired.append(self.clock.now_ns)))
    bad.timer.arm(500)
    good.timer.arm(600)
    script.read(BASE, 0, t_ns=1000)
    script.replay(board)
    assert fired == [600]


def test_a_timer_without_end_is_a_fault_of_its_device(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "MAX_FIRINGS_AT_ONCE", 100)
    board = Board("toy")
    ticker = board.add("a", Ticker(board.clock, lambda self: self.timer.arm(self.clock.now_ns)), pio=[(BASE, 8)])
    ticker.timer.arm(500)
    script.read(BASE, 0, t_ns=1000)
    script.read(BASE, 0, t_ns=2000)
    (divergence,) = script.replay(board).divergences
    assert divergence.device == "a"
    assert "does not end" in divergence.detail


def test_a_timer_of_nobody_is_reported_as_the_clocks(script: Script) -> None:
    board = board_of(Toy())
    board.clock.timer(lambda: fail()).arm(500)
    script.read(BASE, 0, t_ns=1000)
    verdict = script.replay(board)
    assert verdict.divergences[0].device == "clock"
    assert verdict.totals.roots == 1


def test_an_exception_in_a_reset_is_a_fault_and_other_devices_are_reset(script: Script) -> None:
    class Brittle(Toy):
        def reset(self) -> None:
            fail()

    after = Toy()
    script.read(BASE, 0)
    script.reset()
    script.read(BASE, 0)
    verdict = script.replay(board_of(Brittle(), after))
    assert [(d.device, d.cause, d.seq) for d in verdict.divergences] == [("a", "fault", 1)]
    assert after.resets == 1


def test_a_fault_alone_is_a_verdict_though_nothing_was_compared(script: Script) -> None:
    board = board_of(Toy())
    board.clock.timer(lambda: fail()).arm(500)
    script.write(BASE, 0, t_ns=1000)
    assert script.replay(board).totals.roots == 1


def test_trouble_with_the_trace_is_not_taken_for_a_fault_of_the_model(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = iter([TraceCorruptError("damaged")])

    def context(*arguments: object) -> list[object]:
        for error in trouble:
            raise error
        return []

    monkeypatch.setattr(TraceReader, "context", context)
    script.read(BASE, 1)
    with pytest.raises(TraceCorruptError, match="damaged"):
        script.replay(board_of(Toy()))


# Time and resets


def test_the_clock_shows_the_time_of_the_exit(script: Script) -> None:
    board = Board("toy")
    seen: list[int] = []
    board.add("a", Toy(lambda offset, size: seen.append(board.clock.now_ns) or 0), pio=[(BASE, 8)])
    script.read(BASE, 0, t_ns=5)
    script.read(BASE, 0, t_ns=5_000_000_000_000)
    script.replay(board)
    assert seen == [5, 5_000_000_000_000]


def test_timers_due_at_or_before_an_exit_fire_before_it(script: Script) -> None:
    board = Board("toy")
    ticker = Ticker(board.clock, lambda self: self.writes.append((self.clock.now_ns, 0, 0)))
    ticker.answer = lambda offset, size: len(ticker.writes)
    board.add("a", ticker, pio=[(BASE, 8)])
    ticker.timer.arm(2000)
    script.read(BASE, 0, t_ns=1999)
    script.read(BASE, 1, t_ns=2000)
    assert script.replay(board).totals.matched == 2
    assert ticker.writes == [(2000, 0, 0)]


def test_a_reset_comes_before_the_exit_of_its_seq(script: Script) -> None:
    toy = Toy()
    toy.answer = lambda offset, size: toy.resets
    script.reset()  # power-on: the board is new
    script.read(BASE, 0)
    script.reset()
    script.read(BASE, 1)
    script.read(BASE, 1)
    script.reset()
    script.reset()  # the second processor reports the same reset
    script.read(BASE, 2)
    assert script.replay(board_of(toy)).totals.matched == 4


def test_resets_are_found_in_any_chunk(script: Script) -> None:
    toy = Toy()
    toy.answer = lambda offset, size: toy.resets
    places = (1, 4095, 4096, 4097, 9000)
    for seq in range(9001):
        if seq in places:
            script.reset()
        script.read(BASE, sum(place <= seq for place in places))
    assert script.replay(board_of(toy)).totals.matched == 9001


def test_timers_due_before_a_reset_fire_before_it(script: Script) -> None:
    order: list[str] = []

    class Noisy(Ticker):
        def reset(self) -> None:
            order.append(f"reset {self.clock.now_ns}")

    board = Board("toy")
    device = board.add(
        "a", Noisy(board.clock, lambda self: order.append(f"timer {self.clock.now_ns}")), pio=[(BASE, 8)]
    )
    device.timer.arm(1500)
    script.read(BASE, 0, t_ns=1000)
    script.reset(t_ns=1700)
    script.read(BASE, 0, t_ns=2000)
    script.replay(board)
    assert order == ["timer 1500", "reset 1700"]


@pytest.mark.parametrize(
    ("step_ns", "deadline_ns", "order"),
    [
        (32, 1900, ["timer 1900", "reset 1932"]),
        (32, 2000, ["reset 1000", "timer 2000"]),
        (0, 1900, ["reset 1000", "timer 1900"]),
    ],
)
def test_time_may_jump_to_a_timer_before_a_reset_if_it_is_counted_in_instructions(
    script: Script, step_ns: int, deadline_ns: int, order: list[str]
) -> None:
    seen: list[str] = []

    class Noisy(Ticker):
        def reset(self) -> None:
            seen.append(f"reset {self.clock.now_ns}")

    board = Board("toy", step_ns)
    device = board.add("a", Noisy(board.clock, lambda self: seen.append(f"timer {self.clock.now_ns}")), pio=[(BASE, 8)])
    device.timer.arm(deadline_ns)
    script.read(BASE, 0, t_ns=1000)
    script.reset()
    script.read(BASE, 0, t_ns=2000)
    script.read(BASE, 0, t_ns=3000)
    script.replay(board)
    assert seen == order


def test_after_a_reset_a_divergence_is_a_root_again(script: Script) -> None:
    script.read(BASE, 1)
    script.read(BASE, 1)
    script.reset()
    script.read(BASE, 1)
    verdict = script.replay(board_of(Toy()))
    assert [d.kind for d in verdict.divergences] == ["root", "consequence", "root"]


# Registrations that change


def test_accesses_follow_a_device_that_moves(script: Script) -> None:
    board = Board("toy")
    toy = board.add("a", Toy(constant(1)), pio=[(BASE, 1)])

    class Switch(Toy):
        def write(self, offset: int, size: int, value: int) -> None:
            board.io.deregister_pio(PioAddress(BASE))
            board.io.register_pio(PioRange(PioAddress(BASE + 8), 1), toy)

    board.add("switch", Switch(), pio=[(0x80, 1)])
    script.read(BASE, 1)
    script.read(BASE + 8, 0xFF)
    script.write(0x80, 0)
    script.read(BASE, 0xFF)
    script.read(BASE + 8, 1)
    verdict = script.replay(board)
    assert device_of(verdict, "a").tally.matched == 2
    assert (verdict.totals.unclaimed_reads, verdict.totals.delivered) == (2, 1)


def test_exits_are_booked_to_who_answered_them_then(script: Script) -> None:
    board = Board("toy")
    first = board.add("a", Toy(constant(1)), pio=[(BASE, 1)])
    second = board.add("b", Toy(constant(2)))

    class Switch(Toy):
        def write(self, offset: int, size: int, value: int) -> None:
            board.io.deregister_pio(PioAddress(BASE))
            board.io.register_pio(PioRange(PioAddress(BASE), 1), second if value else first)

    board.add("switch", Switch(), pio=[(0x80, 1)])
    answer = 1
    for value in (1, 1, 0, 1):
        script.read(BASE, answer)
        script.write(0x80, value)
        answer = 2 if value else 1
        script.read(BASE, answer)
    verdict = script.replay(board)
    tallies = {device.name: device.tally for device in verdict.devices}
    assert (tallies["a"].matched, tallies["b"].matched, tallies["switch"].delivered) == (3, 5, 4)
    assert verdict.totals.exits == 12


def test_an_exit_at_which_a_timer_changes_the_registrations_is_booked_to_the_new_owner(script: Script) -> None:
    board = Board("toy")
    first = board.add("a", Toy(constant(1)), pio=[(BASE, 1)])
    second = board.add("b", Toy(constant(2)))

    def swap(self: Ticker) -> None:
        board.io.deregister_pio(PioAddress(BASE))
        board.io.register_pio(PioRange(PioAddress(BASE), 1), second)
        board.io.register_pio(PioRange(PioAddress(BASE + 1), 1), first)

    board.add("ticker", Ticker(board.clock, swap)).timer.arm(1500)
    script.read(BASE, 1, t_ns=1000)
    script.read(BASE, 2, t_ns=2000)
    script.read(BASE + 1, 0, t_ns=2500)
    verdict = script.replay(board)
    assert (device_of(verdict, "a").tally.matched, device_of(verdict, "a").tally.diverged) == (1, 1)
    assert device_of(verdict, "b").tally.matched == 1
    assert verdict.totals.unclaimed_reads == 0


def test_the_first_access_of_a_site_can_be_the_one_at_which_its_device_appears(script: Script) -> None:
    board = board_of(Toy())
    late = board.add("late", Toy(constant(5)))
    ticker = Ticker(board.clock, lambda self: board.io.register_pio(PioRange(PioAddress(0x500), 1), late))
    board.add("ticker", ticker)
    ticker.timer.arm(1500)
    script.read(0x500, 6, t_ns=2000)
    verdict = script.replay(board)
    assert (device_of(verdict, "late").tally.diverged, verdict.totals.unclaimed_reads) == (1, 0)


def test_a_reset_may_change_the_registrations(script: Script) -> None:
    board = Board("toy")

    class Returning(Toy):
        def reset(self) -> None:
            board.io.deregister_pio(PioAddress(BASE))
            board.io.register_pio(PioRange(PioAddress(BASE + 8), 1), self)

    board.add("a", Returning(constant(3)), pio=[(BASE, 1)])
    script.read(BASE, 3)
    script.reset()
    script.read(BASE, 0xFF)
    script.read(BASE + 8, 3)
    verdict = script.replay(board)
    assert (verdict.totals.matched, verdict.totals.unclaimed_reads) == (2, 1)


def test_something_on_the_bus_that_is_no_model_is_compared_too(script: Script) -> None:
    class Foreign:
        def pio_read(self, base: object, offset: int, data: bytearray | memoryview) -> None:
            data[0] = 0x55

        def pio_write(self, base: object, offset: int, data: object) -> None:
            pass

    board = Board("toy")
    board.io.register_pio(PioRange(PioAddress(BASE), 4), Foreign())
    script.read(BASE, 0x55)
    script.read(BASE, 0x54)
    verdict = script.replay(board)
    assert (verdict.totals.matched, verdict.totals.diverged) == (1, 1)
    assert (verdict.divergences[0].device, verdict.divergences[0].register) == ("Foreign", None)


# A choice of devices


def test_devices_that_were_not_asked_for_are_replayed_but_not_judged(script: Script) -> None:
    other = Toy(constant(9))
    script.read(BASE, 0)
    script.read(BASE + 0x10, 1)
    script.write(BASE + 0x10, 5)
    script.read(0x500, 1)
    verdict = script.replay(board_of(Toy(), other), devices=["a"])
    totals = verdict.totals
    assert (totals.matched, totals.excluded, totals.diverged, totals.exits) == (1, 3, 0, 4)
    assert (totals.roots, totals.unclaimed_reads, verdict.unclaimed) == (0, 0, [])
    assert verdict.agrees
    assert verdict.divergences == []
    assert verdict.selected == ("a",)
    assert other.writes == [(0, 1, 5)]
    excluded = device_of(verdict, "b")
    assert (excluded.excluded, excluded.tally.excluded, excluded.tally.exits) == (True, 2, 2)


def test_devices_that_were_not_asked_for_still_learn(script: Script) -> None:
    nvram = Nvram()
    script.read(BASE, 0x42)
    script.read(BASE + 0x10, 0)
    verdict = script.replay(board_of(nvram, Toy()), devices=["b"])
    assert nvram.cell == 0x42
    assert (verdict.totals.learned, device_of(verdict, "a").learned) == (0, {})


def test_an_unknown_device_is_an_error_that_lists_the_known_ones(script: Script) -> None:
    with pytest.raises(UnknownMachineError, match="toy has no device 'c'; its devices: a, b"):
        script.replay(board_of(Toy(), Toy()), devices=["a", "c"])


# Which exits are judged


def judged_seqs(script: Script, **selection: Any) -> list[int]:
    """Which of ten wrong reads, of two devices in turn at times of 1000 ns each, are judged."""
    for number in range(10):
        script.read(BASE + 0x10 * (number % 2), 1)
    verdict = script.replay(board_of(Toy(), Toy()), selection=Selection(**selection))
    totals = verdict.totals
    assert totals.outcomes == totals.exits == 10
    assert totals.diverged + totals.excluded == 10
    return [divergence.seq for divergence in verdict.divergences]


def test_a_range_of_seqs_is_inclusive(script: Script) -> None:
    assert judged_seqs(script, seqs=(3, 5)) == [3, 4, 5]


def test_a_range_of_seqs_can_be_open(script: Script) -> None:
    assert judged_seqs(script, seqs=(8, None)) == [8, 9]


def test_a_range_of_times_is_inclusive(script: Script) -> None:
    assert judged_seqs(script, times_ns=(2_500, 5_000)) == [2, 3, 4]


def test_bounds_of_time_and_seq_add_up(script: Script) -> None:
    assert judged_seqs(script, times_ns=(2_500, None), seqs=(4, 6)) == [4, 5, 6]


def test_only_accesses_that_touch_an_address_are_judged(script: Script) -> None:
    assert judged_seqs(script, addresses=(AddressRange("pio", BASE + 0x10, BASE + 0x1F),)) == [1, 3, 5, 7, 9]
    assert AddressRange("", BASE, BASE).holds("mmio", BASE - 1, 2)
    assert not AddressRange("pio", BASE, BASE).holds("mmio", BASE, 1)


def test_until_divergence_ends_at_the_first_root(script: Script) -> None:
    script.read(BASE, 0)
    assert judged_seqs_after_one(script) == [1]


def judged_seqs_after_one(script: Script) -> list[int]:
    for _ in range(5):
        script.read(BASE, 1)
    toy = Toy()
    verdict = script.replay(board_of(toy), selection=Selection(until_divergence=True))
    totals = verdict.totals
    assert (totals.matched, totals.diverged, totals.excluded, totals.exits) == (1, 1, 4, 6)
    return [divergence.seq for divergence in verdict.divergences]


def test_until_divergence_ends_at_a_fault_in_a_timer_before_the_access(script: Script) -> None:
    board = Board("toy")
    ticker = board.add("a", Ticker(board.clock, fail), pio=[(BASE, 8)])
    ticker.timer.arm(1500)
    for t_ns in (1000, 2000, 3000):
        script.read(BASE, 0, t_ns=t_ns)
    totals = script.replay(board, selection=Selection(until_divergence=True)).totals
    assert (totals.matched, totals.excluded, totals.roots) == (1, 2, 1)


def test_what_comes_before_the_judged_exits_still_teaches(script: Script) -> None:
    nvram = Nvram()
    for value in (0x42, 0x42, 0x43):
        script.read(BASE, value)
    verdict = script.replay(board_of(nvram), selection=Selection(seqs=(1, None)))
    totals = verdict.totals
    assert (totals.learned, totals.excluded, totals.matched, totals.diverged) == (0, 1, 1, 1)


def test_divergences_before_the_judged_exits_are_no_roots_of_later_ones(script: Script) -> None:
    for _ in range(3):
        script.read(BASE, 1)
    verdict = script.replay(board_of(Toy()), selection=Selection(seqs=(1, None)))
    assert [(d.seq, d.kind) for d in verdict.divergences] == [(1, "root"), (2, "consequence")]


def test_unclaimed_accesses_outside_the_selection_are_excluded(script: Script) -> None:
    script.read(0x500, 1)
    script.read(BASE, 0)
    script.read(0x500, 1)
    totals = script.replay(board_of(Toy()), selection=Selection(seqs=(1, None))).totals
    assert (totals.unclaimed_reads, totals.excluded, totals.matched) == (1, 1, 1)


def test_the_selection_is_told_in_words(script: Script) -> None:
    script.read(BASE, 0)
    selection = Selection((), (AddressRange("pio", BASE, BASE),), (0, None), (None, 9_000), until_divergence=True)
    assert script.replay(board_of(Toy()), selection=selection).selection == (
        "accesses that touch pio:0x300-0x300", "seq 0:", "time :9000 ns", "up to the first root divergence",
    )  # fmt: skip


# Contracts and known divergences


def test_a_contract_excuses_and_is_counted(script: Script) -> None:
    class Excused(Toy):
        contracts = (Contract("STAT", "mask", "it flickers", bits=0x81),)

    script.read(BASE + 1, 0x81)
    script.read(BASE + 1, 0x80)
    script.read(BASE + 1, 0x00)
    script.read(BASE + 1, 0x02)
    verdict = script.replay(board_of(Excused()))
    totals = verdict.totals
    assert (totals.masked, totals.matched, totals.diverged, totals.agreement) == (2, 1, 1, 0.75)
    (use,) = verdict.contracts
    assert (use.device, use.register, use.rule, use.covers) == ("a", "STAT", "mask", 0x81)
    assert (use.reads, use.bits, use.reason) == (2, 3, "it flickers")


def test_a_difference_beyond_a_contract_names_what_is_beyond(script: Script) -> None:
    script.read(BASE + 1, 0x81)
    contracts = {"a": [Contract("STAT", "mask", "it flickers", field="READY")]}
    verdict = script.replay(board_of(Toy()), contracts=contracts)
    (divergence,) = verdict.divergences
    assert [field.name for field in divergence.fields] == ["ERROR"]
    assert (divergence.hw, divergence.model) == (0x81, 0)
    assert verdict.contracts[0].reads == 0


def test_a_monotone_contract_sees_reads_that_agree(script: Script) -> None:
    answers = iter([10, 20, 15])
    for value in (10, 21, 22):
        script.read(BASE + 4, value, size=4)
    contracts = {"a": [Contract("COUNT", "monotone", "host clock")]}
    verdict = script.replay(board_of(WideToy(lambda offset, size: next(answers))), contracts=contracts)
    totals = verdict.totals
    assert (totals.matched, totals.masked, totals.diverged) == (1, 1, 1)
    assert verdict.divergences[0].seq == 2


def test_a_contract_may_hold_until_the_next_access_of_the_same_cpu(script: Script) -> None:
    for t_ns, value, vcpu in ((0, 400, 0), (100, 400, 1), (500, 400, 0), (600, 400, 0), (900, 600, 1)):
        script.read(BASE + 4, value, size=4, t_ns=t_ns, vcpu=vcpu)
    contracts = {"a": [Contract("COUNT", "time", "host clock", ticks=1, until_next=True)]}
    verdict = script.replay(board_of(WideToy()), contracts=contracts)
    assert verdict.totals.masked == 2
    assert [divergence.seq for divergence in verdict.divergences] == [2, 3, 4], "too short, and the end"


def test_a_contract_is_asked_before_the_model_assumes(script: Script) -> None:
    toy = Toy()
    toy.excuse = fail
    script.read(BASE + 1, 0x80)
    totals = script.replay(board_of(toy), contracts={"a": [Contract("STAT", "mask", "r")]}).totals
    assert (totals.masked, totals.diverged) == (1, 0)


def test_a_contract_of_an_unknown_device_is_an_error(script: Script) -> None:
    with pytest.raises(ContractError, match="there is no device 'x' for a contract; devices: a"):
        script.replay(board_of(Toy()), contracts={"x": [Contract("STAT", "mask", "r")]})


def test_a_known_divergence_does_not_fail(script: Script) -> None:
    script.read(BASE + 1, 0x80)
    script.read(BASE + 1, 0x00)
    verdict = script.replay(board_of(Toy()), known=[Known("a", "STAT", "late", 0x80, "link")])
    totals = verdict.totals
    assert (totals.known, totals.matched, totals.diverged, totals.roots) == (1, 1, 0, 0)
    assert verdict.agrees
    (use,) = verdict.known
    assert (use.reads, use.first_seq, use.last_seq, use.stale, use.link) == (1, 0, 0, False, "link")


def test_a_known_divergence_is_no_root_of_others(script: Script) -> None:
    script.read(BASE + 1, 0x80)
    script.read(BASE + 1, 0x01)
    verdict = script.replay(board_of(Toy()), known=[Known("a", "STAT", "late", 0x80)])
    assert [(d.seq, d.kind) for d in verdict.divergences] == [(1, "root")]


def test_a_known_divergence_that_does_not_occur_fails(script: Script) -> None:
    script.read(BASE + 1, 0x00)
    verdict = script.replay(board_of(Toy()), known=[Known("a", "STAT", "late", 0x80)])
    assert [use.stale for use in verdict.known] == [True]
    assert not verdict.agrees


@pytest.mark.parametrize("selection", [Selection(("b",)), Selection(seqs=(0, None)), Selection(until_divergence=True)])
def test_what_was_not_judged_is_not_stale(script: Script, selection: Selection) -> None:
    script.read(BASE + 1, 0x00)
    script.read(BASE + 0x11, 0x00)
    verdict = script.replay(board_of(Toy(), Toy()), known=[Known("a", "STAT", "late", 0x80)], selection=selection)
    assert verdict.agrees


def test_strict_fails_where_nothing_answers(script: Script) -> None:
    script.read(BASE, 0)
    script.read(0x500, 1)
    script.read(BASE + 1, 1)
    script.write(0x500, 1)
    verdict = script.replay(board_of(Toy(lambda offset, size: UNMODELLED if offset else 0)), strict=True)
    assert (verdict.unanswered, verdict.agrees) == (2, False)


# Roots and consequences in the whole


class Parts(Toy):
    """Registers of which one is independent of the others."""

    registers = RegisterMap(
        Register("CTRL", "Control", 0, "rw"),
        Register("STAT", "Status", 1, "r", reset=0x60),
        Register("SCR", "Scratch", 2, "rw", part="scratch"),
        Register("TICK", "Counter", 3, "r", hz=1_000_000),
    )


def test_an_independent_register_is_a_root_of_its_own(script: Script) -> None:
    for offset in (0, 1, 2, 0):
        script.read(BASE + offset, 1)
    verdict = script.replay(board_of(Parts()))
    assert [(d.register, d.kind, d.root_seq) for d in verdict.divergences] == [
        ("CTRL", "root", None), ("STAT", "consequence", 0), ("SCR", "root", None), ("CTRL", "consequence", 0),
    ]  # fmt: skip


def test_reprogramming_ends_suspicion(script: Script) -> None:
    script.write(BASE, 9)  # a site that is known before the device is suspect
    script.read(BASE, 1)
    script.read(BASE + 1, 1)
    script.write(BASE, 9)
    script.read(BASE + 3, 1)
    script.write(BASE, 9, pc=1)  # and one that is not
    script.read(BASE, 1)
    parts = Parts()
    verdict = script.replay(board_of(parts))
    assert [(d.register, d.kind) for d in verdict.divergences] == [
        ("CTRL", "root"), ("STAT", "consequence"), ("TICK", "root"), ("CTRL", "consequence"),
    ]  # fmt: skip
    assert parts.writes == [(0, 1, 9)] * 3


def test_equal_consequences_are_folded(script: Script) -> None:
    for value in (1, 2, 1, 3):
        script.read(BASE, value)
    script.read(BASE + 1, 1)
    verdict = script.replay(board_of(Parts()))
    assert [
        (f.register, f.cause, f.count, f.bits, f.first_seq, f.last_seq, f.root_seq, f.last_t_ns) for f in verdict.folds
    ] == [("CTRL", "value", 3, 3, 1, 3, 0, 4_000), ("STAT", "value", 1, 1, 4, 4, 0, 5_000)]


def test_a_root_tells_its_class(script: Script) -> None:
    script.read(BASE + 3, 0x12)
    (divergence,) = script.replay(board_of(Parts(constant(0x10)))).divergences
    assert divergence.cause_class == "time"
    assert divergence.explanation == "off by 2 ticks of 1,000,000 Hz, 2 µs; the model is behind"


def test_a_register_that_nothing_has_written_shows_the_configuration(script: Script) -> None:
    script.read(BASE + 1, 0x62)
    (divergence,) = script.replay(board_of(Parts(constant(0x60)))).divergences
    assert divergence.cause_class == "configuration"
    assert "the guest has not written it" in divergence.explanation


def test_a_root_shows_all_fields_side_by_side(script: Script) -> None:
    script.read(BASE + 1, 0x80)
    (divergence,) = script.replay(board_of(Toy(constant(0x81)))).divergences
    assert divergence.side_by_side == (
        FieldPair("READY", "1", "1", False), FieldPair("ERROR", "0 (fine)", "1 (broken)", True),
    )  # fmt: skip


class Banked(Toy):
    """A model whose bank is what was written to offset 1, and that can be made afresh."""

    @classmethod
    def alone(cls, clock: Clock) -> Banked:
        return cls()

    def write(self, offset: int, size: int, value: int) -> None:
        super().write(offset, size, value)
        if offset == 1:
            self.bank_name = "divisor" if value & 0x80 else "data"


def test_context_has_the_bank_as_it_was_then(script: Script) -> None:
    for offset, value in ((1, 0x80), (0, 0x0C), (1, 0x00), (0, 0x41)):
        script.write(BASE + offset, value)
    script.read(BASE + 1, 0x80)
    (divergence,) = script.replay(board_of(Banked())).divergences
    assert [access.register for access in divergence.context] == ["CTRL", "DIV", "CTRL", "DATA"]


def test_context_does_not_guess_a_bank_that_was_set_too_long_ago(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_module, "WARM_UP", 0)
    script.write(BASE + 1, 0x80)
    for _ in range(20):
        script.write(BASE, 0x0C)
    script.read(BASE, 1)
    (divergence,) = script.replay(board_of(Banked())).divergences
    assert divergence.register == "DIV"
    assert {access.register for access in divergence.context} == {None}


def test_context_decodes_values(script: Script) -> None:
    script.read(BASE + 1, 0x80, insn=b"\xec")
    script.read(BASE + 1, 0x81)
    (divergence,) = script.replay(board_of(Toy(constant(0x80)))).divergences
    (access,) = divergence.context
    assert (access.register, access.decoded) == ("STAT", "READY")
    assert access.instruction is not None
    assert access.instruction.code == b"\xec"


# Input that the trace tells of


def test_input_comes_before_the_exit_of_its_seq(script: Script) -> None:
    toy = Toy()
    board = board_of(toy)
    seen: list[tuple[str, int]] = []
    board.inputs["serial-input"] = ("a", lambda detail: seen.append((detail, board.clock.now_ns)))
    toy.answer = lambda offset, size: len(seen)
    script.read(BASE, 0)
    script.writer.add_event("serial-input", t_ns=1_500, vcpu=0, detail="serial0 41")
    script.writer.add_event("serial-input", t_ns=1_600, vcpu=0, detail="serial0 42")
    script.read(BASE, 2)
    assert script.replay(board).totals.matched == 2
    assert seen == [("serial0 41", 1_500), ("serial0 42", 1_600)]


def test_a_model_that_fails_at_its_input_is_a_fault(script: Script) -> None:
    board = board_of(Toy())
    board.inputs["serial-input"] = ("a", fail)
    script.read(BASE, 0)
    script.writer.add_event("serial-input", t_ns=1_500, vcpu=0, detail="serial0 41")
    script.read(BASE, 0)
    verdict = script.replay(board)
    assert [(d.device, d.cause, d.seq) for d in verdict.divergences] == [("a", "fault", 1)]


# Models that hang


class Hanging(Toy):
    """It hangs where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.calls = 0

    def hang_at(self, where: str) -> None:
        if where == self.where:
            self.calls += 1
            while True:
                pass

    def read(self, offset: int, size: int) -> int:
        self.hang_at(f"read {offset}")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self.hang_at("write")

    def reset(self) -> None:
        self.hang_at("reset")

    def state(self) -> Mapping[str, int]:
        self.hang_at("state")
        return {}

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        self.hang_at("assume")
        return False


@pytest.mark.parametrize("where", ["read 1", "write", "reset", "assume"])
def test_a_model_that_hangs_is_ended_and_the_rest_is_replayed(script: Script, where: str) -> None:
    hanging, other = Hanging(where), Toy()
    script.write(BASE, 0)
    script.read(BASE + 1, 0)
    script.read(BASE, 7)
    script.reset()
    script.read(BASE + 0x10, 0)
    verdict = script.replay(board_of(hanging, other), patience_s=0.2)
    fault = next(divergence for divergence in verdict.divergences if divergence.cause == "fault")
    assert (fault.device, fault.kind) == ("a", "root")
    assert "did not come back in time" in fault.detail
    assert "while True" in fault.detail
    assert device_of(verdict, "b").tally.matched == 1
    assert hanging.calls == 1


def test_a_model_that_hangs_is_not_called_again(script: Script) -> None:
    hanging = Hanging("read 0")
    for _ in range(3):
        script.read(BASE, 0)
    script.write(BASE, 0)
    script.read(BASE + 0x10, 0)
    verdict = script.replay(board_of(hanging, Toy()), patience_s=0.2)
    assert hanging.calls == 1
    tally = device_of(verdict).tally
    assert (tally.roots, tally.consequences, tally.diverged) == (1, 3, 4)


def test_a_model_whose_state_hangs_still_diverges(script: Script) -> None:
    script.read(BASE, 1)
    (divergence,) = script.replay(board_of(Hanging("state")), patience_s=0.2).divergences
    assert (divergence.cause, divergence.state) == ("value", {})


def test_a_timer_that_creeps_is_ended(script: Script) -> None:
    board = Board("toy")
    ticker = board.add("a", Ticker(board.clock, lambda self: self.timer.arm(self.clock.now_ns + 1)), pio=[(BASE, 8)])
    ticker.timer.arm(500)
    script.read(BASE, 0, t_ns=10**12)
    verdict = script.replay(board, patience_s=0.2)
    assert [(d.address, d.cause, d.kind) for d in verdict.divergences] == [
        (None, "fault", "root"), (BASE, "fault", "consequence"),
    ]  # fmt: skip


def test_a_model_that_cannot_be_ended_is_given_up(script: Script) -> None:
    said: list[str] = []
    locked = threading.Lock()
    locked.acquire()

    class Stubborn(Toy):
        def read(self, offset: int, size: int) -> int:
            locked.acquire()  # no exception comes through
            return 0

    def give_up(text: str) -> None:
        said.append(text)
        locked.release()

    script.read(BASE, 0)
    script.replay(board_of(Stubborn()), patience_s=0.02, give_up=give_up)
    assert said == ["a model hangs and cannot be ended, at exit 0 of a"]


# The whole


def test_the_verdict_says_what_was_replayed(script: Script) -> None:
    script.read(BASE, 0)
    verdict = script.replay(board_of(Toy()), name="boot.db")
    assert (verdict.trace.name, verdict.trace.machine, verdict.trace.exits) == ("boot.db", "toy", 1)
    assert verdict.trace.closed
    assert verdict.machine == "toy"


def test_a_recording_that_was_cut_off_is_replayed_and_marked(script: Script) -> None:
    script.read(BASE, 0)
    script.writer.suspend()
    with TraceReader(script.path) as reader:
        verdict = Replayer(reader, board_of(Toy())).run()
    assert not verdict.trace.closed
    assert verdict.totals.matched == 1


def test_progress_adds_up_to_the_number_of_exits(script: Script) -> None:
    for _ in range(5000):
        script.read(BASE, 0)
    script.writer.close()
    steps: list[int] = []
    with TraceReader(script.path) as reader:
        Replayer(reader, board_of(Toy())).run(steps.append)
    assert sum(steps) == 5000
    assert len(steps) > 1


def test_a_device_without_exits_is_not_in_the_verdict(script: Script) -> None:
    script.read(BASE, 0)
    assert [device.name for device in script.replay(board_of(Toy(), Toy())).devices] == ["a"]


ANSWERS = {
    "right": lambda: 1,
    "wrong": lambda: 0,
    "unmodelled": lambda: UNMODELLED,
    "learned": lambda: Unknown(1, 0xF0, lambda value: None),
    "assumed": lambda: Unknown(0, 0xFF, lambda value: None, "assumed"),
    "half": lambda: Unknown(0, 0xF0, lambda value: None),
    "fault": fail,
    "bad": lambda: 0x1FF,
}
OUTCOMES = (
    "matched", "masked", "learned", "assumed", "diverged", "unmodelled", "unclaimed_reads", "delivered",
    "unclaimed_writes", "excluded",
)  # fmt: skip
READ_OUTCOMES = {
    "right": "matched",
    "wrong": "diverged",
    "unmodelled": "unmodelled",
    "learned": "learned",
    "assumed": "assumed",
    "half": "diverged",
    "fault": "diverged",
    "bad": "diverged",
}


OFFSETS = [*ANSWERS, "write", "broken write"]


class Planned(Toy):
    """What happens is up to the offset."""

    def read(self, offset: int, size: int) -> int:
        answer: int = ANSWERS[OFFSETS[offset]]()
        return answer

    def write(self, offset: int, size: int, value: int) -> None:
        if OFFSETS[offset] == "broken write":
            fail()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("ab-"), st.sampled_from(OFFSETS), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([(), ("a",), ("a", "b")]),
)
def test_every_exit_has_exactly_one_outcome(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[str, str, bool]], selected: tuple[str, ...]
) -> None:
    script = Script(tmp_path_factory.mktemp("plan") / "trace.db")
    script.read(BASE, 1)  # one that is compared in any case
    expected = {"a": Counter(matched=1), "b": Counter[str](), "-": Counter[str]()}
    for who, what, is_reset in plan:
        if is_reset:
            script.reset()
        address = {"a": BASE, "b": BASE + 0x10, "-": 0x500}[who] + OFFSETS.index(what)
        is_write = "write" in what
        (script.write if is_write else script.read)(address, 1)
        if selected and who not in selected:
            outcome = "excluded"
        elif who == "-":
            outcome = "unclaimed_writes" if is_write else "unclaimed_reads"
        elif is_write:
            outcome = "delivered" if what == "write" else "diverged"
        else:
            outcome = READ_OUTCOMES[what]
        expected[who][outcome] += 1

    verdict = script.replay(board_of(Planned(), Planned(), size=0x10), devices=selected)

    tallies = {device.name: device.tally for device in verdict.devices}
    for name in "ab":
        tally = tallies.get(name, Tally())
        assert {outcome: getattr(tally, outcome) for outcome in OUTCOMES} == {o: expected[name][o] for o in OUTCOMES}
        assert tally.roots + tally.consequences == tally.diverged
    together = expected["a"] + expected["b"] + expected["-"]
    totals = verdict.totals
    assert {outcome: getattr(totals, outcome) for outcome in OUTCOMES} == {o: together[o] for o in OUTCOMES}
    assert totals.outcomes == totals.exits == totals.reads + totals.writes == len(plan) + 1


# Interrupts


class Heard:
    """A board's ears for interrupts, which has one whenever a timer has fired."""

    name = "a"

    def __init__(self, board: Board, *due_ns: int) -> None:
        self.board = board
        self.log: list[tuple[str, int]] = []
        self.pending = 0
        self.error: Exception | None = None
        self.patient = True
        for deadline_ns in due_ns:
            board.clock.timer(self.fire).arm(deadline_ns)
        board.interrupts = self

    def fire(self) -> None:
        self.pending += 1
        self.log.append(("fired", self.board.clock.now_ns))

    def begin(self) -> None:
        self.log.append(("begin", 0))

    def take(self, cpu: int, handler: int) -> bool:
        if self.error:
            raise self.error
        if not self.pending:
            return False
        self.pending -= 1
        self.log.append((f"cpu {cpu} to {handler:#x}", self.board.clock.now_ns))
        return True

    def waits(self, handler: int) -> bool:
        return self.patient


def test_a_board_hears_of_interrupts_before_the_next_exit(script: Script) -> None:
    """Timers that are due before that exit fire first, one by one, until there is one for the CPU."""
    board = board_of(Toy())
    heard = Heard(board, 1500, 1600)
    script.read(BASE, 0)
    script.writer.add_interrupt(1000, 3, 0x10, 0x20)
    script.read(BASE, 0)
    script.replay(board)
    assert heard.log == [("begin", 0), ("fired", 1500), ("cpu 3 to 0x20", 1500), ("fired", 1600)]


def test_what_no_controller_has_waits_for_nothing_that_comes_after_the_exit(script: Script) -> None:
    board = board_of(Toy())
    heard = Heard(board, 2500)
    script.read(BASE, 0)
    script.writer.add_interrupt(1000, 0, 0x10, 0x20)
    script.read(BASE, 0)
    script.replay(board)
    assert heard.log == [("begin", 0)]


def test_a_board_may_know_that_there_will_be_none(script: Script) -> None:
    board = board_of(Toy())
    heard = Heard(board, 1500)
    heard.patient = False
    script.read(BASE, 0)
    script.writer.add_interrupt(1000, 0, 0x10, 0x20)
    script.read(BASE, 0)
    script.replay(board)
    assert heard.log == [("begin", 0), ("fired", 1500)]


def test_without_interrupts_in_the_trace_nothing_is_begun(script: Script) -> None:
    board = board_of(Toy())
    heard = Heard(board)
    script.read(BASE, 0)
    script.replay(board)
    assert heard.log == []


def test_an_error_at_an_interrupt_is_a_fault_of_the_named_device(script: Script) -> None:
    board = board_of(Toy())
    Heard(board).error = ValueError("no")
    script.writer.add_interrupt(0, 0, 0x10, 0x20)
    script.read(BASE, 0)
    verdict = script.replay(board)
    (root,) = verdict.roots
    assert (root.device, root.cause, root.instruction) == ("a", "fault", None)
    assert "ValueError: no" in root.detail


# Following


def test_who_follows_hears_of_each_access_after_it_was_made(script: Script) -> None:
    """Also where a model fails, and at registers that a contract watches."""

    def answer(offset: int, size: int) -> int:
        if offset == 4:
            raise ValueError("no")
        return 7

    toy = Toy(answer)
    script.read(BASE, 7)
    script.write(BASE + 1, 1)
    script.read(0x999, 1)
    script.read(BASE + 4, 7)
    script.read(BASE, 8)
    script.read(BASE, 7)
    heard: list[tuple[int, str, object, int, int, str, int]] = []

    def follow(name: str, model: Device | None, offset: int, size: int, direction: str) -> Callable[[int], None]:
        return lambda seq: heard.append((seq, name, model, offset, size, direction, len(toy.writes)))

    script.writer.close()
    with TraceReader(script.path) as reader:
        contracts = {"a": [Contract("DATA", "monotone", "to watch it")]}
        verdict = Replayer(reader, board_of(toy), contracts=contracts).run(follow=follow)
    assert heard == [
        (0, "a", toy, 0, 1, "r", 0), (1, "a", toy, 1, 1, "w", 1), (3, "a", toy, 4, 1, "r", 1),
        (4, "a", toy, 0, 1, "r", 1), (5, "a", toy, 0, 1, "r", 1),
    ]  # fmt: skip
    assert (verdict.totals.diverged, verdict.totals.unclaimed_reads) == (1, 1)


def test_who_follows_and_fails_is_no_model(script: Script) -> None:
    script.read(BASE, 0)
    script.writer.close()

    def fail(seq: int) -> None:
        raise RuntimeError("a mistake of ours")

    with TraceReader(script.path) as reader, pytest.raises(RuntimeError, match="of ours"):
        Replayer(reader, board_of(Toy())).run(follow=lambda *_: fail)
