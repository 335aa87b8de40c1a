"""Comparing a recording with QEMU's own trace events: every rule, and what no rule excuses."""

from __future__ import annotations

import pytest

from vmdev.cli.qemu.ops_events import Access, OpsEvent, compare, parse_events


def access(direction: str, address: int, size: int, value: int, region: str = "dev", seq: int = 0) -> Access:
    return Access(seq, direction, address, size, value, region)


def event(direction: str, address: int, size: int, value: int) -> OpsEvent:
    return OpsEvent(direction, address, size, value, "dev")


def test_lines_are_read_and_qemus_own_accesses_left_out() -> None:
    lines = [
        "memory_region_ops_read cpu 0 mr 0x55 addr 0x71 value 0x26 size 1 name 'rtc'\n",
        "memory_region_ops_write cpu -1 mr 0x55 addr 0xfee00000 value 0x0 size 4 name 'apic-msi'\n",
        "12@1700000000.123456:memory_region_ops_write cpu 1 mr 0x5 addr 0x80 value 0xff size 1 name 'x'\n",
        "something else\n",
    ]
    assert list(parse_events(lines)) == [OpsEvent("r", 0x71, 1, 0x26, "rtc"), OpsEvent("w", 0x80, 1, 0xFF, "x")]


@pytest.mark.parametrize(
    ("rule", "recorded", "events"),
    [
        ("exact", access("r", 0x70, 1, 5), [event("r", 0x70, 1, 5)]),
        ("split", access("w", 0x1CE, 2, 0x1234), [event("w", 0x1CE, 1, 0x34), event("w", 0x1CF, 1, 0x12)]),
        ("widened", access("r", 0x1001, 1, 0xBB), [event("r", 0x1000, 4, 0xDDCCBBAA)]),
        ("swapped", access("w", 0x514, 4, 0x3C6F0000), [event("w", 0x514, 4, 0x6F3C)]),
        ("unassigned", access("r", 0x2F9, 1, 0xFF, region=""), []),
    ],
)
def test_rule(rule: str, recorded: Access, events: list[OpsEvent]) -> None:
    agreement = compare([recorded, access("r", 1, 1, 1)], [*events, event("r", 1, 1, 1)])
    assert agreement.complete
    assert agreement.rules[rule] >= 1
    assert agreement.rules.total() == 2


@pytest.mark.parametrize(
    "events",
    [
        [event("r", 0x70, 1, 6)],  # another value
        [event("w", 0x70, 1, 5)],  # another direction
        [event("r", 0x71, 1, 5)],  # another place
        [],  # nothing: but a device is there
        [event("r", 0x70, 1, 5), event("r", 0x70, 1, 5)],  # one more than was recorded
    ],
)
def test_difference_is_found(events: list[OpsEvent]) -> None:
    assert not compare([access("r", 0x70, 1, 5)], events).complete


def test_missing_access_is_found_and_comparing_ends() -> None:
    events = [event("r", address, 1, 0) for address in range(100)]
    agreement = compare((access("r", address, 1, 0) for address in range(1, 100)), events, limit=3)
    assert len(agreement.unexplained) == 3
    assert not agreement.complete
