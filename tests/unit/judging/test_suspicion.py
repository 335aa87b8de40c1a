"""Roots and consequences of one device: the rules of `suspicion`, one by one."""

from __future__ import annotations

from vmdev.replay.judging.suspicion import MANY, Spot, Suspicion
from vmdev.replay.registers import Register


def spot(name: str, part: str = "", *fields: str) -> Spot:
    return Spot(name, part, frozenset(fields))


def register(name: str, part: str = "", programs: bool = False) -> Register:
    return Register(name, name, 0, "rw", part=part, programs=programs)


def test_a_root_makes_its_part_suspect() -> None:
    suspicion = Suspicion()
    assert suspicion.is_idle
    assert suspicion.differ(5, [spot("LSR")]) == ("root", 5)
    assert suspicion.differ(6, [spot("IIR")]) == ("consequence", 5)
    assert not suspicion.is_idle


def test_a_register_in_another_part_is_a_root_of_its_own() -> None:
    suspicion = Suspicion()
    suspicion.differ(5, [spot("LSR")])
    assert suspicion.differ(6, [spot("SCR", "scratchpad")]) == ("root", 6)
    assert suspicion.differ(7, [spot("SCR", "scratchpad")]) == ("consequence", 6)


def test_an_access_of_two_parts_is_a_consequence_only_if_both_are_suspect() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("A", "a")])
    assert suspicion.differ(2, [spot("A", "a"), spot("B", "b")]) == ("root", 2)
    assert suspicion.differ(3, [spot("A", "a"), spot("B", "b")]) == ("consequence", 1)


def test_registers_that_are_not_declared_are_a_part_together() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("LSR")])
    assert suspicion.differ(2, [Spot.undeclared(3)]) == ("root", 2)
    assert suspicion.differ(3, [Spot.undeclared(4)]) == ("consequence", 2)


def test_a_fault_makes_everything_suspect() -> None:
    suspicion = Suspicion()
    place = ("ValueError", "a.py", 1)
    assert suspicion.fail(1, place) == ("root", 1)
    assert suspicion.fail(2, place) == ("consequence", 1)
    assert suspicion.fail(3, ("ValueError", "a.py", 2)) == ("root", 3)
    assert suspicion.differ(4, [spot("SCR", "scratchpad")]) == ("consequence", 3)


def test_many_roots_make_everything_suspect() -> None:
    suspicion = Suspicion()
    for number in range(MANY):
        assert suspicion.differ(number, [spot(f"R{number}", f"part {number}")])[0] == "root"
    assert suspicion.differ(9, [spot("other", "another")]) == ("consequence", MANY - 1)


def test_a_reset_ends_suspicion() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("LSR")])
    suspicion.fail(2, ("ValueError", "", 0))
    suspicion.heal()
    assert suspicion.is_idle
    assert suspicion.differ(3, [spot("LSR")]) == ("root", 3)


def test_writing_the_register_of_a_root_ends_its_suspicion() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("IER")])
    suspicion.write([register("MCR")])
    assert suspicion.differ(2, [spot("MSR")]) == ("consequence", 1)
    suspicion.write([register("IER")])
    assert suspicion.is_idle
    assert suspicion.differ(3, [spot("LSR")]) == ("root", 3)


def test_all_registers_of_a_root_must_be_written() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("A"), spot("B")])
    suspicion.write([register("A")])
    assert not suspicion.is_idle
    suspicion.write([register("B")])
    assert suspicion.is_idle


def test_a_register_that_programs_its_part_ends_suspicion_of_it() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("Status 0", "counter 0")])
    suspicion.write([register("Counter 1", "counter 1", programs=True)])
    assert not suspicion.is_idle
    suspicion.write([register("Counter 0", "counter 0", programs=True)])
    assert suspicion.is_idle


def test_the_same_difference_after_reprogramming_is_no_new_root() -> None:
    suspicion = Suspicion()
    suspicion.differ(1, [spot("LSR", "", "THRE", "TEMT")])
    suspicion.write([register("LSR")])
    assert suspicion.differ(2, [spot("LSR", "", "THRE")]) == ("consequence", 1)
    assert suspicion.differ(3, [spot("LSR", "", "DR")]) == ("root", 3)


def test_a_fault_is_not_ended_by_writes() -> None:
    suspicion = Suspicion()
    suspicion.fail(1, ("ValueError", "", 0))
    suspicion.write([register("LSR", programs=True)])
    assert not suspicion.is_idle
