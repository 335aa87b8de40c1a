"""What ``vmdev replay`` judges, in which models, and by which rules."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from vmdev.replay.trace import TraceWriter

Run = Callable[..., Result]

INDEX, DATA, PORT92, NOBODY = 0x70, 0x71, 0x92, 0x999


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def trace(here: Path) -> Path:
    """Register D of the RTC, read as it should be and wrongly; port 92h; a port that nobody has."""
    path = here / "boot.db"
    with TraceWriter(path, meta={"machine": "pc", "target": "x86_64"}) as writer:
        index = writer.add_site(address=INDEX, direction="w")
        data = writer.add_site(address=DATA, direction="r")
        port92 = writer.add_site(address=PORT92, direction="r")
        nobody = writer.add_site(address=NOBODY, direction="r")
        for seq, (site, value) in enumerate([(index, 0x0D), (data, 0x80), (data, 0x00), (port92, 0), (nobody, 0xFF)]):
            writer.add_exit(1_000 * seq, site, value)
    return path


def verdict(run: Run, *arguments: object, status: int) -> dict[str, Any]:
    result = run("replay", *arguments, "--format", "json")
    assert result.exit_code == status, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ranges_choose_exits(run: Run, trace: Path) -> None:
    assert verdict(run, trace, status=1)["totals"]["diverged"] == 1
    for options in (("--seq", "0:1"), ("--time", ":1us"), ("--seq", "3:"), ("--address", "0x92")):
        found = verdict(run, trace, *options, status=0)
        totals = found["totals"]
        assert totals["matched"] in (1, 2)
        assert totals["excluded"] >= 2
        assert found["selection"] != []
    assert verdict(run, trace, "--until-divergence", status=1)["totals"]["excluded"] == 2


@pytest.mark.parametrize("options", [("--seq", "3:1"), ("--time", "soon"), ("--address", "x"), ("--device", "a=@")])
def test_a_bad_choice_is_trouble(run: Run, trace: Path, options: tuple[str, str]) -> None:
    assert run("replay", trace, *options).exit_code == 2


def test_strict(run: Run, trace: Path) -> None:
    assert run("replay", trace, "--seq", "3:").exit_code == 0
    result = run("replay", trace, "--seq", "3:", "--strict")
    assert result.exit_code == 1
    assert "1 read unanswered; 0 divergences." in result.stdout


CONTRACT = """
[[contract]]
device = "rtc"
register = "Register D"
rule = "mask"
reason = "the battery is old"
"""

KNOWN = """
[[known]]
device = "rtc"
register = "Register D"
reason = "the battery is old"
"""


@pytest.mark.parametrize(("option", "outcome", "text"), [("contracts", "masked", CONTRACT), ("known", "known", KNOWN)])
def test_rules_are_taken_from_beside_the_trace_or_from_a_file(
    run: Run, trace: Path, option: str, outcome: str, text: str
) -> None:
    beside = trace.with_name(f"boot.{option}.toml")
    beside.write_text(text)
    assert verdict(run, trace, status=0)["totals"][outcome] == 1
    other = beside.rename(trace.with_name("other.toml"))
    verdict(run, trace, status=1)
    assert verdict(run, trace, f"--{option}", other, status=0)["totals"][outcome] == 1


def test_a_known_divergence_that_does_not_occur_fails(run: Run, trace: Path) -> None:
    (trace.parent / "boot.known.toml").write_text(KNOWN + KNOWN.replace("Register D", "Register C"))
    result = run("replay", trace)
    assert result.exit_code == 1
    assert "STALE: nothing diverges any more where the ledger says so; remove these entries: rtc.Register C." in (
        result.stdout
    )


def test_a_rule_that_names_nothing_is_trouble(run: Run, trace: Path) -> None:
    (trace.parent / "boot.contracts.toml").write_text(CONTRACT.replace("Register D", "Register E"))
    result = run("replay", trace)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: rtc has no register 'Register E'; it has Index")


MODEL = """
from vmdev.replay.device import Device
from vmdev.replay.registers import Register, RegisterMap

class Mine(Device):
    title = "Mine"
    registers = RegisterMap(Register("VALUE", "Value", 0, "rw"))

    def __init__(self, clock):
        pass

    def read(self, offset, size):
        {read}

    def write(self, offset, size, value):
        pass

    def reset(self):
        pass

    def state(self):
        return {{}}
"""


def model(here: Path, read: str) -> str:
    """A model whose reads are as given, in a module of its own."""
    name = f"my_{abs(hash(read))}"
    (here / f"{name}.py").write_text(MODEL.format(read=read))
    return f"{name}:Mine"


def device(found: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = (row for row in found["devices"] if row["name"] == name)
    return dict(row)


def test_a_model_of_the_users_stands_in_place_of_ours(run: Run, trace: Path, here: Path) -> None:
    found = verdict(run, trace, "--device", f"port92={model(here, 'return 0')}", "--seq", "3:", status=0)
    assert device(found, "port92")["model"] == "Mine"
    assert found["selected"] == []


def test_a_model_of_the_users_stands_where_nobody_is(run: Run, trace: Path, here: Path) -> None:
    mine = model(here, "return 0xff")
    found = verdict(run, trace, "--device", f"mine={mine}@pio:0x999", "--device", "mine", status=0)
    assert device(found, "mine")["matched"] == 1
    found = verdict(run, trace, "--device", f"port92={mine}@0x999+2", "--device", "port92", status=0)
    assert device(found, "port92")["matched"] == 1


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("raise KeyError(offset)", "KeyError: 0"),
        ("return 0x1ff", "was answered with 0x1ff"),
        ("return 'A'", "was answered with 'A'"),
        ("return None", "was answered with None"),
        ("while True: pass", "did not come back in time"),
        ("return -1", "was answered with -0x1"),
    ],
)
def test_a_model_that_fails_is_named_and_contained(run: Run, trace: Path, here: Path, read: str, expected: str) -> None:
    found = verdict(run, trace, "--device", f"port92={model(here, read)}", "--access-limit", "0.3", status=1)
    fault = next(divergence for divergence in found["divergences"] if divergence["device"] == "port92")
    assert (fault["kind"], fault["cause"], fault["class"]) == ("root", "fault", "fault")
    assert expected in fault["detail"]
    assert device(found, "rtc")["matched"] == 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("port92=nowhere:Mine", "nowhere cannot be imported"),
        ("port92=os:path", "is no subclass"),
        ("nothing=port92", "pc has no device 'nothing' to replace, so say where it sits"),
    ],
)
def test_a_model_that_cannot_be_used_is_trouble(run: Run, trace: Path, choice: str, message: str) -> None:
    result = run("replay", trace, "--device", choice)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_model_that_nothing_can_end_ends_the_process(trace: Path, here: Path) -> None:
    stubborn = "import time; return time.sleep(3600)"
    command = [sys.executable, "-c", "from vmdev.cli import main; main()", "replay", trace, "--access-limit", "0.1"]
    done = subprocess.run(
        [*command, "--device", f"port92={model(here, stubborn)}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "Error: a model hangs and cannot be ended, at exit 3 of port92\n"


BOARD = """
from vmdev.replay.devices.port92 import Port92
from vmdev.replay.machines import Board

def board(guest):
    board = Board("mine")
    board.add("gate", Port92(), pio=[(0x92, 1)])
    return board
"""


def test_a_board_of_the_users(run: Run, trace: Path, here: Path) -> None:
    (here / "my_board.py").write_text(BOARD)
    found = verdict(run, trace, "--board", "my_board.py", status=0)
    assert (found["machine"], device(found, "gate")["matched"]) == ("mine", 1)


def test_a_board_excludes_other_choices_of_models(run: Run, trace: Path, here: Path) -> None:
    (here / "my_board.py").write_text(BOARD)
    for options in (("--machine", "pc"), ("--device", "gate=port92")):
        result = run("replay", trace, "--board", "my_board.py", *options)
        assert result.exit_code == 2
        assert "exclude each other" in result.stderr


def test_devices_shows_the_registers_of_a_users_model(run: Run, here: Path) -> None:
    shown = run("devices", model(here, "return 0"))
    assert shown.exit_code == 0
    assert shown.stdout.startswith("my_")
    assert "VALUE" in shown.stdout
