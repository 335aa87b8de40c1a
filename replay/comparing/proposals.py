"""Contracts for the bits that differ between two recordings: proposed, for a person to accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from ..contracts import Contract
from ..printable import printable
from ..report.wording import number
from .comparison import Comparison, Difference

REASON: Final = "differs between recordings"

_HEAD: Final = """\
# Proposed by vmdev compare {a} {b}.
# Each masks the bits that differed, and no others. What is masked is not checked any more: keep what you can explain.
"""

_NOT_NEEDED: Final = "# The models answer it as recorded, in both: they need no contract for it.\n"


def proposals(comparison: Comparison) -> list[tuple[Difference, Contract]]:
    """A contract for each register of a model that was read differently."""
    return [
        (difference, Contract(difference.register, "mask", _evidence(difference, comparison), bits=difference.bits))
        for difference in comparison.differences
        if difference.is_declared and difference.direction == "r"
    ]


def as_toml(comparison: Comparison) -> str:
    """The contracts, as ``vmdev replay --contracts`` reads them."""
    head = _HEAD.format(a=printable(comparison.a.name), b=printable(comparison.b.name))
    return "\n".join([head, *_tables(comparison)])


def _tables(comparison: Comparison) -> Iterator[str]:
    for difference, contract in proposals(comparison):
        yield (
            f"{_NOT_NEEDED if difference.models_agree else ''}[[contract]]\n"
            f"device = {_text(difference.device)}\n"
            f"register = {_text(contract.register)}\n"
            f"bits = {contract.bits:#x}\n"
            f"rule = {_text(contract.rule)}\n"
            f"reason = {_text(contract.reason)}\n"
        )


def _evidence(difference: Difference, comparison: Comparison) -> str:
    return (
        f"{REASON}: {difference.count:,} of {number(difference.pairs, 'read')}, first {difference.value_a:#x} at seq "
        f"{difference.seq_a:,} of {comparison.a.name} and {difference.value_b:#x} at seq {difference.seq_b:,} of "
        f"{comparison.b.name}"
    )


def _text(value: str) -> str:
    """A basic string of TOML."""
    return json.dumps(printable(value), ensure_ascii=False)
