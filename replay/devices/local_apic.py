"""Local APIC of a CPU, as it shows at FEE00000h, with the MSI window above and below its registers.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, chapter "Advanced Programmable
Interrupt Controller (APIC)"; the names in brackets below are its section headings. MSI: section "Message Signalled
Interrupts".

Modelled: all registers; the timer, one-shot and periodic, with its count exact to the nanosecond of the virtual clock;
fixed, lowest-priority and external interrupts from the I/O APICs, from MSIs and from other CPUs, INIT; priorities;
LINT0.

Not modelled: x2APIC mode and other accesses by MSR or CR8, of which a recording shows nothing; NMI, SMI, SIPI and
errors, which change no register here; TSC-deadline mode, which TCG lacks; the TPR shadow of Windows guests (kvmvapic).

Follows QEMU where the guest can see a difference from the manual:
- An aligned access of four bytes reaches the register of its 16 bytes; any other reads 0 and writes nothing. Reads
  repeat every 4 KiB. A write beyond the first 4 KiB, or to its first 16 bytes, is an MSI whose address is the offset.
- Registers keep what is written to them, reserved and read-only bits too, but for SVR (9 bits), ID, LDR (8), DFR (4)
  and DCR (bits 3, 1, 0). Writing ESR does nothing: illegal register address is its only bit, and stays.
- The timer counts at 1 GHz. Its period is the initial count + 1; writing DCR changes the running count, but not when
  the timer runs out next. A timer whose LVT entry is masked does not run out.
- APR is always 0; an EOI is passed on to the I/O APICs for level interrupts. A lowest-priority interrupt goes to the
  first CPU that it may go to.
- While LINT0 is not masked, in whatever mode, a CPU that takes an interrupt acknowledges the 8259A pair first.
- INIT keeps ID. The shorthands "self" and "all but self" mean the CPU whose initial ID is the sender's ID now.

Acknowledges. That the CPU takes an interrupt is no access, so a recording may not show it. The model therefore keeps
every (IRR, ISR) that is possible after the accesses so far:
- What a read of IRR, ISR or PPR shows is computed where they agree. Other bits are outside input: the answer is an
  `Unknown` of kind "assumed" for just these bits, and the states that do not give the recorded value are dropped.
- An EOI is taken as proof of its acknowledge: if it ends something in some states, the others are dropped. If they end
  different vectors, and it matters because one is level-triggered, the one that has been requested longest counts.
Interrupts from sources that no model has are outside input as well: they are assumed when IRR, ISR or TMR shows them,
and so is a TPR that CR8 has changed. A recording with interrupt events calls `acknowledge` for each, and says so
before; then nothing is inferred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

from ..clock import Clock
from ..device import Device, Unknown
from .local_apic_bus import ApicBus
from .local_apic_registers import (
    DCR,
    DFR,
    EOI,
    ESR,
    ICR_HIGH,
    ICR_LOW,
    ID,
    IRR,
    ISR,
    LDR,
    LINT0,
    LVT,
    PPR,
    REGISTERS,
    SVR,
    TIMER,
    TIMER_COUNT,
    TIMER_INITIAL,
    TMR,
    TPR,
    VERSION,
)
from .misaligned import read_pieces, write_pieces

VERSION_VALUE: Final = 0x50014
"""Version 14h, six local vectors."""
SVR_ENABLE: Final = 0x100
LVT_MASKED, LVT_PERIODIC, LVT_LEVEL = 1 << 16, 1 << 17, 1 << 15
FIXED: Final = 0
ESR_ILLEGAL_ADDRESS: Final = 0x80
DFR_FLAT: Final = 0xF
MASK_32: Final = (1 << 32) - 1
PAGE: Final = 0x1000

MOST_STATES: Final = 64
"""Possible states beyond this many are not followed; states with many acknowledges are the ones given up."""

State = tuple[int, int]
"""IRR and ISR, 256 bits each."""


class LocalApic(Device):
    """One CPU's.

    Args:
        clock: the machine's virtual clock.
        bus: leads to the other local APICs and the I/O APICs.
        number: the CPU's number in the trace.
        apic_id: its initial APIC ID; the number, if not given.
        pic_reachable: told whether the CPU acknowledges the 8259A pair's interrupts.
    """

    title = "Local APIC"
    registers = REGISTERS
    width = 8

    def __init__(
        self,
        clock: Clock,
        bus: ApicBus,
        number: int = 0,
        apic_id: int | None = None,
        pic_reachable: Callable[[bool], None] = lambda reachable: None,
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._pic_reachable = pic_reachable
        self.initial_id = number if apic_id is None else apic_id
        self._timer = clock.timer(self._run_out)
        self._infers = True
        self._repeats: int | None = None
        """The vector that was requested last, if another request for it would change nothing."""
        self._readers: dict[int, Callable[[], int]] = {
            ID: self._read_id, VERSION: lambda: VERSION_VALUE, TPR: lambda: self._tpr, PPR: self._read_ppr,
            LDR: self._read_ldr, DFR: self._read_dfr, SVR: lambda: self._svr, ESR: lambda: self._esr,
            ICR_LOW: lambda: self._icr, ICR_HIGH: lambda: self._icr_high, TIMER_INITIAL: lambda: self._initial,
            TIMER_COUNT: self._read_count, DCR: lambda: self._dcr, 0x90: lambda: 0, EOI: lambda: 0,
        }  # fmt: skip
        self._writers: dict[int, Callable[[int], None]] = {
            ID: self._write_id, TPR: self._write_tpr, EOI: self._write_eoi, LDR: self._write_ldr, DFR: self._write_dfr,
            SVR: self._write_svr, ICR_LOW: self._write_icr, ICR_HIGH: self._write_icr_high,
            TIMER_INITIAL: self._write_initial, DCR: self._write_dcr,
            **dict.fromkeys((VERSION, 0x90, PPR, ESR, TIMER_COUNT), self._ignore),
        }  # fmt: skip
        for n in range(8):
            self._readers[ISR + 16 * n] = partial(self._read_states, 1, 32 * n)
            self._readers[TMR + 16 * n] = partial(self._read_tmr, 32 * n)
            self._readers[IRR + 16 * n] = partial(self._read_states, 0, 32 * n)
            for bits in (ISR, TMR, IRR):
                self._writers[bits + 16 * n] = self._ignore
        for n, offset in enumerate(LVT):
            self._readers[offset] = partial(self._read_lvt, n)
            self._writers[offset] = partial(self._write_lvt, n)
        bus.add(number, self)
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls(clock, ApicBus())

    def seen_by(self, vcpu: int) -> Device:
        """See `Device.seen_by`."""
        return self._bus.local(vcpu) or self

    def reset(self) -> None:
        """See `Device.reset`."""
        self.id = self.initial_id
        self.init()

    def init(self) -> None:
        """An INIT message [Local APIC State After an INIT Reset]: everything but ID."""
        self._tpr = self._esr = self._icr = self._icr_high = self._dcr = self._shift = 0
        self._svr = 0xFF
        self.logical_id = 0
        self.model = DFR_FLAT
        self._tmr = 0
        self._lvt = [LVT_MASKED] * len(LVT)
        self._initial = self._loaded_ns = 0
        self._timer.cancel()
        self._keep({(0, 0): 0})
        self._order: dict[int, int] = {}
        """Of the vectors requested since they were last in service: which was first."""
        self._requests = 0
        self._lint0 = False
        self._update_lint0()

    def state(self) -> Mapping[str, int]:
        """See `Device.state`. IRR and ISR are those with the fewest acknowledges."""
        irr, isr = self._likeliest()
        state = {
            "id": self.id, "tpr": self._tpr, "ldr": self.logical_id, "dfr": self.model, "svr": self._svr,
            "esr": self._esr, "icr": self._icr, "icr_high": self._icr_high, "dcr": self._dcr, "shift": self._shift,
            "initial_count": self._initial, "loaded_ns": self._loaded_ns, "timer_ns": self._timer.deadline_ns,
            "tmr": self._tmr, "irr": irr, "isr": isr, "possible": len(self._possible), "lint0": int(self._lint0),
        }  # fmt: skip
        return state | {f"lvt{n}": entry for n, entry in enumerate(self._lvt)}

    # Accesses

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """See `Device.reader`."""
        if size == 4 and not offset & 3:
            return self._readers.get(offset % PAGE & ~0xF, self._read_illegal)
        return super().reader(offset, size)

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """See `Device.writer`."""
        if size == 4 and not offset & 3 and 0x10 <= offset < PAGE:
            return self._writers.get(offset & ~0xF, self._write_illegal)
        return super().writer(offset, size)

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset & size - 1:
            return read_pieces(self.read, offset, size)
        return self._readers.get(offset % PAGE & ~0xF, self._read_illegal)() if size == 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset & size - 1:
            write_pieces(self.write, offset, size, value)
        elif size == 4 and 0x10 <= offset < PAGE:
            self._writers.get(offset & ~0xF, self._write_illegal)(value)
        elif size == 4:
            self._bus.msi(offset, value)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: a source that no model has made a request, or CR8 changed TPR."""
        at = offset % PAGE & ~0xF
        if size != 4 or offset & 3:
            return False
        if at == TPR:
            if hw & ~0xF0:
                return False
            self._tpr = hw
            self._repeats = None
            return True
        gained = hw & ~model
        if hw & ~gained != model or not gained or (gained & 0xFFFF and at in (ISR, TMR, IRR)):
            return False
        if ISR <= at < ISR + 0x80:
            self._keep({(irr, isr | gained << (at - ISR) * 2): count for (irr, isr), count in self._possible.items()})
        elif TMR <= at < TMR + 0x80:
            self._tmr |= gained << (at - TMR) * 2
        elif IRR <= at < IRR + 0x80:
            self._keep({(irr | gained << (at - IRR) * 2, isr): count for (irr, isr), count in self._possible.items()})
        else:
            return False
        return True

    # Registers that are more than what was written

    def _read_illegal(self) -> int:
        self._esr |= ESR_ILLEGAL_ADDRESS
        return 0

    def _write_illegal(self, value: int) -> None:
        self._esr |= ESR_ILLEGAL_ADDRESS

    def _ignore(self, value: int) -> None:
        """Read-only, in QEMU ESR too."""

    def _read_id(self) -> int:
        return self.id << 24

    def _write_id(self, value: int) -> None:
        self.id = value >> 24

    def _write_tpr(self, value: int) -> None:
        self._spread()
        self._tpr = value & 0xFF
        self._repeats = None

    def _read_ppr(self) -> int:
        self._spread()
        return self._observe(self._priority)

    def _priority(self, state: State) -> int:
        """[Task and Processor Priorities]: the class in service, or TPR if that is not lower."""
        in_service = state[1].bit_length() - 1 & 0xF0 if state[1] else 0
        return self._tpr if self._tpr & 0xF0 >= in_service else in_service

    def _write_eoi(self, value: int) -> None:
        possible = self._possible
        if len(possible) == 1 and self._infers:
            ((irr, isr),) = possible
            if not isr and not irr & irr - 1:  # the usual case, in short: there is one request, or none
                if irr and self._taken((irr, isr)):
                    self._keep({(0, 0): possible[irr, isr] + 1})
                    self._ended(irr.bit_length() - 1)
                return
        self._spread()
        if len(possible) == 1:
            ((irr, isr),) = possible
            if not isr:
                return
            self._keep({(irr, isr ^ 1 << isr.bit_length() - 1): possible[irr, isr]})
            self._ended(isr.bit_length() - 1)
            return
        ended: dict[int, dict[State, int]] = {}
        for (irr, isr), count in possible.items():
            if isr:
                vector = isr.bit_length() - 1
                ended.setdefault(vector, {})[irr, isr ^ 1 << vector] = count
        if not ended:
            return
        if len(ended) > 1 and any(self._tmr >> vector & 1 for vector in ended):
            order = self._order
            first = min(ended, key=lambda vector: order.get(vector, 0))
            ended = {first: ended[first]}
        merged: dict[State, int] = {}
        for states in ended.values():
            for state, count in states.items():
                merged[state] = min(count, merged.get(state, count))
        self._keep(merged)
        if len(ended) == 1:
            self._ended(next(iter(ended)))

    def _ended(self, vector: int) -> None:
        self._order.pop(vector, None)
        if self._tmr >> vector & 1:
            self._bus.end(vector)

    def _read_ldr(self) -> int:
        return self.logical_id << 24

    def _write_ldr(self, value: int) -> None:
        self.logical_id = value >> 24

    def _read_dfr(self) -> int:
        return self.model << 28 | 0xFFF_FFFF

    def _write_dfr(self, value: int) -> None:
        self.model = value >> 28

    def _write_svr(self, value: int) -> None:
        self._spread()
        self._svr = value & 0x1FF
        self._repeats = None

    def _read_states(self, which: int, shift: int) -> int:
        self._spread()
        return self._observe(lambda state: state[which] >> shift & MASK_32)

    def _read_tmr(self, shift: int) -> int:
        return self._tmr >> shift & MASK_32

    def _write_icr(self, value: int) -> None:
        self._icr = value
        self._bus.command(self, value, self._icr_high >> 24)

    def _write_icr_high(self, value: int) -> None:
        self._icr_high = value

    def _read_lvt(self, n: int) -> int:
        return self._lvt[n]

    def _write_lvt(self, n: int, value: int) -> None:
        self._lvt[n] = value
        if n == TIMER:
            self._update_timer(self._clock.now_ns)
        elif n == LINT0:
            self._update_lint0()
            if self._lint0:
                self.lint0(True)

    # The timer [APIC Timer]

    def _write_initial(self, value: int) -> None:
        self._initial = value
        self._loaded_ns = self._clock.now_ns
        self._update_timer(self._loaded_ns)

    def _write_dcr(self, value: int) -> None:
        self._dcr = value & 0xB
        self._shift = (value & 3 | value >> 1 & 4) + 1 & 7

    def _read_count(self) -> int:
        elapsed = self._clock.now_ns - self._loaded_ns >> self._shift
        if self._lvt[TIMER] & LVT_PERIODIC:
            return self._initial - elapsed % (self._initial + 1)
        return self._initial - elapsed if elapsed < self._initial else 0

    def _update_timer(self, now_ns: int) -> None:
        entry, initial = self._lvt[TIMER], self._initial
        elapsed = now_ns - self._loaded_ns >> self._shift
        ticks = initial + 1
        if entry & LVT_PERIODIC:
            ticks *= elapsed // ticks + 1
        if entry & LVT_MASKED or not (initial if entry & LVT_PERIODIC else elapsed < initial):
            self._timer.cancel()
        else:
            self._next_ns = self._loaded_ns + (ticks << self._shift)
            self._timer.arm(self._next_ns)

    def _run_out(self) -> None:
        self._deliver(self._lvt[TIMER], False)
        self._update_timer(self._next_ns)

    # Interrupts

    def lint0(self, level: bool) -> None:
        """INTR of the 8259A pair, at LINT0 of every CPU."""
        self._lint0 = level
        entry = self._lvt[LINT0]
        if level:
            self._deliver(entry, bool(entry & LVT_LEVEL))
        elif entry >> 8 & 7 == FIXED and entry & LVT_LEVEL and not entry & LVT_MASKED:
            self._spread()
            kept = ~(1 << (entry & 0xFF))
            self._keep({(irr & kept, isr): count for (irr, isr), count in self._possible.items()})

    def _update_lint0(self) -> None:
        self._pic_reachable(self.accepts_extint)

    def _deliver(self, entry: int, level: bool) -> None:
        """A local interrupt [Local Vector Table]. Modes other than fixed change nothing here."""
        if not entry & LVT_MASKED and entry >> 8 & 7 == FIXED:
            self.request(entry & 0xFF, level)

    def request(self, vector: int, level: bool) -> None:
        """An interrupt is accepted [Interrupt Acceptance for Fixed Interrupts]."""
        mask = 1 << vector
        self._tmr = self._tmr | mask if level else self._tmr & ~mask
        if vector == self._repeats:
            return
        before = list(self._possible.items())
        self._spread()
        if vector not in self._order:
            self._requests += 1
            self._order[vector] = self._requests
        requested: dict[State, int] = {}
        for (irr, isr), count in self._possible.items():
            state = irr | mask, isr
            requested[state] = min(count, requested.get(state, count))
        self._keep(requested)
        self._repeats = vector if list(requested.items()) == before else None

    @property
    def accepts_extint(self) -> bool:
        """Whether the CPU acknowledges the 8259A pair."""
        return not self._lvt[LINT0] & LVT_MASKED

    def expect_acknowledges(self) -> None:
        """The interrupts that the CPU takes will be told, by `acknowledge`: none is inferred from now on."""
        self._infers = False

    @property
    def pending(self) -> int | None:
        """The vector of the interrupt that the CPU would take now; None if there is none."""
        state = self._likeliest()
        return None if self._taken(state) is None else state[0].bit_length() - 1

    def acknowledge(self) -> None:
        """The CPU takes the interrupt that is pending."""
        state = self._likeliest()
        taken = self._taken(state)
        if taken is not None:
            self._keep({taken: self._possible[state] + 1})

    # What is possible

    def _likeliest(self) -> State:
        """The state with the fewest acknowledges."""
        return min(self._possible, key=self._possible.__getitem__)

    def _taken(self, state: State) -> State | None:
        """The state after the CPU takes the most urgent request; None if none may interrupt it."""
        irr, isr = state
        if not irr or not self._svr & SVR_ENABLE:
            return None
        vector = irr.bit_length() - 1
        priority = self._priority(state)
        if not vector or (priority and vector & 0xF0 <= priority & 0xF0):
            return None
        return irr ^ 1 << vector, isr | 1 << vector

    def _spread(self) -> None:
        """Add the states into which the CPU may have come by taking interrupts."""
        if not self._infers:
            return
        possible = self._possible
        queue = list(possible)
        if len(queue) == 1 and not queue[0][0]:
            return
        for state in queue:
            taken = self._taken(state)
            if taken is not None and taken not in possible and len(possible) < MOST_STATES:
                possible[taken] = possible[state] + 1
                queue.append(taken)
                self._repeats = None

    def _keep(self, states: dict[State, int]) -> None:
        self._possible = states
        self._repeats = None

    def _observe(self, show: Callable[[State], int]) -> int:
        """A read: its answer, as far as all states agree."""
        shown = {state: show(state) for state in self._possible}
        answer = next(iter(shown.values()))
        unknown = 0
        for other in shown.values():
            unknown |= other ^ answer
        if not unknown:
            return answer

        def learn(value: int) -> None:
            # No state may fit if the model or the recording is wrong elsewhere; then the nearest are kept.
            wrong = {state: ((other ^ value) & unknown).bit_count() for state, other in shown.items()}
            least = min(wrong.values())
            self._keep({state: self._possible[state] for state, bits in wrong.items() if bits == least})

        return Unknown(answer, unknown, learn, "assumed")
