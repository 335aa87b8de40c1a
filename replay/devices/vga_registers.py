"""The registers of a VGA with Bochs DISPI interface, by name: where each is in the model's register space.

Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (1992); QEMU documentation, "QEMU Standard
VGA" (docs/specs/standard-vga) for all that is not VGA; Bochs VBE extension, "Bochs DISPI".
"""

from __future__ import annotations

from typing import Final

from ..registers import Direction, Field, Register, RegisterMap, bit

FIRST_PORT: Final = 0x3B0
PORTS: Final = 0x30
"""Offsets 0 to 2Fh are ports 3B0h to 3DFh; in the memory-mapped registers, 3C0h to 3DFh."""

MONO_INDEX, MONO_DATA, MONO_STATUS = 0x04, 0x05, 0x0A
ATTRIBUTE, ATTRIBUTE_DATA, MISC_WRITE, SUBSYSTEM, SEQUENCER_INDEX, SEQUENCER_DATA = range(0x10, 0x16)
PEL_MASK, PEL_READ, PEL_WRITE, PEL_DATA, FEATURE_READ = range(0x16, 0x1B)
MISC_READ, GRAPHICS_INDEX, GRAPHICS_DATA = 0x1C, 0x1E, 0x1F
COLOUR_INDEX, COLOUR_DATA, COLOUR_STATUS = 0x24, 0x25, 0x2A

DISPI_INDEX_PORT, DISPI_DATA_PORT, DISPI_DATA_PORT_2 = 0x30, 0x31, 0x32
DISPI_PORTS: Final = 0x34

DISPI, DISPI_BYTES = 0x40, 0x16
QEXT, QEXT_BYTES = 0x58, 0x08
LITTLE_ENDIAN, BIG_ENDIAN = 0x1E1E1E1E, 0xBEBEBEBE
EDID: Final = 0x100
HOLES, HOLES_BYTES = 0x1000, 0x1000
"""What the rest of the registers' BAR shows: nothing."""
WINDOW, WINDOW_BYTES = 0x20000, 0x20000

SR_MASKS: Final = (0x03, 0x3D, 0x0F, 0x3F, 0x0E, 0x00, 0x00, 0xFF)
GR_MASKS: Final = (0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF, *[0x00] * 7)
AR_MASKS: Final = (*[0x3F] * 16, 0xEF, 0xFF, 0x3F, 0x0F, 0x0F)
"""Bits that QEMU keeps."""

AR_FIRST: Final = "AR address"
"""The bank of the attribute controller's port whose next write is an index."""
SR_BANKS: Final = tuple(f"SR{index:02X}" for index in range(8))
GR_BANKS: Final = tuple(f"GR{index:02X}" for index in range(9))
CR_BANKS: Final = tuple(f"CR{index:02X}" for index in range(0x19))
AR_BANKS: Final = tuple(f"AR{index:02X}" for index in range(0x15))

_SEQUENCER: Final = (
    ("Reset", (bit("ASR", 0), bit("SR", 1))),
    ("Clocking mode", (bit("D89", 0), bit("SL", 2), bit("DC", 3), bit("SH4", 4), bit("SO", 5))),
    ("Map mask", (bit("M0E", 0), bit("M1E", 1), bit("M2E", 2), bit("M3E", 3))),
    ("Character map select", (Field("MBL", 1, 0), Field("MAL", 3, 2), bit("MBH", 4), bit("MAH", 5))),
    ("Memory mode", (bit("EM", 1), bit("OE", 2, {0: "odd/even", 1: "sequential"}), bit("CH4", 3))),
    ("Undefined", ()),
    ("Undefined", ()),
    ("Horizontal character counter reset", ()),
)
_GRAPHICS: Final = (
    ("Set/reset", (Field("SR", 3, 0),)),
    ("Enable set/reset", (Field("ESR", 3, 0),)),
    ("Color compare", (Field("CC", 3, 0),)),
    ("Data rotate", (Field("ROTC", 2, 0), Field("FS", 4, 3, {0: "replace", 1: "AND", 2: "OR", 3: "XOR"}))),
    ("Read map select", (Field("MS", 1, 0),)),
    ("Graphics mode", (Field("WM", 1, 0), bit("RM", 3), bit("OE", 4), bit("SR", 5), bit("C256", 6))),
    (
        "Miscellaneous",
        (bit("GM", 0, {0: "text", 1: "graphics"}), bit("OE", 1),
         Field("MM", 3, 2, {0: "A0000-BFFFF", 1: "A0000-AFFFF", 2: "B0000-B7FFF", 3: "B8000-BFFFF"})),
    ),
    ("Color don't care", (Field("M0X-M3X", 3, 0),)),
    ("Bit mask", ()),
)  # fmt: skip
_CRT: Final = (
    ("Horizontal total", ()),
    ("Horizontal display-enable end", ()),
    ("Start horizontal blanking", ()),
    ("End horizontal blanking", (Field("EB", 4, 0), Field("DES", 6, 5), bit("CR", 7))),
    ("Start horizontal retrace", ()),
    ("End horizontal retrace", (Field("EHR", 4, 0), Field("HRD", 6, 5), bit("EB5", 7))),
    ("Vertical total", ()),
    (
        "Overflow",
        (bit("VT8", 0), bit("VDE8", 1), bit("VRS8", 2), bit("VBS8", 3), bit("LC8", 4), bit("VT9", 5), bit("VDE9", 6),
         bit("VRS9", 7)),
    ),
    ("Preset row scan", (Field("PRS", 4, 0), Field("BP", 6, 5))),
    ("Maximum scan line", (Field("MSL", 4, 0), bit("VBS9", 5), bit("LC9", 6), bit("DSC", 7))),
    ("Cursor start", (Field("CSR", 4, 0), bit("CO", 5))),
    ("Cursor end", (Field("CSRE", 4, 0), Field("CSK", 6, 5))),
    ("Start address high", ()),
    ("Start address low", ()),
    ("Cursor location high", ()),
    ("Cursor location low", ()),
    ("Vertical retrace start", ()),
    ("Vertical retrace end", (Field("VRE", 3, 0), bit("CVI", 4), bit("EVI", 5), bit("S5R", 6), bit("PR", 7))),
    ("Vertical display-enable end", ()),
    ("Offset", ()),
    ("Underline location", (Field("SUL", 4, 0), bit("CB4", 5), bit("DW", 6))),
    ("Start vertical blanking", ()),
    ("End vertical blanking", ()),
    (
        "CRT mode control",
        (bit("CMS0", 0), bit("SRC", 1), bit("HRS", 2), bit("CB2", 3), bit("ADW", 5), bit("W/B", 6), bit("RST", 7)),
    ),
    ("Line compare", ()),
)  # fmt: skip
_ATTRIBUTE: Final = (
    *((f"Internal palette {index:X}", (Field("P", 5, 0),)) for index in range(16)),
    (
        "Attribute mode control",
        (bit("G", 0), bit("ME", 1), bit("ELG", 2), bit("EB", 3), bit("PP", 5), bit("PW", 6), bit("PS", 7)),
    ),
    ("Overscan color", ()),
    ("Color plane enable", (Field("ECP", 3, 0), Field("VSMUX", 5, 4))),
    ("Horizontal PEL panning", (Field("HPP", 3, 0),)),
    ("Color select", (Field("SC54", 1, 0), Field("SC76", 3, 2))),
)
_MISC: Final = (
    bit("IOS", 0, {0: "3B4h, monochrome", 1: "3D4h, colour"}), bit("ERAM", 1), Field("CS", 3, 2), bit("PB", 5),
    bit("HSP", 6), bit("VSP", 7),
)  # fmt: skip
_STATUS_1: Final = (bit("DE", 0), bit("VR", 3), Field("VS", 5, 4))

DISPI_NAMES: Final = (
    ("ID", "Version"), ("XRES", "Width"), ("YRES", "Height"), ("BPP", "Bits per pixel"), ("ENABLE", "Enable"),
    ("BANK", "64 KiB that the window shows"), ("VIRT_WIDTH", "Width of memory"), ("VIRT_HEIGHT", "Height of memory"),
    ("X_OFFSET", "First column shown"), ("Y_OFFSET", "First line shown"), ("VIDEO_MEMORY_64K", "Memory in 64 KiB"),
)  # fmt: skip
"""By index: the names that Bochs gives, without VBE_DISPI_INDEX_."""
DISPI_BANKS: Final = tuple(f"DISPI {name}" for name, _ in DISPI_NAMES)
DISPI_ENABLE: Final = (
    bit("ENABLED", 0), bit("GETCAPS", 1), bit("8BIT_DAC", 5), bit("LFB_ENABLED", 6), bit("NOCLEARMEM", 7),
)  # fmt: skip
DISPI_ID5: Final = 0xB0C5
_BOCHS: Final = "Bochs DISPI"


def dispi_registers(at: int) -> tuple[Register, ...]:
    """The registers as they lie in memory, from offset `at` on."""
    return tuple(
        Register(
            name, title, at + 2 * index, "r" if name == "VIDEO_MEMORY_64K" else "rw",
            DISPI_ENABLE if name == "ENABLE" else (), width=16, source=_BOCHS,
            reset=DISPI_ID5 if name == "ID" else None if name == "VIDEO_MEMORY_64K" else 0,
        )
        for index, (name, title) in enumerate(DISPI_NAMES)
    )  # fmt: skip


def qext_registers(at: int) -> tuple[Register, ...]:
    """QEMU's extended registers, from offset `at` on."""
    source = "QEMU Standard VGA"
    return (
        Register("QEXT size", "Size of these registers in bytes", at, "r", reset=QEXT_BYTES, width=32, source=source),
        Register("Byte order", "Of the frame buffer: 1E1E1E1Eh or BEBEBEBEh", at + 4, "rw", width=32, source=source),
    )


def edid_registers() -> tuple[Register, ...]:
    """The monitor's data, of which one register stands for all bytes, and what is between the registers in memory."""
    return (
        Register("EDID", "The monitor's data; writes are ignored", EDID, "rw", width=64, source="E-EDID"),
        Register("Hole", "Between the registers in memory; reads all ones", HOLES, "rw", width=64, source="QEMU"),
    )


def _crt(index_at: int, data_at: int, status_at: int, suffix: str) -> tuple[Register, ...]:
    return (
        Register(f"CRTC index{suffix}", "CRT controller address", index_at, "rw"),
        *(
            Register(f"CR{index:02X}{suffix}", title, data_at, "rw", fields, CR_BANKS[index], None if suffix else 0)
            for index, (title, fields) in enumerate(_CRT)
        ),
        Register(f"IS1{suffix}", "Input status 1; flips the attribute flip-flop", status_at, "r", _STATUS_1),
        Register(f"Feature control{suffix}", "Feature control", status_at, "w", (bit("VSS", 3), bit("FC4", 4))),
    )


class DisplayMap(RegisterMap):
    """A map in which one register each stands for all of the window, the EDID blocks, and the holes."""

    def find(self, offset: int, direction: Direction, bank: str | None = None) -> Register | None:
        """See `RegisterMap.find`."""
        if offset >= WINDOW:
            offset = WINDOW
        elif offset >= HOLES:
            offset = HOLES
        elif offset >= EDID:
            offset = EDID
        return super().find(offset, direction, bank)


REGISTERS: Final = DisplayMap(
    *_crt(MONO_INDEX, MONO_DATA, MONO_STATUS, ""),
    Register("AR address", "Attribute controller address", ATTRIBUTE, "rw",
             (Field("Index", 4, 0), bit("IPAS", 5)), AR_FIRST, 0x00),
    *(
        Register(f"AR{index:02X}", title, ATTRIBUTE, "w", fields, AR_BANKS[index])
        for index, (title, fields) in enumerate(_ATTRIBUTE)
    ),
    *(
        Register(f"AR{index:02X}", title, ATTRIBUTE_DATA, "r", fields, AR_BANKS[index], 0x00)
        for index, (title, fields) in enumerate(_ATTRIBUTE)
    ),
    Register("IS0", "Input status 0", MISC_WRITE, "r", (bit("SS", 4), bit("CI", 7)), reset=0x00),
    Register("Misc output", "Miscellaneous output", MISC_WRITE, "w", _MISC),
    Register("Subsystem enable", "Video subsystem enable; not there", SUBSYSTEM, "rw", reset=0x00),
    Register("SR index", "Sequencer address", SEQUENCER_INDEX, "rw", (Field("Index", 2, 0),), reset=0x00),
    *(
        Register(f"SR{index:02X}", title, SEQUENCER_DATA, "rw", fields, SR_BANKS[index], 0x00)
        for index, (title, fields) in enumerate(_SEQUENCER)
    ),
    Register("PEL mask", "PEL mask; not there", PEL_MASK, "rw", reset=0x00),
    Register("DAC state", "State of the palette", PEL_READ, "r", (Field("State", 1, 0),), reset=0x00),
    Register("PEL address read", "Palette entry to read", PEL_READ, "w"),
    Register("PEL address write", "Palette entry to write", PEL_WRITE, "rw", reset=0x00),
    Register("PEL data", "Red, green and blue, one after the other", PEL_DATA, "rw", reset=0x00),
    Register("Feature control read", "Feature control", FEATURE_READ, "r", (bit("VSS", 3), bit("FC4", 4)), reset=0x00),
    Register("Misc output read", "Miscellaneous output", MISC_READ, "r", _MISC, reset=0x00),
    Register("GR index", "Graphics controller address", GRAPHICS_INDEX, "rw", (Field("Index", 3, 0),), reset=0x00),
    *(
        Register(f"GR{index:02X}", title, GRAPHICS_DATA, "rw", fields, GR_BANKS[index], 0x00)
        for index, (title, fields) in enumerate(_GRAPHICS)
    ),
    *_crt(COLOUR_INDEX, COLOUR_DATA, COLOUR_STATUS, " at 3Dxh"),
    Register("DISPI index", "Register that the data ports show", DISPI_INDEX_PORT, "rw", width=16, source=_BOCHS),
    *(
        Register(
            f"{name} by port", title, DISPI_DATA_PORT, "r" if name == "VIDEO_MEMORY_64K" else "rw",
            DISPI_ENABLE if name == "ENABLE" else (), DISPI_BANKS[index], width=16, source=_BOCHS,
        )
        for index, (name, title) in enumerate(DISPI_NAMES)
    ),
    Register("DISPI data at 1D0h", "As at 1CFh", DISPI_DATA_PORT_2, "rw", width=16, source=_BOCHS),
    *dispi_registers(DISPI),
    *qext_registers(QEXT),
    *edid_registers(),
    Register("Window", "Display memory at A0000h-BFFFFh, byte by byte", WINDOW, "rw", width=64),
    banks=(*SR_BANKS, *GR_BANKS, *CR_BANKS, AR_FIRST, *AR_BANKS, *DISPI_BANKS),
)  # fmt: skip
