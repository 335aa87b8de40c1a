"""VMware's backdoor port, as QEMU has it: port 5658h.

Source: open-vm-tools, "backdoor_def.h", for the protocol: the command is in CX, a magic number in EAX; the answer comes
in EAX and others.

Modelled: that there are answers.

Not modelled: what they are. Commands and most of the answers are in the processor's registers, which no trace shows; so
every read is assumed.

Follows QEMU: the port takes IN of any width, of which the narrow ones show the low bits of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..registers import Register, RegisterMap

REGISTERS: Final = RegisterMap(
    Register("Backdoor", "Answer to the command in ECX; all ones: refused", 0, "rw", width=32)
)


class VmPort(Device):
    """The port. It is four ports wide here, because IN takes four bytes at its only one."""

    title = "VMware backdoor port (vmport)"
    registers = REGISTERS
    width = 4

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`. There is nothing to reset."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`. The answer is `Unknown`."""
        return Unknown(0, (1 << 8 * size) - 1, _forget, "assumed")

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`. It is a command, too, whose answer no access shows."""

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. There is none."""
        return {}


def _forget(value: int) -> None:
    """The next answer may be another one."""
