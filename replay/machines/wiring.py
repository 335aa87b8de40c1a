"""What the parts of a machine share while its board is built: what the guest had, and the interrupt lines.

A machine is a sequence of parts, each a function that takes a `Wiring` and adds its devices, if the guest had them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal

from ..guest import Guest
from ..irq import Line
from .board import Board
from .pci import Pci
from .replacement import Replacements

Part = Callable[["Wiring"], None]
"""Adds devices to a board."""

Sink = Callable[[bool], None]
"""Takes the level of a line: an input."""

ISA_IRQS: Final = (0, 1, *range(3, 16))
"""The interrupts of the ISA bus; 2 is the cascade of the interrupt controllers."""

TIMER_GSI: Final = 2
"""The global system interrupt that ISA interrupt 0 is connected to, as on all PCs with an I/O APIC."""


class Wiring:
    """A board under construction.

    Args:
        machine: the machine's short name.
        guest: what the trace says of the guest.
        usual: first ports of the regions that such a machine usually has, by QEMU's names of them, for a trace without
            a map of its ports.
        replacements: see `Board`.
    """

    def __init__(
        self,
        machine: str,
        guest: Guest,
        usual: Mapping[str, tuple[int, ...]],
        replacements: Replacements | None = None,
    ) -> None:
        self.guest = guest
        self.board = Board(machine, guest.step_ns, replacements)
        self.pci = Pci(self.board, self.msi)
        self._usual = usual
        self._has_port_map = any(region.space == "pio" for region in guest.regions)
        self._controllers: list[Callable[[int], Sink]] = []
        self._inputs: dict[int, list[Sink]] = {}
        self._interrupts: dict[int, list[Sink]] = {}
        self._behind: list[list[Sink]] = []
        """What interrupts led to before they were intercepted."""
        self._msi: list[Callable[[int, int], None]] = []
        self._gsi_controllers: list[Callable[[int], Sink]] = []
        self._gsi_inputs: dict[int, list[Sink]] = {}

    def places(self, name: str, space: Literal["pio", "mmio"] = "pio") -> list[int]:
        """Where a region of that name begins: each place at which it was mapped at any time, ascending.

        A device is built where the map shows its region. A trace without a map gets the usual devices at their usual
        ports, and nothing in memory.
        """
        if space == "pio" and not self._has_port_map:
            return sorted(self._usual.get(name, ()))
        return sorted({region.first - region.offset for region in self.guest.find_regions(name, space)})

    def irq(self, number: int) -> Line:
        """A new line to ISA interrupt `number`. Where several lines share one, the last change counts.

        I/O APICs hear it as the global system interrupt of the same number, but interrupt 0 as number 2.
        """
        return self.board.hand_out(Line(self.input(number)))

    def input(self, number: int) -> Sink:
        """What a line to interrupt `number` drives, for a device that repeats levels, as no `Line` does."""
        return partial(self._drive, self._sinks(number))

    def intercept(self, number: int, gate: Sink) -> Sink:
        """Put a device between interrupt `number` and the controllers: `gate` hears its lines, made before or later.

        Returns what the device drives instead.
        """
        sinks = self._sinks(number)
        behind = list(sinks)
        self._behind.append(behind)
        sinks[:] = [gate]
        return partial(self._drive, behind)

    def _sinks(self, number: int) -> list[Sink]:
        """Where interrupt `number` leads to: to all controllers that have it, or to what stands before them."""
        if number not in self._interrupts:
            sinks: list[Sink] = [partial(self._drive, self._gsi(TIMER_GSI if number == 0 else number))]
            if number in ISA_IRQS:
                self._inputs[number] = [controller(number) for controller in self._controllers]
                sinks.insert(0, partial(self._drive, self._inputs[number]))
            self._interrupts[number] = sinks
        return self._interrupts[number]

    def finish(self) -> Board:
        """The board, when all its parts were added: lines lead from now on straight to where they end."""
        for sinks in (*self._interrupts.values(), *self._behind):
            sinks[:] = self._ends(sinks)
        return self.board

    def _ends(self, sinks: list[Sink]) -> list[Sink]:
        ends: list[Sink] = []
        for sink in sinks:
            if isinstance(sink, partial) and sink.func is self._drive:
                ends += self._ends(sink.args[0])
            else:
                ends.append(sink)
        return ends

    def gsi(self, number: int) -> Line:
        """A new line to global system interrupt `number`, which only I/O APICs hear; from 16 on there is no ISA one."""
        return self.board.hand_out(Line(partial(self._drive, self._gsi(number))))

    def _gsi(self, number: int) -> list[Sink]:
        if number not in self._gsi_inputs:
            self._gsi_inputs[number] = [controller(number) for controller in self._gsi_controllers]
        return self._gsi_inputs[number]

    def add_gsi_controller(self, request: Callable[[int], Sink]) -> None:
        """Let an I/O APIC hear the global system interrupts: as `add_controller`."""
        self._gsi_controllers.append(request)
        for number, sinks in self._gsi_inputs.items():
            sinks.append(request(number))

    def add_controller(self, request: Callable[[int], Sink]) -> None:
        """Let an interrupt controller hear the ISA interrupts: `request` gives its input for one of them.

        It is asked for those inputs only that a device on the board drives: of the others a controller knows nothing.
        """
        self._controllers.append(request)
        for number, sinks in self._inputs.items():
            sinks.append(request(number))

    def add_msi_target(self, deliver: Callable[[int, int], None]) -> None:
        """Let `deliver(address, data)` hear message signalled interrupts: what devices write to the local APICs."""
        self._msi.append(deliver)

    def msi(self, address: int, data: int) -> None:
        """A message signalled interrupt. A device may keep this method and call it at any time."""
        for deliver in self._msi:
            deliver(address, data)

    @staticmethod
    def _drive(sinks: list[Sink], level: bool) -> None:
        for sink in sinks:
            sink(level)
