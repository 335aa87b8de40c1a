"""Contracts: where an answer need not equal the recorded one, and how far it may differ.

Without a contract every bit of a register is compared exactly. A contract covers one register, or a field or some bits
of it, and excuses a difference there if its rule holds. It always has a reason. What it excuses is counted.

A model declares contracts in `Device.contracts`; a file beside a trace adds others (`judging/rulefiles.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from .clock import NANOSECONDS_PER_SECOND
from .errors import ContractError
from .registers import Field, Register, RegisterMap

Rule = Literal["exact", "mask", "values", "range", "monotone", "time"]
"""What is asked of the two values, the recorded one and the model's:

- exact: that they are equal. It lifts what the model declares for the register.
- mask: nothing; the bits are not compared.
- values: that both are among some values.
- range: that both are within bounds.
- monotone: that each is never behind the one read before it, in the counter's direction.
- time: that they differ by no more than some ticks or nanoseconds of the counter.
"""

RULES: Final[tuple[Rule, ...]] = ("exact", "mask", "values", "range", "monotone", "time")


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract, as it is declared.

    Raises:
        ContractError: the rule does not exist or lacks what it needs, or there is no reason.
    """

    register: str
    """The register's name in the model's register map."""
    rule: Rule
    reason: str
    field: str | None = None
    """The field that it covers; None: the whole register."""
    bits: int | None = None
    """The bits of the register that it covers, instead of a field."""
    values: tuple[int, ...] = ()
    """Of the rule values."""
    low: int | None = None
    """Of the rule range: the least value."""
    high: int | None = None
    """Of the rule range: the greatest value."""
    ticks: int | None = None
    """Of the rule time: ticks of the counter."""
    ns: int | None = None
    """Of the rule time: nanoseconds, for a register that declares its frequency."""
    until_next: bool = False
    """Of the rule time: what passes until the CPU's next access is excused, too, if it is more."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        if self.rule not in RULES:
            raise ContractError(f"{self.register}: rule must be one of {', '.join(RULES)}, not {self.rule!r}")
        if not self.reason.strip():
            raise ContractError(f"{self.register}: a contract needs a reason")
        if self.field is not None and self.bits is not None:
            raise ContractError(f"{self.register}: a contract covers a field or bits, not both")
        given = {
            name
            for name, is_given in (
                ("values", bool(self.values)),
                ("low", self.low is not None),
                ("high", self.high is not None),
                ("ticks", self.ticks is not None),
                ("ns", self.ns is not None),
            )
            if is_given
        }
        needed: Mapping[str, tuple[set[str], ...]] = {
            "values": ({"values"},),
            "range": ({"low", "high"},),
            "time": ({"ticks"}, {"ns"}),
        }
        if given not in needed.get(self.rule, (set(),)):
            asks = " or ".join(" and ".join(sorted(names)) for names in needed.get(self.rule, ())) or "no numbers"
            raise ContractError(
                f"{self.register}: rule {self.rule} takes {asks}, not {', '.join(sorted(given)) or 'none'}"
            )

    @property
    def words(self) -> str:
        """The rule with its numbers."""
        if self.rule == "values":
            return f"values {', '.join(f'{value:#x}' for value in self.values)}"
        if self.rule == "range":
            return f"range {self.low:#x} to {self.high:#x}"
        if self.rule == "time":
            words = f"time within {self.ns:,} ns" if self.ticks is None else f"time within {self.ticks:,} ticks"
            return f"{words} or to the next access" if self.until_next else words
        return self.rule


class Clause:
    """A contract on one register of one device, and what it excused so far."""

    __slots__ = ("_lsb", "_previous", "area", "bits", "contract", "device", "reads", "register")

    def __init__(self, contract: Contract, device: str, register: Register) -> None:
        self.contract = contract
        self.device = device
        self.register = register
        self.area = _area(contract, device, register)
        """The bits that it covers."""
        self._lsb = (self.area & -self.area).bit_length() - 1
        self._previous: tuple[int, int] | None = None
        self.reads = 0
        """Reads in which it excused a difference."""
        self.bits = 0
        """Bits that it excused, added up over these reads."""
        if contract.rule == "time" and contract.ns is not None and not register.hz:
            raise ContractError(f"{device}.{register.name} declares no frequency: give its tolerance in ticks")

    def forget(self) -> None:
        """The device was reset: what came before bounds nothing."""
        self._previous = None

    def observe(self, hw: int, model: int, visible: int, until_next_ns: Callable[[], int] = int) -> int:
        """The bits that are excused in one read of the register; to be asked at every differing read.

        A clause whose `needs_all` is set wants to be asked at equal ones, too.

        Args:
            hw: the recorded value, in place within the register.
            model: the model's answer, in place.
            visible: the bits of the register that the access covers.
            until_next_ns: tells how much later the CPU made its next access, in ns.
        """
        rule = self.contract.rule
        area = self.area & visible
        if rule == "mask":
            return area
        if rule == "exact" or not area:
            return 0
        if area != self.area and (rule != "time" or area != self.area & (1 << area.bit_length()) - 1):
            return 0  # half a value says nothing; a counter's lower part does
        hw_part, model_part = (hw & area) >> self._lsb, (model & area) >> self._lsb
        full = area >> self._lsb
        holds = self._holds(hw_part, model_part, full)
        if not holds and self.contract.until_next:
            holds = self._is_within(hw_part, model_part, full, until_next_ns())
        return area if holds else 0

    @property
    def needs_all(self) -> bool:
        """Whether equal reads matter to the rule."""
        return self.contract.rule == "monotone"

    def count(self, excused: int) -> None:
        """Note that it excused these bits of a read."""
        self.reads += 1
        self.bits += excused.bit_count()

    def _holds(self, hw: int, model: int, full: int) -> bool:
        contract = self.contract
        if contract.rule == "values":
            return hw in contract.values and model in contract.values
        if contract.rule == "range":
            assert contract.low is not None
            assert contract.high is not None
            return contract.low <= hw <= contract.high and contract.low <= model <= contract.high
        if contract.rule == "time":
            return self._is_within(hw, model, full)
        previous, self._previous = self._previous, (hw, model)
        return previous is None or all(
            self._is_ahead(now, before, full) for now, before in zip((hw, model), previous, strict=True)
        )

    def _is_within(self, hw: int, model: int, full: int, at_least_ns: int = 0) -> bool:
        """Whether two values of a counter differ by no more than the rule says, or what passes in `at_least_ns`."""
        contract = self.contract
        ticks = min((hw - model) & full, (model - hw) & full) * self.register.step
        if contract.ticks is not None:
            return ticks <= max(contract.ticks, at_least_ns)  # none is known to be faster than 1 GHz
        assert contract.ns is not None
        return ticks * NANOSECONDS_PER_SECOND <= max(contract.ns, at_least_ns) * self.register.hz

    def _is_ahead(self, now: int, before: int, full: int) -> bool:
        """Whether a counter that wraps got from one value to the other going its way: by less than half its range."""
        moved = now - before if self.register.counts == "up" else before - now
        return moved & full <= full >> 1


def clauses(
    device: str, registers: RegisterMap, declared: Iterable[Contract], added: Iterable[Contract] = ()
) -> list[Clause]:
    """The clauses of one device: those that its model declares, then those of a file; exact ones come last.

    An exact contract lifts the declared ones on the same register.

    Raises:
        ContractError: a contract names a register or a field that the device does not have.
    """
    added = list(added)
    lifted = {contract.register for contract in added if contract.rule == "exact"}
    kept = [contract for contract in declared if contract.register not in lifted]
    found: list[Clause] = []
    for contract in (*kept, *added):
        named = registers.named(contract.register)
        if not named:
            known = ", ".join(dict.fromkeys(register.name for register in registers))
            raise ContractError(f"{device} has no register {contract.register!r}; it has {known}")
        found += [Clause(contract, device, register) for register in named if "r" in register.access]
        if not any("r" in register.access for register in named):
            raise ContractError(f"{device}.{contract.register} is never read: there is nothing to excuse")
    return found


def _area(contract: Contract, device: str, register: Register) -> int:
    if contract.field is not None:
        field: Field | None = register.find_field(contract.field)
        if field is None:
            known = ", ".join(field.name for field in register.fields) or "none"
            raise ContractError(f"{device}.{register.name} has no field {contract.field!r}; its fields: {known}")
        return field.mask
    if contract.bits is not None:
        if not 0 < contract.bits <= register.full:
            raise ContractError(
                f"{device}.{register.name}: bits {contract.bits:#x} are not among its {register.width} bits"
            )
        return contract.bits
    if contract.rule in ("time", "monotone"):
        return register.counter.mask
    return register.full
