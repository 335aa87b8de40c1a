"""QEMU's own ports and parallel ports on boards."""

from __future__ import annotations

import json

import pytest

from vmdev.replay.bus import PioAddress
from vmdev.replay.guest import Guest, Region
from vmdev.replay.machines import Board, build


def board(*words: str) -> Board:
    regions = (
        Region("pio", 0x278, 0x27F, "parallel"),
        Region("pio", 0x378, 0x37F, "parallel"),
        Region("pio", 0x2000, 0x2007, "parallel"),
        Region("pio", 0xF4, 0xF7, "isa-debug-exit"),
        Region("pio", 0x505, 0x505, "pvpanic"),
        Region("pio", 0x5658, 0x5658, "vmport"),
    )
    return build(Guest("pc", regions=regions, meta={"command": json.dumps(["qemu", *words])}))


def test_they_are_where_the_map_shows_them() -> None:
    found = board()
    for port, size, name in (
        (0x278, 1, "lpt2"), (0x37A, 1, "lpt1"), (0x2007, 1, "parallel@2000"), (0xF4, 4, "debug-exit@f4"),
        (0x505, 1, "pvpanic"), (0x5658, 4, "vmport"),
    ):  # fmt: skip
        assert found.io.resolve_pio(PioAddress(port), size).device is found.devices[name]


@pytest.mark.parametrize(
    ("words", "events"),
    [((), 7), (("-device", "pvpanic"), 7), (("-device", "VGA", "-device", "pvpanic,events=3"), 3)],
)
def test_the_events_of_pvpanic_are_a_property(words: tuple[str, ...], events: int) -> None:
    assert board(*words).io.resolve_pio(PioAddress(0x505), 1).read() == events
