"""Advanced power management ports B2h and B3h: the SMI command port and its status, as in the PIIX4 and ICH9.

Source: Intel ICH9 data sheet (316972), section 13.7.3, and Intel PIIX4 data sheet (290562), section 7.3.

Modelled: both registers; a write of APM_CNT is told to the machine, which switches ACPI on and off.

Not modelled: the SMI, whose handler's accesses are in the recording as everybody's.

Follows QEMU where the guest can see a difference from the data sheets: a reset leaves both alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap

APM_CNT, APM_STS = 0, 1

REGISTERS: Final = RegisterMap(
    Register("APM_CNT", "Advanced power management control", APM_CNT, "rw"),
    Register("APM_STS", "Advanced power management status", APM_STS, "rw"),
)


class Apm(Device):
    """The two ports. `command` takes each value written to APM_CNT."""

    title = "APM: SMI command and status ports"
    registers = REGISTERS
    kept_by_reset = ("apm_cnt", "apm_sts")

    def __init__(self, command: Callable[[int], None] = lambda value: None) -> None:
        self._command = command
        self._values = [0, 0]

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return self._values[offset]

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._values[offset] = value
        if offset == APM_CNT:
            self._command(value)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {"apm_cnt": self._values[APM_CNT], "apm_sts": self._values[APM_STS]}
