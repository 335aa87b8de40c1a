"""``vmdev minimize`` and ``vmdev reproduce``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from vmdev.replay.guest import Region
from vmdev.replay.trace import TraceReader, TraceWriter

Run = Callable[..., Result]

INDEX, DATA, PORT92 = 0x70, 0x71, 0x92
META = {"machine": "pc", "target": "x86_64", "interrupts": 1, "interrupts_seen": 1, "end_reason": "guest"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def trace(here: Path) -> Path:
    """Alarms of the RTC are written and read; the last read is wrong. Among them, another device."""
    path = here / "boot.db"
    with TraceWriter(path, meta=META) as writer:
        ports = [Region("pio", INDEX, INDEX, "rtc-index"), Region("pio", INDEX, DATA, "rtc")]
        ports.append(Region("pio", PORT92, PORT92, "port92"))
        writer.add_regions(0, 0, ports)
        writer.add_regions(1, 3, ports)
        writer.add_event("reset", vcpu=0)
        index = writer.add_site(address=INDEX, direction="w", insn=b"\xe6\x70")
        store = writer.add_site(address=DATA, direction="w", region="rtc")
        load = writer.add_site(address=DATA, direction="r", region="rtc")
        port92 = writer.add_site(address=PORT92, direction="r")
        accesses = [(index, 1), (store, 0x12), (port92, 0), (index, 3), (store, 0x34), (index, 1), (load, 0x12)]
        accesses += [(port92, 0), (index, 3), (load, 0x34), (index, 1), (load, 0x13)]
        for seq, (site, value) in enumerate(accesses):
            if seq == 3:
                writer.add_event("marker", "here", vcpu=None)
                writer.add_interrupt(2_500, 0, 1, 2)
            writer.add_exit(1_000 * seq, site, value)
    return path


def pasted(text: str) -> Callable[[], None]:
    namespace: dict[str, Any] = {"__name__": "pasted"}
    exec(compile(text, "pasted", "exec"), namespace)
    (test,) = [value for name, value in namespace.items() if name.startswith("test_")]
    found: Callable[[], None] = test
    return found


def test_what_is_left_is_a_trace_with_the_same_root(run: Run, trace: Path) -> None:
    done = run("minimize", trace)
    assert done.exit_code == 0, done.output
    small = trace.with_name("boot.min.db")
    assert "of 12 show rtc.Seconds Alarm, seq 11" in done.stdout
    assert run("info", "--check", small).exit_code == 0
    with TraceReader(small) as reader:
        rows = [(t_ns, reader.site(site).address, value) for chunk in reader.exits() for _, t_ns, site, value in chunk]
        assert json.loads(str(reader.meta["minimized"])) == {
            "name": "boot.db", "exits": 12, "seq": 11, "device": "rtc", "register": "Seconds Alarm",
        }  # fmt: skip
        assert "end_reason" not in reader.meta
        assert [event.kind for event in reader.events()] == ["reset"]
        assert len(reader.regions) == 6
    assert rows[-2:] == [(10_000, INDEX, 1), (11_000, DATA, 0x13)]
    assert (1_000, DATA, 0x12) in rows, "what was written"
    assert PORT92 not in [address for _, address, _ in rows]
    whole, part = (json.loads(run("replay", each, "--format", "json").stdout) for each in (trace, small))
    for key in ("device", "register", "hw", "model", "cause", "fields"):
        assert part["divergences"][0][key] == whole["divergences"][0][key]


def test_output_is_not_overwritten_unless_asked(run: Run, trace: Path) -> None:
    assert run("minimize", trace, "-o", "small.db").exit_code == 0
    assert run("minimize", trace, "-o", "small.db").exit_code == 2
    assert run("minimize", trace, "-o", "small.db", "--force").exit_code == 0
    assert run("minimize", trace, "-o", trace, "--force").exit_code == 2


@pytest.mark.parametrize("command", ["minimize", "reproduce"])
def test_where_nothing_diverges_nothing_is_left(run: Run, trace: Path, command: str) -> None:
    done = run(command, trace, "--device", "port92")
    assert done.exit_code == 1
    assert "nothing diverges" in done.output
    assert not trace.with_name("boot.min.db").exists()


def test_bounds_choose_a_divergence(run: Run, trace: Path) -> None:
    assert run("minimize", trace, "--seq", "11:", "-o", "small.db").exit_code == 0
    assert run("minimize", trace, "--seq", ":10", "-o", "other.db").exit_code == 1


def test_when_the_time_is_up_the_best_so_far_is_written(run: Run, trace: Path) -> None:
    done = run("minimize", trace, "--time-limit", "0")
    assert done.exit_code == 0
    assert "time limit" in done.stderr
    assert run("replay", trace.with_name("boot.min.db")).exit_code == 1


def test_a_test_fails_as_the_replay_does(run: Run, trace: Path) -> None:
    done = run("reproduce", trace)
    assert done.exit_code == 0, done.output
    assert "# Seconds Alarm" in done.stdout
    with pytest.raises(AssertionError, match=r"rtc\.Seconds Alarm: hw=0x13 model=0x12"):
        pasted(done.stdout)()


BROKEN = """
from vmdev.replay.device import Device
from vmdev.replay.registers import Register, RegisterMap


class Port(Device):
    registers = RegisterMap(Register("PORTA", "System control port A", 0, "rw"))

    def __init__(self, {parameters}):
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


@pytest.mark.parametrize(
    ("module", "parameters", "read", "raised", "expected"),
    [
        ("port_a", "", "return 1", AssertionError, "Port()"),
        ("port_b", "clock, irq", "raise ValueError('no')", ValueError, "Port(clock, Line())"),
        ("port_c", "board", "return 1", AssertionError, "Replacement(make(Port, GUEST))"),
        ("port_d", "clock", "return None", AssertionError, "Port(clock)"),
    ],
)
def test_models_of_a_users_own(
    run: Run, trace: Path, module: str, parameters: str, read: str, raised: type[Exception], expected: str
) -> None:
    source = BROKEN.format(parameters=parameters, read=read)
    Path(f"{module}.py").write_text(source)
    done = run("reproduce", trace, "--device", f"port92={module}:Port", "--seq", ":5")
    assert done.exit_code == 0, done.output
    assert expected in done.stdout
    test = pasted(done.stdout)
    with pytest.raises(raised):
        test()
    mended = BROKEN.format(parameters=parameters, read="return 0")
    exec(compile(mended, "mended", "exec"), vars(sys.modules[module]))
    pasted(done.stdout)()


def test_a_model_at_a_place_of_its_own(run: Run, trace: Path) -> None:
    Path("port_e.py").write_text(BROKEN.format(parameters="guest", read="return 1"))
    done = run("reproduce", trace, "--device", "mine=port_e:Port@pio:0x92", "--seq", ":5")
    assert done.exit_code == 0, done.output
    assert "pio=(Placement(0x92, 1),)" in done.stdout
    assert "cannot be built alone" in done.stderr


def test_a_board_of_a_users_own(run: Run, trace: Path) -> None:
    Path("port_f.py").write_text(BROKEN.format(parameters="guest", read="return 1"))
    Path("my_board.py").write_text(
        "from port_f import Port\nfrom vmdev.replay.machines import Board\n\n\n"
        "def board(guest):\n    made = Board('mine')\n    made.add('port', Port(guest), pio=[(0x92, 1)])\n"
        "    return made\n"
    )
    done = run("reproduce", trace, "--board", "my_board.py")
    assert done.exit_code == 0, done.output
    assert "load_board(Path('my_board.py'), GUEST)" in done.stdout
    with pytest.raises(AssertionError, match="hw=0x0 model=0x1"):
        pasted(done.stdout)()


def test_a_contract_is_no_matter_for_single_accesses(run: Run, trace: Path) -> None:
    Path("some.toml").write_text(
        '[[contract]]\ndevice = "rtc"\nregister = "Seconds Alarm"\nrule = "mask"\nbits = 0x80\nreason = "so"\n'
    )
    done = run("reproduce", trace, "--contracts", "some.toml")
    assert done.exit_code == 2, done.output
    assert "contract" in done.stderr
