"""ICH9 chipset configuration registers: data sheet 316972, section 10.1, and QEMU."""

from __future__ import annotations

from vmdev.replay.devices.ich9_rcba import GCS, SIZE, Ich9Rcba


def test_reset_values() -> None:
    registers = Ich9Rcba()
    assert [registers.read(offset, 4) for offset in (0x3140, 0x3144, 0x3148, 0x3150, GCS)] == [
        0x0000_3210, 0x3210_3210, 0x3210, 0x3210, 0x20,
    ]  # fmt: skip


def test_all_else_reads_back_until_a_reset() -> None:
    registers = Ich9Rcba()
    registers.write(0x1234, 4, 0x8765_4321)
    assert registers.read(0x1236, 2) == 0x8765
    registers.write(SIZE - 2, 4, 0x8765_4321)
    assert registers.read(SIZE - 2, 2) == 0x4321
    assert registers.state()["0x1234"] == 0x8765_4321
    registers.reset()
    assert registers.read(0x1234, 4) == 0


def test_pins_of_devices_25_to_31_go_where_their_registers_say() -> None:
    """10.1.37 and on."""
    heard: list[int] = []
    registers = Ich9Rcba(lambda: heard.append(1))
    assert [registers.pirq(31, pin) for pin in range(4)] == [0, 1, 2, 3]
    registers.write(0x3140, 2, 0x7654)
    assert [registers.pirq(31, pin) for pin in range(4)] == [4, 5, 6, 7]
    assert len(heard) == 2


def test_other_pins_go_to_the_upper_four_lines() -> None:
    """QEMU."""
    registers = Ich9Rcba()
    assert [registers.pirq(slot, 0) for slot in (0, 1, 2, 3, 4, 24)] == [4, 5, 6, 7, 4, 4]
    assert [registers.pirq(30, pin) for pin in range(4)] == [4, 5, 6, 7]
    assert registers.pirq(3, 1) == 4
