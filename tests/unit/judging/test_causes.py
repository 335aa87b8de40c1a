"""Which class the evidence of a wrong value points to."""

from __future__ import annotations

from vmdev.replay.judging.causes import find_cause
from vmdev.replay.naming import Piece, differing
from vmdev.replay.registers import Register, bit

PIT_HZ = 1_193_182


def cause(*pieces: Piece, hw: int, model: int, size: int = 1, written: bool = True) -> tuple[str, str]:
    return find_cause(differing(0, pieces, hw, model), pieces, size, hw, model, lambda register: written)


def whole(register: Register) -> Piece:
    return Piece(register, 0, register.width, 0)


def byte(name: str, start: int = 0) -> Piece:
    return Piece(Register(name, name, start // 8, "r"), start, 8, 0)


COUNTER = Register("Counter 2", "", 2, "r", hz=PIT_HZ, counts="down")


def test_a_counter_is_off_by_ticks() -> None:
    found = cause(whole(COUNTER), hw=0x50, model=0x53)
    assert found == ("time", "off by 3 ticks of 1,193,182 Hz, 2.51 µs; the model is behind")


def test_a_counter_wraps_the_short_way() -> None:
    up = Register("TMR", "", 0, "r", width=32, hz=1_000_000_000)
    found = cause(whole(up), hw=0xFFFFFFFF, model=0, size=4)
    assert found == ("time", "off by 1 tick of 1,000,000,000 Hz, 1 ns; the model is ahead")


def test_the_upper_byte_of_a_counter_is_of_256_ticks() -> None:
    upper = Register("Counter 2", "", 2, "r", hz=PIT_HZ, counts="down", step=0x100)
    assert cause(whole(upper), hw=2, model=1)[1].startswith("off by 256 ticks of 1,193,182 Hz, 215 µs")


def test_a_part_without_the_lowest_bit_gives_no_ticks() -> None:
    up = Register("TMR", "", 0, "r", width=32, hz=1_000)
    assert cause(Piece(up, 0, 8, 8), hw=1, model=2) == ("time", "")


def test_fields_of_one_nature_tell_the_class() -> None:
    flags = Register("C", "", 0, "r", (bit("PF", 6), bit("UF", 4), bit("X", 0, nature="outside")), nature="interrupt")
    assert cause(whole(flags), hw=0x40, model=0x10) == ("interrupt", "")
    assert cause(whole(flags), hw=0x01, model=0x00) == ("outside", "")
    assert cause(whole(flags), hw=0x41, model=0x00) == ("logic", "")


def test_a_register_that_is_not_declared() -> None:
    assert cause(Piece(None, 0, 8, 0), hw=1, model=0) == ("register", "the model declares no register there")


def test_an_access_of_several_registers_that_is_refused() -> None:
    found = cause(byte("A"), byte("B", 8), hw=0xFFFF, model=0x1234, size=2)
    assert found == ("width", "the access of 2 bytes is of 2 registers, and the recording answers it with ones")


def test_an_access_of_several_registers_that_repeats_one() -> None:
    found = cause(byte("A"), byte("B", 8), hw=0x3412, model=0x1212, size=2)
    assert found == ("width", "the access of 2 bytes is of 2 registers, and the model repeats one byte")


def test_an_access_of_which_only_the_first_register_is_right() -> None:
    found = cause(byte("A"), byte("B", 8), hw=0x3412, model=0x3512, size=2)
    assert found == ("width", "the access of 2 bytes is of 2 registers; the first agrees, and no other does")


def test_an_access_that_is_not_aligned() -> None:
    wide = Register("W", "", 0, "r", width=32)
    assert cause(Piece(wide, 0, 16, 8), hw=0, model=0x1234, size=2)[0] == "width"
    assert cause(Piece(wide, 0, 8, 8), hw=0, model=0x12) == ("logic", "")


def test_what_nothing_has_written_has_its_reset_value() -> None:
    register = Register("MCR", "", 4, "r", reset=0x08)
    found = cause(whole(register), hw=0x0B, model=0x08, written=False)
    assert found == ("configuration", "the guest has not written it; the model has the declared reset value 0x8")
    found = cause(whole(register), hw=0x08, model=0x00, written=False)
    assert found == ("logic", "the guest has not written it; the recording has the declared reset value 0x8")
    assert cause(whole(register), hw=0x01, model=0x00, written=False) == ("logic", "")
    assert cause(whole(register), hw=0x0B, model=0x08) == ("logic", "")
