"""A script in QEMU's qtest protocol: each exit as a command, at its time, with the recorded answer behind it.

Source: QEMU's ``system/qtest.c``; `oracle.protocol` has what is relied on. All that is no command stands at the end of
a line, behind a ``#``, where QEMU does not look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import ClassVar

from ..oracle.protocol import access, clock_set, needs_cpu
from ..printable import printable
from ..trace.reader import TraceReader
from ..trace.rows import Event, ExitRow
from ..trace.schema import U64_MASK


class Qtest:
    """For ``-qtest stdio`` and the like."""

    name: ClassVar[str] = "qtest"
    title: ClassVar[str] = "QEMU's qtest protocol"
    losses: ClassVar[tuple[str, ...]] = (
        "what is no access: who takes interrupts, the guest's memory, instructions, CPU numbers",
    )

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self._sites: dict[int, tuple[str, bool, int, str] | None] = {}
        self._time_ns = 0
        self.left_out = 0
        """Accesses that only a CPU can make, and that end a QEMU in which none runs."""

    def begin(self) -> Iterable[str]:
        """A command that does nothing, behind which stands what the script is of."""
        meta = self._reader.meta
        try:
            words = json.loads(str(meta.get("command", "[]")))
        except (ValueError, RecursionError):
            words = []
        command = " ".join(map(str, words)) if isinstance(words, list) else ""
        notes = [
            f"{self._reader.path.name}: {self._reader.exit_count} exits",
            f"recorded by {command}" if command else "",
            f"with QEMU {meta['qemu']}" if "qemu" in meta else "",
            "behind each access: the recorded value, the exit's number, the region",
        ]
        return (_note("endianness", "; ".join(filter(None, notes))),)

    def exits(self, rows: Sequence[ExitRow]) -> Iterable[str]:
        """The clock's time if it has moved, and the access."""
        for seq, t_ns, number, value in rows:
            if number not in self._sites:
                self._sites[number] = self._site(number)
            found = self._sites[number]
            if found is None:
                self.left_out += 1
                continue
            if t_ns > self._time_ns:
                self._time_ns = t_ns
                yield clock_set(t_ns)
            command, writes, digits, region = found
            shown = f"0x{value & U64_MASK:0{digits}x}"
            yield f"{command} {shown} # {seq} {region}" if writes else f"{command} # {shown} {seq} {region}"

    def event(self, event: Event) -> Iterable[str]:
        """A line that does nothing. A reset that no access asks for is not made: the protocol has none."""
        return (_note("endianness", f"{event.kind} {event.detail}"),)

    def _site(self, number: int) -> tuple[str, bool, int, str] | None:
        packed = self._reader.packed_sites[number]
        site = self._reader.site(number)
        if needs_cpu(packed, site.region, self._reader.guest.machine):
            return None
        return access(packed), site.direction == "w", 2 * site.size, printable(site.region)


def _note(command: str, text: str) -> str:
    """A line with a note, which may hold anything."""
    return f"{command} # {printable(text)}"
