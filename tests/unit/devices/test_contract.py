"""What holds for every device model in the catalog."""

from __future__ import annotations

import ast
import importlib
import random
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay import devices
from vmdev.replay.clock import NANOSECONDS_PER_SECOND, Clock
from vmdev.replay.device import Device, Unknown, Unmodelled
from vmdev.replay.devices.catalog import CATALOG
from vmdev.replay.registers import Direction, Register

FILES = sorted(Path(devices.__path__[0]).glob("*.py"))
MODEL_FILES = [path for path in FILES if path.stem in CATALOG]

POWER_ON_ONLY = {("port92", "Port A")}
"""Registers whose declared reset value is that of power-on: a reset leaves them alone."""

LONGEST_STEP_NS = {"i8254": NANOSECONDS_PER_SECOND // 2000}
"""Where the guest can make a timer fire a million times a second, not all of its time is simulated."""

FORBIDDEN_IMPORTS = {
    "asyncio", "logging", "os", "random", "secrets", "select", "socket", "sqlite3", "subprocess", "sys", "threading",
    "time",
}  # fmt: skip
FORBIDDEN_CALLS = {"input", "open", "print"}
HOST_TIME = {"now", "today", "utcnow"}

Step = tuple[bool, int, int, int, int]
"""Is it a write; three numbers of which `perform` makes offset, size and value; time since the last step in ns."""

steps = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 0xFF),
        st.sampled_from((1, 1, 1, 2, 4, 8)),
        st.integers(0, (1 << 64) - 1),
        st.one_of(st.integers(0, 1000), st.integers(0, 3 * NANOSECONDS_PER_SECOND)),
    ),
    max_size=40,
)
every_device = pytest.mark.parametrize("name", sorted(CATALOG))


class Machine:
    """One device and its clock."""

    def __init__(self, name: str, now_ns: int = 0) -> None:
        self.clock = Clock(now_ns)
        self.longest_step_ns = LONGEST_STEP_NS.get(name, 3 * NANOSECONDS_PER_SECOND)
        self.device = CATALOG[name].alone(self.clock)
        self.span = max(register.offset + register.width // 8 for register in self.device.registers)

    def read(self, offset: int, size: int, lesson: int = 0) -> int | None:
        """Read and check the answer. What only a recording knows is taught from `lesson`; None if it is unmodelled."""
        answer = self.device.read_any(offset, size)
        if isinstance(answer, Unmodelled):
            return None
        if isinstance(answer, Unknown):
            assert answer.kind in ("learned", "assumed")
            assert 0 < answer.mask < 1 << 8 * size
            assert 0 <= answer.known < 1 << 8 * size
            assert not answer.known & answer.mask
            answer.learn(lesson & answer.mask)
            return answer.known | lesson & answer.mask
        assert type(answer) is int
        assert 0 <= answer < 1 << 8 * size
        return answer

    def perform(self, step: Step) -> int | None:
        """Make one access within the register space, some time after the last one; what a read gave."""
        is_write, number, size, value, elapsed_ns = step
        self.clock.advance(self.clock.now_ns + elapsed_ns % self.longest_step_ns)
        offset = number % self.span
        while offset + size > self.span:
            size //= 2
        if is_write:
            self.device.write_any(offset, size, value & (1 << 8 * size) - 1)
            return None
        return self.read(offset, size, value)

    def state(self) -> dict[str, int]:
        state = dict(self.device.state())
        for key, value in state.items():
            assert isinstance(key, str)
            assert type(value) is int, key
        return state


def identities(device: Device) -> Iterator[tuple[Register, Direction]]:
    for register in device.registers:
        if "r" in register.access:
            yield register, "r"
        if "w" in register.access:
            yield register, "w"


def setups(device: Device) -> Iterator[list[tuple[int, int]]]:
    """Ways to get at a register: none needed, then each single write of a byte."""
    yield []
    for offset in sorted({register.offset for register in device.registers if "w" in register.access}):
        for value in range(0x100):
            yield [(offset, value)]


WAYS: dict[tuple[str, str], list[tuple[int, int]]] = {}
"""The setups that led to registers, by model and register: the search for one is long where there are many."""


def assert_reset_value(name: str, register: Register, program: list[Step]) -> None:
    """After `program` and a reset `register` reads as declared, by the first way there is to get at it."""
    ways = setups(CATALOG[name].alone(Clock()))
    known = WAYS.get((name, register.name))
    for setup in ways if known is None else chain([known], ways):
        machine = Machine(name)
        for step in program:
            machine.perform(step)
        if program:
            machine.device.reset()
        for offset, byte in setup:
            machine.device.write(offset, 1, byte)
        answer = machine.device.read_any(register.offset, register.width // 8)
        if register.bank in (None, machine.device.bank(register.offset)):
            assert not isinstance(answer, Unmodelled)
            mask, value = (answer.mask, answer.known) if isinstance(answer, Unknown) else (0, answer)
            assert register.reset is not None
            assert value == register.reset & ~mask, register.name
            WAYS[name, register.name] = setup
            return
    pytest.fail(f"no single write shows {register.name} in bank {register.bank!r}")


# The catalog


def test_the_catalog_names_every_model_by_its_file() -> None:
    models = {}
    for path in FILES:
        module = importlib.import_module(
            f"{devices.__name__}.{path.stem}" if path.stem != "__init__" else devices.__name__
        )
        for value in vars(module).values():
            is_model = isinstance(value, type) and issubclass(value, Device) and "title" in vars(value)
            if is_model and value.__module__ == module.__name__:
                assert path.stem not in models, "a file has one model"
                models[path.stem] = value
    assert models == CATALOG


@every_device
def test_the_factory_makes_a_new_device_each_time(name: str) -> None:
    clock = Clock()
    first, second = CATALOG[name].alone(clock), CATALOG[name].alone(clock)
    assert type(first) is CATALOG[name]
    assert first is not second
    assert CATALOG[name].title


# Registers


@every_device
def test_registers_have_names_and_titles(name: str) -> None:
    registers = list(CATALOG[name].registers)
    assert registers
    for register in registers:
        assert register.name.strip()
        assert register.title.strip()
        assert register.width % 8 == 0


@every_device
def test_every_register_can_be_reached_and_accessed(name: str) -> None:
    """A long random walk must get to all of them, in each direction they have, without an error."""
    dice = random.Random(0)
    machine = Machine(name)
    device = machine.device
    sizes = {register.offset: register.width // 8 for register in device.registers}
    offsets = sorted(sizes)
    expected = {(register.name, register.offset, direction) for register, direction in identities(device)}
    reached = set()
    for _ in range(200_000):
        machine.clock.advance(machine.clock.now_ns + dice.randrange(100_000))
        offset = dice.choice(offsets)
        value = dice.randrange(1 << 8 * sizes[offset] if dice.random() < 0.5 else 0x20)  # small ones for indices
        direction: Direction = "r"
        if dice.random() < 0.5:
            direction = "w"
            device.write_any(offset, sizes[offset], value)
        else:
            machine.read(offset, sizes[offset], value)
        register = device.registers.find(offset, direction, device.bank(offset))
        if register is not None:
            reached.add((register.name, register.offset, direction))
        if reached == expected:
            break
    assert reached == expected


@every_device
def test_registers_have_their_reset_values_after_power_on(name: str) -> None:
    for register, direction in identities(CATALOG[name].alone(Clock())):
        if direction == "r" and register.reset is not None:
            assert_reset_value(name, register, [])


@every_device
def test_registers_have_their_reset_values_after_a_reset(name: str) -> None:
    dice = random.Random(1)
    offsets = sorted({register.offset for register in CATALOG[name].registers})
    program: list[Step] = [
        (dice.random() < 0.7, dice.choice(offsets), 1, dice.randrange(0x100), dice.randrange(1_000_000))
        for _ in range(30)
    ]
    for register, direction in identities(CATALOG[name].alone(Clock())):
        # What shows the clock is not 0 at a later time
        kept = (name, register.name) in POWER_ON_ONLY or CATALOG[name].kept_by_reset == ("*",)
        if direction == "r" and register.reset is not None and not kept:
            timeless = program if name != "acpi_pm_timer" else [(*step[:4], 0) for step in program]
            assert_reset_value(name, register, timeless)


# Behaviour


@every_device
@given(program=steps)
def test_two_equal_replays_are_equal(name: str, program: list[Step]) -> None:
    one, other = Machine(name), Machine(name)
    for step in program:
        assert one.perform(step) == other.perform(step)
    assert one.state() == other.state()


@every_device
@given(program=steps)
def test_state_can_be_looked_at_without_effect(name: str, program: list[Step]) -> None:
    watched, other = Machine(name), Machine(name)
    for step in program:
        watched.state()
        assert watched.perform(step) == other.perform(step)
    assert watched.state() == other.state()


@every_device
@given(program=steps)
def test_reset_forgets_what_the_guest_did(name: str, program: list[Step]) -> None:
    used = Machine(name)
    for step in program:
        used.perform(step)
    used.device.reset()
    fresh = Machine(name)
    fresh.clock.advance(used.clock.now_ns)
    fresh.device.reset()
    kept = CATALOG[name].kept_by_reset

    def forgotten(state: dict[str, int]) -> dict[str, int]:
        return {key: value for key, value in state.items() if not any(fnmatch(key, pattern) for pattern in kept)}

    assert forgotten(used.state()) == forgotten(fresh.state())


@every_device
@given(program=steps)
def test_a_second_reset_changes_nothing(name: str, program: list[Step]) -> None:
    machine = Machine(name)
    for step in program:
        machine.perform(step)
    machine.device.reset()
    once = machine.state()
    machine.device.reset()
    assert machine.state() == once


@every_device
@given(program=steps, number=st.integers(0, 0xFF), hw=st.integers(0, 0xFF))
def test_a_difference_that_is_not_assumed_changes_nothing(name: str, program: list[Step], number: int, hw: int) -> None:
    machine = Machine(name)
    for step in program:
        machine.perform(step)
    offset = number % machine.span
    model = machine.read(offset, 1, hw)
    if model is None or model == hw:
        return
    before = machine.state()
    if not machine.device.assume(offset, 1, hw, model):
        assert machine.state() == before


# Source text


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_the_docstring_says_whence_and_how_far(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for heading in ("\nSource: ", "\nModelled: ", "\nNot modelled: ", "\nFollows QEMU"):
        assert heading in text, heading


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_comes_from_the_host(path: Path) -> None:
    """Time, chance and files: a model gets what it needs from its constructor."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [(node.module or "").partition(".")[0]]
        assert not FORBIDDEN_IMPORTS.intersection(names), names
        if isinstance(node, ast.Attribute):
            assert node.attr not in HOST_TIME, ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, ast.unparse(node)
