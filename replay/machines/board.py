"""A board: one machine's clock, buses and devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from ..bus import IoManager, MmioAddress, MmioRange, PioAddress, PioRange
from ..clock import Clock
from ..device import Device, Window
from ..errors import DeviceConfigError
from ..irq import Line

AnyDevice = TypeVar("AnyDevice", bound=Device)


class Placement(NamedTuple):
    """Where a part of a device's register space sits on a bus."""

    base: int
    """First port or address."""
    size: int
    """Number of bytes."""
    at: int = 0
    """The offset in the register space that `base` shows."""


class Board:
    """What recorded exits are replayed into.

    Args:
        machine: the machine's short name: "pc".
        step_ns: how long an instruction takes, see `Clock`.
    """

    def __init__(self, machine: str, step_ns: int = 0) -> None:
        self.machine = machine
        self.clock = Clock(step_ns=step_ns)
        self.io = IoManager()
        self.devices: dict[str, Device] = {}
        """By name, in the order in which they were added, are reset and are reported."""
        self.inputs: dict[str, tuple[str, Callable[[str], None]]] = {}
        """By the kind of a trace's events that tell of input from outside: the device that receives it, and what gives
        it the event's detail."""

    def line(self) -> Line:
        """A new interrupt or signal line, low."""
        return Line()

    def add(
        self,
        name: str,
        device: AnyDevice,
        *,
        pio: Iterable[Placement | tuple[int, int] | tuple[int, int, int]] = (),
        mmio: Iterable[Placement | tuple[int, int] | tuple[int, int, int]] = (),
    ) -> AnyDevice:
        """Put `device` on the board at its places, each (base, size) or (base, size, at), and return it.

        Raises:
            DeviceConfigError: the board has another device of that name.
            BusError: a place is impossible or taken.
        """
        if name in self.devices:
            raise DeviceConfigError(f"the board has two devices named {name!r}")
        for base, size, at in (Placement(*place) for place in pio):
            self.io.register_pio(PioRange(PioAddress(base), size), Window(device, at) if at else device)
        for base, size, at in (Placement(*place) for place in mmio):
            self.io.register_mmio(MmioRange(MmioAddress(base), size), Window(device, at) if at else device)
        self.devices[name] = device
        return device

    def reset(self, on_error: Callable[[str, Exception], None] | None = None) -> None:
        """Reset every device, as the machine's reset line does.

        Without `on_error` a model's exception ends the reset; with it, `on_error(name, error)` is called and the
        other devices are still reset.
        """
        for name, device in self.devices.items():
            try:
                device.reset()
            except Exception as error:
                if on_error is None:
                    raise
                on_error(name, error)
