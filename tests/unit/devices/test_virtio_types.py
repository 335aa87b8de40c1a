"""Types of virtio devices: chapter 5 of VIRTIO 1.2."""

from __future__ import annotations

import pytest
from virtio_slot import DISK, FEATURES_OK, NEEDS_RESET, Slot, disk, teach

from vmdev.replay.device import Unknown
from vmdev.replay.devices.virtio_device import F_VERSION_1, Setup, VirtioDevice
from vmdev.replay.devices.virtio_types import (
    VirtioBalloon,
    VirtioBlk,
    VirtioConsole,
    VirtioGpu,
    VirtioInput,
    VirtioNet,
    VirtioRng,
    VirtioScsi,
)
from vmdev.replay.registers import RegisterMap

MAC = bytes.fromhex("525400123456")


@pytest.mark.parametrize(
    "kind", [VirtioBlk, VirtioNet, VirtioRng, VirtioBalloon, VirtioConsole, VirtioScsi, VirtioGpu, VirtioInput]
)
def test_each_type_has_a_number_a_name_and_registers_that_do_not_clash(kind: type[VirtioDevice]) -> None:
    assert 0 < kind.device_id < 64
    assert kind.name.startswith("virtio-")
    RegisterMap(*kind.config_registers)


# Block device (5.2)

CONFIG_WCE, FLUSH = 1 << 11, 1 << 9
WRITEBACK = 32


def test_capacity_is_in_the_configuration_space() -> None:
    assert disk().config(0) == 0x2000


@pytest.mark.parametrize(("features", "cache"), [(CONFIG_WCE, 1), (CONFIG_WCE | FLUSH, 1), (FLUSH, 1), (0, 0)])
def test_a_driver_that_cannot_flush_gets_a_write_through_cache(features: int, cache: int) -> None:
    """5.2.5.2"""
    slot = disk(CONFIG_WCE | FLUSH)
    assert slot.config(WRITEBACK, 1) == 1
    slot.start(features=F_VERSION_1 | features)
    assert slot.config(WRITEBACK, 1) == cache
    slot.write("Status", 0)
    assert slot.config(WRITEBACK, 1) == 1


def test_the_driver_switches_the_cache() -> None:
    slot = disk(CONFIG_WCE)
    slot.write_config(WRITEBACK, 0, 1)
    assert slot.config(WRITEBACK, 1) == 0
    slot.write_config(WRITEBACK, 0xF0, 1)
    assert slot.config(WRITEBACK, 1) == 1
    slot.write_config(0, 0)
    assert slot.config(0) == 0x2000, "nothing else is writable"
    Slot(VirtioBlk(Setup(config=DISK[:8]))).write("Status", 0)


def test_a_write_anywhere_gives_the_device_what_was_last_read() -> None:
    """QEMU: the driver's copy of the configuration is taken whole."""
    slot = disk(CONFIG_WCE | FLUSH)
    assert slot.config(WRITEBACK, 1) == 1
    slot.start()
    assert slot.model.state()["config"] >> 8 * WRITEBACK & 0xFF == 0
    slot.write_config(0, 7, 1)
    assert slot.config(WRITEBACK, 1) == 1


# Network device (5.1)

CTRL_MAC_ADDR = 1 << 23


def net(features: int = F_VERSION_1 | CTRL_MAC_ADDR, *, legacy: bool = False) -> Slot:
    setup = Setup(features, queues=(256, 256, 64), config=MAC + b"\1\0", unknown_config={5: 0xFF})
    return Slot(VirtioNet(setup), legacy=legacy)


def test_the_last_byte_of_the_mac_address_can_be_learned() -> None:
    slot = net()
    teach(slot.config(5, 1), 0x57)
    assert slot.config(5, 1) == 0x57
    slot.write("Status", 0)
    assert isinstance(slot.config(5, 1), Unknown)


def test_only_a_legacy_driver_writes_the_mac_address_into_the_configuration() -> None:
    """5.1.4.1"""
    modern, legacy = net(), net(0, legacy=True)
    modern.start()
    for slot in (modern, legacy):
        slot.write_config(0, 0x1122, 2)
        slot.write_config(5, 0x0099, 2)
        slot.write_config(7, 0, 2)
    assert modern.config(0, 2) == 0x5452
    assert legacy.config(0, 2) == 0x1122
    assert legacy.config(5, 1) == 0x99
    assert legacy.config(6, 2) == 1, "the status is read-only"


def test_the_mac_address_can_change_through_the_control_queue() -> None:
    slot = net()
    assert not slot.model.assume(0x100, 1, 0xAA, 0x52)
    slot.start(0, 1, 2, features=F_VERSION_1 | CTRL_MAC_ADDR)
    slot.write("QueueNotify", 2)
    assert slot.model.assume(0x100, 1, 0xAA, 0x52)
    assert slot.config(0, 1) == 0xAA
    slot.write("Status", 0)
    assert slot.config(0, 1) == 0x52


def test_the_link_comes_and_goes_from_outside() -> None:
    slot = net()
    assert slot.model.assume(0x106, 2, 0, 1)
    assert slot.config(6, 2) == 0
    assert not slot.model.assume(0x105, 2, 0, 1)


def test_a_receive_queue_waits_and_the_others_answer() -> None:
    for number, answered in ((0, 0), (1, 1), (2, 1)):
        slot = net()
        slot.start(0, 1, 2)
        slot.write("QueueNotify", number)
        assert slot.read("InterruptStatus") == answered


# Other devices


def test_the_entropy_device_has_no_configuration() -> None:
    slot = Slot(VirtioRng(Setup(queues=(8,))))
    assert slot.config(0) == 0xFFFF_FFFF
    assert not slot.model.assume(0x100, 4, 0, 0xFFFF_FFFF)


def test_the_balloon_keeps_what_the_driver_gave() -> None:
    """5.5.6"""
    slot = Slot(VirtioBalloon(Setup(F_VERSION_1 | 1 << 4, queues=(128, 128, 128), config=bytes(16))))
    assert slot.model.assume(0x100, 4, 100, 0)
    assert not slot.model.assume(0x104, 4, 100, 0)
    assert slot.config(0) == 100
    slot.write_config(4, 50)
    slot.write_config(12, 7)
    assert slot.config(12) == 0, "without PAGE_POISON there is none"
    slot.accept(F_VERSION_1 | 1 << 4)
    slot.write_config(12, 7)
    assert slot.config(12) == 7
    slot.write("Status", 0)
    assert (slot.config(4), slot.config(12)) == (50, 0)
    Slot(VirtioBalloon(Setup(config=bytes(8)))).write("Status", 0)


def test_the_console_interrupts_a_driver_that_becomes_ready() -> None:
    """QEMU looks at all queues then, and answers the control queue even if it is empty."""
    setup = Setup(F_VERSION_1, queues=(128, 128, 32, 32), config=bytes(12))
    slot = Slot(VirtioConsole(setup))
    slot.start(0, 1, 2, 3)
    assert slot.read("InterruptStatus") == 1
    slot.write_config(8, 0x41)
    assert slot.config(8) == 0, "an emergency write leaves at once"


def test_scsi_sizes_can_be_written_within_bounds() -> None:
    """5.6.4"""
    config = b"".join(number.to_bytes(4, "little") for number in (1, 254, 0xFFFF, 128, 16, 96, 32, 255 << 16, 16383))
    slot = Slot(VirtioScsi(Setup(F_VERSION_1, queues=(256, 256, 256), config=config)))
    slot.start(0, 1, 2)
    slot.write_config(20, 252)
    slot.write_config(24, 16)
    assert (slot.config(20), slot.config(24)) == (252, 16)
    slot.write_config(24, 256)
    assert slot.config(24) == 16
    assert slot.read("Status") & NEEDS_RESET
    assert slot.read("InterruptStatus") == 3
    slot.write("InterruptACK", 3)
    slot.write("QueueNotify", 2)
    assert slot.read("InterruptStatus") == 0, "a broken device does nothing"
    slot.write("Status", 0)
    assert (slot.config(20), slot.config(24)) == (96, 32)


def test_a_legacy_driver_is_not_told_that_its_device_broke() -> None:
    slot = Slot(VirtioScsi(Setup(queues=(256,) * 3, config=bytes(36))), legacy=True)
    slot.write_config(20, 65536)
    assert slot.read("Status") == 0


def test_events_of_the_display_are_cleared_by_writing_them() -> None:
    """5.7.4"""
    slot = Slot(VirtioGpu(Setup(F_VERSION_1, queues=(64, 16), config=bytes(8) + b"\1" + bytes(7))))
    assert slot.model.assume(0x100, 4, 1, 0)
    assert not slot.model.assume(0x104, 4, 1, 0)
    assert slot.config(0) == 1
    slot.write_config(4, 1)
    assert slot.config(0) == slot.config(4) == 0


def test_each_selection_of_an_input_device_is_learned_once() -> None:
    """5.8.5"""
    slot = Slot(VirtioInput(Setup(F_VERSION_1, queues=(64, 64), config=bytes(136))))
    slot.write_config(0, 1, 1)
    teach(slot.config(2, 1), 18)
    teach(slot.config(8, 1), ord("Q"))
    slot.write_config(0, 2, 1)
    teach(slot.config(2, 1), 0)
    slot.write_config(0, 1, 1)
    assert (slot.config(2, 1), slot.config(8, 1)) == (18, ord("Q"))
    assert slot.read("ConfigGeneration") == 0
    slot.start(0, 1)
    slot.write_config(1, 0, 1)
    assert slot.read("ConfigGeneration") == 1, "QEMU: the driver's own write changes the configuration"
    assert slot.read("Status") & FEATURES_OK
