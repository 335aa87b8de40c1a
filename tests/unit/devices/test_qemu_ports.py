"""Ports of QEMU's own: pvpanic, isa-debug-exit, VMware's backdoor."""

from __future__ import annotations

import pytest

from vmdev.replay.device import Unknown
from vmdev.replay.devices.isa_debug_exit import IsaDebugExit
from vmdev.replay.devices.pvpanic import PvPanic
from vmdev.replay.devices.vmport import VmPort


def test_pvpanic_reads_the_events_that_it_supports() -> None:
    for port, events in ((PvPanic(), 7), (PvPanic(1), 1)):
        port.write(0, 1, 2)
        port.reset()
        assert port.read(0, 1) == events
        assert port.state()["told"] == 2


def test_isa_debug_exit_reads_0() -> None:
    port = IsaDebugExit()
    port.write(0, 4, 0x12345678)
    port.reset()
    assert port.read(0, 4) == port.read(2, 1) == 0
    assert port.state()["written"] == 0x12345678


@pytest.mark.parametrize("size", [1, 2, 4])
def test_answers_of_the_backdoor_are_assumed(size: int) -> None:
    port = VmPort()
    port.write(0, size, 0)
    port.reset()
    answer = port.read(0, size)
    assert isinstance(answer, Unknown)
    assert (answer.mask, answer.kind) == ((1 << 8 * size) - 1, "assumed")
    answer.learn(6)
    assert isinstance(port.read(0, size), Unknown)
    assert port.state() == {}
