"""``vmdev compare``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result
from conftest import ESCAPE

from vmdev.replay.guest import Region
from vmdev.replay.trace import TraceWriter
from vmdev.replay.trace.writer import MetaValue

Run = Callable[..., Result]

INDEX, DATA, STRAY = 0x70, 0x71, 0x99
META: dict[str, MetaValue] = {
    "machine": "pc", "target": "x86_64", "clock": "virtual", "command": ["qemu-system-x86_64", "-M", "pc"],
}  # fmt: skip

Accesses = Sequence[tuple[str, int, int]]
BOOT: Accesses = [("w", INDEX, 0), ("r", DATA, 0x10), ("w", INDEX, 0x0D), ("r", DATA, 0x80), ("r", STRAY, 0xFF)]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Makes a trace."""

    def make(name: str, accesses: Accesses = BOOT, **facts: MetaValue) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with TraceWriter(path, meta={**META, **facts}) as writer:
            writer.add_regions(0, 0, [Region("pio", INDEX, INDEX, "rtc-index"), Region("pio", INDEX, DATA, "rtc")])
            for seq, (direction, address, value) in enumerate(accesses):
                space = "pio" if address < 1 << 16 else "mmio"
                region = "rtc" if address == DATA else ""
                site = writer.add_site(address=address, direction=direction, region=region, space=space)  # type: ignore[arg-type]
                writer.add_exit(1000 * seq, site, value)
        return path

    return make


def changed(seq: int, value: int, boot: Accesses = BOOT) -> Accesses:
    direction, address, _ = boot[seq]
    return [*boot[:seq], (direction, address, value), *boot[seq + 1 :]]


def test_equal_recordings_exit_with_0(run: Run, make: Callable[..., Path]) -> None:
    done = run("compare", make("a.db"), make("b.db"))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "Nothing differs in 5 pairs of accesses.",
        "A is a.db: 5 exits of a pc (x86_64).",
        "B is b.db: 5 exits of a pc (x86_64).",
    ]


def test_what_differs_is_named_by_register_and_field(run: Run, make: Callable[..., Path]) -> None:
    done = run("compare", make("a.db"), make("b.db", changed(3, 0x00)))
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("1 register differs; in rtc.\n")
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("rtc.Register D")]
    assert row.split() == "rtc.Register D (VRT) read 7 1 of 1 0x80 0x0 3 3 do not".split()


def test_json_tells_the_same(run: Run, make: Callable[..., Path]) -> None:
    more = [*changed(1, 0x13), ("w", INDEX, 0x0B)]
    done = run(
        "compare",
        make("a.db"),
        make("b.db", more, command=["qemu-system-x86_64", "-M", "pc", "-m", "1G"]),
        "--format",
        "json",
    )
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["version"], found["differs"]) == (1, True)
    assert found["a"] | {"name": "b.db", "exits": 6} == found["b"]
    assert found["made_differently"] == [{"name": "command line", "a": "nothing else", "b": "-m 1G"}]
    assert found["differences"] == [
        {
            "device": "rtc", "register": "Seconds", "direction": "r", "fields": [], "bits": 0x03, "count": 1,
            "pairs": 1, "seq_a": 1, "seq_b": 1, "value_a": 0x10, "value_b": 0x13, "width": 8, "is_declared": True,
            "models_agree": found["differences"][0]["models_agree"],
        }
    ]  # fmt: skip
    assert [(row["register"], row["direction"], row["a"], row["b"]) for row in found["only_in_one"]] == [
        ("Index", "w", 0, 1)
    ]
    assert found["contracts"][0]["bits"] == 0x03


def test_contracts_are_what_replay_reads(run: Run, make: Callable[..., Path], tmp_path: Path) -> None:
    first, second, file = make("a.db"), make("b.db", changed(3, 0x00)), tmp_path / "volatile.toml"
    assert run("replay", second).exit_code == 1
    done = run("compare", first, second, "--write-contracts", file)
    assert done.exit_code == 1
    (contract,) = tomllib.loads(file.read_text())["contract"]
    assert contract == {
        "device": "rtc", "register": "Register D", "bits": 0x80, "rule": "mask",
        "reason": "differs between recordings: 1 of 1 read, first 0x80 at seq 3 of a.db and 0x0 at seq 3 of b.db",
    }  # fmt: skip
    assert "need no contract" not in file.read_text()
    assert run("replay", second, "--contracts", file).exit_code == 0
    assert run("compare", first, second, "--write-contracts", file).exit_code == 2
    assert run("compare", first, second, "--write-contracts", file, "--force").exit_code == 1


def test_a_register_that_the_models_answer_needs_no_contract(
    run: Run, make: Callable[..., Path], tmp_path: Path
) -> None:
    cell: Accesses = [("w", INDEX, 0x38), ("r", DATA, 1), ("r", DATA, 1)]
    file = tmp_path / "volatile.toml"
    done = run("compare", make("a.db", cell), make("b.db", [cell[0], *[("r", DATA, 2)] * 2]), "--write-contracts", file)
    assert "answer as recorded" in done.stdout
    assert "need none" in done.stdout
    assert "need no contract" in file.read_text()
    assert run("replay", tmp_path / "a.db", "--contracts", file).exit_code == 0


def test_no_contract_is_written_where_none_helps(run: Run, make: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "volatile.toml"
    done = run("compare", make("a.db"), make("b.db", changed(4, 0xFE)), "--write-contracts", file)
    assert done.exit_code == 1
    assert "(no device).pio 0x99" in done.stdout
    assert "none was written" in done.stderr
    assert not file.exists()


def test_loops_are_told_and_strictly_listed(run: Run, make: Callable[..., Path]) -> None:
    first, second = make("a.db"), make("b.db", [*BOOT, BOOT[-1]])
    done = run("compare", first, second)
    assert done.exit_code == 0
    assert "Besides, and no difference: 1 access of loops" in done.stdout
    assert "(no device)" not in done.stdout
    done = run("compare", first, second, "--strict")
    assert done.exit_code == 1
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("(no device).pio 0x99")]
    assert row.split() == "(no device).pio 0x99 read 0 1 - 0xff - 5".split()


def test_an_order_is_told_and_strictly_listed(run: Run, make: Callable[..., Path]) -> None:
    first = make("a.db", [("w", STRAY, 1), ("w", STRAY, 2), *BOOT])
    second = make("b.db", [("w", STRAY, 2), ("w", STRAY, 1), *BOOT])
    done = run("compare", first, second)
    assert done.exit_code == 0
    assert "1 access in another order" in done.stdout
    assert "\nin another order" in run("compare", first, second, "--strict").stdout


def test_only_some_devices(run: Run, make: Callable[..., Path]) -> None:
    first, second = make("a.db"), make("b.db", changed(4, 0xFE))
    done = run("compare", first, second, "--device", "rtc")
    assert done.exit_code == 0
    assert "Compared: rtc; nothing else." in done.stdout
    assert run("compare", first, second, "--device", "(no device)").exit_code == 1
    done = run("compare", first, second, "--device", "nic")
    assert done.exit_code == 2
    assert "neither recording has a device 'nic'; they have" in done.stderr


def test_machines_that_differ_are_told(run: Run, make: Callable[..., Path]) -> None:
    done = run("compare", make("a.db"), make("b.db", machine="isapc"))
    assert done.exit_code == 0
    assert "Made differently: machine: A pc; B isapc" in done.stdout
    assert "NOTE: the machines differ" in done.stdout


def test_machines_without_models_are_compared_by_regions(run: Run, make: Callable[..., Path]) -> None:
    first, second = make("a.db", machine="virt"), make("b.db", changed(3, 0x81), machine="virt")
    done = run("compare", first, second)
    assert done.exit_code == 1
    assert "NOTE: devices are named by QEMU's regions" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("rtc.")]
    assert row.split() == "rtc.offset 0x1 read 0 1 of 2 0x80 0x81 3 3 -".split()
    assert run("compare", first, second, "--machine", "nix").exit_code == 2
    assert "rtc.Register D" in run("compare", first, second, "--machine", "pc").stdout


def test_models_of_a_users_own_name_registers(
    run: Run, make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stray_model.py").write_text(
        "from vmdev.replay.device import Device\nfrom vmdev.replay.registers import Register, RegisterMap\n\n\n"
        "class Stray(Device):\n    registers = RegisterMap(Register('STRAY', 'Stray', 0, 'r'))\n\n"
        "    def read(self, offset, size):\n        return 0xFF\n\n    def write(self, offset, size, value):\n"
        "        pass\n\n    def reset(self):\n        pass\n\n    def state(self):\n        return {}\n"
    )
    monkeypatch.chdir(tmp_path)
    first, second = make("a.db"), make("b.db", changed(4, 0xFE))
    done = run("compare", first, second, "--device", "stray=stray_model:Stray@pio:0x99")
    assert done.exit_code == 1, done.output
    assert "stray.STRAY" in done.stdout


def test_recordings_of_one_name_are_told_apart(run: Run, make: Callable[..., Path], tmp_path: Path) -> None:
    done = run("compare", make("monday/boot.db"), make("tuesday/boot.db"))
    assert "monday" in done.stdout
    assert "tuesday" in done.stdout


def test_a_log_is_told_with_what_it_lacks(run: Run, make: Callable[..., Path]) -> None:
    imported = {"format": "qemu", "title": "QEMU trace log", "losses": ["no PC"], "notes": {}}
    done = run("compare", make("a.db", [("r", 0xFE000000, 1)]), make("b.db", BOOT, imported=imported))
    assert done.exit_code == 1
    assert "NOTE: B: this trace was imported from a QEMU trace log: no PC." in done.stdout
    assert "Declared, and no difference: accesses to memory where no device is" in done.stdout


def test_rows_are_limited(run: Run, make: Callable[..., Path]) -> None:
    first, second = (
        make("a.db", [("r", n, 0) for n in range(0x200, 0x230)]),
        make("b.db", [("r", n, 1) for n in range(0x200, 0x230)]),
    )
    assert "28 rows more; --limit shows them." in run("compare", first, second).stdout
    assert "47 rows more" in run("compare", first, second, "--limit", 1).stdout
    assert "more;" not in run("compare", first, second, "--limit", 99).stdout


def test_text_from_a_trace_reaches_no_terminal_raw(run: Run, hostile: Path, make: Callable[..., Path]) -> None:
    other = make("b.db")
    for form in ("text", "json"):
        done = run("compare", hostile, other, "--format", form)
        assert done.exit_code == 1, done.output
        assert "\x1b" not in done.output
        assert "\x7f" not in done.output
    assert ESCAPE


def test_bad_input_is_one_line(run: Run, make: Callable[..., Path], tmp_path: Path) -> None:
    done = run("compare", make("a.db"), tmp_path / "none.db")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "none.db").write_bytes(b"nothing")
    assert run("compare", make("c.db"), tmp_path / "none.db").exit_code == 2
