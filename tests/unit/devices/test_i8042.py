"""8042 with keyboard and mouse: what the PS/2 reference says, and where QEMU differs from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.i8042 import I8042
from vmdev.replay.irq import Line

ACK, RESEND = 0xFA, 0xFE
OBF, SYSTEM, AUX_OBF, IDLE = 0x01, 0x04, 0x20, 0x18
EMPTY = -1


class Machine:
    """A controller and its lines."""

    def __init__(self, outside: bool = True) -> None:
        self.irq1, self.irq12 = Line(), Line()
        self.i8042 = I8042(self.irq1, self.irq12, outside=outside)

    @property
    def status(self) -> int:
        return self.i8042.read(1, 1)

    def data(self) -> int:
        return self.i8042.read(0, 1)

    def command(self, value: int, *parameters: int) -> None:
        self.i8042.write(1, 1, value)
        for parameter in parameters:
            self.i8042.write(0, 1, parameter)

    def kbd(self, *values: int) -> None:
        for value in values:
            self.i8042.write(0, 1, value)

    def mouse(self, *values: int) -> None:
        for value in values:
            self.command(0xD4, value)

    def drain(self) -> list[int]:
        """All that waits, in order."""
        values = []
        while self.status & OBF:
            values.append(self.data())
        return values


@pytest.fixture
def machine() -> Machine:
    return Machine()


# Controller


def test_status_after_reset(machine: Machine) -> None:
    assert machine.status == IDLE
    assert machine.i8042.bank(1) is None


def test_self_test_answers_55_and_sets_the_system_flag(machine: Machine) -> None:
    machine.command(0xAA)
    assert machine.status == IDLE | SYSTEM | OBF
    assert (machine.data(), machine.status, machine.i8042.bank(0)) == (0x55, IDLE | SYSTEM, "controller")


@pytest.mark.parametrize(("command", "answer"), [(0x20, 0x03), (0xA9, 0x00), (0xAB, 0x00), (0xC0, 0x80), (0xD0, 0xCF)])
def test_commands_with_an_answer(machine: Machine, command: int, answer: int) -> None:
    machine.command(command)
    assert machine.drain() == [answer]


@pytest.mark.parametrize("command", [0x21, 0x61, 0x00, 0xA1, 0xD5, 0xF1, 0xFE, 0xFF])
def test_other_commands_do_nothing_here(machine: Machine, command: int) -> None:
    before = machine.i8042.state()
    machine.command(command)
    assert machine.i8042.state() == before


def test_the_command_byte_reads_back(machine: Machine) -> None:
    machine.command(0x60, 0x65)
    assert machine.i8042.bank(0) == "command byte"
    machine.command(0x20)
    assert machine.drain() == [0x65]


@pytest.mark.parametrize(("disable", "enable", "bit"), [(0xAD, 0xAE, 0x10), (0xA7, 0xA8, 0x20)])
def test_interfaces_can_be_disabled(machine: Machine, disable: int, enable: int, bit: int) -> None:
    machine.command(disable)
    machine.command(0x20)
    assert machine.drain() == [0x03 | bit]
    machine.command(enable)
    machine.command(0x20)
    assert machine.drain() == [0x03]


def test_the_output_buffer_can_be_written_as_either_device(machine: Machine) -> None:
    """D2h, D3h."""
    machine.command(0xD2, 0x12)
    assert (machine.status, machine.data()) == (IDLE | OBF, 0x12)
    machine.command(0xD3, 0x34)
    assert (machine.status, machine.data()) == (IDLE | OBF | AUX_OBF, 0x34)


def test_the_output_port_reads_back_with_a20(machine: Machine) -> None:
    machine.command(0xD1, 0xDF)
    assert machine.i8042.a20.level
    machine.command(0xD0)
    assert machine.drain() == [0xDF]
    machine.command(0xDD)
    assert not machine.i8042.a20.level
    machine.command(0xDF)
    assert machine.i8042.a20.level


def test_the_output_port_shows_a_full_buffer(machine: Machine) -> None:
    machine.kbd(0xEE)
    machine.command(0xD0)
    assert machine.drain() == [0xEE, 0xDF]
    machine.mouse(0xE6)
    machine.command(0xD0)
    assert machine.drain() == [ACK, 0xFF]


def test_a_second_answer_overwrites_one_that_waits(machine: Machine) -> None:
    """QEMU: the controller has room for one, behind the output buffer."""
    machine.kbd(0xEE)
    machine.command(0xA9)
    machine.command(0xAA)
    assert machine.drain() == [0xEE, 0x55]


def test_reading_an_empty_buffer_gives_the_last_byte(machine: Machine) -> None:
    machine.command(0xAA)
    assert [machine.data(), machine.data()] == [0x55, 0x55]


def test_irq_1_follows_the_buffer_and_the_command_byte(machine: Machine) -> None:
    machine.kbd(0xEE)
    assert machine.irq1.level
    machine.command(0x60, 0x02)
    assert not machine.irq1.level
    machine.command(0x60, 0x01)
    assert machine.irq1.level
    machine.command(0x60, 0x11)
    assert not machine.irq1.level
    machine.command(0x60, 0x01)
    machine.data()
    assert not machine.irq1.level


def test_irq_12_is_the_mouses(machine: Machine) -> None:
    machine.mouse(0xE6)
    assert (machine.irq1.level, machine.irq12.level) == (False, True)
    machine.command(0x60, 0x01)
    assert not machine.irq12.level
    machine.command(0x60, 0x02)
    machine.data()
    assert not machine.irq12.level


def test_keyboard_and_mouse_take_turns(machine: Machine) -> None:
    """QEMU: while one is read, the other fills the buffer."""
    machine.kbd(0xF2)
    machine.mouse(0xE9)
    values = [(machine.status & AUX_OBF, machine.data()) for _ in range(7)]
    assert [bool(aux) for aux, _ in values] == [False, True, False, True, False, True, True]
    assert [value for aux, value in values if not aux] == [ACK, 0xAB, 0x83]


def test_a_disabled_interface_keeps_its_data(machine: Machine) -> None:
    machine.kbd(0xF2)
    machine.data()
    machine.command(0xAD)
    assert (machine.data(), machine.status & OBF) == (0xAB, 0)
    machine.command(0xAE)
    assert machine.drain() == [0x83]


def test_writing_to_a_device_enables_its_interface(machine: Machine) -> None:
    machine.command(0xAD)
    machine.command(0xA7)
    machine.kbd(0xEE)
    machine.mouse(0xE6)
    machine.drain()
    machine.command(0x20)
    assert machine.drain() == [0x03]


# Keyboard


@pytest.mark.parametrize(
    ("written", "answers"),
    [
        ([0xEE], [0xEE]), ([0xF4], [ACK]), ([0xF5], [ACK]), ([0xF6], [ACK]), ([0xFA], [ACK]), ([0x00], [ACK]),
        ([0xFF], [ACK, 0xAA]), ([0xF2], [ACK, 0xAB, 0x83]), ([0x05], [RESEND]), ([0xF1], [RESEND]),
    ],
)  # fmt: skip
def test_keyboard_commands(machine: Machine, written: list[int], answers: list[int]) -> None:
    machine.kbd(*written)
    assert machine.drain() == answers


@pytest.mark.parametrize("command", [0xED, 0xF3, 0xFC])
def test_keyboard_commands_with_a_parameter(machine: Machine, command: int) -> None:
    for value in (command, 0x07):
        machine.kbd(value)
        assert machine.drain() == [ACK]
    assert machine.i8042.state()["kbd_leds"] == (7 if command == 0xED else 0)


def test_scan_code_sets_can_be_chosen_and_asked_for(machine: Machine) -> None:
    for parameter, answers in ((0, [ACK, 2]), (3, [ACK]), (0, [ACK, 3]), (4, [RESEND]), (0, [ACK, 3])):
        machine.kbd(0xF0)
        machine.drain()
        machine.kbd(parameter)
        assert machine.drain() == answers


def test_translation_changes_the_answers(machine: Machine) -> None:
    """The controller converts them as if they were scan codes."""
    machine.command(0x60, 0x43)
    machine.kbd(0xF2)
    assert machine.drain() == [ACK, 0xAB, 0x41]
    machine.kbd(0xF0)
    machine.drain()
    machine.kbd(0)
    assert machine.drain() == [ACK, 0x41]


def test_a_new_command_drops_what_is_left_of_an_answer(machine: Machine) -> None:
    machine.kbd(0xF2)
    machine.data()
    machine.kbd(0xEE)
    assert machine.drain() == [0xEE]


def test_a_keyboard_reset_restores_the_defaults(machine: Machine) -> None:
    machine.kbd(0xED, 7, 0xF0, 3, 0xF5, 0xFF)
    state = machine.i8042.state()
    assert (state["kbd_leds"], state["kbd_set"], state["kbd_scans"]) == (0, 2, 1)


# Mouse


@pytest.mark.parametrize(
    ("written", "answers"),
    [
        ([0xFF], [ACK, 0xAA, 0]), ([0xF2], [ACK, 0]), ([0xE9], [ACK, 0, 0, 0]), ([0xF6, 0xE9], [ACK, ACK, 0, 2, 100]),
        ([0xE7, 0xF4, 0xF0, 0xE9], [ACK, ACK, ACK, ACK, 0x70, 0, 0]), ([0xE6, 0xF5, 0xEA, 0xE9], [ACK] * 4 + [0] * 3),
        ([0xE8, 3, 0xF3, 60, 0xE9], [ACK] * 5 + [0, 3, 60]), ([0xEB], [ACK, 8, 0, 0]), ([0xE1], []),
        ([0xEE, 0xE9, 0xEC, 0xF2], [ACK, 0xE9, ACK, ACK, 0]), ([0xEE, 0xFF], [ACK, 0xAA, 0]),
    ],
)  # fmt: skip
def test_mouse_commands(machine: Machine, written: list[int], answers: list[int]) -> None:
    machine.mouse(*written)
    assert machine.drain() == answers


@pytest.mark.parametrize(
    ("rates", "kind"),
    [([200, 100, 80], 3), ([200, 200, 80], 4), ([200, 100, 60], 0), ([200, 50, 80], 0), ([100, 80], 0)],
)
def test_sample_rates_turn_on_the_wheel(machine: Machine, rates: list[int], kind: int) -> None:
    """IntelliMouse, and Explorer."""
    for rate in rates:
        machine.mouse(0xF3, rate)
    machine.drain()
    machine.mouse(0xF2)
    assert machine.drain() == [ACK, kind]
    machine.mouse(0xEB)
    assert machine.drain() == [ACK, 8, 0, 0, 0][: 5 if kind else 4]


def test_a_full_mouse_queue_takes_no_more(machine: Machine) -> None:
    machine.mouse(*[0xE9] * 5)
    assert len(machine.drain()) == 16


# Outside input


def test_a_key_is_assumed_when_the_status_shows_it(machine: Machine) -> None:
    assert machine.i8042.assume(1, 1, IDLE | OBF, IDLE)
    assert machine.status == IDLE | OBF
    assert machine.irq1.level
    answer = machine.data()
    assert isinstance(answer, Unknown)
    assert (answer.mask, answer.kind) == (0xFF, "assumed")
    answer.learn(0x1C)
    assert machine.data() == 0x1C


def test_a_movement_is_assumed_of_a_mouse_that_sends(machine: Machine) -> None:
    assert not machine.i8042.assume(1, 1, IDLE | OBF | AUX_OBF, IDLE)
    machine.mouse(0xF4)
    machine.drain()
    assert machine.i8042.assume(1, 1, IDLE | OBF | AUX_OBF, IDLE)
    assert isinstance(machine.data(), Unknown)


@pytest.mark.parametrize(("hw", "model"), [(IDLE, IDLE | OBF), (IDLE | SYSTEM, IDLE), (IDLE | AUX_OBF, IDLE)])
def test_other_differences_are_not_assumed(machine: Machine, hw: int, model: int) -> None:
    assert not machine.i8042.assume(1, 1, hw, model)
    assert not machine.i8042.assume(0, 1, IDLE | OBF, IDLE)


def test_no_key_comes_from_a_disabled_keyboard_or_without_an_outside(machine: Machine) -> None:
    machine.kbd(0xF5)
    machine.drain()
    assert not machine.i8042.assume(1, 1, IDLE | OBF, IDLE)
    machine.kbd(0xF4)
    machine.drain()
    machine.command(0xAD)
    assert not machine.i8042.assume(1, 1, IDLE | OBF, IDLE)
    assert not Machine(outside=False).i8042.assume(1, 1, IDLE | OBF, IDLE)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 0xFF)), max_size=60))
def test_what_waits_can_always_be_read_out(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    for where, value in steps:
        if where == 2:
            machine.data()
        else:
            machine.i8042.write(where, 1, value)
    machine.command(0xAE)
    machine.command(0xA8)
    assert len(machine.drain()) <= 16 + 16 + 8 + 2
    assert not machine.irq1.level
    assert not machine.irq12.level
