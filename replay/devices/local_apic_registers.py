"""The registers of a local APIC: see `local_apic`."""

from __future__ import annotations

from typing import Final

from ..registers import Field, Register, RegisterMap, bit

MSI, ID, VERSION, TPR, PPR, EOI, LDR, DFR, SVR = 0x00, 0x20, 0x30, 0x80, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0
APR: Final = 0x90
ISR, TMR, IRR = 0x100, 0x180, 0x200
ESR, ICR_LOW, ICR_HIGH = 0x280, 0x300, 0x310
LVT: Final = (0x320, 0x330, 0x340, 0x350, 0x360, 0x370)
"""Timer, thermal sensor, performance counters, LINT0, LINT1, error."""
TIMER, LINT0 = 0, 3
"""Their numbers among these."""
TIMER_INITIAL, TIMER_COUNT, DCR = 0x380, 0x390, 0x3E0

_DELIVERY_MODES: Final = {
    0: "fixed", 1: "lowest priority", 2: "SMI", 4: "NMI", 5: "INIT", 6: "start-up", 7: "ExtINT",
}  # fmt: skip
_TRIGGER: Final = {0: "edge", 1: "level"}
_DIVIDE: Final = {0: "2", 1: "4", 2: "8", 3: "16", 8: "32", 9: "64", 10: "128", 11: "1"}
_SHORTHANDS: Final = {0: "none", 1: "self", 2: "all", 3: "all but self"}

_VECTOR: Final = Field("Vector", 7, 0)
_MODE: Final = Field("Delivery Mode", 10, 8, _DELIVERY_MODES)
_STATUS, _MASK = bit("Delivery Status", 12), bit("Mask", 16)
_PIN: Final = (_MASK, bit("Trigger Mode", 15, _TRIGGER), bit("Remote IRR", 14), bit("Polarity", 13))
_PRIORITY: Final = (Field("Priority Class", 7, 4), Field("Priority Sub-Class", 3, 0))
_MASKED: Final = 1 << 16


def _register(offset: int, name: str, title: str, access: str, *fields: Field, reset: int | None = 0) -> Register:
    """A read-only register takes writes without effect, a write-only one reads 0."""
    return Register(name, title, offset, "w" if access == "w" else "rw", fields, None, reset, 32)


def _bits(at: int, name: str, title: str) -> tuple[Register, ...]:
    return tuple(
        Register(
            f"{name}{n}", f"{title}, vectors {32 * n} to {32 * n + 31}; writes are ignored", at + 16 * n, "rw",
            tuple(bit(f"V{vector:02X}", vector % 32) for vector in range(32 * n, 32 * n + 32)), reset=0, width=32,
            nature="interrupt",
        )
        for n in range(8)
    )  # fmt: skip


REGISTERS: Final = RegisterMap(
    _register(MSI, "MSI", "A message: the offset is its address", "w", reset=None),
    _register(ID, "ID", "Local APIC ID", "rw", Field("APIC ID", 31, 24)),
    _register(
        VERSION, "Version", "Local APIC version; writes are ignored", "r",
        Field("Max LVT Entry", 23, 16), Field("Version", 7, 0), reset=0x50014,
    ),
    _register(TPR, "TPR", "Task priority", "rw", *_PRIORITY),
    _register(APR, "APR", "Arbitration priority; writes are ignored", "r", *_PRIORITY),
    _register(PPR, "PPR", "Processor priority; writes are ignored", "r", *_PRIORITY),
    _register(EOI, "EOI", "End of interrupt; reads 0", "rw"),
    _register(LDR, "LDR", "Logical destination", "rw", Field("Logical APIC ID", 31, 24)),
    _register(
        DFR, "DFR", "Destination format", "rw", Field("Model", 31, 28, {0: "cluster", 15: "flat"}), reset=0xFFFF_FFFF,
    ),
    _register(
        SVR, "SVR", "Spurious interrupt vector", "rw",
        bit("EOI-Broadcast Suppression", 12), bit("Focus Processor Checking", 9), bit("APIC Software Enable", 8),
        Field("Spurious Vector", 7, 0), reset=0xFF,
    ),
    *_bits(ISR, "ISR", "In service"),
    *_bits(TMR, "TMR", "Trigger mode"),
    *_bits(IRR, "IRR", "Interrupt requests"),
    _register(
        ESR, "ESR", "Error status", "rw",
        bit("Illegal Register Address", 7), bit("Receive Illegal Vector", 6), bit("Send Illegal Vector", 5),
        bit("Redirectable IPI", 4), bit("Receive Accept Error", 3), bit("Send Accept Error", 2),
        bit("Receive Checksum Error", 1), bit("Send Checksum Error", 0),
    ),
    _register(
        ICR_LOW, "ICR", "Interrupt command, bits 31:0: sends", "rw",
        Field("Destination Shorthand", 19, 18, _SHORTHANDS), bit("Trigger Mode", 15, _TRIGGER), bit("Level", 14),
        _STATUS, bit("Destination Mode", 11, {0: "physical", 1: "logical"}), _MODE, _VECTOR,
    ),
    _register(ICR_HIGH, "ICR_HIGH", "Interrupt command, bits 63:32", "rw", Field("Destination Field", 31, 24)),
    _register(
        LVT[0], "LVT_Timer", "Local vector: timer", "rw",
        Field("Timer Mode", 18, 17, {0: "one-shot", 1: "periodic", 2: "TSC-deadline"}), _MASK, _STATUS, _VECTOR,
        reset=_MASKED,
    ),
    _register(
        LVT[1], "LVT_Thermal", "Local vector: thermal sensor", "rw", _MASK, _STATUS, _MODE, _VECTOR, reset=_MASKED
    ),
    _register(
        LVT[2], "LVT_PMC", "Local vector: performance counters", "rw", _MASK, _STATUS, _MODE, _VECTOR, reset=_MASKED
    ),
    _register(LVT[3], "LVT_LINT0", "Local vector: LINT0", "rw", *_PIN, _STATUS, _MODE, _VECTOR, reset=_MASKED),
    _register(LVT[4], "LVT_LINT1", "Local vector: LINT1", "rw", *_PIN, _STATUS, _MODE, _VECTOR, reset=_MASKED),
    _register(LVT[5], "LVT_Error", "Local vector: error", "rw", _MASK, _STATUS, _VECTOR, reset=_MASKED),
    _register(TIMER_INITIAL, "Initial_Count", "Timer: initial count", "rw"),
    Register(
        "Current_Count", "Timer: current count; writes are ignored", TIMER_COUNT, "rw",
        reset=0, width=32, nature="time", counts="down",
    ),
    _register(DCR, "DCR", "Timer: divide configuration", "rw", Field("Divide Value", 3, 0, _DIVIDE)),
)  # fmt: skip
