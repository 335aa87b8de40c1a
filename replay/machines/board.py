"""A board: one machine's clock, buses and devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, cast

from ..bus import IoManager, MmioAddress, MmioRange, PioAddress, PioRange
from ..clock import Clock
from ..contracts import Contract
from ..device import Device, Window
from ..errors import DeviceConfigError
from ..irq import Line
from ..registers import RegisterMap
from .replacement import Placement, Replacement, Replacements

__all__ = ["Board", "Placement"]

AnyDevice = TypeVar("AnyDevice", bound=Device)


class Interrupts(Protocol):
    """What wants to know when a CPU takes an interrupt."""

    name: str
    """The device to blame for what fails in it."""

    def begin(self) -> None:
        """Every one is going to be told."""

    def take(self, cpu: int, handler: int) -> bool:
        """CPU number `cpu` takes one, to the handler at that address. Whether a controller had one for it."""

    def waits(self, handler: int) -> bool:
        """Whether a controller may yet get one for this handler, before the next exit."""


class Board:
    """What recorded exits are replayed into.

    Args:
        machine: the machine's short name: "pc".
        step_ns: how long an instruction takes, see `Clock`.
        replacements: models that `add` puts in place of those that it is given.
    """

    def __init__(self, machine: str, step_ns: int = 0, replacements: Replacements | None = None) -> None:
        self.machine = machine
        self.clock = Clock(step_ns=step_ns)
        self.io = IoManager()
        self.devices: dict[str, Device] = {}
        """By name, in the order in which they were added, are reset and are reported."""
        self.inputs: dict[str, tuple[str, Callable[[str], None]]] = {}
        """By the kind of a trace's events that tell of input from outside: the device that receives it, and what gives
        it the event's detail."""
        self.contracts: dict[str, list[Contract]] = {}
        """By device: contracts besides those that its model declares."""
        self.interrupts: Interrupts | None = None
        """Hears when a CPU takes an interrupt, if the trace tells."""
        self.lines: dict[str, tuple[Line, ...]] = {}
        """By device: the lines that were handed out for it, that is, since the device before it was added."""
        self.pinned: list[Device] = []
        """Models that a user has put at an address: they stay there."""
        self._handed_out: list[Line] = []
        self._replacements = dict(replacements or {})

    def line(self) -> Line:
        """A new interrupt or signal line, low."""
        return self.hand_out(Line())

    def hand_out(self, line: Line) -> Line:
        """Note a line that the next device is built with."""
        self._handed_out.append(line)
        return line

    def add(
        self,
        name: str,
        device: AnyDevice,
        *,
        pio: Iterable[Placement | tuple[int, int] | tuple[int, int, int]] = (),
        mmio: Iterable[Placement | tuple[int, int] | tuple[int, int, int]] = (),
    ) -> AnyDevice:
        """Put `device` on the board at its places, each (base, size) or (base, size, at), and return it.

        If there is a replacement of that name, it is put there instead, and returned.

        Raises:
            DeviceConfigError: the board has another device of that name, or the device declares no registers.
            BusError: a place is impossible or taken.
        """
        if name in self.devices:
            raise DeviceConfigError(f"the board has two devices named {name!r}")
        self.lines[name] = tuple(self._handed_out)
        self._handed_out.clear()
        replacement = self._replacements.pop(name, None)
        if replacement is not None:
            device = cast(AnyDevice, replacement.make(self, self.lines[name], device))
            if replacement.is_placed:
                pio, mmio = replacement.pio, replacement.mmio
                self.pinned.append(device)
        if not isinstance(getattr(device, "registers", None), RegisterMap):
            raise DeviceConfigError(f"{name} declares no registers: its `registers` has to be a RegisterMap")
        for base, size, at in (Placement(*place) for place in pio):
            self.io.register_pio(PioRange(PioAddress(base), size), Window(device, at) if at else device)
        for base, size, at in (Placement(*place) for place in mmio):
            self.io.register_mmio(MmioRange(MmioAddress(base), size), Window(device, at) if at else device)
        self.devices[name] = device
        return device

    def add_rest(self) -> None:
        """Put up the replacements that replace nothing by their name: what sits in their places makes room.

        Raises:
            DeviceConfigError: one of them has no place.
        """
        for name, replacement in list(self._replacements.items()):
            if not replacement.is_placed:
                known = ", ".join(self.devices)
                raise DeviceConfigError(
                    f"{self.machine} has no device {name!r} to replace, so say where it sits; its devices: {known}"
                )
            evicted = self._evict(replacement)
            lines = [line for old in evicted for line in self.lines[old]]
            del self._replacements[name]
            model = replacement.make(self, lines, None)
            self.pinned.append(self.add(name, model, pio=replacement.pio, mmio=replacement.mmio))

    def _evict(self, replacement: Replacement) -> list[str]:
        """Remove the devices that sit where it is to sit, and return their names."""
        io = self.io
        spaces: tuple[tuple[Any, tuple[Placement, ...]], ...] = (
            (io.pio_bus, replacement.pio),
            (io.mmio_bus, replacement.mmio),
        )
        there = {
            id(device.device if isinstance(device, Window) else device)
            for bus, places in spaces
            for found, device in bus
            for place in places
            if found.base.value < place.base + place.size and place.base <= found.last.value
        }
        for bus, _ in spaces:
            for found, device in list(bus):
                if id(device.device if isinstance(device, Window) else device) in there:
                    bus.deregister(found.base)
        evicted = [name for name, device in self.devices.items() if id(device) in there]
        for name in evicted:
            del self.devices[name]
        return evicted

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
