"""What every drive on an ATA channel has: the command block registers, the data register, and a few commands.

Source: ATA/ATAPI-6 (T13/1410D): section 7 on the registers, section 8 on the commands, section 9 on their protocols.

The channel (ata_channel.py) decides which registers an access reaches, and tells a drive when something that takes the
host's time, as each read and write of the medium does, has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from .ata_identify import MAX_MULTIPLE, Identity, put_word, write_cache_word
from .medium import SECTOR, Medium

BSY, DRDY, DSC, DRQ, ERR = 0x80, 0x40, 0x10, 0x08, 0x01
"""Status bits (7.15). QEMU calls bit 4 "seek complete", as ATA-3 did; ATA/ATAPI-6 leaves it to the command."""
READY: Final = DRDY | DSC
ABRT: Final = 0x04
DEV, LBA, HEAD = 0x10, 0x40, 0x0F
DEVICE_ONES: Final = 0xA0
"""The obsolete bits of the Device register: they always read as 1."""
DIAGNOSTIC_PASSED: Final = 0x01
REGISTERS: Final = (
    "features", "error", "count", "sector", "cylinder_low", "cylinder_high", "device", "status", "multiple",
    "old_features", "old_count", "old_sector", "old_cylinder_low", "old_cylinder_high",
)  # fmt: skip
"""Attributes of a drive. An "old" one is the register's content before the last write (6.2, HOB)."""
FROM_DRIVE, FROM_IDENTITY = -1, -2
ACCEPTED_FEATURES: Final = frozenset((0xAA, 0x55, 0x05, 0x85, 0x69, 0x67, 0x96, 0x9A, 0x42, 0xC2))
"""Subcommands of SET FEATURES that QEMU accepts without effect."""


class Channel(Protocol):
    """What a drive needs of its channel."""

    def interrupt(self) -> None:
        """Assert INTRQ, unless nIEN masks it."""

    def later(self, completion: Callable[[], None]) -> None:
        """Call `completion` when the host is done with what the drive asked of it."""

    def start_dma(self, transfer: Callable[[], None]) -> None:
        """Call `transfer` as soon as the bus master is started."""

    def end_dma(self) -> None:
        """The transfer by DMA has ended."""


class BusMaster(Protocol):
    """What the channel needs of its DMA engine, if it has one."""

    @property
    def active(self) -> bool:
        """Whether a transfer may run."""

    def interrupt(self) -> None:
        """INTRQ was asserted."""

    def end(self) -> None:
        """The transfer has ended."""

    def reset(self) -> None:
        """Return to the state after a hardware reset."""

    def save(self) -> tuple[int, ...]:
        """What `restore` needs to undo what was assumed too early."""

    def restore(self, saved: tuple[int, ...]) -> None:
        """See `save`."""


class AtaDrive:
    """One of a channel's two places. Kinds of drives are subclasses.

    Args:
        channel: the channel it is on.
        medium: what is in the drive; None: there is no drive.
        identity: what its properties say about it.
    """

    is_packet = False
    """Whether it takes packets: an ATAPI drive."""

    def __init__(self, channel: Channel, medium: Medium | None = None, identity: Identity | None = None) -> None:
        self.channel = channel
        self.present = medium is not None
        self.medium = medium or Medium(0)
        self.identity = identity or Identity()
        self.block: bytearray | None = None
        """What IDENTIFY (PACKET) DEVICE shows: made at its first use, kept, and changed by SET FEATURES alone."""
        self.block_unknown = bytearray(SECTOR)
        self.write_cache = self.identity.write_cache
        self.commands: Mapping[int, Callable[[], None]] = {}
        """By command code; every other command is refused."""
        self.reset()

    def reset(self) -> None:
        """Hardware reset, software reset and DEVICE RESET; the identity and SMART's state stay."""
        self.features = self.error = self.count = self.sector = self.cylinder_low = self.cylinder_high = 0
        self.old_features = self.old_count = self.old_sector = self.old_cylinder_low = self.old_cylinder_high = 0
        self.device = DEVICE_ONES
        self.status = READY
        self.is_lba48 = False
        self.multiple = MAX_MULTIPLE
        self.block_sectors = 0
        self.set_signature()
        # The transfer through the data register
        self.data = bytearray()
        self.unknown: bytearray | None = None
        self.at = self.end = 0
        self.to_host = True
        self.finish: Callable[[], None] = self.stop_transfer
        self.source = FROM_DRIVE
        """Where `data` is from: the position of its first byte on the medium, in bytes, or one of the two names."""

    def set_signature(self) -> None:
        """9.12: what tells a disk, an ATAPI drive and an empty place apart. QEMU's empty place has FFFFh."""
        self.device &= ~HEAD
        self.count = self.sector = 1
        self.cylinder_low = self.cylinder_high = 0 if self.present else 0xFF

    def diagnose(self) -> None:
        """EXECUTE DEVICE DIAGNOSTIC (8.9), also at the end of a software reset. QEMU keeps the selection."""
        self.set_signature()
        self.device = DEVICE_ONES
        self.status = READY
        self.error = DIAGNOSTIC_PASSED
        self.channel.interrupt()

    # Commands

    def execute(self, code: int) -> None:
        """Take a command (section 8). The channel has checked that the drive takes one now."""
        command = self.commands.get(code)
        if command is None:
            self.refuse()
            return
        self.status = DRDY | BSY
        self.error = 0
        command()

    def done(self, *, seek: bool = True) -> None:
        """A command has ended. QEMU sets DSC after most."""
        self.status &= ~BSY
        if seek and not self.error:
            self.status |= DSC
        self.channel.interrupt()

    def abort(self) -> None:
        """9.1: ABRT, and no data."""
        self.stop_transfer()
        self.status = DRDY | ERR
        self.error = ABRT

    def refuse(self) -> None:
        """End the command with ABRT."""
        self.abort()
        self.channel.interrupt()

    def start_transfer(self, data: bytearray, finish: Callable[[], None], *, to_host: bool = True) -> None:
        """Offer `data`, or room for it, in the data register."""
        self.offer(data, 0, len(data), finish, to_host=to_host)

    def offer(self, data: bytearray, at: int, end: int, finish: Callable[[], None], *, to_host: bool = True) -> None:
        """As `start_transfer` for a part of `data`."""
        self.data, self.at, self.end = data, at, end
        self.unknown = None
        self.source = FROM_DRIVE
        self.finish = finish
        self.to_host = to_host
        if not self.status & ERR:
            self.status |= DRQ

    def stop_transfer(self) -> None:
        """No data is left."""
        self.at = self.end
        self.finish = self.stop_transfer
        self.to_host = True
        self.status &= ~DRQ

    # What only the recording knows

    def lesson(self, at: int, end: int) -> Callable[[int], None]:
        """What teaches the unknown ones of the bytes `at` to `end`, also when other data has taken their place."""
        return partial(self._learn, self.unknown or bytearray(end), self.source, at, end)

    def _learn(self, unknown: bytearray, source: int, at: int, end: int, value: int) -> None:
        for number in range(at, end):
            if unknown[number]:
                unknown[number] = 0
                byte = value >> 8 * (number - at) & 0xFF
                if unknown is self.unknown:
                    self.data[number] = byte
                self.learned(source, number, byte)

    def learned(self, source: int, number: int, byte: int) -> None:
        """The data's byte `number` was learned."""
        if source >= 0:
            self.medium.teach(source + number, bytes((byte,)))
        elif source == FROM_IDENTITY and self.block is not None:
            self.block[number] = byte
            self.block_unknown[number] = 0
            self.learned_identity()

    def learned_identity(self) -> None:
        """More of what IDENTIFY (PACKET) DEVICE shows is known now."""

    # Commands of all drives

    def show_identity(self, block: bytearray) -> None:
        """Offer what IDENTIFY (PACKET) DEVICE shows."""
        self.status = READY
        self.start_transfer(bytearray(block), self.stop_transfer)
        if 1 in self.block_unknown:
            self.unknown = bytearray(self.block_unknown)
            self.source = FROM_IDENTITY
        self.channel.interrupt()

    def dma_done(self) -> None:
        """A transfer by DMA has ended well."""
        self.status = READY
        self.channel.interrupt()
        self.channel.end_dma()

    def flush(self) -> None:
        """FLUSH CACHE (8.12). Unlike other commands it leaves DSC clear while it is busy."""
        if self.present:
            self.status |= BSY
            self.channel.later(self._was_flushed)
        else:
            self._was_flushed()

    def _was_flushed(self) -> None:
        self.status = READY
        self.channel.interrupt()

    def set_features(self) -> None:
        """SET FEATURES (8.46)."""
        if not self.present:
            self.refuse()
        elif self.features in (0x02, 0x82):
            self.write_cache = self.features == 0x02
            if self.block is not None:
                put_word(self.block, 85, write_cache_word(self.write_cache))
            if self.write_cache:
                self.done()
            else:
                self.flush()
        elif self.features in (0xCC, 0x66):
            self.revert_at_reset(reverts=self.features == 0xCC)
            self.done()
        elif self.features in ACCEPTED_FEATURES or (self.features == 0x03 and self._set_transfer_mode()):
            self.done()
        else:
            self.refuse()

    def revert_at_reset(self, *, reverts: bool) -> None:
        """SET FEATURES CCh and 66h (8.46.14); only a disk has something to revert."""

    def _set_transfer_mode(self) -> bool:
        """8.46.11: the mode shows in the words of the three kinds of DMA, once these were made."""
        kind, mode = (self.count & 0xFF) >> 3, self.count & 0x07
        words = {0: (), 1: (), 2: (62,), 4: (63,), 8: (88,)}.get(kind)
        if words is None:
            return False
        if self.block is not None:
            for number, supported in ((62, 0x07), (63, 0x07), (88, 0x3F)):
                put_word(self.block, number, supported | (1 << mode + 8 if number in words else 0))
        return True

    def state(self, prefix: str) -> dict[str, int]:
        """What matters, by name."""
        state = {prefix + name: getattr(self, name) for name in REGISTERS}
        state[prefix + "data_left"] = self.end - self.at
        state[prefix + "settings_identified"] = int(self.block is not None)
        state[prefix + "settings_write_cache"] = int(self.write_cache)
        return state | {f"{prefix}medium_{name}": value for name, value in self.medium.state().items()}
