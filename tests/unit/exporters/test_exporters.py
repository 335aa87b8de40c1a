"""Traces in other formats."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from vmdev.replay.errors import VmdevError
from vmdev.replay.exporters import FORMATS, Choice, export
from vmdev.replay.exporters.csv import COLUMNS
from vmdev.replay.guest import PciFunction, Region
from vmdev.replay.importers import FORMATS as IMPORTERS
from vmdev.replay.importers import Hints, Import, read_lines
from vmdev.replay.selection import AddressRange
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.trace.writer import TraceWriter

ROOT = Path(__file__).parents[3]
ESCAPE = "\x1b[31m"
U64 = (1 << 64) - 1


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Ports, memory, a vmport, 64 bits, a marker, a reset, and texts that try things."""
    path = tmp_path / "boot.db"
    command = ["qemu-system-x86_64", "-M", f"pc{ESCAPE}"]
    meta = {"machine": "pc", "target": "x86_64", "clock": "virtual", "command": command}
    with TraceWriter(path, meta=meta) as writer:
        writer.add_regions(
            0, 0,
            [Region("pio", 0x71, 0x71, "rtc"), Region("mmio", 0xFEB00000, 0xFEB00FFF, "card"),
             Region("mmio", 0xFED00000, 0xFED003FF, "=hpet")],
        )  # fmt: skip
        bars = [
            {"bar": 0, "type": "memory", "address": 0xFEB00000, "size": 0x1000, "prefetch": True, "mem_type_64": True},
            {"bar": 4, "type": "io", "address": 0xC000, "size": 0x10},
        ]
        writer.add_pci_function(PciFunction(0, 3, 1, 0x8086, 0x100E, 0x0200, "nic"), bars)
        rtc = writer.add_site(address=0x71, direction="r", pc=0xFEC18, insn=b"\xe4\x71", region="rtc", string=True)
        port = writer.add_site(address=0x5658, direction="r", size=4, region="vmport")
        card = writer.add_site(
            address=0xFEB00010, direction="w", size=4, space="mmio", pc=U64 - 15, region="card", vcpu=1
        )
        hpet = writer.add_site(
            address=0xFED000F0, direction="r", size=8, space="mmio", region="=hpet", text=f'="a",{ESCAPE}\n'
        )
        writer.add_exit(500, rtc, 0x26)
        writer.add_exit(500, port, 0)
        writer.add_event("marker", detail=f"now {ESCAPE}\nhere", t_ns=600)
        writer.add_exit(1_000_000_700, card, 0x12345678)
        writer.add_event("reset", t_ns=1_000_000_700, vcpu=0)
        writer.add_exit(1_000_000_800, hpet, U64)
        writer.add_event("marker", detail="the end", t_ns=1_000_000_900)
    return path


def exported(path: Path, form: str, **choice: Any) -> tuple[list[str], int]:
    with TraceReader(path) as reader:
        exporter = FORMATS[form](reader)
        text = "".join(export(reader, exporter, Choice(**choice)))
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n"), exporter.left_out


def test_qtest_is_commands_with_notes_behind_them(trace: Path) -> None:
    lines, left_out = exported(trace, "qtest")
    note, *commands = lines
    assert note.startswith("endianness # boot.db: 4 exits; recorded by qemu-system-x86_64 -M pc\\x1b[31m; behind each")
    assert commands == [
        "clock_set 500",
        "inb 0x71 # 0x26 0 rtc",
        "endianness # marker now \\x1b[31m\\nhere",
        "clock_set 1000000700",
        "writel 0xfeb00010 0x12345678 # 2 card",
        "endianness # reset ",
        "clock_set 1000000800",
        "readq 0xfed000f0 # 0xffffffffffffffff 3 =hpet",
        "endianness # marker the end",
    ]
    assert left_out == 1


def test_qtest_of_a_trace_with_a_broken_command(tmp_path: Path) -> None:
    path = tmp_path / "trace.db"
    for command in ("no JSON", '{"a": 1}'):
        with TraceWriter(path, meta={"command": command}, overwrite=True) as writer:
            writer.add_exit(0, writer.add_site(address=0x71, direction="r"), 1)
        lines, _ = exported(path, "qtest")
        assert lines == [
            "endianness # trace.db: 1 exits; behind each access: the recorded value, the exit's number, the region",
            "inb 0x71 # 0x01 0 ",
        ]


def test_csv_has_a_row_an_exit_and_no_formulas(trace: Path) -> None:
    lines, left_out = exported(trace, "csv")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 4
    assert rows[0] == {
        "seq": "0", "t_ns": "500", "vcpu": "0", "pc": "0xfec18", "space": "pio", "direction": "r", "address": "0x71",
        "size": "1", "value": "0x26", "string": "1", "region": "rtc", "instruction": "in al, 0x71",
    }  # fmt: skip
    assert (rows[3]["value"], rows[3]["region"]) == ("0xffffffffffffffff", "'=hpet")
    assert rows[3]["instruction"] == '\'="a",\\x1b[31m'
    assert left_out == 0


def test_json_is_an_object_a_line(trace: Path) -> None:
    lines, _ = exported(trace, "json")
    first, *rest = map(json.loads, lines)
    assert (first["version"], first["trace"]["name"], first["trace"]["machine"]) == (1, "boot.db", "pc")
    assert [one.get("event", one["seq"]) for one in rest] == [0, 1, "marker", 2, "reset", 3, "marker"]
    assert rest[3] == {
        "seq": 2, "t_ns": 1_000_000_700, "value": 0x12345678, "site": 2, "vcpu": 1, "pc": U64 - 15, "space": "mmio",
        "direction": "w", "address": 0xFEB00010, "size": 4, "string": False, "region": "card", "instruction": "",
    }  # fmt: skip
    assert rest[4] == {"event": "reset", "seq": 3, "t_ns": 1_000_000_700, "vcpu": 0, "detail": ""}
    assert all(line.isascii() and line.isprintable() for line in lines)


def imported(lines: list[str], path: Path) -> TraceReader:
    with TraceWriter(path) as writer:
        data = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        found = Import(IMPORTERS["mmiotrace"](Hints()), writer).run(read_lines(data))
    assert found.malformed == 0
    assert not found.notes
    return TraceReader(path)


def memory(reader: TraceReader, first_ns: int) -> list[tuple[int, str, int, int, int, int]]:
    """What mmiotrace has a place for."""
    return [
        (t_ns - first_ns, site.direction, site.address, site.size, value & U64, site.pc)
        for rows in reader.exits()
        for _, t_ns, number, value in rows
        for site in (reader.sites[number],)
        if site.space == "mmio"
    ]


def test_mmiotrace_is_read_back_less_its_losses(trace: Path, tmp_path: Path) -> None:
    lines, left_out = exported(trace, "mmiotrace")
    assert left_out == 2
    with TraceReader(trace) as before, imported(lines, tmp_path / "back.db") as after:
        assert memory(after, 0) == memory(before, 1_000_000_700)
        assert [site.region for site in after.sites] == ["00:03.1 bar0", "map 2"]
        assert [event.detail for event in after.events() if event.kind == "marker"] == [
            "now \\x1b[31m\\nhere", "the end",
        ]  # fmt: skip
        (function,) = after.guest.functions
        assert (function.bus, function.slot, function.function, function.qdev_id) == (0, 3, 1, "nic")
        assert function.bars == before.guest.functions[0].bars


@pytest.mark.parametrize("name", ["seabios-pc", "linux-microvm"])
def test_mmiotrace_of_a_golden_trace_is_read_back(name: str, tmp_path: Path) -> None:
    path = ROOT / "traces" / f"{name}.db"
    lines, left_out = exported(path, "mmiotrace")
    with TraceReader(path) as before, imported(lines, tmp_path / "back.db") as after:
        wanted = memory(before, 0)
        assert memory(after, -wanted[0][0]) == wanted
        assert left_out == before.exit_count - len(wanted)


@pytest.mark.parametrize(
    ("choice", "seqs"),
    [
        ({"regions": ("card", "rtc")}, [0, 2]),
        ({"addresses": (AddressRange("pio", 0x70, 0x80), AddressRange("", 0xFEB00013, 0xFEB00013))}, [0, 2]),
        ({"addresses": (AddressRange("mmio", 0x70, 0x80),)}, []),
        ({"seqs": (1, 2)}, [1, "marker", 2]),
        ({"seqs": (3, None)}, ["reset", 3, "marker"]),
        ({"times_ns": (None, 600)}, [0, 1, "marker"]),
        ({"times_ns": (1_000_000_701, None)}, [3, "marker"]),
    ],
)
def test_what_is_chosen(trace: Path, choice: dict[str, Any], seqs: list[object]) -> None:
    lines, _ = exported(trace, "json", **choice)
    found = [one.get("event", one["seq"]) for one in map(json.loads, lines[1:])]
    if "regions" in choice or "addresses" in choice:  # they choose among accesses
        found = [one for one in found if isinstance(one, int)]
    assert found == seqs


def test_a_region_that_is_not_there_is_an_error(trace: Path) -> None:
    with pytest.raises(VmdevError, match="no region 'uart'; accessed were: =hpet, card, rtc, vmport"):
        exported(trace, "csv", regions=("uart",))


@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_the_trace(form: str, tmp_path: Path) -> None:
    def peak(exits: int) -> int:
        path = tmp_path / f"{exits}.db"
        with TraceWriter(path) as writer:
            site = writer.add_site(address=0xFEB00000, direction="r", size=4, space="mmio")
            for number in range(exits):
                writer.add_exit(number, site, number)
        with TraceReader(path) as reader:
            tracemalloc.start()
            assert sum(map(len, export(reader, FORMATS[form](reader), Choice()))) > 10 * exits
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found

    assert peak(140_000) < 1.5 * peak(70_000)
