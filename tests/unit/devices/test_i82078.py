"""Floppy disk controller: registers, phases, commands and data (Intel 82077AA data sheet)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.floppy_drive import (
    BAD_SECTOR,
    BAD_TRACK,
    OTHER_TRACK,
    RATE_1M,
    RATE_250K,
    RATE_300K,
    SAME_TRACK,
    FloppyDrive,
)
from vmdev.replay.devices.i82078 import I82078
from vmdev.replay.devices.i82078_data import READ_ID_NS, no_dma
from vmdev.replay.devices.medium import Medium
from vmdev.replay.irq import Line

SRA, SRB, DOR, TDR, MSR, FIFO, DIR = 0, 1, 2, 3, 4, 5, 7
DSR, CCR = MSR, DIR
SENSE_INTERRUPT, SENSE_DRIVE, RECALIBRATE, SEEK, SPECIFY, READ_ID = 0x08, 0x04, 0x07, 0x0F, 0x03, 0x4A
READ, WRITE, MT = 0x46, 0x45, 0x80
SECTORS = 2880


class Controller:
    """The controller, its interrupt, and a DMA controller that moves `count` bytes."""

    def __init__(self, a: FloppyDrive | None = None, b: FloppyDrive | None = None, *, count: int | None = None) -> None:
        self.clock = Clock()
        self.irq = Line()
        self.count = count
        self.requests: list[bool] = []
        self.transfer: Callable[[int, int], int] | None = None
        a = FloppyDrive(Medium(SECTORS, zeros=True)) if a is None else a
        b = FloppyDrive(present=False) if b is None else b
        self.fdc = I82078(self.clock, self.irq, (a, b), no_dma if count is None else self.connect)
        self.a, self.b = a, b

    def connect(self, transfer: Callable[[int, int], int]) -> Callable[[bool], None]:
        self.transfer = transfer
        return self.request

    def request(self, level: bool) -> None:
        self.requests.append(level)
        if level and self.transfer is not None and self.count is not None:
            self.transfer(0, self.count)

    def get(self, offset: int) -> int:
        answer = self.fdc.reader(offset, 1)()
        if isinstance(answer, Unknown):
            answer.learn(0x77)
            return 0x77
        return answer

    def put(self, offset: int, value: int) -> None:
        self.fdc.write(offset, 1, value)

    def command(self, *values: int) -> list[int]:
        """Send a command; its result, if it has one already."""
        for value in values:
            assert self.get(MSR) & 0xC0 == 0x80
            self.put(FIFO, value)
        return self.result()

    def result(self) -> list[int]:
        found = []
        while self.get(MSR) & 0xF0 == 0xD0:
            found.append(self.get(FIFO))
        return found

    def ready(self) -> Controller:
        """As a driver leaves it: no interrupt, and the rate of a 1.44 MB medium."""
        self.put(CCR, 0)
        return self

    def pio(self) -> Controller:
        self.ready().command(SPECIFY, 0xAF, 0x03)
        return self

    def data(self, code: int, track: int = 0, head: int = 0, sector: int = 1, *, eot: int = 18, drive: int = 0) -> None:
        """A command that moves data, without its result."""
        for value in (code, drive | head << 2, track, head, sector, 2, eot, 0x1B, 0xFF):
            self.put(FIFO, value)


# Registers


def test_after_reset_the_controller_waits_for_a_command() -> None:
    fdc = Controller()
    assert [fdc.get(offset) for offset in (SRA, SRB, DOR, TDR, MSR)] == [0x40, 0xC0, 0x0C, 0, 0x80]
    assert fdc.get(6) == 0xFF
    for offset in (SRA, SRB, 6):
        fdc.put(offset, 0xFF)
    assert not fdc.irq.level


def test_sra_shows_whether_there_is_a_second_drive() -> None:
    assert Controller(b=FloppyDrive()).get(SRA) == 0x00


def test_dor_selects_a_drive_and_its_motors_show_in_srb() -> None:
    fdc = Controller()
    fdc.put(DOR, 0x3D)
    assert (fdc.get(DOR), fdc.get(SRB)) == (0x3D, 0xE3)
    fdc.put(DOR, 0x0C)
    assert fdc.get(SRB) == 0xC0


def test_a_reset_by_dor_asks_for_four_sense_interrupts() -> None:
    """6.2.2: one for each drive."""
    fdc = Controller()
    fdc.put(DOR, 0x08)
    fdc.put(DOR, 0x0C)
    assert fdc.irq.level
    for drive in range(4):
        assert fdc.command(SENSE_INTERRUPT) == [0xC0 | drive, 0]
        assert not fdc.irq.level
    assert fdc.command(SENSE_INTERRUPT) == [0x80]


def test_in_reset_writes_are_ignored_until_msr_is_read() -> None:
    """QEMU."""
    fdc = Controller()
    fdc.put(DOR, 0x00)
    for offset in (TDR, DSR, FIFO, CCR):
        fdc.put(offset, 0x07)
    assert (fdc.get(TDR), fdc.get(DOR)) == (0, 0)
    assert fdc.get(MSR) == 0x80
    assert fdc.get(DOR) == 0x04


@pytest.mark.parametrize("value", [0x80, 0x40])
def test_dsr_can_reset(value: int) -> None:
    fdc = Controller()
    fdc.put(DSR, value)
    assert fdc.irq.level
    assert fdc.command(SENSE_INTERRUPT) == [0xC0, 0]


def test_bootsel_exchanges_the_drives() -> None:
    fdc = Controller(b=FloppyDrive(Medium(1440)))
    fdc.put(TDR, 0xFF)
    assert fdc.get(TDR) == 0x04
    fdc.command(SEEK, 0, 5)
    assert (fdc.a.track, fdc.b.track) == (0, 5)


def test_dskchg_is_cleared_by_a_seek_to_another_track() -> None:
    """2.1.8."""
    fdc = Controller()
    assert fdc.get(DIR) == 0x80
    fdc.command(SEEK, 0, 0)
    assert fdc.get(DIR) == 0x80
    fdc.command(SEEK, 0, 1)
    assert fdc.get(DIR) == 0x00


# Phases


def test_msr_shows_the_phases() -> None:
    """5."""
    fdc = Controller()
    fdc.put(FIFO, SENSE_DRIVE)
    assert fdc.get(MSR) == 0x90
    fdc.put(FIFO, 0)
    assert fdc.get(MSR) == 0xD0
    fdc.put(FIFO, 0x99)
    assert fdc.get(FIFO) == 0x38
    assert fdc.get(MSR) == 0x80
    assert fdc.get(FIFO) == 0


# Commands without data


def test_unknown_commands_are_invalid() -> None:
    for code in (0x1F, 0x00, 0xFF):
        assert Controller().command(code) == [0x80]
    assert Controller().command(0xCD, *range(10)) == [0x80]


def test_version_and_part_id() -> None:
    assert Controller().command(0x10) == [0x90]
    assert Controller().command(0x18) == [0x41]


def test_recalibrate_and_seek_interrupt() -> None:
    fdc = Controller()
    assert fdc.command(SEEK, 0, 7) == []
    assert fdc.irq.level
    assert fdc.command(SENSE_INTERRUPT) == [0x20, 7]
    fdc.command(RECALIBRATE, 0)
    assert fdc.command(SENSE_INTERRUPT) == [0x20, 0]


def test_relative_seeks_stay_on_the_disk() -> None:
    fdc = Controller()
    for code, distance, track in ((0xCF, 5, 5), (0xCF, 200, 79), (0x8F, 9, 70), (0x8F, 200, 0)):
        fdc.command(code, 0, distance)
        assert fdc.a.track == track


def test_sense_drive_status() -> None:
    """ST3: write protection, track 0, head, drive."""
    fdc = Controller(FloppyDrive(), FloppyDrive(Medium(SECTORS, read_only=True)))
    fdc.command(SEEK, 0, 3)
    assert fdc.command(SENSE_DRIVE, 4) == [0x6C]
    assert fdc.command(SENSE_DRIVE, 1) == [0x79]


def test_dumpreg_shows_what_other_commands_set() -> None:
    """6.2.8."""
    fdc = Controller(b=FloppyDrive())
    fdc.command(SPECIFY, 0xDF, 0x03)
    fdc.command(0x13, 0, 0x57, 0x12)
    fdc.command(0x12, 0x83)
    fdc.command(0x12, 0x07)  # without OW nothing changes
    assert fdc.command(0x94) == [0x10]
    fdc.command(SEEK, 1, 4)
    fdc.command(SENSE_DRIVE, 0)
    assert fdc.command(0x0E) == [0, 4, 0, 0, 0xD, 0x02, 18, 0x8C, 0x57, 0x12]
    assert fdc.command(0x14) == [0x00]


def test_save_and_restore() -> None:
    fdc = Controller()
    assert fdc.command(0x17, 0x05, 0) == [0x05]
    assert fdc.command(0x2E) == [0, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0x60, 0, 5, 0, 0]
    fdc.command(0x4E, 0, 0, 3, 4, 0, 0, 1, 2, 9, 0x84, 0x50, 7, 8, 0, 0, 0, 0)
    assert fdc.command(0x0E) == [3, 4, 0, 0, 1, 5, 9, 0x84, 0x50, 7]


def test_option_and_drive_specification() -> None:
    assert Controller().command(0x33, 1) == []
    assert Controller().command(0x8E, 1, 2, 3, 4, 0xC0) == [1, 1, 0, 0]
    assert Controller().command(0x8E, 1, 2, 3, 4, 0x80) == []
    stuck = Controller()
    assert stuck.command(0x8E, 1, 2, 3, 4, 5) == []
    assert stuck.get(MSR) == 0x10


def test_read_id_takes_its_time() -> None:
    fdc = Controller().ready()
    assert fdc.command(READ_ID, 4) == []
    assert fdc.get(MSR) == 0x10
    fdc.clock.advance(READ_ID_NS - 1)
    assert not fdc.irq.level
    fdc.clock.advance(READ_ID_NS)
    assert fdc.irq.level
    assert fdc.result() == [0x04, 0, 0, 0, 1, 2, 2]
    assert not fdc.irq.level


def test_read_id_needs_the_mediums_data_rate() -> None:
    fdc = Controller(b=FloppyDrive(present=False))
    fdc.put(CCR, 2)
    fdc.command(READ_ID, 0)
    fdc.clock.advance(READ_ID_NS)
    assert fdc.result()[:3] == [0x40, 0x01, 0]
    fdc.put(DOR, 0x0D)
    fdc.put(CCR, 0)
    fdc.command(READ_ID, 1)
    fdc.clock.advance(2 * READ_ID_NS)
    assert fdc.result()[:2] == [0x01, 0]


def test_read_id_of_an_empty_drive_finds_no_address_mark_since_qemu_11() -> None:
    for finds_none, result in ((True, [0x40, 0x01, 0, 0, 0, 1, 2]), (False, [0, 0, 0, 0, 0, 2, 2])):
        fdc = Controller(FloppyDrive(spins_empty=not finds_none)).ready()
        fdc.command(READ_ID, 0)
        fdc.clock.advance(READ_ID_NS)
        assert fdc.result() == result


def test_format_track_ends_at_once() -> None:
    """QEMU."""
    fdc = Controller().ready()
    assert fdc.command(0x4D, 0, 2, 9, 0x1B, 0) == [0, 0, 0, 0, 0, 1, 2]
    assert fdc.a.last_sector == 9


@pytest.mark.parametrize("code", [0x4C, 0x49])
def test_deleted_data_is_not_there(code: int) -> None:
    """QEMU."""
    assert Controller().ready().command(code, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)[:3] == [0x60, 0, 0]


# Data by PIO


def test_a_sector_is_written_and_read() -> None:
    fdc = Controller().pio()
    fdc.data(WRITE, 1, 1, 3, eot=4)
    assert fdc.get(MSR) == 0xB0
    assert fdc.irq.level
    for number in range(1024):
        fdc.put(FIFO, number & 0xFF)
    fdc.put(DOR, 0x08)
    fdc.put(DOR, 0x0C)
    fdc.command(SENSE_INTERRUPT)
    fdc.pio().data(READ, 1, 1, 3, eot=3)
    assert fdc.get(MSR) == 0xF0
    assert bytes(fdc.get(FIFO) for _ in range(512)) == bytes(range(256)) * 2
    assert fdc.result() == [0x24, 0, 0, 1, 1, 3, 2]


def test_a_controller_that_waits_for_no_write_stays_so() -> None:
    """QEMU: at the end of a track a write without MT has no result."""
    fdc = Controller().pio()
    fdc.data(WRITE, eot=1)
    for _ in range(512):
        fdc.put(FIFO, 0xFF)
    assert fdc.get(MSR) == 0x30


def test_an_unwritten_sector_is_assumed_once() -> None:
    fdc = Controller(FloppyDrive(Medium(SECTORS))).pio()
    for _ in range(2):
        fdc.data(READ, eot=2)
        assert bytes(fdc.get(FIFO) for _ in range(1024)) == b"\x77" * 1024
        assert fdc.result()[:3] == [0, 0, 0]
    assert fdc.fdc.state()["drive0_medium_known_sectors"] == 2


def test_reading_goes_on_to_the_other_head_with_mt() -> None:
    fdc = Controller().pio()
    fdc.data(READ | MT, 0, 0, 18, eot=18)
    for _ in range(512 * 19):
        fdc.get(FIFO)
    assert fdc.result() == [0x04, 0, 0, 0, 1, 18, 2]


def test_reading_stops_at_the_end_of_the_track_without_mt() -> None:
    fdc = Controller().pio()
    fdc.data(READ, 0, 0, 17, eot=20)
    for _ in range(1024):
        fdc.get(FIFO)
    assert fdc.get(FIFO) == 0
    assert fdc.get(MSR) == 0xF0


def test_a_write_protected_medium_takes_no_data() -> None:
    fdc = Controller(FloppyDrive(Medium(SECTORS, zeros=True, read_only=True))).pio()
    fdc.data(WRITE, eot=1)
    for _ in range(512):
        fdc.put(FIFO, 0xFF)
    assert fdc.get(MSR) == 0x30


@pytest.mark.parametrize(
    ("place", "result"),
    [((90, 0, 1), [0x40, 0, 0, 90, 0, 1, 2]), ((0, 0, 19), [0x40, 0x80, 0, 0, 0, 19, 2])],
)
def test_a_place_that_is_not_on_the_disk_ends_abnormally(place: tuple[int, int, int], result: list[int]) -> None:
    fdc = Controller().pio()
    fdc.data(READ, *place)
    assert fdc.result() == result


def test_other_ends() -> None:
    fdc = Controller().pio()
    fdc.put(CCR, 3)
    fdc.data(READ)
    assert fdc.result()[:3] == [0x40, 0x01, 0]  # the data rate
    fdc.put(CCR, 0)
    fdc.data(READ, 0, 0, 9, eot=3)
    assert fdc.result()[:3] == [0x40, 0x01, 0]  # no sectors
    empty = Controller(FloppyDrive()).pio()
    empty.data(READ)
    assert empty.result()[:3] == [0x40, 0, 0]
    one_sided = Controller(FloppyDrive(Medium(720))).pio()
    one_sided.data(READ, 0, 1, 1)
    assert one_sided.result()[0] & 0xC0 == 0x40


def test_a_sector_size_of_0_is_told_by_the_last_parameter() -> None:
    fdc = Controller().pio()
    for value in (READ, 0, 0, 0, 1, 0, 18, 0x1B, 4):
        fdc.put(FIFO, value)
    assert [fdc.get(FIFO) for _ in range(4)] == [0] * 4
    assert fdc.result()[:3] == [0, 0, 0]


# Data by DMA


def test_a_read_by_dma_ends_when_the_count_does() -> None:
    fdc = Controller(count=1024).ready()
    fdc.data(READ | MT, 2, 0, 3)
    assert fdc.requests == [True, False]
    assert fdc.irq.level
    assert fdc.result() == [0x20, 0, 0, 2, 0, 5, 2]


def test_a_write_by_dma_is_forgotten() -> None:
    fdc = Controller(count=512).ready()
    fdc.data(WRITE, eot=1)
    assert fdc.result()[:3] == [0x20, 0, 0]
    fdc.pio().data(READ, eot=1)
    assert fdc.get(FIFO) == 0x77


def test_a_write_by_dma_to_a_protected_medium_ends_abnormally() -> None:
    fdc = Controller(FloppyDrive(Medium(SECTORS, read_only=True)), count=512).ready()
    fdc.data(WRITE)
    assert fdc.result()[:3] == [0x60, 0x02, 0]


@pytest.mark.parametrize(("code", "st2"), [(0x56, 0), (0x51, 8), (0x59, 8), (0x5D, 8)])
def test_verify_and_scan(code: int, st2: int) -> None:
    fdc = Controller(count=512).ready()
    fdc.data(code, eot=1)
    assert fdc.result()[2] == st2


def test_without_a_dma_controller_it_does_not_end() -> None:
    fdc = Controller().ready()
    fdc.data(READ)
    assert fdc.get(MSR) == 0x10


def test_an_early_turn_of_the_dma_controller_moves_nothing() -> None:
    fdc = Controller(count=512)
    assert fdc.transfer is not None
    assert fdc.transfer(0, 512) == 0


def test_that_dma_is_still_going_on_is_assumed() -> None:
    fdc = Controller(count=512).ready()
    assert not fdc.fdc.assume(MSR, 1, 0x10, 0x80)
    fdc.data(READ)
    assert fdc.fdc.assume(MSR, 1, 0x10, fdc.get(MSR))
    assert not fdc.fdc.assume(MSR, 1, 0x90, fdc.get(MSR))
    fdc.result()
    assert not fdc.fdc.assume(MSR, 1, 0x10, fdc.get(MSR))


# Drives


@pytest.mark.parametrize(
    ("sectors", "track", "tracks", "heads", "rate"),
    [(2880, 18, 80, 2, 0), (5760, 36, 80, 2, RATE_1M), (1440, 9, 80, 2, RATE_250K), (2400, 15, 80, 2, 0),
     (720, 9, 40, 2, RATE_300K), (360, 9, 40, 1, RATE_300K), (320, 8, 40, 1, RATE_250K), (640, 8, 40, 2, RATE_250K),
     (3, 36, 80, 2, RATE_1M), (None, 18, 80, 2, 0)],
)  # fmt: skip
def test_a_mediums_size_decides_its_format(sectors: int | None, track: int, tracks: int, heads: int, rate: int) -> None:
    """QEMU."""
    drive = FloppyDrive(Medium(sectors))
    assert (drive.last_sector, drive.max_track, drive.heads, drive.rate) == (track, tracks, heads, rate)


def test_seeks() -> None:
    drive = FloppyDrive(Medium(SECTORS))
    ends = [drive.seek(*place) for place in ((0, 0, 1), (1, 0, 2), (0, 5, 1), (0, 81, 1), (0, 0, 19))]
    assert ends == [SAME_TRACK, SAME_TRACK, OTHER_TRACK, BAD_TRACK, BAD_SECTOR]
    empty = FloppyDrive()
    assert empty.seek(0, 200, 1) == BAD_TRACK
    assert empty.track == 200
    absent = FloppyDrive(present=False)
    absent.recalibrate()
    assert (absent.seek(0, 1, 0), absent.track) == (BAD_TRACK, 0)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 0xFF)), max_size=80), st.integers(1, 2000))
def test_no_guest_can_make_it_fail(writes: list[tuple[int, int]], count: int) -> None:
    fdc = Controller(FloppyDrive(Medium(SECTORS)), count=count)
    for offset, value in writes:
        fdc.put(offset, value)
        fdc.get(FIFO)
        fdc.get(value & 7)
        fdc.clock.advance(fdc.clock.now_ns + value * 1_000_000)
