"""An ATAPI CD/DVD drive: the packet protocol, its commands, and the sectors of 2048 bytes.

Source: ATA/ATAPI-6 (T13/1410D) sections 8.16 "IDENTIFY PACKET DEVICE", 8.23 "PACKET" and 9.8 "PACKET command protocol";
MMC-5 (T10/1675D) for the commands in packets.

The medium does not change: that a person opens the drive or QEMU's user changes the disc is not in a recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from . import atapi_replies as replies
from .ata_drive import BSY, DEVICE_ONES, DIAGNOSTIC_PASSED, DRDY, DRQ, ERR, FROM_DRIVE, READY, AtaDrive, Channel
from .ata_identify import Identity, packet_block
from .atapi_replies import ILLEGAL_REQUEST, NOT_READY, RefusedError
from .medium import SECTOR, Medium

PACKET: Final = 12
"""Bytes of a packet."""
CD_SECTOR, RAW_SECTOR = 2048, 2352
RAW_HEADER: Final = 16
IO_AND_CD: Final = 0x03
"""Interrupt reason (the count register, 8.23): to the host, and a command's end."""
IO: Final = 0x02
BUFFER: Final = 4096
SOME_LARGE_SIZE: Final = 0x1_5A5A_5A5A * 4
"""Of a DVD, in sectors of 512 bytes: each byte of an address differs from that of a disc of one block."""

NEEDS_MEDIUM, NO_DATA = 1, 2
Handler = tuple[Callable[[bytes], None], int]


class AtapiDrive(AtaDrive):
    """See `AtaDrive`. A medium of no sectors stands for none."""

    is_packet = True

    def __init__(self, channel: Channel, medium: Medium, identity: Identity | None = None) -> None:
        self.buffer = bytearray(BUFFER)
        super().__init__(channel, medium, identity)
        self.commands = {
            0x08: self.device_reset,
            0x20: self._refuse_ata,  # READ SECTORS (8.34.4)
            0x90: self.diagnose,
            0xA0: self.packet,
            0xA1: self.identify_packet,
            0xE7: self.flush,
            0xEC: self._refuse_ata,  # IDENTIFY DEVICE (8.15.5.2)
            0xEF: self.set_features,
        }
        self._handlers: dict[int, Handler] = {
            0x00: (self._succeed, NEEDS_MEDIUM | NO_DATA),  # TEST UNIT READY
            0x03: (self._request_sense, 0),
            0x12: (self._inquiry, 0),
            0x1B: (self._start_stop_unit, NO_DATA),
            0x1E: (self._prevent_removal, NO_DATA),
            0x25: (self._read_capacity, NEEDS_MEDIUM),
            0x28: (self._read, NEEDS_MEDIUM),
            0x2B: (self._seek, NEEDS_MEDIUM | NO_DATA),
            0x43: (self._read_toc, NEEDS_MEDIUM),
            0x46: (self._get_configuration, 0),
            0x4A: (self._get_event_status, 0),
            0x51: (self._read_disc_information, NEEDS_MEDIUM),
            0x5A: (self._mode_sense, 0),
            0xA8: (self._read, NEEDS_MEDIUM),
            0xAD: (self._read_dvd_structure, NEEDS_MEDIUM),
            0xBB: (self._succeed, NO_DATA),  # SET CD SPEED
            0xBD: (self._mechanism_status, 0),
            0xBE: (self._read_cd, NEEDS_MEDIUM | NO_DATA),
        }
        """By operation code."""

    def reset(self) -> None:
        """See `AtaDrive.reset`."""
        super().reset()
        self.sense_key = self.sense_code = 0
        self.tray_open = self.tray_locked = False
        self.by_dma = False
        self.left = self.left_now = 0
        """Bytes to transfer in all, and until the next interrupt."""
        self.place = 0
        """In the buffer: where the next piece begins."""
        self.next_block = -1
        """The block to read next; -1: the data is a reply."""
        self.block_size = CD_SECTOR
        self.reply_unknown: bytearray | None = None
        self.reads_capacity = False

    def set_signature(self) -> None:
        """9.12: EB14h in the cylinder registers."""
        super().set_signature()
        self.cylinder_low, self.cylinder_high = 0x14, 0xEB

    # ATA commands

    def diagnose(self) -> None:
        """EXECUTE DEVICE DIAGNOSTIC (8.9): a packet device clears its status; QEMU's does not interrupt."""
        self.set_signature()
        self.device = DEVICE_ONES
        self.status = 0
        self.error = DIAGNOSTIC_PASSED

    def device_reset(self) -> None:
        """DEVICE RESET (8.7)."""
        self.stop_transfer()
        self.reset()
        self.status = 0

    def _refuse_ata(self) -> None:
        self.set_signature()
        self.refuse()

    def _was_flushed(self) -> None:
        if self.medium.sectors == 0:
            self.refuse()
        else:
            super()._was_flushed()

    def identify_packet(self) -> None:
        """IDENTIFY PACKET DEVICE (8.16)."""
        if self.block is None:
            self.block = packet_block(self.identity)
        self.buffer[:SECTOR] = self.block
        self.show_identity(self.block)

    def packet(self) -> None:
        """PACKET (8.23): ask for twelve bytes. QEMU knows no overlapped commands."""
        if self.features & 2:
            self.refuse()
            return
        self.status = READY
        self.by_dma = bool(self.features & 1)
        self.count = 1
        self.start_transfer(bytearray(PACKET), self._take_packet, to_host=False)

    # The packet protocol

    def _take_packet(self) -> None:
        packet = bytes(self.data)
        self.buffer[:PACKET] = packet
        handler, flags = self._handlers.get(packet[0], (None, NO_DATA))
        if flags & NEEDS_MEDIUM and self.medium.sectors == 0:
            self._check_condition(NOT_READY, replies.NO_MEDIUM)
        elif not flags & NO_DATA and not self._has_room():
            self.refuse()  # not the packet command ends, but the ATA command
        elif handler is None:
            self._check_condition(ILLEGAL_REQUEST, replies.ILLEGAL_OPCODE)
        else:
            try:
                handler(packet)
            except RefusedError as refused:
                self._check_condition(refused.key, refused.code)

    def _has_room(self) -> bool:
        return self.by_dma or self._byte_count_limit() != 0

    def _byte_count_limit(self) -> int:
        limit = self.cylinder_high << 8 | self.cylinder_low
        return 0xFFFE if limit == 0xFFFF else limit

    def _succeed(self, packet: bytes = b"") -> None:
        self.error = 0
        self.status = READY
        self.count |= IO_AND_CD
        self.count &= ~0x04
        self.stop_transfer()
        self.channel.interrupt()

    def _check_condition(self, key: int, code: int) -> None:
        self.sense_key, self.sense_code = key, code
        self.error = key << 4
        self.status = DRDY | ERR
        self.count |= IO_AND_CD
        self.count &= ~0x04
        self.stop_transfer()
        self.channel.interrupt()

    def _reply(self, data: bytes, room: int, unknown: bytes | None = None) -> None:
        """Transfer `data`, or as much of it as there is room for; `unknown` marks bytes that are to be learned."""
        self.buffer[: len(data)] = data
        self._reply_buffer(min(len(data), room), unknown)

    def _reply_buffer(self, size: int, unknown: bytes | None = None) -> None:
        self.reply_unknown = None if unknown is None else bytearray(unknown)
        self.reads_capacity = False
        self.next_block = -1
        self.left, self.left_now = size, 0
        if self.by_dma:
            self.status = READY | DRQ
            self.channel.start_dma(self._reply_by_dma)
            return
        self.status = READY
        self.place = 0
        self._go_on()

    def _reply_by_dma(self) -> None:
        self.left = 0
        self._dma_ended()

    def _dma_ended(self) -> None:
        self.count = self.count & ~0x07 | IO_AND_CD
        self.dma_done()

    def _go_on(self) -> None:
        """Offer the next piece of the data: at most the byte count limit, and no more than a sector."""
        if self.left <= 0:
            self._succeed()
            return
        if self.next_block >= 0 and self.place >= self.block_size:
            if not self.left_now:
                self.status |= BSY
                self.channel.later(self._block_was_read)
                return
            self._fill_buffer()
        if not self.left_now:
            self.count = self.count & ~0x07 | IO
            self.channel.interrupt()
            limit = self._byte_count_limit()
            self.left_now = min(self.left, limit & ~1 if self.left > limit else limit)
            self.cylinder_low, self.cylinder_high = self.left_now & 0xFF, self.left_now >> 8 & 0xFF
        size = self.left_now if self.next_block < 0 else min(self.left_now, self.block_size - self.place)
        if size <= 0:  # a limit of 1: QEMU offers nothing for ever
            self.offer(self.buffer, self.place, self.place, self._go_on)
            return
        start = self.place
        self.left -= size
        self.left_now -= size
        self.place += size
        self.offer(self.buffer, start, start + size, self._go_on)
        self.unknown = self.reply_unknown
        if self.next_block > 0:
            self.source = (self.next_block - 1) * CD_SECTOR - (RAW_HEADER if self.block_size == RAW_SECTOR else 0)

    def _block_was_read(self) -> None:
        if self.tray_open:
            self._check_condition(NOT_READY, replies.NO_MEDIUM)
            return
        self._fill_buffer()
        self.status &= ~BSY
        self._go_on()

    def _fill_buffer(self) -> None:
        """Fetch the next block from the medium."""
        data, unknown = self.medium.read(self.next_block * 4, CD_SECTOR // SECTOR)
        if self.block_size == RAW_SECTOR:
            header = b"\0" + b"\xff" * 10 + b"\0" + replies.msf(self.next_block) + b"\1"
            self.buffer[:RAW_SECTOR] = header + data + bytes(RAW_SECTOR - RAW_HEADER - CD_SECTOR)
            if unknown is not None:
                unknown = bytearray(RAW_HEADER) + unknown + bytearray(RAW_SECTOR - RAW_HEADER - CD_SECTOR)
        else:
            self.buffer[:CD_SECTOR] = data
        self.reply_unknown = unknown
        self.next_block += 1
        self.place = 0

    def learned(self, source: int, number: int, byte: int) -> None:
        """See `AtaDrive.learned`."""
        super().learned(source, number, byte)
        if source == FROM_DRIVE and self.reads_capacity and not any(self.unknown or b""):
            self.medium.sectors = (int.from_bytes(self.data[:4], "big") + 1) * 4

    def _start_reading(self, first: int, count: int, size: int) -> None:
        self.next_block, self.block_size = first, size
        self.left, self.left_now = count * size, 0
        if self.by_dma:
            self.status = READY | DRQ | BSY
            self.channel.start_dma(self._read_by_dma)
            return
        self.place = size  # nothing is in the buffer
        self._go_on()

    def _read_by_dma(self) -> None:
        self.channel.later(self._was_read_by_dma)

    def _was_read_by_dma(self) -> None:
        self.left = 0
        if self.tray_open:
            self._check_condition(NOT_READY, replies.NO_MEDIUM)
            self.channel.end_dma()
            return
        self._fill_buffer()
        self._dma_ended()

    # Packet commands

    def _request_sense(self, packet: bytes) -> None:
        self._reply(replies.request_sense(self.sense_key, self.sense_code), packet[4])

    def _inquiry(self, packet: bytes) -> None:
        self._reply(replies.inquiry(packet, self.identity), packet[4])

    def _mode_sense(self, packet: bytes) -> None:
        pieces = replies.mode_sense(packet, self.tray_locked)
        for at, piece in pieces:
            self.buffer[at : at + len(piece)] = piece
        self._reply_buffer(min(self.buffer[1] + 2, int.from_bytes(packet[7:9], "big")))

    def _mechanism_status(self, packet: bytes) -> None:
        self._reply(replies.mechanism_status(), int.from_bytes(packet[8:10], "big"))

    def _read_disc_information(self, packet: bytes) -> None:
        self._reply(replies.disc_information(packet), int.from_bytes(packet[7:9], "big"))

    def _get_configuration(self, packet: bytes) -> None:
        self._reply_by_size(packet, replies.configuration)

    def _get_event_status(self, packet: bytes) -> None:
        reply = replies.event_status(packet, tray_open=self.tray_open, inserted=self.medium.sectors != 0)
        self._reply(reply, int.from_bytes(packet[7:9], "big"))

    def _read_capacity(self, packet: bytes) -> None:
        if self.medium.sectors is None:
            self._reply(replies.capacity(1), 8, b"\1\1\1\1\0\0\0\0")
            self.reads_capacity = True
        else:
            self._reply(replies.capacity(self.medium.sectors // 4), 8)

    def _read_toc(self, packet: bytes) -> None:
        self._reply_by_size(packet, replies.toc)

    def _reply_by_size(self, packet: bytes, make: Callable[[bytes, int], bytes]) -> None:
        """A reply that depends on the medium's size; if that is unknown so is what differs between two sizes."""
        room = int.from_bytes(packet[7:9], "big")
        if self.medium.sectors is not None:
            self._reply(make(packet, self.medium.sectors), room)
            return
        one, other = make(packet, 4), make(packet, SOME_LARGE_SIZE)
        self._reply(one, room, bytes(int(a != b) for a, b in zip(one, other, strict=True)))

    def _read_dvd_structure(self, packet: bytes) -> None:
        self._reply(replies.dvd_structure(packet, self.medium.sectors or 1), int.from_bytes(packet[8:10], "big"))

    def _prevent_removal(self, packet: bytes) -> None:
        self.tray_locked = bool(packet[4] & 1)
        self._succeed()

    def _start_stop_unit(self, packet: bytes) -> None:
        start, load = packet[4] & 1, packet[4] & 2
        if load and not packet[4] & 0xF0:
            if not start and not self.tray_open and self.tray_locked:
                key = ILLEGAL_REQUEST if self.medium.sectors == 0 else NOT_READY
                raise RefusedError(key, replies.REMOVAL_PREVENTED)
            self.tray_open = not start
        self._succeed()

    def _seek(self, packet: bytes) -> None:
        self._check_range(int.from_bytes(packet[2:6], "big"), 1)
        self._succeed()

    def _read(self, packet: bytes) -> None:
        """READ (10) and READ (12)."""
        first = int.from_bytes(packet[2:6], "big")
        count = int.from_bytes(packet[7:9] if packet[0] == 0x28 else packet[6:10], "big")
        if count:
            self._check_range(first, count)
            self._start_reading(first, count, CD_SECTOR)
        else:
            self._succeed()

    def _read_cd(self, packet: bytes) -> None:
        first, count = int.from_bytes(packet[2:6], "big"), int.from_bytes(packet[6:9], "big")
        wanted = packet[9] & 0xF8
        if count:
            self._check_range(first, count)
        if not count or not wanted:
            self._succeed()
        elif not self._has_room():
            self.refuse()
        elif wanted in (0x10, 0xF8):
            self._start_reading(first, count, CD_SECTOR if wanted == 0x10 else RAW_SECTOR)
        else:
            raise RefusedError(ILLEGAL_REQUEST, replies.INVALID_FIELD)

    def _check_range(self, first: int, count: int) -> None:
        sectors = self.medium.sectors
        if sectors is not None and (first >= sectors // 4 or first + count > sectors // 4):
            raise RefusedError(ILLEGAL_REQUEST, replies.OUT_OF_RANGE)

    def state(self, prefix: str) -> dict[str, int]:
        """See `AtaDrive.state`."""
        return super().state(prefix) | {
            f"{prefix}sense_key": self.sense_key,
            f"{prefix}sense_code": self.sense_code,
            f"{prefix}tray_open": int(self.tray_open),
            f"{prefix}tray_locked": int(self.tray_locked),
            f"{prefix}bytes_left": self.left,
        }
