"""Configuration space of a function: PCI 3.0 chapter 6 (section in the docstring) and QEMU where it differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.pci_config import ROM_BAR, PciConfig
from vmdev.replay.irq import Line
from vmdev.replay.registers import Register

COMMAND, STATUS, BAR_0, ROM = 0x04, 0x06, 0x10, 0x30


def config(**options: int) -> PciConfig:
    return PciConfig(0x1234, 0x5678, 0x0200, **options)


def answer(device: PciConfig, offset: int, size: int) -> Unknown:
    value = device.read(offset, size)
    assert isinstance(value, Unknown)
    return value


def test_identities_are_read_only() -> None:
    """6.2.1."""
    device = config()
    device.write(0, 4, 0)
    device.write(8, 4, 0)
    assert (device.read(0, 4), device.read(8, 4)) == (0x5678_1234, 0x0200_0000)


@pytest.mark.parametrize(
    ("offset", "size", "writable"), [(COMMAND, 2, 0x0507), (0x0C, 1, 0xFF), (0x0D, 1, 0), (0x3C, 1, 0xFF), (0x3D, 3, 0)]
)
def test_what_can_be_written_of_the_header(offset: int, size: int, writable: int) -> None:
    """QEMU: neither latency timer nor MIN_GNT and MAX_LAT."""
    device = config()
    device.write(offset, size, (1 << 8 * size) - 1)
    assert device.read(offset, size) == writable


def test_errors_are_cleared_by_ones() -> None:
    """6.2.3."""
    device = config()
    device.poke(STATUS, 2, 0xF900)
    device.write(STATUS, 2, 0x8100)
    assert device.read(STATUS, 2) == 0x7800


@pytest.mark.parametrize(
    ("options", "sized"),
    [
        ({}, 0xFFFF_F000),
        ({"prefetch": True}, 0xFFFF_F008),
        ({"is_io": True}, 0xFFFF_F001),
        ({"is_64": True}, 0xFFFF_F004),
    ],
)
def test_all_ones_show_the_size_of_a_bar(options: dict[str, bool], sized: int) -> None:
    """6.2.5.1."""
    device = config()
    device.add_bar(0, 0x1000, **options)
    device.write(BAR_0, 4, 0xFFFF_FFFF)
    assert device.read(BAR_0, 4) == sized
    device.write(BAR_0 + 4, 4, 0xFFFF_FFFF)
    assert device.read(BAR_0 + 4, 4) == (0xFFFF_FFFF if "is_64" in options else 0)


def test_bits_of_a_small_memory_bar_can_be_written_down_to_its_size() -> None:
    """QEMU, although 16 bytes are the least."""
    device = config()
    device.add_bar(0, 2)
    device.write(BAR_0, 4, 0xFFFF_FFFF)
    assert device.read(BAR_0, 4) == 0xFFFF_FFFE


@pytest.mark.parametrize(
    ("command", "bar", "where"),
    [
        (2, 0xFEBC_0000, ("mmio", 0xFEBC_0000)),
        (1, 0xFEBC_0000, None),
        (2, 0, None),
        (2, 0xFFFF_F000, None),
    ],
)
def test_where_memory_is_decoded(command: int, bar: int, where: tuple[str, int] | None) -> None:
    """6.2.2 and, of addresses, QEMU."""
    device = config()
    device.add_bar(0, 0x1000)
    device.write(BAR_0, 4, bar)
    device.write(COMMAND, 2, command)
    assert device.decoded(0) == where


@pytest.mark.parametrize(("bar", "where"), [(0xC000, ("pio", 0xC000)), (0xFFC0, ("pio", 0xFFC0)), (0x1_0000, None)])
def test_where_ports_are_decoded(bar: int, where: tuple[str, int] | None) -> None:
    device = config()
    device.add_bar(1, 0x40, is_io=True)
    device.write(BAR_0 + 4, 4, bar)
    device.write(COMMAND, 2, 1)
    assert device.decoded(1) == where


def test_a_bar_of_64_bits_may_be_anywhere() -> None:
    device = config()
    device.add_bar(4, 0x4000, is_64=True)
    device.write(0x20, 4, 0x4000)
    device.write(0x24, 4, 0x38)
    device.write(COMMAND, 2, 2)
    assert device.decoded(4) == ("mmio", 0x38_0000_4000)
    device.write(0x24, 4, 0)
    device.write(0x20, 4, 0xFFFF_C000)
    assert device.decoded(4) == ("mmio", 0xFFFF_C000)
    device.write(0x24, 4, 0xFFFF_FFFF)
    assert device.decoded(4) is None


def test_the_rom_has_an_enable_bit_of_its_own() -> None:
    """6.2.5.2."""
    device = config()
    device.add_bar(ROM_BAR, 0x1_0000)
    device.write(COMMAND, 2, 2)
    device.write(ROM, 4, 0xFFFF_FFFE)
    assert device.read(ROM, 4) == 0xFFFF_0000
    device.write(ROM, 4, 0xFEB0_0000)
    assert device.decoded(ROM_BAR) is None
    device.write(ROM, 4, 0xFEB0_0001)
    assert device.decoded(ROM_BAR) == ("mmio", 0xFEB0_0000)


def test_intx_shows_in_the_status_and_can_be_disabled() -> None:
    """6.2.2, bit 10; 6.2.3, bit 3."""
    line = Line()
    device = PciConfig(intx=line)
    device.interrupt(True)
    assert line.level
    assert device.read(STATUS, 2) & 8
    device.write(COMMAND, 2, 0x400)
    assert not line.level
    assert device.read(STATUS, 2) & 8
    device.write(COMMAND, 2, 0)
    assert line.level
    device.reset()
    assert not line.level


def test_capabilities_are_chained_with_the_last_one_first() -> None:
    """6.7."""
    device = config()
    assert device.add_capability(0x01, 8) == 0x40
    assert device.add_capability(0x09, 6, 0x50) == 0x50
    assert device.add_capability(0x05, 10) == 0x58
    assert device.add_capability(0x11, 8) == 0x48
    assert device.read(0x34, 1) == 0x48
    assert [device.read(at, 2) for at in (0x48, 0x58, 0x50, 0x40)] == [0x5811, 0x5005, 0x4009, 0x0001]
    assert device.read(STATUS, 2) & 0x10
    device.write(0x40, 4, 0xFFFF_FFFF)
    assert device.read(0x40, 4) == 0x0001, "a capability is read-only unless something of it is declared"


def test_a_reset_clears_the_header_and_leaves_the_rest_alone() -> None:
    """QEMU."""
    device = config()
    device.add_bar(0, 0x1000, prefetch=True)
    for offset in (COMMAND, BAR_0, 0x3C, 0x80):
        device.write(offset, 4, 0xFFFF_FFFF)
    device.reset()
    assert [device.read(offset, 4) for offset in (COMMAND, BAR_0, 0x3C, 0x80)] == [0, 8, 0, 0xFFFF_FFFF]


def test_what_lies_beyond_the_space_is_not_there() -> None:
    device = config()
    device.write(0xFE, 4, 0x1122_3344)
    assert device.read(0xFE, 4) == 0x3344
    assert device.read(0xFF, 4) == 0x33
    assert config(size=4096).read(0xFFC, 4) == 0


def test_locks_take_bits_from_what_can_be_written() -> None:
    device = config()
    device.allow(0x70, 0x0F)
    device.write(0x70, 1, 0xFF)
    assert (device.read(0x70, 1), device.allowed(0x70)) == (0x0F, 0x0F)


def test_names_behind_the_header_belong_to_one_function() -> None:
    device = config()
    device.declare(0x60, 1, 0x10, register=Register("SBRN", "Serial bus release number", 0x60, "r"))
    found = device.registers.find(0x60, "r")
    assert found is not None
    assert found.name == "SBRN"
    assert config().registers.find(0x60, "r") is None


def test_watchers_hear_of_writes_that_touch_them_and_of_resets() -> None:
    device = config()
    heard: list[str] = []
    device.watch(0x60, 4, lambda: heard.append("both"))
    device.watch(0x60, 4, lambda: heard.append("write"), on_reset=False)
    device.write(0x5C, 4, 0)
    device.write(0x64, 4, 0)
    assert heard == []
    device.write(0x63, 1, 0)
    assert heard == ["both", "write"]
    device.reset()
    assert heard == ["both", "write", "both"]


# What only the recording knows


def test_the_first_read_teaches() -> None:
    device = config()
    device.learn(0x08, 1)
    first = answer(device, 0x08, 4)
    assert (first.mask, first.known, first.kind) == (0xFF, 0x0200_0000, "learned")
    first.learn(3)
    assert device.read(0x08, 4) == 0x0200_0003
    device.reset()
    assert device.read(0x08, 1) == 3


def test_of_what_a_guest_may_have_written_the_next_read_teaches_again() -> None:
    device = config()
    device.learn(0x60, 4)
    answer(device, 0x60, 4).learn(0x11)
    device.write(0x60, 4, 0x11)
    assert device.read(0x60, 4) == 0x11, "nothing can have changed"
    device.write(0x60, 1, 0x13)
    assert answer(device, 0x60, 4).mask == 0x02


def test_bits_can_be_learned_one_by_one() -> None:
    device = config()
    device.learn(STATUS, 2, 0x06B0)
    answer(device, COMMAND, 4).learn(0x0290_0000)
    assert device.read(COMMAND, 4) == 0x0290_0000
    device.write(STATUS, 2, 0xFFFF)
    assert device.read(STATUS, 2) == 0x0290


def test_the_state_names_what_is_there() -> None:
    device = config()
    device.write(0x80, 4, 5)
    state = device.state()
    assert (state["vid"], state["0x080"], state["raised"]) == (0x1234, 5, 0)
    assert "0x084" not in state


@given(st.lists(st.tuples(st.integers(0, 0xFF), st.sampled_from((1, 2, 4)), st.integers(0, 0xFFFF_FFFF)), max_size=30))
def test_wide_writes_are_narrow_ones(program: list[tuple[int, int, int]]) -> None:
    one, other = config(), config()
    for device in (one, other):
        device.add_bar(0, 0x1000)
        device.add_bar(2, 0x100, is_64=True)
    for offset, size, value in program:
        one.write(offset, size, value & (1 << 8 * size) - 1)
        for at in range(size):
            if offset + at < 0x100:
                other.write(offset + at, 1, value >> 8 * at & 0xFF)
    assert one.state() == other.state()
