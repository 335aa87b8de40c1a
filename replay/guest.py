"""What a trace says about the guest it was recorded from: plain data, from which machines are built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NO_VERSION: Final = (99, 0)
"""Of what a trace does not tell: later than any."""


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of the flat view of an address space."""

    space: str
    """"pio" or "mmio"."""
    first: int
    last: int
    """Address of the last byte, inclusive."""
    name: str
    kind: str = "i/o"
    offset: int = 0
    """Of `first` within the region."""
    snapshot: int = 0
    priority: int = 0

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class PciBar:
    """A base address register of a PCI function."""

    number: int
    """0 to 5; 6 is the expansion ROM."""
    size: int
    """Number of bytes."""
    is_io: bool = False
    is_64: bool = False
    prefetch: bool = False
    address: int | None = None
    """Where it was; None if it was not decoded."""


@dataclass(frozen=True, slots=True)
class PciFunction:
    """A PCI function as QEMU reported it at the end of the recording."""

    bus: int
    slot: int
    function: int
    vendor_id: int
    device_id: int
    class_code: int
    qdev_id: str = ""
    bars: tuple[PciBar, ...] = ()


@dataclass(frozen=True, slots=True)
class Guest:
    """The recorded machine."""

    machine: str
    """QEMU's machine type without its version: "pc", "q35", "microvm"."""
    target: str = "x86_64"
    clock: str = "virtual"
    """"virtual": times are exact device time; "host": the host's monotonic clock; "none": only an order."""
    rtc_base: str | None = None
    """Wall-clock time of the RTC at time 0, ISO 8601 in UTC; None if the recording does not know it."""
    regions: tuple[Region, ...] = ()
    functions: tuple[PciFunction, ...] = ()
    meta: Mapping[str, str | int] = field(default_factory=dict)
    """Every other fact of the trace, as recorded."""

    @property
    def step_ns(self) -> int:
        """How long an instruction takes, in ns, if the guest's time is counted in instructions; else 0."""
        shift = self.meta.get("icount_shift")
        return 1 << shift if isinstance(shift, int) and 0 <= shift < 32 else 0

    @property
    def qemu_version(self) -> tuple[int, int]:
        """Major and minor version of the QEMU that ran the guest; if the trace does not say, `NO_VERSION`."""
        match = re.match(r"(\d{1,3})\.(\d{1,3})", str(self.meta.get("qemu", "")))
        return (int(match[1]), int(match[2])) if match else NO_VERSION

    @property
    def has_typed_input(self) -> bool:
        """Whether characters or keys could reach the guest. A trace that does not say may have had some."""
        return "typed input" in str(self.meta.get("async_sources", "typed input"))

    def find_regions(self, name: str, space: str = "pio") -> list[Region]:
        """All places, in any snapshot, where a region of that name was mapped; each place once."""
        found = {(r.first, r.last): r for r in self.regions if r.name == name and r.space == space}
        return list(found.values())
