"""Lines as QEMU writes them for memory_region_ops_*."""

from __future__ import annotations

import pytest

from logs import Importing
from vmdev.replay.guest import Region
from vmdev.replay.importers import Hints
from vmdev.replay.importers.importing import NARROWED, UNTIMED
from vmdev.replay.importers.qemu_log import NOT_A_CPU, REFUSED

READ = "memory_region_ops_read cpu 0 mr 0x55db2d764f90 addr 0x71 value 0x26 size 1 name 'rtc'\n"
WRITE = "memory_region_ops_write cpu 1 mr 0x55db2d7650a0 addr 0xfee000b0 value 0x8f size 4 name 'apic-msi'\n"


def test_accesses_have_direction_address_size_value_cpu_and_region(imported: Importing) -> None:
    result = imported("qemu", READ + WRITE)
    assert result.rows == [("r", 0x71, 1, 0x26), ("w", 0xFEE000B0, 4, 0x8F)]
    assert [(site.vcpu, site.region) for site in result.reader.sites] == [(0, "rtc"), (1, "apic-msi")]
    assert result.reader.meta["smp"] == 2


def test_without_a_map_low_addresses_of_x86_are_ports(imported: Importing) -> None:
    assert [site.space for site in imported("qemu", READ + WRITE).reader.sites] == ["pio", "mmio"]
    assert [site.space for site in imported("qemu", READ, Hints("aarch64")).reader.sites] == ["mmio"]


def test_a_map_tells_the_space_and_the_address_of_an_alias(imported: Importing) -> None:
    regions = (Region("mmio", 0x70, 0x7F, "rtc"), Region("pio", 0xC100, 0xC1FF, "card", offset=0x10))
    lines = READ + READ.replace("0x71", "0x18").replace("'rtc'", "'card'")
    result = imported("qemu", lines, Hints(regions=regions))
    assert [(site.space, site.address) for site in result.reader.sites] == [("mmio", 0x71), ("pio", 0xC108)]
    assert "no times" in result.found.losses


def test_time_stamps_are_times_since_the_first_access(imported: Importing) -> None:
    result = imported("qemu", f"4711@1763500000.000005:{READ}4711@1763500001.5:x\n4711@1763500002.000006:{WRITE}")
    assert [row[1] for row in next(result.reader.exits())] == [0, 2_000_001_000]
    assert result.reader.meta["clock"] == "host"
    assert "no times" not in result.found.losses


def test_iso_time_stamps_are_times_too(imported: Importing) -> None:
    result = imported("qemu", f"2025-11-18T21:06:40.000005Z {READ}2025-11-18T21:06:42.000006Z {WRITE}")
    assert [row[1] for row in next(result.reader.exits())] == [0, 2_000_001_000]


def test_without_time_stamps_there_is_only_an_order(imported: Importing) -> None:
    result = imported("qemu", READ * 3)
    assert [row[1] for row in next(result.reader.exits())] == [1000, 2000, 3000]
    assert result.reader.meta["clock"] == "none"
    assert "no times" in result.found.losses


def test_a_line_without_time_among_timed_ones_is_counted(imported: Importing) -> None:
    assert imported("qemu", f"1@5.000000:{READ}{READ}").found.notes == {UNTIMED: 1}


def test_old_qemus_do_not_name_regions(imported: Importing) -> None:
    result = imported("qemu", READ.replace(" name 'rtc'", ""))
    assert result.rows == [("r", 0x71, 1, 0x26)]
    assert any("old QEMU" in loss for loss in result.found.losses)


def test_a_region_without_a_name_has_none(imported: Importing) -> None:
    assert imported("qemu", READ.replace("rtc", "(null)")).reader.sites[0].region == ""


def test_accesses_of_no_cpu_are_counted(imported: Importing) -> None:
    result = imported("qemu", READ + WRITE.replace("cpu 1", "cpu -1"))
    assert result.found.notes == {NOT_A_CPU: 1}
    assert len(result.rows) == 1


def test_refused_accesses_are_events(imported: Importing) -> None:
    line = "Invalid read at addr 0x2, size 1, region '(null)', reason: rejected"
    result = imported("qemu", f"{READ}{line}\n{READ}")
    assert result.events == [("invalid-access", line)]
    assert result.event("invalid-access").seq == 1
    assert result.found.notes == {REFUSED: 1}


def test_values_wider_than_the_access_are_cut_and_counted(imported: Importing) -> None:
    result = imported("qemu", READ.replace("0x26", "0xffffffffffffff26"))
    assert result.rows == [("r", 0x71, 1, 0x26)]
    assert result.found.notes == {NARROWED: 1}


def test_other_lines_are_counted(imported: Importing) -> None:
    result = imported("qemu", f"{READ}memory_region_subpage_read cpu 0 x\nhello\n\n")
    assert (result.found.other_lines, result.found.malformed) == (3, 0)


@pytest.mark.parametrize(
    "line",
    [
        READ.replace("size 1", "size 9"),
        READ.replace("size 1", "size 0"),
        READ.replace("cpu 0", "cpu 4096"),
        READ.replace("0x71", "0x11112222333344445"),
        READ.replace("value 0x26", "value 26"),
        READ[:40],
        f"2025-13-41T21:06:40.000005Z {READ}",
        f"1@9999999999.000005:{READ}",
    ],
)
def test_malformed_lines_are_told_with_their_numbers(imported: Importing, line: str) -> None:
    result = imported("qemu", f"{READ}{line.rstrip()}\n{READ}")
    assert result.found.malformed == 1
    assert result.found.first_malformed[0].number == 2
    assert len(result.rows) == 2
