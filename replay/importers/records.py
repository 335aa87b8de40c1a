"""What a log tells, as plain data, and what every importer is: lines go in, records come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, NamedTuple

from ..guest import PciFunction, Region

MAX_CPUS: Final = 4096
"""More CPUs than these are no log of a machine's."""

U64_MAX: Final = (1 << 64) - 1

MAX_NS: Final = (1 << 63) - 1


class Access(NamedTuple):
    """An access to a device, as far as the log tells it."""

    space: Literal["pio", "mmio"]
    direction: Literal["r", "w"]
    address: int
    size: int
    """Bytes, 1 to 8."""
    value: int
    """May be wider than the access."""
    vcpu: int = 0
    t_ns: int | None = None
    """By a clock of the log's own; None: the log does not say."""
    pc: int = 0
    region: str = ""
    string: bool = False


class Note(NamedTuple):
    """Something that is no access: an event of the trace."""

    kind: str
    detail: str
    vcpu: int | None = None


class Skipped(NamedTuple):
    """Something in the log that the trace cannot hold; counted under its reason."""

    why: str
    times: int = 1


class Area(NamedTuple):
    """What is mapped somewhere."""

    region: Region


class Function(NamedTuple):
    """A PCI function, with its BARs as QEMU's ``query-pci`` would tell them."""

    function: PciFunction
    bars: Sequence[Mapping[str, object]] = ()


Record = Access | Note | Skipped | Area | Function


class MalformedLineError(Exception):
    """A line is a record of the format, but cannot be read. The message says why."""


class Hints(NamedTuple):
    """What the user says about a log, because the log does not."""

    target: str = "x86_64"
    regions: Sequence[Region] = ()
    """What is mapped where."""
    places: Mapping[str, int] = {}
    """First addresses of devices by name."""


NO_HINTS: Final = Hints()


class Importer:
    """Reads one log. It keeps what it must remember from line to line, and no more."""

    name: ClassVar[str]
    """What ``--format`` calls it."""
    title: ClassVar[str]
    """The format, for people."""

    def __init__(self, hints: Hints = NO_HINTS) -> None:
        self.hints = hints

    @classmethod
    def recognises(cls, line: str) -> bool:
        """Whether a line can only be of this format."""
        raise NotImplementedError

    def feed(self, line: str) -> Sequence[Record] | None:
        """The records of a line, without its end; None: the line is of no concern.

        Raises:
            MalformedLineError: the line is a record, but cannot be read.
        """
        raise NotImplementedError

    def finish(self) -> Sequence[Record]:
        """What is known only at the end."""
        return ()

    @property
    def losses(self) -> Sequence[str]:
        """What the log lacks, a phrase each. To be asked at the end."""
        raise NotImplementedError


def seconds_to_ns(whole: str, fraction: str) -> int:
    """A time in seconds, of which the digits after the point are `fraction`, in ns.

    Raises:
        MalformedLineError: it does not fit 63 bits.
    """
    t_ns = int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    if t_ns > MAX_NS:
        raise MalformedLineError(f"the time {whole[:20]} s is out of range")
    return t_ns


def checked_size(size: int) -> int:
    """The size of an access.

    Raises:
        MalformedLineError: it is not 1 to 8 bytes.
    """
    if not 1 <= size <= 8:
        raise MalformedLineError(f"an access is of 1 to 8 bytes, not {size}")
    return size
