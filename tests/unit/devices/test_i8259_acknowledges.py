"""8259A pair: what is inferred about acknowledges that a recording does not show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdev.replay.device import Unknown
from vmdev.replay.devices.i8259 import MOST_STATES, I8259Pair

MASTER, SLAVE = 0, 2
ELCR1 = 4
READ_IRR, READ_ISR, POLL = 0x0A, 0x0B, 0x0C
EOI, ROTATE_EOI, SPECIFIC_EOI = 0x20, 0xA0, 0x60
ICW4_8086, ICW4_AEOI, ICW4_SFNM = 0x01, 0x02, 0x10


def pair(icw4: int = ICW4_8086) -> I8259Pair:
    """Initialized as PCs do: vectors 0x20 and 0x28, nothing masked."""
    pic = I8259Pair()
    for chip, words in ((MASTER, (0x20, 0x04, icw4)), (SLAVE, (0x28, 0x02, icw4 & ~ICW4_SFNM))):
        pic.write(chip, 1, 0x11)
        for word in words:
            pic.write(chip + 1, 1, word)
    return pic


def pair_with_events(icw4: int = ICW4_8086) -> I8259Pair:
    """The same where acknowledges are reported, so that nothing is inferred."""
    pic = pair(icw4)
    assert pic.acknowledge() == 0x27  # a spurious one, without effect
    return pic


def pulse(pic: I8259Pair, *irqs: int) -> None:
    for irq in irqs:
        pic.request(irq)(True)
        pic.request(irq)(False)


def command(pic: I8259Pair, chip: int, value: int) -> int:
    """Write an OCW2 or OCW3 and read the same port."""
    pic.write(chip, 1, value)
    return pic.read(chip, 1)


def registers(pic: I8259Pair, chip: int) -> tuple[int, int]:
    """IRR and ISR; both must be certain."""
    values = command(pic, chip, READ_IRR), command(pic, chip, READ_ISR)
    assert not any(isinstance(value, Unknown) for value in values)
    return values


def unknown(answer: int) -> Unknown:
    assert isinstance(answer, Unknown)
    assert answer.kind == "assumed"
    return answer


def test_an_eoi_proves_the_acknowledge_of_a_pending_request():
    pic = pair()
    pulse(pic, 0)
    assert pic.state()["acknowledged"] == 0
    pic.write(MASTER, 1, EOI)
    assert registers(pic, MASTER) == (0, 0)
    assert pic.state()["acknowledged"] == 1
    assert not pic.intr.level


def test_a_specific_eoi_proves_the_acknowledge_of_its_level():
    pic = pair()
    pulse(pic, 5)
    pic.write(MASTER, 1, SPECIFIC_EOI | 5)
    assert registers(pic, MASTER) == (0, 0)


def test_an_eoi_of_the_slave_proves_the_acknowledge_of_both_chips():
    pic = pair()
    pulse(pic, 14)
    pic.write(SLAVE, 1, EOI)
    assert registers(pic, MASTER) == (0, 0x04)
    assert registers(pic, SLAVE) == (0, 0)


def test_an_eoi_when_nothing_could_be_in_service_changes_nothing():
    pic = pair()
    pic.write(MASTER + 1, 1, 0xFF)
    pulse(pic, 5)
    pic.write(MASTER, 1, EOI)
    assert registers(pic, MASTER) == (0x20, 0)
    assert pic.state()["acknowledged"] == 0


def test_a_level_that_is_still_high_is_pending_again_after_the_eoi():
    pic = pair()
    pic.write(ELCR1, 1, 0x20)
    pic.request(5)(True)
    pic.write(MASTER, 1, EOI)
    assert pic.intr.level
    irr = command(pic, MASTER, READ_IRR)
    assert irr == 0x20  # certain: an acknowledge does not clear a level


def test_both_bytes_of_a_wide_read_are_answered():
    """IRR and IMR by one 16-bit read."""
    pic = pair()
    pic.write(MASTER + 1, 1, 0x40)
    pic.request(4)(True)
    word = unknown(pic.read_any(MASTER, 2))
    assert (word.known, word.mask) == (0x4000, 0x10)
    word.learn(0x10)
    assert pic.state()["acknowledged"] == 0
    assert pic.intr.level


@pytest.mark.parametrize("taken", [True, False])
def test_a_read_while_intr_is_high_tells_whether_the_request_was_taken(taken: bool):
    pic = pair()
    pic.write(MASTER + 1, 1, 0x40)
    pulse(pic, 4, 6)
    irr = unknown(command(pic, MASTER, READ_IRR))
    assert (irr.known, irr.mask) == (0x40, 0x10)  # the masked request is certain
    irr.learn(0 if taken else 0x10)
    assert pic.state()["acknowledged"] == taken
    assert pic.intr.level is not taken
    isr = command(pic, MASTER, READ_ISR)
    if taken:
        assert isr == 0x10
    else:
        assert unknown(isr).mask == 0x10  # it may have been taken since


def test_a_request_that_cannot_interrupt_is_certain():
    pic = pair()
    pulse(pic, 1)
    unknown(command(pic, MASTER, READ_ISR)).learn(0x02)
    pulse(pic, 6)
    assert registers(pic, MASTER) == (0x40, 0x02)


def test_several_acknowledges_in_a_row_are_followed():
    """Nested: IRQ 6, then 12 through the cascade, then 1, with no access between."""
    pic = pair()
    pulse(pic, 6, 12, 1)
    isr = unknown(command(pic, MASTER, READ_ISR))
    assert (isr.known, isr.mask) == (0, 0x46)
    isr.learn(0x46)
    assert pic.state()["acknowledged"] == 3
    assert registers(pic, MASTER) == (0, 0x46)
    assert registers(pic, SLAVE) == (0, 0x10)


def test_a_second_pulse_may_have_come_before_or_after_the_acknowledge():
    pic = pair()
    pulse(pic, 0, 0)
    pic.write(MASTER, 1, EOI)
    irr = unknown(command(pic, MASTER, READ_IRR))
    assert irr.mask == 0x01
    irr.learn(0x01)
    pic.write(MASTER, 1, EOI)
    assert registers(pic, MASTER) == (0, 0)


def test_a_mask_does_not_undo_an_acknowledge():
    """Linux masks first, then issues the EOI."""
    pic = pair()
    pulse(pic, 4)
    pic.write(MASTER + 1, 1, 0x10)
    pic.write(MASTER, 1, SPECIFIC_EOI | 4)
    assert registers(pic, MASTER) == (0, 0)


def test_in_automatic_eoi_mode_only_irr_can_tell():
    pic = pair(ICW4_8086 | ICW4_AEOI)
    pulse(pic, 4)
    assert command(pic, MASTER, READ_ISR) == 0
    unknown(command(pic, MASTER, READ_IRR)).learn(0)
    assert pic.state()["acknowledged"] == 1
    assert registers(pic, MASTER) == (0, 0)


def test_in_automatic_eoi_mode_one_request_follows_the_other_at_once():
    pic = pair(ICW4_8086 | ICW4_AEOI)
    pic.write(MASTER + 1, 1, 0xFF)
    pulse(pic, 3, 4, 5)
    pic.write(MASTER + 1, 1, 0x00)
    irr = unknown(command(pic, MASTER, READ_IRR))
    assert irr.mask == 0x38
    irr.learn(0x20)
    assert pic.state()["acknowledged"] == 2


def test_a_poll_while_intr_is_high_is_not_known_either():
    pic = pair()
    pulse(pic, 3)
    word = unknown(command(pic, MASTER, POLL))
    assert (word.known, word.mask) == (0, 0x83)
    word.learn(0x83)
    assert registers(pic, MASTER) == (0, 0x08)
    assert pic.state()["acknowledged"] == 0


def test_a_recorded_value_that_no_history_explains_selects_the_nearest():
    """0x81 is neither "nothing" nor level 3, but nearer to the latter."""
    pic = pair()
    pulse(pic, 3)
    unknown(command(pic, MASTER, POLL)).learn(0x81)
    assert registers(pic, MASTER) == (0, 0x08)
    assert pic.state()["acknowledged"] == 0


def test_events_end_inference():
    pic = pair_with_events()
    pulse(pic, 0)
    pic.write(MASTER, 1, EOI)
    assert registers(pic, MASTER) == (0x01, 0)
    assert pic.acknowledge() == 0x20
    assert pic.state()["acknowledged"] == 2


def test_the_number_of_histories_is_bounded():
    """Rising priorities, each level taken or not, and requested again: 3 ** 15 possible states."""
    pic = pair()
    for irq in (7, 6, 5, 4, 3, 15, 14, 13, 12, 11, 10, 9, 8, 1, 0):
        pulse(pic, irq, irq)
    assert pic.state()["possible"] == MOST_STATES


# Properties

IRQS = (0, 1, 4, 9, 14)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("line"), st.sampled_from(IRQS), st.booleans()),
        st.tuples(st.just("write"), st.sampled_from((1, 3)), st.sampled_from((0x00, 0x01, 0x40, 0x12, 0xFF))),
        st.tuples(
            st.just("write"), st.sampled_from((0, 2)), st.sampled_from((0x0A, 0x0B, 0x0C, 0x68, 0x48, 0xC3, 0x80))
        ),
        st.tuples(st.just("write"), st.just(4), st.sampled_from((0x00, 0x10))),
        st.tuples(st.just("eoi"), st.sampled_from((0, 2)), st.sampled_from((EOI, ROTATE_EOI, SPECIFIC_EOI))),
        st.tuples(st.just("read"), st.sampled_from((0, 2, 0, 2, 1, 3)), st.none()),
        st.tuples(st.just("cpu"), st.none(), st.none()),
    ),
    max_size=40,
)


def perform(step: tuple[str, int, int], pics: list[I8259Pair], report: Callable[[I8259Pair, int], None]) -> None:
    """Do `step` in the pair that is told of acknowledges and in the one that is not; report what the first reads."""
    kind, where, value = step
    told, untold = pics
    if kind == "cpu":
        if told.intr.level:
            told.acknowledge()
    elif kind == "line":
        for pic in pics:
            pic.request(where)(bool(value))
    elif kind == "write":
        for pic in pics:
            pic.write(where, 1, value)
    elif kind == "read":
        report(untold, told.read(where, 1))
    else:
        in_service = told.state()["pic1_isr" if where == MASTER else "pic2_isr"]
        if in_service:  # guests do not end what they did not get
            level = in_service.bit_length() - 1 if value == SPECIFIC_EOI else 0
            for pic in pics:
                pic.write(where, 1, value | level)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, icw4=st.sampled_from((0x01, 0x03, 0x11)))
def test_inference_never_contradicts_a_pair_that_sees_the_acknowledges(steps: list, icw4: int):
    pics = [pair_with_events(icw4), pair(icw4)]
    last = 0

    def compare(untold: I8259Pair, hw: int) -> None:
        model = untold.read(last, 1)
        if isinstance(model, Unknown):
            assert hw & ~model.mask == model.known
            model.learn(hw & model.mask)
        else:
            assert model == hw
        assert pics[0].bank(last) == untold.bank(last)

    for step in steps:
        last = step[1]
        perform(step, pics, compare)


@given(steps=STEPS)
def test_nothing_is_unknown_while_everything_is_masked(steps: list):
    pic = pair()
    for offset in (1, 3):
        pic.write(offset, 1, 0xFF)
    for kind, where, value in steps:
        if kind == "line":
            pic.request(where)(bool(value))
        elif kind == "eoi" or (kind == "write" and where in (0, 2, 4)):
            pic.write(where, 1, value)
        elif kind == "read":
            assert not isinstance(pic.read(where, 1), Unknown)
    assert pic.state()["possible"] == 1


# Requests from devices that are not on the board


def test_request_at_an_undriven_input_is_assumed_when_irr_shows_it() -> None:
    pic = pair()
    pic.write(SLAVE + 1, 1, 0xFF)
    model = command(pic, SLAVE, READ_IRR)
    assert model == 0
    assert pic.assume(SLAVE, 1, 0x10, model)
    assert pic.read(SLAVE, 1) == 0x10


def test_request_at_an_undriven_input_may_have_been_taken() -> None:
    pic = pair()
    model = command(pic, MASTER, READ_ISR)
    assert pic.assume(MASTER, 1, 0x02, model)
    assert registers(pic, MASTER) == (0, 0x02)


def test_withdrawn_level_at_an_undriven_input_is_assumed() -> None:
    pic = pair()
    pic.write(ELCR1 + 1, 1, 0x04)
    pic.write(SLAVE + 1, 1, 0xFF)
    assert pic.assume(SLAVE, 1, 0x04, command(pic, SLAVE, READ_IRR))
    assert pic.assume(SLAVE, 1, 0x00, pic.read(SLAVE, 1))
    assert pic.read(SLAVE, 1) == 0


def test_withdrawn_edge_at_an_undriven_input_is_not_assumed() -> None:
    """An edge stays latched in IRR, so nothing explains that it is gone."""
    pic = pair()
    pic.write(SLAVE + 1, 1, 0xFF)
    assert pic.assume(SLAVE, 1, 0x04, command(pic, SLAVE, READ_IRR))
    assert not pic.assume(SLAVE, 1, 0x00, pic.read(SLAVE, 1))
    assert pic.read(SLAVE, 1) == 0x04


def test_request_at_a_driven_input_is_not_assumed() -> None:
    pic = pair()
    pic.request(12)
    model = command(pic, SLAVE, READ_IRR)
    assert not pic.assume(SLAVE, 1, 0x10, model)
    assert not pic.assume(SLAVE, 1, 0x30, model)
    assert pic.read(SLAVE, 1) == 0


def test_mask_is_never_assumed() -> None:
    pic = pair()
    assert not pic.assume(MASTER + 1, 1, 0x10, pic.read(MASTER + 1, 1))
