"""GPE0: ACPI 6.5, section 4.8.4.1."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.acpi_gpe import ICH9_SIZE, PIIX4_SIZE, AcpiGpe


@pytest.mark.parametrize("size", [PIIX4_SIZE, ICH9_SIZE])
def test_events(size: int) -> None:
    heard: list[bool] = []
    gpe = AcpiGpe(size, lambda: heard.append(gpe.has_event()))
    half = size // 2
    gpe.raise_event(1)
    gpe.write(half, 1, 0x02)
    assert heard == [False, True]
    assert gpe.read(0, 1) == gpe.read(half, 1) == 2
    gpe.write(0, 1, 0x02)
    assert not gpe.has_event()
    assert heard[-1] is False


def test_events_beyond_the_first_byte_do_not_interrupt() -> None:
    """QEMU."""
    gpe = AcpiGpe(ICH9_SIZE)
    gpe.raise_event(9)
    gpe.write(9, 1, 0xFF)
    assert not gpe.has_event()
    assert gpe.state()["sts_1"] == 2
    gpe.reset()
    assert gpe.read(9, 1) == 0
