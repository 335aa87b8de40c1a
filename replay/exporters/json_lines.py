"""JSON, one object a line: first the trace, then its exits and events in order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from ..disassembly import disassemble
from ..trace.reader import TraceReader
from ..trace.rows import Event, ExitRow
from ..trace.schema import U64_MASK

VERSION: Final = 1
"""Changes when a key changes its meaning. Keys may be added without."""


class JsonLines:
    """All of a trace but its snapshots of the address spaces."""

    name: ClassVar[str] = "json"
    title: ClassVar[str] = "JSON, one object a line"
    losses: ClassVar[tuple[str, ...]] = ("where regions were mapped", "interrupts that were taken")

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self._sites: dict[int, str] = {}
        self.left_out = 0

    def begin(self) -> Iterable[str]:
        """The trace."""
        facts = {"name": self._reader.path.name, **self._reader.meta}
        return (_json({"version": VERSION, "trace": facts}),)

    def exits(self, rows: Sequence[ExitRow]) -> Iterable[str]:
        """An object each."""
        return map(self.exit, rows)

    def exit(self, row: ExitRow) -> str:
        """One exit."""
        seq, t_ns, number, value = row
        part = self._sites.get(number)
        if part is None:
            part = self._sites[number] = self._site(number)
        return f'{{"seq": {seq}, "t_ns": {t_ns}, "value": {value & U64_MASK}, {part[1:]}'

    def event(self, event: Event) -> Iterable[str]:
        """An object."""
        return (
            _json(
                {
                    "event": event.kind,
                    "seq": event.seq,
                    "t_ns": event.t_ns,
                    "vcpu": event.vcpu,
                    "detail": event.detail,
                }
            ),
        )

    def _site(self, number: int) -> str:
        site = self._reader.site(number)
        return _json(
            {
                "site": number,
                "vcpu": site.vcpu,
                "pc": site.pc,
                "space": site.space,
                "direction": site.direction,
                "address": site.address,
                "size": site.size,
                "string": site.string,
                "region": site.region,
                "instruction": disassemble(site.insn, site.pc, self._reader.guest.target, site.size, site.text),
            }
        )


def _json(value: Mapping[str, object]) -> str:
    """`value` in ASCII, without control characters."""
    return json.dumps(value).replace("\x7f", "\\u007f")
