"""82441FX: its configuration space as QEMU has it (data sheet 290549, section 3.2)."""

from __future__ import annotations

import pytest

from vmdev.replay.devices.i440fx import PAM0, SMRAM, I440Fx


def test_identities() -> None:
    device = I440Fx()
    assert [device.read(offset, 4) for offset in (0x00, 0x08, 0x2C)] == [0x1237_8086, 0x0600_0002, 0x1100_1AF4]


@pytest.mark.parametrize(("mib", "value"), [(0, 0), (128, 16), (256, 32), (3072, 0xFF)])
def test_the_size_of_the_memory_is_told_in_units_of_8_mib(mib: int, value: int) -> None:
    assert I440Fx(mib << 20).read(0x57, 1) == value


def test_pam_and_smram_survive_a_reset() -> None:
    """QEMU."""
    device = I440Fx()
    assert device.read(SMRAM, 1) == 0x02
    device.write(SMRAM, 1, 0x0A)
    device.write(PAM0, 4, 0x3333_3330)
    device.reset()
    assert (device.read(SMRAM, 1), device.read(PAM0, 4)) == (0x0A, 0x3333_3330)
