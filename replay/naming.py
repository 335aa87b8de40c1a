"""Names for what an access reached: its registers, and the fields in which two values of them differ.

An access need not be one register: a word read of a byte-wide device reaches two, a byte read of a 32-bit counter a
part of one. Here an access is cut into pieces, each the part of one register that it covers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .device import Device
from .registers import Direction, Register
from .verdict import FieldDifference

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


def differences(
    device: Device, offset: int, size: int, direction: Direction, hw: int, model: int
) -> tuple[str | None, tuple[FieldDifference, ...]]:
    """The registers in which `hw` and `model` differ, joined by "+", and the fields in which they do.

    Where several registers differ, each field's name starts with its register's: ``LSR.THRE``.
    """
    names: list[str] = []
    rows: list[list[tuple[str, str, str]]] = []
    for register, start, bits, shift in pieces(device, offset, size, direction):
        mask = (1 << bits) - 1
        hw_part, model_part = hw >> start & mask, model >> start & mask
        if register is not None and hw_part != model_part:
            names.append(register.name)
            rows.append(register.field_differences(hw_part << shift, model_part << shift))
    fields = [
        FieldDifference(field if len(names) == 1 else f"{name}.{field}", hw_text, model_text)
        for name, differing in zip(names, rows, strict=True)
        for field, hw_text, model_text in differing
    ]
    return "+".join(names) or None, tuple(fields)


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
