"""Text of Linux's ftrace, or of ``trace-cmd report``, with the events kvm_pio and kvm_mmio: a virtual machine of KVM's.

Source: Linux's arch/x86/kvm/trace.h and include/trace/events/kvm.h for the events, Documentation/trace/ftrace.rst and
kernel/trace/trace_output.c for the line before them, trace-cmd-report(1) for lost events.

A read that the kernel cannot serve is an ``unsatisfied-read``, and, once user space has answered, a ``read`` of the
same address by the same thread: that one is the access. With the event kvm_exit in the log, accesses have PCs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from .records import (
    MAX_CPUS,
    NO_HINTS,
    Access,
    Hints,
    Importer,
    MalformedLineError,
    Note,
    Record,
    Skipped,
    checked_size,
    seconds_to_ns,
)

_EVENT: Final = re.compile(r"(?<= )kvm_(pio|mmio|exit): +")
_HEAD: Final = re.compile(
    r" *(.{1,64}?)-([0-9]{1,10}) +(?:\([ 0-9-]{1,12}\) +)?\[([0-9]{1,5})\] +(?:[0-9a-zA-Z.#+!]{1,8} +)?"
    r"([0-9]{1,20})(?:\.([0-9]{1,9}))?: +"
)
_PIO: Final = re.compile(
    r"pio_(read|write) at (0x[0-9a-f]{1,8}) size ([0-9]{1,4}) count ([0-9]{1,10})(?: val (0x[0-9a-f]{1,16}))?"
    r"(?: \(\.\.\.\))?\s*"
)
_MMIO: Final = re.compile(
    r"mmio (read|write|unsatisfied-read) len ([0-9]{1,4}) gpa (0x[0-9a-f]{1,16}) val (0x[0-9a-f]{1,16})\s*"
)
_EXIT: Final = re.compile(r"(?:vcpu ([0-9]{1,4}) )?reason \S{1,40} rip (0x[0-9a-f]{1,16})")
_VCPU_THREAD: Final = re.compile(r"CPU ([0-9]{1,4})/KVM")
_LOST: Final = re.compile(r"CPU:([0-9]{1,5}) \[(?:LOST ([0-9]{1,18}) EVENTS|(?:([0-9]{1,18}) )?EVENTS DROPPED)\]\s*")

_PORTS: Final = 1 << 16

LOST: Final = "events that the log says were lost"
LOST_UNCOUNTED: Final = "places where the log says that events were lost, but not how many"
LATER_ELEMENTS: Final = "elements of INS and OUTS after the first, of which the log has no value"
UNANSWERED: Final = "reads without a value (the guest ended, or the answer was not logged)"


class _Pending(NamedTuple):
    """A read that user space has yet to answer."""

    address: int
    size: int


class Ftrace(Importer):
    """Reads the log. vCPUs are threads; a thread's number is its vCPU's if the log tells that."""

    name = "ftrace"
    title = "Linux ftrace of kvm_pio and kvm_mmio"

    def __init__(self, hints: Hints = NO_HINTS) -> None:
        super().__init__(hints)
        self._vcpus: dict[int, int] = {}
        """Numbers of vCPUs by thread."""
        self._taken: set[int] = set()
        self._pcs: dict[int, int] = {}
        """Where each vCPU was when it last left the guest, until that has explained an access."""
        self._pending: dict[int, _Pending] = {}
        self._timed = True
        self._numbered = True
        self._has_pcs = True
        self._several = False
        self._exits_seen = False

    @classmethod
    def recognises(cls, line: str) -> bool:
        """Whether the line has one of the two events."""
        found = _EVENT.search(line)
        return found is not None and found[1] != "exit"

    def feed(self, line: str) -> Sequence[Record] | None:
        """The records of a line."""
        event = _EVENT.search(line)
        if event is None:
            return self._lost(line)
        head = _HEAD.fullmatch(line, 0, event.start())
        if head is None:
            if event[1] == "exit":
                return None
            raise MalformedLineError("what is before the event is not as ftrace writes it")
        text = line[event.end() :]
        thread = int(head[2])
        if event[1] == "exit":
            self._exit(text, thread, head[1])
            return ()
        vcpu = self._vcpu(thread, head[1])
        t_ns = None
        if head[5] is None:
            self._timed = False
        else:
            t_ns = seconds_to_ns(head[4], head[5])
        return self._pio(text, vcpu, t_ns) if event[1] == "pio" else self._mmio(text, vcpu, t_ns)

    def finish(self) -> Sequence[Record]:
        """The reads that were never answered."""
        return [record for vcpu in sorted(self._pending) for record in self._give_up(vcpu)]

    @property
    def losses(self) -> Sequence[str]:
        """What the log lacks."""
        return [
            "" if self._has_pcs else "no PC of some accesses" if self._exits_seen else "no PC",
            "no instructions",
            "times by the host's clock" if self._timed else "no times (or by a clock of unknown frequency)",
            "" if self._numbered else "vCPUs numbered in the order in which their threads appear",
            "accesses of several virtual machines are mixed" if self._several else "",
            "of INS and OUTS the first element only",
            "no resets, no interrupts",
        ]

    def _lost(self, line: str) -> Sequence[Record] | None:
        found = _LOST.fullmatch(line)
        if found is None:
            return None
        count = found[2] or found[3]
        detail = f"{int(count) if count else 'some'} events of the host's CPU {int(found[1])}, before here"
        return (Note("lost", detail), Skipped(LOST, int(count)) if count else Skipped(LOST_UNCOUNTED))

    def _exit(self, text: str, thread: int, command: str) -> None:
        found = _EXIT.match(text)
        if found:
            self._exits_seen = True
            self._pcs[self._vcpu(thread, command, found[1])] = int(found[2], 16)

    def _vcpu(self, thread: int, command: str, told: str | None = None) -> int:
        vcpu = self._vcpus.get(thread)
        if vcpu is not None:
            return vcpu
        if len(self._vcpus) >= MAX_CPUS:
            raise MalformedLineError(f"more than {MAX_CPUS} threads")
        if told is None:
            name = _VCPU_THREAD.fullmatch(command.strip())
            told = name[1] if name else None
        if told is None:
            self._numbered = False
        vcpu = len(self._vcpus) if told is None else int(told)
        if vcpu in self._taken or vcpu >= MAX_CPUS:
            self._several = self._several or told is not None
            vcpu = next(number for number in range(MAX_CPUS) if number not in self._taken)
        self._vcpus[thread] = vcpu
        self._taken.add(vcpu)
        return vcpu

    def _pc(self, vcpu: int) -> int:
        pc = self._pcs.pop(vcpu, 0)
        if not pc:
            self._has_pcs = False
        return pc

    def _pio(self, text: str, vcpu: int, t_ns: int | None) -> Sequence[Record]:
        found = _PIO.fullmatch(text)
        if found is None:
            raise MalformedLineError("not as Linux writes kvm_pio")
        kind, port_text, size_text, count_text, value = found.groups()
        port, size, count = int(port_text, 16), checked_size(int(size_text)), int(count_text)
        if port >= _PORTS or size > 4:
            raise MalformedLineError(f"there is no access of {size} bytes to port {port:#x}")
        if value is None:
            raise MalformedLineError("it has no value (Linux before 3.8)")
        if not count:
            raise MalformedLineError("count is 0")
        access = Access(
            "pio", "r" if kind == "read" else "w", port, size, int(value, 16), vcpu, t_ns, self._pc(vcpu), "", count > 1
        )
        given_up = self._give_up(vcpu)
        if count == 1:
            return (*given_up, access) if given_up else (access,)
        what = "IN" if kind == "read" else "OUT"
        note = Note("unlogged", f"{what} port {port:#x} size {size}: {count - 1} more elements", vcpu)
        return (*given_up, access, note, Skipped(LATER_ELEMENTS, count - 1))

    def _mmio(self, text: str, vcpu: int, t_ns: int | None) -> Sequence[Record]:
        found = _MMIO.fullmatch(text)
        if found is None:
            raise MalformedLineError("not as Linux writes kvm_mmio")
        kind, size_text, address_text, value = found.groups()
        address, size = int(address_text, 16), checked_size(int(size_text))
        if kind == "unsatisfied-read":
            given_up = self._give_up(vcpu)
            self._pending[vcpu] = _Pending(address, size)
            return given_up
        if kind == "read" and vcpu in self._pending and self._pending[vcpu].address == address:
            del self._pending[vcpu]
        given_up = self._give_up(vcpu)
        direction = "r" if kind == "read" else "w"
        access = Access("mmio", direction, address, size, int(value, 16), vcpu, t_ns, self._pc(vcpu))  # type: ignore[arg-type]
        return (*given_up, access)

    def _give_up(self, vcpu: int) -> Sequence[Record]:
        pending = self._pending.pop(vcpu, None)
        if pending is None:
            return ()
        return (Note("unread-mmio", f"address {pending.address:#x} size {pending.size}", vcpu), Skipped(UNANSWERED))
