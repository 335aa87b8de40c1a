"""Lines as ftrace and trace-cmd report write them for kvm_pio and kvm_mmio."""

from __future__ import annotations

import pytest

from logs import Importing
from vmdev.replay.importers.ftrace import LATER_ELEMENTS, LOST, LOST_UNCOUNTED, UNANSWERED
from vmdev.replay.importers.importing import SPLIT
from vmdev.replay.trace import verify

PIO = " qemu-system-x86-4711    [002] d..1.  1234.567890: kvm_pio: pio_read at 0x71 size 1 count 1 val 0x26 \n"
MMIO = "       CPU 1/KVM-4712  [003]  1234.567899: kvm_mmio:             mmio write len 4 gpa 0xfee000b0 val 0x7\n"
HEADER = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 2/2   #P:8\ncpus=8\nversion = 7\n"


def test_both_events_of_both_programs(imported: Importing) -> None:
    result = imported("ftrace", HEADER + PIO + MMIO)
    assert result.rows == [("r", 0x71, 1, 0x26), ("w", 0xFEE000B0, 4, 7)]
    assert [site.space for site in result.reader.sites] == ["pio", "mmio"]
    assert [row[1] for row in next(result.reader.exits())] == [0, 9000]
    assert (result.found.malformed, result.found.other_lines) == (0, 5)


def test_vcpus_are_threads(imported: Importing) -> None:
    """Lines of several CPUs are interleaved; the host's CPU says nothing of the vCPU."""
    other = PIO.replace("4711", "4799").replace("[002]", "[007]")
    result = imported("ftrace", PIO + other + PIO.replace("[002]", "[005]"))
    assert [result.reader.sites[row[2]].vcpu for row in next(result.reader.exits())] == [0, 1, 0]
    assert "vCPUs numbered in the order in which their threads appear" in result.found.losses


def test_the_name_of_a_thread_tells_its_vcpu(imported: Importing) -> None:
    result = imported("ftrace", MMIO)
    assert result.reader.sites[0].vcpu == 1
    assert not any("numbered" in loss for loss in result.found.losses)


def test_kvm_exit_tells_the_vcpu_and_the_pc(imported: Importing) -> None:
    leave = PIO.replace(
        "kvm_pio: pio_read at 0x71 size 1 count 1 val 0x26",
        "kvm_exit: vcpu 3 reason IO_INSTRUCTION rip 0xfec18 info1 0x710009 info2 0x0",
    )
    result = imported("ftrace", leave + PIO)
    assert [(site.vcpu, site.pc) for site in result.reader.sites] == [(3, 0xFEC18)]
    assert "no PC" not in result.found.losses
    assert "no PC" in imported("ftrace", PIO).found.losses


def test_two_machines_in_one_log_are_told(imported: Importing) -> None:
    result = imported("ftrace", MMIO + MMIO.replace("4712", "5000"))
    assert [site.vcpu for site in result.reader.sites] == [1, 0]
    assert "accesses of several virtual machines are mixed" in result.found.losses


def test_an_unsatisfied_read_is_answered_by_a_later_read(imported: Importing) -> None:
    ask = MMIO.replace("write", "unsatisfied-read").replace("val 0x7", "val 0x0")
    result = imported("ftrace", ask + PIO + MMIO.replace("write", "read"))
    assert result.rows == [("r", 0x71, 1, 0x26), ("r", 0xFEE000B0, 4, 7)]
    assert result.events == []


def test_a_read_that_nobody_answered_is_an_event(imported: Importing) -> None:
    ask = MMIO.replace("write", "unsatisfied-read")
    result = imported("ftrace", ask + MMIO + ask)
    assert result.events == [("unread-mmio", "address 0xfee000b0 size 4")] * 2
    assert result.found.notes == {UNANSWERED: 2}
    assert len(result.rows) == 1


def test_a_cpu_of_which_only_an_event_tells_is_one_of_the_machines(imported: Importing) -> None:
    result = imported("ftrace", MMIO.replace("write", "unsatisfied-read") + PIO)
    assert result.events == [("unread-mmio", "address 0xfee000b0 size 4")]
    assert result.reader.meta["smp"] == 2
    assert verify(result.reader).gaps == []


def test_of_several_elements_only_the_first_is_known(imported: Importing) -> None:
    line = PIO.replace("0x71 size 1 count 1 val 0x26", "0x1f0 size 2 count 256 val 0x40 (...)")
    result = imported("ftrace", line)
    assert result.rows == [("r", 0x1F0, 2, 0x40)]
    assert result.reader.sites[0].string
    assert result.events == [("unlogged", "IN port 0x1f0 size 2: 255 more elements")]
    assert result.found.notes == {LATER_ELEMENTS: 255}


def test_lost_events_are_events_and_counted(imported: Importing) -> None:
    lost = "CPU:3 [LOST 123 EVENTS]\nCPU:7 [204600 EVENTS DROPPED]\nCPU:1 [EVENTS DROPPED]\n"
    result = imported("ftrace", PIO + lost + PIO)
    assert [kind for kind, _ in result.events] == ["lost"] * 3
    assert result.found.notes == {LOST: 204_723, LOST_UNCOUNTED: 1}


def test_accesses_that_cross_a_page_are_stored_as_several(imported: Importing) -> None:
    result = imported("ftrace", MMIO.replace("len 4", "len 7").replace("0x7\n", "0x77665544332211\n"))
    assert [(size, value) for _, _, size, value in result.rows] == [(4, 0x44332211), (2, 0x6655), (1, 0x77)]
    assert [address & 0xFF for _, address, _, _ in result.rows] == [0xB0, 0xB4, 0xB6]
    assert result.found.notes == {SPLIT: 1}


def test_a_clock_of_unknown_frequency_is_no_time(imported: Importing) -> None:
    result = imported("ftrace", PIO.replace("1234.567890", "8467512345"))
    assert result.reader.meta["clock"] == "none"


def test_other_columns(imported: Importing) -> None:
    lines = (
        " <...>-4711    (-------) [002] d..1.  1.000000001: kvm_pio: pio_write at 0x80 size 1 count 1 val 0x1\n"
        " a b [c] d-e-4712  [001]     1.000001: kvm_mmio: mmio read len 8 gpa 0x0 val 0xffffffffffffffff\n"
        "       qemu-9 ( 4711) [002] .....     1.000002: kvm_entry: vcpu 0 rip 0x1\n"
    )
    result = imported("ftrace", lines)
    assert result.rows == [("w", 0x80, 1, 1), ("r", 0, 8, 0xFFFFFFFFFFFFFFFF)]
    assert result.found.other_lines == 1


@pytest.mark.parametrize(
    "line",
    [
        PIO.replace("0x71", "0x10000"),
        PIO.replace("size 1", "size 8"),
        PIO.replace("count 1", "count 0"),
        PIO.replace(" val 0x26", ""),
        PIO.replace("pio_read", "pio_peek"),
        PIO.replace("[002]", "002"),
        MMIO.replace("len 4", "len 16"),
        MMIO.replace("write", "fetch"),
    ],
)
def test_malformed_lines_are_told_with_their_numbers(imported: Importing, line: str) -> None:
    result = imported("ftrace", f"{PIO}{line.rstrip()}\n{PIO}")
    assert [bad.number for bad in result.found.first_malformed] == [2]
    assert len(result.rows) == 2
