"""SMI_EN and SMI_STS: ICH9 data sheet, 13.8.3.7 and 13.8.3.8, and QEMU."""

from __future__ import annotations

import pytest

from vmdev.replay.clock import NANOSECONDS_PER_SECOND, Clock
from vmdev.replay.devices.ich9_smi import APMC_EN, PERIODIC, SMI_EN, SMI_STS, SWSMI, TCO_EN, Ich9Smi

MS = 1_000_000


@pytest.mark.parametrize(("rate", "period_ns"), [(0, 1_500_000), (1, 16 * MS), (2, 32 * MS), (3, 64 * MS)])
def test_the_software_timer(rate: int, period_ns: int) -> None:
    clock = Clock()
    smi = Ich9Smi(clock, lambda: (0, rate))
    smi.write(SMI_EN, 4, SWSMI)
    clock.advance(period_ns - 1)
    assert smi.read(SMI_STS, 4) == 0
    clock.advance(period_ns)
    assert smi.read(SMI_STS, 4) == SWSMI
    smi.write(SMI_STS, 4, 0)
    clock.advance(2 * period_ns)
    assert smi.read(SMI_STS, 4) == SWSMI
    smi.write(SMI_EN, 4, 0)
    smi.write(SMI_STS, 4, PERIODIC | 1)
    clock.advance(5 * period_ns)
    assert smi.read(SMI_STS, 4) == PERIODIC


@pytest.mark.parametrize(("rate", "seconds"), [(0, 64), (1, 32), (2, 16), (3, 8)])
def test_the_periodic_timer(rate: int, seconds: int) -> None:
    clock = Clock()
    smi = Ich9Smi(clock, lambda: (rate, 0))
    smi.write(SMI_STS, 4, SWSMI)
    smi.write(SMI_EN, 4, PERIODIC)
    clock.advance(seconds * NANOSECONDS_PER_SECOND)
    assert smi.read(SMI_STS, 4) == PERIODIC, "QEMU: all other status goes"
    assert smi.state()["periodic_ns"] == 2 * seconds * NANOSECONDS_PER_SECOND
    smi.reset()
    assert smi.read(SMI_EN, 4) == smi.read(SMI_STS, 4) == 0


def test_locks() -> None:
    locks = [False, False]
    smi = Ich9Smi(Clock(), locks=lambda: (locks[0], locks[1]))
    smi.write(SMI_EN, 4, 1 | TCO_EN)
    locks[:] = [True, True]
    smi.write(SMI_EN, 4, 0x20)
    assert smi.read(SMI_EN, 4) == 1 | TCO_EN | 0x20


def test_narrow_accesses_do_nothing() -> None:
    """QEMU."""
    smi = Ich9Smi(Clock())
    smi.write(SMI_EN, 4, 0x23)
    smi.write(SMI_EN, 2, 0)
    assert smi.read(SMI_EN, 2) == 0
    assert smi.read(SMI_EN, 4) == 0x23


def test_without_smm_firmware_finds_it_set_up() -> None:
    smi = Ich9Smi(Clock(), has_smm=False)
    smi.write(SMI_EN, 4, 0)
    smi.reset()
    assert smi.read(SMI_EN, 4) == APMC_EN
    assert Ich9Smi(Clock()).read(SMI_EN, 4) == 0
