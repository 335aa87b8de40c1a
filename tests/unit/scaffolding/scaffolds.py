"""Models that are written from a few accesses."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import Any

from vmdev.replay.clock import Clock
from vmdev.replay.device import Device
from vmdev.replay.scaffolding import Described, Inference, Observation, Writer, infer_device
from vmdev.replay.scaffolding.observation import Place, Seen

Access = tuple[str, int, int] | tuple[str, int, int, int]
"""("r" or "w", offset, value) or with the time in ns last; one byte, or with "r2", "w4" and so on as many as that."""


def observation(accesses: Iterable[Access], **more: Any) -> Observation:
    """A device to which this was done."""
    seen = [
        Seen(seq, at[0] if at else 1_000 * seq, offset, int(how[1:] or 1), how[0] == "w", value)
        for seq, (how, offset, value, *at) in enumerate(accesses)
    ]
    found = Observation("boot.db", "virt", "thing", "", (Place("mmio", 0x1000, 0x100),), **more)
    found.accesses = seen
    found.total = len(seen)
    return found


class Built:
    """A model that was written, and the inference that it came from."""

    def __init__(self, seen: Observation, described: Iterable[Described] = ()) -> None:
        self.found: Inference = infer_device(seen, list(described))
        self.writer = Writer(seen, self.found, "built", "thing.svd")
        self.text = self.writer.model()
        self.said = " ".join(self.text.split())
        """The same, whatever the lines."""
        module = types.ModuleType("built")
        sys.modules["built"] = module
        exec(compile(self.text, "built.py", "exec"), module.__dict__)
        self.model: type[Device] = getattr(module, self.writer.class_name)
        self.clock = Clock()
        self.device = self.model.alone(self.clock)
        self._seen = seen

    def __getitem__(self, offset: int) -> Any:
        (register,) = [each for each in self.found.registers if each.offset == offset]
        return register

    def matches(self) -> int:
        """Reads that the model answers as recorded."""
        clock = Clock()
        device = self.model.alone(clock)
        matched = 0
        resets = [*self._seen.resets]
        for seen in self._seen.accesses:
            while resets and resets[0] <= seen.seq:
                device.reset()
                resets.pop(0)
            clock.advance(seen.t_ns)
            if seen.is_write:
                device.write_any(seen.offset, seen.size, seen.value)
            else:
                matched += device.read_any(seen.offset, seen.size) == seen.value
        assert matched == self.found.matched, "the model and the inference differ"
        return matched


def built(accesses: Iterable[Access], described: Iterable[Described] = (), **more: Any) -> Built:
    """The model of a device to which this was done."""
    return Built(observation(accesses, **more), described)
