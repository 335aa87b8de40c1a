"""Standard hot-plug controller (SHPC) of a conventional PCI bridge: the working register set.

Source: PCI Standard Hot-Plug Controller and Subsystem Specification 1.0, section 4.7.

Modelled: all registers, commands, slot states and latches, interrupt and its locator; the window to them in the
bridge's configuration space is `select` and `data` of the capability.

Not modelled: cards that come and go: a slot that is switched off loses its card's presence, not the card.

Follows QEMU where the guest can see a difference from the specification: a command is done at once; 31 slots of 33 MHz,
with slot numbers from 1 on; a write of the command's target makes a command, too; only 33 MHz can be set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit

SLOTS: Final = 31
SIZE: Final = 0x24 + 4 * SLOTS

SLOTS_33, NSLOTS, PHYS_SLOT, PROG_IFC, CMD, CMD_STATUS, INT_LOCATOR, SERR_INT, SLOT_0 = (
    0x04, 0x0C, 0x0E, 0x13, 0x14, 0x16, 0x18, 0x20, 0x24,
)  # fmt: skip
PHYS_SLOT_RESET: Final = 0xE001
INT_DIS, CMD_INT_DIS, CMD_DETECTED, ARB_DETECTED = 0x1, 0x4, 0x10000, 0x20000
INVALID_CMD, INVALID_MODE = 0x4, 0x8

POWER_ONLY, ENABLED, DISABLED = 1, 2, 3
LED_ON, LED_OFF = 1, 3
MRL_OPEN, EMPTY = 0x100, 0xC00
EVENTS: Final = 0x1F
EVENT_PRESENCE, EVENT_MRL = 0x01, 0x08
DISABLE_ALL: Final = 0x7F

FIELDS_SLOT: Final = (
    Field("State", 1, 0, {1: "powered", 2: "enabled", 3: "disabled"}), Field("Power indicator", 3, 2),
    Field("Attention indicator", 5, 4), bit("Power fault", 6), bit("Attention button", 7), bit("MRL open", 8),
    bit("66 MHz", 9), Field("PRSNT", 11, 10), Field("Latches", 20, 16), Field("Masks", 30, 24),
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    Register("Base Offset", "SHPC base offset", 0x00, "r", width=32, reset=0),
    Register("Slots Available I", "Slots of 33 MHz and PCI-X", SLOTS_33, "r", width=32, reset=SLOTS),
    Register("Slots Available II", "Slots of 66 MHz", 0x08, "r", width=32, reset=0),
    Register("Slot Configuration", "Number of slots, first device, first slot", NSLOTS, "r", width=32),
    Register("Secondary Bus Configuration", "Speed and mode", 0x10, "r", width=16, reset=0),
    Register("MSI Control", "Message control", 0x12, "r", reset=0),
    Register("Programming Interface", "Revision of the specification", PROG_IFC, "r", reset=1),
    Register("Command", "Command code and target", CMD, "rw", (Field("Code", 7, 0), Field("Target", 12, 8)), width=16),
    Register("Command Status", "Result of the last command", CMD_STATUS, "r", width=16, reset=0),
    Register("Interrupt Locator", "Slots that interrupt", INT_LOCATOR, "r", width=32, reset=0),
    Register("SERR Locator", "Slots with errors", 0x1C, "r", width=32, reset=0),
    Register("Controller SERR-INT Enable", "Masks and detected events", SERR_INT, "rw", width=32, reset=0xF),
    *(Register(f"Logical Slot {n + 1}", "Slot", SLOT_0 + 4 * n, "rw", FIELDS_SLOT, width=32) for n in range(SLOTS)),
)


class PciShpc(Device):
    """The working register set.

    Args:
        occupied: the slot numbers of the secondary bus that have a card.
        interrupt: the controller's interrupt.
    """

    title = "PCI standard hot-plug controller"
    registers = REGISTERS
    width = 4

    def __init__(self, occupied: Callable[[], Collection[int]] = tuple, interrupt: Line | None = None) -> None:
        self._occupied = occupied
        self._interrupt = Line() if interrupt is None else interrupt
        self._writable = bytearray(SIZE)
        self._clears = bytearray(SIZE)
        self._writable[CMD : CMD + 2] = b"\xff\x1f"
        self._writable[SERR_INT] = 0x0F
        self._clears[SERR_INT + 2] = (CMD_DETECTED | ARB_DETECTED) >> 16
        for at in range(SLOT_0, SIZE, 4):
            self._clears[at + 2] = EVENTS
            self._writable[at + 3] = DISABLE_ALL
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(lambda: (1,))

    def reset(self) -> None:
        """See `Device.reset`."""
        self._bytes = bytearray(SIZE)
        self._put(SLOTS_33, 4, SLOTS)
        self._put(NSLOTS, 4, SLOTS | 1 << 8 | PHYS_SLOT_RESET << 16)
        self._put(SERR_INT, 4, 0xF)
        self._put(PROG_IFC, 1, 1)
        occupied = self._occupied()
        for slot in range(SLOTS):
            status = ENABLED | LED_ON << 2 if slot + 1 in occupied else DISABLED | LED_OFF << 2 | MRL_OPEN | EMPTY
            self._put(SLOT_0 + 4 * slot, 4, status | LED_OFF << 4 | DISABLE_ALL << 24)
        self._update()

    def _get(self, offset: int, size: int) -> int:
        return int.from_bytes(self._bytes[offset : offset + size], "little")

    def _put(self, offset: int, size: int, value: int) -> None:
        self._bytes[offset : offset + size] = value.to_bytes(size, "little")

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`. Beyond the last slot everything is 0."""
        return self._get(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        stop = min(offset + size, SIZE)
        for at in range(offset, stop):
            byte = value & 0xFF
            value >>= 8
            mask = self._writable[at]
            self._bytes[at] = (self._bytes[at] & ~mask | byte & mask) & ~(byte & self._clears[at])
        if offset < CMD + 2 and stop > CMD:
            self._command()
        self._update()

    # Commands

    def _command(self) -> None:
        code, target = self._bytes[CMD], self._bytes[CMD + 1]
        self._put(CMD_STATUS, 2, 0)
        if code < 0x40:
            self._command_slot(target, code & 3, code >> 2 & 3, code >> 4 & 3)
        elif code <= 0x47:
            if code & 7:
                self._bytes[CMD_STATUS] |= INVALID_MODE
        elif code in (0x48, 0x49):
            self._command_all(POWER_ONLY if code == 0x48 else ENABLED)
        else:
            self._bytes[CMD_STATUS] |= INVALID_CMD
        self._put(SERR_INT, 4, self._get(SERR_INT, 4) | CMD_DETECTED)

    def _command_all(self, state: int) -> None:
        """Power or enable all slots, which no slot must be."""
        statuses = [self._get(SLOT_0 + 4 * slot, 2) for slot in range(SLOTS)]
        if any(status & 3 == ENABLED for status in statuses):
            self._bytes[CMD_STATUS] |= INVALID_CMD
            return
        for slot, status in enumerate(statuses):
            if status & MRL_OPEN:
                self._command_slot(slot + 1, 0, LED_OFF, 0)
            else:
                self._command_slot(slot + 1, state, LED_ON, 0)

    def _command_slot(self, target: int, state: int, power: int, attention: int) -> None:
        """Set what is not 0 of a slot."""
        at = SLOT_0 + 4 * (target - 1)
        before = self._get(at, 2) & 3 if 1 <= target <= SLOTS else ENABLED
        if not 1 <= target <= SLOTS or (before == ENABLED and state == POWER_ONLY):
            self._bytes[CMD_STATUS] |= INVALID_CMD
            return
        status = self._get(at, 2)
        for field, shift in ((power, 2), (attention, 4), (state, 0)):
            if field:
                status = status & ~(3 << shift) | field << shift
        if before in (ENABLED, POWER_ONLY) and state == DISABLED and status >> 2 & 3 == LED_OFF:
            status |= MRL_OPEN | EMPTY
            self._bytes[at + 2] |= EVENT_MRL | EVENT_PRESENCE
        self._put(at, 2, status)

    def _update(self) -> None:
        """Set the locator and the interrupt to what the latches and masks call for."""
        locator = 0
        for slot in range(SLOTS):
            at = SLOT_0 + 4 * slot
            if self._bytes[at + 2] & ~self._bytes[at + 3]:
                locator |= 2 << slot
        serr_int = self._get(SERR_INT, 4)
        if serr_int & CMD_DETECTED and not serr_int & CMD_INT_DIS:
            locator |= 1
        self._put(INT_LOCATOR, 4, locator)
        self._interrupt.set(bool(locator) and not serr_int & INT_DIS)

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        state = {f"slot_{slot + 1}": self._get(SLOT_0 + 4 * slot, 4) for slot in range(SLOTS)}
        return state | {
            "command": self._get(CMD, 2), "status": self._get(CMD_STATUS, 2), "serr_int": self._get(SERR_INT, 4),
            "locator": self._get(INT_LOCATOR, 4),
        }  # fmt: skip
