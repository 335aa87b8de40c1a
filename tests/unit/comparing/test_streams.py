"""What accesses reach, as a replay and the region map tell it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vmdev.replay.clock import Clock
from vmdev.replay.comparing import Places, Streams, gather, losses
from vmdev.replay.comparing.places import NOBODY, Place
from vmdev.replay.device import Device
from vmdev.replay.devices.mc146818 import Mc146818
from vmdev.replay.devices.pci_config import PciConfig
from vmdev.replay.devices.pci_host import PciHost
from vmdev.replay.guest import Region
from vmdev.replay.machines import Board
from vmdev.replay.registers import Register, RegisterMap
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace import TraceReader, TraceWriter

INDEX, DATA, TOY = 0x70, 0x71, 0x300


class Toy(Device):
    """Fails at offset 1."""

    registers = RegisterMap(Register("ONE", "One", 0, "rw"), Register("TWO", "Two", 1, "rw"))

    def read(self, offset: int, size: int) -> int:
        if offset:
            raise ValueError("no")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        pass

    def reset(self) -> None:
        pass

    def state(self) -> dict[str, int]:
        return {}


class NoMap(Toy):
    registers = RegisterMap()


def board(model: Device | None = None) -> Board:
    made = Board("toy")
    made.add("rtc", Mc146818.alone(Clock()), pio=[(INDEX, 2)])
    made.add("toy", model or Toy(), pio=[(TOY, 2)])
    return made


class Script:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = TraceWriter(path, meta={"machine": "toy", "target": "x86_64"})

    def add(self, direction: Any, address: int, value: int = 0, size: int = 1, **site: Any) -> None:
        number = self.writer.add_site(address=address, direction=direction, size=size, **site)
        self.writer.add_exit(1000 * (self.writer.exit_count + 1), number, value)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path / "trace.db")


def gathered(script: Script, made: Board | None, **options: Any) -> dict[str, list[tuple[str, str, int, int]]]:
    """By device: of each access the direction, the register, the value and the seq."""
    script.writer.close()
    places = Places()
    with TraceReader(script.path) as reader, Streams() as streams:
        replayer = Replayer(reader, made) if made is not None else None
        gather(reader, replayer, made.devices if made is not None else (), places, streams, **options)
        return {
            device: [
                (
                    places[place].direction,
                    "+".join(places.part_name(place, part) for part in places.parts(place)),
                    value,
                    seq,
                )
                for accesses in streams.read(device)
                for place, value, seq in zip(*accesses, strict=True)
            ]
            for device in streams.counts
        }


def test_registers_behind_an_index_are_named(script: Script) -> None:
    for index, value in ((0, 0x10), (4, 0x20), (0x0D, 0x80)):
        script.add("w", INDEX, index)
        script.add("r", DATA, value)
    script.add("w", INDEX, 0x0A0A, 2)
    found = gathered(script, board())["rtc"]
    assert [(direction, name) for direction, name, _, _ in found[1:6:2]] == [
        ("r", "Seconds"), ("r", "Hours"), ("r", "Register D"),
    ]  # fmt: skip
    assert found[-1] == ("w", "Index+Register A", 0x0A0A, 6)
    assert [seq for *_, seq in found] == list(range(7))


def test_registers_of_pci_functions_are_named(script: Script) -> None:
    host = PciHost(functions={0: PciConfig(0x8086, 0x1237, 0x0600), 8: PciConfig(0x8086, 0x7000, 0x0601)})
    made = Board("toy")
    made.add("pci", host, pio=[(0xCF8, 8)])
    for address in (0x80000000, 0x80000800, 0x80000802):
        script.add("w", 0xCF8, address, 4)
        script.add("r", 0xCFC + (address & 3), 0, 2)
    found = gathered(script, made)["pci"]
    assert [name for direction, name, _, _ in found if direction == "r"] == [
        "00:00.0 VID",
        "00:01.0 VID",
        "00:01.0 DID",
    ]


def test_what_no_model_answers_is_placed_by_the_map(script: Script) -> None:
    script.writer.add_regions(
        0,
        0,
        [
            Region("mmio", 0x1000, 0x1FFF, "card", offset=0x200),
            Region("pio", TOY, TOY + 9, "toy"),
            Region("pio", 0, 0xFFFF, "io"),
        ],
    )
    script.add("r", 0x1004, 1, 4, space="mmio", region="card")
    script.add("r", TOY + 4, 2, region="toy")
    script.add("w", 0x99, 3, region="io")
    script.add("w", 0x98, 4)
    script.add("r", TOY, 0, region="toy")
    script.add("r", 0x9000, 5, space="mmio", region="lost")
    assert gathered(script, board()) == {
        "card": [("r", "offset 0x204", 1, 0)],
        "toy (region)": [("r", "offset 0x4", 2, 1)],
        NOBODY: [("w", "pio 0x99", 3, 2), ("w", "pio 0x98", 4, 3)],
        "toy": [("r", "ONE", 0, 4)],
        "lost": [("r", "offset 0x9000", 5, 5)],
    }


def test_without_a_board_all_is_placed_by_the_map(script: Script) -> None:
    script.writer.add_regions(0, 0, [Region("pio", TOY, TOY + 9, "toy")])
    script.add("r", TOY + 1, 2, region="toy")
    done: list[int] = []
    assert gathered(script, None, progress=done.append) == {"toy": [("r", "offset 0x1", 2, 0)]}
    assert sum(done) == 1


def test_a_model_that_fails_is_named_all_the_same(script: Script) -> None:
    script.add("r", TOY + 1, 2)
    script.add("r", TOY, 0)
    assert gathered(script, board()) == {"toy": [("r", "TWO", 2, 0), ("r", "ONE", 0, 1)]}


def test_a_model_without_names_has_offsets(script: Script) -> None:
    script.add("r", TOY, 0)
    assert gathered(script, board(NoMap())) == {"toy": [("r", "offset 0x0", 0, 0)]}


def test_only_wanted_devices_are_gathered(script: Script) -> None:
    script.add("r", TOY)
    script.add("w", INDEX, 1)
    assert list(gathered(script, board(), wanted=("rtc",))) == ["rtc"]


def test_a_trace_without_reads_is_gathered(script: Script) -> None:
    script.add("w", INDEX, 1)
    assert gathered(script, board()) == {"rtc": [("w", "Index", 1, 0)]}


def test_of_ins_only_the_first_element_if_the_other_has_no_more(script: Script) -> None:
    script.add("r", TOY, 1, string=True)
    script.add("r", TOY, 2, string=True)
    script.add("w", TOY, 3)
    script.add("r", TOY, 4, string=True)
    script.writer.close()
    places = Places()
    with TraceReader(script.path) as reader, Streams() as streams:
        recording = gather(reader, None, (), places, streams, other_format="ftrace", name="log")
    assert recording.left_out == {losses.ELEMENTS: 1}
    assert recording.subject.name == "log"


def test_no_ports_if_the_other_has_none(script: Script) -> None:
    script.add("r", TOY, 1)
    script.add("r", 0x1000, 1, space="mmio", region="card")
    assert list(gathered(script, board(), other_format="mmiotrace")) == ["card"]


def test_more_than_a_block_is_read_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with Streams() as streams:
        for n in range(10):
            for device in ("a", "b"):
                columns = streams.pending(device, n % 3)
                columns.places.append(n % 3)
                columns.values.append((1 << 64) - 1 - n)
                columns.seqs.append(n)
            streams.keep(3)
        streams.keep(1)
        read = [list(zip(*accesses, strict=True)) for accesses in streams.read("b")]
        assert [len(block) for block in read] == [3, 3, 3, 1]
        assert [row for block in read for row in block] == [(n % 3, (1 << 64) - 1 - n, n) for n in range(10)]
        assert set(streams.places("a")) == {0, 1, 2}
        assert not streams.places("c")
        assert not list(streams.read("c"))


def test_places_without_banks_are_the_same_place() -> None:
    places = Places()
    assert places.number(Place("toy", "r", 0, 2, (None, None))) == places.number(Place("toy", "r", 0, 2))
    banked = places.number(Place("toy", "r", 0, 2, (None, "one")))
    assert places[places.piece(banked, 0, 1)].banks == ()
    assert places[places.piece(banked, 1, 1)].banks == ("one",)
    assert len(places) == 4
