"""Where accesses go: looked up once, and again only where a registration changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vmdev.replay.bus import MmioAddress, MmioRange
from vmdev.replay.device import Device
from vmdev.replay.judging.watched import Watched
from vmdev.replay.machines.board import Board
from vmdev.replay.registers import RegisterMap
from vmdev.replay.routes import Routes
from vmdev.replay.trace.rows import KIND_MMIO, KIND_WRITE, PackedSite

READ, WRITE = KIND_MMIO | 4, KIND_MMIO | KIND_WRITE | 4


class Counting(Device):
    """Counts how often it is asked for a way to make an access."""

    title = "Counting"
    registers = RegisterMap()
    width = 4

    def __init__(self) -> None:
        self.asked = 0

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        self.asked += 1
        return lambda: offset

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        self.asked += 1
        return lambda value: None


class Setup:
    """Two devices of 4 KiB each, and what routes sites to them."""

    def __init__(self, sites: list[PackedSite]) -> None:
        self.board = Board("toy")
        self.still = self.board.add("still", Counting(), mmio=[(0x10000, 0x1000)])
        self.moving = self.board.add("moving", Counting(), mmio=[(0x20000, 0x1000)])
        self.watched = {id(device): Watched(name, device, True) for name, device in self.board.devices.items()}
        self.sites = sites
        self.routes = Routes(
            self.board.io, sites, {7: "hole"}, lambda device: self.watched[id(device)], lambda *_: pytest.fail("asked")
        )

    def make(self, number: int) -> Any:
        """An access of a site, as the replayer's loop makes it; the answer, or None."""
        routes = self.routes
        routes.counts[number] += 1
        if routes.readers[number] is None and routes.writers[number] is None:
            routes.find(number)
        read, write = routes.readers[number], routes.writers[number]
        if read is not None:
            return read()
        assert write is not None
        return write(0)

    def exits(self, device: Device) -> int:
        return self.watched[id(device)].verdict.tally.exits

    def move(self, old: int, new: int) -> None:
        with self.board.io.batch():
            self.board.io.deregister_mmio(MmioAddress(old))
            self.board.io.register_mmio(MmioRange(MmioAddress(new), 0x1000), self.moving)


def test_a_site_is_looked_up_once() -> None:
    setup = Setup([(0x10008, READ, 0, None)])
    assert [setup.make(0) for _ in range(3)] == [8, 8, 8]
    assert setup.still.asked == 1


def test_a_device_that_moves_costs_only_the_sites_that_reach_it() -> None:
    count = 500
    setup = Setup([*((0x10000 + 4 * n, WRITE, 0, None) for n in range(count)), (0x20000, READ, 0, None)])
    for number in range(count + 1):
        setup.make(number)
    at = 0x20000
    for step in range(1, 101):
        setup.move(at, 0x20000 + 0x1000 * step)
        at = 0x20000 + 0x1000 * step
        for number in range(count):
            setup.make(number)
    assert setup.still.asked == count
    assert setup.moving.asked == 1


def test_what_nobody_answered_is_looked_up_again_where_a_device_appears() -> None:
    setup = Setup([(0x30010, READ, 0, 7), (0x30FFE, READ, 0, 7), (0x50000, READ, 0, None)])
    assert [setup.make(number) for number in range(3)] == [None, None, None]
    setup.move(0x20000, 0x30000)
    assert [setup.make(number) for number in range(3)] == [0x10, None, None], "the second reaches beyond the end"
    setup.move(0x30000, 0x40000)
    assert setup.make(0) is None
    setup.routes.settle()
    assert setup.exits(setup.moving) == 1
    rows = {(row.region, row.first, row.last): row.reads for row in setup.routes.unclaimed}
    assert rows == {("hole", 0x30010, 0x31001): 4, ("", 0x50000, 0x50003): 2}


def test_a_range_of_many_pages_finds_what_nobody_answered() -> None:
    setup = Setup([(0x1_0000_0000 + 0x100000 * n, WRITE, 0, None) for n in range(4)])
    for number in range(4):
        setup.make(number)
    setup.board.io.register_mmio(MmioRange(MmioAddress(0x1_0000_0000), 0x280000), setup.moving)
    for number in range(4):
        setup.make(number)
    setup.routes.settle()
    assert setup.exits(setup.moving) == 3
    assert sum(row.writes for row in setup.routes.unclaimed) == 5


def test_accesses_are_booked_to_who_answered_them() -> None:
    setup = Setup([(0x20000, READ, 0, None)])
    for _ in range(3):
        setup.make(0)
    with setup.board.io.batch():
        setup.board.io.deregister_mmio(MmioAddress(0x20000))
        setup.board.io.register_mmio(MmioRange(MmioAddress(0x20000), 0x1000), setup.still)
    setup.make(0)
    setup.routes.settle()
    assert (setup.exits(setup.moving), setup.exits(setup.still)) == (3, 1)


def test_sites_side_by_side_of_other_sizes_directions_spaces_and_cpus() -> None:
    setup = Setup(
        [
            (0x10FFC, READ, 0, None),
            (0x10FFC, KIND_MMIO | 8, 0, None),
            (0x10FFC, READ, 1, None),
            (0x10FFC, 4, 0, None),
            (0x10000, WRITE, 1, None),
        ]
    )
    assert [setup.make(number) for number in range(5)] == [0xFFC, None, 0xFFC, None, None]
    assert setup.routes.is_claimed(4)
    assert not setup.routes.is_claimed(1)
    assert not setup.routes.is_claimed(3)
    assert setup.routes.claimed(2)[1] == (0xFFC, 4)
    assert setup.routes.sites_of(setup.watched[id(setup.still)]) == [0, 2, 4]
    assert setup.routes.sites_of(setup.watched[id(setup.still)], writes=True) == [4]
