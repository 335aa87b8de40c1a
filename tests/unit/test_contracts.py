"""Contracts: what each rule excuses, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from vmdev.replay.contracts import Clause, Contract, clauses
from vmdev.replay.errors import ContractError
from vmdev.replay.registers import Field, Register, RegisterMap, bit

STATUS = Register("STAT", "Status", 0, "r", (Field("MODE", 5, 4), bit("READY", 7), bit("ERROR", 0)))
COUNT = Register("COUNT", "Counter", 4, "r", width=32, hz=1_000_000)
DOWN = Register("DOWN", "Counter", 8, "r", width=16, counts="down")
WRITE_ONLY = Register("CMD", "Command", 1, "w")
MAP = RegisterMap(STATUS, COUNT, DOWN, WRITE_ONLY)


def clause(register: Register, rule: Any, **parts: Any) -> Clause:
    return Clause(Contract(register.name, rule, "because", **parts), "dev", register)


def test_a_mask_excuses_its_bits() -> None:
    assert clause(STATUS, "mask").observe(0, 0xFF, 0xFF) == 0xFF
    assert clause(STATUS, "mask", bits=0x0F).observe(0, 0xFF, 0xFF) == 0x0F
    assert clause(STATUS, "mask", field="MODE").observe(0, 0xFF, 0xFF) == 0x30


def test_exact_excuses_nothing() -> None:
    assert clause(STATUS, "exact").observe(0, 0xFF, 0xFF) == 0


def test_values_must_hold_for_both() -> None:
    either = clause(STATUS, "values", field="MODE", values=(1, 2))
    assert either.observe(0x10, 0x20, 0xFF) == 0x30
    assert either.observe(0x10, 0x30, 0xFF) == 0
    assert either.observe(0x30, 0x10, 0xFF) == 0


def test_a_range_includes_its_ends() -> None:
    within = clause(STATUS, "range", low=2, high=4)
    assert within.observe(2, 4, 0xFF) == 0xFF
    assert within.observe(2, 5, 0xFF) == 0
    assert within.observe(1, 4, 0xFF) == 0


def test_half_a_value_is_not_judged() -> None:
    assert clause(COUNT, "range", low=0, high=0xFFFFFFFF).observe(1, 2, 0xFF) == 0


@pytest.mark.parametrize(("hw", "model", "holds"), [(100, 103, True), (103, 100, True), (100, 104, False)])
def test_time_in_ticks(hw: int, model: int, holds: bool) -> None:
    assert bool(clause(COUNT, "time", ticks=3).observe(hw, model, 0xFFFFFFFF)) == holds


def test_time_in_nanoseconds_is_by_the_frequency() -> None:
    within = clause(COUNT, "time", ns=3_000)
    assert within.observe(100, 103, 0xFFFFFFFF)
    assert not within.observe(100, 104, 0xFFFFFFFF)


@pytest.mark.parametrize(("passed_ns", "holds"), [(0, False), (4_999, False), (5_000, True)])
def test_time_until_the_next_access_may_be_more(passed_ns: int, holds: bool) -> None:
    in_ns = clause(COUNT, "time", ns=3_000, until_next=True)
    assert in_ns.observe(100, 103, 0xFFFFFFFF, lambda: 0)
    assert bool(in_ns.observe(100, 105, 0xFFFFFFFF, lambda: passed_ns)) == holds
    assert not clause(COUNT, "time", ns=3_000).observe(100, 105, 0xFFFFFFFF, lambda: passed_ns)
    in_ticks = clause(COUNT, "time", ticks=3, until_next=True)
    assert bool(in_ticks.observe(0, 5_000, 0xFFFFFFFF, lambda: passed_ns)) == holds


def test_time_wraps() -> None:
    assert clause(COUNT, "time", ticks=3).observe(0xFFFFFFFF, 1, 0xFFFFFFFF)


def test_the_low_part_of_a_counter_can_be_judged_and_the_high_part_not() -> None:
    within = clause(COUNT, "time", ticks=3)
    assert within.observe(0xFF, 0x01, 0xFF) == 0xFF
    assert within.observe(0x0100, 0x0200, 0xFF00) == 0


def test_monotone_asks_both_to_go_on() -> None:
    going = clause(COUNT, "monotone")
    full = 0xFFFFFFFF
    assert going.observe(10, 90, full)
    assert going.observe(10, 90, full)
    assert going.observe(11, 95, full)
    assert not going.observe(12, 94, full)
    assert not going.observe(11, 99, full)


def test_monotone_goes_down_where_the_counter_does_and_wraps() -> None:
    going = clause(DOWN, "monotone")
    assert going.observe(5, 3, 0xFFFF)
    assert going.observe(4, 0xFFFE, 0xFFFF)
    assert not going.observe(3, 0xFFFF, 0xFFFF)


def test_after_a_reset_a_counter_may_be_anywhere() -> None:
    going = clause(COUNT, "monotone")
    going.observe(50, 50, 0xFFFFFFFF)
    going.forget()
    assert going.observe(1, 2, 0xFFFFFFFF)


def test_what_is_excused_adds_up() -> None:
    mask = clause(STATUS, "mask")
    mask.count(0x81)
    mask.count(0x01)
    assert (mask.reads, mask.bits) == (2, 3)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"rule": "sometimes"}, "rule must be one of"),
        ({"rule": "mask", "reason": " "}, "needs a reason"),
        ({"rule": "mask", "field": "A", "bits": 1}, "a field or bits, not both"),
        ({"rule": "mask", "ticks": 1}, "mask takes no numbers, not ticks"),
        ({"rule": "values"}, "values takes values, not none"),
        ({"rule": "range", "low": 1}, "range takes high and low, not low"),
        ({"rule": "time", "ticks": 1, "ns": 1}, "time takes ticks or ns"),
    ],
)
def test_a_contract_is_checked_when_it_is_made(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        Contract("STAT", **{"reason": "because"} | parts)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (Contract("NONE", "mask", "r"), "dev has no register 'NONE'; it has STAT, COUNT, DOWN, CMD"),
        (Contract("STAT", "mask", "r", field="X"), "dev.STAT has no field 'X'; its fields: MODE, READY, ERROR"),
        (Contract("STAT", "mask", "r", bits=0x100), "bits 0x100 are not among its 8 bits"),
        (Contract("CMD", "mask", "r"), "dev.CMD is never read"),
        (Contract("STAT", "time", "r", ns=1), "declares no frequency"),
    ],
)
def test_a_contract_must_fit_the_device(contract: Contract, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        clauses("dev", MAP, [contract])


def test_an_exact_contract_lifts_those_of_the_model() -> None:
    declared = [Contract("STAT", "mask", "r"), Contract("COUNT", "time", "r", ticks=1)]
    found = clauses("dev", MAP, declared, [Contract("STAT", "exact", "r")])
    assert [(one.register.name, one.contract.rule) for one in found] == [("COUNT", "time"), ("STAT", "exact")]


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (Contract("A", "mask", "r"), "mask"),
        (Contract("A", "values", "r", values=(1, 16)), "values 0x1, 0x10"),
        (Contract("A", "range", "r", low=0, high=255), "range 0x0 to 0xff"),
        (Contract("A", "time", "r", ns=2_500), "time within 2,500 ns"),
        (Contract("A", "time", "r", ticks=3), "time within 3 ticks"),
        (Contract("A", "time", "r", ticks=3, until_next=True), "time within 3 ticks or to the next access"),
    ],
)
def test_a_rule_in_words(contract: Contract, words: str) -> None:
    assert contract.words == words
