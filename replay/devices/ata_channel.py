"""An ATA channel with up to two drives, disks or ATAPI CD/DVD drives: the task file and the control block.

Source: ATA/ATAPI-6 (T13/1410D), sections 7 (registers) and 9 (protocols); the drives' own files say more.

Modelled: all registers of both drives with the previous contents that HOB shows, selection of present and absent
devices, software reset and signatures, INTRQ with nIEN, PIO data in words and double words, the commands of QEMU's disk
and CD/DVD drive, DMA commands as far as registers show them.

Not modelled: signals, cable and timing; errors of media; overlapped and queued commands; CompactFlash commands; what
DMA transfers, which no access shows: a sector written by DMA is unknown until it is read by PIO.

Follows QEMU where the guest can see a difference from the standard:
- Without any drive on the channel all registers read 0. With one, an absent device 1 reads 0 in Status and Error and
  takes no command; an absent device 0 has a signature of FFFFh and answers commands with ABRT.
- After power-on Status is 50h, also of a packet device, and Error is 0, not the diagnostic code 01h.
- The Device register reads alike for both devices. SRST clears it, yet leaves the device selected that was.
- SRST acts once, shortly after it was set, and then clears itself in the drives.
- A byte read of the data register is FFh; a word read without DRQ is 0.
- A write of the command register ends the interrupt, as a read of Status does. nIEN masks only what comes.

Input from outside is inferred, in `assume`, from reads that nothing else explains: how long the host takes for a reset,
a transfer or a flush. Until a read of Status shows the end, the model expects it a short time after the start if the
guest waits for an interrupt, else with the read that shows it. Sectors of the medium that the guest reads before it has
written them are `Unknown` and "assumed"; identity that the trace does not tell is "learned".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple, Self

from ..clock import Clock
from ..device import Device, Unknown
from ..irq import Line
from .ata_disk import AtaDisk
from .ata_drive import BSY, DRQ, AtaDrive, BusMaster
from .ata_identify import Identity
from .ata_registers import CONTROL, DATA, ERROR, HOB_0, HOB_1, REGISTERS, STATUS
from .atapi_drive import AtapiDrive
from .medium import Medium

OLD: Final = (
    ("features", "old_features"), ("count", "old_count"), ("sector", "old_sector"),
    ("cylinder_low", "old_cylinder_low"), ("cylinder_high", "old_cylinder_high"),
)  # fmt: skip
"""Registers 1 to 5: attributes of a drive, for what was written last and before."""
SELECT: Final = 0x10
DEVICE_ONES: Final = 0xA0
NIEN, SRST, HOB = 0x02, 0x04, 0x80

EXPECTED_NS: Final = 2_000
"""After this time the host is taken to be done, if the guest does not show that it is not."""


class _Moment(NamedTuple):
    """The channel's state at some moment, to return to if more was assumed than was."""

    units: tuple[dict[str, object], dict[str, object]]
    pending: Callable[[], None] | None
    transfer: Callable[[], None] | None
    control: int
    intrq: bool
    deadline_ns: int
    bus_master: tuple[int, ...]


class AtaChannel(Device):
    """One channel: offsets 0 to 7 are the command block, 8 is the control block's one register.

    Args:
        clock: for how long the host may take.
        irq: INTRQ.
        drives: the media and identities of devices 0 and 1; a medium of None: no such device.
        packets: which of them are ATAPI drives.
    """

    title = "ATA/ATAPI channel with its drives (IDE)"
    registers = REGISTERS
    width = 4
    kept_by_reset = ("unit?_medium_*", "unit?_settings_*")  # the disk's content; what SMART and SET FEATURES changed

    def __init__(
        self,
        clock: Clock,
        irq: Line,
        drives: tuple[tuple[Medium | None, Identity], ...] = ((None, Identity()),) * 2,
        packets: tuple[bool, bool] = (False, False),
    ) -> None:
        self._clock = clock
        self._irq = irq
        self._timer = clock.timer(self._expected)
        self.bus_master: BusMaster | None = None
        self._units: tuple[AtaDrive, AtaDrive] = (
            self._drive(*drives[0], packets[0]),
            self._drive(*drives[1], packets[1]),
        )
        self._empty = not any(drive.present for drive in self._units)
        self._readers = (
            self._read_byte_of_data, self._read_error, partial(self._read_old, 2), partial(self._read_old, 3),
            partial(self._read_old, 4), partial(self._read_old, 5), self._read_device, self._read_status,
            self._read_alternate_status,
        )  # fmt: skip
        self._writers: tuple[Callable[[int], None], ...] = (
            self._ignore, *(partial(self._write_old, number) for number in range(1, 6)), self._write_device,
            self._write_command, self._write_control,
        )  # fmt: skip
        self._reset_registers()

    def _drive(self, medium: Medium | None, identity: Identity, packet: bool) -> AtaDrive:
        if packet and medium is not None:
            return AtapiDrive(self, medium, identity)
        return AtaDisk(self, medium, identity)

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`. Device 0 is a disk of 256 sectors, device 1 a CD drive with a medium."""
        return cls(clock, Line(), ((Medium(256), Identity()), (Medium(256), Identity(serial="QM00002"))), (False, True))

    def reset(self) -> None:
        """See `Device.reset`. It selects device 0. The media stay as they are."""
        for drive in self._units:
            drive.reset()
        self._reset_registers()
        if self.bus_master is not None:
            self.bus_master.reset()

    def _reset_registers(self) -> None:
        self._unit = self._units[0]
        self._control = 0
        self._pending: Callable[[], None] | None = None
        """What the host has been asked for, and what is to be done at its end."""
        self._transfer: Callable[[], None] | None = None
        """What waits for the bus master's start."""
        self._undo: _Moment | None = None
        """What was before the host was taken to be done, until the guest's reads have confirmed that it was."""
        self._expected_ns = EXPECTED_NS
        self._was_read = False
        self._timer.cancel()
        self._irq.set(False)

    # Accesses

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`. Data words that only the recording knows are `Unknown`."""
        if size == 1:
            return self._readers[offset]()
        if offset == DATA:
            return self._read_data(size)
        if size == 2:
            low = self._readers[offset]()  # QEMU takes it apart; behind the last port of a range there is nothing
            return low | (self._readers[offset + 1]() if offset < STATUS else 0xFF) << 8
        return 0xFFFF_FFFF

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset != CONTROL:
            self._undo = None
        if size == 1:
            self._writers[offset](value)
        elif offset == DATA:
            self._write_data(size, value)
        elif size == 2:
            self._writers[offset](value & 0xFF)
            if offset < STATUS:
                self._writers[offset + 1](value >> 8)

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        if offset == DATA and size in (2, 4):
            return self._read_word if size == 2 else partial(self._read_data, 4)
        return self._readers[offset] if size == 1 else super().reader(offset, size)

    def bank(self, offset: int) -> str | None:
        """See `Device.bank`: HOB, which reads leave alone; writes are not banked."""
        return HOB_1 if self._control & HOB else HOB_0

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        return {
            "selected": int(self._unit is self._units[1]),
            "control": self._control,
            "waits_for_host": int(self._pending is not None),
            "waits_for_dma": int(self._transfer is not None),
            "intrq": int(self._irq.level),
            **self._units[0].state("unit0_"),
            **self._units[1].state("unit1_"),
        }

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: the host is done earlier, or later, than expected."""
        if offset == DATA and size in (2, 4):
            return self.assume_end(partial(self._gives, size, hw))
        if size != 1 or not ERROR <= offset <= CONTROL:
            return False
        if self._pending is not None:
            return self.assume_end(partial(self._shows, offset, hw))
        return offset >= STATUS and self.assume_no_end(partial(self._shows, offset, hw))

    def _gives(self, size: int, hw: int) -> bool:
        """The data register gives `hw`, or something that only the recording knows."""
        answer = self._read_data(size)
        if isinstance(answer, Unknown):
            if answer.known != hw & ~answer.mask:
                return False
            answer.learn(hw & answer.mask)
            return True
        return answer == hw

    def _shows(self, offset: int, hw: int) -> bool:
        return self._readers[offset]() == hw

    def assume_end(self, explains: Callable[[], bool]) -> bool:
        """What the host was asked for has ended by now, if that explains what was read."""
        if self._pending is None:
            return False
        saved = self._save()
        self._complete()
        if explains():
            return True
        self._restore(saved)
        return False

    def assume_no_end(self, explains: Callable[[], bool]) -> bool:
        """What the host was asked for had not ended at the last access, if that explains what was read."""
        if self._undo is None:
            return False
        after, before = self._save(), self._undo
        self._restore(before)
        if explains():
            self._undo = None
            if not self._control & NIEN:
                self._expect(2 * self._expected_ns)
            return True
        self._restore(after)
        return False

    # The command block, in the order of its registers

    def _read_word(self) -> int:
        """What most of a guest's reads are, on the shortest way: the middle of a block that is known."""
        drive = self._unit
        at = drive.at
        if at + 2 < drive.end and drive.unknown is None and drive.status & DRQ and drive.to_host:
            drive.at = at + 2
            data = drive.data
            return data[at] | data[at + 1] << 8
        return self._read_data(2)

    def _read_data(self, size: int) -> int:
        drive = self._unit
        if not drive.status & DRQ or not drive.to_host:
            return 0
        at = drive.at
        end = at + size
        if end > drive.end:
            return 0
        drive.at = end
        data, unknown = drive.data, drive.unknown
        if unknown is not None and 1 in unknown[at:end]:
            return self._read_unknown(drive, at, end)
        value = data[at] | data[at + 1] << 8
        if size == 4:
            value |= data[at + 2] << 16 | data[at + 3] << 24
        if end >= drive.end:
            drive.status &= ~DRQ
            drive.finish()
        return value

    def _read_unknown(self, drive: AtaDrive, at: int, end: int) -> Unknown:
        known = mask = 0
        for number in range(at, end):
            if drive.unknown is not None and drive.unknown[number]:
                mask |= 0xFF << 8 * (number - at)
            else:
                known |= drive.data[number] << 8 * (number - at)
        answer = Unknown(known, mask, drive.lesson(at, end), "assumed" if drive.source >= 0 else "learned")
        if end >= drive.end:
            drive.status &= ~DRQ
            drive.finish()
        return answer

    def _write_data(self, size: int, value: int) -> None:
        drive = self._unit
        if not drive.status & DRQ or drive.to_host or drive.at + size > drive.end:
            return
        drive.data[drive.at : drive.at + size] = value.to_bytes(size, "little")
        drive.at += size
        if drive.at >= drive.end:
            drive.status &= ~DRQ
            drive.finish()

    def _read_byte_of_data(self) -> int:
        return 0xFF

    def _read_error(self) -> int:
        if self._is_absent():
            return 0
        return self._unit.old_features if self._control & HOB else self._unit.error

    def _read_old(self, number: int) -> int:
        """Registers 2 to 5; with HOB the content before the last write (6.2)."""
        if self._empty:
            return 0
        value: int = getattr(self._unit, OLD[number - 1][bool(self._control & HOB)])
        return value & 0xFF

    def _write_old(self, number: int, value: int) -> None:
        """7.4: both devices receive what is written, unless the selected one is busy."""
        if self._unit.status & (BSY | DRQ):
            return
        self._control &= ~HOB
        now, before = OLD[number - 1]
        for drive in self._units:
            setattr(drive, before, getattr(drive, now) & 0xFF)
            setattr(drive, now, value)

    def _read_device(self) -> int:
        return 0 if self._empty else self._unit.device

    def _write_device(self, value: int) -> None:
        if self._unit.status & (BSY | DRQ):
            return
        self._control &= ~HOB
        for drive in self._units:
            drive.device = value | DEVICE_ONES
        self._unit = self._units[bool(value & SELECT)]

    def _read_status(self) -> int:
        if self._undo is not None:
            self.note_read()
        self._irq.set(False)
        return 0 if self._is_absent() else self._unit.status

    def _write_command(self, value: int) -> None:
        """7.4. QEMU's device 1 takes none if it is absent; only a packet device takes DEVICE RESET while it is busy."""
        self._control &= ~HOB
        self._irq.set(False)
        drive = self._unit
        if drive is self._units[1] and not drive.present:
            return
        if drive.status & (BSY | DRQ):
            if not drive.is_packet or value != 0x08:
                return
            self._abandon()
        drive.execute(value)

    def _read_alternate_status(self) -> int:
        if self._undo is not None:
            self.note_read()
        return 0 if self._is_absent() else self._unit.status

    def _write_control(self, value: int) -> None:
        """7.8: SRST, which QEMU performs a moment later."""
        if value & SRST and not self._control & SRST:
            for drive in self._units:
                drive.status |= BSY
            running = None if self._transfer is None else self._pending
            self._pending = partial(self._software_reset, running)
            self._expect(EXPECTED_NS)
            self._undo = None
        elif self._undo is not None:
            self._undo = self._undo._replace(control=value)
        self._control = value

    def _software_reset(self, running: Callable[[], None] | None) -> None:
        """9.2. QEMU lets a transfer by DMA that is `running` end first."""
        for drive in self._units:
            drive.stop_transfer()
        if running is not None:
            running()
        self._transfer = None
        for drive in self._units:
            drive.reset()
            drive.diagnose()
        self._control &= ~SRST

    def _ignore(self, value: int) -> None:
        """A byte written to the data register."""

    def _is_absent(self) -> bool:
        unit = self._unit
        return self._empty or (unit is self._units[1] and not unit.present)

    # What the drives ask for

    def interrupt(self) -> None:
        """Assert INTRQ, unless nIEN masks it (7.8)."""
        if not self._control & NIEN:
            if self.bus_master is not None:
                self.bus_master.interrupt()
            self._irq.set(True)

    def later(self, completion: Callable[[], None]) -> None:
        """Call `completion` when the host is done: at a time that only the guest's reads show."""
        self._pending = completion
        if not self._control & NIEN:
            self._expect(EXPECTED_NS)

    def start_dma(self, transfer: Callable[[], None]) -> None:
        """Call `transfer` as soon as the bus master is started; without one never."""
        self._transfer = transfer
        self.dma_started()

    def end_dma(self) -> None:
        """The transfer by DMA has ended."""
        self._transfer = None
        if self.bus_master is not None:
            self.bus_master.end()

    # What the bus master tells

    def dma_started(self) -> None:
        """The bus master was started, or a drive is ready for it."""
        if self._transfer is not None and self.bus_master is not None and self.bus_master.active:
            self._transfer()

    def dma_stopped(self) -> None:
        """The bus master was stopped: QEMU waits until what runs has ended."""
        if self._pending is not None and self._transfer is not None:
            self._complete()

    def note_write(self) -> None:
        """The guest goes on: so it has seen what it was waiting for."""
        self._undo = None

    def note_read(self) -> None:
        """What the host does can be seen now. A second look would have shown that it had not ended at the first."""
        if self._undo is not None:
            if self._was_read:
                self._undo = None
            self._was_read = True

    # How long the host takes

    def _expect(self, wait_ns: int) -> None:
        """Take the host to be done after `wait_ns`."""
        self._expected_ns = wait_ns
        self._timer.arm(self._clock.now_ns + wait_ns)

    def _expected(self) -> None:
        saved = self._save()
        self._complete()
        self._undo = saved
        self._was_read = False

    def _complete(self) -> None:
        completion, self._pending = self._pending, None
        self._timer.cancel()
        self._undo = None
        if completion is not None:
            completion()

    def _abandon(self) -> None:
        """A reset ends what the host was asked for; QEMU lets a transfer by DMA end first."""
        self._timer.cancel()
        self._undo = None
        if self._pending is not None and self._transfer is not None:
            self._complete()
        self._pending = None
        self._transfer = None

    def _save(self) -> _Moment:
        return _Moment(
            (dict(vars(self._units[0])), dict(vars(self._units[1]))),
            self._pending,
            self._transfer,
            self._control,
            self._irq.level,
            self._timer.deadline_ns,
            () if self.bus_master is None else self.bus_master.save(),
        )

    def _restore(self, moment: _Moment) -> None:
        for drive, attributes in zip(self._units, moment.units, strict=True):
            vars(drive).update(attributes)
        self._pending, self._transfer, self._control = moment.pending, moment.transfer, moment.control
        self._timer.arm(moment.deadline_ns)
        if self.bus_master is not None:
            self.bus_master.restore(moment.bus_master)
        self._irq.set(moment.intrq)
