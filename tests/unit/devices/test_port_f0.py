"""Coprocessor port and kvmvapic's port."""

from __future__ import annotations

from vmdev.replay.devices.kvmvapic import KvmVapic
from vmdev.replay.devices.port_f0 import PortF0
from vmdev.replay.irq import Line


def test_a_write_ends_the_coprocessors_interrupt() -> None:
    irq13 = Line()
    port = PortF0(irq13)
    irq13.set(True)
    assert port.state() == {"irq13": 1}
    port.write(0, 1, 0)
    assert not irq13.level


def test_reads_give_all_ones() -> None:
    assert PortF0(Line()).read(0, 1) == 0xFF
    assert [KvmVapic().read(0, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFF_FFFF]


def test_kvmvapic_keeps_what_was_reported_last() -> None:
    port = KvmVapic()
    port.write(0, 2, 0x1234)
    assert port.state() == {"reported": 0x1234}
    port.reset()
    assert port.state() == {"reported": 0}
