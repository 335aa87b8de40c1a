"""Names for what an access reached: its registers, and the fields in which two values of them differ.

An access need not be one register: a word read of a byte-wide device reaches two, a byte read of a 32-bit counter a
part of one. Here an access is cut into pieces, each the part of one register that it covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from .device import Device
from .registers import Direction, Field, Register
from .verdict import FieldDifference, FieldPair

WIDEST_REGISTER_BYTES: Final = 8


class Piece(NamedTuple):
    """The part of an access that falls on one register, or on one byte that no register is declared for."""

    register: Register | None
    start: int
    """First bit within the access."""
    bits: int
    """Number of bits."""
    shift: int
    """First bit within the register."""


class Differing(NamedTuple):
    """A register, or a byte that none is declared for, in which two values of an access differ."""

    register: Register | None
    offset: int
    """Of the register's first byte that the access covers."""
    hw: int
    """In place within the register, as far as the access covers it."""
    model: int
    visible: int
    """The bits of the register that the access covers."""

    @property
    def bits(self) -> int:
        """The register's bits that differ."""
        return self.hw ^ self.model

    @property
    def name(self) -> str:
        """The register's name, or its offset."""
        return self.register.name if self.register else f"offset {self.offset:#x}"

    @property
    def fields(self) -> list[Field]:
        """The fields that differ."""
        return [field for field in self.register.fields if field.mask & self.bits] if self.register else []


def pieces(device: Device, offset: int, size: int, direction: Direction) -> list[Piece]:
    """Cut the last access to `device` into registers. To be asked right after the access, for the banks' sake."""
    found: list[Piece] = []
    at = offset
    end = offset + size
    while at < end:
        register, into = _covering(device, at, direction)
        length = min(end - at, max(1, register.width // 8 - into)) if register else 1
        found.append(Piece(register, 8 * (at - offset), 8 * length, 8 * into))
        at += length
    return found


def register_names(device: Device, offset: int, size: int, direction: Direction, bits: int) -> str | None:
    """The registers that hold any of `bits` (a mask within the access), joined by "+"; None if none is declared."""
    names = [
        piece.register.name
        for piece in pieces(device, offset, size, direction)
        if piece.register and bits >> piece.start & (1 << piece.bits) - 1
    ]
    return "+".join(names) or None


def differing(offset: int, found: Sequence[Piece], hw: int, model: int, mask: int = -1) -> list[Differing]:
    """The pieces of an access at `offset` in which two values differ, in any bit of `mask`."""
    rows: list[Differing] = []
    for register, start, bits, shift in found:
        full = (1 << bits) - 1
        if (hw ^ model) & mask & full << start:
            hw_part, model_part = hw >> start & full, model >> start & full
            rows.append(Differing(register, offset + start // 8, hw_part << shift, model_part << shift, full << shift))
    return rows


def describe(rows: Sequence[Differing]) -> tuple[str | None, tuple[FieldDifference, ...]]:
    """The registers' names, joined by "+", and the fields that differ in them.

    Where several registers differ, each field's name starts with its register's: ``LSR.THRE``.
    """
    declared = [(row.register, row) for row in rows if row.register]
    fields = [
        FieldDifference(field if len(declared) == 1 else f"{register.name}.{field}", hw_text, model_text)
        for register, row in declared
        for field, hw_text, model_text in register.field_differences(row.hw, row.model)
    ]
    return "+".join(register.name for register, _ in declared) or None, tuple(fields)


def side_by_side(rows: Sequence[Differing]) -> tuple[FieldPair, ...]:
    """Every field of the registers in which two values differ, the highest first: both texts, and whether they do."""
    declared = [row.register for row in rows if row.register]
    return tuple(
        FieldPair(
            field.name if len(declared) == 1 else f"{row.register.name}.{field.name}",
            field.describe(row.hw),
            field.describe(row.model),
            bool(field.mask & row.bits),
        )
        for row in rows
        if row.register
        for field in sorted(row.register.fields, key=lambda field: -field.msb)
        if field.mask & row.visible
    )


def decode(register: Register, value: int) -> str:
    """A register's value by its fields, the highest first: bits that are set, and other fields unless they are 0."""
    words = []
    for field in sorted(register.fields, key=lambda field: -field.msb):
        part = field.extract(value)
        meaning = field.values.get(part) if field.values else None
        if field.width == 1 and part:
            words.append(f"{field.name} ({meaning})" if meaning else field.name)
        elif field.width > 1 and (part or meaning):
            words.append(f"{field.name}={meaning or f'{part:#x}'}")
    return ", ".join(words)


def differences(
    device: Device, offset: int, size: int, direction: Direction, hw: int, model: int
) -> tuple[str | None, tuple[FieldDifference, ...]]:
    """What `describe` says of two values of the last access to `device`."""
    return describe(differing(offset, pieces(device, offset, size, direction), hw, model))


def unbanked_name(device: Device, offset: int, direction: Direction) -> str | None:
    """The register at `offset` if its name is the same in every bank: for accesses whose bank is long forgotten."""
    registers = device.registers
    found = (registers.find(offset, direction, bank) for bank in (None, *registers.banks))
    names = {register.name for register in found if register}
    return names.pop() if len(names) == 1 else None


def _covering(device: Device, at: int, direction: Direction) -> tuple[Register | None, int]:
    """The register that the byte at offset `at` belongs to, and which of its bytes that is."""
    for into in range(min(at, WIDEST_REGISTER_BYTES - 1) + 1):
        register = device.registers.find(at - into, direction, device.bank(at - into))
        if register is not None:
            if into * 8 < register.width:
                return register, into
            break
    return None, 0
