"""Broken models: the minimized trace is short, with the same root; the test made of it fails, and passes once mended.

A trace that is too short is as wrong as one that is too long: a right model has to answer it as recorded.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
CHOSEN = (
    ("linux-pc", "pit", "loads one too few"),
    ("linux-pc", "pit", "half speed"),
    ("linux-pc", "rtc", "time stands still"),
    ("linux-pc", "com1", "no FIFOs"),
    ("linux-pc", "com1", "DLAB is ignored"),
    ("linux-pc", "pit", "mode is ignored"),
    ("linux-pc", "port61", "no refresh toggle"),
)
FAULTS = [entry for entry in BY_HAND if entry[:3] in CHOSEN]


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


@pytest.mark.parametrize("fault", FAULTS, ids=lambda entry: f"{entry[1]} {entry[2]}")
def test_a_broken_model(fault: tuple[str, str, str, tuple[str, ...], Patch], monkeypatch: pytest.MonkeyPatch) -> None:
    name, device, _, _, (owner, member, function) = fault
    bench = Judging().bench(TRACES / f"{name}.db")
    with TraceReader(TRACES / f"{name}.db") as trace:
        with monkeypatch.context() as patch:
            patch.setattr(owner, member, function)
            minimizer, found = minimized(trace, bench)
            assert found.slice.exit_count <= FEW
            assert Signature.of(found.found) == Signature.of(found.root)
            assert found.root.device == device
            text = Reproducer(minimizer, found, bench, BoardSource(), name, "").source()
            with pytest.raises(AssertionError, match=r"hw=0x\w+ model=0x"):
                run_test(text)
        verdict = Replayer(found.slice, build(trace.guest)).run()
        assert verdict.agrees, "what the right answer rests on was left out"
        run_test(text)


def test_there_are_as_many_faults_as_were_chosen() -> None:
    assert len(FAULTS) == len(CHOSEN) == 7


@pytest.mark.parametrize(
    ("name", "device", "register"), [("seabios-q35-devices", "pic", "PIC2_IMR"), ("linux-pc", "com1", "IER")]
)
def test_a_model_that_is_deaf_in_one_register(name: str, device: str, register: str) -> None:
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
    assert found.root.register == register
    assert found.slice.exit_count <= FEW
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
