"""``vmdev scaffold``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from vmdev.replay.guest import Region
from vmdev.replay.scaffolding import observation
from vmdev.replay.trace import TraceWriter

Run = Callable[..., Result]

UART, OTHER = 0x0900_0000, 0x0A00_0000

SVD = """<device><peripherals><peripheral><name>UART0</name><registers>
<register><name>DR</name><description>Data</description><addressOffset>0</addressOffset></register>
<register><name>FR</name><description>Flags</description><addressOffset>0x18</addressOffset><access>read-only</access>
<resetValue>0x90</resetValue>
<fields><field><name>TXFE</name><bitOffset>7</bitOffset><bitWidth>1</bitWidth></field></fields></register>
</registers></peripheral></peripherals></device>"""

RDL = """addrmap uart { default regwidth = 32;
reg { field { sw = rw; } DATA[7:0]; } DR @ 0x0;
reg { field { sw = r; reset = 1; } TXFE[7:7]; } FR @ 0x18; };"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def virt(here: Path) -> Path:
    """A guest of a machine that vmdev does not know: a UART at two places, and a region whose name is no good."""
    path = here / "virt.db"
    with TraceWriter(path, meta={"machine": "virt", "target": "aarch64"}) as writer:
        regions = [
            Region("mmio", UART, UART + 0xFFF, "pl011"),
            Region("mmio", UART + 0x1000, UART + 0x1FFF, "pl011"),
            Region("mmio", OTHER, OTHER + 0xFF, "odd \x1b[31m"),
            Region("mmio", OTHER + 0x1000, OTHER + 0x10FF, "idle"),
        ]
        writer.add_regions(0, 0, regions)
        data = writer.add_site(address=UART, direction="w", size=4, space="mmio", region="pl011")
        flags = writer.add_site(address=UART + 0x18, direction="r", size=4, space="mmio", region="pl011")
        second = writer.add_site(address=UART + 0x1018, direction="r", size=4, space="mmio", region="pl011")
        odd = writer.add_site(address=OTHER, direction="r", size=4, space="mmio", region="odd \x1b[31m")
        for number in range(20):
            writer.add_exit(1_000 * number, flags, 0x90)
            writer.add_exit(1_000 * number, data, number)
        writer.add_exit(30_000, second, 0x91)
        writer.add_exit(31_000, odd, 1)
    return path


@pytest.fixture
def port92(here: Path) -> Path:
    path = here / "boot.db"
    with TraceWriter(path, meta={"machine": "isapc", "target": "x86_64"}) as writer:
        writer.add_regions(0, 0, [Region("pio", 0x92, 0x92, "port92")])
        read = writer.add_site(address=0x92, direction="r", region="port92")
        write = writer.add_site(address=0x92, direction="w", region="port92")
        for number in (0, 2, 3, 2):
            writer.add_exit(number, write, number)
            writer.add_exit(number, read, number)
    return path


def test_a_model_is_printed(run: Run, port92: Path) -> None:
    done = run("scaffold", port92, "--device", "port92")
    assert done.exit_code == 0, done.output
    assert "class Port92(Device):" in done.stdout
    ast.parse(done.stdout)
    assert "port92: 1 register; 4 of 4 reads have a rule." in done.stderr
    assert "--device port92=port92_model:Port92" in done.stderr


def test_a_model_is_written_and_can_be_replayed_into_at_once(run: Run, port92: Path) -> None:
    done = run("scaffold", port92, "--device", "port92", "-o", "my_port.py", "--test", "test_my_port.py")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith("boot.db --device port92 --device port92=my_port:Port92")
    verdict = run("replay", port92, "--device", "port92=my_port:Port92")
    assert verdict.exit_code == 0, verdict.output
    assert "4 of 4 checked reads match" in verdict.stdout
    test = Path("test_my_port.py").read_text()
    assert "verdict.totals.matched >= 4" in test
    assert '"port92=my_port:Port92"' in test


def test_a_region_of_a_machine_that_is_not_known(run: Run, virt: Path) -> None:
    done = run("scaffold", virt, "--device", "pl011", "-o", "my_uart.py")
    assert done.exit_code == 0, done.output
    assert "Note: pl011 is at mmio 0x9000000-0x9000fff, where it was accessed most, and at" in done.stdout
    option = "pl011=my_uart:Pl011@mmio:0x9000000-0x9000fff"
    assert done.stdout.rstrip().endswith(option)
    verdict = run("replay", virt, "--device", "pl011", "--device", option)
    assert verdict.exit_code == 0, verdict.output
    assert "20 of 20 checked reads match" in verdict.stdout


def test_a_range_of_addresses(run: Run, virt: Path) -> None:
    done = run("scaffold", virt, "--address", "0x9001000+0x1000", "--device", "second", "-o", "second.py")
    assert done.exit_code == 0, done.output
    assert "second: 1 register; 1 of 1 reads have a rule." in done.stdout
    assert "class Second(Device)" in Path("second.py").read_text()
    named = run("scaffold", virt, "--address", "mmio:0x9001000+0x1000")
    assert "class Mmio9001000(Device)" in named.stdout


def test_ports_are_ports(run: Run, port92: Path) -> None:
    done = run("scaffold", port92, "--address", "0x92")
    assert "(pio 0x92)" in done.stdout
    assert "--device pio-92=pio_92_model:Pio92@pio:0x92-0x92" in done.stderr


def test_names_of_a_recording_do_not_reach_the_terminal(run: Run, virt: Path) -> None:
    done = run("scaffold", virt, "--device", "odd \x1b[31m")
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    ast.parse(done.stdout)


@pytest.mark.parametrize(("option", "text"), [("--svd", SVD), ("--rdl", RDL)])
def test_descriptions_give_names_that_reports_show(run: Run, virt: Path, option: str, text: str) -> None:
    pytest.importorskip("svd2py")
    pytest.importorskip("systemrdl")
    Path("uart.txt").write_text(text)
    peripheral = ["--peripheral", "UART0"] if option == "--svd" else []
    module = f"my{option.replace('-', '_')}"
    arguments = ["--device", "pl011", option, "uart.txt", *peripheral, "-o", f"{module}.py"]
    done = run("scaffold", virt, *arguments)
    assert done.exit_code == 0, done.output
    source = Path(f"{module}.py")
    text = source.read_text()
    assert 'Field("TXFE", 7, 7)' in text
    assert "uart.txt" in text
    source.write_text(text.replace("reset=0x00000090", "reset=0x00000010"))
    verdict = run("replay", virt, "--device", f"pl011={module}:Pl011@mmio:0x9000000+0x1000")
    assert verdict.exit_code == 1
    assert "pl011.FR" in verdict.stdout
    assert "TXFE  hw=1 model=0" in verdict.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say which device"),
        (("--device", "nothing"), "no device or region 'nothing'; there are odd"),
        (("--device", "idle"), "did not access idle"),
        (("--address", "0x1234"), "did not access"),
        (("--device", "pl011", "--svd", "a", "--rdl", "b"), "exclude each other"),
        (("--device", "pl011", "--svd", "a"), "needs --peripheral"),
        (("--device", "pl011", "--peripheral", "a"), "goes with --svd or --rdl"),
        (("--device", "pl011", "--svd", "missing.svd", "--peripheral", "A"), "missing.svd"),
        (("--device", "pl011", "--rdl", "missing.rdl"), "missing.rdl"),
        (("--device", "pl011", "-o", "my-uart.py"), "no name of a Python module"),
        (("--device", "pl011", "-o", "there.py"), "exists"),
        (("--device", "pl011", "--test", "there.py"), "exists"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(run: Run, virt: Path, arguments: tuple[str, ...], said: str) -> None:
    Path("there.py").write_text("mine")
    done = run("scaffold", virt, *arguments)
    assert done.exit_code == 2
    assert said in done.stderr.splitlines()[-1]
    assert "\x1b" not in done.stderr
    assert Path("there.py").read_text() == "mine"


def test_files_are_overwritten_when_asked(run: Run, virt: Path) -> None:
    Path("there.py").write_text("mine")
    assert run("scaffold", virt, "--device", "pl011", "-o", "there.py", "--force").exit_code == 0
    assert "class Pl011" in Path("there.py").read_text()


def test_no_more_accesses_are_looked_at_than_there_is_room_for(
    run: Run, virt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "MOST_ACCESSES", 10)
    done = run("scaffold", virt, "--device", "pl011")
    assert "Note: only the first 10 of 40 accesses are looked at" in done.stderr
    assert "10 accesses, the first of 40" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("option", "module"), [("--svd", "svd2py"), ("--rdl", "systemrdl.compiler")])
def test_without_the_library_it_is_named(
    run: Run, virt: Path, monkeypatch: pytest.MonkeyPatch, option: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    Path("uart.txt").write_text(SVD)
    done = run("scaffold", virt, "--device", "pl011", option, "uart.txt", "--peripheral", "UART0")
    assert done.exit_code == 2
    assert "pip install 'vmdev[registers]'" in done.stderr
