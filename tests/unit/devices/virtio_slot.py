"""Shared by tests of virtio: a device on the MMIO transport, driven by names of registers."""

from __future__ import annotations

from vmdev.replay.device import Unknown
from vmdev.replay.devices.virtio_device import F_VERSION_1, Setup, VirtioDevice
from vmdev.replay.devices.virtio_mmio import TRANSPORT, VirtioMmio
from vmdev.replay.devices.virtio_types import VirtioBlk
from vmdev.replay.irq import Line

OFFSETS = {register.name: register.offset for register in TRANSPORT}
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 0x40
DISK = (0x2000).to_bytes(8, "little") + bytes(24) + b"\1" + bytes(24)


class Slot:
    """A driver's view of a slot."""

    def __init__(self, device: VirtioDevice | None, *, legacy: bool = False, same_maximum: bool = False) -> None:
        self.irq = Line()
        self.model = VirtioMmio(device, self.irq, legacy=legacy, same_maximum=same_maximum)

    def read(self, register: str) -> int:
        return self.model.read(OFFSETS[register], 4)

    def write(self, register: str, value: int) -> None:
        self.model.write(OFFSETS[register], 4, value)

    def config(self, offset: int, size: int = 4) -> int:
        return self.model.read(0x100 + offset, size)

    def write_config(self, offset: int, value: int, size: int = 4) -> None:
        self.model.write(0x100 + offset, size, value)

    def assume(self, register: str, hw: int) -> bool:
        offset = OFFSETS[register]
        return self.model.assume(offset, 4, hw, self.model.read(offset, 4))

    def accept(self, features: int) -> None:
        """Negotiate as a modern driver does."""
        self.write("Status", ACKNOWLEDGE | DRIVER)
        for half in (0, 1):
            self.write("DriverFeaturesSel", half)
            self.write("DriverFeatures", features >> 32 * half & 0xFFFF_FFFF)
        self.write("Status", ACKNOWLEDGE | DRIVER | FEATURES_OK)

    def start(self, *queues: int, features: int = F_VERSION_1) -> None:
        """Get ready with these queues in use."""
        self.accept(features)
        for number in queues:
            self.write("QueueSel", number)
            self.write("QueueNum", 8)
            self.write("QueueDescLow", 0x1000)
            self.write("QueueReady", 1)
        self.write("Status", ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)


def disk(features: int = 0, *, legacy: bool = False, size: int = 16) -> Slot:
    """A slot with a disk of one queue."""
    setup = Setup(features | (0 if legacy else F_VERSION_1), queues=(size,), config=DISK)
    return Slot(VirtioBlk(setup), legacy=legacy)


def teach(answer: int, value: int) -> None:
    """Let the recording say what only it knows."""
    assert isinstance(answer, Unknown)
    assert answer.kind == "learned"
    answer.learn(value & answer.mask)
