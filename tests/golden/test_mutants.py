"""Does a verdict find the cause? Models with one fault each are replayed; the first root must name the register.

Most mutants are made of every model that a golden trace touches (`mutants.py`). Those below are faults in the code of
models, of the kind that people make: a missed side effect, a wrong unit, a forgotten flag.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from code_faults import BY_HAND, Patch
from mutants import Mutant, Recording, mutants
from vmdev.replay.machines import Board
from vmdev.replay.mutating.taps import Tap
from vmdev.replay.verdict import Verdict

RECORDINGS = {path.stem: Recording(path) for path in sorted((Path(__file__).parents[2] / "traces").glob("*.db"))}

PER_DEVICE = 11
FEW = 3
SHARE_RIGHT, SHARE_FEW = 0.95, 0.90


def found(mutant: Mutant, verdict: Verdict) -> tuple[bool, int]:
    """Whether the first root names a register of the fault, and how many roots there are."""
    first = verdict.roots[0]
    right = mutant.line is not None or first.device == mutant.device
    return right and not mutant.registers.isdisjoint((first.register or "").split("+")), len(verdict.roots)


def by_hand() -> list[tuple[Mutant, Patch]]:
    return [
        (Mutant(trace, device, f"code: {what}", frozenset(registers)), patch)
        for trace, device, what, registers, patch in BY_HAND
    ]


def test_the_first_root_names_the_register_and_roots_are_few(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = [
        (mutant, RECORDINGS[mutant.trace].verdict(mutant)) for mutant in mutants([*RECORDINGS.values()], PER_DEVICE)
    ]
    for mutant, (owner, name, function) in by_hand():
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, function)
            verdicts.append((mutant, RECORDINGS[mutant.trace].replay()))

    table: dict[str, list[int]] = defaultdict(lambda: [0] * 4)
    failures = []
    for mutant, verdict in verdicts:
        row = table[mutant.device]
        row[0] += 1
        if not verdict.roots:
            continue
        right, roots = found(mutant, verdict)
        row[1] += 1
        row[2] += right
        row[3] += roots <= FEW
        if not right or roots > FEW:
            first = verdict.roots[0]
            failures.append(f"{mutant}: first root in {first.device}.{first.register}, {roots} roots")
    total = [sum(row[column] for row in table.values()) for column in range(4)]
    with capsys.disabled():
        print("\n\ndevice        mutants  shown  right register  <= 3 roots")
        for device, row in (*table.items(), ("total", total)):
            print(f"{device:12} {row[0]:8} {row[1]:6} {row[2]:15} {row[3]:11}")
        print(*failures, sep="\n")
    assert {device for device, row in table.items() if row[0] < 10} == set()
    assert total[2] >= SHARE_RIGHT * total[1], failures
    assert total[3] >= SHARE_FEW * total[1], failures


def test_a_tapped_model_without_a_fault_answers_as_before() -> None:
    """Else the mutants would show the tap's faults."""

    def tap(board: Board) -> None:
        for device in board.devices.values():
            Tap(device)

    for recording in RECORDINGS.values():
        plain, tapped = recording.replay(), recording.replay(tap)
        assert recording.uses
        assert plain.agrees
        assert [device.tally for device in tapped.devices] == [device.tally for device in plain.devices]
