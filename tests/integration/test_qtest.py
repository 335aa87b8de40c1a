"""Real QEMU, of which only the devices are played: over the qtest protocol, and by scripts that were exported."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmdev.cli.qemu.binary import find_qemu
from vmdev.cli.qemu.command import DEFAULT_GUEST
from vmdev.cli.qemu.device_side import DEFAULTS, device_side
from vmdev.cli.qemu.qtest import QtestQemu
from vmdev.replay.trace.reader import TraceReader

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SEABIOS = ROOT / "traces" / "seabios-pc.db"
NAMED = ("rtc", "pit", "pic", "pmtimer", "com1", "pci")
"""The devices of which the reads have to agree."""


def golden(name: str) -> Path:
    """A golden trace, if QEMU here is the one that it was recorded with: another one's devices may differ."""
    path = ROOT / "traces" / f"{name}.db"
    with TraceReader(path) as reader:
        if reader.meta["qemu"] != find_qemu("qemu-system-x86_64").version_text:
            pytest.skip(f"recorded with QEMU {reader.meta['qemu']}")
    return path


def verdict(vmdev: Vmdev, *words: str | Path) -> dict[str, Any]:
    done = vmdev("replay", *words, "--format", "json")
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("which", ["kept", "made now"])
def test_seabios_agrees_with_qemus_own_devices(which: str, vmdev: Vmdev, recorded: Path) -> None:
    found = verdict(vmdev, golden("seabios-pc") if which == "kept" else recorded, "--against", "qemu")
    devices = {device["name"]: device for device in found["devices"]}
    reads = sum(devices[name]["reads"] for name in NAMED)
    matched = sum(devices[name]["matched"] for name in NAMED)
    assert reads > 10_000
    assert matched >= 0.999 * reads
    explained = sum(one["reads"] for one in found["against"]["explained"])
    assert explained == found["totals"]["diverged"]


@pytest.mark.parametrize("name", ["linux-pc", "linux-pc-apic", "linux-microvm", "seabios-q35-devices"])
def test_other_guests_agree_but_for_what_is_explained(name: str, vmdev: Vmdev) -> None:
    """Their kernels and disks are not here: that is told, and what depends on them is explained."""
    found = verdict(vmdev, golden(name), "--against", "qemu")
    assert found["totals"]["agreement"] > 0.98
    assert sum(one["reads"] for one in found["against"]["explained"]) == found["totals"]["diverged"]
    assert any("not here" in note for note in found["against"]["notes"]) == (name != "linux-pc-apic")


def test_three_witnesses_agree_on_seabios(vmdev: Vmdev, recorded: Path) -> None:
    found = verdict(vmdev, recorded, "--against", "both")
    assert found["agrees"]
    assert found["against"]["witnesses"] == []
    heard = found["totals"]["matched"] + found["totals"]["learned"]
    assert found["against"]["alike"] + found["against"]["unheard"] == heard
    assert found["against"]["unheard"] < 10


def test_a_wrong_model_is_the_odd_one_out(vmdev: Vmdev, tmp_path: Path) -> None:
    model = tmp_path / "slow.py"
    model.write_text(
        "from vmdev.replay.devices.acpi_pm_timer import AcpiPmTimer\n"
        "class Slow(AcpiPmTimer):\n"
        "    def reader(self, offset, size):\n"
        "        read = super().reader(offset, size)\n"
        "        return lambda: read() & ~1\n"
    )
    done = subprocess.run(
        [vmdev_program(vmdev), "replay", str(SEABIOS), "--against", "both", "--device",
         "pmtimer=slow:Slow@pio:0x608-0x60b", "--format", "json"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (row,) = (row for row in json.loads(done.stdout)["against"]["witnesses"] if row["device"] == "pmtimer")
    assert row["odd"] == "model"
    assert row["recording"] == row["qemu"] == row["model"] | 1


def vmdev_program(vmdev: Vmdev) -> str:
    return str(vmdev("--version").args[0])


def test_a_machine_that_resets_itself_goes_on(vmdev: Vmdev, tmp_path: Path) -> None:
    """SeaBIOS, three times: QEMU's devices are reset where the guest resets them."""
    path = tmp_path / "resets.db"
    guest = [word for word in DEFAULT_GUEST if word != "-no-reboot"]
    done = vmdev("record", "-o", path, "--exits", 120_000, "--", "qemu-system-x86_64", *guest)
    assert done.returncode == 0, done.stderr
    with TraceReader(path) as reader:
        assert sum(event.kind == "reset" for event in reader.events()) >= 3
    found = verdict(vmdev, path, "--against", "qemu")
    assert found["totals"]["diverged"] == sum(one["reads"] for one in found["against"]["explained"])
    assert found["totals"]["agreement"] > 0.999


def test_a_guest_of_another_architecture_is_judged_by_regions(vmdev: Vmdev, tmp_path: Path) -> None:
    """A Cortex-A57 of which nothing is modelled: U-Boot's absence is enough for some accesses to the PL011."""
    source, image = tmp_path / "a.S", tmp_path / "a.elf"
    source.write_text(
        ".globl _start\n_start: ldr x0, =0x09000000\nmov w1, #0x41\nmov x3, #2000\n"
        "1: strb w1, [x0]\nldr w2, [x0, #0x18]\nldr w2, [x0, #0xfe0]\nsubs x3, x3, #1\nb.ne 1b\n"
        "ldr x0, =0x84000008\nhvc #0\n2: wfi\nb 2b\n"
    )
    assembled = subprocess.run(
        f"aarch64-linux-gnu-as -o a.o {source} && aarch64-linux-gnu-ld -Ttext=0x40080000 -o {image} a.o",
        shell=True, cwd=tmp_path, check=False, capture_output=True,
    )  # fmt: skip
    if assembled.returncode:
        pytest.skip("no assembler for aarch64")
    path = tmp_path / "arm.db"
    done = vmdev(
        "record", "-o", path, "--", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-nodefaults",
        "-display", "none", "-serial", "null", "-kernel", image,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = verdict(vmdev, path, "--against", "qemu")
    assert {device["name"] for device in found["devices"]} >= {"pl011"}
    assert found["totals"]["matched"] >= 4000
    assert found["totals"]["diverged"] == 0


def test_qemu_itself_reads_an_exported_script(vmdev: Vmdev, recorded: Path, tmp_path: Path) -> None:
    """Whole, by a QEMU that stands still: every command is taken, and every read answers what stands behind it."""
    script = tmp_path / "boot.qtest"
    assert vmdev("export", recorded, "--format", "qtest", "-o", script).returncode == 0
    lines = script.read_text().splitlines()
    with TraceReader(recorded) as reader:
        arguments = [*device_side(reader.guest).arguments, *DEFAULTS]
    with QtestQemu(find_qemu("qemu-system-x86_64"), arguments, 5) as qemu:
        qemu.send(script.read_bytes())
        replies = qemu.replies(len(lines))
    assert all(reply.startswith(b"OK") for reply in replies)
    reads = [
        (int(reply.split()[1], 16) & 0xFFFFFFFF, int(line.split()[3], 16))
        for line, reply in zip(lines, replies, strict=True)
        if line.startswith(("in", "read"))
    ]
    assert len(reads) > 15_000  # 19,139 with QEMU 11.1, whose SeaBIOS is another
    assert all(answer == recorded for answer, recorded in reads)


def test_a_plain_qemu_reads_an_exported_script_too(vmdev: Vmdev, tmp_path: Path) -> None:
    """By ``-qtest stdio``, as anybody has it: where QEMU was built without the accelerator, the clock stays at 0."""
    script = tmp_path / "cmos.qtest"
    done = vmdev("export", SEABIOS, "--format", "qtest", "--device", "rtc", "--device", "rtc-index", "-o", script)
    assert done.returncode == 0
    lines = script.read_text().splitlines()
    process = subprocess.Popen(
        ["qemu-system-x86_64", "-M", "pc", "-nodefaults", "-display", "none", "-accel", "tcg", "-S",
         "-qtest", "stdio", "-qtest-log", "none"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(script.read_text())
        process.stdin.flush()
        replies = [process.stdout.readline() for _ in lines]
    finally:
        process.kill()
        process.communicate()
    for line, reply in zip(lines, replies, strict=True):
        assert reply.startswith("OK") or (line.startswith("clock_set") and reply.startswith("FAIL"))


def test_trouble_with_qemu_is_one_line(vmdev: Vmdev) -> None:
    done = vmdev("replay", SEABIOS, "--against", "qemu", "--", "-M", "nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: QEMU did not start (status 1): ")
    assert "nonsense" in done.stderr
    done = vmdev("replay", SEABIOS, "--against", "qemu", "--qemu", "no-such-qemu")
    assert done.returncode == 2
    assert "no-such-qemu" in done.stderr
