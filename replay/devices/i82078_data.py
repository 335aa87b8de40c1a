"""The floppy disk controller's inside: the FIFO with its phases, the interrupt, and the transfer of data.

Source: Intel 82077AA data sheet (290166), section 5 "Controller phases" and 6.1 "Data transfer commands".

i82078.py has the registers and the commands.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Final

from ..clock import NANOSECONDS_PER_SECOND, Clock
from ..device import Device, Unknown
from ..irq import Line
from .floppy_drive import BAD_SECTOR, BAD_TRACK, OTHER_TRACK, FloppyDrive
from .medium import SECTOR

SRA_INT, SRA_DRV2_N = 0x80, 0x40
SRB_RESET: Final = 0xC0
DOR_DRIVE, DOR_RESET_N, DOR_DMA, DOR_MOTORS = 0x01, 0x04, 0x08, 0x30
TDR_BOOTSEL: Final = 0x04
MSR_BUSY, MSR_NON_DMA, MSR_DIO, MSR_RQM = 0x10, 0x20, 0x40, 0x80
DSR_RATE, DSR_POWER_DOWN, DSR_RESET = 0x03, 0x40, 0x80
ST0_DRIVE, ST0_HEAD, ST0_SEEK, ST0_ABNORMAL, ST0_INVALID, ST0_READY = 0x03, 0x04, 0x20, 0x40, 0x80, 0xC0
ST1_NO_ADDRESS, ST1_PROTECTED, ST1_END = 0x01, 0x02, 0x80
ST2_SCAN_HIT: Final = 0x08
CONFIGURE_RESET: Final = 0x60
VERSION, PART_ID = 0x90, 0x41
SECTOR_CODE: Final = 2
READ_ID_NS: Final = NANOSECONDS_PER_SECOND // 50
SENSES_AFTER_RESET: Final = 4
DRIVES: Final = 2

COMMAND, EXECUTION, RESULT = range(3)
WRITE, READ, SCAN, VERIFY = range(4)

Request = Callable[[bool], None]
"""DREQ."""
Connect = Callable[[Callable[[int, int], int]], Request]
"""Gives the DMA controller a function that moves data, told how much was moved and the whole size, and returns DREQ."""


def no_dma(transfer: Callable[[int, int], int]) -> Request:
    """There is no DMA controller."""
    return lambda level: None


class FloppyData(Device):
    """See the module.

    Args:
        clock: for READ ID.
        irq: INT.
        drives: drives A and B.
        connect: how to reach the DMA controller. Without one a transfer by DMA does not end.
    """

    def __init__(
        self, clock: Clock, irq: Line, drives: tuple[FloppyDrive, FloppyDrive], connect: Connect = no_dma
    ) -> None:
        self._clock = clock
        self._irq = irq
        self._drives = drives
        self._request = connect(self._move)
        self._timer = clock.timer(self._read_id_done)
        self._tdr = self._dsr = 0
        self._config, self._precompensation = CONFIGURE_RESET, 0
        self._timers = [0, 0]
        self._lock = self._power = 0
        self._fifo = bytearray(SECTOR)
        self._unknown: bytearray | None = None
        self.reset()

    def reset(self) -> None:
        """See `Device.reset`. No interrupt follows it."""
        self._st0 = 0
        self._sra = 0 if self._drives[1].present else SRA_DRV2_N
        self._irq.set(False)
        self._srb = SRB_RESET
        self._selected = 0
        self._dor = DOR_RESET_N | DOR_DMA
        self._msr = MSR_RQM
        self._senses = 0
        self._timer.cancel()
        self._is_multi_track = False
        self._direction = WRITE
        self._eot = 0
        self._moved = False
        """Data was moved by DMA, and no result was read since."""
        for drive in self._drives:
            drive.recalibrate()
        self._to_command_phase()

    @abstractmethod
    def _command(self, code: int) -> tuple[Callable[[], None], int]:
        """What a command does when it has its parameters, and how many follow its first byte."""

    # The FIFO and its phases (5)

    def _to_command_phase(self) -> None:
        self._phase = COMMAND
        self._direction = WRITE
        self._at, self._length = 0, 1
        self._msr = self._msr & ~(MSR_BUSY | MSR_DIO) | MSR_RQM

    def _to_result_phase(self, *result: int) -> None:
        self._fifo[: len(result)] = bytes(value & 0xFF for value in result)
        self._unknown = None
        self._phase = RESULT
        self._direction = READ
        self._at, self._length = 0, len(result)
        self._msr |= MSR_BUSY | MSR_RQM | MSR_DIO

    def _read_fifo(self) -> int:
        self._dsr &= ~DSR_POWER_DOWN
        if not self._msr & MSR_RQM or not self._msr & MSR_DIO:
            return 0
        at = self._at % SECTOR
        answer = None
        if self._phase == EXECUTION:
            if at == 0:
                if self._at and not self._next_sector():
                    return 0
                self._load_sector()
            if self._unknown is not None and self._unknown[at]:
                position = self._drive.position() * SECTOR + at
                answer = Unknown(0, 0xFF, partial(self._learn, self._unknown, at, position), "assumed")
        value = self._fifo[at]
        self._at += 1
        if self._at == self._length:
            self._msr &= ~MSR_RQM
            if self._phase == EXECUTION:
                self._stop_transfer()
            else:
                self._moved = False
                self._to_command_phase()
                self._end_interrupt()
        return value if answer is None else answer

    def _learn(self, unknown: bytearray, at: int, position: int, value: int) -> None:
        medium = self._drive.medium
        unknown[at] = 0
        if medium is not None:
            medium.teach(position, bytes((value,)))

    def _write_fifo(self, value: int) -> None:
        if not self._dor & DOR_RESET_N or not self._msr & MSR_RQM or self._msr & MSR_DIO:
            return
        self._dsr &= ~DSR_POWER_DOWN
        at = self._at % SECTOR
        self._at += 1
        self._fifo[at] = value
        if self._at == self._length:
            self._msr &= ~MSR_RQM
        if self._phase == EXECUTION:
            self._take_data(at)
            return
        if at == 0:
            self._length = 1 + self._command(value)[1]
            if self._length > 1:
                self._msr |= MSR_RQM
            else:
                self._msr &= ~MSR_RQM
            self._msr |= MSR_BUSY
        if self._at == self._length:
            self._phase = EXECUTION
            self._command(self._fifo[0])[0]()

    def _take_data(self, at: int) -> None:
        if at == SECTOR - 1 or self._at == self._length:
            drive = self._drive
            if drive.medium is None or drive.is_protected:
                return
            drive.medium.write(drive.position(), self._fifo)
            if not self._next_sector():
                return  # QEMU's controller waits for a reset, also if that was all
        if self._at == self._length:
            self._stop_transfer()

    def _load_sector(self) -> None:
        drive = self._drive
        self._unknown = None
        self._fifo[:] = bytes(SECTOR)
        if drive.medium is not None and drive.medium.holds(drive.position(), 1):
            self._fifo[:], self._unknown = drive.medium.read(drive.position(), 1)

    # Interrupt

    def _interrupt(self) -> None:
        self._sra |= SRA_INT
        self._irq.set(True)
        self._senses = 0

    def _end_interrupt(self) -> None:
        self._st0 = 0
        self._sra &= ~SRA_INT
        self._irq.set(False)

    # Drives

    @property
    def _drive(self) -> FloppyDrive:
        return self._drive_at(self._selected)

    def _drive_at(self, number: int) -> FloppyDrive:
        """BOOTSEL exchanges the drives (2.1.4)."""
        return self._drives[number ^ bool(self._tdr & TDR_BOOTSEL)]

    def _select(self) -> FloppyDrive:
        self._selected = self._fifo[1] & DOR_DRIVE
        return self._drive

    def _next_sector(self) -> bool:
        """Go on; False at the end of the track, or of the cylinder with MT."""
        drive = self._drive
        head, track, sector = drive.head, drive.track, drive.sector
        goes_on = True
        if sector >= drive.last_sector or sector == self._eot:
            sector = 1
            if self._is_multi_track and head == 0 and drive.heads == 2:
                head = 1
            else:
                if self._is_multi_track:
                    head = 0
                track += 1
                self._st0 |= ST0_SEEK
                goes_on = self._is_multi_track and drive.heads == 2
        else:
            sector += 1
        drive.seek(head, track & 0xFF, sector)
        return goes_on

    # Data (5.1)

    def _start_transfer(self, direction: int) -> None:
        drive = self._select()
        track, head, sector = self._fifo[2], self._fifo[3], self._fifo[4]
        ended = drive.seek(head, track, sector)
        sectors = self._fifo[6] - sector + 1
        if ended == BAD_TRACK:
            self._refuse(0, track, head, sector)
        elif ended == BAD_SECTOR:
            self._refuse(ST1_END, track, head, sector)
        else:
            if ended == OTHER_TRACK:
                self._st0 |= ST0_SEEK
            if self._dsr & DSR_RATE != drive.rate or (self._fifo[5] and sectors < 0):
                self._refuse(ST1_NO_ADDRESS, track, head, sector)
            else:
                self._move_data(direction, sectors)

    def _refuse(self, st1: int, track: int, head: int, sector: int) -> None:
        self._stop_transfer(ST0_ABNORMAL, st1)
        self._fifo[3:6] = bytes((track, head, sector))

    def _move_data(self, direction: int, sectors: int) -> None:
        self._direction = direction
        self._at = 0
        self._is_multi_track = bool(self._fifo[0] & 0x80)
        if self._fifo[5]:
            self._length = (128 << min(self._fifo[5], 7)) * (sectors + (self._fifo[6] if self._is_multi_track else 0))
        else:
            self._length = self._fifo[8]
        self._eot = self._fifo[6]
        if not self._dor & DOR_DMA:
            self._msr |= MSR_NON_DMA | MSR_RQM | (MSR_DIO if direction != WRITE else 0)
            self._interrupt()
            return
        self._msr &= ~MSR_RQM
        if direction == VERIFY:
            self._move(0, self._length)
        else:
            self._moved = True
            self._request(True)

    def _move(self, moved: int, size: int) -> int:
        """The DMA controller's turn: data goes by; which, only the memory knows."""
        if self._msr & MSR_RQM:
            return 0
        drive = self._drive
        start, end = self._at, min(size, self._length)
        while self._at < end:
            piece = min(end - self._at, SECTOR - self._at % SECTOR)
            if self._direction == WRITE:
                if drive.is_protected:
                    self._stop_transfer(ST0_ABNORMAL | ST0_SEEK, ST1_PROTECTED)
                    return piece
                if drive.medium is not None:
                    drive.medium.forget(drive.position(), 1)
            self._at += piece
            if self._at % SECTOR == 0 and not self._next_sector():
                break
        count = self._at - start
        self._stop_transfer(st2=ST2_SCAN_HIT if self._direction == SCAN else 0)
        return count

    def _stop_transfer(self, st0: int = 0, st1: int = 0, st2: int = 0) -> None:
        """5.2: the seven result bytes, and an interrupt."""
        drive = self._drive
        self._st0 = self._st0 & ~(ST0_DRIVE | ST0_HEAD) | self._selected | (ST0_HEAD if drive.head else 0) | st0
        if not self._msr & MSR_NON_DMA:
            self._request(False)
        self._msr &= ~MSR_NON_DMA
        self._to_result_phase(self._st0, st1, st2, drive.track, drive.head, drive.sector, SECTOR_CODE)
        self._interrupt()

    def _read_id_done(self) -> None:
        """6.1.6. QEMU lets the disk turn by a sector."""
        drive = self._drive
        if drive.last_sector and drive.finds_sectors:
            drive.sector = drive.sector % drive.last_sector + 1
        if drive.finds_sectors and self._dsr & DSR_RATE == drive.rate:
            self._stop_transfer()
        else:
            self._stop_transfer(ST0_ABNORMAL, ST1_NO_ADDRESS)
