"""virtio over MMIO: chapter 4.2 of VIRTIO 1.2, with the legacy interface."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtio_slot import ACKNOWLEDGE, DISK, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, OFFSETS, Slot, disk, teach

from vmdev.replay.device import Unknown
from vmdev.replay.devices.virtio_device import F_ACCESS_PLATFORM, F_VERSION_1, Setup, VirtioDevice
from vmdev.replay.devices.virtio_types import VirtioBlk

FEATURES = F_VERSION_1 | 1 << 34 | 1 << 24 | 0x44


# Identity (4.2.2)


@pytest.mark.parametrize(("legacy", "version"), [(True, 1), (False, 2)])
def test_magic_version_device_and_vendor(legacy: bool, version: int) -> None:
    slot = disk(legacy=legacy)
    assert slot.read("MagicValue").to_bytes(4, "little") == b"virt"
    assert slot.read("Version") == version
    assert slot.read("DeviceID") == 2
    assert slot.read("VendorID").to_bytes(4, "little") == b"QEMU"


@pytest.mark.parametrize(("legacy", "version"), [(True, 1), (False, 2)])
def test_an_empty_slot_has_device_id_0_and_ignores_writes(legacy: bool, version: int) -> None:
    slot = Slot(None, legacy=legacy)
    assert slot.read("MagicValue") == 0x7472_6976
    assert slot.model.read(OFFSETS["MagicValue"], 1) == 0x76
    assert slot.read("Version") == version
    for offset in range(8, 0x200, 4):
        slot.model.write(offset, 4, 0xFFFF_FFFF)
        assert slot.model.read(offset, 4) == (0x554D_4551 if offset == OFFSETS["VendorID"] else 0)
    assert not slot.assume("InterruptStatus", 1)
    assert "status" not in slot.model.state()
    slot.model.reset()


@given(st.integers(0, 0xFE).map(lambda number: number & ~1), st.sampled_from([1, 2]))
def test_registers_take_32_bits_only(offset: int, size: int) -> None:
    """QEMU: anything narrower reads 0 and writes nothing."""
    slot = disk()
    slot.model.write(OFFSETS["Status"], size, 3)
    assert slot.read("Status") == 0
    assert slot.model.read(offset, size) == 0


def test_write_only_registers_read_0() -> None:
    slot = disk()
    for name in ("QueueSel", "QueueNum", "DriverFeatures", "QueueDescLow", "InterruptACK", "GuestPageSize"):
        slot.write(name, 1)
        assert slot.read(name) == 0


def test_there_is_no_shared_memory() -> None:
    """4.2.2: the length of a region that does not exist is all ones."""
    slot = disk()
    slot.write("SHMSel", 1)
    assert slot.read("SHMLenLow") == slot.read("SHMLenHigh") == 0xFFFF_FFFF
    assert slot.read("SHMBaseLow") == 0


# Features


def test_device_features_sel_selects_32_bits() -> None:
    slot = disk(FEATURES)
    slot.write("DeviceFeaturesSel", 1)
    assert slot.read("DeviceFeatures") == FEATURES >> 32
    slot.write("DeviceFeaturesSel", 7)
    assert slot.read("DeviceFeatures") == FEATURES >> 32, "QEMU: any number but 0 is 1"
    slot.write("DeviceFeaturesSel", 0)
    assert slot.read("DeviceFeatures") == 0x44, "modern drivers do not see legacy bits"


def test_the_legacy_interface_has_32_features() -> None:
    slot = disk(0x100_0044, legacy=True)
    assert slot.read("DeviceFeatures") == 0x100_0044
    slot.write("DeviceFeaturesSel", 1)
    assert slot.read("DeviceFeatures") == 0
    slot.write("DriverFeaturesSel", 1)
    slot.write("DriverFeatures", 0x44)
    assert slot.model.state()["driver_features"] == 0
    slot.write("DriverFeaturesSel", 0)
    slot.write("DriverFeatures", 0x45)
    assert slot.model.state()["driver_features"] == 0x44


def test_features_are_taken_with_features_ok_and_never_after_it() -> None:
    slot = disk(FEATURES)
    slot.accept(F_VERSION_1 | 0x47)
    assert slot.read("Status") == ACKNOWLEDGE | DRIVER | FEATURES_OK
    assert slot.model.state()["driver_features"] == F_VERSION_1 | 0x44
    slot.write("DriverFeatures", 0)
    slot.write("Status", ACKNOWLEDGE | DRIVER | FEATURES_OK)
    assert slot.model.state()["driver_features"] == F_VERSION_1 | 0x44


def test_features_ok_is_refused_to_a_driver_without_the_platforms_memory() -> None:
    """6.1: a device that offers ACCESS_PLATFORM may fail to work without it; QEMU does."""
    slot = disk(F_ACCESS_PLATFORM)
    slot.accept(F_VERSION_1)
    assert slot.read("Status") == ACKNOWLEDGE | DRIVER
    slot.write("Status", 0)
    slot.accept(F_VERSION_1 | F_ACCESS_PLATFORM)
    assert slot.read("Status") & FEATURES_OK


def test_unknown_features_are_learned_once_for_each_half() -> None:
    slot = Slot(VirtioDevice(Setup(F_VERSION_1, unknown_features=0b11 | 1 << 50)))
    teach(slot.read("DeviceFeatures"), 0b10)
    assert slot.read("DeviceFeatures") == 0b10
    slot.write("DeviceFeaturesSel", 1)
    answer = slot.read("DeviceFeatures")
    assert isinstance(answer, Unknown)
    assert (answer.known, answer.mask) == (1, 1 << 18)
    answer.learn(1 << 18)
    assert slot.read("DeviceFeatures") == 1 << 18 | 1


# Queues


def test_queue_num_max_is_0_where_there_is_no_queue() -> None:
    slot = disk()
    for number in (1, 1023):
        slot.write("QueueSel", number)
        assert slot.read("QueueNumMax") == 0
    slot.write("QueueSel", 0)
    slot.write("QueueSel", 1024)
    assert slot.read("QueueNumMax") == 16, "QEMU ignores numbers that are too large"


@pytest.mark.parametrize(("same_maximum", "expected"), [(False, 16), (True, 1024)])
def test_queue_num_max_is_the_queues_own_since_qemu_11(same_maximum: bool, expected: int) -> None:
    slot = Slot(VirtioBlk(Setup(queues=(16,), config=DISK)), same_maximum=same_maximum)
    slot.write("QueueNum", 8)
    assert slot.read("QueueNumMax") == expected


def test_an_unknown_queue_is_learned() -> None:
    slot = Slot(VirtioDevice(Setup(queues=None)))
    teach(slot.read("QueueNumMax"), 1024)
    assert slot.read("QueueNumMax") == 1024
    slot.write("QueueSel", 5)
    teach(slot.read("QueueNumMax"), 0)
    assert slot.read("QueueNumMax") == 0


def test_queue_ready_reads_back_and_a_reset_clears_it() -> None:
    slot = disk()
    slot.write("QueueReady", 2)
    assert slot.read("QueueReady") == 1
    slot.write("QueueReady", 0)
    assert slot.read("QueueReady") == 0
    slot.start(0)
    slot.write("Status", 0)
    assert slot.read("QueueReady") == 0


def test_a_queue_cannot_be_made_to_exist_or_grow_beyond_1024() -> None:
    slot = disk(legacy=True)
    for number, value, size in ((0, 0, 16), (0, 1025, 16), (0, 4, 4), (1, 4, 0)):
        slot.write("QueueSel", number)
        slot.write("QueueNum", value)
        assert slot.model.state().get(f"queue{number}.size", 0) == size


def test_the_legacy_pfn_counts_in_guest_pages_and_0_resets() -> None:
    slot = disk(legacy=True)
    slot.write("GuestPageSize", 4096)
    slot.write("Status", 3)
    slot.write("QueuePFN", 0x123)
    assert slot.read("QueuePFN") == 0x123
    assert slot.model.state()["queue0.ring"] == 0x12_3000
    slot.write("QueueSel", 1)
    slot.write("QueuePFN", 0x123)
    assert slot.read("QueuePFN") == 0, "there is no such queue"
    slot.write("QueuePFN", 0)
    assert slot.read("Status") == 0
    slot.write("GuestPageSize", 0)
    assert slot.model.state()["page_shift"] == 0


def test_each_interface_ignores_the_others_registers() -> None:
    modern = disk()
    modern.write("QueuePFN", 5)
    modern.write("GuestPageSize", 4096)
    assert modern.read("QueuePFN") == 0
    assert modern.model.state()["page_shift"] == 0
    legacy = disk(legacy=True)
    legacy.write("QueueReady", 1)
    legacy.write("QueueDescLow", 0x1000)
    assert legacy.read("QueueReady") == legacy.read("ConfigGeneration") == 0
    assert legacy.model.state()["queue0.address0"] == 0


# Interrupts (2.3, 4.2.2)


def test_a_notified_device_uses_its_buffers_and_interrupts_until_the_acknowledge() -> None:
    slot = disk()
    slot.start(0)
    assert not slot.irq.level
    slot.write("QueueNotify", 0)
    assert slot.irq.level
    assert slot.read("InterruptStatus") == 1
    slot.write("InterruptACK", 1)
    assert slot.read("InterruptStatus") == 0
    assert not slot.irq.level


def test_a_notification_without_a_queue_is_not_heard() -> None:
    slot = disk()
    slot.start()
    for number in (0, 1, 1024, 0xFFFF):
        slot.write("QueueNotify", number)
    assert slot.read("InterruptStatus") == 0
    assert not slot.assume("InterruptStatus", 1), "nothing was made available"


def test_more_interrupts_may_follow_a_notification() -> None:
    slot = disk()
    slot.start(0)
    slot.write("QueueNotify", 0)
    slot.write("InterruptACK", 1)
    assert slot.assume("InterruptStatus", 1)
    assert slot.read("InterruptStatus") == 1
    assert slot.irq.level


def test_a_driver_that_polls_gets_no_interrupts() -> None:
    """2.7.7: it says so in its ring. It is found out once and then expected."""
    slot = disk()
    slot.start(0)
    slot.write("QueueNotify", 0)
    assert slot.assume("InterruptStatus", 0)
    slot.write("QueueNotify", 0)
    assert slot.read("InterruptStatus") == 0
    assert slot.assume("InterruptStatus", 1), "now it waits"
    slot.write("InterruptACK", 1)
    slot.write("QueueNotify", 0)
    assert slot.read("InterruptStatus") == 1


def test_a_change_of_configuration_comes_from_outside_to_a_ready_driver_only() -> None:
    slot = disk()
    assert not slot.assume("InterruptStatus", 3)
    slot.start(0)
    assert not slot.assume("InterruptStatus", 2), "QEMU sets both bits"
    assert not slot.assume("InterruptStatus", 7)
    assert slot.assume("InterruptStatus", 3)
    assert slot.read("ConfigGeneration") == 1
    assert not slot.assume("InterruptStatus", 1), "what happened does not unhappen"
    slot.write("InterruptACK", 3)
    assert not slot.irq.level


def test_the_generation_only_grows_and_survives_resets() -> None:
    """2.5.1"""
    slot = disk()
    assert not slot.assume("ConfigGeneration", 1)
    slot.start(0)
    assert slot.assume("ConfigGeneration", 2)
    assert not slot.assume("ConfigGeneration", 1)
    slot.write("Status", 0)
    slot.model.reset()
    assert slot.read("ConfigGeneration") == 2


def test_other_registers_are_never_assumed() -> None:
    slot = disk()
    slot.start(0)
    assert not slot.assume("Status", NEEDS_RESET)


# Reset


def test_status_0_resets_the_device_but_not_what_was_written_to_queue_registers() -> None:
    slot = disk()
    slot.start(0)
    slot.write("QueueNotify", 0)
    slot.write("Status", 0)
    assert slot.read("Status") == slot.read("InterruptStatus") == 0
    state = slot.model.state()
    assert state["queue0.ring"] == state["queue0.enabled"] == state["driver_features"] == 0
    assert state["queue0.size"] == 16
    assert state["queue0.address0"] == 0x1000
    slot.model.reset()
    state = slot.model.state()
    assert state["queue0.address0"] == state["driver_features_high"] == state["queue0.selected_size"] == 0


# Configuration space


def test_the_configuration_space_takes_every_size_and_ends_in_all_ones() -> None:
    slot = disk()
    assert [slot.config(0, size) for size in (1, 2, 4)] == [0, 0x2000, 0x2000]
    assert slot.config(1, 1) == 0x20
    assert slot.config(56, 4) == 0xFFFF_FFFF
    assert slot.config(57, 1) == 0xFF
    slot.write_config(57, 0, 1)


def test_unaligned_and_wide_accesses_arrive_in_aligned_pieces() -> None:
    slot = disk()
    assert slot.model.read_any(0x0, 8) == 2 << 32 | 0x7472_6976
    assert slot.model.read_any(0x101, 2) == 0x20
    assert slot.model.reader(0x101, 2)() == 0x20
    assert slot.model.reader(0x100, 4)() == 0x2000
    slot.model.writer(0x70, 8)(3)
    assert slot.read("Status") == 3
    slot.model.writer(0x72, 4)(0)
    slot.model.writer(0x70, 4)(0xF)
    assert slot.read("Status") == ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK


def test_what_a_wide_read_shows_is_learned_piece_by_piece() -> None:
    setup = Setup(config=bytes(16), unknown_config={0: 0xFF, 5: 0x0F})
    slot = Slot(VirtioDevice(setup))
    answer = slot.model.read_any(0x100, 8)
    assert isinstance(answer, Unknown)
    assert answer.mask == 0x0F00_0000_00FF
    answer.learn(0x0500_0000_0012)
    assert slot.config(0) == 0x12
    assert slot.config(5, 1) == 5
