"""Two 8237A DMA controllers with the PC's page registers: channels 0-3 for bytes, 4-7 for words.

Source: Intel 8237A data sheet (231466), "Register Description" and "Software Commands"; IBM PC AT Technical Reference,
"DMA controller" and "page registers".

Register space: 00h-0Fh the first controller, 10h-17h its page registers; 20h-3Fh the second, whose registers are two
ports wide, 40h-47h its page registers.

Modelled: all registers with the byte flip-flop, masks, requests by software and by devices, terminal count.

Not modelled: memory transfers themselves, which no recording shows; priorities, cascading, verify and demand modes:
a device that is connected here moves as much as it likes.

Follows QEMU where the guest can see a difference from the data sheet:
- Reads at 09h give the mask register, all of its 8 bits; other registers from 0Ah on read 0, the temporary one too.
- A command with bits that QEMU cannot do (all but 04h) is dropped.
- Writing the second byte of an address or count starts the channel anew, at what was written and moved nothing.
- A master clear and a reset leave addresses, counts, modes and pages alone; the mask reads FFh after it.
- A new request by software clears the terminal count of its channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, Self

from ..clock import Clock
from ..device import Device
from ..registers import Field, Register, RegisterMap, bit

PAGES: Final = 0x10
"""Of the first controller's space: where the page registers begin."""
SECOND, SECOND_PAGES = 0x20, 0x40
PAGE_CHANNELS: Final = {1: 2, 2: 3, 3: 1, 7: 0}
"""Whose page register is at 80h + n."""

STATUS, MASK_READ = 8, 9
COMMAND, REQUEST, SINGLE_MASK, MODE, CLEAR_FLIP_FLOP, MASTER_CLEAR, CLEAR_MASK, ALL_MASK = range(8, 16)
COMMAND_POSSIBLE: Final = 0x04
MODE_DECREMENT: Final = 0x20

Transfer = Callable[[int, int], int]
"""A device's turn: given how many bytes were moved and how many there are in all, it returns how many are moved now."""

_TRANSFERS: Final = {0: "verify", 1: "write", 2: "read"}
_MODES: Final = {0: "demand", 1: "single", 2: "block", 3: "cascade"}


def _controller(name: str, title: str, at: int, pages: int, spacing: int, first: int) -> tuple[Register, ...]:
    """The declarations of one controller, whose registers begin at `at` and its page registers at `pages`."""

    def register(
        number: int, mnemonic: str, what: str, access: Literal["r", "w", "rw"], *fields: Field, reset: int | None = None
    ) -> Register:
        return Register(f"{name}_{mnemonic}", f"{title}: {what}", at + number * spacing, access, fields, reset=reset)

    parts = (("ADDR", "current and base address"), ("COUNT", "current and base count"))
    channels = [
        register(2 * n + which, f"{mnemonic}{n}", f"channel {first + n}, {what}, a byte at a time", "rw")
        for n in range(4)
        for which, (mnemonic, what) in enumerate(parts)
    ]
    select = Field("CHANNEL", 1, 0)
    masks = tuple(bit(f"MASK{n}", n) for n in range(4))
    return (
        *channels,
        register(
            STATUS, "STATUS", "requests and terminal counts", "r",
            *(bit(f"REQ{n}", 4 + n) for n in range(4)), *(bit(f"TC{n}", n) for n in range(4)), reset=0,
        ),
        register(COMMAND, "COMMAND", "command", "w", bit("DISABLE", 2)),
        register(MASK_READ, "MASK_READ", "mask, as QEMU reads it", "r", *masks, reset=0xFF),
        register(REQUEST, "REQUEST", "request by software", "w", bit("SET", 2), select),
        register(SINGLE_MASK, "SINGLE_MASK", "mask of one channel", "w", bit("SET", 2), select),
        register(
            MODE, "MODE", "mode of one channel", "w",
            Field("MODE", 7, 6, _MODES), bit("DECREMENT", 5), bit("AUTOINIT", 4), Field("TRANSFER", 3, 2, _TRANSFERS),
            select,
        ),
        register(CLEAR_FLIP_FLOP, "CLEAR_FF", "clear byte flip-flop", "w"),
        register(MASTER_CLEAR, "MASTER_CLEAR", "master clear", "w"),
        register(CLEAR_MASK, "CLEAR_MASK", "clear mask", "w"),
        register(ALL_MASK, "ALL_MASK", "mask of all channels", "w", *masks),
        *(
            Register(f"{name}_PAGE{n}", f"{title}: channel {first + n}, address bits 23:16", pages + port, "rw")
            for port, n in PAGE_CHANNELS.items()
        ),
    )  # fmt: skip


REGISTERS: Final = RegisterMap(
    *_controller("DMA1", "first controller", 0, PAGES, 1, 0),
    *_controller("DMA2", "second controller", SECOND, SECOND_PAGES, 2, 4),
)


class _Channel:
    """One channel. `address` is where it started, in bytes; `moved` how far it has come."""

    __slots__ = ("address", "base", "mode", "moved", "page", "transfer")

    def __init__(self) -> None:
        self.base = [0, 0]
        """Address and count as written."""
        self.address = self.moved = self.mode = self.page = 0
        self.transfer: Transfer | None = None


class _Controller:
    """One 8237A. Its registers are numbered 0-15."""

    def __init__(self, shift: int) -> None:
        self.shift = shift
        self.channels = [_Channel() for _ in range(4)]
        self.clear()

    def clear(self) -> None:
        """Master clear."""
        self.second_byte = False
        self.mask = 0xFF
        self.status = self.command = 0

    def read(self, number: int) -> int:
        if number >= STATUS:
            if number == MASK_READ:
                return self.mask
            status = self.status if number == STATUS else 0
            if number == STATUS:
                self.status &= 0xF0
            return status
        channel = self.channels[number >> 1]
        if number & 1:
            value = (channel.base[1] << self.shift) - channel.moved
        elif channel.mode & MODE_DECREMENT:
            value = channel.address - channel.moved
        else:
            value = channel.address + channel.moved
        value >>= self.shift + (8 if self.second_byte else 0)
        self.second_byte = not self.second_byte
        return value & 0xFF

    def write(self, number: int, value: int) -> None:
        if number < STATUS:
            self._write_channel(self.channels[number >> 1], number & 1, value)
            return
        bits = 1 << (value & 3)
        match number:
            case 8:
                if not value & ~COMMAND_POSSIBLE:
                    self.command = value
            case 9:
                self.status = self.status & ~(bits | bits << 4) | (bits << 4 if value & 4 else 0)
                self.run()
            case 10:
                self.mask = self.mask & ~bits | (bits if value & 4 else 0)
                self.run()
            case 11:
                self.channels[value & 3].mode = value
            case 12:
                self.second_byte = False
            case 13:
                self.clear()
            case _:
                self.mask = value if number == ALL_MASK else 0
                self.run()

    def _write_channel(self, channel: _Channel, which: int, value: int) -> None:
        base = channel.base
        if self.second_byte:
            base[which] = base[which] & 0xFF | value << 8
            channel.address = base[0] << self.shift
            channel.moved = 0
        else:
            base[which] = base[which] & 0xFF00 | value
        self.second_byte = not self.second_byte

    def run(self) -> None:
        """Let the devices on requested channels that are not masked have their turn."""
        for number, channel in enumerate(self.channels):
            bits = 1 << number
            if self.mask & bits or not self.status & bits << 4 or channel.transfer is None:
                continue
            size = channel.base[1] + 1 << self.shift
            channel.moved = channel.transfer(channel.moved, size)
            if channel.moved == size:
                self.status |= bits


class I8237Pair(Device):
    """Both controllers."""

    title = "DMA controllers, two in cascade, with page registers"
    registers = REGISTERS
    kept_by_reset = ("*_address*", "*_base*", "*_mode*", "*_moved*", "*_page*")

    def __init__(self) -> None:
        self._controllers = (_Controller(0), _Controller(1))

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """See `Device.reset`."""
        for controller in self._controllers:
            controller.clear()

    def connect(self, channel: int, transfer: Transfer) -> Callable[[bool], None]:
        """Connect a device to `channel` (0-7); returns its request line, DREQ."""
        controller = self._controllers[channel >> 2]
        controller.channels[channel & 3].transfer = transfer
        bits = 0x10 << (channel & 3)

        def request(level: bool) -> None:
            controller.status = controller.status & ~bits | (bits if level else 0)
            controller.run()

        return request

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        state: dict[str, int] = {}
        for name, controller in zip(("dma1", "dma2"), self._controllers, strict=True):
            state |= {f"{name}_{member}": int(getattr(controller, member)) for member in ("status", "mask", "command")}
            state[f"{name}_second_byte"] = int(controller.second_byte)
            for n, channel in enumerate(controller.channels):
                state |= {f"{name}_base_address{n}": channel.base[0], f"{name}_base_count{n}": channel.base[1]}
                members = ("address", "moved", "mode", "page")
                state |= {f"{name}_{member}{n}": int(getattr(channel, member)) for member in members}
        return state

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        controller, number = self._find(offset)
        if number < PAGES:
            return controller.read(number)
        channel = PAGE_CHANNELS.get(number - PAGES)
        return 0 if channel is None else controller.channels[channel].page

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        controller, number = self._find(offset)
        if number < PAGES:
            controller.write(number, value)
            return
        channel = PAGE_CHANNELS.get(number - PAGES)
        if channel is not None:
            controller.channels[channel].page = value

    def _find(self, offset: int) -> tuple[_Controller, int]:
        """The controller and the number of the register: 10h and up are page registers."""
        first, second = self._controllers
        if offset < SECOND:
            return first, offset
        return second, offset - SECOND_PAGES + PAGES if offset >= SECOND_PAGES else offset - SECOND >> 1
