"""Comma-separated values, for spreadsheets and data frames.

Source: RFC 4180; "CSV Injection" (OWASP) for the cells that spreadsheets take for formulas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from ..disassembly import disassemble
from ..printable import printable
from ..trace.reader import TraceReader
from ..trace.rows import Event, ExitRow
from ..trace.schema import U64_MASK

COLUMNS: Final = (
    "seq", "t_ns", "vcpu", "pc", "space", "direction", "address", "size", "value", "string", "region", "instruction",
)  # fmt: skip

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Csv:
    """A row an exit."""

    name: ClassVar[str] = "csv"
    title: ClassVar[str] = "Comma-separated values"
    losses: ClassVar[tuple[str, ...]] = ("events, interrupts and facts of the trace",)

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self._sites: dict[int, tuple[str, int, str]] = {}
        self.left_out = 0

    def begin(self) -> Iterable[str]:
        """The heading."""
        return (",".join(COLUMNS),)

    def exits(self, rows: Sequence[ExitRow]) -> Iterable[str]:
        """A line each."""
        for seq, t_ns, number, value in rows:
            found = self._sites.get(number)
            if found is None:
                found = self._sites[number] = self._site(number)
            before, digits, after = found
            yield f"{seq},{t_ns},{before},0x{value & U64_MASK:0{digits}x},{after}"

    def event(self, event: Event) -> Iterable[str]:
        """It has no row."""
        return ()

    def _site(self, number: int) -> tuple[str, int, str]:
        """What is in front of the value, the value's digits, and what is behind it."""
        site = self._reader.site(number)
        text = disassemble(site.insn, site.pc, self._reader.guest.target, site.size, site.text)
        before = f"{site.vcpu},{site.pc:#x},{site.space},{site.direction},{site.address:#x},{site.size}"
        return before, 2 * site.size, f"{int(site.string)},{_row(site.region, text)}"


def _row(*cells: str) -> str:
    """Text from a trace as cells, of which none is a formula."""
    line = io.StringIO()
    safe = (f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in map(printable, cells))
    csv.writer(line, lineterminator="").writerow(safe)
    return line.getvalue()
