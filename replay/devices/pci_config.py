"""Configuration space of one PCI function: header type 0, BARs, and whatever its builder declares behind them.

Source: PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification 3.0, section 7.2 on the 4096 bytes of
PCI Express functions. Header type 1 is in pci_bridge.py.

Modelled: a byte array with masks of the bits that a guest can write or clear; command and status, BARs of all kinds
with their sizing, expansion ROM, INTx with its status and disable bits. A builder adds registers with
`declare`, BARs with `add_bar`, capabilities with `add_capability`; what it cannot know it declares with `learn`.

Not modelled: errors, which no recorded machine has; VPD and other capabilities behind which there is a machine.

Follows QEMU where the guest can see a difference from the specifications:
- Latency timer, MIN_GNT, MAX_LAT and BIST are read-only; SERR# enable and all that nothing implements can be written.
- Behind the header all bytes that nothing claims can be written and read back, and a reset leaves them alone.
- Accesses may cross registers and need not be aligned; what lies beyond the space reads 0.
- A BAR whose range is at 0, or ends at or wraps around the end of its space, is not decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Literal, NamedTuple, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..irq import Line
from ..registers import Field, Nature, Register, RegisterMap, bit

VENDOR_ID, DEVICE_ID, COMMAND, STATUS, REVISION_ID, PROG_IF, CLASS_CODE = 0x00, 0x02, 0x04, 0x06, 0x08, 0x09, 0x0A
CACHE_LINE_SIZE, LATENCY_TIMER, HEADER_TYPE, BIST, BAR_0, ROM_BASE = 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x30
SUBSYSTEM_VENDOR_ID, SUBSYSTEM_ID, CAPABILITIES_POINTER = 0x2C, 0x2E, 0x34
INTERRUPT_LINE, INTERRUPT_PIN, MIN_GNT, MAX_LAT = 0x3C, 0x3D, 0x3E, 0x3F
HEADER_SIZE: Final = 0x40

COMMAND_IO, COMMAND_MEMORY, COMMAND_MASTER, COMMAND_SERR, COMMAND_INTX_DISABLE = 0x1, 0x2, 0x4, 0x100, 0x400
COMMAND_WRITABLE: Final = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_DISABLE
STATUS_INTERRUPT, STATUS_CAPABILITIES, STATUS_ERRORS = 0x08, 0x10, 0xF900
MULTI_FUNCTION: Final = 0x80
ROM_ENABLE: Final = 0x01

ROM_BAR: Final = 6
"""The number that the expansion ROM has among the BARs."""

FIELDS_COMMAND: Final = (
    bit("IO", 0), bit("MEM", 1), bit("BME", 2), bit("SCE", 3), bit("MWIE", 4), bit("VGA", 5), bit("PERR", 6),
    bit("STEP", 7), bit("SERR", 8), bit("FBE", 9), bit("INTXD", 10),
)  # fmt: skip
FIELDS_STATUS: Final = (
    bit("INTS", 3, nature="interrupt"), bit("CAP", 4), bit("C66", 5), bit("FBC", 7), bit("MDPE", 8),
    Field("DEVT", 10, 9), bit("STA", 11), bit("RTA", 12), bit("RMA", 13), bit("SSE", 14), bit("DPE", 15),
)  # fmt: skip
IDENTITIES: Final = frozenset(
    ("VID", "DID", "RID", "PI", "CC", "HTYPE", "SSVID", "SSID", "CAP", "INTP", "MGNT", "MLAT")
)
"""Registers that say what a function is."""
FIELDS_ROM: Final = (bit("EN", 0), Field("BASE", 31, 11))


def named(name: str, title: str, offset: int, width: int, *fields: Field) -> Register:
    """A register that every function has; what it is after a reset depends on the function."""
    nature: Nature | None = "configuration" if name in IDENTITIES else None
    return Register(name, title, offset, "rw", fields, width=width, nature=nature)


COMMON_REGISTERS: Final = (
    named("VID", "Vendor identification", VENDOR_ID, 16),
    named("DID", "Device identification", DEVICE_ID, 16),
    named("COMMAND", "Command", COMMAND, 16, *FIELDS_COMMAND),
    named("STATUS", "Status", STATUS, 16, *FIELDS_STATUS),
    named("RID", "Revision identification", REVISION_ID, 8),
    named("PI", "Programming interface", PROG_IF, 8),
    named("CC", "Class code", CLASS_CODE, 16, Field("SCC", 7, 0), Field("BCC", 15, 8)),
    named("CLS", "Cache line size", CACHE_LINE_SIZE, 8),
    named("MLT", "Master latency timer", LATENCY_TIMER, 8),
    named("HTYPE", "Header type", HEADER_TYPE, 8, Field("HL", 6, 0), bit("MFD", 7)),
    named("BIST", "Built-in self test", BIST, 8),
    *(named(f"BAR{n}", f"Base address {n}", BAR_0 + 4 * n, 32) for n in range(2)),
    named("CAP", "Capabilities pointer", CAPABILITIES_POINTER, 8),
    named("INTL", "Interrupt line", INTERRUPT_LINE, 8),
    named("INTP", "Interrupt pin", INTERRUPT_PIN, 8),
)
"""What both header types have."""

REGISTERS: Final = RegisterMap(
    *COMMON_REGISTERS,
    *(named(f"BAR{n}", f"Base address {n}", BAR_0 + 4 * n, 32) for n in range(2, 6)),
    named("CCPTR", "CardBus CIS pointer", 0x28, 32),
    named("SSVID", "Subsystem vendor identification", SUBSYSTEM_VENDOR_ID, 16),
    named("SSID", "Subsystem identification", SUBSYSTEM_ID, 16),
    named("EROM", "Expansion ROM base address", ROM_BASE, 32, *FIELDS_ROM),
    named("MGNT", "Minimum grant", MIN_GNT, 8),
    named("MLAT", "Maximum latency", MAX_LAT, 8),
)

Space = Literal["pio", "mmio"]


class Bar(NamedTuple):
    """One base address register."""

    at: int
    """Where it is in configuration space."""
    size: int
    """Bytes that it decodes, a power of two."""
    is_io: bool
    is_64: bool


Refresh = Callable[[int], Unknown | None]
Explain = Callable[[int, int, int], bool]
"""See `PciConfig.before_reads`."""


class PciConfig(Device):
    """The configuration space of one function.

    Args:
        vendor_id, device_id, class_code: identities; `class_code` is base class << 8 | subclass.
        size: 256, or 4096 for PCI Express.
        intx: the interrupt line.
    """

    title = "PCI configuration space, header type 0"
    registers = REGISTERS
    rom_base = ROM_BASE
    """Where the expansion ROM's BAR is."""
    kept_by_reset: ClassVar[tuple[str, ...]] = ("0x*",)
    width = 4

    def __init__(
        self, vendor_id: int = 0xFFFF, device_id: int = 0xFFFF, class_code: int = 0, *,
        size: int = 256, intx: Line | None = None,
    ) -> None:  # fmt: skip
        self.intx = Line() if intx is None else intx
        self.size = size
        self.bars: dict[int, Bar] = {}
        self.own_registers: list[Register] = []
        """Registers behind the header, for names."""
        self._bytes = bytearray(size)
        self._writable = bytearray(size)
        self._clears = bytearray(size)
        self._unknown = bytearray(size)
        """Bits that only the recording knows, as long as they have not been read."""
        self._lacks = False
        """Whether any are left."""
        self._uncertain = bytearray(size)
        """Bits of which nobody knows whether a guest can write them: a write makes them unknown again."""
        self._forgotten = bytearray(size)
        """Bits that a reset returns to `_initial`."""
        self._initial = bytearray(size)
        self._used = bytearray(size)
        self._learns = False
        self._watchers: list[tuple[int, int, Callable[[], None]]] = []
        self._observers: list[tuple[int, int, Refresh]] = []
        self._explanations: list[tuple[int, Explain]] = []
        self._resets: list[Callable[[], None]] = []
        self._is_raised = False
        self._declare_header(vendor_id, device_id, class_code)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        config = cls(0x1234, 0x11E8, 0xFF00)
        config.add_bar(0, 0x1000)
        return config

    # Building

    def _declare_header(self, vendor_id: int, device_id: int, class_code: int) -> None:
        writable = self._writable
        writable[HEADER_SIZE:] = b"\xff" * (self.size - HEADER_SIZE)
        self.declare(VENDOR_ID, 2, vendor_id)
        self.declare(DEVICE_ID, 2, device_id)
        self.declare(CLASS_CODE, 2, class_code)
        self.declare(COMMAND, 2, 0, COMMAND_WRITABLE)
        self.declare(STATUS, 2, 0, clears=STATUS_ERRORS)
        self.declare(CACHE_LINE_SIZE, 1, 0, 0xFF)
        self.declare(INTERRUPT_LINE, 1, 0, 0xFF)
        self.declare(HEADER_TYPE, 1, 0)

    def declare(
        self, offset: int, size: int, value: int, writable: int = 0, clears: int = 0, *, kept: bool = False,
        register: Register | None = None,
    ) -> None:  # fmt: skip
        """Say what the `size` bytes at `offset` are.

        Args:
            offset: first byte.
            size: number of bytes.
            value: after power-on, and after a reset unless `kept`.
            writable: bits that the guest can write.
            clears: bits that it clears by writing 1.
            kept: whether a reset leaves them alone.
            register: their name and fields, behind the header.
        """
        stop = offset + size
        self._bytes[offset:stop] = value.to_bytes(size, "little")
        self._initial[offset:stop] = self._bytes[offset:stop]
        self._writable[offset:stop] = writable.to_bytes(size, "little")
        self._clears[offset:stop] = clears.to_bytes(size, "little")
        self._forgotten[offset:stop] = bytes(size) if kept else b"\xff" * size
        self._unknown[offset:stop] = bytes(size)
        if offset >= HEADER_SIZE:
            self._used[offset:stop] = b"\x01" * size
        if register is not None:
            self.name(register)

    def name(self, *registers: Register) -> None:
        """Name registers behind the header."""
        self.own_registers += registers
        self.registers = self.registers.plus(*registers)

    def learn(self, offset: int, size: int, bits: int = -1) -> None:
        """Let the first read teach these bits of the `size` bytes at `offset`, and the first one after a change."""
        mask = (bits & (1 << 8 * size) - 1).to_bytes(size, "little")
        for at, byte in enumerate(mask, offset):
            self._unknown[at] |= byte
            if self._writable[at]:
                self._uncertain[at] |= byte
                self._writable[at] &= ~byte
        self._lacks = self._learns = True

    def poke(self, offset: int, size: int, value: int) -> None:
        """Change what the guest reads, as the hardware itself does."""
        self._bytes[offset : offset + size] = value.to_bytes(size, "little")

    def peek(self, offset: int, size: int) -> int:
        """What is there, without the effects of a read. Bits that nobody knows yet are 0."""
        return int.from_bytes(self._bytes[offset : offset + size], "little")

    def allow(self, offset: int, writable: int) -> None:
        """Change which bits of the byte at `offset` a guest can write, as locks do."""
        self._writable[offset] = writable

    def allowed(self, offset: int) -> int:
        """Which bits of the byte at `offset` a guest can write."""
        return self._writable[offset]

    def add_bar(
        self, number: int, size: int, *, is_io: bool = False, is_64: bool = False, prefetch: bool = False
    ) -> None:
        """Add a BAR of `size` bytes, a power of two; `ROM_BAR` is the expansion ROM."""
        at = self.rom_base if number == ROM_BAR else BAR_0 + 4 * number
        flags = 1 if is_io else (4 if is_64 else 0) | (8 if prefetch else 0)
        width = 8 if is_64 else 4
        writable = -size & (1 << 8 * width) - 1
        if number == ROM_BAR:
            writable, flags = writable | ROM_ENABLE, 0
        self.bars[number] = Bar(at, size, is_io, is_64)
        self.declare(at, width, flags, writable)

    def add_capability(self, identity: int, size: int, offset: int = 0) -> int:
        """Put a read-only capability of `size` bytes at `offset`, or where there is room, at the head of the list."""
        if not offset:
            free = HEADER_SIZE
            while any(self._used[free : free + size]):
                free += 4
            offset = free
        self.declare(offset, size, identity | self._bytes[CAPABILITIES_POINTER] << 8)
        self.declare(CAPABILITIES_POINTER, 1, offset)
        self.declare(STATUS, 2, self.peek(STATUS, 2) | STATUS_CAPABILITIES, clears=STATUS_ERRORS)
        return offset

    def watch(self, offset: int, size: int, changed: Callable[[], None], *, on_reset: bool = True) -> None:
        """Call `changed` after each write that touches the `size` bytes at `offset`, and after each reset."""
        self._watchers.append((offset, offset + size, changed))
        if on_reset:
            self._resets.append(changed)

    def before_reads(self, offset: int, size: int, refresh: Refresh, assume: Explain) -> None:
        """Call `refresh` before each read that touches the `size` bytes at `offset`, of which something else knows.

        It is told how many bytes from `offset` on are read, 0 if the read does not begin there, and gives what the
        read is to be answered with if not all of it is known. `assume` is `Device.assume` of a read at `offset`.
        """
        self._observers.append((offset, offset + size, refresh))
        self._explanations.append((offset, assume))

    # The guest's accesses

    def reset(self) -> None:
        """See `Device.reset`."""
        forgotten = int.from_bytes(self._forgotten, "little")
        kept = int.from_bytes(self._bytes, "little") & ~forgotten
        initial = int.from_bytes(self._initial, "little") & forgotten
        self._bytes[:] = (kept | initial).to_bytes(self.size, "little")
        for changed in self._resets:
            changed()
        self.interrupt(False)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        for first, end, refresh in self._observers:
            if offset < end and offset + size > first:
                lesson = refresh(size if offset == first else 0)
                if lesson is not None:
                    return lesson
        if self._lacks:
            mask = int.from_bytes(self._unknown[offset : offset + size], "little")
            if mask:
                known = int.from_bytes(self._bytes[offset : offset + size], "little")
                return Unknown(known, mask, lambda value: self._teach(offset, size, mask, value))
        return int.from_bytes(self._bytes[offset : offset + size], "little")

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`."""
        return any(at == offset and explain(size, hw, model) for at, explain in self._explanations)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        data, writable, clears = self._bytes, self._writable, self._clears
        stop = offset + size
        if stop > self.size:
            stop = self.size
        if self._learns:
            self._doubt(offset, stop, value)
        for at in range(offset, stop):
            byte = value & 0xFF
            value >>= 8
            mask = writable[at]
            data[at] = (data[at] & ~mask | byte & mask) & ~(byte & clears[at])
        for first, end, changed in self._watchers:
            if offset < end and stop > first:
                changed()
        if offset < COMMAND + 2 and stop > COMMAND:
            self._drive()

    def _doubt(self, offset: int, stop: int, value: int) -> None:
        for at in range(offset, stop):
            self._unknown[at] |= (value ^ self._bytes[at]) & self._uncertain[at]
            value >>= 8
        self._lacks = any(self._unknown)

    def _teach(self, offset: int, size: int, mask: int, value: int) -> None:
        known = self.peek(offset, size) & ~mask | value
        self.poke(offset, size, known)
        for at in range(offset, min(offset + size, self.size)):  # what a write may have changed is no initial value
            fixed = mask & 0xFF & ~self._uncertain[at]
            self._initial[at] = self._initial[at] & ~fixed | value & fixed
            mask, value = mask >> 8, value >> 8
        self._unknown[offset : offset + size] = bytes(size)
        self._lacks = any(self._unknown)

    # What the rest of the machine sees

    @property
    def pin(self) -> int:
        """The interrupt pin: 1 to 4 for INTA to INTD, 0 for none or while it is not known."""
        return self._bytes[INTERRUPT_PIN]

    def interrupt(self, level: bool) -> None:
        """Raise or lower INTx, as the function's device does."""
        self._is_raised = level
        self._bytes[STATUS] = self._bytes[STATUS] & ~STATUS_INTERRUPT | (STATUS_INTERRUPT if level else 0)
        self._drive()

    def _drive(self) -> None:
        self.intx.set(self._is_raised and not self._bytes[COMMAND + 1] & COMMAND_INTX_DISABLE >> 8)

    def decoded(self, number: int) -> tuple[Space, int] | None:
        """Where BAR `number` is decoded now: the space and the address; None if it is not."""
        bar = self.bars[number]
        if not self._bytes[COMMAND] & (COMMAND_IO if bar.is_io else COMMAND_MEMORY):
            return None
        value = self.peek(bar.at, 8 if bar.is_64 else 4)
        if number == ROM_BAR and not value & ROM_ENABLE:
            return None
        base = value & -bar.size
        last = base + bar.size - 1
        if base == 0 or last >= ((1 << 64) - 1 if bar.is_64 else (1 << 32) - 1) or (bar.is_io and last > 0xFFFF):
            return None
        return "pio" if bar.is_io else "mmio", base

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. What is not in the header is named by its offset."""
        state = {
            f"{register.name.lower()}": self.peek(register.offset, register.width // 8)
            for register in type(self).registers
        }
        state |= {
            f"{offset:#05x}": self.peek(offset, 4)
            for offset in range(HEADER_SIZE, self.size, 4)
            if self.peek(offset, 4)
        }
        state["raised"] = int(self._is_raised)
        return state
