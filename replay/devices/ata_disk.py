"""An ATA disk, or a place on a channel without a drive: positions on the medium, transfers, SMART, power management.

Source: ATA/ATAPI-6 (T13/1410D): section 6.2 on addresses, section 8 on the commands, section 9 on their protocols.

QEMU lets an absent device 0 beside a present device 1 answer commands, so an empty place is a disk without a medium.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from .ata_drive import BSY, DRQ, HEAD, LBA, READY, AtaDrive, Channel
from .ata_identify import (
    CHS_WORDS,
    MAX_MULTIPLE,
    MAX_TESTS,
    NO_TEST,
    SIZE_WORDS,
    Identity,
    disk_block,
    get_word,
    put_word,
    smart_data,
    smart_error_log,
    smart_test_log,
    smart_thresholds,
    standard_geometry,
    write_cache_word,
)
from .medium import SECTOR, Medium

SMART_CYLINDER: Final = 0xC24F


class AtaDisk(AtaDrive):
    """See `AtaDrive`."""

    def __init__(self, channel: Channel, medium: Medium | None = None, identity: Identity | None = None) -> None:
        super().__init__(channel, medium, identity)
        self.native_geometry = self.identity.geometry or standard_geometry(self.medium.sectors or 0)
        """Cylinders, heads, sectors per track. Without one of its own the disk has the standard one, except if there is
        a partition table from the time of small disks: so of a disk with content only IDENTIFY can tell."""
        self.geometry = self.native_geometry
        self.reset_reverts = False
        self.knows_geometry = self.medium.zeros or self.identity.geometry is not None
        self.smart_enabled = self.smart_autosave = self.present
        self.tests = 0
        self.test_kinds = bytearray((NO_TEST,)) * MAX_TESTS
        self.commands = self._commands()

    def reset(self) -> None:
        """See `AtaDrive.reset`. SET FEATURES decides whether the geometry becomes the native one."""
        if getattr(self, "reset_reverts", False):
            self.reset_reverts = False
            self.geometry = self.native_geometry
        super().reset()

    # Where on the medium

    def position(self) -> int:
        """The sector that the registers address (7.2 to 7.11)."""
        low = self.cylinder_high << 16 | self.cylinder_low << 8 | self.sector
        if self.device & LBA:
            if self.is_lba48:
                return self.old_cylinder_high << 40 | self.old_cylinder_low << 32 | self.old_sector << 24 | low
            return (self.device & HEAD) << 24 | low
        _, heads, track = self.geometry
        return ((low >> 8) * heads + (self.device & HEAD)) * track + self.sector - 1

    def set_position(self, sector: int) -> None:
        """Let the registers address `sector`."""
        if self.device & LBA:
            self.sector, self.cylinder_low, self.cylinder_high = (sector >> shift & 0xFF for shift in (0, 8, 16))
            if self.is_lba48:
                self.old_sector, self.old_cylinder_low, self.old_cylinder_high = (
                    sector >> shift & 0xFF for shift in (24, 32, 40)
                )
            else:
                self.device = self.device & ~HEAD | sector >> 24 & HEAD
            return
        _, heads, track = self.geometry
        if not heads or not track:
            return
        cylinder, rest = divmod(sector, heads * track)
        self.cylinder_low, self.cylinder_high = cylinder & 0xFF, cylinder >> 8 & 0xFF
        self.device = self.device & ~HEAD | rest // track & HEAD
        self.sector = rest % track + 1

    def set_count(self, *, lba48: bool) -> None:
        """6.2: a count of 0 is the greatest one."""
        self.is_lba48 = lba48
        if lba48:
            self.count = self.old_count << 8 | self.count or 0x10000
        else:
            self.count = self.count or 0x100

    # Programmed I/O

    def read_sectors(self, *, lba48: bool = False, multiple: bool = False) -> None:
        """READ SECTORS (8.34), READ MULTIPLE (8.30) and their EXT forms."""
        if not self.present or (multiple and not self.multiple):
            self.refuse()
            return
        self.set_count(lba48=lba48)
        self.block_sectors = self.multiple if multiple else 1
        self.read_block()

    def read_block(self) -> None:
        """Fetch the next block from the medium, if one is left."""
        self.status = READY
        self.error = 0
        if not self.count:
            self.stop_transfer()
            return
        if not self.medium.holds(self.position(), min(self.count, self.block_sectors)):
            self.refuse()
            return
        self.status |= BSY
        self.channel.later(self._block_was_read)

    def _block_was_read(self) -> None:
        first, count = self.position(), min(self.count, self.block_sectors)
        self.status &= ~BSY
        self.set_position(first + count)
        self.count -= count
        data, unknown = self.medium.read(first, count)
        self.start_transfer(data, self.read_block)
        self.unknown, self.source = unknown, first * SECTOR
        self.channel.interrupt()

    def write_sectors(self, *, lba48: bool = False, multiple: bool = False) -> None:
        """WRITE SECTORS (8.64), WRITE MULTIPLE (8.60) and their EXT forms."""
        if not self.present or (multiple and not self.multiple):
            self.refuse()
            return
        self.set_count(lba48=lba48)
        self.block_sectors = self.multiple if multiple else 1
        self.status = READY
        self._ask_for_block()

    def _ask_for_block(self) -> None:
        count = min(self.count, self.block_sectors)
        self.start_transfer(bytearray(SECTOR * count), self.write_block, to_host=False)

    def write_block(self) -> None:
        """Bring the block that the guest has given to the medium."""
        self.status = READY | BSY
        if not self.medium.holds(self.position(), min(self.count, self.block_sectors)):
            self.refuse()
            return
        self.channel.later(self._block_was_written)

    def _block_was_written(self) -> None:
        first, count = self.position(), min(self.count, self.block_sectors)
        self.medium.write(first, self.data)
        self.status &= ~BSY
        self.count -= count
        self.set_position(first + count)
        if self.count:
            self._ask_for_block()
        else:
            self.stop_transfer()
        self.channel.interrupt()

    # DMA, whose data is not recorded

    def transfer_by_dma(self, *, lba48: bool = False, writes: bool = False) -> None:
        """READ DMA (8.25), WRITE DMA (8.55) and their EXT forms."""
        if not self.present:
            self.refuse()
            return
        self.set_count(lba48=lba48)
        self.status = READY | DRQ
        self.channel.start_dma(self._write_by_dma if writes else self._read_by_dma)

    def _read_by_dma(self) -> None:
        if not self.medium.holds(self.position(), self.count):
            self._dma_failed()
            return
        self.channel.later(self._was_transferred)

    def _write_by_dma(self) -> None:
        if self.medium.holds(self.position(), self.count):
            self.medium.forget(self.position(), self.count)
        self._read_by_dma()

    def _was_transferred(self) -> None:
        self.set_position(self.position() + self.count)
        self.count = 0
        self.dma_done()

    def _dma_failed(self) -> None:
        self.abort()
        self.channel.end_dma()
        self.channel.interrupt()

    def manage_data_set(self) -> None:
        """DATA SET MANAGEMENT with TRIM (ATA8-ACS): the ranges come by DMA, so which they are is not known."""
        if self.features != 1 or not self.present:
            self.refuse()
            return
        self.status = READY | DRQ
        self.channel.start_dma(self._trim)

    def _trim(self) -> None:
        self.channel.later(self._was_trimmed)

    def _was_trimmed(self) -> None:
        self.count = 0
        self.medium.forget_written()
        self.dma_done()

    # Identity

    def identify(self) -> None:
        """IDENTIFY DEVICE (8.15)."""
        if not self.present:
            self.refuse()
            return
        if self.block is None:
            self.block = disk_block(self.identity, self.medium.sectors, self.geometry, self.multiple)
            put_word(self.block, 85, write_cache_word(self.write_cache))
            for number in (
                *(() if self.knows_geometry else CHS_WORDS),
                *(SIZE_WORDS if self.medium.sectors is None else ()),
            ):
                self.block_unknown[2 * number : 2 * number + 2] = b"\1\1"
        self.show_identity(self.block)

    def learned_identity(self) -> None:
        """The size and the geometry are among it."""
        block, unknown = self.block, self.block_unknown
        assert block is not None
        if self.medium.sectors is None and not any(unknown[200:208]):
            self.medium.sectors = int.from_bytes(block[200:208], "little")
        if not self.knows_geometry and not any(unknown[108:114]):
            self.native_geometry = self.geometry = get_word(block, 54), get_word(block, 55), get_word(block, 56)
            self.knows_geometry = True

    # The other commands

    def verify(self, *, lba48: bool = False) -> None:
        """READ VERIFY SECTORS (8.36): QEMU verifies nothing."""
        self.set_count(lba48=lba48)
        self.done()

    def set_multiple(self) -> None:
        """SET MULTIPLE MODE (8.39)."""
        count = self.count & 0xFF
        if count and (count > MAX_MULTIPLE or self.count & (self.count - 1)):
            self.refuse()
            return
        self.multiple = count
        self.done()

    def read_native_max(self, *, lba48: bool = False) -> None:
        """READ NATIVE MAX ADDRESS (8.32)."""
        if self.medium.sectors == 0:
            self.refuse()
            return
        self.set_count(lba48=lba48)
        current, self.geometry = self.geometry, self.native_geometry
        self.set_position((self.medium.sectors or 1) - 1)
        self.geometry = current
        self.done()

    def initialize_parameters(self) -> None:
        """INITIALIZE DEVICE PARAMETERS (ATA-5, 8.16): heads and sectors of a track that addresses count by."""
        if not self.present:
            self.refuse()
            return
        self.geometry = self.geometry[0], (self.device & HEAD) + 1, self.count
        self.done()

    def revert_at_reset(self, *, reverts: bool) -> None:
        """SET FEATURES CCh and 66h (8.46.14): whether a reset undoes what was set."""
        self.reset_reverts = reverts

    def check_power_mode(self) -> None:
        """CHECK POWER MODE (8.5): active or idle."""
        self.count = 0xFF
        self.done()

    def freeze_security(self) -> None:
        """SECURITY FREEZE LOCK (8.40): QEMU takes it for CFA WEAR LEVEL."""
        self.count = 0
        self.done()

    def smart(self) -> None:
        """SMART (8.41), whose function is in Features."""
        key = self.cylinder_high << 8 | self.cylinder_low
        if key != SMART_CYLINDER or not (self.smart_enabled or self.features == 0xD8):
            self.refuse()
            return
        if self.features in (0xD8, 0xD9):
            self.smart_enabled = self.features == 0xD8
            self.done()
        elif self.features == 0xD2 and self.sector in (0x00, 0xF1):
            self.smart_autosave = self.sector == 0xF1
            self.done()
        elif self.features == 0xDA:
            self.done()  # no threshold was exceeded: the key stays in the cylinder registers
        elif self.features == 0xD4 and self.sector <= 2:
            self.tests = self.tests % MAX_TESTS + 1
            self.test_kinds[self.tests - 1] = self.sector
            self.done()
        else:
            self._show_smart()

    def _show_smart(self) -> None:
        if self.features == 0xD0:
            block = smart_data(self.smart_autosave)
        elif self.features == 0xD1:
            block = smart_thresholds()
        elif self.features == 0xD5 and self.sector == 1:
            block = smart_error_log()
        elif self.features == 0xD5 and self.sector == 6:
            block = smart_test_log(self.tests, self.test_kinds)
        else:
            self.refuse()
            return
        self.status = READY
        self.start_transfer(block, self.stop_transfer)
        self.channel.interrupt()

    def state(self, prefix: str) -> dict[str, int]:
        """See `AtaDrive.state`."""
        return super().state(prefix) | {
            f"{prefix}settings_smart": int(self.smart_enabled),
            f"{prefix}settings_autosave": int(self.smart_autosave),
            f"{prefix}settings_tests": self.tests,
            f"{prefix}settings_heads": self.geometry[1],
            f"{prefix}settings_track": self.geometry[2],
            f"{prefix}settings_reset_reverts": int(self.reset_reverts),
        }

    def _power(self) -> None:
        """The commands of power management (8.14, 8.47 to 8.51), after which QEMU leaves DSC clear."""
        self.done(seek=False)

    def _commands(self) -> dict[int, Callable[[], None]]:
        """What QEMU's disk does. It takes no other command."""
        read, write, dma, verify = self.read_sectors, self.write_sectors, self.transfer_by_dma, self.verify
        return {
            0x06: self.manage_data_set,
            0x10: self.done,  # RECALIBRATE, retired
            0x20: read,
            0x21: read,
            0x24: partial(read, lba48=True),
            0x25: partial(dma, lba48=True),
            0x27: partial(self.read_native_max, lba48=True),
            0x29: partial(read, lba48=True, multiple=True),
            0x30: write,
            0x31: write,
            0x34: partial(write, lba48=True),
            0x35: partial(dma, lba48=True, writes=True),
            0x39: partial(write, lba48=True, multiple=True),
            0x3C: write,  # WRITE VERIFY, retired
            0x40: verify,
            0x41: verify,
            0x42: partial(verify, lba48=True),
            0x70: self.done,  # SEEK
            0x90: self.diagnose,
            0x91: self.initialize_parameters,  # retired
            **dict.fromkeys((0x94, 0x95, 0x96, 0x97, 0x99, 0xE0, 0xE1, 0xE2, 0xE3, 0xE6), self._power),
            0x98: self.check_power_mode,
            0xB0: self.smart,
            0xC4: partial(read, multiple=True),
            0xC5: partial(write, multiple=True),
            0xC6: self.set_multiple,
            0xC8: dma,
            0xC9: dma,
            0xCA: partial(dma, writes=True),
            0xCB: partial(dma, writes=True),
            0xE5: self.check_power_mode,
            0xE7: self.flush,
            0xEA: self.flush,
            0xEC: self.identify,
            0xEF: self.set_features,
            0xF5: self.freeze_security,
            0xF8: self.read_native_max,
        }
