"""VGA with Bochs DISPI: the technical reference's statements on its registers, and where QEMU differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.devices import bochs_dispi, edid
from vmdev.replay.devices import vga_registers as regs
from vmdev.replay.devices.vga import Vga
from vmdev.replay.devices.vga_registers import BIG_ENDIAN, LITTLE_ENDIAN

MIB = 1 << 20
COLOUR, MONO = 0x01, 0x00


def port(number: int) -> int:
    """The offset of a port."""
    return number - regs.FIRST_PORT


def vga(misc: int = COLOUR, memory: int = MIB) -> Vga:
    device = Vga(memory)
    write(device, 0x3C2, misc)
    return device


def read(device: Vga, number: int) -> int:
    return device.read(port(number), 1)


def write(device: Vga, number: int, *values: int) -> None:
    for value in values:
        device.write(port(number), 1, value)


def set_indexed(device: Vga, number: int, index: int, value: int) -> None:
    """Index and data in a word, as programs do it."""
    device.write(port(number), 2, value << 8 | index)


def get_indexed(device: Vga, number: int, index: int) -> int:
    write(device, number, index)
    return read(device, number + 1)


def set_dispi(device: Vga, index: int, value: int) -> None:
    device.write(regs.DISPI_INDEX_PORT, 2, index)
    device.write(regs.DISPI_DATA_PORT, 2, value)


def get_dispi(device: Vga, index: int) -> int:
    device.write(regs.DISPI_INDEX_PORT, 2, index)
    return device.read(regs.DISPI_DATA_PORT, 2)


def get_attribute(device: Vga, index: int) -> int:
    read(device, 0x3DA)
    write(device, 0x3C0, index)
    return read(device, 0x3C1)


# General registers


def test_misc_output_reads_at_another_port() -> None:
    device = vga(0xFF)
    assert read(device, 0x3CC) == 0xEF, "bit 4 is reserved"


@pytest.mark.parametrize(("misc", "index", "other"), [(MONO, 0x3B4, 0x3D4), (COLOUR, 0x3D4, 0x3B4)])
def test_ios_chooses_the_address_of_the_crt_controller(misc: int, index: int, other: int) -> None:
    device = vga(misc)
    set_indexed(device, index, 0x0C, 0x12)
    set_indexed(device, other, 0x0C, 0x34)
    assert read(device, index) == 0x0C
    assert read(device, index + 1) == 0x12
    assert read(device, other) == read(device, other + 1) == 0xFF
    assert read(device, other + 6) == 0xFF
    write(device, other + 6, 0x10)
    assert read(device, 0x3CA) == 0
    write(device, index + 6, 0xFF)
    assert read(device, 0x3CA) == 0x10


def test_input_status_1_toggles_display_enable_and_vertical_retrace() -> None:
    """QEMU."""
    device = vga()
    assert [read(device, 0x3DA) for _ in range(4)] == [0x09, 0x00, 0x09, 0x00]


def test_what_is_not_there_reads_0() -> None:
    """QEMU: input status 0, subsystem enable, PEL mask."""
    device = vga()
    for number in (0x3C2, 0x3C3, 0x3C6, 0x3CB, 0x3CD):
        if number != 0x3C2:
            write(device, number, 0xFF)
        assert read(device, number) == 0


# Sequencer, graphics controller, CRT controller


@given(st.integers(0, 0xFF), st.integers(0, 0xFF))
def test_the_sequencer_keeps_defined_bits(index: int, value: int) -> None:
    device = vga()
    set_indexed(device, 0x3C4, index, value)
    assert read(device, 0x3C4) == index & 7
    assert read(device, 0x3C5) == value & regs.SR_MASKS[index & 7]
    assert device.bank(port(0x3C5)) == f"SR{index & 7:02X}"


@given(st.integers(0, 0xFF), st.integers(0, 0xFF))
def test_the_graphics_controller_keeps_defined_bits(index: int, value: int) -> None:
    device = vga()
    set_indexed(device, 0x3CE, index, value)
    assert read(device, 0x3CE) == index & 0xF
    assert read(device, 0x3CF) == value & regs.GR_MASKS[index & 0xF]
    assert device.bank(port(0x3CF)) == (f"GR{index & 0xF:02X}" if index & 0xF < 9 else None)


@given(st.integers(0, 0xFF), st.integers(0, 0xFF))
def test_the_crt_controller_keeps_all_bits(index: int, value: int) -> None:
    """QEMU: even of registers that do not exist."""
    device = vga()
    set_indexed(device, 0x3D4, index, value)
    assert (read(device, 0x3D4), read(device, 0x3D5)) == (index, value)
    assert device.bank(port(0x3D5)) == (f"CR{index:02X}" if index <= 0x18 else None)
    assert device.bank(port(0x3B5)) is None


def test_pr_protects_the_first_crt_controller_registers_but_for_line_compare() -> None:
    """CR11, "Protect R0-7"."""
    device = vga()
    for index in range(0x19):
        set_indexed(device, 0x3D4, index, 0x55 if index != 0x11 else 0x80)
    for index in range(9):
        set_indexed(device, 0x3D4, index, 0xAA)
    assert [get_indexed(device, 0x3D4, index) for index in range(9)] == [0x55] * 7 + [0x45, 0xAA]
    set_indexed(device, 0x3D4, 0x07, 0x10)
    assert read(device, 0x3D5) == 0x55


# Attribute controller


def test_the_attribute_port_takes_address_and_data_in_turn() -> None:
    device = vga()
    read(device, 0x3DA)
    write(device, 0x3C0, 0x01, 0x2A, 0x02, 0xFF, 0x31, 0x12)
    assert [get_attribute(device, index) for index in (1, 2, 0x11)] == [0x2A, 0x3F, 0x12]


def test_reading_input_status_1_sets_the_flip_flop_to_the_address() -> None:
    device = vga()
    write(device, 0x3C0, 0x05)
    assert read(device, 0x3C0) == 0, "QEMU: data comes next"
    read(device, 0x3DA)
    assert read(device, 0x3C0) == 0x05
    write(device, 0x3C0, 0x06)
    assert read(device, 0x3C1) == 0
    assert device.bank(port(0x3C1)) == "AR06"


@pytest.mark.parametrize("index", range(0x20))
def test_attribute_registers_keep_defined_bits(index: int) -> None:
    device = vga()
    write(device, 0x3C0, index, 0xFF)
    assert device.bank(port(0x3C0)) == (f"AR{index:02X}" if index < 0x15 else "")
    assert get_attribute(device, index) == (regs.AR_MASKS[index] if index < 0x15 else 0)


# Palette


def test_the_palette_index_goes_on_after_each_third_byte() -> None:
    device = vga()
    write(device, 0x3C8, 0xFF)
    assert read(device, 0x3C7) == 0, "writing"
    write(device, 0x3C9, 1, 2, 3, 4, 5, 6)
    assert read(device, 0x3C8) == 1
    write(device, 0x3C7, 0xFF)
    assert read(device, 0x3C7) == 3, "reading"
    assert [read(device, 0x3C9) for _ in range(7)] == [1, 2, 3, 4, 5, 6, 0]


def test_an_entry_changes_when_it_is_complete() -> None:
    device = vga()
    write(device, 0x3C8, 0)
    write(device, 0x3C9, 1, 2)
    write(device, 0x3C7, 0)
    assert [read(device, 0x3C9) for _ in range(3)] == [0, 0, 0]


# Accesses of other sizes


def test_a_word_is_two_bytes_and_four_bytes_reach_nobody() -> None:
    """QEMU."""
    device = vga()
    set_indexed(device, 0x3CE, 8, 0x5A)
    assert device.read(port(0x3CE), 2) == 0x5A08
    assert device.read(port(0x3CC), 4) == 0xFFFF_FFFF
    device.write(port(0x3CE), 4, 0)
    assert device.read(port(0x3CE), 2) == 0x5A08
    assert device.reader(port(0x3CE), 2)() == 0x5A08
    device.writer(port(0x3CE), 2)(0x1108)
    assert device.reader(port(0x3CF), 1)() == 0x11
    device.writer(port(0x3CF), 1)(0x22)
    assert read(device, 0x3CF) == 0x22


def test_ports_of_the_other_address_read_ones_in_memory() -> None:
    """QEMU: among the registers in memory there are no holes."""
    assert read(vga(MONO), 0x3D8) == 0xFF
    assert read(vga(COLOUR), 0x3D8) == 0


def test_the_window_by_the_short_way() -> None:
    device = vga()
    set_indexed(device, 0x3C4, 2, 0x0F)
    set_indexed(device, 0x3C4, 4, 0x06)
    set_indexed(device, 0x3CE, 8, 0xFF)
    set_indexed(device, 0x3CE, 6, 0x05)
    device.writer(regs.WINDOW, 1)(0x12)
    device.write(regs.WINDOW + 1, 1, 0x34)
    assert device.reader(regs.WINDOW, 2)() == device.read(regs.WINDOW, 2) == 0x3412


# DISPI


def test_dispi_ids() -> None:
    device = vga()
    assert get_dispi(device, bochs_dispi.ID) == 0xB0C5
    set_dispi(device, bochs_dispi.ID, 0xB0C2)
    set_dispi(device, bochs_dispi.ID, 0xB0C6)
    assert get_dispi(device, bochs_dispi.ID) == 0xB0C2
    assert device.read(regs.DISPI_INDEX_PORT, 2) == 0
    assert device.bank(regs.DISPI_DATA_PORT) == "DISPI ID"


@pytest.mark.parametrize("size", [1, 4])
def test_dispi_ports_take_words_only(size: int) -> None:
    device = vga()
    device.write(regs.DISPI_INDEX_PORT, size, 3)
    assert device.read(regs.DISPI_INDEX_PORT, 2) == 0
    assert device.read(regs.DISPI_INDEX_PORT, size) == (1 << 8 * size) - 1
    assert device.read(regs.DISPI_PORTS - 1, 1) == 0xFF


def test_the_second_data_port_is_the_same() -> None:
    device = vga()
    device.write(regs.DISPI_INDEX_PORT, 2, bochs_dispi.XRES)
    device.write(regs.DISPI_DATA_PORT_2, 2, 640)
    assert device.read(regs.DISPI_DATA_PORT, 2) == device.read(regs.DISPI_DATA_PORT_2, 2) == 640
    device.write(regs.DISPI_DATA_PORT_2 + 1, 2, 5)
    assert device.read(regs.DISPI_DATA_PORT, 2) == 640


def test_getcaps_shows_the_largest_sizes() -> None:
    device = vga()
    set_dispi(device, bochs_dispi.ENABLE, bochs_dispi.GETCAPS)
    found = [get_dispi(device, index) for index in (bochs_dispi.XRES, bochs_dispi.YRES, bochs_dispi.BPP, 11, 10, 8)]
    assert found == [16_000, 12_000, 32, 0, MIB >> 16, 0]
    device.write(regs.DISPI_INDEX_PORT, 2, 99)
    assert device.bank(regs.DISPI_DATA_PORT) is None


def enable(device: Vga, width: int, height: int, bits: int, flags: int = 0) -> None:
    set_dispi(device, bochs_dispi.XRES, width)
    set_dispi(device, bochs_dispi.YRES, height)
    set_dispi(device, bochs_dispi.BPP, bits)
    set_dispi(device, bochs_dispi.ENABLE, bochs_dispi.ENABLED | flags)


def sizes(device: Vga) -> list[int]:
    return [get_dispi(device, index) for index in (1, 2, 3, 6, 7, 8, 9)]


def test_sizes_are_corrected_when_the_display_is_enabled() -> None:
    device = vga()
    enable(device, 0, 0, 7)
    assert sizes(device) == [8, 1, 8, 8, 0, 0, 0], "2**17 lines fit: the register has 16 bits"
    enable(device, 0xFFFF, 0xFFFF, 32)
    assert sizes(device) == [16_000, 16, 32, 16_000, 16, 0, 0]
    set_dispi(device, bochs_dispi.XRES, 645)
    set_dispi(device, bochs_dispi.VIRT_WIDTH, 1029)
    set_dispi(device, bochs_dispi.BPP, 15)
    set_dispi(device, bochs_dispi.YRES, 480)
    assert sizes(device) == [640, 480, 15, 1024, 512, 0, 0]
    set_dispi(device, bochs_dispi.Y_OFFSET, 32)
    set_dispi(device, bochs_dispi.X_OFFSET, 0)
    assert sizes(device)[5:] == [0, 32]
    set_dispi(device, bochs_dispi.X_OFFSET, 8)
    assert sizes(device)[5:] == [8, 0], "too much: the line goes first"
    set_dispi(device, bochs_dispi.YRES, 512)
    assert sizes(device)[5:] == [0, 0]


def test_enabling_sets_the_vga_registers() -> None:
    device = vga()
    enable(device, 640, 480, 8)
    found = [get_indexed(device, 0x3D4, index) for index in (0x01, 0x07, 0x09, 0x12, 0x13, 0x17, 0x18)]
    assert found == [79, 0x12, 0x40, 0xDF, 80, 0x03, 0xFF]
    assert get_indexed(device, 0x3CE, 5) == 0x40
    assert get_indexed(device, 0x3CE, 6) == 0x05
    set_indexed(device, 0x3CE, 6, 0x0C)
    assert read(device, 0x3CF) == 0x05
    assert get_indexed(device, 0x3C4, 4) == 0, "the sequencer has other registers"


def test_16_colours_have_planes() -> None:
    device = vga()
    enable(device, 800, 600, 4)
    assert get_indexed(device, 0x3CE, 5) == 0
    assert get_indexed(device, 0x3D4, 0x13) == 50


def test_banks_are_as_many_as_the_memory_has() -> None:
    device = vga()
    set_dispi(device, bochs_dispi.BANK, 0x123)
    assert get_dispi(device, bochs_dispi.BANK) == 3
    assert device.state()["bank_offset"] == 3 << 16
    set_dispi(device, bochs_dispi.ENABLE, 0)
    assert device.state()["bank_offset"] == 0


def test_enabling_clears_the_memory_unless_told_not_to() -> None:
    device = vga()
    for index, value in ((2, 0x0F), (4, 0x06)):
        set_indexed(device, 0x3C4, index, value)
    for index, value in ((8, 0xFF), (6, 0x05)):
        set_indexed(device, 0x3CE, index, value)
    device.write(regs.WINDOW, 1, 0xFF)
    full = device.state()["memory"]
    enable(device, 640, 480, 8, bochs_dispi.NOCLEARMEM)
    assert device.state()["memory"] == full
    set_dispi(device, bochs_dispi.ENABLE, 0)
    enable(device, 640, 480, 8)
    assert device.state()["memory"] != full


# Registers in memory


def test_dispi_in_memory_moves_the_index() -> None:
    """QEMU."""
    device = vga()
    device.write(regs.DISPI + 2 * bochs_dispi.XRES, 2, 800)
    assert device.read(regs.DISPI_INDEX_PORT, 2) == bochs_dispi.XRES
    assert device.read(regs.DISPI, 4) == 800 << 16 | 0xB0C5
    assert device.read(regs.DISPI + 2, 1) == 800 & 0xFF
    device.write(regs.DISPI + 2, 4, 600 << 16 | 640)
    assert device.read(regs.DISPI + 2, 8) == 600 << 16 | 640


def test_byte_order() -> None:
    device = vga()
    assert device.read(regs.QEXT, 8) == LITTLE_ENDIAN << 32 | 8
    for value in (BIG_ENDIAN, 0x12345678):
        device.write(regs.QEXT + 4, 4, value)
    device.write(regs.QEXT + 4, 2, 0x1E1E)
    device.reset()
    assert device.read(regs.QEXT + 4, 4) == BIG_ENDIAN
    assert device.read(regs.QEXT, 4) == 8
    assert device.read(regs.QEXT, 2) == 0, "QEMU refuses it"


def test_edid_is_read_only() -> None:
    device = Vga(MIB, edid.generate(edid.Monitor(), 256))
    device.write(regs.EDID, 1, 0x55)
    assert device.read(regs.EDID, 8) == 0x00FF_FFFF_FFFF_FF00
    assert device.read(regs.EDID + 300, 1) == 0


def test_a_display_without_vga_has_no_window() -> None:
    device = Vga(MIB, legacy=False)
    enable(device, 640, 480, 8)
    assert device.read(regs.WINDOW, 1) == 0xFF


def test_reset_clears_registers_and_keeps_memory() -> None:
    device = vga()
    set_indexed(device, 0x3C4, 2, 0x0F)
    device.write(regs.WINDOW, 1, 0xFF)
    enable(device, 640, 480, 32)
    device.reset()
    assert read(device, 0x3CC) == get_dispi(device, bochs_dispi.ENABLE) == 0
    assert device.state()["DISPI ID"] == 0xB0C5


def test_one_register_stands_for_all_of_the_window_and_of_the_edid() -> None:
    for offset, name in (
        (regs.WINDOW + 0x1234, "Window"),
        (regs.HOLES + 0x680, "Hole"),
        (regs.EDID + 0x17F, "EDID"),
        (port(0x3C2), "IS0"),
    ):
        register = regs.REGISTERS.find(offset, "r")
        assert register is not None
        assert register.name == name
