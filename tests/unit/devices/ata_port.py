"""An ATA channel as a guest's driver sees it, for the tests of the channel and of its drives."""

from __future__ import annotations

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.ata_channel import EXPECTED_NS, AtaChannel
from vmdev.replay.devices.ata_identify import Identity
from vmdev.replay.devices.ata_registers import CONTROL, DATA, DEVICE, LBA_HIGH, LBA_LOW, LBA_MID, SECTOR_COUNT, STATUS
from vmdev.replay.devices.medium import Medium
from vmdev.replay.devices.piix_bmdma import PiixBusMaster
from vmdev.replay.irq import Line

COMMAND = STATUS
FEATURES = ERROR = 1
BSY, DRDY, DSC, DRQ, ERR = 0x80, 0x40, 0x10, 0x08, 0x01
NIEN, SRST, HOB = 0x02, 0x04, 0x80


class Port:
    """One channel. By default device 0 is a disk of 2,048 sectors of zeros, device 1 is absent."""

    def __init__(
        self,
        first: Medium | None = None,
        second: Medium | None = None,
        *,
        empty: bool = False,
        cd: bool = False,
        identities: tuple[Identity, Identity] = (Identity(), Identity(serial="QM00002")),
        dma: bool = False,
    ) -> None:
        self.clock = Clock()
        self.irq = Line()
        self.edges: list[bool] = []
        self.irq.connect(self.edges.append)
        if first is None and not empty:
            first = Medium(2048, zeros=True)
        drives = ((first, identities[0]), (second, identities[1]))
        self.channel = AtaChannel(self.clock, self.irq, drives, (cd, False))
        self.master = PiixBusMaster(self.channel) if dma else None

    def read(self, offset: int, size: int = 1, lesson: int = 0) -> int:
        """Read; what only a recording knows is `lesson`."""
        answer = self.channel.reader(offset, size)()
        if isinstance(answer, Unknown):
            answer.learn(lesson & answer.mask)
            return answer.known | lesson & answer.mask
        return answer

    def write(self, offset: int, value: int, size: int = 1) -> None:
        self.channel.writer(offset, size)(value)

    def command(self, code: int, count: int = 0, lba: int = 0, features: int = 0, device: int = 0x40) -> None:
        """Write the task file for a command with a 28-bit address, and the command."""
        self.write(DEVICE, device | lba >> 24)
        self.write(FEATURES, features)
        self.write(SECTOR_COUNT, count)
        for offset, shift in ((LBA_LOW, 0), (LBA_MID, 8), (LBA_HIGH, 16)):
            self.write(offset, lba >> shift & 0xFF)
        self.write(COMMAND, code)

    def wait(self) -> None:
        """Let the host be done."""
        self.clock.advance(self.clock.now_ns + EXPECTED_NS)

    def words(self, count: int) -> list[int]:
        return [self.read(DATA, 2) for _ in range(count)]

    def block(self, count: int = 256) -> bytes:
        return b"".join(word.to_bytes(2, "little") for word in self.words(count))

    def send(self, data: bytes) -> None:
        for at in range(0, len(data), 2):
            self.write(DATA, int.from_bytes(data[at : at + 2], "little"), 2)

    def status(self) -> int:
        return self.read(CONTROL)

    def signature(self) -> tuple[int, ...]:
        return tuple(self.read(offset) for offset in (SECTOR_COUNT, LBA_LOW, LBA_MID, LBA_HIGH))

    def reset(self) -> None:
        """A software reset, to its end."""
        self.write(CONTROL, SRST)
        self.wait()
        self.write(CONTROL, 0)
