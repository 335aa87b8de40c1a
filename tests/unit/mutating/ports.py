"""A board of two small devices, and recordings of guests that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vmdev.replay.bus import PioAddress
from vmdev.replay.clock import Clock
from vmdev.replay.contracts import Contract
from vmdev.replay.device import Device, Unknown
from vmdev.replay.guest import Guest
from vmdev.replay.irq import Line
from vmdev.replay.machines import Board
from vmdev.replay.minimizing import Bench
from vmdev.replay.registers import Field, Register, RegisterMap, bit
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.writer import TraceWriter

CTRL, STAT, DATA, BANKED, LEVEL = range(0x90, 0x95)
RESET = -1
"""Instead of a port: the machine is reset."""

Step = tuple[int, int | None]
"""A port, and what is written there; None: it is read."""


class Port(Device):
    """Writes to DATA make STAT.RDY, and the line if CTRL.EN; reading STAT clears it. CTRL.BANK selects X or Y."""

    registers = RegisterMap(
        Register("CTRL", "Control", 0, "rw", (bit("EN", 0), Field("BANK", 2, 1)), reset=0),
        Register("STAT", "Status", 1, "r", (bit("RDY", 0), bit("IN", 1, nature="outside")), reset=0),
        Register("DATA", "Data", 2, "rw", reset=0),
        Register("X", "In bank 0", 3, "rw", bank="0"),
        Register("Y", "In others", 3, "rw", bank="1"),
        banks=("0", "1"),
    )
    contracts: tuple[Contract, ...] = ()

    def __init__(self, clock: Clock, irq: Line) -> None:
        self._irq = irq
        self._outside = 0
        self.reset()

    def reset(self) -> None:
        self._ctrl = self._stat = self._data = 0
        self._cells: list[int | None] = [None, 0]
        self._update()

    def bank(self, offset: int) -> str | None:
        return "1" if self._ctrl & 6 else "0"

    def read(self, offset: int, size: int) -> int:
        if offset == 0:
            return self._ctrl
        if offset == 1:
            stat, self._stat = self._stat, 0
            self._update()
            return stat | self._outside
        if offset == 2:
            return self._data
        number = int(self.bank(3) or 0)
        cell = self._cells[number]
        return Unknown(0, 0xFF, lambda value: self._learn(number, value)) if cell is None else cell

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 0:
            self._ctrl = value & 7
        elif offset == 2:
            self._data = value
            self._stat = 1
        elif offset == 3:
            self._cells[int(self.bank(3) or 0)] = value
        self._update()

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        if offset == 1 and hw ^ model == 2:
            self._outside = hw & 2
            return True
        return False

    def state(self) -> Mapping[str, int]:
        cells = {f"cell{number}": -1 if cell is None else cell for number, cell in enumerate(self._cells)}
        return {"ctrl": self._ctrl, "stat": self._stat, "data": self._data, "outside": self._outside, **cells}

    def _learn(self, number: int, value: int) -> None:
        self._cells[number] = value

    def _update(self) -> None:
        self._irq.set(bool(self._stat and self._ctrl & 1))


class Level(Device):
    """Shows how often a line went up."""

    registers = RegisterMap(Register("COUNT", "Rising edges", 0, "r", reset=0))

    def __init__(self) -> None:
        self.count = 0

    def change(self, level: bool) -> None:
        self.count += level

    def read(self, offset: int, size: int) -> int:
        return self.count & 0xFF

    def write(self, offset: int, size: int, value: int) -> None:
        pass

    def reset(self) -> None:
        self.count = 0

    def state(self) -> Mapping[str, int]:
        return {"count": self.count}


def make_board(guest: Guest | None = None, model: Callable[[Clock, Line], Device] = Port) -> Board:
    board = Board("ports")
    level = Level()
    line = board.line()
    line.connect(level.change)
    board.add("port", model(board.clock, line), pio=[(CTRL, 4)])
    board.add("level", level, pio=[(LEVEL, 1)])
    board.add("idle", Level())
    return board


def record(path: Path, steps: Iterable[Step], told: Mapping[int, int] | None = None, made: Board | None = None) -> Path:
    """A recording of a guest that makes these accesses; `told` has what single steps read in place of the model's."""
    board = made or make_board()
    with TraceWriter(path, meta={"machine": "ports", "target": "x86_64", "clock": "virtual"}, overwrite=True) as writer:
        for number, (port, written) in enumerate(steps):
            if port == RESET:
                writer.add_event("reset", vcpu=0)
                board.reset()
                continue
            board.clock.advance(1_000_000 * number)
            data = bytearray([written or 0])
            if written is None:
                board.io.pio_read(PioAddress(port), data)
            else:
                board.io.pio_write(PioAddress(port), data)
            value = (told or {}).get(number, data[0])
            site = writer.add_site(address=port, direction="r" if written is None else "w")
            writer.add_exit(1_000_000 * number, site, value)
    return path


def bench(model: Callable[[Clock, Line], Device] = Port) -> Bench:
    return Bench(
        lambda guest: make_board(guest, model),
        lambda trace, board, selection: Replayer(trace, board, name="trace", selection=selection),
    )


USES_ALL: list[Step] = [
    (CTRL, None), (CTRL, 1), (DATA, 0x55), (LEVEL, None), (STAT, None), (STAT, None), (DATA, None), (CTRL, None),
    (BANKED, None), (BANKED, 7), (BANKED, None), (CTRL, 3), (BANKED, None), (BANKED, 9), (BANKED, None), (LEVEL, None),
]  # fmt: skip
"""A guest that uses every register."""
