"""APM ports: ICH9 data sheet, section 13.7.3."""

from __future__ import annotations

from vmdev.replay.devices.apm import Apm


def test_a_command_is_told_and_both_ports_read_back() -> None:
    heard: list[int] = []
    apm = Apm(heard.append)
    apm.write(0, 1, 0xF1)
    apm.write(1, 1, 0x55)
    apm.reset()
    assert (apm.read(0, 1), apm.read(1, 1), heard) == (0xF1, 0x55, [0xF1])
