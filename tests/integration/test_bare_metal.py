"""x86 guests of a few instructions, assembled here: each says which rows its trace must have."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bare_metal import X86, Guest, Row, build, check, record

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.integration

VGA = ("-device", "VGA")
NE2000 = ("-device", "ne2k_isa,iobase=0x300")

BOTH_MODES = pytest.mark.parametrize("mmio", ["fast", "full"])

# Where there may be more vCPUs, each block has to look whether a port access has been made, see after_block.h.
EACH_WAY = pytest.mark.parametrize("devices", [(), ("-smp", "1,maxcpus=2")], ids=["one-vcpu", "room-for-two"])

ALL_MODES = pytest.mark.parametrize(("mmio", "clock"), [("fast", "virtual"), ("full", "virtual"), ("fast", "host")])


def query(trace: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(trace)) as connection:
        return connection.execute(sql).fetchall()


def run(
    vmdev: Vmdev,
    directory: Path,
    source: str,
    *devices: str,
    mmio: str = "fast",
    clock: str = "virtual",
    fast_misses: int = 0,
) -> tuple[list[Row], Guest]:
    """Build and record a guest; returns its rows, and the guest with those that it wants."""
    guest = build(source, directory, X86)
    options = ("--mmio", mmio, "--clock", clock)
    return record(vmdev, directory / "t.db", options, command(guest, *devices), fast_misses=fast_misses), guest


def command(guest: Guest, *devices: str) -> tuple[str, ...]:
    machine = ("qemu-system-x86_64", "-M", "pc", "-cpu", "max", "-nodefaults", "-display", "none", "-no-reboot")
    return (*machine, "-bios", str(guest.image), *devices)


def run_and_check(vmdev: Vmdev, directory: Path, source: str, *devices: str, mmio: str, clock: str) -> None:
    recorded, guest = run(vmdev, directory, source, *devices, mmio=mmio, clock=clock)
    check(recorded, guest.rows)


# Ports


@ALL_MODES
def test_each_form_of_in_and_out(vmdev: Vmdev, tmp_path: Path, mmio: str, clock: str) -> None:
    run_and_check(vmdev, tmp_path, "port_forms.S", mmio=mmio, clock=clock)


def test_rex_w_is_stronger_than_the_operand_size_prefix(vmdev: Vmdev, tmp_path: Path) -> None:
    """Intel SDM volume 2, 2.2.1.2; and QEMU does so."""
    run_and_check(vmdev, tmp_path, "port_rex_w.S", mmio="fast", clock="virtual")


@BOTH_MODES
def test_each_form_of_ins_and_outs(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "port_strings.S", *VGA, *NE2000, mmio=mmio, clock="virtual")


@ALL_MODES
def test_a_page_fault_within_ins_or_outs_loses_no_element_and_doubles_none(
    vmdev: Vmdev, tmp_path: Path, mmio: str, clock: str
) -> None:
    run_and_check(vmdev, tmp_path, "port_strings_interrupted.S", *NE2000, mmio=mmio, clock=clock)


def test_a_timer_interrupt_within_rep_ins_loses_no_element_and_doubles_none(vmdev: Vmdev, tmp_path: Path) -> None:
    recorded, guest = run(vmdev, tmp_path, "port_strings_and_timer.S", *NE2000)
    places = [place for place, row in enumerate(recorded) if (row.address, row.value) == (0x20, 0x20)]
    elements = [row for place, row in enumerate(recorded) if place not in places]
    check(elements, guest.rows)
    assert len(places) >= 2  # the guest insists on it
    for place in places:
        before, after = recorded[place - 1], recorded[place + 1]
        assert before.string
        assert after == before._replace(value=before.value + 1)


@EACH_WAY
@BOTH_MODES
def test_interrupts_leave_the_accumulator_to_in(
    vmdev: Vmdev, tmp_path: Path, mmio: str, devices: tuple[str, ...]
) -> None:
    run_and_check(vmdev, tmp_path, "interrupts.S", *devices, mmio=mmio, clock="virtual")


@EACH_WAY
@pytest.mark.parametrize("clock", ["virtual", "host"])
def test_refused_port_accesses_are_not_recorded(
    vmdev: Vmdev, tmp_path: Path, clock: str, devices: tuple[str, ...]
) -> None:
    """Intel SDM volume 1, 19.5.2: the I/O permission bitmap. QEMU tells of an access before it is checked."""
    run_and_check(vmdev, tmp_path, "refused_io.S", *devices, mmio="fast", clock=clock)
    events = query(tmp_path / "t.db", "SELECT kind, detail FROM event WHERE kind != 'reset' ORDER BY rowid")
    assert [kind for kind, _ in events] == ["refused-io", "refused-io"]
    assert all("port 0x80 size 1" in str(detail) for _, detail in events)


# MMIO


@BOTH_MODES
def test_each_size_of_load_and_store(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_sizes.S", *VGA, mmio=mmio, clock="virtual")


@ALL_MODES
def test_read_modify_write_is_a_read_and_a_write(vmdev: Vmdev, tmp_path: Path, mmio: str, clock: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_read_modify_write.S", *VGA, mmio=mmio, clock=clock)


@BOTH_MODES
def test_each_string_instruction(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_strings.S", *VGA, mmio=mmio, clock="virtual")


@BOTH_MODES
def test_a_string_instruction_that_meets_a_device_where_ram_was(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_strings_remapped.S", *VGA, mmio=mmio, clock="virtual")


@BOTH_MODES
def test_a_jump_through_memory_that_meets_a_device_where_ram_was(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_pointers_remapped.S", *VGA, mmio=mmio, clock="virtual")


@BOTH_MODES
def test_stack_and_jump_instructions_with_a_device_operand(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_pointers.S", *VGA, mmio=mmio, clock="virtual")


def test_a_device_as_the_stack_is_seen_by_full(vmdev: Vmdev, tmp_path: Path) -> None:
    recorded, guest = run(vmdev, tmp_path, "mmio_stack.S", *VGA, mmio="full", fast_misses=12)
    check(recorded, guest.rows)


def test_a_device_as_the_stack_stops_fast_with_a_word_on_full(vmdev: Vmdev, tmp_path: Path) -> None:
    guest = build("mmio_stack.S", tmp_path, X86)
    done = vmdev("record", "-o", tmp_path / "t.db", "--", *command(guest, *VGA))
    assert done.returncode == 2
    assert "use --mmio full" in done.stderr


@BOTH_MODES
def test_an_access_from_ram_into_a_device(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "mmio_boundaries.S", *VGA, mmio=mmio, clock="virtual")


# Code


@BOTH_MODES
def test_code_that_changes_is_recorded_as_what_ran(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "self_modifying.S", *VGA, mmio=mmio, clock="virtual")
    at_2000h = query(tmp_path / "t.db", "SELECT hex(insn), direction, address FROM site WHERE pc = 0x2000 ORDER BY id")
    assert at_2000h == [
        ("E681", "w", 0x81),
        ("E481", "r", 0x81),
        ("E482", "r", 0x82),
        ("A300000A00", "w", 0xA0000),
        ("A100000A00", "r", 0xA0000),
        ("66A102000A00", "r", 0xA0002),
    ]


@BOTH_MODES
def test_system_management_mode(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    run_and_check(vmdev, tmp_path, "smm.S", *VGA, mmio=mmio, clock="virtual")


@BOTH_MODES
def test_two_cpus_keep_their_own_order(vmdev: Vmdev, tmp_path: Path, mmio: str) -> None:
    recorded, guest = run(vmdev, tmp_path, "smp.S", *VGA, "-smp", "2", mmio=mmio, clock="host")
    check(recorded, guest.rows)
    assert [row.cpu for row in (recorded[0], recorded[-1])] == [0, 0]  # the first waits for the second


# The end


def test_guest_that_ends_qemu_with_a_status_of_its_own_is_recorded_whole(vmdev: Vmdev, tmp_path: Path) -> None:
    """The debug exit device calls exit(): QEMU's status is the guest's, and the recorder still ends in order."""
    guest = build("debug_exit.S", tmp_path, X86)
    command = ("-M", "pc", "-nodefaults", "-display", "none", "-device", "isa-debug-exit,iobase=0xf4")
    trace = tmp_path / "t.db"
    done = vmdev("record", "-o", trace, "--", *command, "-bios", guest.image)
    assert done.returncode == 0, done.stderr
    assert "QEMU itself ended with status 33" in done.stderr
    assert query(trace, "SELECT pc, address, value FROM access") == [("0xfffffff2", "0xf4", "0x10")]
    assert vmdev("info", trace).stdout.startswith(f"{trace}: complete")
