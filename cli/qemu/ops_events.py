"""A second witness: QEMU's own trace events ``memory_region_ops_read`` and ``_write``, and its log ``invalid_mem``.

The events fire for every access that reaches a device, ports included, after QEMU has split or widened the access to
what the device implements; the log has a line for every access that no device accepts. They know no instruction, no
time and no address space, but they come from another place in QEMU than the recorder's callbacks: if both tell the
same story, CPU by CPU and in the same order, the recording is complete.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

EVENTS: Final = ("memory_region_ops_read", "memory_region_ops_write")

LOG_ITEMS: Final = "invalid_mem"
"""What ``-d`` has to be given."""

REFUSED: Final = -2
"""The CPU of an access that no device accepts: the log does not say which it was."""

QEMU_ITSELF: Final = -1

_LINE: Final = re.compile(
    r"memory_region_ops_(read|write) cpu (-?\d+) mr \S+ addr (0x[0-9a-f]+) value (0x[0-9a-f]+) "
    r"size (\d+)(?: name '(.*)')?"
)
_REFUSAL: Final = re.compile(r"Invalid (read|write) at addr (0x[0-9a-fA-F]+), size (\d+), region '(.*)', reason: ")

_LOOKAHEAD: Final = 64
"""How far a lost access is looked for. Wider than one access can be split: 16."""

_PIECES_OF_ONE_IN: Final = 4

_APIC: Final = "apic-msi"
_APIC_REGISTERS: Final = 0xFF0
_GICV2M: Final = "gicv2m"
_GICV2M_PAGE: Final = 0xFFF
_GICV2M_SETSPI_NS: Final = 0x040
_LSI_RAM: Final = "lsi-ram"


class Access(NamedTuple):
    """An access as the recorder saw it."""

    seq: int
    vcpu: int
    direction: str
    address: int
    size: int
    value: int
    region: str
    offset: int
    """`address` within the region, as the region map has it; the address itself where nothing is mapped."""
    elsewhere: tuple[int, ...] = ()
    """The other addresses at which the region map has the same place of a region of this name."""


class UnknownAccess(NamedTuple):
    """A port access of which the recorder could not tell the value, or not whether it was made at all."""

    seq: int
    vcpu: int
    kind: str
    """The event's in the trace: "unread-in" or "refused-io"."""
    port: int
    size: int


class OpsEvent(NamedTuple):
    """An access as a device saw it, or as none did (`cpu` is `REFUSED`, `value` 0, `address` within the region)."""

    cpu: int
    direction: str
    address: int
    size: int
    value: int
    region: str


@dataclass(slots=True)
class Agreement:
    """How two witnesses of one run compare."""

    regions: dict[str, Counter[str]] = field(default_factory=dict)
    """Recorded accesses by region, and there by the rule that explains each; see `compare`."""
    others: Counter[str] = field(default_factory=Counter)
    """Events that are explained without a recorded access: "interrupt", "script", "faulted", "after the end", and the
    kinds of `UnknownAccess`."""
    unexplained: list[Access] = field(default_factory=list)
    """Recorded accesses of which QEMU tells nothing, or something else."""
    lost: list[OpsEvent] = field(default_factory=list)
    """Events that no recorded access accounts for."""

    @property
    def complete(self) -> bool:
        """Whether every access and every event is explained."""
        return not self.unexplained and not self.lost

    @property
    def rules(self) -> Counter[str]:
        """Recorded accesses by rule, of all regions."""
        return sum(self.regions.values(), Counter())

    @property
    def lost_by_region(self) -> Counter[str]:
        """The events that no recorded access accounts for, by region."""
        return Counter(event.region for event in self.lost)


def parse_events(lines: Iterable[str]) -> Iterator[OpsEvent]:
    """The events that CPUs caused; those of other threads ("cpu -1": DMA, timers) are left out."""
    for line in lines:
        found = _LINE.search(line)
        if found:
            cpu = int(found[2])
            if cpu != QEMU_ITSELF:
                yield OpsEvent(cpu, found[1][0], int(found[3], 16), int(found[5]), int(found[4], 16), found[6] or "")
        elif refusal := _REFUSAL.search(line):
            name = "" if refusal[4] == "(null)" else refusal[4]
            yield OpsEvent(REFUSED, refusal[1][0], int(refusal[2], 16), int(refusal[3]), 0, name)


def compare(
    accesses: Iterable[Access | UnknownAccess],
    events: Iterable[OpsEvent],
    *,
    cut: bool = False,
    faults: bool = False,
) -> Agreement:
    """Pair recorded accesses with QEMU's events, for each CPU in order.

    Each access must be explained by one of these rules, all of which take an event or a line of the log for it; so
    there is none that explains an access that QEMU did not make, or an event of an access that was not recorded:

    - exact: the device saw what the guest asked.
    - split: the device implements narrower accesses only, or the address is not aligned; it saw several, at rising
      addresses (``access_with_adjusted_size`` in QEMU's system/memory.c, ``int_ld_mmio_beN`` in accel/tcg/cputlb.c).
    - widened: the device implements wider accesses only; the guest's is a part of what it saw.
    - swapped: as these, for a device or an instruction (MOVBE) of the other byte order.
    - aliased: as these, for a region that is mapped through an alias; the event has the address within the region, or
      where it is mapped itself (``memory_region_to_absolute_addr`` does not know the alias): an RTL8139's registers
      are at ports, and their alias is in memory. Two devices of one name could be taken for each other.
    - refused: no device is there, or it does not accept this size; a read gives 0 (``memory_region_access_valid``).

    Four kinds of events are nobody's access. The first two are a device's own: it makes them in the CPU's thread if it
    reacts to an access, or to a timer under icount, and QEMU then takes them for the CPU's. An access that was recorded
    is paired all the same. If the guest made such an access and the recorder lost it, it would be counted as the
    device's: of these, this comparison proves nothing.

    - interrupt: on x86 a device raises an interrupt by a write to the local APIC's page where no register is
      (``apic_mem_write``: offset 0 to 15 of a page), on Arm by one to the GICv2m's register SETSPI_NS (offset 0x040).
      A guest has no reason to write there, unless it tests the interrupts themselves.
    - script: the LSI 53C895A reads its SCRIPTS, and what they load, from its own RAM, and what they store there is
      known by the fetch before it: the second word of STORE is the address. A guest has little reason to read there:
      Linux's driver writes it, and reads only to learn where it is and how far a script got. A guest's own writes are
      not excused.
    - faulted (`faults`): where the CPU takes an exception for an access that no device accepts, the access has no value
      and is not recorded; a fetch of an instruction is not either.
    - after the end (`cut`): the recording was ended by a limit, and the guest went on until QEMU was stopped. It
      cannot have been earlier than the last access of any CPU, but for the one IN a CPU can be in the middle of.

    An `UnknownAccess` takes the events of its port if they come next.
    """
    return _Comparison(events, cut, faults).run(accesses)


class _Comparison:
    def __init__(self, events: Iterable[OpsEvent], cut: bool, faults: bool) -> None:
        self._events = self._number(events)
        self._stored: set[int] = set()  # the numbers of what an LSI's scripts have stored in its RAM
        self._ahead: dict[int, deque[tuple[int, OpsEvent]]] = {REFUSED: deque()}
        self._ended = False
        self._last_used = -1
        self._cut = cut
        self._faults = faults
        self._agreement = Agreement()

    def _number(self, events: Iterable[OpsEvent]) -> Iterator[tuple[int, OpsEvent]]:
        before: dict[int, OpsEvent] = {}  # by CPU
        for number, event in enumerate(events):
            last = before.get(event.cpu, event)
            fetch = (last.direction, last.region, last.value)
            if (event.direction, event.region) == ("w", _LSI_RAM) and fetch == ("r", _LSI_RAM, event.address):
                self._stored.add(number)
            before[event.cpu] = event
            yield number, event

    def run(self, accesses: Iterable[Access | UnknownAccess]) -> Agreement:
        for access in accesses:
            ahead = self._ahead.get(access.vcpu)
            if ahead is None or len(ahead) < _LOOKAHEAD:
                ahead = self._fill(access.vcpu)
            if isinstance(access, UnknownAccess):
                self._take_unknown(access, ahead)
                continue
            rule = self._take(access, ahead)
            if rule is None:
                self._agreement.unexplained.append(access)
                rule = "unexplained"
            self._agreement.regions.setdefault(access.region, Counter())[rule] += 1
        self._account_for_rest()
        return self._agreement

    def _fill(self, vcpu: int) -> deque[tuple[int, OpsEvent]]:
        """The next events of one CPU."""
        ahead = self._ahead.setdefault(vcpu, deque())
        while len(ahead) < 2 * _LOOKAHEAD and not self._ended:
            numbered = next(self._events, None)
            if numbered is None:
                self._ended = True
                break
            self._ahead.setdefault(numbered[1].cpu, deque()).append(numbered)
        return ahead

    def _take(self, access: Access, ahead: deque[tuple[int, OpsEvent]]) -> str | None:
        """Take the events that make `access`; returns the rule."""
        if ahead:
            rule, used = _pair(access, ahead, 0)
            if rule:
                self._use(ahead, used)
                return rule
        if self._take_refusal(access):
            return "refused"
        while ahead and (kind := self._made_by_device(*ahead[0])):  # an LSI's script may read 10,000 words in a row
            ahead.popleft()
            self._agreement.others[kind] += 1
            self._fill(access.vcpu)
            rule, used = _pair(access, ahead, 0) if ahead else (None, 0)
            if rule:
                self._use(ahead, used)
                return rule
        for start in range(1, min(len(ahead), _LOOKAHEAD)):  # were accesses lost before this one?
            rule, used = _pair(access, ahead, start)
            if rule:
                for _ in range(start):
                    self._lose(*ahead.popleft())
                self._use(ahead, used)
                return rule
        return None

    def _use(self, ahead: deque[tuple[int, OpsEvent]], count: int) -> None:
        for _ in range(count):
            number, _ = ahead.popleft()
            self._last_used = max(self._last_used, number)

    def _lose(self, number: int, event: OpsEvent) -> None:
        if kind := self._made_by_device(number, event):
            self._agreement.others[kind] += 1
        else:
            self._agreement.lost.append(event)

    def _made_by_device(self, number: int, event: OpsEvent) -> str | None:
        """What a device made this access for, if it did; see `compare`."""
        if event.cpu == REFUSED:
            return None
        if event.region == _LSI_RAM and (event.direction == "r" or number in self._stored):
            return "script"
        if event.direction == "w" and (
            (event.region == _APIC and not event.address & _APIC_REGISTERS)
            or (event.region == _GICV2M and event.address & _GICV2M_PAGE == _GICV2M_SETSPI_NS)
        ):
            return "interrupt"
        return None

    def _take_refusal(self, access: Access) -> bool:
        """Whether the log says that nobody accepted `access`. Its lines know no CPU: the order is not exact."""
        refusals = self._ahead[REFUSED]
        if access.value and access.direction == "r":
            return False
        for start, (_, first) in enumerate(refusals):
            if (first.direction, first.region, first.address) != (access.direction, access.region, access.offset):
                continue
            size = 0
            for stop in range(start, len(refusals)):
                piece = refusals[stop][1]
                if piece._replace(address=0, size=0) != first._replace(address=0, size=0):
                    break
                if piece.address != first.address + size:
                    break
                size += piece.size
                if size == access.size:
                    for _ in range(start, stop + 1):
                        del refusals[start]
                    return True
        return False

    def _take_unknown(self, access: UnknownAccess, ahead: deque[tuple[int, OpsEvent]]) -> None:
        taken = 0
        while taken < access.size and ahead and ahead[0][1].address == access.port + taken:
            taken += ahead[0][1].size
            self._use(ahead, 1)
        if taken:
            self._agreement.others[access.kind] += 1

    def _account_for_rest(self) -> None:
        for number, event in self._events:
            self._ahead.setdefault(event.cpu, deque()).append((number, event))
        for cpu, ahead in self._ahead.items():
            rest = []
            for number, event in ahead:
                if kind := self._made_by_device(number, event):
                    self._agreement.others[kind] += 1
                else:
                    rest.append((number, event))
            if cpu == REFUSED and self._faults:
                self._agreement.others["faulted"] += len(rest)
                continue
            if self._cut and sum(number < self._last_used for number, _ in rest) <= _PIECES_OF_ONE_IN:
                self._agreement.others["after the end"] += len(rest)
                continue
            self._agreement.lost += [event for _, event in rest]
        self._agreement.others += Counter()  # leaves out what is zero


def _pair(access: Access, ahead: deque[tuple[int, OpsEvent]], start: int) -> tuple[str | None, int]:
    """The rule that pairs `access` with the events from `ahead[start]` on, and their number."""
    rule, used = _pair_at(access.address, access, ahead, start)
    if rule is None and ahead[start][1].region == access.region:
        for address in (access.offset, *access.elsewhere):
            rule, used = _pair_at(address, access, ahead, start) if address != access.address else (None, 0)
            if rule:
                return "aliased", used
    return rule, used


def _pair_at(address: int, access: Access, ahead: deque[tuple[int, OpsEvent]], start: int) -> tuple[str | None, int]:
    first = ahead[start][1]
    direction, size, value = access.direction, access.size, access.value
    if first.direction != direction:
        return None, 0
    if first.address == address and first.size == size and first.value & _mask(size) == value:
        return "exact", 1
    skipped = address - first.address
    if not 0 <= skipped < first.size:
        return None, 0
    little = bytearray()  # what the device saw, byte by byte
    big = bytearray()
    used = 0
    while len(little) < skipped + size:
        if start + used == len(ahead):
            return None, 0
        event = ahead[start + used][1]
        if event.direction != direction or event.address != first.address + len(little):
            return None, 0
        seen = event.value & _mask(event.size)
        little += seen.to_bytes(event.size, "little")
        big += seen.to_bytes(event.size, "big")
        used += 1
    if used > 1 and (skipped or len(little) != size):
        return None, 0
    rule = "split" if used > 1 else "widened"
    part = slice(skipped, skipped + size)
    if value == int.from_bytes(little[part], "little"):
        return rule, used
    if value in (int.from_bytes(big[part], "little"), int.from_bytes(little[part], "big")):
        return "swapped", used
    if value == int.from_bytes(big[part], "big"):
        return rule, used
    return None, 0


def _mask(size: int) -> int:
    return (1 << 8 * size) - 1
