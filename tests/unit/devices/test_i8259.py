"""8259A pair that sees the acknowledges: the data sheet's statements, and where QEMU differs from it."""

from __future__ import annotations

import pytest

from vmdev.replay.device import Unknown
from vmdev.replay.devices.i8259 import REGISTERS, I8259Pair
from vmdev.replay.errors import DeviceConfigError
from vmdev.replay.irq import Line

MASTER, SLAVE = 0, 2
ELCR1, ELCR2 = 4, 5
READ_IRR, READ_ISR, POLL = 0x0A, 0x0B, 0x0C
EOI, ROTATE_EOI, SPECIFIC_EOI, ROTATE_SPECIFIC_EOI, SET_PRIORITY = 0x20, 0xA0, 0x60, 0xE0, 0xC0
SET_SPECIAL_MASK, CLEAR_SPECIAL_MASK = 0x68, 0x48
ICW4_8086, ICW4_AEOI, ICW4_SFNM = 0x01, 0x02, 0x10


def init(pic: I8259Pair, chip: int, icw1: int = 0x11, icw2: int = 0x20, icw4: int = ICW4_8086) -> None:
    """Write the initialization command words that `icw1` calls for."""
    pic.write(chip, 1, icw1)
    pic.write(chip + 1, 1, icw2)
    if not icw1 & 0x02:
        pic.write(chip + 1, 1, 0x04 if chip == MASTER else 0x02)
    if icw1 & 0x01:
        pic.write(chip + 1, 1, icw4)


def pair(icw4: int = ICW4_8086) -> I8259Pair:
    """Initialized as PCs do: vectors 0x20 and 0x28, nothing masked."""
    pic = I8259Pair()
    init(pic, MASTER, icw4=icw4)
    init(pic, SLAVE, icw2=0x28, icw4=icw4 & ~ICW4_SFNM)
    return pic


def pair_with_events(icw4: int = ICW4_8086) -> I8259Pair:
    """The same where acknowledges are reported, so that nothing is inferred."""
    pic = pair(icw4)
    assert pic.acknowledge() == 0x27  # a spurious one, without effect
    return pic


def drive(pic: I8259Pair, irq: int, *levels: bool) -> None:
    for level in levels:
        pic.request(irq)(level)


def pulse(pic: I8259Pair, *irqs: int) -> None:
    for irq in irqs:
        drive(pic, irq, True, False)


def command(pic: I8259Pair, chip: int, value: int) -> int:
    """Write an OCW2 or OCW3 and read the same port."""
    pic.write(chip, 1, value)
    return pic.read(chip, 1)


def registers(pic: I8259Pair, chip: int) -> tuple[int, int]:
    """IRR and ISR; both must be certain."""
    values = command(pic, chip, READ_IRR), command(pic, chip, READ_ISR)
    assert not any(isinstance(value, Unknown) for value in values)
    return values


# Reset and initialization


def test_after_a_reset_the_pair_works_without_initialization():
    """As QEMU: everything is zero, so nothing is masked and vectors start at 0."""
    pic = I8259Pair()
    assert [pic.read(offset, 1) for offset in range(6)] == [0] * 6
    pulse(pic, 3)
    assert pic.intr.level
    assert pic.acknowledge() == 3


def test_reset_returns_to_the_first_state():
    pic = pair()
    pic.write(MASTER + 1, 1, 0xFB)
    pic.write(ELCR1, 1, 0xFF)
    pulse(pic, 0, 9)
    pic.reset()
    assert pic.state() == I8259Pair().state()
    assert not pic.intr.level


def test_icw1_clears_masks_in_service_levels_and_edge_requests():
    """Initialization Command Words, a to f."""
    pic = pair_with_events()
    pulse(pic, 4, 1)
    assert pic.acknowledge() == 0x21
    pic.write(MASTER + 1, 1, 0x40)
    pic.write(MASTER, 1, SET_PRIORITY | 3)
    pic.write(MASTER, 1, SET_SPECIAL_MASK)
    pic.write(MASTER, 1, READ_ISR)
    pic.write(MASTER, 1, 0x11)
    assert pic.read(MASTER, 1) == 0
    assert pic.bank(MASTER) == "IRR"
    assert pic.read(MASTER + 1, 1) == 0
    assert command(pic, MASTER, READ_ISR) == 0
    assert pic.state()["pic1_first"] == 0
    assert pic.state()["pic1_special_mask"] == 0
    assert not pic.intr.level


def test_icw1_keeps_requests_of_level_triggered_inputs_and_elcr():
    """As QEMU: the pending level is still there."""
    pic = pair_with_events()
    pic.write(ELCR1, 1, 0x20)
    drive(pic, 5, True)
    drive(pic, 6, True)
    init(pic, MASTER)
    assert registers(pic, MASTER)[0] == 0x20
    assert pic.read(ELCR1, 1) == 0x20


def test_icw1_resets_the_edge_detector():
    """Initialization Command Words, a: an input must go from low to high again."""
    pic = pair_with_events()
    drive(pic, 1, True)
    init(pic, MASTER)
    assert registers(pic, MASTER)[0] == 0
    drive(pic, 1, False, True)
    assert registers(pic, MASTER)[0] == 0x02


@pytest.mark.parametrize(
    ("icw1", "words"),
    [(0x10, ["ICW2", "ICW3"]), (0x11, ["ICW2", "ICW3", "ICW4"]), (0x12, ["ICW2"]), (0x13, ["ICW2", "ICW4"])],
)
def test_icw1_decides_which_words_follow(icw1: int, words: list[str]):
    """Figure 6, initialization sequence: SNGL leaves out ICW3, IC4=0 leaves out ICW4."""
    pic = I8259Pair()
    pic.write(SLAVE, 1, icw1)
    assert pic.bank(SLAVE) == "ICW1"
    for word in words:
        pic.write(SLAVE + 1, 1, 0x00)
        assert pic.bank(SLAVE + 1) == word
        assert pic.read(SLAVE + 1, 1) == 0
    pic.write(SLAVE + 1, 1, 0x5A)
    assert pic.bank(SLAVE + 1) == "IMR"
    assert pic.read(SLAVE + 1, 1) == 0x5A


def test_icw1_without_icw4_clears_its_functions():
    """Initialization Command Words, f."""
    pic = pair(ICW4_8086 | ICW4_AEOI | ICW4_SFNM)
    init(pic, MASTER, icw1=0x10)
    assert pic.state()["pic1_auto_eoi"] == 0
    assert pic.state()["pic1_special_nested"] == 0


def test_command_words_during_initialization_do_not_end_it():
    """As QEMU."""
    pic = I8259Pair()
    pic.write(MASTER, 1, 0x11)
    pic.write(MASTER, 1, READ_ISR)
    pic.write(MASTER + 1, 1, 0x47)
    assert pic.bank(MASTER + 1) == "ICW2"
    assert pic.state()["pic1_vector"] == 0x40  # T7-T3 only


# Requests


def test_an_edge_is_latched_even_if_the_line_falls_before_the_acknowledge():
    """As QEMU; in the data sheet IR must stay high until INTA."""
    pic = pair_with_events()
    drive(pic, 4, True, False)
    assert registers(pic, MASTER) == (0x10, 0)
    assert pic.acknowledge() == 0x24
    assert registers(pic, MASTER) == (0, 0x10)


def test_a_high_edge_input_requests_once():
    """Edge and Level Triggered Modes: IR can remain high without generating another interrupt."""
    pic = pair_with_events()
    drive(pic, 4, True)
    pic.acknowledge()
    pic.write(MASTER, 1, EOI)
    assert registers(pic, MASTER) == (0, 0)
    assert not pic.intr.level


def test_several_pulses_before_the_acknowledge_are_one_request():
    pic = pair_with_events()
    pulse(pic, 4, 4, 4)
    pic.acknowledge()
    assert registers(pic, MASTER) == (0, 0x10)


@pytest.mark.parametrize("by_elcr", [True, False])
def test_a_level_input_requests_until_it_falls(by_elcr: bool):
    """Edge and Level Triggered Modes: LTIM for all inputs; ELCR for single ones."""
    pic = pair_with_events()
    if by_elcr:
        pic.write(ELCR2, 1, 0x04)
    else:
        init(pic, SLAVE, icw1=0x19, icw2=0x28)
    drive(pic, 10, True)
    assert pic.acknowledge() == 0x2A
    assert registers(pic, SLAVE) == (0x04, 0x04)
    pic.write(SLAVE, 1, EOI)
    pic.write(MASTER, 1, EOI)
    assert pic.acknowledge() == 0x2A
    drive(pic, 10, False)
    assert registers(pic, SLAVE) == (0, 0x04)


def test_elcr_keeps_only_the_bits_of_pci_capable_interrupts():
    """ELCR1 and ELCR2: IRQ 0, 1, 2, 8 and 13 are always edge-triggered."""
    pic = I8259Pair()
    pic.write_any(ELCR1, 2, 0xFFFF)
    assert pic.read_any(ELCR1, 2) == 0xDEF8


def test_there_is_no_outside_request_at_the_cascade():
    for irq in (-1, 2, 16):
        with pytest.raises(DeviceConfigError, match=str(irq)):
            I8259Pair().request(irq)


def test_a_line_drives_a_request():
    pic = pair()
    irq1 = Line(pic.request(1))
    irq1.set(True)
    assert pic.intr.level


# Priorities


def test_higher_levels_interrupt_a_service_lower_ones_wait():
    """Fully Nested Mode."""
    pic = pair_with_events()
    pulse(pic, 4)
    assert pic.acknowledge() == 0x24
    pulse(pic, 4, 6)
    assert not pic.intr.level
    pulse(pic, 1)
    assert pic.acknowledge() == 0x21
    assert registers(pic, MASTER) == (0x50, 0x12)
    pic.write(MASTER, 1, EOI)
    assert not pic.intr.level
    pic.write(MASTER, 1, EOI)
    assert [pic.acknowledge(), registers(pic, MASTER)] == [0x24, (0x40, 0x10)]


def test_a_masked_request_stays_in_irr():
    """Interrupt Masks: IMR acts on the output of IRR."""
    pic = pair_with_events()
    pic.write(MASTER + 1, 1, 0x02)
    pulse(pic, 1)
    assert not pic.intr.level
    assert registers(pic, MASTER) == (0x02, 0)
    pic.write(MASTER + 1, 1, 0x00)
    assert pic.intr.level


def test_the_slave_requests_through_level_2_of_the_master():
    """Cascade Mode: one EOI for each chip."""
    pic = pair_with_events()
    pulse(pic, 12)
    assert registers(pic, MASTER) == (0x04, 0)
    assert pic.acknowledge() == 0x2C
    assert registers(pic, MASTER) == (0, 0x04)
    assert registers(pic, SLAVE) == (0, 0x10)
    pic.write(SLAVE, 1, SPECIFIC_EOI | 4)
    assert registers(pic, SLAVE) == (0, 0)
    pic.write(MASTER, 1, SPECIFIC_EOI | 2)
    assert registers(pic, MASTER) == (0, 0)


@pytest.mark.parametrize("nested", [True, False])
def test_special_fully_nested_mode_lets_a_higher_slave_level_through(nested: bool):
    """The Special Fully Nested Mode, a."""
    pic = pair_with_events(ICW4_8086 | ICW4_SFNM if nested else ICW4_8086)
    pulse(pic, 12)
    pic.acknowledge()
    pulse(pic, 8)
    assert pic.intr.level is nested


def test_specific_rotation_sets_the_lowest_priority():
    """Specific Rotation: with IR5 lowest, IR6 is highest."""
    pic = pair_with_events()
    pic.write(MASTER, 1, SET_PRIORITY | 5)
    pulse(pic, 0, 5, 6)
    assert [pic.acknowledge(), pic.intr.level] == [0x26, False]


def test_rotation_on_non_specific_eoi_makes_the_served_level_the_lowest():
    """Automatic Rotation: IR4 served, then IR6 is before IR4."""
    pic = pair_with_events()
    pulse(pic, 4, 6)
    pic.acknowledge()
    pulse(pic, 4)
    pic.write(MASTER, 1, ROTATE_EOI)
    assert pic.acknowledge() == 0x26


def test_rotation_on_specific_eoi_makes_that_level_the_lowest():
    """Specific Rotation: done by an EOI, too."""
    pic = pair_with_events()
    pulse(pic, 4)
    pic.acknowledge()
    pic.write(MASTER, 1, ROTATE_SPECIFIC_EOI | 4)
    assert registers(pic, MASTER) == (0, 0)
    pulse(pic, 4, 5)
    assert pic.acknowledge() == 0x25


def test_rotation_without_anything_in_service_rotates_only_if_specific():
    """As QEMU."""
    pic = pair_with_events()
    pic.write(MASTER, 1, ROTATE_EOI)
    assert pic.state()["pic1_first"] == 0
    pic.write(MASTER, 1, ROTATE_SPECIFIC_EOI | 2)
    assert pic.state()["pic1_first"] == 3


def test_a_non_specific_eoi_ends_the_highest_level_in_service():
    """End of Interrupt."""
    pic = pair_with_events()
    pulse(pic, 5)
    pic.acknowledge()
    pulse(pic, 3)
    pic.acknowledge()
    pic.write(MASTER, 1, EOI)
    assert registers(pic, MASTER) == (0, 0x20)


def test_ocw2_0x40_does_nothing():
    """Figure 8: R=0, SL=1, EOI=0 is no operation."""
    pic = pair_with_events()
    pulse(pic, 5)
    pic.acknowledge()
    before = pic.state()
    pic.write(MASTER, 1, 0x45)
    assert pic.state() == before
    assert pic.bank(MASTER) == "OCW2"


def test_automatic_eoi_leaves_nothing_in_service():
    """Automatic End of Interrupt Mode."""
    pic = pair_with_events(ICW4_8086 | ICW4_AEOI)
    pulse(pic, 4, 12)
    assert pic.acknowledge() == 0x2C
    assert registers(pic, MASTER) == (0x10, 0)
    assert pic.acknowledge() == 0x24
    assert registers(pic, MASTER) == (0, 0)


@pytest.mark.parametrize(("ocw2", "then"), [(0x80, 0x26), (0x00, 0x24)])
def test_rotation_in_automatic_eoi_mode_can_be_set_and_cleared(ocw2: int, then: int):
    """Automatic Rotation, in AEOI mode."""
    pic = pair_with_events(ICW4_8086 | ICW4_AEOI)
    pic.write(MASTER, 1, 0x80)
    pic.write(MASTER, 1, ocw2)
    pulse(pic, 4)
    pic.acknowledge()
    pulse(pic, 4, 6)
    assert pic.acknowledge() == then


def test_special_mask_mode_lets_all_unmasked_levels_through():
    """Special Mask Mode: only masked levels in service stop inhibiting. As QEMU, at the next event."""
    pic = pair_with_events()
    pulse(pic, 3)
    pic.acknowledge()
    pic.write(MASTER, 1, SET_SPECIAL_MASK)
    pic.write(MASTER + 1, 1, 0x08)
    pulse(pic, 6)
    assert pic.intr.level
    pic.write(MASTER, 1, CLEAR_SPECIAL_MASK)
    assert pic.intr.level
    pic.write(MASTER + 1, 1, 0x08)
    assert not pic.intr.level


def test_special_mask_mode_still_nests_the_unmasked_levels():
    pic = pair_with_events()
    pulse(pic, 3)
    pic.acknowledge()
    pic.write(MASTER, 1, SET_SPECIAL_MASK)
    pulse(pic, 6)
    assert not pic.intr.level


def test_smm_without_esmm_changes_nothing():
    """OCW3: when ESMM = 0 the SMM bit becomes a don't care."""
    pic = pair()
    pic.write(MASTER, 1, SET_SPECIAL_MASK)
    pic.write(MASTER, 1, 0x08)
    assert pic.state()["pic1_special_mask"] == 1


# Spurious interrupts


def test_an_acknowledge_without_request_is_level_7_and_not_in_service():
    """Interrupt Sequence: the default IR7 does not set ISR."""
    pic = pair_with_events()
    assert pic.acknowledge() == 0x27
    assert registers(pic, MASTER) == (0, 0)


def test_a_spurious_interrupt_of_the_slave_is_level_15_and_in_service_at_the_master():
    """Interrupt Sequence: the slave's default IR7, after the master's IR2."""
    pic = pair_with_events()
    pulse(pic, 12)
    pic.write(SLAVE + 1, 1, 0xFF)
    assert pic.acknowledge() == 0x2F
    assert registers(pic, MASTER) == (0, 0x04)
    assert registers(pic, SLAVE) == (0x10, 0)


# Reading


def test_the_selected_status_register_is_remembered():
    """Reading the 8259A Status: no OCW3 is needed before every read."""
    pic = pair_with_events()
    pulse(pic, 4)
    pic.acknowledge()
    assert registers(pic, MASTER) == (0, 0x10)
    assert pic.read(MASTER, 1) == 0x10
    assert pic.bank(MASTER) == "ISR"
    pic.write(MASTER, 1, 0x08)  # RR=0
    assert pic.read(MASTER, 1) == 0x10


def test_a_poll_acknowledges():
    """Poll Command: I and the level; the read is an INTA."""
    pic = pair_with_events()
    pulse(pic, 6, 3)
    assert command(pic, MASTER, POLL) == 0x83
    assert pic.bank(MASTER) == "POLL"
    assert registers(pic, MASTER) == (0x40, 0x08)
    assert command(pic, MASTER, POLL) == 0


def test_a_poll_holds_for_one_read_at_either_address():
    """As QEMU: at A0=1, too."""
    pic = pair_with_events()
    pic.write(MASTER + 1, 1, 0x01)
    pulse(pic, 3)
    pic.write(MASTER, 1, POLL)
    assert pic.read(MASTER + 1, 1) == 0x83
    assert pic.read(MASTER + 1, 1) == 0x01


def test_a_poll_of_the_master_leaves_the_slave_pending():
    pic = pair_with_events()
    pulse(pic, 9)
    assert command(pic, MASTER, POLL) == 0x82
    assert registers(pic, SLAVE) == (0x02, 0)
    assert command(pic, SLAVE, POLL) == 0x81


def test_every_bank_names_a_declared_register():
    pic = pair()
    pulse(pic, 3)
    for value in (0x11, EOI, READ_ISR):
        pic.write(MASTER, 1, value)
        assert REGISTERS.find(MASTER, "w", pic.bank(MASTER))
    named = []
    for value in (READ_IRR, READ_ISR, POLL):
        command(pic, SLAVE, value)
        register = REGISTERS.find(SLAVE, "r", pic.bank(SLAVE))
        named.append(register and register.name)
    assert named == ["PIC2_IRR", "PIC2_ISR", "PIC2_POLL"]


# Who acknowledges


def test_the_vector_is_known_before_the_acknowledge():
    pic = pair_with_events()
    for irqs in ((), (12,), (1,), (1, 12)):
        pulse(pic, *irqs)
        vector = pic.vector
        assert pic.acknowledge() == vector


def test_where_the_cpu_does_not_hear_it_nothing_is_inferred():
    """Its local APIC masks LINT0, or uses it for something else."""
    pic = pair()
    pic.reach(False)
    pulse(pic, 4)
    assert registers(pic, MASTER) == (0x10, 0)
    pic.reach(True)
    pic.reach(True)
    assert isinstance(command(pic, MASTER, READ_ISR), Unknown)


def test_what_was_possible_before_the_cpu_stopped_to_hear_it_stays_possible():
    pic = pair()
    pulse(pic, 4)
    pic.reach(False)
    assert isinstance(command(pic, MASTER, READ_ISR), Unknown)


def test_an_io_apic_can_acknowledge():
    """Mode ExtINT; the CPU may have done so before."""
    pic = pair()
    pic.reach(False)
    pulse(pic, 4, 12)
    assert pic.extint() == 0x2C
    assert registers(pic, SLAVE) == (0, 0x10)


def test_acknowledges_that_will_be_told_are_not_inferred():
    pic = pair()
    pic.expect_acknowledges()
    pulse(pic, 4)
    assert registers(pic, MASTER) == (0x10, 0)
