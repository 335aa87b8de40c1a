"""``vmdev replay --against``: the options, and what the report says. QEMU is a server in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from click.testing import Result

from latches import with_board, write_trace
from served import Server
from vmdev.cli import against
from vmdev.replay.bus import PioAddress, PioRange
from vmdev.replay.devices.port92 import Port92
from vmdev.replay.machines import Board
from vmdev.replay.trace.writer import TraceWriter

Run = Callable[..., Result]

META = {
    "command": ["qemu-system-x86_64", "-M", "pc", "-serial", "stdio", "-fsdev", "local"],
    "icount_shift": 6,
    "qemu": "9.2.0",
}


class Played(Server):
    """Two latches behind the protocol."""

    started: ClassVar[list[tuple[str, list[str], int]]] = []
    wrong_answers: ClassVar[dict[int, int]] = {}

    def __init__(self, program: Any, arguments: Sequence[str], shift: int, serial: str) -> None:
        board = Board("mine")
        board.add("one", Port92(), pio=[(0x92, 1)])
        board.add("two", Port92(), pio=[(0x93, 1)])
        super().__init__(board)
        self.name = "QEMU 10.0.2, TCG standing still"
        self.qemu = SimpleNamespace(version_text="10.0.2")
        self.wrong = dict(self.wrong_answers)
        self.started.append((program.path, list(arguments), shift))

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(against, "QtestQemu", Played)
    monkeypatch.setattr(against, "identify", lambda name: SimpleNamespace(path=name))
    monkeypatch.setattr(Played, "started", [])
    monkeypatch.setattr(Played, "wrong_answers", {})
    with_board(tmp_path)
    write_trace(tmp_path / "boot.db", meta=META)
    return tmp_path


def test_qemu_alone_is_judged(run: Run, project: Path) -> None:
    result = run("replay", "boot.db", "--board", "board.py", "--against", "qemu")
    assert result.exit_code == 0, result.output
    assert "7 of 7 checked reads match; 0 divergences." in result.stdout
    assert (
        "Judged is QEMU 10.0.2, TCG standing still. The recording is of QEMU 9.2.0. -fsdev is left out."
        in result.stdout
    )
    assert "(nothing)" in result.stdout
    ((program, arguments, shift),) = Played.started
    assert (program, shift) == ("qemu-system-x86_64", 6)
    assert arguments[:4] == ["-M", "pc", "-serial", "null"]


def test_where_qemu_differs_the_exit_status_says_so(run: Run, project: Path) -> None:
    Played.wrong_answers = {1: 9}
    result = run("replay", "boot.db", "--board", "board.py", "--against", "qemu")
    assert result.exit_code == 1
    assert "two.LATCH (offset 0x0, pio 0x93, 1 byte): hw=0x01 model=0x09" in result.stdout
    assert "no reason is known: see below" in result.stdout
    only = run("replay", "boot.db", "--board", "board.py", "--against", "qemu", "--device", "one")
    assert only.exit_code == 0


def test_three_witnesses(run: Run, project: Path) -> None:
    with_board(project, "Stuck")
    Played.wrong_answers = {1: 9}
    result = run("replay", "boot.db", "--board", "board.py", "--against", "both")
    assert result.exit_code == 1
    assert "Beside the models answers QEMU" in result.stdout
    assert "Recording, model and QEMU answer 3 reads alike." in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith(("one.LATCH", "two.LATCH"))]
    assert ["two.LATCH", "QEMU", "1", "3", "0x01", "0x01", "0x09"] in rows
    assert ["one.LATCH", "the", "model", "2", "5", "0x02", "0x00", "0x02"] in rows


def test_if_the_recording_alone_is_odd_the_models_verdict_decides(run: Run, project: Path) -> None:
    """Recorded by the host's clock, say: a contract excuses it, and QEMU says the same as the model."""
    Played.wrong_answers = {1: 9}
    (project / "latch.py").write_text("from board import Latch\nclass Nine(Latch):\n    def read(self, *a): return 9\n")
    options = ("replay", "boot.db", "--machine", "pc", "--device", "two=latch:Nine@pio:0x93", "--seq", "3:3")
    assert run(*options, "--against", "both").exit_code == 1
    (project / "boot.contracts.toml").write_text(
        '[[contract]]\ndevice = "two"\nregister = "LATCH"\nrule = "mask"\nbits = 255\nreason = "so it is"\n'
    )
    result = run(*options, "--against", "both")
    assert result.exit_code == 0, result.output
    assert "two.LATCH the recording 1 3 0x01 0x09 0x09" in " ".join(result.stdout.split())


def test_if_qemu_alone_is_odd_both_fails(run: Run, project: Path) -> None:
    Played.wrong_answers = {1: 9}
    assert run("replay", "boot.db", "--board", "board.py").exit_code == 0
    options = ("replay", "boot.db", "--board", "board.py", "--against", "both", "--format")
    junit = run(*options, "junit")
    assert junit.exit_code == 1
    assert "QEMU does not answer as recorded in two.LATCH" in junit.stdout
    page = run(*options, "html").stdout
    assert '<td>two.LATCH</td><td>QEMU</td><td class="n">1</td>' in page
    assert "no reason" not in page


@pytest.mark.parametrize("form", ["json", "html", "junit"])
def test_reports_of_other_forms(run: Run, project: Path, form: str) -> None:
    result = run("replay", "boot.db", "--board", "board.py", "--against", "qemu", "--format", form)
    assert result.exit_code == 0, result.output
    if form == "json":
        assert json.loads(result.stdout)["against"]["name"].startswith("QEMU")
    elif form == "html":
        assert "judged is QEMU 10.0.2" in result.stdout


def test_a_target_is_no_path(run: Run, project: Path) -> None:
    write_trace(project / "boot.db", meta={**META, "target": "x/../../evil"})
    result = run("replay", "boot.db", "--against", "qemu")
    assert result.exit_code == 2
    assert "name a QEMU with --qemu" in result.stderr


def test_what_is_otherwise_than_in_the_recording_is_told(run: Run, project: Path) -> None:
    with TraceWriter(project / "boot.db", meta={**META, "machine": "pc"}, overwrite=True) as writer:
        writer.add_exit(0, writer.add_site(address=0x20, direction="w", region="pic"), 0x20)
        writer.add_exit(1, writer.add_site(address=0x5658, direction="r", region="vmport"), 0)
        writer.add_event("serial-input", detail="serial0 nonsense")
        writer.add_exit(2, writer.add_site(address=0x999, direction="r"), 0xFF)
    told = run("replay", "boot.db", "--against", "qemu").stdout
    words = " ".join(told.split())
    assert "before an EOI: 1. Serial input is not played: QEMU has no port for it. Places that only a" in words


def test_arguments_of_the_users_own(run: Run, project: Path) -> None:
    options = ("replay", "boot.db", "--board", "board.py", "--against=qemu")
    assert run(*options, "--", "/my/qemu", "-M", "q35", "-S").exit_code == 0
    assert run(*options, "--qemu", "other", "--", "-M", "q35").exit_code == 0
    assert [(program, words[:2]) for program, words, _ in Played.started] == [
        ("/my/qemu", ["-M", "q35"]), ("other", ["-M", "q35"]),
    ]  # fmt: skip


def test_several_traces_are_played_one_after_the_other(run: Run, project: Path) -> None:
    write_trace(project / "none.db")
    result = run("replay", "boot.db", "none.db", "--board", "board.py", "--against", "qemu")
    assert result.exit_code == 2
    assert "Error: the trace does not tell how its QEMU was started" in result.stderr
    assert "1 agrees, 1 could not be replayed" in result.stdout


def test_a_machine_without_models_is_judged_by_regions(run: Run, project: Path) -> None:
    write_trace(project / "boot.db", meta={**META, "machine": "virt"})
    result = run("replay", "boot.db", "--against", "qemu")
    assert result.exit_code == 0, result.output
    assert "7 of 7 checked reads match" in result.stdout
    both = run("replay", "boot.db", "--against", "both")
    assert both.exit_code == 2
    assert "cannot be replayed into" in both.stderr


def test_rules_beside_the_trace_are_the_models(run: Run, project: Path) -> None:
    (project / "boot.known.toml").write_text('[[known]]\ndevice = "two"\nregister = "LATCH"\nreason = "it is so"\n')
    Played.wrong_answers = {1: 9}
    options = ("replay", "boot.db", "--board", "board.py", "--against", "qemu")
    assert run(*options).exit_code == 1
    assert run(*options, "--known", "boot.known.toml").exit_code == 0


@pytest.mark.parametrize("words", [("--qemu", "x"), ("--against", "models", "--", "-M", "pc")])
def test_qemus_options_are_of_use_against_qemu_only(run: Run, project: Path, words: tuple[str, ...]) -> None:
    result = run("replay", "boot.db", *words)
    assert result.exit_code == 2
    assert "--against qemu or both only" in result.stderr


def test_a_device_that_moves_is_followed(run: Run, project: Path) -> None:
    """A range that is registered while the replay goes on takes over what nobody answered before."""
    model = project / "board.py"
    model.write_text(
        model.read_text()
        + """
    # not reached
class Mover(Latch):
    def __init__(self, io): super().__init__(); self.io = io
    def write(self, offset, size, value):
        from vmdev.replay.bus import PioAddress, PioRange
        if value == 2: self.io.register_pio(PioRange(PioAddress(0x999), 1), self)
def board(guest):
    machine = Board("mine")
    machine.add("one", Mover(machine.io), pio=[(0x92, 1)])
    return machine
"""
    )
    result = run("replay", "boot.db", "--board", "board.py", "--against", "qemu", "--format", "json")
    devices = {device["name"]: device["exits"] for device in json.loads(result.stdout)["devices"]}
    assert devices == {"one": 7, "(nothing)": 6}
    assert PioRange(PioAddress(0x999), 1).size == 1
