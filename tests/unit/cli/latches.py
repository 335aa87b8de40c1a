"""A project with two latches: its models and board, and traces of a guest that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vmdev.replay.trace.writer import MetaValue, TraceWriter

MODEL = """
import os
from vmdev.replay.device import Device
from vmdev.replay.machines import Board
from vmdev.replay.registers import Register, RegisterMap, bit

class Latch(Device):
    registers = RegisterMap(Register("LATCH", "Latch", 0, "rw", (bit("LOW", 0), bit("NEXT", 1)), reset=0))
    stuck = 0
    def __init__(self): self.value = 0
    def read(self, offset, size): return self.value & ~self.stuck
    def write(self, offset, size, value): self.value = value
    def reset(self): pass
    def state(self): return {"value": self.value}

class Logging(Latch):
    def write(self, offset, size, value):
        if not hasattr(self, "wrote"):
            self.wrote = True
            with open(os.environ["LATCH_LOG"], "a") as log: print("replay", file=log)
        super().write(offset, size, value)

class Stuck(Latch):
    stuck = 2

def board(guest):
    machine = Board("mine", guest.step_ns)
    machine.add("one", FIRST(), pio=[(0x92, 1)])
    machine.add("two", Latch(), pio=[(0x93, 1)])
    machine.add("unused", Latch(), pio=[(0x94, 1)])
    machine.add("placeless", Latch())
    return machine
"""


def write_trace(
    path: Path, values: tuple[int, ...] = (1, 2, 3), closed: bool = True, meta: Mapping[str, MetaValue] | None = None
) -> Path:
    """A guest that writes to two latches, and reads what it wrote."""
    path.parent.mkdir(exist_ok=True)
    facts: dict[str, MetaValue] = {"machine": "pc", "target": "x86_64", "clock": "virtual", **(meta or {})}
    writer = TraceWriter(path, meta=facts, overwrite=True)
    sites = [
        (writer.add_site(address=port, direction="w", pc=0x100), writer.add_site(address=port, direction="r", pc=0x102))
        for port in (0x92, 0x93)
    ]
    stray = writer.add_site(address=0x999, direction="r")
    for number, value in enumerate(values):
        for write, read in sites:
            writer.add_exit(100 * number, write, value)
            writer.add_exit(100 * number + 10, read, value)
    writer.add_exit(100_000, stray, 0xFF)
    if closed:
        writer.close()
    else:
        writer.suspend()
    return path


def with_board(project: Path, first: str = "Latch") -> None:
    (project / "latch.py").unlink(missing_ok=True)
    (project / "board.py").write_text(MODEL.replace("FIRST", first))
    (project / "pytest.ini").write_text("[pytest]\nvmdev_board = board.py\n")
