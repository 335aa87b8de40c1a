"""Port 61h of a PC: speaker, gate and OUT of counter 2, refresh toggle. System control port B of the AT.

Source: Intel I/O Controller Hub 9 (ICH9) data sheet, "NMI_SC - NMI Status and Control Register", whose names the fields
have; the same register is NMISC in the PIIX4 (82371AB) data sheet, section 4.2.4.1, and older than both.

Modelled: gate of counter 2, speaker data enable, OUT of counter 2, the refresh toggle.
Not modelled: sound; NMI sources and enables, which QEMU does not have either.

Follows QEMU where the guest can see a difference from the data sheet:
- The refresh toggle changes with each read (data sheet: every 15 us); the first read shows 1.
- Bits 2 and 3, the NMI enables, read as 0 whatever was written.
- A reset clears the gate of counter 2 (the counter's own reset does) and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..registers import Register, RegisterMap, bit
from .i8254 import I8254

REGISTERS: Final = RegisterMap(
    Register(
        "NMI_SC", "NMI status and control, system control port B", 0, "rw",
        (
            bit("SERR#_NMI_STS", 7), bit("IOCHK_NMI_STS", 6), bit("TMR2_OUT_STS", 5, nature="time"),
            bit("REF_TOGGLE", 4), bit("IOCHK_NMI_EN", 3), bit("PCI_SERR_EN", 2), bit("SPKR_DAT_EN", 1),
            bit("TIM_CNT2_EN", 0),
        ),
    ),
)  # fmt: skip

TMR2_OUT_STS, REF_TOGGLE, SPKR_DAT_EN, TIM_CNT2_EN = 0x20, 0x10, 0x02, 0x01

SPEAKER_COUNTER: Final = 2


class Port61(Device):
    """The port.

    Args:
        pit: the timer whose counter 2 it controls and shows.
    """

    title = "System control port B: speaker"
    registers = REGISTERS
    kept_by_reset = ("speaker", "refresh")

    def __init__(self, pit: I8254) -> None:
        self._pit = pit
        self._speaker = 0
        self._refresh = 0

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(I8254.alone(clock))

    def read(self, offset: int, size: int) -> int:
        """Read the port, which toggles the refresh bit."""
        self._refresh ^= REF_TOGGLE
        value = self._refresh | self._speaker
        if self._pit.gate(SPEAKER_COUNTER):
            value |= TIM_CNT2_EN
        if self._pit.out(SPEAKER_COUNTER):
            value |= TMR2_OUT_STS
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """Drive the gate of counter 2 and enable or disable the speaker."""
        self._speaker = value & SPKR_DAT_EN
        self._pit.set_gate(SPEAKER_COUNTER, bool(value & TIM_CNT2_EN))

    def reset(self) -> None:
        """Nothing: QEMU's speaker has no reset, and the gate is reset with the timer."""

    def state(self) -> Mapping[str, int]:
        """The stored bits, in place."""
        return {"speaker": self._speaker, "refresh": self._refresh}
