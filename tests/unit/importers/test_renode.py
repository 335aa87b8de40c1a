"""Lines as Renode logs accesses to peripherals."""

from __future__ import annotations

import pytest

from logs import Importing
from vmdev.replay.importers import Hints

READ = "16:23:57.2345 [INFO] uart0: [cpu: 0x8000ABCD] ReadUInt32 from 0x4 (Status), returned 0x80.\n"
WRITE = "16:23:57.2350 [INFO] uart0: [cpu: 0x8000ABD4] WriteByte to 0x0 (Data), value 0x41.\n"


def test_reads_and_writes(imported: Importing) -> None:
    result = imported("renode", READ + WRITE, Hints(places={"uart0": 0x40011000}))
    assert result.rows == [("r", 0x40011004, 4, 0x80), ("w", 0x40011000, 1, 0x41)]
    assert [(site.pc, site.region) for site in result.reader.sites] == [(0x8000ABCD, "uart0"), (0x8000ABD4, "uart0")]
    assert [row[1] for row in next(result.reader.exits())] == [0, 500_000]
    assert [(r.first, r.last) for r in result.reader.regions] == [(0x40011000, 0x40011FFF)]


@pytest.mark.parametrize(
    ("name", "size"),
    [("Byte", 1), ("UInt16", 2), ("Word", 2), ("UInt32", 4), ("DoubleWord", 4), ("UInt64", 8), ("QuadWord", 8)],
)
def test_names_of_widths_of_old_and_new_renodes(imported: Importing, name: str, size: int) -> None:
    assert imported("renode", READ.replace("UInt32", name)).rows[0][2] == size


def test_addresses_of_peripherals_without_a_place_are_made_up(imported: Importing) -> None:
    result = imported("renode", READ + READ.replace("uart0", "machine-0/spi"))
    assert [address >> 32 for _, address, _, _ in result.rows] == [1, 2]
    assert any("addresses of 2 peripherals are made up" in loss for loss in result.found.losses)


def test_a_line_may_stand_for_several_accesses(imported: Importing) -> None:
    assert len(imported("renode", READ.replace("0x80.", "0x80. (3)")).rows) == 3


def test_cpu_register_and_time_may_be_missing(imported: Importing) -> None:
    result = imported("renode", "[INFO] uart0: ReadUInt32 from 0x4, returned 0x80\n")
    assert result.rows[0][2:] == (4, 0x80)
    assert {"no PC of some accesses", "no times"} <= set(result.found.losses)


def test_cpus_are_numbered_by_their_names(imported: Importing) -> None:
    result = imported("renode", READ + READ.replace("[cpu:", "[cpu1:"))
    assert [site.vcpu for site in result.reader.sites] == [0, 1]


def test_midnight_passes(imported: Importing) -> None:
    result = imported(
        "renode", READ.replace("16:23:57.2345", "23:59:59.0") + READ.replace("16:23:57.2345", "00:00:01.0")
    )
    assert [row[1] for row in next(result.reader.exits())] == [0, 2_000_000_000]


def test_other_lines_are_counted(imported: Importing) -> None:
    other = "16:23:57.0000 [WARNING] sysbus: ReadByte from non existing peripheral at 0x4.\n"
    assert imported("renode", READ + other).found.other_lines == 1


@pytest.mark.parametrize(
    "line",
    [
        READ.replace("returned", "value"),
        READ.replace("from", "to"),
        READ.replace("0x80.", "0x."),
        READ.replace("0x4 ", "0x100000000 "),
        READ.replace("0x80.", "0x80. (99999)"),
        READ.replace("[INFO]", "INFO"),
        READ.replace("0x80.", "0x80. and more"),
    ],
)
def test_malformed_lines_are_told_with_their_numbers(imported: Importing, line: str) -> None:
    result = imported("renode", f"{READ}{line.rstrip()}\n{READ}")
    assert [bad.number for bad in result.found.first_malformed] == [2]
    assert len(result.rows) == 2
