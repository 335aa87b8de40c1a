"""Two cascaded 8259A interrupt controllers with edge/level control registers, as in a PC.

Source: Intel 8259A data sheet (231468-003); ELCR: Intel 82371FB/82371SB (PIIX/PIIX3) data sheet, "ELCR1" and "ELCR2".
Modelled: ICW1-ICW4, OCW1-OCW3, all EOI and rotate commands, edge and level inputs (LTIM and ELCR), special mask mode,
poll mode, special fully nested mode, automatic EOI, spurious interrupts of both chips.
Not modelled: MCS-80/85 mode, buffered mode, other wirings (slave at the master's IR2, whatever SNGL and ICW3 say).
`Line` reports changes only. QEMU also sees a device repeat a level, which counts as an edge if ICW1 or a reset has
cleared the edge detector since; a caller of the sinks that repeats levels gets the same effect here.

Follows QEMU where it differs from the data sheet:
- Edge inputs latch: a request that goes away before its acknowledge stays in IRR. The data sheet makes it spurious.
- ICW1 clears IMR, ISR and of IRR all that ELCR does not call level-triggered; LTIM inputs lose their request, too.
- After a reset no ICW is needed: the chips work, with vectors 0-7 and nothing masked.
- While ICWs are awaited, writes with A0=0 and D4=0 are OCW2 or OCW3 all the same and do not end the sequence.
- A change of special mask mode, of special fully nested mode or of ELCR leaves INT as it is until the next event.
- A non-specific EOI may end a level that special mask mode masks. Without anything in service it does not rotate.
- A poll is answered with 0 if nothing is requested, at A0=1 as well, and never reaches through to the other chip.

Acknowledges. The CPU's INTA cycle is no port access, so a recording may not show it. While INTR is high, the CPU may
take the interrupt at any moment; nothing but the guest's later accesses can tell. The model therefore keeps every
state that is possible after the accesses so far, and performs each access in all of them:
- An answer on which they agree is computed. Bits on which they do not are outside input: the answer is an `Unknown`
  of kind "assumed" for just these bits, and the states that do not give the recorded value are dropped.
- An EOI is taken as proof of its acknowledge: if in some states it ends something, the others are dropped. (A guest
  that issues EOIs for nothing, while a request is pending, is misjudged until its next ICW1.)
A request at an input that no model drives (its device is not on the board) is outside input as well: it is assumed
when IRR or ISR shows it.
Of these states the one with the fewest acknowledges drives `intr` and is what `state` shows.
A recording with interrupt events calls `acknowledge` for each, and says so before; then nothing is inferred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter
from typing import Final, Self, TypeVar

from ..clock import Clock
from ..device import Device, Unknown
from ..errors import DeviceConfigError
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit
from .i8259_chip import CASCADE, Chip

IRR, ISR, IMR, POLL = "IRR", "ISR", "IMR", "POLL"
ICW1, ICW2, ICW3, ICW4, OCW2, OCW3 = "ICW1", "ICW2", "ICW3", "ICW4", "OCW2", "OCW3"

OCW2_COMMANDS: Final = {
    0b000: "no rotation in automatic EOI",
    0b001: "non-specific EOI",
    0b010: "no operation",
    0b011: "specific EOI",
    0b100: "rotate in automatic EOI",
    0b101: "rotate on non-specific EOI",
    0b110: "set priority",
    0b111: "rotate on specific EOI",
}


def _levels(name: str) -> tuple[Field, ...]:
    return tuple(bit(f"{name}{level}", level) for level in range(8))


def _chip_registers(chip: str, title: str, at: int, icw3: tuple[Field, ...]) -> tuple[Register, ...]:
    """The declarations of one chip: `at` is its offset with A0=0."""
    poll = (bit("I", 7, {0: "no request", 1: "request"}, "interrupt"), Field("W", 2, 0, nature="interrupt"))
    icw1 = (Field("A", 7, 5), bit("LTIM", 3), bit("ADI", 2), bit("SNGL", 1), bit("IC4", 0))
    icw4 = (bit("SFNM", 4), bit("BUF", 3), bit("MS", 2), bit("AEOI", 1), bit("UPM", 0))
    ocw2 = (Field("R_SL_EOI", 7, 5, OCW2_COMMANDS), Field("L", 2, 0))
    ocw3 = (Field("SMM", 6, 5, {0b10: "off", 0b11: "on"}), bit("P", 2), Field("RR", 1, 0, {0b10: "IRR", 0b11: "ISR"}))
    return (
        Register(f"{chip}_IRR", f"{title}: Interrupt Request", at, "r", _levels("IR"), IRR, 0, nature="interrupt"),
        Register(f"{chip}_ISR", f"{title}: In-Service", at, "r", _levels("IS"), ISR, 0, nature="interrupt"),
        Register(f"{chip}_POLL", f"{title}: poll word", at, "r", poll, POLL, source="Poll Command"),
        Register(f"{chip}_ICW1", f"{title}: Initialization Command Word 1", at, "w", icw1, ICW1, programs=True),
        Register(f"{chip}_OCW2", f"{title}: EOI and rotation", at, "w", ocw2, OCW2),
        Register(f"{chip}_OCW3", f"{title}: poll, register to read, special mask", at, "w", ocw3, OCW3),
        Register(f"{chip}_IMR", f"{title}: Interrupt Mask (OCW1)", at + 1, "rw", _levels("M"), IMR, 0),
        Register(f"{chip}_POLL", f"{title}: poll word", at + 1, "r", poll, POLL, source="Poll Command"),
        Register(f"{chip}_ICW2", f"{title}: vector base", at + 1, "w", (Field("T", 7, 3),), ICW2),
        Register(f"{chip}_ICW3", f"{title}: cascade", at + 1, "w", icw3, ICW3),
        Register(f"{chip}_ICW4", f"{title}: Initialization Command Word 4", at + 1, "w", icw4, ICW4),
    )


def _elcr(name: str, offset: int, irqs: tuple[int, ...]) -> Register:
    fields = tuple(bit(f"IRQ{irq}", irq & 7, {0: "edge", 1: "level"}) for irq in irqs)
    return Register(name, "Edge/Level Control", offset, "rw", fields, reset=0, source="82371SB, ELCR1 and ELCR2")


REGISTERS: Final = RegisterMap(
    *_chip_registers("PIC1", "master", 0, _levels("S")),
    *_chip_registers("PIC2", "slave", 2, (Field("ID", 2, 0),)),
    _elcr("ELCR1", 4, (3, 4, 5, 6, 7)),
    _elcr("ELCR2", 5, (9, 10, 11, 12, 14, 15)),
    banks=(IRR, ISR, IMR, POLL, ICW1, ICW2, ICW3, ICW4, OCW2, OCW3),
)

ELCR1: Final = 4
ICW1_SELECT, ICW1_LTIM, ICW1_SNGL, ICW1_IC4 = 0x10, 0x08, 0x02, 0x01
ICW4_SFNM, ICW4_AEOI = 0x10, 0x02
OCW2_LEVEL = 0x07
OCW3_SELECT, OCW3_ESMM, OCW3_SMM, OCW3_P, OCW3_RR, OCW3_RIS = 0x08, 0x40, 0x20, 0x04, 0x02, 0x01

MOST_STATES: Final = 256
"""Possible states beyond this many are not followed; states with many acknowledges are the ones given up. A guest gets
there only if it leaves many requests unmasked and pending and ends none. Boots of SeaBIOS need 9."""

State = tuple[int, int, int, int, bool, int, int, int, int]
"""What an acknowledge can change: IRR, ISR, first level, seen, INT of the master; the first four of the slave."""

T = TypeVar("T")


class I8259Pair(Device):
    """Master and slave. Register space: master A0=0, 1; slave A0=0, 1; ELCR1, ELCR2."""

    title = "Interrupt controllers (PIC), two in cascade"
    registers = REGISTERS

    def __init__(self) -> None:
        self.intr = Line()
        """INT of the master, to the CPU or its local APIC. It falls when the acknowledge becomes known."""
        self._master = Chip(0xF8, 1 << CASCADE, None)
        self._slave = Chip(0xDE, 0, self._master)
        self._chips = (self._master, self._slave)
        self._infers = self._reachable = True
        self._undriven = [0xFF & ~(1 << CASCADE), 0xFF]
        """Inputs of each chip that no model drives: what requests arrive there is input from outside."""
        self.reset()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def reset(self) -> None:
        """Hardware reset: edge-triggered, nothing masked (see the module's docstring). Lines count as low."""
        self._slave.reset()
        self._master.reset()
        self._banks: list[str | None] = [IRR, IMR, IRR, IMR, None, None]
        self._possible = {self._save(): 0}
        self.intr.set(False)

    def request(self, irq: int) -> Callable[[bool], None]:
        """The input of interrupt request `irq`, to be connected to a `Line`.

        Raises:
            DeviceConfigError: there is no such input; IRQ 2 is the cascade.
        """
        if not 0 <= irq <= 15 or irq == CASCADE:
            raise DeviceConfigError(f"an 8259A pair has IRQ 0, 1 and 3 to 15, not {irq!r}")
        self._undriven[irq >> 3] &= ~(1 << (irq & 7))
        return partial(self._drive, self._chips[irq >> 3], irq & 7)

    def assume(self, offset: int, size: int, hw: int, model: int) -> bool:
        """See `Device.assume`: a request has arrived, or gone, at an input that no model drives."""
        different = hw ^ model
        if self._banks[offset] not in (IRR, ISR):
            return False
        if not different or different & ~self._undriven[offset >> 1]:
            return False
        chip = self._chips[offset >> 1]
        before = self._possible
        for level in range(8):
            if different >> level & 1:
                self._drive(chip, level, bool(hw >> level & 1))
        self._spread()
        answer = self._observe(chip.status)
        if isinstance(answer, Unknown) and not (answer.known ^ hw) & ~answer.mask:
            answer.learn(hw & answer.mask)
        elif answer != hw:
            self._possible = before
            self._settle()
            self.intr.set(self._master.output)
            return False
        return True

    def expect_acknowledges(self) -> None:
        """The CPU's INTA cycles will be told, by `acknowledge`: none is inferred from now on."""
        self._infers = False

    @property
    def vector(self) -> int:
        """What an INTA cycle would return now."""
        chip = self._slave if self._master.wanted() == CASCADE else self._master
        level = chip.wanted()
        return chip.vector + (7 if level < 0 else level)

    def acknowledge(self) -> int:
        """The CPU's INTA cycle; returns the vector. From the first call on, no acknowledge is inferred."""
        self._infers = False
        count = self._possible[self._save()]
        vector = self._acknowledge()
        self._keep([(0, self._save(), count + 1)])
        return vector

    def extint(self) -> int:
        """The INTA cycle of an I/O APIC; returns the vector. It takes place in each possible state."""
        self._spread()
        outcomes = self._outcomes(self._acknowledge)
        self._keep(outcomes)
        return min(outcomes, key=itemgetter(2))[0]

    def reach(self, reachable: bool) -> None:
        """Whether the CPU may acknowledge: it does not where its local APIC masks or redefines LINT0."""
        if reachable != self._reachable:
            self._spread()
            self._reachable = reachable

    def bank(self, offset: int) -> str | None:
        """The register that the last access at `offset` reached."""
        return self._banks[offset]

    def state(self) -> Mapping[str, int]:
        """Both chips in the state with the fewest acknowledges, their number, and how many states are possible."""
        values = {"acknowledged": self._possible[self._save()], "possible": len(self._possible)}
        for name, chip in zip(("pic1", "pic2"), self._chips, strict=True):
            for member in ("irr", "isr", "imr", "elcr", "first", "seen", "vector", "output", "polled", "ltim"):
                values[f"{name}_{member}"] = int(getattr(chip, member))
            for member in ("special_mask", "special_nested", "auto_eoi", "rotate_in_auto_eoi", "read_isr"):
                values[f"{name}_{member}"] = int(getattr(chip, member))
            values[f"{name}_icw"] = int(chip.awaiting[-1:] or 0)
        return values

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset >= ELCR1:
            return self._chips[offset - ELCR1].elcr
        chip = self._chips[offset >> 1]
        self._spread()
        if chip.polled:
            chip.polled = False
            self._banks[offset] = POLL
            return self._observe(chip.poll)
        if offset & 1:
            self._banks[offset] = IMR
            return chip.imr
        self._banks[offset] = ISR if chip.read_isr else IRR
        return self._observe(chip.status)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        self._spread()  # what the CPU took before this write was taken under the old settings
        if offset >= ELCR1:
            chip = self._chips[offset - ELCR1]
            chip.elcr = value & chip.elcr_mask
            return
        chip = self._chips[offset >> 1]
        if offset & 1:
            self._banks[offset] = chip.awaiting or IMR
            self._write_data(chip, value)
        elif value & ICW1_SELECT:
            self._banks[offset] = ICW1
            self._write_icw1(chip, value)
        elif value & OCW3_SELECT:
            self._banks[offset] = OCW3
            self._write_ocw3(chip, value)
        else:
            self._banks[offset] = OCW2
            self._write_ocw2(chip, value)

    def _write_icw1(self, chip: Chip, value: int) -> None:
        chip.clear_settings()
        self._apply(chip.clear_requests)
        chip.ltim = bool(value & ICW1_LTIM)
        chip.single = bool(value & ICW1_SNGL)
        chip.icw4_follows = bool(value & ICW1_IC4)
        chip.awaiting = ICW2

    def _write_data(self, chip: Chip, value: int) -> None:
        """A0=1: the ICW that is awaited, otherwise OCW1."""
        last = ICW4 if chip.icw4_follows else ""
        if chip.awaiting == ICW2:
            chip.vector = value & 0xF8
            chip.awaiting = last if chip.single else ICW3
        elif chip.awaiting == ICW3:
            chip.awaiting = last
        elif chip.awaiting == ICW4:
            chip.special_nested = bool(value & ICW4_SFNM)
            chip.is_unsettled = True
            chip.auto_eoi = bool(value & ICW4_AEOI)
            chip.awaiting = ""
        else:
            chip.imr = value
            self._apply(chip.update)

    def _write_ocw2(self, chip: Chip, value: int) -> None:
        level = value & OCW2_LEVEL
        match value >> 5:
            case 0b000 | 0b100:
                chip.rotate_in_auto_eoi = value >> 7 == 1
            case 0b001 | 0b101 as command:
                self._end(partial(chip.end, command == 0b101))
            case 0b011 | 0b111 as command:
                self._end(partial(chip.end_level, level, command == 0b111))
            case 0b110:
                self._apply(partial(chip.set_lowest, level))

    def _write_ocw3(self, chip: Chip, value: int) -> None:
        if value & OCW3_P:
            chip.polled = True
        if value & OCW3_RR:
            chip.read_isr = bool(value & OCW3_RIS)
        if value & OCW3_ESMM:
            chip.special_mask = bool(value & OCW3_SMM)
            chip.is_unsettled = True

    def _drive(self, chip: Chip, level: int, high: bool) -> None:
        requested = self._master.output
        if len(self._states) == 1 and not requested:  # the usual case, in short: there is no doubt
            if not (high or (chip.seen | chip.elcr) >> level & 1 or chip.ltim or chip.is_unsettled):
                return  # it was low, and requests at rising edges only
            chip.drive(level, high)
            self._is_behind = True
            if self._master.output:
                self.intr.set(True)
            return
        self._spread()
        self._apply(partial(chip.drive, level, high))

    def _acknowledge(self) -> int:
        """The INTA cycle, in the state that the chips hold. A spurious one has no effect on the chip (IR7)."""
        chip = self._master
        level = chip.wanted()
        if level < 0:
            return chip.vector + 7
        if level != CASCADE:
            chip.take(level)
            return chip.vector + level
        behind = self._slave.wanted()
        if behind >= 0:
            self._slave.take(behind)
        chip.take(CASCADE)
        return self._slave.vector + (behind if behind >= 0 else 7)

    # Every state that is possible: what an acknowledge can change, each with the fewest acknowledges that lead there

    @property
    def _possible(self) -> dict[State, int]:
        if self._is_behind:
            (count,) = self._states.values()
            self._possible = {self._save(): count}
        return self._states

    @_possible.setter
    def _possible(self, states: dict[State, int]) -> None:
        self._states = states
        self._is_behind = False
        """Whether there is one state, which the chips hold, but which `_states` does not have."""

    def _apply(self, operation: Callable[[], None]) -> None:
        """An event that happens, whichever state is the true one."""
        self._keep(self._outcomes(operation))

    def _end(self, operation: Callable[[], bool]) -> None:
        """An EOI: what it ends must have been acknowledged."""
        outcomes = self._outcomes(operation)
        self._keep([outcome for outcome in outcomes if outcome[0]] or outcomes)

    def _observe(self, operation: Callable[[], int]) -> int:
        """A read: its answer, as far as all states agree."""
        outcomes = self._outcomes(operation)
        self._keep(outcomes)
        answer = outcomes[0][0]
        unknown = 0
        for other, _, _ in outcomes:
            unknown |= other ^ answer
        if not unknown:
            return answer

        def learn(value: int) -> None:
            # No state may fit if the model or the recording is wrong elsewhere; then the nearest are kept.
            wrong = [((other ^ value) & unknown).bit_count() for other, _, _ in outcomes]
            least = min(wrong)
            self._keep([outcome for outcome, bits in zip(outcomes, wrong, strict=True) if bits == least])

        return Unknown(answer, unknown, learn, "assumed")

    def _spread(self) -> None:
        """Add the states into which the CPU may have brought the chips by now."""
        possible = self._possible
        queue = [state for state in possible if state[4]]
        if not queue or not self._infers or not self._reachable:
            return
        for state in queue:
            if len(possible) >= MOST_STATES:
                break
            self._load(state)
            self._acknowledge()
            taken = self._save()
            if taken not in possible:
                possible[taken] = possible[state] + 1
                if taken[4]:
                    queue.append(taken)
        self._settle()

    def _outcomes(self, operation: Callable[[], T]) -> list[tuple[T, State, int]]:
        """Do `operation` in each possible state: its result, the state after it, the acknowledges so far."""
        outcomes = []
        for state, count in self._possible.items():
            self._load(state)
            outcomes.append((operation(), self._save(), count))
        return outcomes

    def _keep(self, outcomes: list[tuple[T, State, int]]) -> None:
        """Let the states after these outcomes be the possible ones."""
        possible: dict[State, int] = {}
        for _, state, count in outcomes:
            possible[state] = min(count, possible.get(state, count))
        self._possible = possible
        self._settle()
        self.intr.set(self._master.output)

    def _settle(self) -> None:
        """Let the chips hold the state with the fewest acknowledges."""
        self._load(min(self._possible, key=self._possible.__getitem__))

    def _save(self) -> State:
        m, s = self._chips
        return m.irr, m.isr, m.first, m.seen, m.output, s.irr, s.isr, s.first, s.seen

    def _load(self, state: State) -> None:
        m, s = self._chips
        m.irr, m.isr, m.first, m.seen, m.output, s.irr, s.isr, s.first, s.seen = state
