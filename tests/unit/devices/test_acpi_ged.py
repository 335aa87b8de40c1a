"""Generic event device: there is never an event."""

from __future__ import annotations

from vmdev.replay.devices.acpi_ged import REGS, AcpiGed


def test_everything_reads_0() -> None:
    device = AcpiGed()
    device.write(REGS, 1, 0x14)
    device.reset()
    assert [device.read(offset, 1) for offset in (0, REGS, REGS + 1, REGS + 2)] == [0, 0, 0, 0]
    assert not device.state()
