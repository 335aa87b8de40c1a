"""A verdict in which everything occurs that a report can show, for reports that are compared with files."""

from __future__ import annotations

from typing import Final

from vmdev.replay.activity import NOBODY, Activity, DeviceUse, RegisterUse
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

HOSTILE: Final = "<script>alert('x')</script>\x1b[31m"
"""A name such as a stranger's trace may have."""


def verdict() -> Verdict:
    rtc = DeviceVerdict("rtc", "Mc146818", tally=Tally(100, 60, 40, 50, 0, 4, 0, 6, 2, 4, 0, 0, 40))
    rtc.learned["CMOS 0x10"] = 4
    com1 = DeviceVerdict("com1", "Uart16550", tally=Tally(20, 15, 5, 10, 2, 0, 3, delivered=5))
    com1.assumed["RBR"] = 3
    pit = DeviceVerdict("pit", "I8254", tally=Tally(4, 2, 2, diverged=1, matched=1, roots=1, delivered=2))
    pic = DeviceVerdict("pic", "I8259Pair", excluded=True, tally=Tally(7, 3, 4, excluded=7))
    nobody = Unclaimed("mmio", HOSTILE, 0xFED0_0000, 0xFED0_03FF, 30, 10)
    result = Verdict(
        TraceSummary(f"sample{HOSTILE}.db", "pc", "x86_64", "virtual", 171, closed=False),
        "pc",
        selected=("rtc", "com1", "pit"),
        devices=[rtc, com1, pit, pic],
        divergences=list(_divergences()),
        unclaimed=[nobody, Unclaimed("pio", "", 0x2E9, 0x2E9, 0, 0)],
    )
    result.folds.append(Fold(40, "rtc", "Register A", ("UIP",), "value", 44, 1_600_000_000, 88, 1_690_000_000, 4, 0x82))
    result.contracts.append(ContractUse("com1", "LSR", "mask", 0x60, HOSTILE, 2, 3))
    result.known.append(
        KnownUse("pit", "Counter 2", None, "not yet", "https://example.org/1", 0, None, None, stale=True)
    )
    for device in result.devices:
        result.totals.add(device.tally)
    result.totals.add(Tally(40, 30, 10, unclaimed_reads=30, unclaimed_writes=10))
    return result


def _divergences() -> tuple[Divergence, ...]:
    instruction = Instruction(0xFE074, bytes.fromhex("e471"), "inb $0x71, %al", 1)
    place = {"space": "pio", "direction": "r", "address": 0x71, "offset": 1, "size": 1}
    read = {"vcpu": 0, "instruction": instruction, **place}
    return (
        Divergence(
            seq=40, t_ns=1_500_000_000, device="rtc", kind="root", cause="value", register="Register A", hw=0xA6,
            model=0x24, fields=(FieldDifference("UIP", "1", "0"), FieldDifference("RS", "0b0110", "0b0100")),
            cause_class="time", explanation="off by 3 ticks",
            side_by_side=(
                FieldPair("UIP", "1", "0", True), FieldPair("DV", "2", "2", False), FieldPair("RS", "6", "4", True),
            ),
            state={"index": 0x0A, "update_ns": 1_000_000},
            context=(
                Access(38, 1_400_000_000, "w", "Index", 0, 0x70, 1, 0x0A),
                Access(39, 1_400_000_100, "r", None, 1, 0x71, 1, 0x26, "DV=2, RS=6", instruction),
            ),
            **read,
        ),
        Divergence(
            seq=44, t_ns=1_600_000_000, device="rtc", kind="consequence", cause="value", register="Register A", hw=0x26,
            model=0x24, **read,
        ),
        Divergence(
            seq=90, t_ns=1_700_000_000, device="rtc", kind="root", cause="value", register=HOSTILE, hw=1, model=0,
            **read,
        ),
        Divergence(
            seq=120, t_ns=1_800_000_000, device="pit", kind="root", cause="fault",
            detail='Traceback (most recent call last):\n  File "pit.py", line 7, in read\nKeyError: 3', **read,
        ),
    )  # fmt: skip


def activity() -> Activity:
    result = Activity((), 0, 171, lambda number: None)
    result.times_ns = [1_000_000_000 + 5_000_000 * exit_number for exit_number in range(171)]
    for name, first, last in (
        ("rtc", 30, 130),
        ("com1", 0, 20),
        ("pit", 118, 122),
        ("pic", 140, 147),
        (NOBODY, 131, 171),
    ):
        exits = [int(first <= exit_number < last) for exit_number in range(171)]
        result.devices[name] = DeviceUse(name, exits)
    result.devices["rtc"].registers = {0: RegisterUse(0, ["Index"], 1, 30), 1: RegisterUse(1, [], 59, 10)}
    result.devices["com1"].registers = {2: RegisterUse(2, ["IIR", "FCR"], 1_000, 5)}
    return result
