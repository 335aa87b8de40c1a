"""Broken models: the minimized trace is short, with the same root; the test made of it fails, and passes once mended.

A trace that is too short is as wrong as one that is too long: a right model has to answer it as recorded.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from code_faults import BY_HAND, Patch
from mutants import Recording
from vmdev.cli import main
from vmdev.cli.judging import Judging
from vmdev.replay.guest import Guest
from vmdev.replay.machines import Board, build
from vmdev.replay.minimizing import Bench, BoardSource, Minimized, Minimizer, Reproducer, Signature
from vmdev.replay.mutating.taps import Deaf
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader

TRACES = Path(__file__).parents[2] / "traces"
FEW = 30
MANY = 100
"""No minimized trace has more exits."""
LEAST_FAULTS, LEAST_DEVICES = 20, 8


def run_test(text: str) -> None:
    namespace: dict[str, Any] = {"__name__": "pasted"}
    exec(compile(text, "pasted", "exec"), namespace)
    (test,) = [value for name, value in namespace.items() if name.startswith("test_")]
    test()


def minimized(trace: TraceReader, bench: Bench) -> tuple[Minimizer, Minimized]:
    minimizer = Minimizer(trace, bench, time_limit_s=60)
    found = minimizer.run()
    assert found is not None
    return minimizer, found


class Row(NamedTuple):
    """What became of a fault."""

    trace: str
    device: str
    fault: str
    register: str = ""
    before: int = 0
    after: int = 0
    replays: int = 0
    seconds: float = 0.0
    test: str = ""
    problem: str = ""


def minimize_and_reproduce(entry: tuple[str, str, str, tuple[str, ...], Patch], patch: pytest.MonkeyPatch) -> Row:
    """A problem is told, instead of a failure, so that the table has all faults."""
    name, device, what, registers, (owner, member, broken) = entry
    bench = Judging().bench(TRACES / f"{name}.db")
    row = Row(name, device, what)
    with TraceReader(TRACES / f"{name}.db") as trace:
        with patch.context() as patching:
            patching.setattr(owner, member, broken)
            minimizer = Minimizer(trace, bench, time_limit_s=None)
            began = time.process_time()
            found = minimizer.run()
            seconds = time.process_time() - began
            if found is None:
                return row._replace(problem="the trace does not show it")
            root = found.root
            row = row._replace(
                register=root.register or "", before=found.exits_before, after=found.slice.exit_count,
                replays=found.replays, seconds=seconds,
            )  # fmt: skip
            if root.device != device or not {*registers} & {*row.register.split("+")}:
                return row._replace(problem=f"the root is in {root.device}")
            if Signature.of(found.found) != Signature.of(root):
                return row._replace(problem="another root is left")
            reproducer = Reproducer(minimizer, found, bench, BoardSource(), name, "")
            text = reproducer.source()
            row = row._replace(test="board" if reproducer.reason else "alone")
            assert root.hw is not None
            assert root.model is not None
            promised = f"{device}.{root.register}: hw={root.hw:#x} model={root.model:#x}"
            with pytest.raises(AssertionError, match=f"^{re.escape(promised)}"):
                run_test(text)
        if not Replayer(found.slice, build(trace.guest)).run().agrees:
            return row._replace(problem="what the right answer rests on was left out")
        try:
            run_test(text)
        except AssertionError as error:
            return row._replace(problem=f"the right model fails, too: {error}")
    return row


def test_faults_in_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [minimize_and_reproduce(entry, monkeypatch) for entry in BY_HAND]
    with capsys.disabled():
        print(f"\n\n{'device':21} {'fault':36} {'register':24} {'exits':>6} left  replays  CPU s  test")
        for row in rows:
            print(
                f"{row.device:21} {row.fault:36} {row.register:24} {row.before:6,} {row.after:4} {row.replays:8,} "
                f"{row.seconds:6.1f}  {row.test}"
            )
    assert [row for row in rows if row.problem] == []
    assert len(rows) >= LEAST_FAULTS
    assert len({row.device for row in rows}) >= LEAST_DEVICES
    assert median(row.after for row in rows) <= FEW
    assert max(row.after for row in rows) <= MANY


@pytest.mark.parametrize(
    ("name", "device", "register", "root"),
    [
        ("seabios-q35-devices", "pic", "PIC2_IMR", "PIC2_IMR"),
        ("linux-pc", "com1", "IER", "IER"),
        ("seabios-pc", "vga", "Misc output", "IS1 at 3Dxh"),
    ],
)
def test_a_model_that_is_deaf_in_one_register(name: str, device: str, register: str, root: str) -> None:
    """It does not show that the recorded device needed what it ignores."""

    def board(guest: Guest) -> Board:
        made = build(guest)
        Deaf(made.devices[device], register)
        return made

    recording = Recording(TRACES / f"{name}.db")
    bench = Bench(
        board,
        lambda part, made, selection: Replayer(part, made, selection=selection),
    )
    with TraceReader(TRACES / f"{name}.db") as trace:
        _, found = minimized(trace, bench)
    assert found.root.register == root
    assert found.slice.exit_count <= MANY
    assert Replayer(found.slice, build(recording.guest)).run().agrees


USER_MODEL = """
from vmdev.replay.devices.uart16550 import Uart16550


class Uart(Uart16550):
    def __init__(self, clock, irq):
        super().__init__(clock, irq)

    def reader(self, offset, size):
        read = super().reader(offset, size)
        return (lambda: read() & ~0x20) if offset == 5 else read
"""


def test_a_model_of_a_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "minimized_uart.py").write_text(USER_MODEL)
    trace = TRACES / "linux-pc.db"
    option = ("--device", "com1=minimized_uart:Uart")
    done = CliRunner().invoke(main, ["minimize", str(trace), "-o", "small.db", *option])
    assert done.exit_code == 0, done.output
    with TraceReader("small.db") as small:
        assert small.exit_count <= FEW
    assert CliRunner().invoke(main, ["replay", "small.db", *option]).exit_code == 1
    assert CliRunner().invoke(main, ["replay", "small.db"]).exit_code == 0
    assert CliRunner().invoke(main, ["info", "--check", "small.db"]).exit_code == 0

    done = CliRunner().invoke(main, ["reproduce", str(trace), *option])
    assert done.exit_code == 0, done.output
    with pytest.raises(AssertionError, match="hw=0x60 model=0x40 in THRE"):
        run_test(done.stdout)
    mended = USER_MODEL.replace("& ~0x20", "")
    exec(compile(mended, "mended", "exec"), vars(sys.modules["minimized_uart"]))
    run_test(done.stdout)
