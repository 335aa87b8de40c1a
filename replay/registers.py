"""Registers as declarations: names, fields and reset values for reports, checks and documentation.

Behaviour is not here. A model keeps plain integers and says with a `RegisterMap` what its registers are called, so
that a difference can be printed as ``LSR.THRE hw=1 model=0`` instead of as two numbers.

A register's identity is (offset, direction, bank): the 16550 has RBR, THR and DLL at offset 0. The bank is a short
string that the device supplies; registers declared without a bank are visible in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from .errors import RegisterMapError

Direction = Literal["r", "w"]
"""The guest's view: "r" is IN or a load, "w" is OUT or a store."""

ACCESSES: Final = ("r", "w", "rw")


@dataclass(frozen=True, slots=True)
class Field:
    """Bits msb..lsb of a register, named as the data sheet names them."""

    name: str
    msb: int
    lsb: int
    values: Mapping[int, str] | None = None
    """What single values mean; for reports only."""

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


def bit(name: str, position: int, values: Mapping[int, str] | None = None) -> Field:
    """A field of one bit."""
    return Field(name, position, position, values)


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
    if register.reset is not None and not 0 <= register.reset < 1 << register.width:
        raise RegisterMapError(f"{name}: reset value {register.reset:#x} does not fit {register.width} bits")
