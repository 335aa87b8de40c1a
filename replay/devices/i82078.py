"""82078 floppy disk controller, an 82077AA with a few more commands: registers, commands, and its drives.

Source: Intel 82077AA data sheet (290166), sections 2 "Registers" and 5, 6 "Commands"; Intel 82078 data sheet (290468).

Modelled: all registers; every command of QEMU's controller with its results; reset with its four sense interrupts; the
result of READ ID after a fifth of a tenth of a second; data by PIO; data by DMA as far as registers show it; INT.

Not modelled: the time that seeks and data take, which QEMU's drives do in none; motors; scans, whose data is in memory:
they are taken to find nothing; FORMAT TRACK writes nothing.

Follows QEMU where the guest can see a difference from the data sheet:
- Two drives. VERSION is 90h, PART ID 41h; CONFIGURE starts as 60h. A reset keeps what CONFIGURE and SPECIFY set.
- Reading MSR ends a reset by DOR. SRB shows motors and the drive; SRA only INT PENDING and whether there is a drive B.
- SPECIFY's ND bit and DOR's DMA gate are one bit. Commands with deleted data end abnormally.
- The data rate must be the medium's; what a medium is follows from its image's size.
- Before QEMU 11, READ ID finds sectors in an empty drive. Seen with 10.0 and 11.1; versions between were not tried.
- DSKCHG stays set until a seek to another track with a medium inserted.

Input from outside: QEMU moves data by DMA a moment after the command; in `assume` MSR may show that it has not done so
yet. Sectors that are read by PIO before they were written are `Unknown` and "assumed".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit
from .floppy_drive import FloppyDrive
from .i82078_data import (
    DOR_DMA,
    DOR_DRIVE,
    DOR_MOTORS,
    DOR_RESET_N,
    DSR_POWER_DOWN,
    DSR_RATE,
    DSR_RESET,
    MSR_BUSY,
    PART_ID,
    READ,
    READ_ID_NS,
    SCAN,
    SENSES_AFTER_RESET,
    SRA_INT,
    ST0_ABNORMAL,
    ST0_DRIVE,
    ST0_HEAD,
    ST0_INVALID,
    ST0_READY,
    ST0_SEEK,
    TDR_BOOTSEL,
    VERIFY,
    VERSION,
    WRITE,
    Connect,
    FloppyData,
    no_dma,
)
from .medium import SECTOR, Medium

_SRA: Final = (
    bit("DIR", 0), bit("WP_N", 1), bit("INDX_N", 2), bit("HDSEL", 3), bit("TRK0_N", 4), bit("STEP", 5),
    bit("DRV2_N", 6), bit("INT PENDING", 7),
)  # fmt: skip
_SRB: Final = (
    bit("MOT EN0", 0),
    bit("MOT EN1", 1),
    bit("WE", 2),
    bit("RDDATA", 3),
    bit("WRDATA", 4),
    bit("DRV SEL 0", 5),
)
_DOR: Final = (Field("DRV SEL", 1, 0), bit("RESET_N", 2), bit("DMA GATE", 3), Field("MOT EN", 7, 4))
_MSR: Final = (
    Field("DRV BUSY", 3, 0), bit("CMD BUSY", 4), bit("NON DMA", 5), bit("DIO", 6), bit("RQM", 7)
)  # fmt: skip
_DSR: Final = (Field("DRATE SEL", 1, 0), Field("PRECOMP", 4, 2), bit("POWER DOWN", 6), bit("S/W RESET", 7))

REGISTERS: Final = RegisterMap(
    Register("SRA", "Status register A; QEMU's PCs do not decode it", 0, "r", _SRA, source="2.1.1"),
    Register("SRB", "Status register B", 1, "r", _SRB, None, 0xC0, source="2.1.2"),
    Register("DOR", "Digital output", 2, "rw", _DOR, None, 0x0C, source="2.1.3"),
    Register("TDR", "Tape drive", 3, "rw", (Field("TAPE SEL", 1, 0), bit("BOOTSEL", 2)), source="2.1.4"),
    Register("MSR", "Main status", 4, "r", _MSR, None, 0x80, source="2.1.6"),
    Register("DSR", "Data rate select", 4, "w", _DSR, source="2.1.5"),
    Register("FIFO", "Data", 5, "rw", source="2.1.7"),
    Register("DIR", "Digital input", 7, "r", (bit("DSKCHG", 7),), source="2.1.8"),
    Register("CCR", "Configuration control", 7, "w", (Field("DRATE SEL", 1, 0),), source="2.1.9"),
)


class I82078(FloppyData):
    """The controller with its two drives; for the arguments see `FloppyData`."""

    title = "Floppy disk controller (82078, 82077AA)"
    registers = REGISTERS
    kept_by_reset = ("drive?_*", "tdr", "dsr", "config", "precompensation", "timer?", "lock", "power")

    def __init__(
        self, clock: Clock, irq: Line, drives: tuple[FloppyDrive, FloppyDrive], connect: Connect = no_dma
    ) -> None:
        self._commands = self._list_commands()
        self._readers = (self._read_sra, self._read_srb, self._read_dor, self._read_tdr,
                         self._read_msr, self._read_fifo, self._read_nothing, self._read_dir)  # fmt: skip
        self._writers = (self._ignore, self._ignore, self._write_dor, self._write_tdr,
                         self._write_dsr, self._write_fifo, self._ignore, self._write_ccr)  # fmt: skip
        super().__init__(clock, irq, drives, connect)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`. Drive A has a medium of 1.44 MB, there is no drive B."""
        return cls(clock, Line(), (FloppyDrive(Medium(2880)), FloppyDrive(present=False)))

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        return self._readers[offset]()

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._writers[offset](value)

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        return self._readers[offset] if size == 1 else super().reader(offset, size)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: the data is still being moved."""
        return offset == 4 and size == 1 and self._moved and hw == MSR_BUSY

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. `fifo` is the first byte of a command or a result."""
        return {
            "sra": self._sra, "srb": self._srb, "dor": self._dor, "tdr": self._tdr, "dsr": self._dsr,
            "msr": self._msr, "st0": self._st0, "phase": self._phase, "at": self._at, "length": self._length,
            "config": self._config, "precompensation": self._precompensation, "lock": self._lock,
            "power": self._power, "timer0": self._timers[0], "timer1": self._timers[1], "senses": self._senses,
            "selected": self._selected, "read_id_ns": self._timer.deadline_ns, "int": int(self._irq.level),
            **self._drives[0].state("drive0_"), **self._drives[1].state("drive1_"),
        }  # fmt: skip

    # Registers, in the order of their offsets

    def _read_sra(self) -> int:
        return self._sra

    def _read_srb(self) -> int:
        return self._srb

    def _read_dor(self) -> int:
        return self._dor | self._selected

    def _write_dor(self, value: int) -> None:
        """2.1.3: RESET# from 0 to 1 ends a reset."""
        self._srb = self._srb & ~0x23 | (value & DOR_MOTORS) >> 4 | (value & DOR_DRIVE) << 5
        if value & DOR_RESET_N and not self._dor & DOR_RESET_N:
            self._reset_by_guest()
            self._dsr &= ~DSR_POWER_DOWN
        self._selected = value & DOR_DRIVE
        self._dor = value

    def _read_tdr(self) -> int:
        return self._tdr

    def _write_tdr(self, value: int) -> None:
        if self._dor & DOR_RESET_N:
            self._tdr = value & TDR_BOOTSEL

    def _read_msr(self) -> int:
        self._dsr &= ~DSR_POWER_DOWN
        self._dor |= DOR_RESET_N
        return self._msr

    def _write_dsr(self, value: int) -> None:
        """2.1.5: the reset bit clears itself."""
        if not self._dor & DOR_RESET_N:
            return
        if value & (DSR_RESET | DSR_POWER_DOWN):
            self._reset_by_guest()
        self._dsr = value

    def _read_nothing(self) -> int:
        return 0xFF

    def _read_dir(self) -> int:
        return 0x80 if self._drive.changed else 0

    def _write_ccr(self, value: int) -> None:
        if self._dor & DOR_RESET_N:
            self._dsr = self._dsr & ~DSR_RATE | value & DSR_RATE

    def _ignore(self, value: int) -> None:
        """A read-only register."""

    def _reset_by_guest(self) -> None:
        """3.5: a reset, and the interrupt of polling after it."""
        self.reset()
        self._st0 = ST0_READY
        self._interrupt()
        self._senses = SENSES_AFTER_RESET

    # Commands (6)

    def _read_id(self) -> None:
        self._drive.head = self._fifo[1] >> 2 & 1
        self._timer.arm(self._clock.now_ns + READ_ID_NS)

    def _format_track(self) -> None:
        drive = self._select()
        drive.last_sector = self._fifo[3]
        self._is_multi_track = bool(self._fifo[0] & 0x80)
        self._stop_transfer()

    def _transfer_deleted(self) -> None:
        self._stop_transfer(ST0_ABNORMAL | ST0_SEEK)

    def _seek_ends(self) -> None:
        self._to_command_phase()
        self._st0 |= ST0_SEEK
        self._interrupt()

    def _recalibrate(self) -> None:
        self._select().recalibrate()
        self._seek_ends()

    def _seek(self) -> None:
        drive = self._select()
        drive.seek(drive.head, self._fifo[2], drive.sector)
        self._seek_ends()

    def _relative_seek(self, direction: int) -> None:
        drive = self._select()
        track = drive.track + direction * self._fifo[2]
        if direction > 0 and track >= drive.max_track:
            track = drive.max_track - 1
        drive.seek(drive.head, max(track, 0), drive.sector)
        self._seek_ends()

    def _specify(self) -> None:
        """6.2.5: ND is the DMA gate."""
        self._timers = [self._fifo[1] >> 4, self._fifo[2] >> 1]
        self._dor = self._dor & ~DOR_DMA if self._fifo[2] & 1 else self._dor | DOR_DMA
        self._to_command_phase()

    def _sense_drive_status(self) -> None:
        """6.2.6: ST3."""
        drive = self._select()
        drive.head = self._fifo[1] >> 2 & 1
        st3 = drive.is_protected << 6 | (0x10 if drive.track == 0 else 0) | drive.head << 2 | self._selected | 0x28
        self._to_result_phase(st3)

    def _sense_interrupt_status(self) -> None:
        """6.2.2: after a reset once for each drive."""
        if self._senses:
            st0 = ST0_READY + SENSES_AFTER_RESET - self._senses
            self._senses -= 1
        elif self._sra & SRA_INT:
            st0 = self._st0 & ~(ST0_HEAD | ST0_DRIVE) | self._selected
        else:
            self._to_result_phase(ST0_INVALID)
            return
        self._to_result_phase(st0, self._drive.track)
        self._end_interrupt()
        self._st0 = ST0_READY

    def _perpendicular_mode(self) -> None:
        if self._fifo[1] & 0x80:
            self._drive.perpendicular = self._fifo[1] & 0x07
        self._to_command_phase()

    def _configure(self) -> None:
        self._config, self._precompensation = self._fifo[2], self._fifo[3]
        self._to_command_phase()

    def _dumpreg(self) -> None:
        """6.2.8."""
        self._to_result_phase(
            self._drive_at(0).track,
            self._drive_at(1).track,
            0,
            0,
            self._timers[0],
            self._timers[1] << 1 | bool(self._dor & DOR_DMA),
            self._drive.last_sector,
            self._lock << 7 | self._drive.perpendicular << 2,
            self._config,
            self._precompensation,
        )

    def _save(self) -> None:
        drive = self._drive
        self._to_result_phase(
            0, 0, self._drive_at(0).track, self._drive_at(1).track, 0, 0, *self._timers, drive.last_sector,
            self._lock << 7 | drive.perpendicular << 2, self._config, self._precompensation, self._power, 0, 0,
        )  # fmt: skip

    def _restore(self) -> None:
        fifo, drive = self._fifo, self._drive
        self._drive_at(0).track, self._drive_at(1).track = fifo[3], fifo[4]
        self._timers = [fifo[7], fifo[8]]
        drive.last_sector = fifo[9]
        self._lock, drive.perpendicular = fifo[10] >> 7, fifo[10] >> 2 & 0x0F
        self._config, self._precompensation, self._power = fifo[11], fifo[12], fifo[13]
        self._to_command_phase()

    def _lock_or_unlock(self) -> None:
        self._lock = self._fifo[0] >> 7
        self._to_result_phase(self._lock << 4)

    def _power_down_mode(self) -> None:
        self._power = self._fifo[1]
        self._to_result_phase(self._power)

    def _drive_specification(self) -> None:
        """6.2 of the 82078: QEMU looks at the last parameter."""
        last = self._fifo[(self._at - 1) % SECTOR]
        if last & 0xC0 == 0xC0:
            self._to_result_phase(self._fifo[1], self._fifo[1], 0, 0)
        elif last & 0x80:
            self._to_command_phase()

    def _command(self, code: int) -> tuple[Callable[[], None], int]:
        return self._commands[code]

    def _list_commands(self) -> list[tuple[Callable[[], None], int]]:
        """For each first byte what it does, and how many parameters follow. The first that fits counts."""
        transfer, result = self._start_transfer, self._to_result_phase
        known: tuple[tuple[int, int, int, Callable[[], None]], ...] = (
            (0x06, 0x1F, 8, partial(transfer, READ)),
            (0x05, 0x3F, 8, partial(transfer, WRITE)),
            (0x0F, 0xFF, 2, self._seek),
            (0x08, 0xFF, 0, self._sense_interrupt_status),
            (0x07, 0xFF, 1, self._recalibrate),
            (0x0D, 0xBF, 5, self._format_track),
            (0x02, 0xBF, 8, partial(transfer, READ)),
            (0x4E, 0xFF, 17, self._restore),
            (0x2E, 0xFF, 0, self._save),
            (0x0C, 0x1F, 8, self._transfer_deleted),
            (0x11, 0x1F, 8, partial(transfer, SCAN)),
            (0x16, 0x1F, 8, partial(transfer, VERIFY)),
            (0x19, 0x1F, 8, partial(transfer, SCAN)),
            (0x1D, 0x1F, 8, partial(transfer, SCAN)),
            (0x09, 0x3F, 8, self._transfer_deleted),
            (0x0A, 0xBF, 1, self._read_id),
            (0x03, 0xFF, 2, self._specify),
            (0x04, 0xFF, 1, self._sense_drive_status),
            (0x12, 0xFF, 1, self._perpendicular_mode),
            (0x13, 0xFF, 3, self._configure),
            (0x17, 0xFF, 2, self._power_down_mode),
            (0x33, 0xFF, 1, self._to_command_phase),
            (0x8E, 0xFF, 5, self._drive_specification),
            (0x8F, 0xFF, 2, partial(self._relative_seek, -1)),
            (0xCD, 0xFF, 10, partial(result, ST0_INVALID)),
            (0xCF, 0xFF, 2, partial(self._relative_seek, 1)),
            (0x14, 0x7F, 0, self._lock_or_unlock),
            (0x0E, 0xFF, 0, self._dumpreg),
            (0x10, 0xFF, 0, partial(result, VERSION)),
            (0x18, 0xFF, 0, partial(result, PART_ID)),
            (0x05, 0x1F, 8, partial(transfer, WRITE)),
            (0x00, 0x00, 0, partial(result, ST0_INVALID)),
        )
        return [
            next((act, count) for value, mask, count, act in known if code & mask == value) for code in range(0x100)
        ]
