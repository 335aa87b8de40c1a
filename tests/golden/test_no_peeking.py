"""A model sees no recorded value but through what it declares: `Unknown.learn`, `assume`, and events of input."""

from __future__ import annotations

import ast
import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import vmdev.replay
from vmdev.replay.device import Device, Unknown
from vmdev.replay.machines import build
from vmdev.replay.mutating.taps import Tap
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader

REPLAY = Path(next(iter(vmdev.replay.__path__))).resolve()
TRACES = sorted((Path(__file__).parents[2] / "traces").glob("*.db"))


def inverted(path: Path, directory: Path) -> Path:
    """A copy of a trace in which every bit of every value that was read is another."""
    copy = directory / path.name
    shutil.copy(path, copy)
    with contextlib.closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(
            "UPDATE exit SET value = CASE (SELECT size FROM site WHERE id = exit.site) WHEN 1 THEN 255 - value "
            "WHEN 2 THEN 65535 - value WHEN 4 THEN 4294967295 - value ELSE -1 - value END "
            "WHERE (SELECT direction FROM site WHERE id = exit.site) = 'r'"
        )
    return copy


class Witness(Tap):
    """Notes each answer of a model, and puts right what the model is told of an inverted recording."""

    def __init__(self, device: Device, answers: list[int], told: list[int], is_inverted: bool) -> None:
        super().__init__(device)
        self._assume = device.assume
        device.assume = self.assume  # type: ignore[method-assign]
        self._answers = answers
        self._told = told
        self._is_inverted = is_inverted
        self._learned = 0
        """Bits of the last answer that the recording filled in."""

    def changed(self, offset: int, size: int, answer: int) -> int:
        self._learned = answer.mask if isinstance(answer, Unknown) else 0
        if not isinstance(answer, Unknown):
            self._answers.append(answer)
            return answer
        self._answers.append(answer.known)
        learn, mask = answer.learn, answer.mask

        def learn_truth(value: int) -> None:
            self._told.append(mask)
            learn(value ^ mask if self._is_inverted else value)

        return Unknown(answer.known, mask, learn_truth, answer.kind)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        truth = hw
        if self._is_inverted:
            truth ^= (1 << 8 * size) - 1
            model ^= self._learned
        if truth == model:
            return False
        self._told.append(truth)
        return self._assume(offset, size, truth, model)


def answers_of(path: Path, is_inverted: bool) -> tuple[dict[str, list[int]], int]:
    """What each model answered to every read, and how often one was told a recorded value."""
    answers: dict[str, list[int]] = {}
    told: list[int] = []

    with TraceReader(path) as trace:
        board = build(trace.guest)
        for name, device in board.devices.items():
            Witness(device, answers.setdefault(name, []), told, is_inverted)
        Replayer(trace, board).run()
    return answers, len(told)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_answers_do_not_depend_on_recorded_values_beyond_what_is_declared(path: Path, tmp_path: Path) -> None:
    """With every recorded answer inverted, but told the truth where they ask for it, all models answer as before."""
    truly, told = answers_of(path, is_inverted=False)
    poisoned, told_too = answers_of(inverted(path, tmp_path), is_inverted=True)
    assert sum(map(len, truly.values())) > 1_000
    assert 0 < told == told_too
    assert poisoned == truly


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_answers_before_anything_is_told_do_not_depend_on_recorded_values(path: Path, tmp_path: Path) -> None:
    """The same without any help: up to the first read that teaches, which is the same in both."""

    def until_told(path: Path) -> list[int]:
        answers: list[int] = []
        is_over = False

        class Naive(Tap):
            def __init__(self, device: Device) -> None:
                super().__init__(device)
                device.assume = self.assume  # type: ignore[method-assign]

            def changed(self, offset: int, size: int, answer: int) -> int:
                nonlocal is_over
                is_over = is_over or isinstance(answer, Unknown)
                if not is_over:
                    answers.append(answer)
                return answer

            def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
                return False

        with TraceReader(path) as trace:
            board = build(trace.guest)
            for device in board.devices.values():
                Naive(device)
            Replayer(trace, board).run()
        return answers

    assert until_told(path) == until_told(inverted(path, tmp_path)) != []


def calls_with(path: Path, is_value: Callable[[ast.expr], bool]) -> set[str]:
    """The names of what is called with such an argument in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and any(
            is_value(inner) for argument in node.args for inner in ast.walk(argument) if isinstance(inner, ast.expr)
        ):
            found.add(node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
    return found


def test_the_judge_gives_recorded_values_to_models_in_two_places_only() -> None:
    calls = calls_with(
        REPLAY / "judging" / "judge.py", lambda each: isinstance(each, ast.Attribute) and each.attr == "hw"
    )
    assert calls & {"learn", "assume"} == {"learn", "assume"}
    ours = {
        "differing", "find_cause", "observe", "count", "describe", "_excuse", "_judge_value", "_replace", "replace",
        "side_by_side", "_row",
    }  # fmt: skip
    assert calls - ours == {"learn", "assume"}
