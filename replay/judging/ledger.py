"""The ledger of known divergences: wrong answers that are accepted for now, each with a reason and perhaps a link.

It is strict in both directions: a difference that no entry covers fails a replay, and so does an entry that no
difference needs any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ContractError
from ..registers import RegisterMap


@dataclass(slots=True)
class Known:
    """One entry, and what it covered so far."""

    device: str
    register: str
    """As reports name it: the register's name, or ``offset 0x5`` where none is declared."""
    reason: str
    bits: int | None = None
    """The bits that may differ; None: any."""
    link: str = ""
    reads: int = 0
    """Reads that it covered."""
    first_seq: int | None = None
    last_seq: int | None = None

    def note(self, seq: int) -> None:
        """It covered this read."""
        self.reads += 1
        if self.first_seq is None:
            self.first_seq = seq
        self.last_seq = seq


class Ledger:
    """All entries of one replay.

    Args:
        entries: they are counted into.
        devices: the machine's devices, with the registers of those that are models.

    Raises:
        ContractError: an entry names a device, a register or bits that do not exist.
    """

    def __init__(self, entries: Iterable[Known], devices: Mapping[str, RegisterMap | None]) -> None:
        self.entries = list(entries)
        self._by_place: dict[tuple[str, str], list[Known]] = {}
        for entry in self.entries:
            _check(entry, devices)
            self._by_place.setdefault((entry.device, entry.register), []).append(entry)

    def covers(self, device: str, seq: int, differences: Sequence[tuple[str, int]]) -> bool:
        """Whether entries cover a read's whole difference; if so, they are counted.

        Args:
            device: its name.
            seq: the exit's.
            differences: each differing register's name, with its differing bits.
        """
        if not self._by_place:
            return False
        used: list[Known] = []
        for name, bits in differences:
            for entry in self._by_place.get((device, name), ()):
                covered = bits if entry.bits is None else bits & entry.bits
                if covered:
                    used.append(entry)
                    bits &= ~covered
            if bits:
                return False
        for entry in used:
            entry.note(seq)
        return bool(used)


def _check(entry: Known, devices: Mapping[str, RegisterMap | None]) -> None:
    if entry.device not in devices:
        raise ContractError(f"the machine has no device {entry.device!r}; its devices: {', '.join(devices)}")
    registers = devices[entry.device]
    if entry.register.startswith("offset ") or registers is None:
        return
    named = registers.named(entry.register)
    if not named:
        known = ", ".join(dict.fromkeys(register.name for register in registers))
        raise ContractError(f"{entry.device} has no register {entry.register!r}; it has {known}")
    if entry.bits is not None and not 0 < entry.bits <= max(register.full for register in named):
        raise ContractError(f"{entry.device}.{entry.register} has no bits {entry.bits:#x}")
