"""virtio over PCI, legacy: 4.1.4.10 of VIRTIO 1.2."""

from __future__ import annotations

from virtio_slot import DISK, teach

from vmdev.replay.clock import Clock
from vmdev.replay.devices.virtio_device import F_BAD_FEATURE, F_VERSION_1, Setup, VirtioDevice
from vmdev.replay.devices.virtio_pci_legacy import HEADER, VirtioPciLegacy
from vmdev.replay.devices.virtio_types import VirtioBlk, VirtioNet

OFFSETS = {register.name: register.offset for register in HEADER}
SIZES = {register.name: register.width // 8 for register in HEADER}
FEATURES = F_VERSION_1 | F_BAD_FEATURE | 0x44


class Ports:
    """A driver's view of the BAR."""

    def __init__(self, device: VirtioDevice | None = None) -> None:
        self.msix = False
        self.mastered = 0
        device = device or VirtioBlk(Setup(FEATURES, queues=(16, 32), config=DISK))
        self.model = VirtioPciLegacy(device, 2, lambda: self.msix, self._master)

    def _master(self) -> None:
        self.mastered += 1

    def read(self, register: str) -> int:
        return self.model.read(OFFSETS[register], SIZES[register])

    def write(self, register: str, value: int) -> None:
        self.model.write(OFFSETS[register], SIZES[register], value)


def test_features_have_32_bits() -> None:
    ports = Ports()
    assert ports.read("device_features") == FEATURES & 0xFFFF_FFFF
    ports.write("driver_features", 0xFF)
    assert ports.read("driver_features") == 0x44


def test_a_driver_that_accepts_all_bits_gets_what_the_first_drivers_knew() -> None:
    """QEMU: bit 30 is offered to tell drivers that do not negotiate."""
    ports = Ports()
    ports.write("driver_features", 0xFFFF_FFFF)
    assert ports.read("driver_features") == 0
    card = Ports(VirtioNet(Setup(FEATURES | 1 << 5 | 1 << 16, queues=(256, 256, 64), config=bytes(8))))
    card.write("driver_features", 0xFFFF_FFFF)
    assert card.read("driver_features") == 1 << 5


def test_a_queue_is_placed_by_its_page_and_page_0_resets() -> None:
    ports = Ports()
    ports.write("queue_select", 1)
    assert ports.read("queue_size") == 32
    ports.write("queue_address", 0x1234)
    assert ports.read("queue_address") == 0x1234
    ports.write("queue_select", 5)
    assert ports.read("queue_size") == 0
    ports.write("queue_address", 0x1234)
    assert ports.read("queue_address") == 0
    ports.write("queue_select", 1024)
    assert ports.read("queue_select") == 5
    ports.write("queue_address", 0)
    assert ports.read("queue_select") == 0


def test_a_size_is_learned() -> None:
    ports = Ports(VirtioDevice(Setup(queues=None)))
    teach(ports.read("queue_size"), 64)
    assert ports.read("queue_size") == 64


def test_notifications_raise_isr_and_reading_clears_it() -> None:
    ports = Ports()
    for number in (0, 5, 1024):
        ports.write("queue_notify", number)
    assert ports.read("isr_status") == 0
    ports.write("queue_address", 1)
    ports.write("queue_notify", 0)
    assert ports.read("isr_status") == 1
    assert ports.read("isr_status") == 0
    assert ports.model.assume(0x13, 1, 1, 0)


def test_a_status_that_finds_the_driver_makes_a_bus_master() -> None:
    """QEMU"""
    ports = Ports()
    for status in (1, 3, 7):
        ports.write("device_status", status)
        assert ports.read("device_status") == status
    assert ports.mastered == 1
    ports.write("device_status", 0)
    assert ports.read("device_status") == 0


def test_msix_puts_its_vectors_before_the_configuration_space() -> None:
    ports = Ports()
    assert ports.model.bank(0x14) == "MSI-X disabled"
    assert ports.model.bank(0x12) is None
    assert ports.model.read(0x14, 4) == 0x2000
    ports.model.write(0x14 + 32, 1, 0)
    assert ports.model.read(0x14 + 32, 1) == 0
    ports.msix = True
    assert ports.model.bank(0x14) == "MSI-X enabled"
    assert ports.model.read(0x18, 4) == 0x2000
    for register in ("config_msix_vector", "queue_msix_vector"):
        assert ports.read(register) == 0xFFFF
        for value, vector in ((1, 1), (2, 0xFFFF)):
            ports.write(register, value)
            assert ports.read(register) == vector
    assert not ports.model.assume(0x14, 2, 1, 0)
    assert not ports.model.assume(0x18, 2, 1, 0)


def test_what_is_no_register_reads_all_ones() -> None:
    """QEMU"""
    ports = Ports()
    assert ports.model.read(0x01, 1) == 0xFF
    assert ports.model.read(0x10, 2) == 0xFFFF
    ports.model.write(0x01, 1, 1)


def test_unaligned_accesses_fail() -> None:
    """QEMU: they read 0 and write nothing."""
    ports = Ports()
    assert ports.model.read(0x01, 4) == 0
    ports.model.write(0x11, 2, 7)
    assert ports.read("device_status") == 0


def test_alone_msix_comes_and_goes() -> None:
    clock = Clock()
    model = VirtioPciLegacy.alone(clock)
    assert model.bank(0x14) == "MSI-X disabled"
    clock.advance(1 << 20)
    assert model.bank(0x14) == "MSI-X enabled"
    Ports().model.reset()
