"""Who had an interrupt for a CPU: for recordings that tell when a CPU took one, but not which.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, "External Interrupts"; that the 8259A
pair comes before the local APIC is QEMU's.

Some of what QEMU tells are no interrupts: QEMU 11 tells of software interrupts and page faults too. A handler is known
by its address, so a vector that another handler had before is not taken for this one, unless that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..devices.i8259 import I8259Pair
from ..devices.local_apic import LocalApic

PATIENCE: Final = 16
"""So many times in a row a handler is not believed to be that of a vector; then the guest has installed it there."""


class Acknowledges:
    """The interrupt controllers as the CPUs see them.

    Args:
        name: of the device to blame for what fails here.
        pair: the 8259A pair.
        local: each CPU's local APIC, by its number; none if the CPUs have none.
    """

    def __init__(self, name: str, pair: I8259Pair | None, local: Mapping[int, LocalApic]) -> None:
        self.name = name
        self._pair = pair
        self._local = local
        self._handlers: dict[int, int] = {}
        """By vector, which handler had it last."""
        self._strangers: set[int] = set()
        """Handlers that never had one."""
        self._disbelieved: dict[int, int] = {}
        """By vector, how often in a row another one was not believed to have it."""

    def begin(self) -> None:
        """All acknowledges are going to be told: none needs to be inferred."""
        if self._pair:
            self._pair.expect_acknowledges()
        for local in self._local.values():
            local.expect_acknowledges()

    def take(self, cpu: int, handler: int) -> bool:
        """CPU number `cpu` takes an interrupt, to the handler at that address. Whether a controller had one for it."""
        pair, local = self._pair, self._local.get(cpu)
        if pair and pair.intr.level and (local.accepts_extint if local else not self._local):
            if self._believe(pair.vector, handler):
                pair.acknowledge()
                return True
        elif local is not None and (vector := local.pending) is not None and self._believe(vector, handler):
            local.acknowledge()
            return True
        return False

    def waits(self, handler: int) -> bool:
        """Whether a controller may yet get one for this handler: not, if it never had one when it was asked before."""
        if handler in self._strangers:
            return False
        if handler not in self._handlers.values():
            self._strangers.add(handler)
        return True

    def _believe(self, vector: int, handler: int) -> bool:
        if self._handlers.get(vector, handler) != handler:
            times = self._disbelieved[vector] = self._disbelieved.get(vector, 0) + 1
            if times < PATIENCE:
                return False
        self._disbelieved[vector] = 0
        self._handlers[vector] = handler
        self._strangers.discard(handler)
        return True
