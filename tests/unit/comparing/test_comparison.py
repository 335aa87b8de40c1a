"""What is found to differ between two recordings of one device."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings import DATA, Made, compared, r, w
from vmdev.replay.comparing import losses, pairing
from vmdev.replay.comparing.comparison import Comparison, Unpaired

OFFSETS = st.integers(0, 2)
VALUES = st.integers(0, 255)
ACCESSES = st.sampled_from([r, w]).flatmap(
    lambda make: st.tuples(OFFSETS, st.integers(0, 3)).map(lambda each: make(*each))
)
RECORDING = st.lists(ACCESSES, max_size=40)

NAMES = {0: "STATUS", 1: "DATA", 2: "COUNT"}


def kinds(rows: Sequence[Unpaired]) -> dict[tuple[str, str], tuple[int, int]]:
    return {(row.register, row.direction): (row.a, row.b) for row in rows}


def nothing(found: Comparison) -> bool:
    return not found.differs and not found.declared


# What the issue asks for


@given(RECORDING)
def test_equal_recordings_do_not_differ(accesses: list[Made]) -> None:
    assert nothing(compared(accesses, accesses))


@given(RECORDING, st.integers(0, 40), OFFSETS, st.lists(VALUES, min_size=1, max_size=6))
def test_polls_more_are_all_that_differs(accesses: list[Made], at: int, offset: int, values: list[int]) -> None:
    at = min(at, len(accesses))
    polls = [r(offset, value) for value in values]
    found = compared(accesses, accesses[:at] + polls + accesses[at:])
    assert {(row.register, row.direction) for row in (*found.missing, *found.repeats)} == {(NAMES[offset], "r")}
    assert not found.moved
    assert sum(row.b for row in (*found.missing, *found.repeats)) == len(values)
    assert not any(row.a for row in (*found.missing, *found.repeats))
    assert not found.differences


@given(st.lists(ACCESSES, min_size=1, max_size=40), st.data())
def test_a_changed_value_is_that_register_and_those_bits(accesses: list[Made], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(accesses) - 1))
    before = accesses[at]
    flipped = data.draw(st.integers(1, 255))
    found = compared(accesses, [*accesses[:at], before._replace(value=before.value ^ flipped), *accesses[at + 1 :]])
    (difference,) = found.differences
    assert (difference.register, difference.direction) == (NAMES[before.offset], before.direction)
    assert (difference.bits, difference.count) == (flipped, 1)
    assert (difference.seq_a, difference.seq_b) == (at, at)
    assert (difference.value_a, difference.value_b) == (before.value, before.value ^ flipped)
    assert not found.missing
    assert not found.moved
    assert not found.repeats


@given(RECORDING, RECORDING)
def test_whatever_they_are_the_counts_add_up(a: list[Made], b: list[Made]) -> None:
    found = compared(a, b)
    assert found.differs == (a != b)


@pytest.mark.parametrize("usual", [1, 3])
def test_windows_do_not_change_what_is_equal(usual: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "USUAL", usual)
    monkeypatch.setattr(pairing, "WIDEST", 8)
    monkeypatch.setattr(pairing, "MOST", 16)
    monkeypatch.setattr("vmdev.replay.comparing.streams.BLOCK", 2)

    @settings(max_examples=50)
    @given(RECORDING, RECORDING)
    def holds(a: list[Made], b: list[Made]) -> None:
        assert nothing(compared(a, a))
        found = compared(a, b)
        assert found.differs == (a != b)

    holds()


@pytest.mark.parametrize("polls", [40, 1000])
def test_a_wait_longer_than_a_window_is_a_wait(polls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "USUAL", 16)
    monkeypatch.setattr(pairing, "WIDEST", 64)
    monkeypatch.setattr(pairing, "MOST", 100)
    monkeypatch.setattr("vmdev.replay.comparing.streams.BLOCK", 8)
    rest = [w(1, n) for n in range(200)]
    a, b = [w(1, 1), *[r(0, 0)] * polls, *rest], [w(1, 1), *[r(0, 0)] * 3, *rest]
    for first, second in ((a, b), (b, a)):
        found = compared(first, second)
        assert set(kinds(found.repeats)) == {("STATUS", "r")}
        assert not found.missing
        assert not found.moved


# Loops


def test_a_poll_that_took_longer_is_told_as_that() -> None:
    a = [w(1, 9), *[r(0, 0x80)] * 3, r(0, 0), r(1, 7)]
    b = [w(1, 9), *[r(0, 0x80)] * 900, r(0, 0), r(1, 7)]
    found = compared(a, b)
    assert kinds(found.repeats) == {("STATUS", "r"): (0, 897)}
    assert not found.missing
    assert not found.differences
    found.strict = False
    assert not found.differs


def test_so_is_a_loop_of_several_accesses() -> None:
    turn = [w(1, 0x0A), r(0, 0x80)]
    a = [w(1, 1), *turn * 2, w(1, 0x0A), r(0, 0), w(1, 3)]
    b = [w(1, 1), *turn * 70, w(1, 0x0A), r(0, 0), w(1, 3)]
    for first, second in ((a, b), (b, a)):
        found = compared(first, second)
        assert set(kinds(found.repeats)) == {("DATA", "w"), ("STATUS", "r")}
        assert not found.missing
        assert not found.differences


def test_waits_that_took_longer_each_in_another_recording_are_told_apart_by_what_is_between() -> None:
    a = [*[r(0, 1)] * 50, w(1, 5), *[r(0, 2)] * 400]
    b = [*[r(0, 1)] * 400, w(1, 5), *[r(0, 2)] * 50]
    found = compared(a, b)
    assert kinds(found.repeats) == {("STATUS", "r"): (350, 350)}
    assert not found.missing
    assert not found.differences


def test_a_loop_with_another_value_written_is_no_repeat() -> None:
    found = compared([r(0, 0), w(1, 1)], [r(0, 0), w(1, 1), r(0, 0), w(1, 2)])
    assert kinds(found.missing) == {("STATUS", "r"): (0, 1), ("DATA", "w"): (0, 1)}
    assert found.missing[0].value_b == 0
    assert (found.missing[1].value_b, found.missing[1].seq_b, found.missing[1].seq_a) == (2, 3, None)


def test_an_order_that_differs_is_told_and_values_are_compared() -> None:
    common = [w(1, n) for n in range(20)]
    found = compared([r(0, 0x80), *common], [*common, r(0, 0x01)])
    assert kinds(found.moved) == {("STATUS", "r"): (1, 1)}
    assert not found.missing
    (difference,) = found.differences
    assert (difference.fields, difference.bits) == (("BUSY", "ERR"), 0x81)
    found.differences.clear()
    found.strict = False
    assert not found.differs


def test_what_moved_does_not_hide_a_loop() -> None:
    a = [w(1, 1), w(2, 1), r(0, 0), w(1, 4), *[w(2, n) for n in range(2, 9)], w(1, 5)]
    b = [w(1, 1), r(0, 0), *[r(0, 0)] * 2, w(1, 4), *[w(2, n) for n in range(2, 9)], w(1, 5), w(2, 1)]
    found = compared(a, b)
    assert kinds(found.moved) == {("COUNT", "w"): (1, 1)}
    assert kinds(found.repeats) == {("STATUS", "r"): (0, 2)}
    assert not found.missing


def test_ends_of_interrupts_are_as_many_as_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmdev.replay.comparing.finding._ENDS_OF_INTERRUPT", {"DATA": 0x20})
    found = compared([w(0, 1), w(0, 2)], [w(0, 1), w(1, 0x20), w(0, 2), w(1, 0x40)])
    assert kinds(found.repeats) == {("DATA", "w"): (0, 1)}
    assert kinds(found.missing) == {("DATA", "w"): (0, 1)}


# Values


def test_a_wide_access_is_its_registers() -> None:
    found = compared([r(0, 0x0180, 2)], [r(0, 0x0281, 2)])
    assert [(row.register, row.bits, row.width, row.is_declared) for row in found.differences] == [
        ("STATUS", 0x01, 8, True),
        ("DATA", 0x03, 8, True),
    ]
    assert found.devices[0].differing == 1


def test_undeclared_bytes_are_named_by_their_offset() -> None:
    (difference,) = compared([r(9, 1)], [r(9, 2)]).differences
    assert (difference.register, difference.is_declared, difference.models_agree) == ("offset 0x9", False, None)
    (difference,) = compared(
        [r(0x378, 1, device="(no device)", space="pio")], [r(0x378, 2, device="(no device)", space="pio")]
    ).differences
    assert difference.register == "pio 0x378"


def test_a_register_is_one_whatever_the_size_of_its_accesses() -> None:
    a = [r(2, 0x1234, 2), r(2, 0x34), r(2, 0x1234, 2), r(2, 0x30)]
    b = [r(2, 0x1234, 2), r(2, 0x35), r(2, 0x5234, 2), r(2, 0x31)]
    (difference,) = compared(a, b).differences
    assert (difference.bits, difference.count, difference.pairs) == (0x4001, 3, 4)
    assert (difference.seq_a, difference.value_a, difference.value_b) == (1, 0x34, 0x35)


def test_whether_models_answer_as_recorded_is_told_of_reads() -> None:
    found = compared([r(0, 1), r(1, 1), w(0, 1)], [r(0, 2), r(1, 2), w(0, 2)])
    assert [(row.register, row.direction, row.models_agree) for row in found.differences] == [
        ("STATUS", "r", True),
        (DATA.name, "r", False),
        ("STATUS", "w", None),
    ]


# What a log lacks

QEMU = ("", "qemu")


def test_accesses_that_a_log_has_in_parts_are_the_same() -> None:
    a = [w(0, 0x0201, 2), r(0, 0x04030201, 4), r(0, 9), w(4, 1)]
    b = [w(0, 1), w(1, 2), r(0, 1), r(1, 2), r(2, 3), r(3, 4), r(0, 9), w(4, 1)]
    found = compared(a, b, formats=QEMU)
    assert not found.differs
    assert found.declared == {losses.SPLIT: 2}
    assert not compared(b, a, formats=QEMU[::-1]).differs
    b[3] = r(1, 0x82)
    (difference,) = compared(a, b, formats=QEMU).differences
    assert (difference.register, difference.bits, difference.seq_a, difference.seq_b) == ("DATA", 0x80, 1, 3)


def test_accesses_that_a_log_has_widened_are_the_same() -> None:
    a = [r(5, 0x22), r(4, 0x11), w(6, 0x33)]
    b = [r(4, 0x44332211, 4), r(4, 0x44332211, 4), w(4, 0x330000, 4)]
    found = compared(a, b, formats=QEMU)
    assert not found.differs
    assert found.declared == {losses.WIDENED: 3}
    assert not compared(b, a, formats=QEMU[::-1]).differs
    b[0] = r(4, 0x44332311, 4)
    for first, second, formats in ((a, b, QEMU), (b, a, QEMU[::-1])):
        (difference,) = compared(first, second, formats=formats).differences
        assert (difference.register, difference.bits) == ("offset 0x5", 0x01)


def test_a_device_of_the_other_byte_order_is_the_same() -> None:
    a = [w(8, 0x01020304, 4), w(8, 0x11, 4), r(8, 5, 4)]
    b = [w(8, 0x04030201, 4), w(8, 0x11000000, 4), r(8, 0x05000000, 4)]
    found = compared(a, b, formats=QEMU)
    assert not found.differs
    assert found.declared == {losses.SWAPPED: 3}
    assert len(compared(a, b).differences) > 0
    b[1] = w(8, 0x12000000, 4)
    assert compared(a, b, formats=QEMU).differs, "not all of them are"


def test_a_devices_own_accesses_are_declared() -> None:
    common = [w(0, 1, device="lapic"), w(0x80, 0, 4, device="lapic")]
    found = compared(common, [*common, w(0x1000, 0x30, 4, device="lapic")], formats=QEMU)
    assert not found.differs
    assert found.declared == {losses.OWN: 1}
    assert compared([*common, w(0x1000, 0x30, 4, device="lapic")], common, formats=QEMU).differs
    assert compared(common, [*common, w(0x10B0, 0, 4, device="lapic")], formats=QEMU).differs


def test_what_no_device_took_and_what_an_ioeventfd_took_is_declared() -> None:
    a = [r(0xFEE, 1, device="(no device)", space="mmio"), w(0, 1, 2, device="virtio-pci-notify-net")]
    found = compared(a, [], formats=QEMU)
    assert not found.differs
    assert found.declared == {losses.REFUSED: 1, losses.NOTIFICATIONS: 1}
    assert compared([], a, formats=QEMU).differs
    assert compared(a, []).differs


def test_two_logs_of_devices_are_compared_as_they_are() -> None:
    assert compared([w(0, 0x0201, 2)], [w(0, 1), w(1, 2)], formats=("qemu", "qemu")).differs
