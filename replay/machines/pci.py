"""PCI of a machine: functions with their configuration spaces, BARs that move, interrupt lines and MSI-X tables.

The functions are built from what the trace says of them. A part of the machine that has a model of one finds it by its
identities and says what its BARs show; the model then answers wherever the guest puts the BAR, as long as the guest
has decoding enabled, and nothing needs to be registered. A function that nobody knows has a configuration space, too.

    def add_e1000(wiring: Wiring) -> None:
        for function in wiring.pci.find(0x8086, 0x100E):
            nic = wiring.board.add(f"e1000@{function.name}", E1000(wiring.board.clock, function.intx))
            function.show(0, nic)  # BAR 0: the register space from its beginning
            function.show(1, nic, at=E1000.IO_AT)  # BAR 1: from IO_AT on

`show` takes a part of a BAR, too (`first`, `size`), and may be called for several devices. `function.config` is the
configuration space: what it lacks is declared there (`PciConfig`, devices/pci_capabilities.py). `function.intx` is a
line to drive with the level of the function's interrupt; `function.msix`, if there is one, takes `notify(vector)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from ..device import Device
from ..devices import pci_capabilities
from ..devices.msix_table import PENDING, MsixTable
from ..devices.pci_bridge import IO_BASE, WINDOWS_SIZE, PciBridge
from ..devices.pci_config import BAR_0, COMMAND, PciConfig, Space
from ..devices.pci_host import PciHost, function_name
from ..guest import PciFunction
from ..irq import Line
from .board import AnyDevice, Board
from .flat_view import Claim, FlatView
from .pirqs import Pirqs

if TYPE_CHECKING:
    from .interrupt_router import Router

INTX_PINS: Final = 4


class Function:
    """A PCI function on the board."""

    def __init__(self, pci: Pci, what: PciFunction, config: PciConfig, parent: Function | None) -> None:
        self.what = what
        self.name = function_name(what.bus, what.slot << 3 | what.function)
        """``00:01.1``, with the bus number that the trace has of it."""
        self.config = config
        self.parent = parent
        """The function of the bridge that it is behind."""
        self.intx = Line(config.interrupt)
        """Drive it with the level of the function's interrupt."""
        self.msix: MsixTable | None = None
        self._pci = pci
        self._windows: list[tuple[int, int, int | None, Device, int]] = []
        self._shown: list[Claim] = []
        self._bridges: list[PciBridge] = []
        """On the way from the root bus, nearest first."""
        bars = 8 if isinstance(config, PciBridge) else 24
        for offset, size in ((COMMAND, 2), (BAR_0, bars), (config.rom_base, 4)):
            config.watch(offset, size, self.remap)
        above = parent
        while above is not None:
            assert isinstance(above.config, PciBridge)
            self._bridges.append(above.config)
            for offset, size in ((COMMAND, 2), (IO_BASE, WINDOWS_SIZE)):
                above.config.watch(offset, size, self.remap)
            above = above.parent

    @property
    def bridge(self) -> PciBridge | None:
        """The bridge that it is behind; None on the root bus."""
        return self._bridges[0] if self._bridges else None

    def show(self, bar: int, device: Device, *, at: int = 0, first: int = 0, size: int | None = None) -> None:
        """Let BAR number `bar` show `device`.

        Args:
            bar: its number; 6 is the expansion ROM.
            device: what answers there.
            at: the offset in the device's register space that is shown.
            first: where in the BAR that begins.
            size: how many bytes are shown; by default all up to the BAR's end.
        """
        self._windows.append((bar, first, size, device, at))
        self.remap()

    def add_msix(self, offset: int, vectors: int, table: tuple[int, int], pending: tuple[int, int]) -> MsixTable:
        """Give it MSI-X with its table, at (BAR, offset in it), and its pending bits."""
        capability = pci_capabilities.add_msix(self.config, offset, vectors, table, pending)
        return self.show_msix(capability, vectors, table, pending)

    def show_msix(
        self, capability: int | None, vectors: int, table: tuple[int, int], pending: tuple[int, int]
    ) -> MsixTable:
        """Put up an MSI-X table; `capability` is the offset of what controls it, if that is known."""
        device = self.msix = self._pci.board.add(f"msix@{self.name}", MsixTable(vectors, self._pci.send))
        self.show(table[0], device, first=table[1], size=device.table_size)
        self.show(pending[0], device, at=PENDING, first=pending[1], size=device.pending_size)
        if capability is not None:
            self.config.watch(capability + 2, 2, lambda: device.control(self.config.peek(capability + 2, 2)))
        return device

    def add_device(self, name: str, device: AnyDevice) -> AnyDevice:
        """Put a device of the function on the board, as ``name@00:01.0``."""
        return self._pci.board.add(f"{name}@{self.name}", device)

    def when_built(self, action: Callable[[], None]) -> None:
        """Do something when all functions are on the board."""
        self._pci.actions.append(action)

    def remap(self) -> None:
        """Put what the BARs show where the guest has them now."""
        places = list(self._places())
        if [(c.space, c.first, c.last, c.device, c.at) for c in self._shown] == places:
            return
        view = self._pci.view
        claims = [view.claim(space, first, last - first + 1, device, at) for space, first, last, device, at in places]
        view.change(self._shown, claims)
        self._shown = claims

    def _places(self) -> Iterator[tuple[Space, int, int, Device, int]]:
        for bar, first, size, device, at in self._windows:
            where = self.config.decoded(bar) if bar in self.config.bars else None
            if where is None:
                continue
            space, base = where
            length = self.config.bars[bar].size - first
            begin, end = base + first, base + first + (length if size is None else min(size, length)) - 1
            for visible_first, visible_last in self._visible(space, begin, end):
                yield space, visible_first, visible_last, device, at + visible_first - begin

    def _visible(self, space: Space, first: int, last: int) -> list[tuple[int, int]]:
        """What the bridges on the way pass of a range."""
        ranges = [(first, last)]
        for bridge in self._bridges:
            windows = bridge.forwards(space)
            ranges = [
                (max(a, begin), min(b, end)) for a, b in ranges for begin, end in windows if a <= end and b >= begin
            ]
        return ranges


class Pci:
    """The PCI of one board, empty until the chipset is built. `send` takes the message signalled interrupts."""

    def __init__(self, board: Board, send: Callable[[int, int], None]) -> None:
        self.board = board
        self.send = send
        self.view = FlatView(board.io, board.pinned)
        self.host: PciHost | None = None
        """None on a machine without PCI."""
        self.functions: dict[str, Function] = {}
        """By name."""
        self.pirqs = Pirqs()
        self.actions: list[Callable[[], None]] = []
        """What remains to be done when all functions are there."""
        self.router: Router | None = None
        """From the request lines of the root bus to interrupts."""

    def add(self, what: PciFunction, config: PciConfig, parent: Function | None = None) -> Function:
        """Put a function on the board, on the root bus or behind a bridge."""
        assert self.host is not None
        function = Function(self, what, config, parent)
        self.board.add(f"pci@{function.name}", config)
        root = what.bus if parent is None else 0
        self.host.attach(config, what.slot << 3 | what.function, function.bridge, root)
        self.functions[function.name] = function
        config.intx.connect(partial(self._interrupt, function))
        return function

    def find(self, vendor_id: int, *device_ids: int) -> list[Function]:
        """The functions with such identities; without device identities all of the vendor's."""
        return [
            function
            for function in self.functions.values()
            if function.what.vendor_id == vendor_id and (not device_ids or function.what.device_id in device_ids)
        ]

    def find_class(self, class_code: int) -> list[Function]:
        """The functions of a class: base class << 8 | subclass."""
        return [function for function in self.functions.values() if function.what.class_code == class_code]

    def _interrupt(self, function: Function, level: bool) -> None:
        """Each bridge on the way turns the pins by the slot number; the root bus has lines of the chipset's."""
        pin = max(function.config.pin - 1, 0)
        source = function
        while source.parent is not None:
            pin = (pin + source.what.slot) % INTX_PINS
            source = source.parent
        self.pirqs.set(source.what.slot, pin, function, level)
