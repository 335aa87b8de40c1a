"""Every kind of record of Linux's Documentation/trace/mmiotrace.rst."""

from __future__ import annotations

import pytest

from logs import Importing
from vmdev.replay.importers.importing import BACK
from vmdev.replay.importers.mmiotrace import LOST, UNKNOWN_OPCODE

HEADER = (
    "VERSION 20070824\n"
    "LSPCI 01:00.0 VGA compatible controller: A card\n"
    "PCIDEV 0100 10de0393 10 f4000000 e000000c 0 f5000004 0 d001 0 "
    "1000000 10000000 0 1000000 0 80 20000 nouveau\n"
)
MAP = "MAP 12.500000 1 0xf5000000 0xffffc90000100000 0x1000000 0xffffffffa0001234 0\n"
READ = "R 4 12.500010 1 0xf5000140 0xdeadbeef 0xffffffffa0001250 0\n"
WRITE = "W 2 12.500020 1 0xf5000144 0x1234 0x0 0\n"


def test_the_documented_records(imported: Importing) -> None:
    log = (
        f"{HEADER}{MAP}{READ}{WRITE}"
        "MARK 12.500030 now in X\n"
        "UNKNOWN 12.500040 1 0xf5000148 0f,ae,38 0xffffffffa0001260 0\n"
        "MARK 0.000000 Lost 17 events.\n"
        "UNMAP 12.500050 1 0x0 0\n"
    )
    result = imported("mmiotrace", log)
    assert result.found.malformed == 0
    assert result.rows == [("r", 0xF5000140, 4, 0xDEADBEEF), ("w", 0xF5000144, 2, 0x1234)]
    assert [kind for kind, _ in result.events] == ["lspci", "map", "marker", "unknown-opcode", "lost", "unmap"]
    assert result.event("marker").detail == "now in X"
    assert result.event("unknown-opcode").detail == "pc 0xffffffffa0001260 address 0xf5000148 opcode 0f,ae,38"
    assert result.found.notes == {LOST: 17, UNKNOWN_OPCODE: 1}


def test_accesses_have_times_and_pcs(imported: Importing) -> None:
    result = imported("mmiotrace", HEADER + MAP + READ + WRITE)
    assert [row[1] for row in next(result.reader.exits())] == [0, 10_000]
    assert [site.pc for site in result.reader.sites] == [0xFFFFFFFFA0001250, 0]
    assert result.reader.meta["clock"] == "host"
    assert any(loss.startswith("PC not recorded") for loss in result.found.losses)


def test_pcidev_gives_functions_and_the_places_of_their_bars(imported: Importing) -> None:
    result = imported("mmiotrace", HEADER + MAP + READ)
    (function,) = result.reader.guest.functions
    assert (function.bus, function.slot, function.vendor_id, function.device_id) == (1, 0, 0x10DE, 0x0393)
    bars = [(bar.number, bar.address, bar.size, bar.is_io, bar.is_64, bar.prefetch) for bar in function.bars]
    assert bars == [
        (0, 0xF4000000, 0x1000000, False, False, False),
        (1, 0xE0000000, 0x10000000, False, True, True),
        (3, 0xF5000000, 0x1000000, False, True, False),
        (5, 0xD000, 0x80, True, False, False),
    ]
    assert result.reader.sites[0].region == "01:00.0 bar3"
    assert ("pio", 0xD000, 0xD07F) in {(r.space, r.first, r.last) for r in result.reader.regions}


def test_what_no_bar_holds_is_named_by_its_mapping(imported: Importing) -> None:
    result = imported("mmiotrace", "VERSION 20070824\n" + MAP + READ)
    assert result.reader.sites[0].region == "map 1"
    assert [(r.first, r.last, r.name) for r in result.reader.regions] == [(0xF5000000, 0xF5FFFFFF, "map 1")]


def test_times_of_several_cpus_may_go_back(imported: Importing) -> None:
    result = imported("mmiotrace", READ + WRITE.replace("12.500020", "12.400000"))
    assert result.found.notes == {BACK: 1}
    assert [row[1] for row in next(result.reader.exits())] == [0, 0]


def test_comments_and_empty_lines_are_no_records(imported: Importing) -> None:
    assert imported("mmiotrace", f"# tracer: mmiotrace\n\n{READ}").found.other_lines == 2


@pytest.mark.parametrize(
    "line",
    [
        "VERSION 20380119",
        "R 4 12.5",
        READ.replace("R 4", "R 9"),
        READ.replace("0xdeadbeef", "deadbeef"),
        "R",
        MAP.replace("0x1000000 ", "0x0 "),
        MAP.replace("0xf5000000", "0xfffffffffffffff0"),
        "UNMAP x",
        "MARK",
        "PCIDEV 0100",
        "UNKNOWN 1.0",
        "FROB 1",
        READ.replace("12.500010", "9999999999.5"),
    ],
)
def test_malformed_lines_are_told_with_their_numbers(imported: Importing, line: str) -> None:
    result = imported("mmiotrace", f"{READ}{line.rstrip()}\n{READ}")
    assert [bad.number for bad in result.found.first_malformed] == [2]
    assert len(result.rows) == 2
