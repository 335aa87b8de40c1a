"""QEMU's CPU hot-plug registers: docs/specs/acpi_cpu_hotplug.rst."""

from __future__ import annotations

from vmdev.replay.devices.acpi_cpu_hotplug import COMMAND, DATA, FLAGS, GET_ID, OST_EVENT, SELECTOR, AcpiCpuHotplug


def modern(present: int = 2, possible: int = 4) -> AcpiCpuHotplug:
    device = AcpiCpuHotplug(present, possible)
    device.write(SELECTOR, 4, 0)
    return device


def test_the_bitmap_shows_the_present_cpus() -> None:
    device = AcpiCpuHotplug(10)
    assert [device.read(0, 1), device.read(1, 1), device.read(0, 4), device.read(31, 1)] == [0xFF, 3, 0x3FF, 0]
    device.write(0, 4, 1)
    device.write(4, 1, 0)
    assert device.read(0, 2) == 0x3FF
    assert device.bank(0) == "bitmap"


def test_a_zero_replaces_the_bitmap_for_good() -> None:
    device = modern()
    device.reset()
    assert device.read(FLAGS, 1) == 1
    assert device.bank(0) == "registers"


def test_flags_tell_whether_the_selected_cpu_is_there() -> None:
    device = modern()
    flags = []
    for number in range(5):
        device.write(SELECTOR, 4, number)
        flags.append(device.read(FLAGS, 1))
    assert flags == [1, 1, 0, 0, 0]


def test_command_data() -> None:
    device = modern()
    device.write(SELECTOR, 4, 3)
    assert device.read(DATA, 4) == 3
    for command, value in ((GET_ID, 3), (OST_EVENT, 0), (9, 0)):
        device.write(COMMAND, 1, command)
        assert device.read(DATA, 4) == value
    assert device.read(SELECTOR, 4) == 0
    device.write(SELECTOR, 4, 9)
    device.write(COMMAND, 1, GET_ID)
    assert device.read(DATA, 4) == 0
    assert device.state() == {"modern": 1, "selector": 9, "command": OST_EVENT}
