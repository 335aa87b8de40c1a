"""What ``vmdev record`` is to record."""

from __future__ import annotations

import click
import pytest

from vmdev.cli.filters import AddressType, Filters
from vmdev.replay.errors import RecordError
from vmdev.replay.guest import Region
from vmdev.replay.selection import AddressRange

REGIONS = [
    Region("pio", 0x0, 0xFFFF, "io"),
    Region("pio", 0x70, 0x70, "rtc-index"),
    Region("pio", 0x71, 0x71, "rtc", offset=1),
    Region("pio", 0x72, 0x77, "rtc", offset=2),
    Region("pio", 0x80, 0x80, "(null)"),
    Region("pio", 0x3C0, 0x3CF, "vga"),
    Region("mmio", 0x0, 0x9FFFF, "pc.ram", "ram"),
    Region("mmio", 0x72, 0x77, "vga"),
    Region("mmio", 0xFFFC0000, 0xFFFFFFFF, "system.flash0", "romd"),
]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0x70", AddressRange("", 0x70, 0x70)),
        ("112", AddressRange("", 0x70, 0x70)),
        ("010", AddressRange("", 10, 10)),
        ("0x70-0x71", AddressRange("", 0x70, 0x71)),
        ("0X3F8+8", AddressRange("", 0x3F8, 0x3FF)),
        ("pio:0x70-0x70", AddressRange("pio", 0x70, 0x70)),
        ("mmio:0xfed00000+0x400", AddressRange("mmio", 0xFED00000, 0xFED003FF)),
        ("mmio:0xffffffffffffffff", AddressRange("mmio", (1 << 64) - 1, (1 << 64) - 1)),
    ],
)
def test_ranges(text: str, wanted: AddressRange) -> None:
    assert AddressType().convert(text, None, None) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a range like 0x70-0x71"),
        ("rtc", "must be a range"),
        ("0x", "must be a range"),
        ("-1", "must be a range"),
        ("0x70-", "must be a range"),
        ("0x70 - 0x71", "must be a range"),
        ("ram:0x70", "must be a range"),
        ("0x70-0x71-0x72", "must be a range"),
        ("\u0661", "must be a range"),
        ("0x71-0x70", "0x71-0x70: ends before it begins"),
        ("0x70+0", "0x70+0: is empty"),
    ],
)
def test_what_is_no_range_is_refused(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message.replace("+", r"\+")):
        AddressType().convert(text, None, None)


def addresses(*ranges: AddressRange, target: str = "x86_64", mmio: str = "fast") -> list[str]:
    return list(map(str, Filters(ranges).for_target(target, mmio, None).addresses))


def test_a_range_is_of_ports_where_there_are_any() -> None:
    assert addresses(AddressRange("", 0x70, 0x71)) == ["pio:0x70-0x71"]
    assert addresses(AddressRange("", 0x70, 0x71), target="aarch64") == ["mmio:0x70-0x71"]
    assert addresses(AddressRange("mmio", 0x70, 0x71)) == ["mmio:0x70-0x71"]
    assert addresses(AddressRange("pio", 0x70, 0xFFFF), mmio="off") == ["pio:0x70-0xffff"]


@pytest.mark.parametrize(
    ("given", "target", "mmio", "message"),
    [
        (AddressRange("pio", 0x70, 0x70), "riscv64", "fast", "riscv64 has no ports; write mmio:"),
        (AddressRange("mmio", 0x70, 0x70), "x86_64", "off", "needs --mmio fast or full, not off"),
        (AddressRange("", 0x70, 0x10000), "x86_64", "fast", "ports end at 0xffff; write mmio:"),
        (AddressRange("pio", 0x70, 0x10000), "x86_64", "fast", "ports end at 0xffff$"),
        (AddressRange("mmio", 0x70, 1 << 64), "x86_64", "fast", "addresses have 64 bits$"),
    ],
)
def test_ranges_that_the_guest_cannot_have_are_refused(
    given: AddressRange, target: str, mmio: str, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        addresses(given, target=target, mmio=mmio)


def test_a_window_ends_after_it_begins() -> None:
    filters = Filters(from_ns=2_000_000_000)
    assert filters.for_target("x86_64", "fast", 2_000_000_001).from_ns == 2_000_000_000
    assert filters.for_target("x86_64", "fast", None).from_ns == 2_000_000_000
    with pytest.raises(RecordError, match="--from 2s is not before the recording's end, --duration 2s"):
        filters.for_target("x86_64", "fast", 2_000_000_000)


def test_devices_are_known_by_the_names_of_regions() -> None:
    Filters(devices=["rtc", "vga", "system.flash0", "acpi-tmr"]).check_names(REGIONS, {"acpi-tmr"})


def test_a_name_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecordError, match=r"^--device rtcc: this machine has no region of that name; near it: rtc$"):
        Filters(devices=["vga", "rtcc"]).check_names(REGIONS, {"acpi-tmr"})


@pytest.mark.parametrize("name", ["nonsense", "io", "(null)", ""])
def test_or_with_all(name: str) -> None:
    with pytest.raises(RecordError, match=r"has no region of that name; it has rtc, rtc-index, system\.flash0, vga$"):
        Filters(devices=[name]).check_names(REGIONS, set())


def test_places_are_those_of_the_names_and_adjacent_ones_are_one() -> None:
    assert Filters(devices=["rtc"]).places(REGIONS) == "pio:0x71-0x77"
    assert Filters(devices=["vga", "system.flash0"]).places(REGIONS) == (
        "mmio:0x72-0x77,mmio:0xfffc0000-0xffffffff,pio:0x3c0-0x3cf"
    )
    assert Filters(devices=["pc.ram", "acpi-tmr"]).places(REGIONS) == ""
    assert Filters().places(REGIONS) == ""


def test_too_many_places_are_refused() -> None:
    filters = Filters(devices=["virtio-mmio"])
    regions = [Region("mmio", 0x1000 * i, 0x1000 * i + 0x1FF, "virtio-mmio") for i in range(257)]
    assert filters.places(regions[:256]).count("mmio:") == 256
    with pytest.raises(RecordError, match="257 places, and the recorder has room for 256"):
        filters.places(regions)


def test_the_recorder_and_the_trace_are_told() -> None:
    given = Filters([AddressRange("", 0x70, 0x71)], ["a,b", "rtc", "rtc"], 5).for_target("x86_64", "fast", None)
    assert given.plugin_options() == ["address=pio:0x70-0x71", "device=a,,b", "device=rtc", "from=5"]
    assert given.facts == {"filter": {"address": ["pio:0x70-0x71"], "device": ["a,b", "rtc"], "from_ns": 5}}
    assert Filters().facts == {}
    assert Filters().plugin_options() == []
