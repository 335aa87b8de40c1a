"""What a guest sees where places overlap, as PCI lets them: the flat view of both buses, kept up to date.

Places that move are claimed here instead of registered with the `IoManager`, which refuses overlaps. Of two claims to
an address the one of higher priority shows, of equal ones the later; the other is hidden there, not lost. A place that
was registered directly is fixed: it counts as a claim from the time when another one first touches it.

Source: QEMU, docs/devel/memory.rst, "Overlapping regions and priority".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from ..bus import IoManager, MmioAddress, MmioRange, PioAddress, PioRange
from ..device import Device, Window

Space = Literal["pio", "mmio"]

BAR_PRIORITY: Final = 1
FIXED_PRIORITY: Final = {"pio": 0, "mmio": 2}
"""A BAR hides an ISA port, but not what QEMU puts over the whole PCI memory space: I/O APIC, HPET, ECAM."""

PINNED_PRIORITY: Final = 9
"""Of what a user has put at an address, whatever the machine maps there later."""


PORTS_END: Final = 0x1_0000


class Claim(NamedTuple):
    """Somebody's wish to answer a range."""

    space: Space
    first: int
    last: int
    device: Any
    """A model, or whatever else a bus holds."""
    at: int
    """Offset in the register space that `first` shows."""
    priority: int
    order: int
    """Unique, ascending by time."""


class FlatView:
    """The overlapping places of one `IoManager`.

    Args:
        io: the buses.
        pinned: models that nothing hides. Others may be added later.
    """

    def __init__(self, io: IoManager, pinned: Sequence[Device] = ()) -> None:
        self._io = io
        self._pinned = pinned
        self._claims: dict[int, Claim] = {}
        self._pieces: dict[tuple[Space, int], int] = {}
        """First addresses of registered ranges, with their last ones."""
        self._orders = 0

    def claim(
        self, space: Space, first: int, size: int, device: Device, at: int = 0, priority: int = BAR_PRIORITY
    ) -> Claim:
        """A new claim, to be given to `change`. Its order says that it is younger than all before it."""
        self._orders += 1
        return Claim(space, first, first + size - 1, device, at, priority, self._orders)

    def change(self, old: Iterable[Claim], new: Iterable[Claim]) -> None:
        """Withdraw claims and put up others."""
        old, new = list(old), list(new)
        for claim in old:
            del self._claims[claim.order]
        for claim in (*old, *new):
            self._adopt(claim)
        self._claims |= {claim.order: claim for claim in new}
        with self._io.batch():
            for claim in (*old, *new):
                self._redraw(claim.space, claim.first, claim.last)

    def _entries(self, space: Space, first: int, last: int) -> list[tuple[int, int, Any]]:
        """What is registered there: first and last address, and the device."""
        bus: Any = self._io.pio_bus if space == "pio" else self._io.mmio_bus
        found = ((entry.base.value, entry.last.value, device) for entry, device in bus)
        return [entry for entry in found if entry[0] <= last and entry[1] >= first]

    def _adopt(self, claim: Claim) -> None:
        """Take over what was registered in a claim's range without this view."""
        space = claim.space
        for first, last, device in self._entries(space, claim.first, claim.last):
            if (space, first) not in self._pieces:
                self._orders += 1
                model, at = (device.device, device.at) if isinstance(device, Window) else (device, 0)
                is_pinned = any(model is each for each in self._pinned)
                priority = PINNED_PRIORITY if is_pinned else FIXED_PRIORITY[space]
                self._claims[-self._orders] = Claim(space, first, last, model, at, priority, -self._orders)
                self._pieces[space, first] = last

    def _redraw(self, space: Space, first: int, last: int) -> None:
        """Register anew what shows in a range."""
        for piece_first, piece_last, _ in self._entries(space, first, last):
            if space == "pio":
                self._io.deregister_pio(PioAddress(piece_first))
            else:
                self._io.deregister_mmio(MmioAddress(piece_first))
            del self._pieces[space, piece_first]
            first, last = min(first, piece_first), max(last, piece_last)
        free = [(first, last)]
        claims = [c for c in self._claims.values() if c.space == space and c.first <= last and c.last >= first]
        for claim in sorted(claims, key=lambda c: (-c.priority, -c.order)):
            rest = []
            for begin, end in free:
                shown_first, shown_last = max(begin, claim.first), min(end, claim.last)
                if shown_first > shown_last:
                    rest.append((begin, end))
                    continue
                self._show(claim, shown_first, shown_last)
                rest += [(begin, shown_first - 1)] if begin < shown_first else []
                rest += [(shown_last + 1, end)] if shown_last < end else []
            free = rest

    def _show(self, claim: Claim, first: int, last: int) -> None:
        at = claim.at + first - claim.first
        device = Window(claim.device, at) if at else claim.device
        if claim.space == "pio":
            self._io.register_pio(PioRange(PioAddress(first), last - first + 1), device)
        else:
            self._io.register_mmio(MmioRange(MmioAddress(first), last - first + 1), device)
        self._pieces[claim.space, first] = last


class Ports:
    """A block of ports that moves as a whole: devices at offsets from a base that the guest sets."""

    def __init__(self, view: FlatView, *devices: tuple[int, int, Device, int]) -> None:
        self._view = view
        self._devices = devices
        """Offset from the base, size, device, offset in its register space."""
        self._base: int | None = None
        self._shown: list[Claim] = []

    def move(self, base: int | None) -> None:
        """Put the block at `base`; None hides it."""
        if base == self._base:
            return
        self._base = base
        claims = []
        if base is not None:
            claims = [
                self._view.claim("pio", base + offset, size, device, at)
                for offset, size, device, at in self._devices
                if base + offset + size <= PORTS_END
            ]
        self._view.change(self._shown, claims)
        self._shown = claims
