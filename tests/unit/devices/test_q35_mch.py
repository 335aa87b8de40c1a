"""Q35 MCH: data sheet 316966, section 5.1, and QEMU's additions."""

from __future__ import annotations

import pytest

from vmdev.replay.device import Unknown
from vmdev.replay.devices.q35_mch import ESMRAMC, EXT_TSEG, F_SMBASE, PAM0, PCIEXBAR, SMRAM, Q35Mch


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (0xB000_0000, None),
        (0xB000_0001, (0xB000_0000, 256 << 20)),
        (0xB800_0003, (0xB800_0000, 128 << 20)),
        (0xB400_0003, (0xB000_0000, 128 << 20)),
        (0xB400_0005, (0xB400_0000, 64 << 20)),
        (0xB000_0007, None),
        (0xF_E000_0001, (0xF_E000_0000, 256 << 20)),
    ],
)
def test_pciexbar(value: int, place: tuple[int, int] | None) -> None:
    """5.1.16."""
    device = Q35Mch()
    device.write(PCIEXBAR + 4, 4, value >> 32)
    device.write(PCIEXBAR, 4, value & 0xFFFF_FFFF)
    assert device.ecam == place
    device.reset()
    assert device.read(PCIEXBAR, 4) == 0xB000_0000


def test_a_locked_smram_stays_as_it_is_until_the_next_reset() -> None:
    """5.1.20."""
    device = Q35Mch()
    device.write(SMRAM, 1, 0xFF)
    assert device.read(SMRAM, 1) == 0x3A, "D_OPEN is cleared by the lock"
    device.write(SMRAM, 1, 0x00)
    device.write(ESMRAMC, 1, 0xFF)
    assert (device.read(SMRAM, 1), device.read(ESMRAMC, 1)) == (0x1A, 0x38)
    device.reset()
    device.write(ESMRAMC, 1, 0xFF)
    assert (device.read(SMRAM, 1), device.read(ESMRAMC, 1)) == (0x02, 0xBF)
    device.write(SMRAM, 1, 0x48)
    assert device.read(SMRAM, 1) == 0x4A


def test_smram_at_smbase() -> None:
    """QEMU: FFh asks, 02h locks."""
    device = Q35Mch()
    device.write(F_SMBASE, 1, 0x02)
    assert device.read(F_SMBASE, 1) == 0
    device.write(F_SMBASE, 1, 0xFF)
    assert device.read(F_SMBASE, 1) == 0x01
    device.write(F_SMBASE, 1, 0x00)
    assert not device.is_smbase_locked
    device.write(F_SMBASE, 1, 0x02)
    assert device.is_smbase_locked
    device.write(F_SMBASE, 1, 0x00)
    assert device.read(F_SMBASE, 1) == 0x02
    device.reset()
    assert not device.is_smbase_locked


def test_the_size_of_a_larger_tseg_is_learned() -> None:
    answer = Q35Mch().read(EXT_TSEG, 2)
    assert isinstance(answer, Unknown)
    assert answer.mask == 0xFFFF


def test_pam_survives_a_reset() -> None:
    device = Q35Mch()
    device.write(PAM0, 1, 0x30)
    device.reset()
    assert device.read(PAM0, 1) == 0x30
