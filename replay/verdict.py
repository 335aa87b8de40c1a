"""What a replay found: outcomes that add up, and the divergences. Plain data, no text.

Every recorded exit has exactly one outcome, so the outcomes of a `Tally` add up to its exits. A divergence outside
any exit, from a timer or a reset of a model, is counted in `roots` or `consequences` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Cause = Literal["value", "fault"]
"""Why an answer is wrong: another value, or no usable answer (an exception, or something that is no value)."""

Kind = Literal["root", "consequence"]
"""A divergence that nothing before it explains, or a later one of the same device that such a root may explain
(`judging/suspicion.py` has the rules)."""

CauseClass = Literal[
    "time", "interrupt", "outside", "configuration", "width", "register", "logic", "fault",
]  # fmt: skip
"""What kind of mistake the evidence points to:

- time: the value comes from the clock; given in ticks where the register declares its frequency.
- interrupt: the value shows pending or active interrupts.
- outside: the value shows input from outside the machine, which the model did not assume.
- configuration: the value shows how the machine was set up, or nothing has written it yet.
- width: the access is wider or narrower than the register, and only its splitting or widening differs.
- register: the model declares no register there.
- fault: the model gave no usable answer.
- logic: none of these; the register's own behaviour.
"""


@dataclass(slots=True)
class Tally:
    """Counts of exits by outcome, of one device or of a whole replay."""

    exits: int = 0
    reads: int = 0
    writes: int = 0
    matched: int = 0
    masked: int = 0
    """Equal on every compared bit, with a contract that excuses the others."""
    learned: int = 0
    assumed: int = 0
    diverged: int = 0
    """Exits with a wrong answer: reads, and writes at which the model raised."""
    roots: int = 0
    consequences: int = 0
    unmodelled: int = 0
    unclaimed_reads: int = 0
    delivered: int = 0
    unclaimed_writes: int = 0
    excluded: int = 0
    """Not judged, because the user asked for others."""
    known: int = 0
    """Exits with a wrong answer that the ledger of known divergences has."""

    @property
    def checked(self) -> int:
        """Exits of which something was compared with the recording."""
        return self.matched + self.masked + self.diverged + self.known

    @property
    def agreement(self) -> float | None:
        """The share of checked exits that agree, 0 to 1; None if nothing was checked."""
        return (self.matched + self.masked) / self.checked if self.checked else None

    @property
    def outcomes(self) -> int:
        """The sum of all outcomes. It equals `exits`."""
        return (
            self.matched
            + self.masked
            + self.learned
            + self.assumed
            + self.diverged
            + self.unmodelled
            + self.unclaimed_reads
            + self.delivered
            + self.unclaimed_writes
            + self.excluded
            + self.known
        )

    def add(self, other: Tally) -> None:
        """Add the counts of `other`."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field in which two values of a register differ, with the meanings that the register map gives."""

    name: str
    hw: str
    model: str


@dataclass(frozen=True, slots=True)
class FieldPair:
    """One field of a register that differs, whether this field does or not."""

    name: str
    hw: str
    model: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Access:
    """An exit as context: what the guest did with a device before it diverged."""

    seq: int
    t_ns: int
    direction: str
    """"r" or "w"."""
    register: str | None
    offset: int
    address: int
    size: int
    value: int
    decoded: str = ""
    """The value by its fields; empty if the register has none or is not known."""
    instruction: Instruction | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """The guest's instruction that made an access."""

    pc: int
    code: bytes
    text: str
    """QEMU's disassembly."""
    size: int
    """Bytes of the access, which tells the operand size."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A wrong answer."""

    seq: int
    """The exit, or, for a fault outside any exit, the exit that was next."""
    t_ns: int
    device: str
    kind: Kind
    cause: Cause
    cause_class: CauseClass = "logic"
    explanation: str = ""
    """What the evidence for the class is, with numbers; empty if the class says it all."""
    root_seq: int | None = None
    """Of a consequence: the root that may explain it."""
    vcpu: int | None = None
    instruction: Instruction | None = None
    """None if no access was under way: the fault is in a timer or in a reset."""
    space: str = ""
    direction: str = ""
    address: int | None = None
    offset: int | None = None
    size: int | None = None
    register: str | None = None
    hw: int | None = None
    model: int | None = None
    """None if the model gave no value."""
    fields: tuple[FieldDifference, ...] = ()
    side_by_side: tuple[FieldPair, ...] = ()
    """All fields of the registers that differ; roots only."""
    detail: str = ""
    """Of a fault: what happened, with the traceback."""
    state: Mapping[str, int] = field(default_factory=dict)
    """The model's state right after the access; roots only."""
    context: tuple[Access, ...] = ()
    """The last accesses to the device before this one, oldest first; roots only."""

    @property
    def subject(self) -> str:
        """What is wrong: the device, and its register where that has a name."""
        return f"{self.device}.{self.register}" if self.register else self.device


@dataclass(slots=True)
class Fold:
    """Equal consequences: of one root, in the same fields of the same registers of one device."""

    root_seq: int
    device: str
    register: str
    """The registers' names or offsets, joined by "+"."""
    fields: tuple[str, ...]
    cause: Cause
    first_seq: int
    first_t_ns: int
    last_seq: int
    last_t_ns: int
    count: int = 0
    bits: int = 0
    """All bits of the accesses that differed in any of them."""


@dataclass(frozen=True, slots=True)
class ContractUse:
    """What a contract excused."""

    device: str
    register: str
    rule: str
    """With its numbers: ``time, 3 ticks``."""
    covers: int
    """The bits of the register that it covers."""
    reason: str
    reads: int
    bits: int
    """Bits that differed, added up over these reads."""


@dataclass(frozen=True, slots=True)
class KnownUse:
    """What an entry of the ledger of known divergences covered."""

    device: str
    register: str
    bits: int | None
    reason: str
    link: str
    reads: int
    first_seq: int | None
    last_seq: int | None
    stale: bool
    """It covered nothing, though all that it could cover was judged."""


@dataclass(slots=True)
class DeviceVerdict:
    """What was found about one device."""

    name: str
    model: str
    """The model's class."""
    excluded: bool = False
    tally: Tally = field(default_factory=Tally)
    learned: dict[str, int] = field(default_factory=dict)
    """Reads that taught the model, by register."""
    assumed: dict[str, int] = field(default_factory=dict)
    """Reads that were taken as outside input, by register."""


@dataclass(slots=True)
class Unclaimed:
    """Accesses to a place where the machine has no device: one row a region, or an address where there is no region."""

    space: str
    region: str
    """QEMU's name of what is there; "" if nothing is."""
    first: int
    """The lowest address that was accessed."""
    last: int
    """The highest."""
    reads: int = 0
    writes: int = 0


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """Which recording was replayed."""

    name: str
    machine: str
    target: str
    clock: str
    exits: int
    closed: bool
    """False if the recording was cut off."""
    imported: str = ""
    """Of a trace that vmdev did not record: what it came from, and what it lacks. Empty: vmdev recorded it."""


OddOne = Literal["recording", "model", "qemu", "all", "undecided"]
"""Who of three witnesses is alone with its answer to a read; "all": no two agree; "undecided": the recording and QEMU
differ in what the model leaves to the recording."""


@dataclass(slots=True)
class WitnessRow:
    """Reads that three witnesses do not answer alike: of a register, and with one odd one."""

    device: str
    register: str
    """The registers that differ, joined by "+"."""
    odd: OddOne
    size: int
    """Of the first such read, as what follows."""
    first_seq: int
    recording: int
    model: int
    qemu: int
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """Differences for which there is a reason that is no fault of the devices."""

    device: str
    cause_class: CauseClass
    reason: str
    reads: int


@dataclass(frozen=True, slots=True)
class Against:
    """Another implementation, which the trace was played to."""

    name: str
    notes: tuple[str, ...] = ()
    """What a reader of the verdict has to know of it, in sentences."""
    explained: tuple[Explained, ...] = ()
    """If it is what was judged: its differences with a reason."""
    witnesses: tuple[WitnessRow, ...] | None = None
    """If it is a witness beside the models: where the three are not alike. None: it is what was judged."""
    alike: int = 0
    """Reads that three witnesses answer alike."""
    unheard: int = 0
    """Reads about which one of three witnesses says nothing."""


@dataclass(slots=True)
class Verdict:
    """The result of a replay."""

    trace: TraceSummary
    machine: str
    """The machine that was replayed into."""
    selected: tuple[str, ...] = ()
    """The devices that were judged; empty: all."""
    selection: tuple[str, ...] = ()
    """How else the judged exits were chosen, and why the replay ended early, in words; empty: not at all."""
    strict: bool = False
    """Whether reads that nothing answers count as divergences."""
    totals: Tally = field(default_factory=Tally)
    devices: list[DeviceVerdict] = field(default_factory=list)
    """Devices with exits or divergences, in the machine's order."""
    divergences: list[Divergence] = field(default_factory=list)
    """In order of seq: every root, and of each device the first consequences."""
    unclaimed: list[Unclaimed] = field(default_factory=list)
    """Most reads first."""
    folds: list[Fold] = field(default_factory=list)
    """All consequences, equal ones together, in order of their first."""
    contracts: list[ContractUse] = field(default_factory=list)
    known: list[KnownUse] = field(default_factory=list)
    against: Against | None = None
    """None: the models alone were replayed."""

    @property
    def roots(self) -> list[Divergence]:
        """The divergences that no earlier one explains."""
        return [divergence for divergence in self.divergences if divergence.kind == "root"]

    @property
    def agrees(self) -> bool:
        """Whether nothing was found that should fail a test."""
        totals = self.totals
        return not (totals.roots or totals.consequences or self.stale or self.unanswered or self.qemu_is_odd)

    @property
    def qemu_is_odd(self) -> bool:
        """Whether QEMU, as a witness beside the models, answers otherwise than the recording.

        Where QEMU and the model agree, and the recording alone is odd, the replay itself has judged the model.
        """
        rows = self.against.witnesses if self.against else None
        return any(row.odd not in ("model", "recording") for row in rows or ())

    @property
    def stale(self) -> list[KnownUse]:
        """Known divergences that no longer occur."""
        return [entry for entry in self.known if entry.stale]

    @property
    def unanswered(self) -> int:
        """Reads that nothing answered, if they count as divergences."""
        return self.totals.unclaimed_reads + self.totals.unmodelled if self.strict else 0
