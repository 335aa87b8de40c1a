"""Single accesses to a model, made as a replay makes them: for tests that `vmdev reproduce` writes."""

from __future__ import annotations

from .device import Device, Unknown, Unmodelled


def read(device: Device, offset: int, size: int, recorded: int) -> int:
    """The answer to a read of `size` bytes at `offset`, in a recording in which the device gave `recorded`.

    The model learns from it what it declares that only a recording can know, or takes it as input from outside; see
    `Unknown` and `Device.assume`. Then that is the answer.
    """
    answer: object = device.reader(offset, size)()
    if isinstance(answer, Unknown):
        answer.learn(recorded & answer.mask)
        return answer.known | recorded & answer.mask
    if isinstance(answer, int) and not isinstance(answer, Unmodelled) and answer != recorded:
        return recorded if device.assume(offset, size, recorded, answer) else answer
    return answer  # type: ignore[return-value]  # of a broken model, perhaps no number


def write(device: Device, offset: int, size: int, value: int) -> None:
    """A write of `size` bytes at `offset`."""
    device.writer(offset, size)(value)
