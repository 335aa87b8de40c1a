"""virtio over PCI, modern: chapter 4.1 of VIRTIO 1.2."""

from __future__ import annotations

import pytest
from virtio_slot import ACKNOWLEDGE, DISK, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, teach

from vmdev.replay.device import Unknown
from vmdev.replay.devices.virtio_device import F_BAD_FEATURE, F_VERSION_1, Setup, VirtioDevice
from vmdev.replay.devices.virtio_pci import COMMON, VirtioPci
from vmdev.replay.devices.virtio_types import VirtioBlk

OFFSETS = {register.name: register.offset for register in COMMON}
SIZES = {register.name: register.width // 8 for register in COMMON}
NO_VECTOR = 0xFFFF
FEATURES = F_VERSION_1 | F_BAD_FEATURE | 1 << 34 | 0x44


class Function:
    """A driver's view of the BAR."""

    def __init__(self, device: VirtioDevice | None = None, *, vectors: int = 2, multiplier: int = 4) -> None:
        setup = Setup(FEATURES, queues=(16, 32), config=DISK)
        self.model = VirtioPci(device or VirtioBlk(setup), vectors, multiplier)

    def read(self, register: str) -> int:
        return self.model.read_any(OFFSETS[register], SIZES[register])

    def write(self, register: str, value: int) -> None:
        self.model.write_any(OFFSETS[register], SIZES[register], value)

    def notify(self, offset: int) -> None:
        self.model.write(0x3000 + offset, 2, 0)

    def start(self, *queues: int) -> None:
        self.write("device_status", ACKNOWLEDGE | DRIVER)
        self.write("driver_feature_select", 1)
        self.write("driver_feature", F_VERSION_1 >> 32)
        self.write("device_status", ACKNOWLEDGE | DRIVER | FEATURES_OK)
        for number in queues:
            self.write("queue_select", number)
            self.write("queue_size", 8)
            self.write("queue_desc", 0x1_0000_2000)
            self.write("queue_enable", 1)
        self.write("device_status", ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)


def test_features_come_in_halves_without_legacy_bits() -> None:
    """4.1.4.3"""
    function = Function()
    for select, features in ((0, 0x44), (1, FEATURES >> 32), (2, 0)):
        function.write("device_feature_select", select)
        assert function.read("device_feature_select") == select
        assert function.read("device_feature") == features


def test_the_drivers_features_read_back_even_those_that_are_not_offered() -> None:
    function = Function()
    for select, features in ((0, 0xF0), (1, 1), (2, 5)):
        function.write("driver_feature_select", select)
        function.write("driver_feature", features)
    assert function.read("driver_feature_select") == 2
    assert function.read("driver_feature") == 0
    function.write("driver_feature_select", 0)
    assert function.read("driver_feature") == 0xF0
    assert function.model.state()["driver_features"] == F_VERSION_1 | 0x40
    function.model.reset()
    assert function.read("driver_feature") == 0xF0, "QEMU keeps them"


def test_unknown_features_are_learned() -> None:
    function = Function(VirtioDevice(Setup(unknown_features=0xFF, queues=None)))
    teach(function.read("device_feature"), 0x12)
    assert function.read("device_feature") == 0x12


def test_a_vector_that_the_function_has_not_got_becomes_none() -> None:
    """4.1.5.1.2"""
    function = Function()
    for register in ("config_msix_vector", "queue_msix_vector"):
        assert function.read(register) == NO_VECTOR
        for value, vector in ((1, 1), (2, NO_VECTOR), (0, 0), (NO_VECTOR, NO_VECTOR)):
            function.write(register, value)
            assert function.read(register) == vector
    none = Function(vectors=0)
    none.write("config_msix_vector", 0)
    assert none.read("config_msix_vector") == NO_VECTOR


def test_queues_have_sizes_and_places_of_notification() -> None:
    function = Function()
    assert function.read("num_queues") == 2
    for number, size in ((0, 16), (1, 32), (2, 0), (1023, 0)):
        function.write("queue_select", number)
        assert function.read("queue_select") == function.read("queue_notify_off") == number
        assert function.read("queue_size") == size
    function.write("queue_select", 1024)
    assert function.read("queue_select") == 1023


def test_the_number_and_the_sizes_of_queues_are_learned() -> None:
    function = Function(VirtioDevice(Setup(queues=None)))
    teach(function.read("queue_size"), 64)
    assert function.read("queue_size") == 64
    function.write("queue_select", 5)
    assert isinstance(function.read("queue_size"), Unknown)
    teach(function.read("num_queues"), 2)
    assert function.read("num_queues") == 2
    assert function.read("queue_size") == 0
    function.write("queue_select", 7)
    assert function.read("queue_size") == 0


def test_queue_registers_read_back_and_a_reset_clears_them() -> None:
    function = Function()
    for register in ("queue_desc", "queue_driver", "queue_device"):
        function.write(register, 0x1_2345_6000)
        assert function.read(register) == 0x1_2345_6000
    function.write("queue_size", 8)
    function.write("queue_enable", 1)
    assert function.read("queue_enable") == 1
    assert function.model.state()["queue0.ring"] == 0x1_2345_6000
    function.write("device_status", 0)
    assert function.read("queue_enable") == function.read("queue_desc") == 0
    assert function.read("queue_size") == 16


def test_queue_enable_takes_1_only() -> None:
    """4.1.4.3.2; QEMU breaks the device, and says so to a modern driver."""
    function = Function()
    function.start()
    function.write("queue_enable", 0)
    assert function.read("device_status") & NEEDS_RESET
    assert function.read("config_generation") == 1
    assert function.read("ISR") == 3
    assert function.read("ISR") == 0


def test_a_queue_is_reset_alone() -> None:
    """4.1.4.3.2"""
    function = Function()
    function.start(0, 1)
    function.write("queue_select", 0)
    function.write("queue_reset", 0)
    assert function.read("queue_enable") == 1
    function.write("queue_reset", 1)
    assert function.read("queue_reset") == function.read("queue_enable") == 0
    assert function.read("queue_size") == 16
    function.write("queue_select", 1)
    assert function.read("queue_enable") == 1


@pytest.mark.parametrize("multiplier", [4, 4096])
def test_each_queue_is_notified_at_its_own_place(multiplier: int) -> None:
    function = Function(multiplier=multiplier)
    function.start(1)
    function.notify(0)
    assert function.read("ISR") == 0
    function.notify(multiplier)
    assert function.read("ISR") == 1
    assert function.model.read(0x3000, 2) == 0


def test_reading_isr_clears_it_and_every_address_of_its_page_is_isr() -> None:
    """4.1.4.5"""
    function = Function()
    function.start(0)
    function.notify(0)
    assert function.model.read(0x1ABC, 4) == 1
    assert function.read("ISR") == 0
    function.model.write(0x1000, 1, 0xFF)
    assert function.read("ISR") == 0


def test_the_devices_pace_is_inferred() -> None:
    function = Function()
    assert not function.model.assume(0x1000, 1, 1, 0)
    function.start(0)
    function.notify(0)
    assert function.read("ISR") == 1
    assert function.model.assume(0x1000, 1, 1, 0)
    assert function.model.assume(0x1000, 1, 0, 1)
    function.notify(0)
    assert function.read("ISR") == 0, "it polls"


def test_the_configuration_changes_from_outside() -> None:
    function = Function()
    assert not function.model.assume(0x15, 1, 1, 0)
    function.start(0)
    assert function.model.assume(0x15, 1, 5, 0)
    assert function.read("config_generation") == 5
    assert not function.model.assume(0x14, 1, 5, 0)
    assert not function.model.assume(0x2000, 1, 5, 0)
    assert not function.model.assume(0x3000, 1, 5, 0)


def test_an_access_counts_where_it_begins() -> None:
    """QEMU"""
    function = Function()
    assert function.model.read(0x10, 4) == NO_VECTOR
    assert function.model.read(0x11, 1) == 0
    assert function.model.read(0x12, 1) == 2
    function.model.write(0x14, 4, 0xFFFF_FF03)
    assert function.read("device_status") == 3
    function.model.write(0x15, 1, 9)
    assert function.read("config_generation") == 0


def test_the_device_has_its_configuration_space() -> None:
    function = Function()
    assert function.model.read_any(0x2000, 8) == 0x2000
    function.model.write(0x2020, 1, 0)
    assert function.model.read(0x2020, 1) == 0
