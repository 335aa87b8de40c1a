"""VGA with the Bochs DISPI extension: QEMU's ``-vga std``, its ISA sibling, and its PCI sibling without VGA ports.

Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (1992); QEMU documentation, "QEMU Standard
VGA" (docs/specs/standard-vga); Bochs VBE extension. The memory is in `vga_memory`, the DISPI registers in
`bochs_dispi`, what they are called in `vga_registers`, the monitor's data in `edid`.

Modelled: sequencer, CRT controller at both its addresses, graphics and attribute controller, palette, the window at
A0000h in all its modes, DISPI by ports and in memory, the VGA's registers in memory, EDID, the byte order register.

Not modelled: the picture; ``retrace=precise``; what the guest writes into memory that it has as RAM (see `vga_memory`).

Follows QEMU where the guest can see a difference from the reference:
- Input status 1 toggles display enable and vertical retrace with every read; input status 0 is 0.
- There is no PEL mask and no subsystem enable: both read 0. The pixel clock and the retrace do not run.
- Reserved bits read 0; CRT controller registers keep all bits, and there are 256 of them.
- The attribute address reads 0 while the flip-flop waits for data; data is taken with IPAS set, too.
- While DISPI is enabled, graphics and CRT controller registers are set to match, whatever is written to them; the
  sequencer works with registers of its own.
- A read of DISPI in memory changes the index of its ports.
- Ports of the controller's other address read FFh. A word is two bytes; four bytes read all ones and write nothing, in
  memory, too, where QEMU makes four of them.
- A reset leaves the memory, the latches and the byte order alone.

Register space: see `vga_registers`; the window is at 20000h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self
from zlib import crc32

from ..clock import Clock
from ..device import Device
from . import bochs_dispi, edid
from . import vga_registers as regs
from .bochs_dispi import BochsDispi
from .vga_memory import CR14, CR17, GR05, GR06, SR02, SR04, VgaMemory
from .vga_registers import BIG_ENDIAN, LITTLE_ENDIAN

SR01: Final = 1
CR01, CR07, CR09, CR11, CR12, CR13, CR18 = 0x01, 0x07, 0x09, 0x11, 0x12, 0x13, 0x18
CR07_LC8, CR07_VDE, CR09_LC9, CR09_SCANS, CR11_PROTECT = 0x10, 0x42, 0x40, 0x9F, 0x80
GR05_SHIFT, GR06_GRAPHICS, GR06_MAP = 0x60, 0x01, 0x0C
MISC_IOS: Final = 0x01
MISC_KEPT: Final = 0xEF
IS1_TOGGLED: Final = 0x09
FEATURE_KEPT: Final = 0x10
DAC_READING, DAC_WRITING = 3, 0
PALETTE: Final = 3 * 256

COLOUR_PORTS: Final = 0x20
"""From here on: 3D0h to 3DFh."""
SHOWN_MEMORY: Final = 0x40000
"""Bytes of memory that the state has a checksum of: all of a plain VGA."""


class Vga(Device):
    """The adapter.

    Args:
        memory: its size in bytes, a power of two.
        monitor: the regs.EDID blocks; empty: none.
        legacy: it has the ports and the window; else the registers in memory only.
    """

    title = "VGA with Bochs regs.DISPI extension"
    registers = regs.REGISTERS
    width = 8
    kept_by_reset = ("memory", "latch", "byte_order")

    def __init__(self, memory: int = 16 << 20, monitor: bytes = b"", *, legacy: bool = True) -> None:
        self._memory = VgaMemory(memory)
        self._monitor = monitor
        self._legacy = legacy
        self._dispi = BochsDispi(memory)
        self._byte_order = LITTLE_ENDIAN
        self._sr, self._sr_dispi, self._gr, self._ar, self._cr = [0] * 8, [0] * 8, [0] * 16, [0] * 0x15, [0] * 256
        self._palette = bytearray(PALETTE)
        readers: list[Callable[[], int]] = [self._read_nothing] * (regs.PORTS + 1)
        writers: list[Callable[[int], None]] = [self._ignore] * (regs.PORTS + 1)
        for at, read, write in (
            (regs.ATTRIBUTE, self._read_ar_address, self._write_attribute), (regs.ATTRIBUTE_DATA, self._read_ar, None),
            (regs.MISC_WRITE, None, self._write_misc),
            (regs.SEQUENCER_INDEX, lambda: self._sr_index, self._write_sr_index),
            (regs.SEQUENCER_DATA, lambda: self._sr[self._sr_index], self._write_sr),
            (regs.PEL_READ, lambda: self._dac_state, self._write_pel_read),
            (regs.PEL_WRITE, lambda: self._pel_write, self._write_pel_write),
            (regs.PEL_DATA, self._read_pel, self._write_pel),
            (regs.FEATURE_READ, lambda: self._feature, None), (regs.MISC_READ, lambda: self._misc, None),
            (regs.GRAPHICS_INDEX, lambda: self._gr_index, self._write_gr_index),
            (regs.GRAPHICS_DATA, lambda: self._gr[self._gr_index], self._write_gr),
        ):  # fmt: skip
            readers[at] = read or readers[at]
            writers[at] = write or writers[at]
        for at in range(COLOUR_PORTS, regs.PORTS):
            readers[at] = self._read_colour_hole
        for ios, ports in (
            (0, (regs.MONO_INDEX, regs.MONO_DATA, regs.MONO_STATUS)),
            (1, (regs.COLOUR_INDEX, regs.COLOUR_DATA, regs.COLOUR_STATUS)),
        ):
            crt_readers = (self._read_cr_index, self._read_cr, self._read_is1)
            crt_writers = (self._write_cr_index, self._write_cr, self._write_feature)
            for at, reader, writer in zip(ports, crt_readers, crt_writers, strict=True):
                readers[at] = partial(reader, ios)
                writers[at] = partial(writer, ios)
        self._readers, self._writers = tuple(readers), tuple(writers)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(SHOWN_MEMORY, edid.generate(edid.Monitor(), 3 * edid.BLOCK))

    def reset(self) -> None:
        """See `Device.reset`. All registers are 0; the memory, the latches and the byte order are kept."""
        for values in (self._sr, self._sr_dispi, self._gr, self._ar, self._cr, self._palette):
            values[:] = [0] * len(values)
        self._sr_index = self._gr_index = self._cr_index = self._ar_index = 0
        self._flip_flop = False
        self._ar_bank = regs.AR_FIRST
        self._misc = self._feature = self._is1 = 0
        self._dac_state = self._pel_read = self._pel_write = self._pel_part = 0
        self._pel_cache = [0, 0, 0]
        self._dispi_index = self._bank_offset = 0
        self._dispi.reset()
        self._configure()

    # Where accesses go

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= regs.WINDOW:
            return self._memory.read(offset - regs.WINDOW, size)
        if offset < regs.PORTS:
            return self._readers[offset]() if size == 1 else self._read_ports(offset, size)
        if offset < regs.DISPI_PORTS:
            return self._read_dispi_port(offset, size)
        return self._read_mapped(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset >= regs.WINDOW:
            self._memory.write(offset - regs.WINDOW, size, value)
        elif offset < regs.PORTS:
            if size == 1:
                self._writers[offset](value)
            else:
                self._write_ports(offset, size, value)
        elif offset < regs.DISPI_PORTS:
            if size == 2:
                self._write_dispi_port(offset, value)
        else:
            self._write_mapped(offset, size, value)

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        if offset < regs.PORTS and size == 1:
            return self._readers[offset]
        if offset >= regs.WINDOW:
            memory, at = self._memory, offset - regs.WINDOW
            return lambda: memory.read(at, size)
        return super().reader(offset, size)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`."""
        if offset < regs.PORTS and size == 1:
            return self._writers[offset]
        if offset >= regs.WINDOW:
            memory, at = self._memory, offset - regs.WINDOW
            return lambda value: memory.write(at, size, value)
        return super().writer(offset, size)

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: the index that leads to a register, or led at the last access."""
        if offset == regs.SEQUENCER_DATA:
            return regs.SR_BANKS[self._sr_index]
        if offset == regs.GRAPHICS_DATA:
            return regs.GR_BANKS[self._gr_index] if self._gr_index < len(regs.GR_BANKS) else None
        if offset in (regs.MONO_DATA, regs.COLOUR_DATA):
            visible = (offset == regs.COLOUR_DATA) == bool(self._misc & MISC_IOS)
            return regs.CR_BANKS[self._cr_index] if visible and self._cr_index < len(regs.CR_BANKS) else None
        if offset == regs.ATTRIBUTE:
            return self._ar_bank
        if offset == regs.ATTRIBUTE_DATA:
            return self._ar_data_bank()
        if offset == regs.DISPI_DATA_PORT:
            return regs.DISPI_BANKS[self._dispi_index] if self._dispi_index < len(regs.DISPI_BANKS) else None
        return None

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `memory` is a checksum of its first 256 KiB."""
        state = {
            "misc": self._misc, "feature": self._feature, "is1": self._is1, "sr_index": self._sr_index,
            "gr_index": self._gr_index, "cr_index": self._cr_index, "ar_index": self._ar_index,
            "flip_flop": int(self._flip_flop), "dac_state": self._dac_state, "pel_read": self._pel_read,
            "pel_write": self._pel_write, "pel_part": self._pel_part, "palette": crc32(self._palette),
            "dispi_index": self._dispi_index, "bank_offset": self._bank_offset, "byte_order": self._byte_order,
            "latch": self._memory.latch, "memory": crc32(self._memory.planes[:SHOWN_MEMORY]),
        }  # fmt: skip
        for prefix, values in (("SR", self._sr), ("GR", self._gr[:9]), ("CR", self._cr[:0x19]), ("AR", self._ar)):
            state |= {f"{prefix}{index:02X}": value for index, value in enumerate(values)}
        return state | dict(zip(regs.DISPI_BANKS, self._dispi.values, strict=False))

    # Ports 3B0h to 3DFh

    def _read_ports(self, offset: int, size: int) -> int:
        """QEMU: a word is two bytes; a wider access to the ports reaches nobody."""
        if size != 2:
            return (1 << 8 * size) - 1
        return self._readers[offset]() | self._readers[offset + 1]() << 8

    def _write_ports(self, offset: int, size: int, value: int) -> None:
        """QEMU: the low byte first, so that a word writes index and data."""
        if size == 2:
            self._writers[offset](value & 0xFF)
            self._writers[offset + 1](value >> 8)

    def _read_nothing(self) -> int:
        """A port of the range where nothing is, PEL mask and subsystem enable among them."""
        return 0

    def _read_colour_hole(self) -> int:
        """QEMU: seen in memory only."""
        return 0 if self._misc & MISC_IOS else 0xFF

    def _ignore(self, value: int) -> None:
        """Nothing is there."""

    # Attribute controller

    def _ar_data_bank(self) -> str | None:
        index = self._ar_index & 0x1F
        return regs.AR_BANKS[index] if index < len(regs.AR_BANKS) else None

    def _read_ar_address(self) -> int:
        self._ar_bank = regs.AR_FIRST
        return 0 if self._flip_flop else self._ar_index

    def _read_ar(self) -> int:
        index = self._ar_index & 0x1F
        return self._ar[index] if index < len(self._ar) else 0

    def _write_attribute(self, value: int) -> None:
        """The flip-flop chooses between address and data."""
        if self._flip_flop:
            index = self._ar_index & 0x1F
            self._ar_bank = self._ar_data_bank() or ""
            if index < len(self._ar):
                self._ar[index] = value & regs.AR_MASKS[index]
        else:
            self._ar_bank = regs.AR_FIRST
            self._ar_index = value & 0x3F
        self._flip_flop = not self._flip_flop

    # General registers

    def _write_misc(self, value: int) -> None:
        self._misc = value & MISC_KEPT

    def _read_is1(self, ios: int) -> int:
        """Reading puts the attribute controller's flip-flop back to the address."""
        if self._misc & MISC_IOS != ios:
            return 0xFF
        self._is1 ^= IS1_TOGGLED
        self._flip_flop = False
        return self._is1

    def _write_feature(self, ios: int, value: int) -> None:
        if self._misc & MISC_IOS == ios:
            self._feature = value & FEATURE_KEPT

    # Sequencer and graphics controller

    def _write_sr_index(self, value: int) -> None:
        self._sr_index = value & 7

    def _write_sr(self, value: int) -> None:
        self._sr[self._sr_index] = value & regs.SR_MASKS[self._sr_index]
        self._configure()

    def _write_gr_index(self, value: int) -> None:
        self._gr_index = value & 0xF

    def _write_gr(self, value: int) -> None:
        self._gr[self._gr_index] = value & regs.GR_MASKS[self._gr_index]
        self._follow_dispi()
        self._configure()

    # Palette

    def _write_pel_read(self, value: int) -> None:
        self._pel_read, self._pel_part, self._dac_state = value, 0, DAC_READING

    def _write_pel_write(self, value: int) -> None:
        self._pel_write, self._pel_part, self._dac_state = value, 0, DAC_WRITING

    def _read_pel(self) -> int:
        value = self._palette[3 * self._pel_read + self._pel_part]
        self._pel_part += 1
        if self._pel_part == 3:
            self._pel_part = 0
            self._pel_read = self._pel_read + 1 & 0xFF
        return value

    def _write_pel(self, value: int) -> None:
        """An entry changes when all three colours are there."""
        self._pel_cache[self._pel_part] = value
        self._pel_part += 1
        if self._pel_part == 3:
            self._palette[3 * self._pel_write : 3 * self._pel_write + 3] = self._pel_cache
            self._pel_part = 0
            self._pel_write = self._pel_write + 1 & 0xFF

    # CRT controller

    def _read_cr_index(self, ios: int) -> int:
        return self._cr_index if self._misc & MISC_IOS == ios else 0xFF

    def _write_cr_index(self, ios: int, value: int) -> None:
        if self._misc & MISC_IOS == ios:
            self._cr_index = value

    def _read_cr(self, ios: int) -> int:
        return self._cr[self._cr_index] if self._misc & MISC_IOS == ios else 0xFF

    def _write_cr(self, ios: int, value: int) -> None:
        """PR of CR11 protects CR00 to CR07, but for the line compare bit in CR07."""
        if self._misc & MISC_IOS != ios:
            return
        index, cr = self._cr_index, self._cr
        if index <= CR07 and cr[CR11] & CR11_PROTECT:
            if index != CR07:
                return
            value = cr[CR07] & ~CR07_LC8 | value & CR07_LC8
        cr[index] = value
        self._follow_dispi()
        if index in (CR14, CR17):
            self._configure()

    # DISPI

    def _read_dispi_port(self, offset: int, size: int) -> int:
        """QEMU: these ports take words only."""
        if size == 2 and offset == regs.DISPI_INDEX_PORT:
            return self._dispi_index
        if size == 2 and offset in (regs.DISPI_DATA_PORT, regs.DISPI_DATA_PORT_2):
            return self._dispi.read(self._dispi_index)
        return (1 << 8 * size) - 1

    def _write_dispi_port(self, offset: int, value: int) -> None:
        if offset == regs.DISPI_INDEX_PORT:
            self._dispi_index = value
        elif offset in (regs.DISPI_DATA_PORT, regs.DISPI_DATA_PORT_2):
            self._write_dispi(value)

    def _write_dispi(self, value: int) -> None:
        dispi, index = self._dispi, self._dispi_index
        if index == bochs_dispi.ID:
            dispi.write_id(value)
        elif index in bochs_dispi.SIZES:
            dispi.write_size(index, value)
            self._follow_dispi()
        elif index == bochs_dispi.BANK:
            self._bank_offset = dispi.write_bank(value)
        elif index == bochs_dispi.ENABLE:
            self._write_dispi_enable(value)
        self._configure()

    def _write_dispi_enable(self, value: int) -> None:
        dispi = self._dispi
        if value & bochs_dispi.ENABLED and not dispi.enabled:
            dispi.enable()
            self._follow_dispi()
            if not value & bochs_dispi.NOCLEARMEM:
                self._memory.fill(dispi.values[bochs_dispi.YRES] * dispi.line_bytes)
        else:
            self._bank_offset = 0
        dispi.values[bochs_dispi.ENABLE] = value

    def _follow_dispi(self) -> None:
        """Set the VGA's registers to the mode that DISPI shows: packed pixels or planes, all of 64 KiB at A0000h."""
        dispi, gr, cr, sr = self._dispi, self._gr, self._cr, self._sr_dispi
        if not dispi.enabled:
            return
        height = dispi.values[bochs_dispi.YRES] - 1
        gr[GR06] = gr[GR06] & ~GR06_MAP | 0x04 | GR06_GRAPHICS
        cr[CR17] |= 0x03
        cr[CR13] = dispi.line_bytes >> 3 & 0xFF
        cr[CR01] = (dispi.values[bochs_dispi.XRES] >> 3) - 1 & 0xFF
        cr[CR12] = height & 0xFF
        cr[CR07] = cr[CR07] & ~CR07_VDE | height >> 7 & 0x02 | height >> 3 & 0x40 | CR07_LC8
        cr[CR18] = 0xFF
        cr[CR09] = (cr[CR09] | CR09_LC9) & ~CR09_SCANS
        if dispi.values[bochs_dispi.BPP] == 4:
            gr[GR05] &= ~GR05_SHIFT
            sr[SR01] &= ~0x08
        else:
            gr[GR05] = gr[GR05] & ~GR05_SHIFT | 0x40
            sr[SR04] |= 0x08
            sr[SR02] |= 0x0F

    def _configure(self) -> None:
        """Tell the memory how the window shows it."""
        dispi = self._dispi
        sr = self._sr_dispi if dispi.enabled else self._sr
        if not self._legacy:
            return
        linear = bochs_dispi.ENABLED | bochs_dispi.LFB_ENABLED
        uses_linear = dispi.values[bochs_dispi.ENABLE] & linear == linear
        self._memory.configure(sr, self._sr[SR04], self._gr, self._cr, self._bank_offset, uses_linear)

    # Registers in memory: DISPI, QEMU's extension, EDID

    def _read_mapped(self, offset: int, size: int) -> int:
        if offset >= regs.HOLES:
            return (1 << 8 * size) - 1
        if regs.EDID <= offset < regs.EDID + len(self._monitor):
            return int.from_bytes(self._monitor[offset - regs.EDID : offset - regs.EDID + size], "little")
        if regs.DISPI <= offset < regs.DISPI + regs.DISPI_BYTES:
            value = 0
            for at in range(0, size, 2):
                self._dispi_index = offset - regs.DISPI + at >> 1
                value |= self._dispi.read(self._dispi_index) << 8 * at
            return value & (1 << 8 * size) - 1
        if offset == regs.QEXT and size >= 4:
            return regs.QEXT_BYTES | self._byte_order << 32 & (1 << 8 * size) - 1
        return self._byte_order if offset == regs.QEXT + 4 and size == 4 else 0

    def _write_mapped(self, offset: int, size: int, value: int) -> None:
        if regs.DISPI <= offset < regs.DISPI + regs.DISPI_BYTES:
            for at in range(0, size, 2):
                self._dispi_index = offset - regs.DISPI + at >> 1
                self._write_dispi(value >> 8 * at & 0xFFFF)
        elif offset == regs.QEXT + 4 and size == 4 and value in (LITTLE_ENDIAN, BIG_ENDIAN):
            self._byte_order = value
