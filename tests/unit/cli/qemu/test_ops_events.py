"""Comparing a recording with QEMU's own account: every rule, and what no rule excuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.cli.qemu.ops_events import REFUSED, Access, Agreement, OpsEvent, UnknownAccess, compare, parse_events

APIC = 0xFEE00000


def access(
    direction: str,
    address: int,
    size: int,
    value: int,
    region: str = "dev",
    *,
    seq: int = 0,
    vcpu: int = 0,
    offset: int | None = None,
) -> Access:
    return Access(seq, vcpu, direction, address, size, value, region, address if offset is None else offset)


def event(direction: str, address: int, size: int, value: int, region: str = "dev", cpu: int = 0) -> OpsEvent:
    return OpsEvent(cpu, direction, address, size, value, region)


def refusal(direction: str, offset: int, size: int, region: str = "dev") -> OpsEvent:
    return OpsEvent(REFUSED, direction, offset, size, 0, region)


def test_lines_are_read_and_qemus_own_accesses_left_out() -> None:
    lines = [
        "memory_region_ops_read cpu 0 mr 0x55 addr 0x71 value 0x26 size 1 name 'rtc'\n",
        "memory_region_ops_write cpu -1 mr 0x55 addr 0xfee00000 value 0x0 size 4 name 'apic-msi'\n",
        "12@1700000000.123456:memory_region_ops_write cpu 1 mr 0x5 addr 0x80 value 0xff size 1 name 'x'\n",
        "Invalid read at addr 0x10, size 2, region '(null)', reason: rejected\n",
        "Invalid write at addr 0x5, size 4, region 'serial', reason: invalid size (min:1 max:1)\n",
        "something else\n",
    ]
    assert list(parse_events(lines)) == [
        OpsEvent(0, "r", 0x71, 1, 0x26, "rtc"),
        OpsEvent(1, "w", 0x80, 1, 0xFF, "x"),
        OpsEvent(REFUSED, "r", 0x10, 2, 0, ""),
        OpsEvent(REFUSED, "w", 5, 4, 0, "serial"),
    ]


@pytest.mark.parametrize(
    ("rule", "recorded", "events"),
    [
        ("exact", access("r", 0x70, 1, 5), [event("r", 0x70, 1, 5)]),
        ("split", access("w", 0x1CE, 2, 0x1234), [event("w", 0x1CE, 1, 0x34), event("w", 0x1CF, 1, 0x12)]),
        (
            "split",  # not aligned
            access("r", 0x1001, 4, 0xDDCCBBAA),
            [event("r", 0x1001, 1, 0xAA), event("r", 0x1002, 2, 0xCCBB), event("r", 0x1004, 1, 0xDD)],
        ),
        ("widened", access("r", 0x1001, 1, 0xBB), [event("r", 0x1000, 4, 0xDDCCBBAA)]),
        ("widened", access("w", 0x1000, 1, 0xAA), [event("w", 0x1000, 4, 0xAA)]),
        ("swapped", access("w", 0x514, 4, 0x3C6F0000), [event("w", 0x514, 4, 0x6F3C)]),
        ("aliased", access("r", 0x4010000002, 2, 8, offset=2), [event("r", 2, 2, 8)]),
        ("refused", access("r", 0x2F9, 2, 0, ""), [refusal("r", 0x2F9, 2, "")]),
        ("refused", access("w", 0x3F9, 4, 7, offset=1), [refusal("w", 1, 4)]),
        ("refused", access("r", 0x1002, 4, 0), [refusal("r", 0x1002, 2), refusal("r", 0x1004, 2)]),
    ],
)
def test_rule(rule: str, recorded: Access, events: list[OpsEvent]) -> None:
    agreement = compare([recorded, access("r", 1, 1, 1)], [*events, event("r", 1, 1, 1)])
    assert agreement.complete
    assert agreement.regions[recorded.region][rule] >= 1
    assert agreement.rules.total() == 2


@pytest.mark.parametrize(
    "events",
    [
        [event("r", 0x70, 1, 6)],  # another value
        [event("w", 0x70, 1, 5)],  # another direction
        [event("r", 0x71, 1, 5)],  # another place
        [event("r", 0x70, 1, 5, cpu=1)],  # another CPU
        [],  # nothing
        [refusal("r", 0x70, 1)],  # a refused read gives 0
        [event("r", 0x70, 1, 5), event("r", 0x70, 1, 5)],  # one more than was recorded
        [event("r", 0x70, 1, 5), refusal("w", 0x70, 1)],
    ],
)
def test_difference_is_found(events: list[OpsEvent]) -> None:
    assert not compare([access("r", 0x70, 1, 5)], events).complete


@pytest.mark.parametrize(
    "events",
    [
        [event("w", 0x70, 1, 0x34), event("w", 0x72, 1, 0x12)],  # a hole
        [event("w", 0x70, 1, 0x34), event("r", 0x71, 1, 0x12)],
        [event("w", 0x70, 1, 0x34)],  # its second half is missing
        [event("w", 0x70, 1, 0x34), event("w", 0x71, 1, 0x13)],
        [event("w", 0x70, 1, 0x34), event("w", 0x71, 2, 0x12)],  # more than was asked
    ],
)
def test_pieces_have_to_fit(events: list[OpsEvent]) -> None:
    assert not compare([access("w", 0x70, 2, 0x1234)], events).complete


def test_alias_of_a_region_that_is_mapped_itself() -> None:
    """An RTL8139's registers, through memory; QEMU tells of the port."""
    recorded = access("r", 0xFE02003E, 2, 5, "rtl8139", offset=0x3E)._replace(elsewhere=(0xD03E,))
    agreement = compare([recorded], [event("r", 0xD03E, 2, 5, "rtl8139")])
    assert agreement.complete
    assert agreement.rules == {"aliased": 1}
    for other in (event("r", 0xD040, 2, 5, "rtl8139"), event("r", 0xD03E, 2, 5), event("r", 0xD03E, 2, 6, "rtl8139")):
        assert not compare([recorded], [other]).complete


def test_alias_explains_only_its_own_region() -> None:
    recorded = access("r", 0x4010000002, 2, 8, offset=2)
    assert not compare([recorded], [event("r", 2, 2, 8, "other")]).complete


def test_cpus_are_compared_each_in_its_own_order() -> None:
    recorded = [access("r", 1, 1, 1, vcpu=0), access("r", 2, 1, 2, vcpu=1), access("r", 3, 1, 3, vcpu=0)]
    events = [event("r", 2, 1, 2, cpu=1), event("r", 1, 1, 1), event("r", 3, 1, 3)]
    assert compare(recorded, events).complete


def test_interrupt_of_a_device_is_nobodys_access() -> None:
    interrupts = [event("w", APIC | low, 4, 0x31, "apic-msi") for low in (0, 0xC, 0x1000)]
    agreement = compare([access("r", 1, 1, 1)], [*interrupts[:2], event("r", 1, 1, 1), interrupts[2]])
    assert agreement.complete
    assert agreement.others == {"interrupt": 3}


@pytest.mark.parametrize("other", [event("w", APIC | 0xB0, 4, 0, "apic-msi"), event("r", APIC, 4, 0, "apic-msi")])
def test_access_to_the_apic_is_no_interrupt(other: OpsEvent) -> None:
    assert compare([], [other]).lost == [other]


DOORBELL = 0x8020040


def test_interrupt_through_gicv2m_is_nobodys_access() -> None:
    doorbell = event("w", DOORBELL, 4, 83, "gicv2m")
    agreement = compare([access("r", 1, 1, 1)], [doorbell, event("r", 1, 1, 1), doorbell])
    assert agreement.complete
    assert agreement.others == {"interrupt": 2}


@pytest.mark.parametrize(
    "other",
    [
        event("r", DOORBELL, 4, 0, "gicv2m"),
        event("w", 0x8020008, 4, 0, "gicv2m"),  # MSI_TYPER
        event("w", 0x8020140, 4, 0, "gicv2m"),
        event("w", DOORBELL, 4, 0, "pl011"),
    ],
)
def test_other_access_to_gicv2m_is_no_interrupt(other: OpsEvent) -> None:
    assert compare([], [other]).lost == [other]


LSI_RAM = 0xFEA24000
STORE_DSA = 0xE2340004


def script(words: int) -> list[OpsEvent]:
    """An LSI fetches its SCRIPTS."""
    return [event("r", LSI_RAM + 4 * i % 0x2000, 4, 0x80000000, "lsi-ram") for i in range(words)]


def store(address: int) -> list[OpsEvent]:
    """A STORE is fetched, and stores."""
    return [
        event("r", LSI_RAM, 4, STORE_DSA, "lsi-ram"),
        event("r", LSI_RAM + 4, 4, address, "lsi-ram"),
        event("w", address, 4, 0x6A53000, "lsi-ram"),
    ]


def test_script_of_an_lsi_is_nobodys_access() -> None:
    recorded = [access("w", 0x14, 1, 0x20), access("r", 0x14, 1, 4), access("r", 1, 1, 1)]
    events = [
        event("w", 0x14, 1, 0x20),
        *script(10_000),
        *store(LSI_RAM + 0x14DC),
        *script(10),
        event("r", 0x14, 1, 4),
        event("r", 1, 1, 1),
        *store(LSI_RAM + 0x14DC),
    ]
    agreement = compare(recorded, events)
    assert agreement.complete
    assert agreement.others == {"script": 10_016}


def test_guests_own_accesses_to_the_ram_of_an_lsi_pair() -> None:
    recorded = [
        access("r", LSI_RAM, 4, 7, "lsi-ram"),
        access("w", LSI_RAM + 8, 4, 9, "lsi-ram"),
        access("r", LSI_RAM + 8, 4, 9, "lsi-ram"),
    ]
    own = [event(a.direction, a.address, a.size, a.value, a.region) for a in recorded]
    agreement = compare(recorded, [*script(100), own[0], *script(100), *own[1:]])
    assert agreement.complete
    assert agreement.rules == {"exact": 3}
    assert agreement.others == {"script": 200}


@pytest.mark.parametrize(
    "events",
    [
        [event("w", LSI_RAM + 8, 4, 9, "lsi-ram")],
        [*script(8), event("w", LSI_RAM + 8, 4, 9, "lsi-ram")],
        [*store(LSI_RAM + 8)[:2], event("w", LSI_RAM + 12, 4, 9, "lsi-ram")],  # not where the script stores
        [*store(LSI_RAM + 8), event("w", LSI_RAM + 8, 4, 9, "lsi-ram")],  # once more
        [*store(LSI_RAM + 8)[:2], event("w", LSI_RAM + 8, 4, 9, "lsi-ram", cpu=1)],
    ],
)
def test_write_to_the_ram_of_an_lsi_is_lost_if_no_script_stores(events: list[OpsEvent]) -> None:
    assert compare([], events).lost == events[-1:]


def test_refusals_without_an_access_are_faults_where_the_cpu_has_them() -> None:
    assert compare([], [refusal("r", 0, 2, "")], faults=True).others == {"faulted": 1}
    assert not compare([], [refusal("r", 0, 2, "")]).complete


def test_events_after_a_limit_are_not_lost() -> None:
    recorded = [access("r", 1, 1, 1), access("r", 2, 1, 2, vcpu=1)]
    events = [event("r", 1, 1, 1), event("r", 2, 1, 2, cpu=1), *(event("r", 9, 1, 9) for _ in range(9))]
    assert compare(recorded, events, cut=True).others == {"after the end": 9}
    assert len(compare(recorded, events).lost) == 9


def test_events_before_the_last_access_of_another_cpu_are_lost() -> None:
    events = [*(event("r", 9, 1, 9, cpu=1) for _ in range(9)), event("r", 1, 1, 1)]
    assert len(compare([access("r", 1, 1, 1)], events, cut=True).lost) == 9


@pytest.mark.parametrize("events", [[event("r", 0x71, 1, 5)], []])
def test_unknown_access_takes_its_event_if_there_is_one(events: list[OpsEvent]) -> None:
    recorded = [UnknownAccess(0, 0, "refused-io", 0x71, 1), access("r", 1, 1, 1)]
    agreement = compare(recorded, [*events, event("r", 1, 1, 1)])
    assert agreement.complete
    assert agreement.others.total() == len(events)


def test_unknown_access_takes_no_other_event() -> None:
    assert compare([UnknownAccess(0, 0, "unread-in", 0x71, 1)], [event("r", 0x72, 1, 5)]).lost


def test_a_lost_access_costs_no_other() -> None:
    events = [event("r", address, 1, 0) for address in range(100)]
    recorded = [access("r", address, 1, 0) for address in range(100)]
    del recorded[50:53]
    agreement = compare(recorded, events)
    assert [lost.address for lost in agreement.lost] == [50, 51, 52]
    assert agreement.unexplained == []
    assert agreement.lost_by_region == {"dev": 3}


shapes = st.lists(
    st.tuples(
        st.sampled_from("rw"), st.sampled_from([0x70, 0x71, 0x80]), st.sampled_from([1, 2, 4]), st.integers(0, 255)
    ),
    min_size=1,
    max_size=40,
)


def made_by(recorded: list[Access]) -> list[OpsEvent]:
    """What QEMU tells of these: 2 bytes are split, others not."""
    events: list[OpsEvent] = []
    for a in recorded:
        if a.size == 2:
            events += [event(a.direction, a.address + i, 1, a.value >> 8 * i & 0xFF) for i in (0, 1)]
        else:
            events.append(event(a.direction, a.address, a.size, a.value))
    return events


@given(shapes, st.data())
def test_no_rule_explains_a_lost_or_altered_access(
    shapes: list[tuple[str, int, int, int]], data: st.DataObject
) -> None:
    recorded = [access(*shape) for shape in shapes]
    events = made_by(recorded)
    assert compare(recorded, events).complete
    at = data.draw(st.integers(0, len(recorded) - 1))
    lost: Agreement = compare(recorded[:at] + recorded[at + 1 :], events)
    assert not lost.complete
    altered = recorded[at]._replace(value=recorded[at].value ^ 0x80)
    assert not compare([*recorded[:at], altered, *recorded[at + 1 :]], events).complete
    assert not compare([*recorded[:at], recorded[at], *recorded[at:]], events).complete
