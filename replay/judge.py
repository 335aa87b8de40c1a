"""The judge: looks closely at an answer that differs from the recorded one, and at a model that failed.

The replayer calls it for nothing else, so what happens here may take its time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeGuard

from .bus import Route
from .device import Device, Unknown, Unmodelled
from .faults import Place, place_of, tell
from .naming import differences, register_names, unbanked_name
from .registers import Direction
from .verdict import Access, Cause, DeviceVerdict, Divergence, FieldDifference, Instruction, Kind, Tally

if TYPE_CHECKING:
    from .trace.rows import ExitRow, Site

CONTEXT_LENGTH: Final = 8
"""Accesses that are kept with a root divergence."""

MAX_CONSEQUENCES: Final = 100
"""Consequences of each device that are kept; all are counted."""

MASK_64: Final = (1 << 64) - 1


class Watched:
    """A device under judgement."""

    __slots__ = ("broken", "faults", "judged", "kept", "model", "name", "verdict", "write_faults")

    def __init__(self, name: str, device: object, judged: bool) -> None:
        self.name = name
        self.model = device if isinstance(device, Device) else None
        """None if it is something on the bus that is no model: it has no names and no state to show."""
        self.verdict = DeviceVerdict(name, "" if device is None else type(device).__name__, excluded=not judged)
        self.judged = judged
        self.broken = False
        """Whether it diverged since it was last reset."""
        self.faults: set[Place] = set()
        """Since it was last reset."""
        self.kept = 0
        """Consequences that were kept."""
        self.write_faults = 0

    def heal(self) -> None:
        """Forget what went wrong before a reset."""
        self.broken = False
        self.faults.clear()

    def close(self) -> None:
        """Complete the tally: what was not counted otherwise went well."""
        tally = self.verdict.tally
        if self.judged:
            failed_reads = tally.diverged - self.write_faults
            tally.matched = tally.reads - tally.masked - tally.learned - tally.assumed - tally.unmodelled - failed_reads
            tally.delivered = tally.writes - self.write_faults
        else:
            self.verdict.tally = Tally(tally.exits, tally.reads, tally.writes, excluded=tally.exits)
            self.verdict.learned.clear()
            self.verdict.assumed.clear()


class Exit(NamedTuple):
    """An exit under judgement."""

    seq: int
    t_ns: int
    site: Site
    hw: int
    """The recorded value, unsigned."""
    watched: Watched
    """Who answered."""
    route: Route

    @property
    def full(self) -> int:
        """A value of all ones."""
        return (1 << 8 * self.route.size) - 1

    @classmethod
    def of(cls, seq: int, t_ns: int, site: Site, value: int, claim: tuple[Watched, Route]) -> Exit:
        """The exit that a row of the trace tells of."""
        return cls(seq, t_ns, site, value & (1 << 8 * site.size) - 1, *claim)


class Claims(Protocol):
    """What the judge asks the replayer."""

    def context(self, watched: Watched, seq: int, n: int) -> Sequence[tuple[ExitRow, Site, Route]]:
        """The last `n` exits before `seq` that `watched` answered, oldest first."""


class Judge:
    """Judges the differences of one replay."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self.divergences: list[Divergence] = []

    # Answers

    def differs(self, at: Exit, answer: object) -> None:
        """Judge a read's answer that is not simply the recorded value."""
        if at.route.size == 8:  # undo read_signed
            if isinstance(answer, tuple):
                (answer,) = answer
            elif isinstance(answer, int):
                answer &= MASK_64
        if isinstance(answer, Unmodelled):
            at.watched.verdict.tally.unmodelled += 1
        elif isinstance(answer, Unknown):
            self._judge_unknown(at, answer)
        elif _is_value(answer, at.full):
            if answer != at.hw:
                self._judge_value(at, answer)
        else:
            self._bad_answer(at, answer)

    def _judge_unknown(self, at: Exit, answer: Unknown) -> None:
        mask = answer.mask & at.full
        known: object = answer.known
        if not _is_value(known, at.full):
            self._bad_answer(at, known)
            return
        register = _names(at, "r", mask)
        try:
            answer.learn(at.hw & mask)
        except Exception as error:
            self._access_fault(at, place_of(error), tell(error))
            return
        if known != at.hw & ~mask:
            self._judge_value(at, known | at.hw & mask)
        elif answer.kind == "assumed":
            _assumed(at, register)
        else:
            at.watched.verdict.tally.learned += 1
            _increment(at.watched.verdict.learned, register, at)

    def _judge_value(self, at: Exit, answer: int) -> None:
        watched, route = at.watched, at.route
        register, fields = _differences(at, answer)
        # The place for contracts: one that masks all differing bits makes the outcome `masked`.
        if watched.model is not None:
            try:
                assumed = watched.model.assume(route.offset, route.size, at.hw, answer)
            except Exception as error:
                self._access_fault(at, place_of(error), tell(error))
                return
            if assumed:
                _assumed(at, register)
                return
        watched.verdict.tally.diverged += 1
        kind = self._classify(watched, None)
        self._keep(watched, kind, lambda: self._divergence(at, kind, "value", answer, register, fields))

    def _bad_answer(self, at: Exit, answer: object) -> None:
        """A read gave something that no read of that size can give."""
        route = at.route
        shown = f"{answer:#x}" if isinstance(answer, int) else repr(answer)
        what = f"a read of {route.size} bytes at offset {route.offset:#x} was answered with {shown}"
        self._access_fault(at, (type(answer).__name__, "", route.offset), what)

    # Faults of models

    def access_raised(self, at: Exit, error: Exception) -> None:
        """A model raised at an access."""
        self._access_fault(at, place_of(error), tell(error))

    def _access_fault(self, at: Exit, place: Place, detail: str) -> None:
        watched = at.watched
        direction = at.site.direction
        watched.verdict.tally.diverged += 1
        watched.write_faults += direction == "w"
        kind = self._classify(watched, place)
        register = _names(at, direction, MASK_64)
        self._keep(watched, kind, lambda: self._divergence(at, kind, "fault", None, register, (), detail))

    def outside_fault(self, watched: Watched, seq: int, t_ns: int, error: Exception) -> None:
        """A model failed in a timer or at a reset."""
        kind = self._classify(watched, place_of(error))

        def divergence() -> Divergence:
            return Divergence(
                seq=seq,
                t_ns=t_ns,
                device=watched.name,
                kind=kind,
                cause="fault",
                detail=tell(error),
                state=_state(watched) if kind == "root" else {},
                context=self._context(watched, seq) if kind == "root" else (),
            )

        self._keep(watched, kind, divergence)

    # Divergences

    def _classify(self, watched: Watched, place: Place | None) -> Kind:
        """Book a divergence. A fault that was not seen before is a root even on a device that diverged earlier."""
        root = not watched.broken if place is None else place not in watched.faults
        watched.broken = True
        if place is not None:
            watched.faults.add(place)
        if root:
            watched.verdict.tally.roots += 1
            return "root"
        watched.verdict.tally.consequences += 1
        return "consequence"

    def _keep(self, watched: Watched, kind: Kind, make: Callable[[], Divergence]) -> None:
        if not watched.judged:
            return
        if kind == "consequence":
            if watched.kept >= MAX_CONSEQUENCES:
                return
            watched.kept += 1
        self.divergences.append(make())

    def _divergence(
        self,
        at: Exit,
        kind: Kind,
        cause: Cause,
        answer: int | None,
        register: str | None,
        fields: tuple[FieldDifference, ...],
        detail: str = "",
    ) -> Divergence:
        site, watched = at.site, at.watched
        return Divergence(
            seq=at.seq,
            t_ns=at.t_ns,
            device=watched.name,
            kind=kind,
            cause=cause,
            vcpu=site.vcpu,
            instruction=Instruction(site.pc, bytes(site.insn), site.text, site.size),
            space=site.space,
            direction=site.direction,
            address=site.address,
            offset=at.route.offset,
            size=site.size,
            register=register,
            hw=at.hw,
            model=answer,
            fields=fields,
            detail=detail,
            state=_state(watched) if kind == "root" else {},
            context=self._context(watched, at.seq) if kind == "root" else (),
        )

    def _context(self, watched: Watched, seq: int) -> tuple[Access, ...]:
        accesses = []
        for (at_seq, t_ns, _, value), site, route in self._claims.context(watched, seq, CONTEXT_LENGTH):
            name = unbanked_name(watched.model, route.offset, site.direction) if watched.model else None
            hw = value & (1 << 8 * site.size) - 1
            accesses.append(Access(at_seq, t_ns, site.direction, name, route.offset, site.address, site.size, hw))
        return tuple(accesses)


def _assumed(at: Exit, register: str | None) -> None:
    at.watched.verdict.tally.assumed += 1
    _increment(at.watched.verdict.assumed, register, at)


def _is_value(answer: object, full: int) -> TypeGuard[int]:
    return isinstance(answer, int) and 0 <= answer <= full


def _names(at: Exit, direction: Direction, bits: int) -> str | None:
    """The registers that hold `bits` of an access; None if they have no names, or the model fails when asked."""
    if at.watched.model is None:
        return None
    with suppress(Exception):
        return register_names(at.watched.model, at.route.offset, at.route.size, direction, bits)
    return None


def _differences(at: Exit, answer: int) -> tuple[str | None, tuple[FieldDifference, ...]]:
    """The registers and fields in which two answers differ; nothing if they have no names, or the model fails."""
    if at.watched.model is None:
        return None, ()
    with suppress(Exception):
        return differences(at.watched.model, at.route.offset, at.route.size, "r", at.hw, answer)
    return None, ()


def _state(watched: Watched) -> Mapping[str, int]:
    """The model's state; nothing if it fails when asked."""
    if watched.model is None:
        return {}
    with suppress(Exception):
        return dict(watched.model.state())
    return {}


def _increment(counts: dict[str, int], register: str | None, at: Exit) -> None:
    name = register or f"offset {at.route.offset:#x}"
    counts[name] = counts.get(name, 0) + 1
