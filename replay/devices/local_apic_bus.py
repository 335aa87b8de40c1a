"""What connects local APICs with each other, with I/O APICs and with devices that send MSIs.

Source: as `local_apic`, sections "Interprocessor and Self-Interrupts", "Message Destination" and "Message Signalled
Interrupts". Follows QEMU: see there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .local_apic import LocalApic

FIXED, LOWEST_PRIORITY, INIT, EXTINT = 0, 1, 5, 7
FLAT, CLUSTER = 0xF, 0x0
BROADCAST: Final = 0xFF
ICR_LOGICAL, ICR_LEVEL, ICR_ASSERT = 1 << 11, 1 << 15, 1 << 14
MSI_LOGICAL, MSI_LEVEL = 1 << 2, 1 << 15


class ApicBus:
    """All local APICs of a machine."""

    def __init__(self) -> None:
        self._locals: dict[int, LocalApic] = {}
        self._io: list[Callable[[int], None]] = []

    def add(self, number: int, local: LocalApic) -> None:
        """Connect the local APIC of CPU `number`."""
        self._locals[number] = local

    def add_io(self, end: Callable[[int], None]) -> None:
        """Connect an I/O APIC: `end` hears of the end of every level interrupt, by its vector."""
        self._io.append(end)

    def local(self, number: int) -> LocalApic | None:
        """The local APIC of CPU `number`."""
        return self._locals.get(number)

    def end(self, vector: int) -> None:
        """A level interrupt has ended."""
        for end in self._io:
            end(vector)

    def msi(self, address: int, data: int) -> None:
        """A message, as devices and I/O APICs send it."""
        targets = self._destination(address >> 12 & 0xFF, bool(address & MSI_LOGICAL))
        self._send(targets, data >> 8 & 7, data & 0xFF, bool(data & MSI_LEVEL))

    def command(self, sender: LocalApic, icr: int, destination: int) -> None:
        """An interprocessor interrupt. QEMU finds the sender among the targets by its present ID."""
        match icr >> 18 & 3:
            case 1:
                targets = [local for local in self._locals.values() if local.initial_id == sender.id]
            case 2:
                targets = list(self._locals.values())
            case 3:
                targets = [local for local in self._locals.values() if local.initial_id != sender.id]
            case _:
                targets = self._destination(destination, bool(icr & ICR_LOGICAL))
        mode = icr >> 8 & 7
        if mode != INIT or icr & ICR_ASSERT or not icr & ICR_LEVEL:  # else it is INIT level de-assert
            self._send(targets, mode, icr & 0xFF, bool(icr & ICR_LEVEL))

    def _destination(self, destination: int, logical: bool) -> list[LocalApic]:
        """[Determining IPI Destination]."""
        every = self._locals.values()
        if not logical:
            return [local for local in every if destination in (BROADCAST, local.id)]
        return [
            local
            for local in every
            if (local.model == FLAT and destination & local.logical_id)
            or (
                local.model == CLUSTER
                and destination & 0xF0 in (0xF0, local.logical_id & 0xF0)
                and destination & local.logical_id & 0x0F
            )
        ]

    @staticmethod
    def _send(targets: list[LocalApic], mode: int, vector: int, level: bool) -> None:
        if mode == INIT:
            for local in targets:
                local.init()
        elif mode == LOWEST_PRIORITY:
            for local in targets[:1]:
                local.request(vector, level)
        elif mode in (FIXED, EXTINT):
            for local in targets:
                local.request(vector, level)
