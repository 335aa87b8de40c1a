"""8042 keyboard controller with PS/2 keyboard and mouse: data at offset 0 (port 60h), command and status at 1 (64h).

Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and auxiliary device controller"; IBM PC AT Technical
Reference, "Keyboard controller". Keyboard and mouse: `ps2`.

Modelled: all commands of controller, keyboard and mouse that QEMU knows, with their answers; the output buffer and who
filled it; disabled interfaces; command byte, output port, IRQ 1, IRQ 12, gate A20; IntelliMouse and Explorer.

Not modelled: the reset (the recording shows that the processor started again); QEMU's `kbd-throttle` and machines older
than 6.1, which have `extended-state=off`.

Follows QEMU where the guest can see a difference from the references:
- Nothing takes time: a command is done, and its answer in the output buffer, at once. The input buffer is never full,
  and bit 3 of the status (command or data) is always 1.
- Data that waits stays where it came from while the output buffer is full: one byte of the controller, and 16 of each
  device. A newer answer of the controller overwrites an older one that waits.
- While both devices have data, keyboard and mouse take turns, a byte each.
- The output port reads back as written, but for the buffer bits; the input port reads 80h. Commands 20h-3Fh and 60h-7Fh
  other than 20h and 60h, and all unknown ones, do nothing. F0h-FFh pulse the reset line if bit 0 is 0.
- Reading data while there is none gives the last byte again.
- Sending to a device enables its interface.
- The keyboard refuses unknown commands; its answers come before queued keys, and a new command drops what is left of an
  answer. The mouse does not answer unknown commands.
- Reset keeps the buffered bytes and a command that waits for its parameter.

A key or a movement is input from outside: it is assumed when the status shows it, and its bytes when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit
from .ps2 import UNSEEN, Ps2Keyboard, Ps2Mouse

DATA, STATUS = 0, 1

KEYBOARD, MOUSE, CONTROLLER = "keyboard", "mouse", "controller"
COMMAND_BYTE, OUTPUT_PORT, OUTPUT_BUFFER, AUX_OUTPUT_BUFFER = "command byte", "output port", "buffer", "aux buffer"

_STATUS_FIELDS: Final = (
    bit("PARITY_ERROR", 7), bit("TIMEOUT", 6), bit("AUX_OBF", 5, nature="outside"), bit("UNLOCKED", 4),
    bit("COMMAND", 3), bit("SYSTEM", 2), bit("IBF", 1), bit("OBF", 0, nature="outside"),
)  # fmt: skip
_COMMAND_BYTE_FIELDS: Final = (
    bit("TRANSLATE", 6), bit("DISABLE_AUX", 5), bit("DISABLE_KBD", 4), bit("SYSTEM", 2), bit("AUX_INT", 1),
    bit("KBD_INT", 0),
)  # fmt: skip
_OUTPUT_PORT_FIELDS: Final = (
    bit("AUX_OBF", 5), bit("OBF", 4), Field("UNUSED", 3, 2), bit("A20", 1), bit("RESET_N", 0),
)  # fmt: skip

REGISTERS: Final = RegisterMap(
    Register("KBD_DATA", "A byte from or to the keyboard", DATA, "rw", bank=KEYBOARD, nature="outside"),
    Register("AUX_DATA", "A byte from or to the mouse", DATA, "rw", bank=MOUSE, nature="outside"),
    Register("CTRL_DATA", "The controller's answer to a command", DATA, "r", bank=CONTROLLER),
    Register("COMMAND_BYTE", "Parameter of command 60h", DATA, "w", _COMMAND_BYTE_FIELDS, COMMAND_BYTE),
    Register("OUTPUT_PORT", "Parameter of command D1h", DATA, "w", _OUTPUT_PORT_FIELDS, OUTPUT_PORT),
    Register("OUTPUT_BUFFER", "Parameter of command D2h: as from the keyboard", DATA, "w", (), OUTPUT_BUFFER),
    Register("AUX_OUTPUT_BUFFER", "Parameter of command D3h: as from the mouse", DATA, "w", (), AUX_OUTPUT_BUFFER),
    Register("STATUS", "Status", STATUS, "r", _STATUS_FIELDS, reset=0x18),
    Register("COMMAND", "Command to the controller", STATUS, "w"),
    banks=(KEYBOARD, MOUSE, CONTROLLER, COMMAND_BYTE, OUTPUT_PORT, OUTPUT_BUFFER, AUX_OUTPUT_BUFFER),
)

STATUS_OBF, STATUS_SYSTEM, STATUS_AUX_OBF = 0x01, 0x04, 0x20
STATUS_RESET: Final = 0x18
MODE_KBD_INT, MODE_AUX_INT, MODE_DISABLE_KBD, MODE_DISABLE_AUX, MODE_TRANSLATE = 0x01, 0x02, 0x10, 0x20, 0x40
PORT_A20, PORT_OBF, PORT_AUX_OBF = 0x02, 0x10, 0x20
PORT_RESET: Final = 0xCF
INPUT_PORT: Final = 0x80
SELF_TEST_PASSED, INTERFACE_TEST_PASSED = 0x55, 0x00

FROM_KBD, FROM_AUX, FROM_CONTROLLER, FROM_CONTROLLER_AS_AUX = MODE_DISABLE_KBD, MODE_DISABLE_AUX, 0x1, 0x2
"""Who has data, as bits: those of the devices are where the command byte disables them."""

WRITE_COMMAND_BYTE, WRITE_OUTPUT_PORT, WRITE_BUFFER, WRITE_AUX_BUFFER, WRITE_AUX = 0x60, 0xD1, 0xD2, 0xD3, 0xD4
PARAMETER_BANKS: Final = {
    0: KEYBOARD, WRITE_COMMAND_BYTE: COMMAND_BYTE, WRITE_OUTPUT_PORT: OUTPUT_PORT, WRITE_BUFFER: OUTPUT_BUFFER,
    WRITE_AUX_BUFFER: AUX_OUTPUT_BUFFER, WRITE_AUX: MOUSE,
}  # fmt: skip


class I8042(Device):
    """The controller.

    Args:
        irq1: the keyboard's interrupt.
        irq12: the mouse's.
        a20: gate A20, driven when the guest sets it.
        outside: whether keys and movements can come at all. If not, nothing is assumed.
    """

    title = "Keyboard controller, keyboard and mouse"
    registers = REGISTERS
    kept_by_reset = ("buffer", "source", "answer", "command", "kbd_last", "aux_last", "kbd_leds", "a20")

    def __init__(self, irq1: Line, irq12: Line, a20: Line | None = None, *, outside: bool = True) -> None:
        self._irq1 = irq1
        self._irq12 = irq12
        self.a20 = Line() if a20 is None else a20
        self._outside = outside
        self._status = STATUS_RESET
        self._mode = self._pending = 0
        self._buffer = self._answer = self._source = self._command = 0
        """What is or was in the output buffer; what the controller puts there next; whose it is."""
        self._bank = KEYBOARD
        self._keyboard = Ps2Keyboard(self._keyboard_ready)
        self._mouse = Ps2Mouse(self._mouse_ready)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(Line(), Line())

    def reset(self) -> None:
        """See `Device.reset`."""
        self._keyboard.power_on()
        self._mouse.power_on()
        self._mode = MODE_KBD_INT | MODE_AUX_INT
        self._status = STATUS_RESET
        self._port = PORT_RESET
        self._pending = 0
        self._update_irqs()

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {
            "status": self._status,
            "mode": self._mode,
            "output_port": self._port,
            "pending": self._pending,
            "buffer": self._buffer,
            "source": self._source,
            "answer": self._answer,
            "command": self._command,
            "irq1": int(self._irq1.level),
            "irq12": int(self._irq12.level),
            "a20": int(self.a20.level),
            **self._keyboard.state(),
            **self._mouse.state(),
        }

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: who gave or took the last byte at offset 0."""
        return None if offset else self._bank

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset:
            return self._status
        if self._status & STATUS_OBF:
            self._empty_buffer()
            if self._source == FROM_KBD:
                self._bank = KEYBOARD
                self._buffer = self._keyboard.read()
            elif self._source == FROM_AUX:
                self._bank = MOUSE
                self._buffer = self._mouse.read()
            else:
                self._bank = CONTROLLER
                self._buffer = self._answer
                self._pending &= ~(FROM_CONTROLLER | FROM_CONTROLLER_AS_AUX)
                if self._waiting():
                    self._fill_buffer()
        return self._buffer if self._buffer != UNSEEN else Unknown(0, 0xFF, self._learn, "assumed")

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset:
            self._write_command(value)
        else:
            self._write_data(value)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: a key was pressed or the mouse moved, and the buffer is full now."""
        gained = hw & ~model
        if offset != STATUS or size != 1 or not self._outside or hw & ~gained != model:
            return False
        if gained == STATUS_OBF and self._keyboard.scans and not self._mode & MODE_DISABLE_KBD:
            self._keyboard.arrive()
        elif gained == STATUS_OBF | STATUS_AUX_OBF and self._mouse.moves and not self._mode & MODE_DISABLE_AUX:
            self._mouse.arrive()
        else:
            return False
        return True

    def _learn(self, value: int) -> None:
        self._buffer = value

    # Commands

    def _write_command(self, value: int) -> None:
        match value:
            case 0x20:
                self._answer_with(self._mode)
            case 0x60 | 0xD1 | 0xD2 | 0xD3 | 0xD4:
                self._command = value
            case 0xA7:
                self._mode |= MODE_DISABLE_AUX
            case 0xA8:
                self._mode &= ~MODE_DISABLE_AUX
                self._update()
            case 0xA9 | 0xAB:
                self._answer_with(INTERFACE_TEST_PASSED)
            case 0xAA:
                self._status |= STATUS_SYSTEM
                self._answer_with(SELF_TEST_PASSED)
            case 0xAD:
                self._mode |= MODE_DISABLE_KBD
            case 0xAE:
                self._mode &= ~MODE_DISABLE_KBD
                self._update()
            case 0xC0:
                self._answer_with(INPUT_PORT)
            case 0xD0:
                self._answer_with(self._port)
            case 0xDD:
                self._port &= ~PORT_A20
                self.a20.set(False)
            case 0xDF:
                self._port |= PORT_A20
                self.a20.set(True)

    def _write_data(self, value: int) -> None:
        command, self._command = self._command, 0
        self._bank = PARAMETER_BANKS[command]
        if command == 0:
            self._keyboard.write(value)
            self._mode &= ~MODE_DISABLE_KBD
            self._update()
        elif command == WRITE_AUX:
            self._mouse.write(value)
            self._mode &= ~MODE_DISABLE_AUX
            self._update()
        elif command == WRITE_COMMAND_BYTE:
            self._mode = value
            self._keyboard.translated = bool(value & MODE_TRANSLATE)
            self._update_irqs()
            self._update()
        elif command == WRITE_OUTPUT_PORT:
            self._port = value
            self.a20.set(bool(value & PORT_A20))
        else:
            self._answer_with(value, FROM_CONTROLLER if command == WRITE_BUFFER else FROM_CONTROLLER_AS_AUX)

    def _answer_with(self, value: int, source: int = FROM_CONTROLLER) -> None:
        self._answer = value
        self._pending = self._pending & ~(FROM_CONTROLLER | FROM_CONTROLLER_AS_AUX) | source
        self._update()

    # The output buffer

    def _keyboard_ready(self, ready: bool) -> None:
        self._pending = self._pending & ~FROM_KBD | (FROM_KBD if ready else 0)
        self._update()

    def _mouse_ready(self, ready: bool) -> None:
        self._pending = self._pending & ~FROM_AUX | (FROM_AUX if ready else 0)
        self._update()

    def _waiting(self) -> int:
        """Who has data and is not disabled."""
        return self._pending & ~(self._mode & (FROM_KBD | FROM_AUX))

    def _update(self) -> None:
        """Fill the output buffer, if it is empty."""
        if not self._status & STATUS_OBF and self._waiting():
            self._fill_buffer()

    def _fill_buffer(self) -> None:
        waiting = self._waiting()
        for source in (FROM_CONTROLLER, FROM_CONTROLLER_AS_AUX, FROM_KBD, FROM_AUX):
            if waiting & source:
                break
        self._source = source
        self._status |= STATUS_OBF
        self._port |= PORT_OBF
        if source in (FROM_CONTROLLER_AS_AUX, FROM_AUX):
            self._status |= STATUS_AUX_OBF
            self._port |= PORT_AUX_OBF
        self._update_irqs()

    def _empty_buffer(self) -> None:
        self._status &= ~(STATUS_OBF | STATUS_AUX_OBF)
        self._port &= ~(PORT_OBF | PORT_AUX_OBF)
        self._update_irqs()

    def _update_irqs(self) -> None:
        status, mode = self._status, self._mode
        full, aux = status & STATUS_OBF, status & STATUS_AUX_OBF
        self._irq1.set(bool(full and not aux and mode & MODE_KBD_INT and not mode & MODE_DISABLE_KBD))
        self._irq12.set(bool(full and aux and mode & MODE_AUX_INT))
