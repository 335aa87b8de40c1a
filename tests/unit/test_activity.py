"""How busy devices were: parts of the recording, and registers."""

from __future__ import annotations

import pytest

from vmdev.replay.activity import COLUMNS, NOBODY, Activity
from vmdev.replay.clock import Clock
from vmdev.replay.device import Device
from vmdev.replay.devices.uart16550 import Uart16550
from vmdev.replay.trace.rows import KIND_WRITE, Access, PackedSite

UART = Uart16550.alone(Clock())
OWNERS: dict[int, tuple[str, Device | None, int]] = {0: ("com1", UART, 2), 1: ("com1", UART, 2), 2: ("com1", UART, 0)}


READS: PackedSite = (0x3F8, 1, 0, None)
WRITES: PackedSite = (0x3F8, 1 | KIND_WRITE, 0, None)
SITES = (READS, WRITES, READS, WRITES)


def rows_of(*numbers: int, first: int = 0) -> list[Access]:
    return [(10 * seq, number, 0) for seq, number in enumerate(numbers, first)]


def activity(exits: int, first: int = 0) -> Activity:
    return Activity(SITES, first, exits, OWNERS.get)


def test_reads_and_writes_of_an_offset_are_counted_under_both_names() -> None:
    seen = activity(4)
    seen(0, rows_of(0, 0, 1, 2))
    registers = seen.devices["com1"].registers
    assert (registers[2].names, registers[2].reads, registers[2].writes) == (["IIR", "FCR"], 2, 1)
    assert (registers[0].names, registers[0].reads, registers[0].writes) == ([], 1, 0), "depends on DLAB"


def test_what_nobody_claims_has_a_lane_but_no_registers() -> None:
    seen = activity(2)
    seen(0, rows_of(3, 0))
    assert seen.devices[NOBODY].exits == [1, 0]
    assert seen.devices[NOBODY].registers == {}


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("exits", [1, COLUMNS, COLUMNS + 1, 1000])
def test_each_exit_is_in_one_part_whatever_the_chunks(exits: int, chunk: int) -> None:
    seen = activity(exits, first=50)
    rows = rows_of(*[0] * exits, first=50)
    for start in range(0, exits, chunk):
        seen(50 + start, rows[start : start + chunk])
    parts = seen.devices["com1"].exits
    assert sum(parts) == exits
    assert len(parts) == len(seen.times_ns) <= COLUMNS
    assert set(parts[:-1]) <= {seen.length}
    assert seen.times_ns == [10 * (50 + column * seen.length) for column in range(len(parts))]
    assert seen.column(50 + exits - 1) == len(parts) - 1
