"""Who had an interrupt for a CPU: for recordings that tell when a CPU took one, but not which.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, "External Interrupts"; that the 8259A
pair comes before the local APIC is QEMU's.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..devices.i8259 import I8259Pair
from ..devices.local_apic import LocalApic


class Acknowledges:
    """The interrupt controllers as the CPUs see them.

    Args:
        pair: the 8259A pair.
        local: each CPU's local APIC, by its number; none if the CPUs have none.
    """

    def __init__(self, pair: I8259Pair | None, local: Mapping[int, LocalApic]) -> None:
        self._pair = pair
        self._local = local

    def begin(self) -> None:
        """All acknowledges are going to be told: none needs to be inferred."""
        if self._pair:
            self._pair.expect_acknowledges()
        for local in self._local.values():
            local.expect_acknowledges()

    def take(self, cpu: int) -> bool:
        """CPU number `cpu` takes an interrupt. Whether a controller had one for it; if not, it may be an NMI."""
        pair, local = self._pair, self._local.get(cpu)
        if pair and pair.intr.level and (local.accepts_extint if local else not self._local):
            pair.acknowledge()
            return True
        return local is not None and local.acknowledge()
