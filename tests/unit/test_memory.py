"""A replay streams its trace: it needs no more memory for a longer one."""

from __future__ import annotations

from pathlib import Path

import pytest

import generated

ABOVE_INTERPRETER_MIB = 100
NOISE_MIB = 4


@pytest.mark.parametrize("wrong_each", [0, 10], ids=["agrees", "diverges"])
def test_memory_does_not_grow_with_the_length_of_the_trace(tmp_path: Path, wrong_each: int) -> None:
    peaks = []
    for exits in (100_000, 200_000, 400_000) if not wrong_each else (40_000, 80_000):
        generated.make(tmp_path / f"{exits}.db", exits, wrong_each)
        peaks.append(generated.peak_mib(tmp_path / f"{exits}.db"))
    assert max(peaks) - peaks[0] < NOISE_MIB
    assert max(peaks) - generated.peak_mib(None) < ABOVE_INTERPRETER_MIB
