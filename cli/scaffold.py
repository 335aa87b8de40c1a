"""``vmdev scaffold``: a new model from what a trace shows of a device."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

import click

from vmdev.replay.errors import OutputExistsError, ScaffoldError
from vmdev.replay.printable import printable
from vmdev.replay.scaffolding import (
    Described,
    Inference,
    Observation,
    Writer,
    infer_device,
    module_name,
    observe_device,
    observe_range,
)
from vmdev.replay.scaffolding.rdl import read_rdl
from vmdev.replay.scaffolding.svd import read_svd
from vmdev.replay.selection import AddressRange
from vmdev.replay.trace.reader import TraceReader

from .filters import AddressType

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--device", "name", metavar="NAME", help="The device: one of the machine's, or a region of the trace.")
@click.option(
    "--address", type=AddressType(), metavar="RANGE",
    help="Its ports or addresses instead, such as 0x3f8+8 or mmio:0x9000000+0x1000; then --device just names it.",
)  # fmt: skip
@click.option("-o", "--output", type=_FILE, metavar="FILE.py", help="The file to write; by default it is printed.")
@click.option("--test", "test", type=_FILE, metavar="FILE.py", help="Write a pytest of the model, too.")
@click.option("--force", is_flag=True, help="Overwrite the files.")
@click.option("--svd", type=_FILE, metavar="FILE", help="Describes the registers: CMSIS-SVD.")
@click.option("--rdl", type=_FILE, metavar="FILE", help="Describes the registers: SystemRDL.")
@click.option(
    "--peripheral", metavar="NAME",
    help="Whose registers: a peripheral of --svd; of --rdl an address map or register file, by default the top one.",
)  # fmt: skip
def scaffold(
    trace: Path,
    name: str | None,
    address: AddressRange | None,
    output: Path | None,
    test: Path | None,
    force: bool,
    svd: Path | None,
    rdl: Path | None,
    peripheral: str | None,
) -> None:
    """Write the source of a new model of a device, from what a trace shows of it.

    It has the registers, and what they were seen to be: constant, read as written, cleared by reading or by writing
    ones, counting, selected by an index or a bank bit. What follows from no such rule it does not answer: its first
    replay tells what is still to be done.

    Example:

    \b
        vmdev scaffold boot.db --device rtc -o my_rtc.py
        vmdev scaffold boot.db --device uart --address 0x3f8+8 -o my_uart.py --test test_my_uart.py
        vmdev scaffold boot.db --device pl011 --svd board.svd --peripheral UART0 -o my_pl011.py
    """
    if name is None and address is None:
        raise click.UsageError("say which device: --device NAME, or --address RANGE")
    described, description = _described(svd, rdl, peripheral)
    for file in (output, test):
        if file is not None and file.exists() and not force:
            raise OutputExistsError(f"{file}: exists; choose another name, or overwrite it with --force")
    if output is not None and not output.stem.isidentifier():
        raise ScaffoldError(f"{output}: {output.stem!r} is no name of a Python module")
    with TraceReader(trace) as reader:
        seen = observe_range(reader, address, name) if address is not None else observe_device(reader, name or "")
    found = infer_device(seen, described)
    writer = Writer(seen, found, output.stem if output else module_name(seen.name), description)
    text = writer.model()
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    if test is not None:
        test.write_text(writer.test(), encoding="utf-8")
    for line in _summary(trace, seen, found, writer):
        click.echo(printable(line), err=output is None)


def _described(svd: Path | None, rdl: Path | None, peripheral: str | None) -> tuple[list[Described], str]:
    """The registers that a description has, and what it is."""
    if svd is not None and rdl is not None:
        raise click.UsageError("--svd and --rdl exclude each other")
    if svd is not None:
        if peripheral is None:
            raise click.UsageError("--svd needs --peripheral NAME")
        return read_svd(svd, peripheral), f"{svd.name}, {peripheral}"
    if rdl is not None:
        return read_rdl(rdl, peripheral), f"{rdl.name}{f', {peripheral}' if peripheral else ''}"
    if peripheral is not None:
        raise click.UsageError("--peripheral goes with --svd or --rdl")
    return [], ""


def _summary(trace: Path, seen: Observation, found: Inference, writer: Writer) -> list[str]:
    """What the user should know."""
    lines = [f"Note: {note}" for note in seen.notes]
    count = len(found.registers) + len(found.blocks)
    registers = f"{count:,} {'register' if count == 1 else 'registers'}"
    lines.append(f"{seen.name}: {registers}; {found.matched:,} of {found.reads:,} reads have a rule.")
    if not found.matched:
        lines.append("Note: no read has a rule, so that a replay has nothing to compare yet.")
    judged = shlex.quote(seen.name)
    lines.append(f"vmdev replay {shlex.quote(str(trace))} --device {judged} --device {shlex.quote(writer.option)}")
    return lines
