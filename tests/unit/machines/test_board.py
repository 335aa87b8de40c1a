"""A board: names, places, reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from vmdev.replay.bus import DeviceOverlapError, PioAddress
from vmdev.replay.device import Device
from vmdev.replay.errors import DeviceConfigError
from vmdev.replay.machines.board import Board, Placement
from vmdev.replay.registers import RegisterMap


class Echo(Device):
    """Answers with the offset."""

    registers = RegisterMap()
    order: ClassVar[list[Device]] = []

    def read(self, offset: int, size: int) -> int:
        return offset

    def reset(self) -> None:
        self.order.append(self)

    def state(self) -> Mapping[str, int]:
        return {}


class Brittle(Echo):
    def reset(self) -> None:
        raise ValueError("no")


@pytest.fixture
def board() -> Board:
    Echo.order.clear()
    return Board("toy")


def read(board: Board, port: int) -> int:
    data = bytearray(1)
    board.io.pio_read(PioAddress(port), data)
    return data[0]


def test_a_device_answers_at_all_its_places(board: Board) -> None:
    echo = board.add("echo", Echo(), pio=[(0x20, 2), (0xA0, 2, 2), Placement(0x4D0, 2, 4)], mmio=[(0x1000, 4)])
    assert board.devices == {"echo": echo}
    assert [read(board, port) for port in (0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1)] == [0, 1, 2, 3, 4, 5]


def test_two_devices_cannot_have_one_name(board: Board) -> None:
    board.add("echo", Echo())
    with pytest.raises(DeviceConfigError, match="two devices named 'echo'"):
        board.add("echo", Echo())


def test_a_device_declares_its_registers() -> None:
    echo = Echo()
    echo.registers = None  # type: ignore[assignment]
    with pytest.raises(DeviceConfigError, match="echo declares no registers"):
        Board("test").add("echo", echo, pio=[(0x10, 1)])


def test_two_devices_cannot_have_one_place(board: Board) -> None:
    board.add("one", Echo(), pio=[(0x20, 2)])
    with pytest.raises(DeviceOverlapError):
        board.add("two", Echo(), pio=[(0x21, 1)])


def test_reset_reaches_all_devices_in_order(board: Board) -> None:
    devices = [board.add(name, Echo()) for name in "cab"]
    board.reset()
    assert Echo.order == devices


def test_a_failing_reset_ends_it(board: Board) -> None:
    board.add("brittle", Brittle())
    with pytest.raises(ValueError, match="no"):
        board.reset()


def test_a_failing_reset_is_reported_and_the_others_go_on(board: Board) -> None:
    board.add("brittle", Brittle())
    after = board.add("echo", Echo())
    failed: list[tuple[str, str]] = []
    board.reset(lambda name, error: failed.append((name, str(error))))
    assert failed == [("brittle", "no")]
    assert Echo.order == [after]
