"""The report for people."""

from __future__ import annotations

from typing import Any

import pytest

from vmdev.replay.activity import Activity
from vmdev.replay.report import FORMATS, Outcome
from vmdev.replay.report.text import CUT_OFF, MAX_FOLDS, render, sentence
from vmdev.replay.verdict import (
    Access,
    ContractUse,
    DeviceVerdict,
    Divergence,
    FieldDifference,
    FieldPair,
    Fold,
    Instruction,
    KnownUse,
    Tally,
    TraceSummary,
    Unclaimed,
    Verdict,
)


def verdict_of(*devices: DeviceVerdict, closed: bool = True, **parts: Any) -> Verdict:
    verdict = Verdict(TraceSummary("boot.db", "pc", "x86_64", "virtual", 0, closed), "pc", **parts)
    verdict.devices = list(devices)
    for device in devices:
        verdict.totals.add(device.tally)
    verdict.totals.exits += sum(row.reads + row.writes for row in verdict.unclaimed)
    verdict.totals.unclaimed_reads = sum(row.reads for row in verdict.unclaimed)
    verdict.totals.unclaimed_writes = sum(row.writes for row in verdict.unclaimed)
    verdict.totals.reads += verdict.totals.unclaimed_reads
    verdict.totals.writes += verdict.totals.unclaimed_writes
    verdict.trace = TraceSummary("boot.db", "pc", "x86_64", "virtual", verdict.totals.exits, closed)
    return verdict


def good(name: str = "pit", matched: int = 31_204) -> DeviceVerdict:
    return DeviceVerdict(name, "Model", tally=Tally(matched + 1, matched, 1, matched=matched, delivered=1))


def bad(name: str = "rtc", roots: int = 1, consequences: int = 0) -> DeviceVerdict:
    diverged = roots + consequences
    tally = Tally(10, 10, 0, 10 - diverged, diverged=diverged, roots=roots, consequences=consequences)
    return DeviceVerdict(name, "Model", tally=tally)


def root(**parts: Any) -> Divergence:
    defaults: dict[str, Any] = {
        "seq": 1234,
        "t_ns": 1_500_000_000,
        "device": "rtc",
        "kind": "root",
        "cause": "value",
        "vcpu": 0,
        "instruction": Instruction(0xFFFF0, b"\xe4\x71", "inb $0x71, %al", 1),
        "space": "pio",
        "direction": "r",
        "address": 0x71,
        "offset": 1,
        "size": 1,
        "register": "Register A",
        "hw": 0xA6,
        "model": 0x24,
        "fields": (
            FieldDifference("UIP", "1", "0"),
            FieldDifference("RS", "0b0110 (1024 Hz)", "0b0100 (4096 Hz)"),
        ),
        "state": {"index": 0x0A, "update_ns": 1_000_000},
        "context": (
            Access(1230, 1_400_000_000, "w", "Index", 0, 0x70, 1, 0x0A),
            Access(998, 900_000_000, "r", None, 1, 0x71, 1, 0x26),
        ),
    }
    return Divergence(**defaults | parts)


def lines_of(verdict: Verdict, limit: int | None = None) -> list[str]:
    return render(verdict, limit).splitlines()


def test_the_first_line_is_the_verdict() -> None:
    assert lines_of(verdict_of(good()))[0] == "31,204 of 31,204 checked reads match; 0 divergences."


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([good(matched=1)], "1 of 1 checked read matches; 0 divergences."),
        ([bad()], "1 root divergence, in rtc; 9 of 10 checked reads match."),
        ([bad(consequences=1)], "1 root divergence and 1 consequence, in rtc; 8 of 10 checked reads match."),
        (
            [bad(roots=2, consequences=3), good(matched=5), bad("pic")],
            "3 root divergences and 3 consequences, in rtc, pic; 19 of 25 checked reads match.",
        ),
    ],
)
def test_the_verdict_in_a_sentence(devices: list[DeviceVerdict], expected: str) -> None:
    assert sentence(verdict_of(*devices)) == expected


def test_masked_reads_are_among_those_that_match() -> None:
    verdict = verdict_of(DeviceVerdict("a", "Model", tally=Tally(5, 5, matched=3, masked=2)))
    assert sentence(verdict) == "5 of 5 checked reads match; 0 divergences."


def test_the_counts_are_a_table_with_aligned_columns() -> None:
    learned = DeviceVerdict("fwcfg", "FwCfg", tally=Tally(2, 2, 0, matched=1, learned=1), learned={"DATA": 1})
    verdict = verdict_of(good(), learned, unclaimed=[Unclaimed("pio", "vga", 0x3C0, 0x3DA, 7, 3)])
    text = render(verdict)
    assert (
        """
device        exits   reads  matched  learned  diverged  delivered  unclaimed  agreement
pit          31,205  31,204   31,204        0         0          1          0   100.00 %
fwcfg             2       2        1        1         0          0          0   100.00 %
(no device)      10       7        0        0         0          0         10          -
total        31,217  31,213   31,205        1         0          1         10   100.00 %
"""
        in text
    )


def test_agreement_is_never_rounded_up_to_all() -> None:
    tally = Tally(1_000_000, 1_000_000, matched=999_999, diverged=1, roots=1)
    assert "  99.99 %" in render(verdict_of(DeviceVerdict("a", "Model", tally=tally)))


def test_columns_of_zeros_are_left_out_but_the_important_ones_stay() -> None:
    titles = lines_of(verdict_of(good()))[3].split()
    assert titles == ["device", "exits", "reads", "matched", "diverged", "delivered", "agreement"]


def test_a_recording_that_was_cut_off_is_marked_loudly() -> None:
    assert lines_of(verdict_of(good(), closed=False))[1] == CUT_OFF
    assert CUT_OFF not in render(verdict_of(good()))


def test_a_choice_of_devices_is_named_and_the_others_have_no_row() -> None:
    other = DeviceVerdict("rtc", "Model", True, Tally(5, 5, excluded=5))
    text = render(verdict_of(good(), other, selected=("pit",)))
    assert "Judged: pit; all other exits are excluded." in text
    assert "\nrtc" not in text
    assert "excluded" in text.splitlines()[4]


def test_another_machine_than_the_recorded_one_is_named() -> None:
    verdict = verdict_of(good())
    verdict.machine = "q35"
    assert "of a pc (x86_64), replayed into q35." in render(verdict)


def test_learned_and_assumed_reads_are_listed_by_register_most_first() -> None:
    device = good("rtc")
    device.learned = {"CMOS 0x38": 1, "CMOS 0x10": 3}
    device.assumed = {"RBR": 1_000}
    lines = lines_of(verdict_of(device))
    assert lines[lines.index("Learned from the recording, reads by register:") + 1] == "  rtc: CMOS 0x10 3, CMOS 0x38 1"
    assert lines[lines.index("Assumed as outside input, reads by register:") + 1] == "  rtc: RBR 1,000"


def test_unclaimed_places_are_listed_and_the_tail_is_summed_up() -> None:
    places = [Unclaimed("pio", "vga", 0x3C0, 0x3DA, 1_700, 3), Unclaimed("mmio", "", 0xFEE00000, 0xFEE00000, 60, 0)]
    places += [Unclaimed("pio", "", port, port, 1, 2) for port in range(20)]
    lines = lines_of(verdict_of(good(), unclaimed=places))
    table = lines[lines.index(f"{'unclaimed':20}  reads  writes  of all reads") :]
    assert table[1] == "vga, pio 0x3c0-0x3da  1,700       3        5.15 %"
    assert table[2] == f"{'mmio 0xfee00000':20}     60       0        0.18 %"
    assert table[21] == f"{'2 other places':20}      2       4        0.00 %"


def test_a_root_is_told_in_full() -> None:
    verdict = verdict_of(bad(), divergences=[root()])
    assert """
Root divergence 1 of 1
  seq 1,234 at 1.500000000 s, vCPU 0
  rtc.Register A (offset 0x1, pio 0x71, 1 byte): hw=0xa6 model=0x24
    differing bits 7, 1 (0x82)
    UIP  hw=1 model=0
    RS   hw=0b0110 (1024 Hz) model=0b0100 (4096 Hz)
  instruction at 0xffff0: in al, 0x71  [e4 71]
  the last 2 accesses to rtc before it
    seq 1,230  1.400000000 s  write  Index       0x70  0x0a
    seq 998    0.900000000 s  read   offset 0x1  0x71  0x26
  state of the model after it
    index=0xa, update_ns=1,000,000
""" in render(verdict)


def test_values_are_shown_with_all_digits_of_the_access() -> None:
    text = render(verdict_of(bad(), divergences=[root(size=4, hw=0x1F00, model=0, fields=())]))
    assert "4 bytes): hw=0x00001f00 model=0x00000000" in text
    assert "differing bits 12..8 (0x00001f00)" in text


def test_a_register_without_a_name_is_told_by_its_offset() -> None:
    assert "  rtc (offset 0x1, pio 0x71, 1 byte): hw=" in render(verdict_of(bad(), divergences=[root(register=None)]))


def test_a_fault_at_an_access_comes_with_its_traceback() -> None:
    detail = 'Traceback (most recent call last):\n  File "rtc.py"\nValueError: 3'
    text = render(verdict_of(bad(), divergences=[root(cause="fault", model=None, fields=(), detail=detail)]))
    assert "rtc.Register A (offset 0x1, pio 0x71, 1 byte): the model failed at this read; hw=0xa6\n" in text
    assert '\n    Traceback (most recent call last):\n      File "rtc.py"\n    ValueError: 3\n' in text
    assert "differing bits" not in text


def test_a_fault_outside_any_access_says_so() -> None:
    fault = Divergence(7, 1_000, "rtc", "root", "fault", detail="ValueError: 3", state={"a": 1})
    text = render(verdict_of(bad(), divergences=[fault]))
    assert "seq 7 at 0.000001000 s\n" in text
    assert "rtc: the model failed outside any access, in a timer or a reset\n    ValueError: 3\n" in text
    assert "instruction" not in text


def test_consequences_are_folded_into_a_count() -> None:
    divergences = [root(), root(seq=1300, kind="consequence")]
    text = render(verdict_of(bad(consequences=5), divergences=divergences))
    assert "Consequences, later differences that a root may explain: rtc 5." in text
    assert "1,300" not in text


def test_equal_consequences_are_one_row_the_most_frequent_first() -> None:
    folds = [
        Fold(1234, "rtc", "Seconds", (), "value", 1300, 0, 9000, 0, 2, 0x01),
        Fold(1234, "rtc", "Register A", ("UIP",), "value", 1240, 0, 8000, 0, 1_500, 0x80),
        Fold(1234, "rtc", "", (), "fault", 1250, 0, 1250, 0, 1),
    ]
    lines = lines_of(verdict_of(bad(consequences=1_503), divergences=[root()], folds=folds))
    table = lines[lines.index("consequence           bits    times  first seq  last seq  may follow from") :]
    assert table[1:] == [
        "rtc.Register A (UIP)  0x80    1,500      1,240     8,000  seq 1,234",
        "rtc.Seconds           0x1         2      1,300     9,000  seq 1,234",
        "rtc                   failed      1      1,250     1,250  seq 1,234",
    ]


def test_consequences_in_many_places_are_summed_up() -> None:
    folds = [Fold(0, "rtc", f"CMOS {i}", (), "value", i, 0, i, 0, 3) for i in range(MAX_FOLDS + 2)]
    assert "6 consequences in 2 other places more." in render(verdict_of(bad(consequences=66), folds=folds))


def test_the_class_of_a_root_is_told_with_its_evidence() -> None:
    late = "off by 3 ticks of 1,193,182 Hz, 2.51 µs; the model is behind"
    text = render(verdict_of(bad(), divergences=[root(cause_class="time", explanation=late)]))
    assert f"\n  class: time, {late}\n" in text
    assert "class: outside\n" in render(verdict_of(bad(), divergences=[root(cause_class="outside")]))


def test_fields_that_agree_stand_beside_those_that_differ() -> None:
    pairs = (FieldPair("UIP", "1", "0", True), FieldPair("DV", "0b010 (32.768 kHz)", "0b010 (32.768 kHz)", False))
    text = render(verdict_of(bad(), divergences=[root(side_by_side=pairs)]))
    assert "the same in both: DV=0b010 (32.768 kHz)\n" in text


def test_context_is_decoded_and_disassembled() -> None:
    access = Access(9, 1, "r", "LSR", 5, 0x3FD, 1, 0x60, "TEMT, THRE", Instruction(0xF00, b"\xec", "", 1))
    text = render(verdict_of(bad(), divergences=[root(context=(access,))]))
    assert "seq 9  0.000000001 s  read  LSR  0x3fd  0x60  0xf00  in al, dx  TEMT, THRE\n" in text


def test_what_contracts_excused_is_a_table_and_idle_ones_a_line() -> None:
    uses = [
        ContractUse("pmtimer", "PM_TMR", "time within 3 ticks", 0xFFFFFF, "host clock", 1_000, 2_500),
        ContractUse("com1", "MSR", "mask", 0xF0, "no modem", 0, 0),
    ]
    lines = lines_of(verdict_of(good(), contracts=uses))
    assert "excused by contract  rule                   covers  reads   bits  reason" in lines
    assert "pmtimer.PM_TMR       time within 3 ticks  0xffffff  1,000  2,500  host clock" in lines
    assert "Contracts that excused nothing: com1.MSR (mask)." in lines


def test_known_divergences_are_counted_and_do_not_fail() -> None:
    device = DeviceVerdict("rtc", "Model", tally=Tally(10, 10, matched=7, known=3))
    verdict = verdict_of(device, known=[KnownUse("rtc", "Register C", 0x40, "late", "https://x.org/1", 3, 5, 9, False)])
    assert verdict.agrees
    assert sentence(verdict) == "7 of 10 checked reads match; 3 known divergences; 0 divergences."
    assert "rtc.Register C    0x40      3  late <https://x.org/1>" in lines_of(verdict)


def test_a_stale_entry_of_the_ledger_fails() -> None:
    stale = KnownUse("rtc", "Register C", None, "late", "", 0, None, None, True)
    idle = KnownUse("pit", "Counter 0", None, "late", "", 0, None, None, False)
    verdict = verdict_of(good(), known=[stale, idle])
    assert not verdict.agrees
    assert sentence(verdict).endswith("match; 1 stale known divergence; 0 divergences.")
    text = render(verdict)
    assert "STALE: nothing diverges any more where the ledger says so; remove these entries: rtc.Register C." in text
    assert "Known divergences of which nothing was judged: pit.Counter 0." in text


def test_strict_counts_what_nothing_answers() -> None:
    places = [Unclaimed("pio", "vga", 0x3C0, 0x3DA, 7, 3)]
    assert verdict_of(good(), unclaimed=places).agrees
    verdict = verdict_of(good(), unclaimed=places, strict=True)
    assert not verdict.agrees
    assert sentence(verdict).endswith("match; 7 reads unanswered; 0 divergences.")


def test_what_was_judged_is_said() -> None:
    verdict = verdict_of(good(), selected=("pit",), selection=("seq 5:", "up to the first root divergence"))
    assert "Judged: pit; seq 5:; up to the first root divergence; all other exits are excluded." in lines_of(verdict)


def test_roots_beyond_the_limit_are_counted() -> None:
    divergences = [root(seq=seq) for seq in range(12)]
    text = render(verdict_of(bad(roots=12), divergences=divergences))
    assert text.count("Root divergence ") == 10
    assert "2 root divergences more; --limit shows them." in text
    assert render(verdict_of(bad(roots=12), divergences=divergences), 12).count("Root divergence ") == 12
    assert "Root divergence 1 of" not in render(verdict_of(bad(roots=12), divergences=divergences), 0)


def test_text_from_a_recording_cannot_command_the_terminal() -> None:
    evil = Instruction(0, b"", "nop\x1b[2J", 1)
    verdict = verdict_of(bad(), divergences=[root(instruction=evil)], unclaimed=[Unclaimed("pio", "\x1b]0;x", 1, 1, 1)])
    assert "\x1b" not in render(verdict)


def test_no_line_ends_in_blanks_and_the_text_ends_with_one_newline() -> None:
    text = render(verdict_of(good(), bad(), divergences=[root()]))
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_every_format_renders_every_verdict() -> None:
    outcome = Outcome(
        "a.db", verdict_of(good(), bad(), divergences=[root()]), activity=Activity([], 0, 0, lambda _: None)
    )
    for form in FORMATS.values():
        assert form([outcome], None).endswith("\n")
