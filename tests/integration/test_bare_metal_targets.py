"""Guests of a few instructions for the other targets: each says which rows its trace must have."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bare_metal import AARCH64, ARM, M68K, RISCV64, Target, build, check, record

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("mmio", ["fast", "full"])
@pytest.mark.parametrize(
    ("source", "target", "machine"),
    [
        ("aarch64.S", AARCH64, ("qemu-system-aarch64", "-M", "virt", "-cpu", "max", "-kernel")),
        ("arm.S", ARM, ("qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-kernel")),
        ("arm.S", ARM, ("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a15", "-kernel")),
        ("riscv64.S", RISCV64, ("qemu-system-riscv64", "-M", "virt", "-bios")),
        ("m68k.S", M68K, ("qemu-system-m68k", "-M", "virt", "-kernel")),
    ],
    ids=["aarch64", "arm", "arm-on-aarch64", "riscv64", "m68k"],
)
def test_each_shape_of_access(
    vmdev: Vmdev, tmp_path: Path, source: str, target: Target, machine: tuple[str, ...], mmio: str
) -> None:
    for program in (machine[0], target.tools + "as"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    guest = build(source, tmp_path, target)
    command = [*machine, str(guest.image), "-display", "none", "-nodefaults"]
    check(record(vmdev, tmp_path / "t.db", ["--mmio", mmio], command), guest.rows)
