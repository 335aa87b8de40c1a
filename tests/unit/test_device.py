"""The base class of models: wide accesses, answers that are not plain values, vm-device's handlers, windows."""

from __future__ import annotations

import pytest

from vmdev.replay.device import UNMODELLED, Device, Unknown, Window
from vmdev.replay.registers import Register, RegisterMap


class Bytes(Device):
    """Eight bytes of storage; a missing one is known to the recording only; 7 is not modelled."""

    registers = RegisterMap(*(Register(f"B{n}", "Byte", n, "rw") for n in range(8)))

    def __init__(self, *values: int) -> None:
        self.cells: dict[int, int] = dict(enumerate(values))
        self.accesses: list[tuple[int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.accesses.append((offset, size))
        if offset == 7:
            return UNMODELLED
        if offset in self.cells:
            return self.cells[offset]
        return Unknown(0, 0xFF, lambda value: self.cells.__setitem__(offset, value))

    def write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append((offset, size))
        self.cells[offset] = value


class Words(Bytes):
    """The same in pieces of two bytes."""

    width = 2


def test_unknown_equals_no_recorded_value_and_keeps_its_parts_apart() -> None:
    answer = Unknown(0xF5, 0x0F, lambda value: None, "assumed")
    assert answer == -1
    assert (answer.known, answer.mask, answer.kind) == (0xF0, 0x0F, "assumed")


def test_wide_read_is_put_together_little_endian() -> None:
    device = Bytes(0x11, 0x22, 0x33, 0x44)
    assert device.read_any(0, 4) == 0x44332211
    assert device.accesses == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert device.read_any(1, 1) == 0x22


def test_wide_write_is_taken_apart_little_endian() -> None:
    device = Bytes()
    device.write_any(2, 4, 0x44332211)
    assert device.cells == {2: 0x11, 3: 0x22, 4: 0x33, 5: 0x44}


def test_pieces_are_as_wide_as_the_device_takes() -> None:
    device = Words(0x2211, 0, 0x4433)
    assert device.read_any(0, 4) == 0x44332211
    assert device.accesses == [(0, 2), (2, 2)]


def test_each_unknown_piece_of_a_wide_read_learns_its_own_bits() -> None:
    device = Bytes(0x11)
    answer = device.read_any(0, 4)
    assert isinstance(answer, Unknown)
    assert (answer.known, answer.mask) == (0x11, 0xFFFFFF00)
    answer.learn(0x44332200)
    assert device.read_any(0, 4) == 0x44332211


def test_wide_read_that_touches_the_unmodelled_is_unmodelled() -> None:
    assert Bytes(*range(7)).read_any(6, 2) is UNMODELLED


def test_vm_device_handlers_fill_and_take_buffers() -> None:
    device = Bytes(0x11, 0x22)
    data = bytearray(2)
    device.pio_read(None, 0, data)
    assert data == b"\x11\x22"
    device.mmio_write(None, 4, b"\x55\x66")
    assert (device.cells[4], device.cells[5]) == (0x55, 0x66)


@pytest.mark.parametrize(("offset", "answer"), [(3, b"\x00"), (7, b"\xff")])
def test_buffer_without_an_answer(offset: int, answer: bytes) -> None:
    """What only a recording knows reads as 0; what is not modelled as where no device is."""
    data = bytearray(b"\xaa")
    Bytes().pio_read(None, offset, data)
    assert data == answer


def test_window_shows_a_part_of_the_register_space() -> None:
    device = Bytes(*range(7))
    window = Window(device, 4)
    data = bytearray(1)
    window.pio_read(None, 1, data)
    assert data == b"\x05"
    window.mmio_write(None, 2, b"\x99")
    assert device.cells[6] == 0x99


def test_nothing_is_assumed_unless_a_model_says_so() -> None:
    assert Bytes(1).assume(0, 1, 2, 1) is False
