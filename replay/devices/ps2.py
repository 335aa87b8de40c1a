"""PS/2 keyboard and mouse, as an 8042 sees them.

Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard (101/102-key)" and "Auxiliary device (mouse)";
Microsoft's IntelliMouse and IntelliMouse Explorer: the sequences of sample rates that turn on wheel and more buttons.
Follows QEMU in what the devices answer: `i8042` says how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

UNSEEN: Final = -1
"""A byte of a key or a movement, which only the recording knows."""

QUEUE_BYTES: Final = 16

ACK, RESEND, SELF_TEST_PASSED, KEYBOARD_ID = 0xFA, 0xFE, 0xAA, 0xAB
TRANSLATED: Final = {1: 0x43, 2: 0x41, 3: 0x3F, 0x83: 0x41}
"""What the controller's conversion to set 1 makes of the numbers of the scan code sets, and of an ID."""

NO_COMMAND: Final = 0
ECHO, SCAN_CODE_SET, READ_ID, TYPEMATIC, ENABLE, DISABLE, DEFAULT, ALL_KEYS, ONE_KEY, RESET, LEDS = (
    0xEE, 0xF0, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xFA, 0xFC, 0xFF, 0xED,
)  # fmt: skip
SCALE_1_1, SCALE_2_1, RESOLUTION, STATUS, STREAM, READ_DATA, NO_WRAP, WRAP, REMOTE, SAMPLE_RATE = (
    0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xEE, 0xF0, 0xF3,
)  # fmt: skip
STATUS_REMOTE, STATUS_ENABLED, STATUS_SCALE_2_1 = 0x40, 0x20, 0x10
PACKET_ALWAYS_1: Final = 0x08
INTELLIMOUSE, EXPLORER = 3, 4
DEFAULT_RATE, DEFAULT_RESOLUTION = 100, 2


class Ps2Device:
    """What keyboard and mouse share: bytes on their way to the controller."""

    def __init__(self, ready: Callable[[bool], None]) -> None:
        self._ready = ready
        """Told whether there is a byte, also if it knows already."""
        self.queue: list[int] = []
        self.replies = 0
        """How many bytes at the head of the queue answer a command; the next command drops them (keyboard only)."""
        self.last = 0
        self.command = NO_COMMAND
        """The command that waits for its parameter."""

    def power_on(self) -> None:
        """The machine's reset."""
        self.command = NO_COMMAND
        self.clear()
        self._ready(False)

    def clear(self) -> None:
        """Drop all bytes."""
        self.queue.clear()
        self.replies = 0

    def read(self) -> int:
        """The next byte; the last one again if there is none."""
        if self.queue:
            self.last = self.queue.pop(0)
            self.replies = max(self.replies - 1, 0)
            self._ready(False)
            if self.queue:
                self._ready(True)
        return self.last

    def send(self, *values: int) -> None:
        """Bytes behind all others, all or none."""
        if len(self.queue) + len(values) <= QUEUE_BYTES:
            self.queue += values
            self._ready(True)

    def arrive(self) -> None:
        """A byte from outside."""
        self.queue.append(UNSEEN)
        self._ready(True)

    def state(self, name: str) -> dict[str, int]:
        """For `Device.state`: the first bytes, as one number, and how many there are."""
        head = int.from_bytes(bytes(value & 0xFF for value in self.queue[:8]), "big")
        return {
            f"{name}_queue": head, f"{name}_queued": len(self.queue), f"{name}_unseen": self.queue.count(UNSEEN),
            f"{name}_replies": self.replies, f"{name}_command": self.command, f"{name}_last": self.last,
        }  # fmt: skip


class Ps2Keyboard(Ps2Device):
    """The keyboard. Keys come from outside."""

    def __init__(self, ready: Callable[[bool], None]) -> None:
        super().__init__(ready)
        self._default()
        self.translated = False
        """Whether the controller converts to set 1, which QEMU does here."""

    def power_on(self) -> None:
        """See `Ps2Device.power_on`."""
        super().power_on()
        self.scans = True
        self.translated = False
        self.scan_code_set = 2

    def _default(self) -> None:
        self.scans = True
        self.scan_code_set = 2
        self.leds = 0
        self.clear()

    def reply(self, *values: int) -> None:
        """An answer to a command, before everything else."""
        self.queue[:0] = values
        self.replies = len(values)
        self._ready(True)

    def write(self, value: int) -> None:
        """A command or its parameter."""
        del self.queue[: self.replies]
        self.replies = 0
        command, self.command = self.command, NO_COMMAND
        if command == SCAN_CODE_SET:
            self._write_scan_code_set(value)
        elif command:
            if command == LEDS:
                self.leds = value
            self.reply(ACK)
        elif value in (SCAN_CODE_SET, LEDS, TYPEMATIC, ONE_KEY):
            self.command = value
            self.reply(ACK)
        elif value == READ_ID:
            self.reply(ACK, KEYBOARD_ID, self._convert(0x83))
        elif value == ECHO:
            self.reply(ECHO)
        elif value == RESET:
            self._default()
            self.reply(ACK, SELF_TEST_PASSED)
        elif value in (DEFAULT, DISABLE):
            self._default()
            self.scans = value == DEFAULT
            self.reply(ACK)
        elif value in (ENABLE, ALL_KEYS, 0x00):
            self.scans |= value == ENABLE
            self.reply(ACK)
        else:
            self.reply(RESEND)

    def _write_scan_code_set(self, value: int) -> None:
        if value == 0:
            self.reply(ACK, self._convert(self.scan_code_set))
        elif value <= 3:
            self.scan_code_set = value
            self.reply(ACK)
        else:
            self.reply(RESEND)

    def _convert(self, value: int) -> int:
        return TRANSLATED[value] if self.translated else value

    def state(self, name: str = "kbd") -> dict[str, int]:
        """See `Ps2Device.state`."""
        return super().state(name) | {
            f"{name}_scans": int(self.scans), f"{name}_set": self.scan_code_set, f"{name}_leds": self.leds,
            f"{name}_translated": int(self.translated),
        }  # fmt: skip


class Ps2Mouse(Ps2Device):
    """The mouse. Movements come from outside."""

    def __init__(self, ready: Callable[[bool], None]) -> None:
        super().__init__(ready)
        self._clear_settings()

    def power_on(self) -> None:
        """See `Ps2Device.power_on`."""
        super().power_on()
        self._clear_settings()

    def _clear_settings(self) -> None:
        self.status = self.resolution = self.rate = self.kind = self.knocks = 0
        self.wraps = False

    @property
    def moves(self) -> bool:
        """Whether it sends movements by itself."""
        return self.status & (STATUS_ENABLED | STATUS_REMOTE) == STATUS_ENABLED

    def write(self, value: int) -> None:
        """A command or its parameter."""
        command, self.command = self.command, NO_COMMAND
        if command == SAMPLE_RATE:
            self.rate = value
            self._knock(value)
            self.send(ACK)
        elif command:
            self.resolution = value
            self.send(ACK)
        elif self.wraps and value == NO_WRAP:
            self.wraps = False
            self.send(ACK)
        elif self.wraps and value != RESET:
            self.send(value)
        elif value in (RESOLUTION, SAMPLE_RATE):
            self.command = value
            self.send(ACK)
        elif value == READ_ID:
            self.send(ACK, self.kind)
        elif value == STATUS:
            self.send(ACK, self.status, self.resolution, self.rate)
        elif value == READ_DATA:
            self.send(ACK)
            self.send(PACKET_ALWAYS_1, *[0] * (3 if self.kind else 2))
        elif value == RESET:
            self._default()
            self.kind = 0
            self.clear()
            self.send(ACK, SELF_TEST_PASSED, self.kind)
        else:
            self._set(value)

    def _default(self) -> None:
        self.rate = DEFAULT_RATE
        self.resolution = DEFAULT_RESOLUTION
        self.status = 0

    def _set(self, value: int) -> None:
        """Commands that are only acknowledged; QEMU gives no answer to one that it does not know."""
        match value:
            case 0xE6 | 0xE7:
                self.status = self.status & ~STATUS_SCALE_2_1 | (STATUS_SCALE_2_1 if value == SCALE_2_1 else 0)
            case 0xEA | 0xF0:
                self.status = self.status & ~STATUS_REMOTE | (STATUS_REMOTE if value == REMOTE else 0)
            case 0xF4 | 0xF5:
                self.status = self.status & ~STATUS_ENABLED | (STATUS_ENABLED if value == ENABLE else 0)
            case 0xEE:
                self.wraps = True
            case 0xF6:
                self._default()
            case _:
                return
        self.send(ACK)

    def _knock(self, rate: int) -> None:
        """Sample rates 200, 100, 80 make it an IntelliMouse, and 200, 200, 80 an Explorer."""
        knocks, self.knocks = self.knocks, 0
        if knocks == 0:
            self.knocks = 1 if rate == 200 else 0
        elif knocks == 1:
            self.knocks = {100: 2, 200: 3}.get(rate, 0)
        elif rate == 80:
            self.kind = INTELLIMOUSE if knocks == 2 else EXPLORER

    def state(self, name: str = "aux") -> dict[str, int]:
        """See `Ps2Device.state`."""
        return super().state(name) | {
            f"{name}_status": self.status, f"{name}_resolution": self.resolution, f"{name}_rate": self.rate,
            f"{name}_kind": self.kind, f"{name}_knocks": self.knocks, f"{name}_wraps": int(self.wraps),
        }  # fmt: skip
