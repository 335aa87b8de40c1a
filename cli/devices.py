"""``vmdev devices``: the device models, and the registers of one."""

from __future__ import annotations

import click

from vmdev.replay.devices.catalog import CATALOG
from vmdev.replay.errors import UnknownMachineError
from vmdev.replay.registers import Field, Register, RegisterMap
from vmdev.replay.user_models import describe, find_model, installed

from .output import table


@click.command()
@click.argument("name", required=False)
def devices(name: str | None) -> None:
    """List the device models, or the registers and fields of one.

    Models of installed packages (entry points of the group vmdev.devices) are listed last, with their classes. NAME may
    be a class of yours, too: package.module:Class.

    Example:

    \b
        vmdev devices
        vmdev devices uart16550
    """
    if name is None:
        rows = [(short, model.title) for short, model in CATALOG.items()]
        rows += [(f"{entry.name}={entry.value}", describe(entry)) for entry in installed()]
        click.echo(table(rows), nl=False)
        return
    names = [*CATALOG, *(entry.name for entry in installed())]
    if name not in names and ":" not in name:
        raise UnknownMachineError(f"there is no device {name!r}; known devices: {', '.join(names)}")
    model = CATALOG[name] if name in CATALOG else find_model(name)
    click.echo(f"{name}: {getattr(model, 'title', model.__name__)}\n")
    click.echo(_registers(model.registers), nl=False)


def _registers(registers: RegisterMap) -> str:
    """The registers as a table; each one's fields follow it, the highest first."""
    has_banks = bool(registers.banks)
    rows: list[tuple[str, ...]] = [("offset", "access", "bits", "bank", "reset", "name", "description")]
    for register in registers:
        rows.append(_register(register))
        rows += [
            ("", "", "", "", "", f"  {_bits(field)}", f"  {field.name}{_values(field)}")
            for field in sorted(register.fields, key=lambda field: -field.msb)
        ]
    return table([row if has_banks else (*row[:3], *row[4:]) for row in rows], right=(0, 2))


def _register(register: Register) -> tuple[str, ...]:
    return (
        f"{register.offset:#x}",
        register.access,
        str(register.width),
        register.bank or "",
        "" if register.reset is None else f"{register.reset:#x}",
        register.name,
        register.title,
    )


def _bits(field: Field) -> str:
    return str(field.lsb) if field.width == 1 else f"{field.msb}:{field.lsb}"


def _values(field: Field) -> str:
    """What the field's values mean, in brackets."""
    meanings = ", ".join(f"{value:#x} {meaning}" for value, meaning in (field.values or {}).items())
    return f" ({meanings})" if meanings else ""
