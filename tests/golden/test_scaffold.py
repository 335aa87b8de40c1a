"""Models scaffolded from golden traces run as they are, and answer most of what their device was asked.

``pytest -s tests/golden/test_scaffold.py`` prints the tables.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmdev.replay.device import Device
from vmdev.replay.errors import NothingComparedError
from vmdev.replay.machines import Placement, Replacement, build
from vmdev.replay.replayer import Replayer
from vmdev.replay.scaffolding import Inference, Observation, Writer, infer_device, observe_device
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.user_models import make
from vmdev.replay.verdict import Tally, Verdict

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "traces"
LEAST = 0.6
"""Of a device's reads."""

REQUIRED = [
    (trace, device)
    for device, traces in {
        "pmtimer": ("seabios-pc", "seabios-pc-devices", "seabios-q35-devices", "linux-pc", "linux-pc-apic"),
        "rtc": (
            "seabios-pc",
            "seabios-pc-devices",
            "seabios-q35-devices",
            "linux-pc",
            "linux-pc-apic",
            "linux-microvm",
        ),
        "com1": ("seabios-pc", "linux-pc", "linux-pc-apic", "linux-microvm"),
        "pic": ("seabios-pc", "seabios-pc-devices", "seabios-q35-devices", "linux-pc", "linux-pc-apic"),
    }.items()
    for trace in traces
]
OTHERS = [
    ("seabios-pc", "vga"),
    *(("seabios-pc-devices", device) for device in ("pci", "fwcfg", "i8042", "fdc", "dma", "port92", "ide0")),
    *(("linux-pc", device) for device in ("port61", "pit", "ioapic", "pci", "acpi-gpe0")),
    *(("linux-pc-apic", device) for device in ("hpet", "lapic")),
    *(("seabios-q35-devices", device) for device in ("ahci@00:1f.2", "virtio-blk@01:00.0", "pci")),
    ("linux-microvm", "virtio-mmio@feb02e00"),
    ("seabios-pc", "acpi-tmr"),
    ("linux-pc", "serial"),
]


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What was written for one device."""

    seen: Observation
    found: Inference
    text: str
    model: type[Device]


_cache: dict[tuple[str, str], Scaffold] = {}


def scaffold(trace: str, device: str) -> Scaffold:
    if (trace, device) not in _cache:
        with TraceReader(TRACES / f"{trace}.db") as reader:
            seen = observe_device(reader, device)
        found = infer_device(seen)
        writer = Writer(seen, found, "scaffolded")
        text = writer.model()
        module = types.ModuleType("scaffolded")
        sys.modules["scaffolded"] = module  # where typing looks for its names
        exec(compile(text, f"{trace}-{device}.py", "exec"), module.__dict__)
        _cache[trace, device] = Scaffold(seen, found, text, getattr(module, writer.class_name))
    return _cache[trace, device]


def replayed(what: Scaffold, trace: str) -> tuple[Verdict, Tally] | None:
    """The verdict on a model alone, and its counts; None if it answers nothing."""
    name = what.seen.name
    with TraceReader(TRACES / f"{trace}.db") as reader:
        places = {"pio": (), "mmio": ()} | (
            {}
            if what.seen.is_of_machine
            else {place.space: (Placement(place.base, place.size),) for place in what.seen.places}
        )
        replacement = Replacement(make(what.model, reader.guest), **places)
        board = build(reader.guest, replacements={name: replacement})
        try:
            verdict = Replayer(reader, board, devices=(name,)).run()
        except NothingComparedError:
            return None
        (tally,) = [each.tally for each in verdict.devices if each.name == name]
        return verdict, tally


def row(*cells: object) -> str:
    return "{:20} {:20} {:>6} {:>8} {:>9} {:>10}".format(*map(str, cells))


@pytest.fixture(scope="module", autouse=True)
def tables() -> Iterator[list[str]]:
    lines = [row("device", "trace", "reads", "matched", "share", "*")]
    yield lines
    print("\n" + "\n".join(lines))
    print("* not counted as matched: the first read of each register or cell, from which alone it may be known")


@pytest.mark.parametrize(("trace", "device"), REQUIRED)
def test_most_reads_match_without_an_edit(trace: str, device: str, tables: list[str]) -> None:
    what = scaffold(trace, device)
    answered = replayed(what, trace)
    assert answered is not None
    verdict, tally = answered
    first = sum(
        cell.matched > 0 for register in what.found.registers for cell in register.cells if not register.counter
    )
    share = tally.matched / tally.reads
    beyond = (tally.matched - first) / tally.reads
    tables.append(row(device, trace, f"{tally.reads:,}", f"{tally.matched:,}", f"{share:.1%}", f"{beyond:.1%}"))
    assert share >= LEAST
    assert tally.learned + tally.assumed + tally.masked == 0
    assert tally.matched == what.found.matched, "it was said otherwise"
    assert not [each for each in verdict.divergences if each.cause == "fault"]


@pytest.mark.parametrize(("trace", "device"), OTHERS)
def test_of_any_device_there_is_a_model_that_runs(trace: str, device: str, tables: list[str]) -> None:
    what = scaffold(trace, device)
    answered = replayed(what, trace)
    matched = answered[1].matched if answered is not None else 0
    assert matched == what.found.matched
    assert not (answered and [each for each in answered[0].divergences if each.cause == "fault"])
    reads = what.found.reads
    tables.append(row(device, trace, f"{reads:,}", f"{matched:,}", f"{matched / max(1, reads):.1%}", ""))


@pytest.mark.parametrize(
    ("device", "trained", "tried", "least"),
    [
        ("pmtimer", "linux-pc", "seabios-pc", 1.0),
        ("pmtimer", "seabios-pc", "linux-pc", 0.1),  # SeaBIOS does not see it wrap, so that its width is not known
        ("com1", "seabios-pc", "linux-pc", 0.75),
        ("com1", "linux-pc", "linux-microvm", 0.9),
        ("pic", "linux-pc", "seabios-pc", 0.9),
        ("rtc", "linux-pc", "linux-microvm", 0.6),
    ],
)
def test_a_model_of_one_guest_answers_another(
    device: str, trained: str, tried: str, least: float, tables: list[str]
) -> None:
    answered = replayed(scaffold(trained, device), tried)
    assert answered is not None
    _, tally = answered
    share = tally.matched / tally.reads
    tables.append(
        row(device, f"{trained} > {tried}"[:20], f"{tally.reads:,}", f"{tally.matched:,}", f"{share:.1%}", "")
    )
    assert share >= least


def test_models_of_one_device_are_the_same_each_time() -> None:
    before = scaffold("linux-pc", "rtc").text
    _cache.clear()
    assert scaffold("linux-pc", "rtc").text == before


@pytest.mark.parametrize(("trace", "device"), [*REQUIRED, *OTHERS])
def test_no_sequence_of_values_is_in_a_model(trace: str, device: str) -> None:
    """Its numbers are in tables by register or cell, and there is one for each; no list is stepped through."""
    what = scaffold(trace, device)
    tree = ast.parse(what.text)
    cells = sum(len(register.cells) for register in what.found.registers)
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            numbers = [each for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, int)]
            assert len(numbers) <= max(4, len(what.found.registers)), ast.unparse(node)[:200]
        if isinstance(node, ast.Dict):
            assert len(node.keys) <= cells
    assert not {"Unknown", "assume", "iter", "next"} & {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name)
    } - ({"next"} if what.found.is_cut else set())


def test_ruff_has_nothing_to_say(tmp_path: Path) -> None:
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    if ruff is None:
        pytest.skip("no ruff")
    for trace, device in [*REQUIRED, *OTHERS]:
        (tmp_path / f"{trace}_{device}_model.py".replace("-", "_").replace("@", "_").replace(":", "_")).write_text(
            scaffold(trace, device).text
        )
    options = [
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
        "--config",
        'lint.isort.known-first-party=["vmdev"]',
    ]
    check = subprocess.run([ruff, "check", "-q", *options, tmp_path], capture_output=True, text=True, check=False)
    assert not check.stdout, check.stdout[:3000]
    style = subprocess.run([ruff, "format", "--diff", *options, tmp_path], capture_output=True, text=True, check=False)
    assert not style.returncode, style.stdout[:3000]


def test_mypy_has_nothing_to_say(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    names = []
    for number, (trace, device) in enumerate(OTHERS[:6] + REQUIRED[::3]):
        names.append(f"model_{number}.py")
        (tmp_path / names[-1]).write_text(scaffold(trace, device).text)
    (tmp_path / "vmdev").mkdir()
    for part in ("replay", "cli"):
        (tmp_path / "vmdev" / part).symlink_to(ROOT / part)
    options = [
        "--strict",
        "--follow-imports=silent",
        "--no-error-summary",
        "--namespace-packages",
        "--explicit-package-bases",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *names], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert not done.stdout, done.stdout[:3000]


def test_the_command_and_the_replay_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user does it: the file, then ``vmdev replay``."""
    monkeypatch.chdir(tmp_path)
    program = Path(sys.executable).with_name("vmdev")
    trace = TRACES / "seabios-pc.db"
    made = subprocess.run(
        [program, "scaffold", trace, "--device", "rtc", "-o", "my_rtc.py"], capture_output=True, text=True, check=True
    )
    assert "311 of 311 reads have a rule" in made.stdout
    done = subprocess.run(
        [program, "replay", trace, "--device", "rtc", "--device", "rtc=my_rtc:Rtc", "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["matched"] == 311
