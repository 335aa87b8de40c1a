"""``vmdev show``: the exits of a trace, decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from vmdev.replay.disassembly import disassemble
from vmdev.replay.exporters import Choice
from vmdev.replay.exporters.json_lines import JsonLines
from vmdev.replay.printable import printable
from vmdev.replay.trace import U64_MASK, ExitRow, Site, TraceReader

from .ranges import Bounds, bounds, parse_integer, parse_time


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--seq", metavar="A:B", callback=bounds(parse_integer), help="Only the exits numbered A to B.")
@click.option(
    "--time", metavar="A:B", callback=bounds(parse_time), help="Only from A to B, in ns or like 20us, 1.5ms, 2s."
)
@click.option(
    "--address", metavar="X[:Y]", callback=bounds(parse_integer), help="Only accesses that touch the bytes X to Y."
)
@click.option("--space", type=click.Choice(["pio", "mmio"]), help="Only this address space.")
@click.option("--region", "regions", metavar="NAME", multiple=True, help="Only this region of 'info'; repeatable.")
@click.option("--reads/--writes", "reads", default=None, help="Only this direction.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="End after N exits.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: one a line."
)
def show(
    trace: Path,
    seq: Bounds,
    time: Bounds,
    address: Bounds,
    space: str | None,
    regions: tuple[str, ...],
    reads: bool | None,
    limit: int | None,
    form: str,
) -> None:
    """Show the exits of a trace, decoded and disassembled.

    Filters add up. A range includes both of its ends, and either end may be left out.

    Example:

    \b
        vmdev show boot.db --region serial --limit 20
        vmdev show boot.db --address 0x70:0x71 --time 1ms:2.5ms
        vmdev show boot.db --seq 1000: --writes --format json
    """
    with TraceReader(trace) as reader:
        Choice(regions).check(reader)
        wanted = [
            site.id
            for site in reader.sites
            if (space in (None, site.space))
            and (not regions or site.region in regions)
            and (reads is None or reads == (site.direction == "r"))
            and _touches(site, address)
        ]
        first, last = seq
        from_ns, to_ns = time
        chunks = reader.find(
            first or 0,
            None if last is None else last + 1,
            site_ids=None if len(wanted) == len(reader.sites) else wanted,
            from_ns=from_ns or 0,
            to_ns=U64_MASK if to_ns is None else to_ns,
        )
        lines = JsonLines(reader).exit if form == "json" else _as_text(reader)
        if form == "text":
            click.echo(_HEADER)
        for rows in _up_to(chunks, limit):
            click.echo("\n".join(map(lines, rows)))


def _touches(site: Site, address: Bounds) -> bool:
    first, last = address
    return (last is None or site.address <= last) and (first is None or first < site.address + site.size)


def _up_to(chunks: Iterator[list[ExitRow]], limit: int | None) -> Iterator[list[ExitRow]]:
    """The chunks, cut off after `limit` exits."""
    left = limit
    if left == 0:
        return
    for rows in chunks:
        if left is not None and len(rows) >= left:
            yield rows[:left]
            return
        yield rows
        if left is not None:
            left -= len(rows)


_HEADER: Final = (
    f"{'seq':>10} {'time/s':>14} cpu {'pc':>16} {'access':7} {'address':>10} {'value':>18}  {'region':16} instruction"
)


def _as_text(reader: TraceReader) -> Callable[[ExitRow], str]:
    """What makes an exit a line of text. A site's part of it is made once."""
    middles: dict[int, tuple[str, int, str]] = {}

    def line(row: ExitRow) -> str:
        seq, t_ns, number, value = row
        middle = middles.get(number)
        if middle is None:
            site = reader.sites[number]
            access = f"{site.space:4} {site.direction}{site.size}"
            after = f"{printable(site.region):16} {_instruction(reader, site)}"
            middle = middles[number] = (
                f"{site.vcpu:3} {site.pc:16x} {access:7} {site.address:#10x}",
                2 * site.size,
                after.rstrip(),
            )
        before, digits, after = middle
        shown = f"0x{value & U64_MASK:0{digits}x}"
        return f"{seq:10} {t_ns // 10**9:4}.{t_ns % 10**9:09} {before} {shown:>18}  {after}"

    return line


def _instruction(reader: TraceReader, site: Site) -> str:
    return disassemble(site.insn, site.pc, reader.guest.target, site.size, site.text)
