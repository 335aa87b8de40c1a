"""QEMU's bochs-display: a frame buffer with the Bochs DISPI registers in memory, and nothing of a VGA.

Source: QEMU documentation, "QEMU Standard VGA" (docs/specs/standard-vga), of which it has the DISPI registers, the
extended registers and the EDID block; Bochs VBE extension.

Modelled: all registers.

Not modelled: the picture.

Follows QEMU: registers keep what is written, whatever the mode, except that ID and VIDEO_MEMORY_64K are fixed; narrow
reads show the low byte, wide ones a register for each word. It has no reset: all is kept.

Register space: as the memory-mapped part of `vga_registers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from . import bochs_dispi, edid
from . import vga_registers as regs
from .vga_registers import BIG_ENDIAN, LITTLE_ENDIAN

REGISTERS: Final = regs.DisplayMap(
    *regs.dispi_registers(regs.DISPI), *regs.qext_registers(regs.QEXT), *regs.edid_registers()
)


class BochsDisplay(Device):
    """The display.

    Args:
        memory: its size in bytes, a power of two.
        monitor: the EDID blocks; empty: none.
    """

    title = "bochs-display: Bochs DISPI registers in memory"
    registers = REGISTERS
    width = 8
    kept_by_reset = ("*",)

    def __init__(self, memory: int = 16 << 20, monitor: bytes = b"") -> None:
        self._memory = memory
        self._monitor = monitor
        self._values = [0] * bochs_dispi.COUNT
        self._byte_order = LITTLE_ENDIAN

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(monitor=edid.generate(edid.Monitor(), 2 * edid.BLOCK))

    def reset(self) -> None:
        """See `Device.reset`. QEMU does nothing."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= regs.HOLES:
            return (1 << 8 * size) - 1
        if regs.EDID <= offset < regs.EDID + len(self._monitor):
            return int.from_bytes(self._monitor[offset - regs.EDID : offset - regs.EDID + size], "little")
        if regs.DISPI <= offset < regs.DISPI + regs.DISPI_BYTES:
            value = 0
            for at in range(0, size, 2):
                value |= self._read_dispi(offset - regs.DISPI + at >> 1) << 8 * at
            return value & (1 << 8 * size) - 1
        if offset == regs.QEXT and size >= 4:
            return (regs.QEXT_BYTES | self._byte_order << 32) & (1 << 8 * size) - 1
        return self._byte_order if offset == regs.QEXT + 4 and size == 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if regs.DISPI <= offset < regs.DISPI + regs.DISPI_BYTES:
            for at in range(0, size, 2):
                index = offset - regs.DISPI + at >> 1
                if index < len(self._values):
                    self._values[index] = value >> 8 * at & 0xFFFF
        elif offset == regs.QEXT + 4 and size == 4 and value in (LITTLE_ENDIAN, BIG_ENDIAN):
            self._byte_order = value

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        names = (name for name, _ in regs.DISPI_NAMES)
        return {"byte_order": self._byte_order, **dict(zip(names, self._values, strict=False))}

    def _read_dispi(self, index: int) -> int:
        if index == bochs_dispi.ID:
            return bochs_dispi.ID5
        if index == bochs_dispi.VIDEO_MEMORY_64K:
            return self._memory >> bochs_dispi.SHIFT_64K & 0xFFFF
        return self._values[index] if index < len(self._values) else 0xFFFF
