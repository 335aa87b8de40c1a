"""Registers as declarations: names, fields and reset values for reports, checks and documentation.

Behaviour is not here. A model keeps plain integers and says with a `RegisterMap` what its registers are called, so
that a difference can be printed as ``LSR.THRE hw=1 model=0`` instead of as two numbers.

A register's identity is (offset, direction, bank): the 16550 has RBR, THR and DLL at offset 0. The bank is a short
string that the device supplies; registers declared without a bank are visible in all of them.

Some declarations are for the judge alone. They are optional, and nothing but a clearer verdict depends on them:
`nature` (and `hz`, `step`, `counts` of a counter) says where a value comes from, so that the judge can name the class
of a difference; `part` says which registers share no state with the others, so that one wrong register does not pass
for the consequence of another; `programs` marks writes that set a whole part anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Final, Literal, Self

from .errors import RegisterMapError

Direction = Literal["r", "w"]
"""The guest's view: "r" is IN or a load, "w" is OUT or a store."""

ACCESSES: Final = ("r", "w", "rw")

Nature = Literal["time", "interrupt", "outside", "configuration"]
"""Where a value comes from, if not from the guest's accesses alone: the clock, pending events, input from outside the
machine, or how the machine was set up (straps, identities, sizes, NVRAM)."""

NATURES: Final[tuple[Nature, ...]] = ("time", "interrupt", "outside", "configuration")


@dataclass(frozen=True, slots=True)
class Field:
    """Bits msb..lsb of a register, named as the data sheet names them."""

    name: str
    msb: int
    lsb: int
    values: Mapping[int, str] | None = None
    """What single values mean; for reports only."""
    nature: Nature | None = None
    """Where its value comes from; None: as its register says."""

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.msb - self.lsb + 1

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.width) - 1) << self.lsb

    def extract(self, value: int) -> int:
        """The field's value within the register value `value`."""
        return (value & self.mask) >> self.lsb

    def describe(self, value: int) -> str:
        """The field's value within `value` as text: ``0b10 (RX data)``."""
        part = self.extract(value)
        text = str(part) if self.width == 1 else f"0b{part:0{self.width}b}" if self.width <= 4 else f"{part:#x}"
        meaning = self.values.get(part) if self.values else None
        return f"{text} ({meaning})" if meaning else text


def bit(name: str, position: int, values: Mapping[int, str] | None = None, nature: Nature | None = None) -> Field:
    """A field of one bit."""
    return Field(name, position, position, values, nature)


@dataclass(frozen=True, slots=True)
class Register:
    """One register as its data sheet describes it."""

    name: str
    """The data sheet's mnemonic: ``LSR``."""
    title: str
    offset: int
    """Bytes from the start of the device's register space."""
    access: Literal["r", "w", "rw"]
    fields: tuple[Field, ...] = ()
    bank: str | None = None
    """The bank in which it is visible; None: in every bank."""
    reset: int | None = None
    """The value after a reset; None where the data sheet leaves it undefined."""
    width: int = 8
    """Size in bits."""
    source: str = ""
    """Where it is described, if that differs from the device's other registers: ``table 4``."""
    nature: Nature | None = None
    """Where its value comes from, in all fields that do not say otherwise; None: from the guest's accesses."""
    hz: int = 0
    """Of a counter: its frequency; 0: it is none, or the frequency can change. A counter's nature is "time"."""
    step: int = 1
    """Of a counter: ticks that bit 0 stands for, more than 1 where the register shows a counter's upper part."""
    counts: Literal["up", "down"] = "up"
    """Of a counter: its direction."""
    part: str = ""
    """Which of the device's independent parts it belongs to. A wrong register makes those of its own part suspect and
    no others; without a part, it belongs with all others that have none."""
    programs: bool = False
    """A write sets its whole part anew, whatever it was before: nothing in the part is suspect after it."""

    @property
    def full(self) -> int:
        """A value of all ones."""
        return (1 << self.width) - 1

    def nature_of(self, field: Field) -> Nature | None:
        """Where the value of one of its fields comes from."""
        return field.nature or self.effective_nature

    @property
    def effective_nature(self) -> Nature | None:
        """`nature`, where a frequency alone says it too."""
        return self.nature or ("time" if self.hz else None)

    @property
    def counter(self) -> Field:
        """Of a counter: the bits that count. They are those of the lowest field, or all of the register."""
        for field in self.fields:
            if field.lsb == 0:
                return field
        return Field(self.name, self.width - 1, 0)

    def field_differences(self, hw: int, model: int) -> list[tuple[str, str, str]]:
        """Fields in which two values differ, as (name, hw text, model text); bits outside all fields last.

        A register without declared fields gives an empty list: its value is the whole story.
        """
        different = hw ^ model
        rows = [(f.name, f.describe(hw), f.describe(model)) for f in self.fields if different & f.mask]
        rest = different
        for field in self.fields:
            rest &= ~field.mask
        if self.fields and rest:
            rows.append((f"bits {rest:#04x}", f"{hw & rest:#04x}", f"{model & rest:#04x}"))
        return rows

    def find_field(self, name: str) -> Field | None:
        """The field of that name; None if there is none."""
        return next((field for field in self.fields if field.name == name), None)


class RegisterMap:
    """All registers of a device, checked for contradictions when it is built.

    Raises:
        RegisterMapError: two registers of one identity, an undeclared bank, overlapping fields, a field beyond the
            register's width, a named value beyond its field, a reset value beyond its register.
    """

    def __init__(self, *registers: Register, banks: tuple[str, ...] = ()) -> None:
        self._by_identity: dict[tuple[int, str, str | None], Register] = {}
        self._registers = registers
        self.banks = banks
        self._take(registers)

    def plus(self, *registers: Register) -> Self:
        """A map with these registers, too; only they are checked."""
        found = copy(self)
        found._by_identity = dict(self._by_identity)
        found._registers = (*self._registers, *registers)
        found._take(registers)
        return found

    def _take(self, registers: Iterable[Register]) -> None:
        banks = self.banks
        for register in registers:
            _check(register)
            if register.bank is not None and register.bank not in banks:
                raise RegisterMapError(f"{register.name}: bank {register.bank!r} is not one of {banks!r}")
            for direction in register.access:
                key = (register.offset, direction, register.bank)
                other = self._by_identity.get(key)
                if other is not None:
                    raise RegisterMapError(
                        f"{register.name} and {other.name} are both at offset {register.offset:#x}, "
                        f"direction {direction!r}, bank {register.bank!r}"
                    )
                self._by_identity[key] = register

    def __iter__(self) -> Iterator[Register]:
        return iter(self._registers)

    def __len__(self) -> int:
        return len(self._registers)

    def named(self, name: str) -> list[Register]:
        """All registers of that name: one may be at several offsets or in several banks."""
        return [register for register in self._registers if register.name == name]

    def find(self, offset: int, direction: Direction, bank: str | None = None) -> Register | None:
        """The register that an access reaches, or None if the map declares none there."""
        if bank is not None:
            register = self._by_identity.get((offset, direction, bank))
            if register is not None:
                return register
        return self._by_identity.get((offset, direction, None))


def _check(register: Register) -> None:
    name = register.name
    if register.access not in ACCESSES:
        raise RegisterMapError(f"{name}: access must be one of {ACCESSES!r}, not {register.access!r}")
    if register.offset < 0:
        raise RegisterMapError(f"{name}: offset must not be negative, not {register.offset!r}")
    taken = 0
    for field in register.fields:
        if not 0 <= field.lsb <= field.msb < register.width:
            raise RegisterMapError(
                f"{name}.{field.name}: bits {field.msb}..{field.lsb} do not fit a register of {register.width} bits"
            )
        if taken & field.mask:
            raise RegisterMapError(f"{name}.{field.name}: bits {field.msb}..{field.lsb} belong to another field too")
        taken |= field.mask
        for value in field.values or ():
            if not 0 <= value < 1 << field.width:
                raise RegisterMapError(f"{name}.{field.name}: value {value:#x} does not fit {field.width} bits")
    natures = (register.nature, *(field.nature for field in register.fields))
    if any(nature is not None and nature not in NATURES for nature in natures):
        raise RegisterMapError(f"{name}: a nature must be one of {NATURES!r}, not {natures!r}")
    if register.hz < 0 or register.step < 1 or register.counts not in ("up", "down"):
        raise RegisterMapError(
            f"{name}: impossible counter: hz={register.hz!r}, step={register.step!r}, counts={register.counts!r}"
        )
    if register.hz and register.nature not in (None, "time"):
        raise RegisterMapError(f"{name}: what counts at {register.hz} Hz is of nature 'time', not {register.nature!r}")
    if register.reset is not None and not 0 <= register.reset < 1 << register.width:
        raise RegisterMapError(f"{name}: reset value {register.reset:#x} does not fit {register.width} bits")
