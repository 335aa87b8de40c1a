"""Recordings of one device, made up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from vmdev.replay.comparing.comparison import Comparison, Subject
from vmdev.replay.comparing.finding import Recording, compare
from vmdev.replay.comparing.places import Place, Places
from vmdev.replay.comparing.streams import Streams
from vmdev.replay.naming import Piece
from vmdev.replay.registers import Direction, Register, bit

STATUS = Register("STATUS", "Status", 0, "rw", (bit("BUSY", 7), bit("ERR", 0)))
DATA = Register("DATA", "Data", 1, "rw")
COUNT = Register("COUNT", "Counter", 2, "r", width=16)
REGISTERS = {register.offset: register for register in (STATUS, DATA, COUNT)}


class Made(NamedTuple):
    """An access."""

    direction: Direction
    offset: int
    value: int
    size: int = 1
    device: str = "toy"
    space: str = ""


def r(offset: int, value: int, size: int = 1, device: str = "toy", space: str = "") -> Made:
    return Made("r", offset, value, size, device, space)


def w(offset: int, value: int, size: int = 1, device: str = "toy", space: str = "") -> Made:
    return Made("w", offset, value, size, device, space)


def parts(made: Made) -> tuple[Piece, ...]:
    found: list[Piece] = []
    at = 0
    while at < made.size:
        register = REGISTERS.get(made.offset + at) if made.device == "toy" else None
        size = min(made.size - at, register.width // 8) if register else 1
        found.append(Piece(register, 8 * at, 8 * size, 0))
        at += size
    return tuple(found)


def fill(streams: Streams, places: Places, accesses: Iterable[Made]) -> None:
    for seq, made in enumerate(accesses):
        place = Place(made.device, made.direction, made.offset, made.size, space=made.space)
        number = places.number(place, lambda made=made: parts(made))  # type: ignore[misc]
        columns = streams.pending(made.device, number)
        columns.places.append(number)
        columns.values.append(made.value)
        columns.seqs.append(seq)
        streams.keep()
    streams.keep(1)


@contextmanager
def recorded(places: Places, name: str, accesses: Iterable[Made], form: str = "") -> Iterator[Recording]:
    with Streams() as streams:
        fill(streams, places, accesses)
        yield Recording(Subject(name, "pc", "x86_64", "virtual", 0, format=form), streams, frozenset({("toy", "DATA")}))


def compared(a: Iterable[Made], b: Iterable[Made], *, formats: tuple[str, str] = ("", "")) -> Comparison:
    """What differs; what is counted adds up."""
    places = Places()
    with recorded(places, "a.db", a, formats[0]) as first, recorded(places, "b.db", b, formats[1]) as second:
        found = compare(first, second, places)
    found.strict = True
    for device in found.devices:
        both = device.pairs + device.moved
        assert device.a == both + device.only_a + device.repeats_a + device.declared_a
        assert device.b == both + device.only_b + device.repeats_b + device.declared_b
        assert device.differing <= both
    return found
