"""``vmdev mutate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.replay.trace import TraceWriter
from vmdev.replay.trace.writer import MetaValue

Run = Callable[..., Result]

INDEX, DATA, PORT92 = 0x70, 0x71, 0x92
PORT92_USE = [(PORT92, "r", 0), (PORT92, "w", 2), (PORT92, "r", 2), (PORT92, "w", 0), (PORT92, "r", 0)]

Access = tuple[int, str, int]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def write_trace(name: str, accesses: list[Access], closed: bool = True, machine: str = "pc") -> Path:
    meta: dict[str, MetaValue] = {"machine": machine, "target": "x86_64", "clock": "virtual"}
    writer = TraceWriter(Path(name), meta=meta, overwrite=True)
    for number, (port, direction, value) in enumerate(accesses):
        site = writer.add_site(address=port, direction="r" if direction == "r" else "w")
        writer.add_exit(1_000 * number, site, value)
    if closed:
        writer.close()
    else:
        writer.suspend()
    return Path(name)


@pytest.fixture
def trace() -> Path:
    return write_trace("boot.db", PORT92_USE)


def test_the_score_comes_first(run: Run, trace: Path) -> None:
    done = run("mutate", trace, "--device", "port92")
    assert done.exit_code == 0, done.output
    first = done.stdout.splitlines()[0]
    assert " % of the mutants of port92 are killed: " in first
    assert first.endswith(", by boot.db.")
    assert " stuck at 0: no read shows it set\n" in done.stdout
    assert "(device): is not reset: the guest never resets the machine" in done.stdout


def test_as_json_it_is_the_same(run: Run, trace: Path) -> None:
    text = run("mutate", trace, "--device", "port92").stdout
    found = json.loads(run("mutate", trace, "--device", "port92", "--format", "json").stdout)
    total = found["total"]
    assert f"{total['killed']} of {total['tried']}, by boot.db." in text
    assert found["device"] == "port92"
    assert found["model"] == "Port92"
    assert len(found["mutants"]) == total["tried"]


def test_a_score_that_is_too_low_fails(run: Run, trace: Path) -> None:
    assert run("mutate", trace, "--device", "port92", "--fail-under", "5").exit_code == 0
    assert run("mutate", trace, "--device", "port92", "--fail-under", "99").exit_code == 1


def test_of_several_traces_the_few_that_do_are_named(run: Run, trace: Path) -> None:
    less = write_trace("less.db", PORT92_USE[:1])
    done = run("mutate", less, trace, "--device", "port92")
    assert done.exit_code == 0, done.output
    assert "by 2 traces." in done.stdout
    assert done.stdout.endswith("Enough to kill as many (chosen greedily, so there may be fewer): boot.db.\n")


MODEL = """
from vmdev.replay.device import Device
from vmdev.replay.machines import Board
from vmdev.replay.registers import Register, RegisterMap


class Port(Device):
    registers = RegisterMap(Register("MINE", "A port of a user's own", 0, "rw", reset=0))
    wrong = 0

    def __init__(self):
        self.value = 0

    def read(self, offset, size):
        return self.value | self.wrong

    def write(self, offset, size, value):
        self.value = value

    def reset(self):
        self.value = 0

    def state(self):
        return {"value": self.value}


class Wrong(Port):
    wrong = 0x80


class Failing(Port):
    def read(self, offset, size):
        raise ValueError("no")


def board(guest):
    made = Board("mine")
    made.add("port", Port(), pio=[(0x92, 1)])
    return made
"""


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--device", "port92=my_mutated:Port"], "port92"),
        (["--device", "mine=my_mutated:Port@pio:0x92"], "mine"),
        (["--device", "port92=my_mutated:Port", "--device", "port92"], "port92"),
        (["--board", "my_mutated.py", "--device", "port"], "port"),
    ],
)
def test_models_of_a_users_own(run: Run, trace: Path, options: list[str], name: str) -> None:
    Path("my_mutated.py").write_text(MODEL)
    done = run("mutate", trace, *options)
    assert done.exit_code == 0, done.output
    assert f"mutants of {name} are killed" in done.stdout
    assert "MINE          3       2" in done.stdout


def test_lines_that_no_trace_runs_are_told(run: Run, trace: Path) -> None:
    Path("my_mutated.py").write_text(MODEL)
    done = run("mutate", trace, "--device", "port92=my_mutated:Port", "--lines")
    assert done.exit_code == 0, done.output
    assert "my_mutated.py: 5 of 9 lines of functions are not run: " in done.stdout
    found = run("mutate", trace, "--device", "port92=my_mutated:Port", "--lines", "--format", "json").stdout
    (row,) = json.loads(found)["lines"]
    assert (Path(row["file"]).name, len(row["not_run"])) == ("my_mutated.py", 5)


def test_a_wrong_model_is_compared_with_itself(run: Run, trace: Path) -> None:
    Path("my_mutated.py").write_text(MODEL)
    done = run("mutate", trace, "--device", "port92=my_mutated:Wrong")
    assert done.exit_code == 0, done.output
    assert "boot.db: 3 reads diverge without a fault; there, mutants are compared with the model." in done.stdout


def test_a_failing_model_has_to_be_mended(run: Run, trace: Path) -> None:
    Path("my_mutated.py").write_text(MODEL)
    done = run("mutate", trace, "--device", "port92=my_mutated:Failing")
    assert done.exit_code == 2
    assert done.stderr == (
        "Error: boot.db: port92 fails at exit 0: ValueError: no; mend that first: mutants of a model that fails tell "
        "nothing\n"
    )


def test_a_device_has_to_be_named(run: Run, trace: Path) -> None:
    done = run("mutate", trace)
    assert done.exit_code == 2
    assert "say of which device with --device NAME; boot.db may access port92\n" in done.stderr
    done = run("mutate", trace, "--device", "rtc", "--device", "pit")
    assert done.exit_code == 2
    assert "of one model at a time, not of rtc, pit" in done.stderr


def test_there_is_no_such_device(run: Run, trace: Path) -> None:
    done = run("mutate", trace, "--device", "com7")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: pc has no device 'com7'; its devices: pic, ")
    done = run("mutate", trace, trace, "--device", "com7")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: boot.db: pc has no device 'com7'; its devices: pic, ")


def test_a_trace_of_a_machine_without_the_device_does_not_end_it(run: Run, trace: Path) -> None:
    other = write_trace("other.db", PORT92_USE, machine="microvm")
    done = run("mutate", other, trace, "--device", "port92")
    assert done.exit_code == 0, done.output
    assert "WARNING: other.db: microvm has no device 'port92'; its devices: " in done.stderr
    assert "by boot.db." in done.stdout


def test_nothing_accesses_the_device(run: Run, trace: Path) -> None:
    done = run("mutate", trace, "--device", "rtc")
    assert done.exit_code == 2
    assert "Error: no trace accesses rtc, so none tests it; boot.db accesses port92\n" in done.stderr
    also = write_trace("also.db", [*PORT92_USE, (INDEX, "w", 1), (DATA, "w", 5), (DATA, "r", 5)])
    done = run("mutate", trace, also, "--device", "rtc")
    assert done.exit_code == 0, done.output
    assert "WARNING: boot.db: nothing accesses rtc" in done.stderr


def test_what_is_odd_about_a_trace_is_told(run: Run) -> None:
    cut_off = write_trace("cut.db", PORT92_USE, closed=False)
    done = run("mutate", cut_off, "--device", "port92")
    assert done.exit_code == 0, done.output
    assert "cut.db: the recording was cut off" in done.stderr


def test_without_time_it_says_what_is_missing(run: Run, trace: Path) -> None:
    done = run("mutate", trace, "--device", "port92", "--time-limit", "0")
    assert done.exit_code == 0, done.output
    assert "The time limit of 0 s is reached: " in done.stderr
    assert "more were not tried." in done.stdout


def test_a_trace_has_to_be_one(run: Run, here: Path) -> None:
    (here / "no.db").write_text("no")
    assert run("mutate", "no.db", "--device", "rtc").exit_code == 2
    assert run("mutate", "nowhere.db", "--device", "rtc").exit_code == 2
    assert run("mutate", "--device", "rtc").exit_code == 2


def test_a_trace_that_compares_nothing_is_trouble(run: Run) -> None:
    silent = write_trace("silent.db", [(PORT92, "w", 2)])
    done = run("mutate", silent, "--device", "port92")
    assert done.exit_code == 2
    assert "no read was compared" in done.stderr
