"""The judge: looks closely at an answer that differs from the recorded one, and at a model that failed.

The replayer calls it for nothing else, so what happens here may take its time. A difference is excused by a contract,
or explained by the model as input from outside, or found in the ledger of known divergences; else it is a divergence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeGuard

from ..device import Unknown, Unmodelled
from ..naming import Differing, Piece, describe, differing, pieces, side_by_side
from ..registers import Register
from ..routes import Target
from ..verdict import Access, Cause, Divergence, Fold, Instruction, Kind
from .causes import find_cause
from .context import CONTEXT_LENGTH, WARM_UP, Row, context
from .faults import Place, place_of, tell
from .ledger import Ledger
from .suspicion import Spot
from .watched import Watched

if TYPE_CHECKING:
    from ..trace.rows import Site

MAX_CONSEQUENCES: Final = 100
"""Consequences of each device that are kept; all are counted, and all are in the folds."""

MASK_64: Final = (1 << 64) - 1


class Exit(NamedTuple):
    """An exit under judgement."""

    seq: int
    t_ns: int
    site: Site
    hw: int
    """The recorded value, unsigned."""
    watched: Watched
    """Who answered."""
    route: Target
    judged: bool
    """If not, the model learns what it must, and nothing is counted."""

    @property
    def full(self) -> int:
        """A value of all ones."""
        return (1 << 8 * self.route.size) - 1

    def name(self, register: str | None) -> str:
        """What to count the exit under."""
        return register or f"offset {self.route.offset:#x}"


class Claims(Protocol):
    """What the judge asks the replayer."""

    def accesses(self, watched: Watched, seq: int, n: int) -> Sequence[Row]:
        """The last `n` exits before `seq` that `watched` answered, oldest first."""

    def until_next_ns(self) -> int:
        """How much later than the access that is being made its CPU makes the next one, in ns; 0 if nobody knows."""

    def has_written(self, watched: Watched, register: Register) -> bool:
        """Whether the guest may have written to the register's offset since the replay began."""

    def report_writes(self, watched: Watched) -> None:
        """From now on, call `Judge.wrote` after each write to the device."""


class Judge:
    """Judges the differences of one replay.

    Args:
        claims: the replayer.
        ledger: the known divergences.
        ends_at_root: whether there is nothing left to do after the first root, see `is_done`.
    """

    def __init__(self, claims: Claims, ledger: Ledger, ends_at_root: bool = False) -> None:
        self._claims = claims
        self._ledger = ledger
        self._ends_at_root = ends_at_root
        self._folds: dict[tuple[int, str, Cause, str, tuple[str, ...]], Fold] = {}
        self.divergences: list[Divergence] = []
        self.is_done = False
        self.asking = False
        """Whether a model runs on the judge's behalf; a sign for the watchdog."""
        self.note: Callable[[int, int], None] | None = None
        """Told of each read with a wrong answer: its seq, and that answer."""

    @property
    def folds(self) -> list[Fold]:
        """All consequences, equal ones together."""
        return list(self._folds.values())

    # Answers

    def differs(self, at: Exit, answer: object) -> None:
        """Judge a read's answer that is not simply the recorded value."""
        if isinstance(answer, tuple):  # undo the replayer's wrapping
            (answer,) = answer
        tally = at.watched.verdict.tally
        if isinstance(answer, Unmodelled):
            tally.unmodelled += at.judged
        elif isinstance(answer, Unknown):
            self._judge_unknown(at, answer)
        elif not _is_value(answer, at.full):
            self._bad_answer(at, answer)
        elif answer != at.hw:
            self._judge_value(at, answer)
        else:
            self._observe(at)

    def _judge_unknown(self, at: Exit, answer: Unknown) -> None:
        mask = answer.mask & at.full
        known: object = answer.known
        if not _is_value(known, at.full):
            self._bad_answer(at, known)
            return
        register = _names(self._pieces(at), mask)
        try:
            with self._asking():
                answer.learn(at.hw & mask)
        except Exception as error:
            self._access_fault(at, place_of(error), tell(error))
            return
        if known != at.hw & ~mask:
            self._judge_value(at, known | at.hw & mask)
        elif answer.kind == "assumed":
            self._assumed(at, register)
        elif at.judged:
            at.watched.verdict.tally.learned += 1
            _increment(at.watched.verdict.learned, at.name(register))

    def _judge_value(self, at: Exit, answer: int) -> None:
        parts = self._pieces(at)
        rows = self._excuse(at, differing(at.route.offset, parts, at.hw, answer))
        if not rows:
            at.watched.verdict.tally.masked += at.judged
            return
        model = at.watched.model
        if model is not None:
            try:
                with self._asking():
                    assumed = model.assume(at.route.offset, at.route.size, at.hw, answer)
            except Exception as error:
                self._access_fault(at, place_of(error), tell(error))
                return
            if assumed:
                self._assumed(at, describe(rows)[0])
                return
        if at.judged:
            self._value_diverged(at, parts, rows, answer)

    def _assumed(self, at: Exit, register: str | None) -> None:
        if at.judged:
            at.watched.verdict.tally.assumed += 1
            _increment(at.watched.verdict.assumed, at.name(register))

    def _value_diverged(self, at: Exit, parts: Sequence[Piece], rows: Sequence[Differing], answer: int) -> None:
        watched = at.watched
        if self._ledger.covers(watched.name, at.seq, [(row.name, row.bits) for row in rows]):
            watched.verdict.tally.known += 1
            return
        watched.verdict.tally.diverged += 1
        if self.note is not None:
            self.note(at.seq, answer)
        kind, root = watched.suspicion.differ(at.seq, [_spot(row) for row in rows])
        register, fields = describe(rows)
        reason = None
        if watched.model is not None:
            with suppress(Exception), self._asking():
                reason = watched.model.explain(at.route.offset, at.route.size)

        def divergence() -> Divergence:
            cause_class, explanation = reason or find_cause(
                rows, parts, at.site.size, at.hw, answer, lambda each: self._claims.has_written(watched, each)
            )
            return replace(
                self._divergence(at, kind, root),
                cause="value",
                cause_class=cause_class,
                explanation=explanation,
                register=register,
                model=answer,
                fields=fields,
                side_by_side=side_by_side(rows) if kind == "root" else (),
            )

        self._enter(watched, kind, divergence)
        if kind == "consequence":
            names = "+".join(row.name for row in rows)
            fold = self._fold(watched, root, at.seq, at.t_ns, "value", names, tuple(each.name for each in fields))
            fold.bits |= at.hw ^ answer

    # Contracts

    def _excuse(self, at: Exit, rows: list[Differing]) -> list[Differing]:
        """What no contract excuses. They are counted only if all of the difference is excused."""
        if not at.watched.by_register:
            return rows
        left: list[Differing] = []
        used = []
        for row in rows:
            excused = 0
            for clause in at.watched.by_register.get(row.name, ()):
                bits = clause.observe(row.hw, row.model, row.visible, self._claims.until_next_ns) & row.bits & ~excused
                excused |= bits
                used.append((clause, bits))
            if row.bits & ~excused:
                left.append(row._replace(model=row.model ^ excused & row.bits))
        if not left and at.judged:
            for clause, bits in used:
                if bits:
                    clause.count(bits)
        return left

    def _observe(self, at: Exit) -> None:
        """A read that agrees, which a contract wanted to see."""
        for register, start, bits, shift in self._pieces(at):
            if register is not None:
                full = (1 << bits) - 1
                value = (at.hw >> start & full) << shift
                for clause in at.watched.by_register.get(register.name, ()):
                    if clause.needs_all:
                        clause.observe(value, value, full << shift)

    # Faults of models

    def _bad_answer(self, at: Exit, answer: object) -> None:
        """A read gave something that no read of that size can give."""
        route = at.route
        shown = f"{answer:#x}" if isinstance(answer, int) else repr(answer)
        what = f"a read of {route.size} bytes at offset {route.offset:#x} was answered with {shown}"
        self._access_fault(at, (type(answer).__name__, "", route.offset), what)

    def access_raised(self, at: Exit, error: Exception) -> None:
        """A model raised at an access."""
        self._access_fault(at, place_of(error), tell(error))

    def _access_fault(self, at: Exit, place: Place, detail: str) -> None:
        if not at.judged:
            return
        watched = at.watched
        watched.verdict.tally.diverged += 1
        watched.write_faults += at.site.direction == "w"
        kind, root = watched.suspicion.fail(at.seq, place)
        register = _names(self._pieces(at), MASK_64)
        self._enter(
            watched,
            kind,
            lambda: replace(
                self._divergence(at, kind, root), cause="fault", cause_class="fault", register=register, detail=detail
            ),
        )
        if kind == "consequence":
            self._fold(watched, root, at.seq, at.t_ns, "fault", at.name(register), ())

    def outside_fault(self, watched: Watched, seq: int, t_ns: int, error: Exception, judged: bool) -> None:
        """A model failed in a timer or at a reset."""
        if not judged:
            return
        kind, root = watched.suspicion.fail(seq, place_of(error))

        def divergence() -> Divergence:
            return Divergence(
                seq=seq,
                t_ns=t_ns,
                device=watched.name,
                kind=kind,
                cause="fault",
                cause_class="fault",
                root_seq=None if kind == "root" else root,
                detail=tell(error),
                state=self._state(watched) if kind == "root" else {},
                context=self._context(watched, seq, None) if kind == "root" else (),
            )

        self._enter(watched, kind, divergence)
        if kind == "consequence":
            self._fold(watched, root, seq, t_ns, "fault", "", ())

    # Divergences

    def wrote(self, watched: Watched, route: Target) -> None:
        """The guest wrote to a device that is suspect: see rule 5 of `suspicion`."""
        if watched.model is None or watched.suspicion.is_idle:
            return
        with suppress(Exception), self._asking():
            found = pieces(watched.model, route.offset, route.size, "w")
            watched.suspicion.write(piece.register for piece in found if piece.register)

    def _enter(self, watched: Watched, kind: Kind, make: Callable[[], Divergence]) -> None:
        """Count a divergence, and keep it unless there are enough."""
        tally = watched.verdict.tally
        if kind == "root":
            tally.roots += 1
            self._claims.report_writes(watched)
            self.is_done = self.is_done or self._ends_at_root
        else:
            tally.consequences += 1
            if watched.kept >= MAX_CONSEQUENCES:
                return
            watched.kept += 1
        self.divergences.append(make())

    def _fold(
        self, watched: Watched, root: int, seq: int, t_ns: int, cause: Cause, register: str, fields: tuple[str, ...]
    ) -> Fold:
        key = (root, watched.name, cause, register, fields)
        fold = self._folds.get(key)
        if fold is None:
            fold = self._folds[key] = Fold(root, watched.name, register, fields, cause, seq, t_ns, seq, t_ns)
        fold.count += 1
        fold.last_seq, fold.last_t_ns = seq, t_ns
        return fold

    def _divergence(self, at: Exit, kind: Kind, root: int) -> Divergence:
        """All that does not depend on what went wrong."""
        site, watched = at.site, at.watched
        return Divergence(
            seq=at.seq,
            t_ns=at.t_ns,
            device=watched.name,
            kind=kind,
            cause="value",
            root_seq=None if kind == "root" else root,
            vcpu=site.vcpu,
            instruction=Instruction(site.pc, bytes(site.insn), site.text, site.size),
            space=site.space,
            direction=site.direction,
            address=site.address,
            offset=at.route.offset,
            size=site.size,
            hw=at.hw,
            state=self._state(watched) if kind == "root" else {},
            context=self._context(watched, at.seq, at) if kind == "root" else (),
        )

    def _context(self, watched: Watched, seq: int, at: Exit | None) -> tuple[Access, ...]:
        rows = self._claims.accesses(watched, seq, CONTEXT_LENGTH + WARM_UP)
        last = None if at is None else ((at.seq, at.t_ns, at.site.id, at.hw), at.site, at.route)
        with self._asking():
            return context(watched.model, rows, last)

    # Asking models

    def _state(self, watched: Watched) -> Mapping[str, int]:
        with self._asking():
            return watched.state()

    def _pieces(self, at: Exit) -> list[Piece]:
        """The access cut into registers; one piece without a register if they have no names, or the model fails."""
        if at.watched.model is not None:
            with suppress(Exception), self._asking():
                return pieces(at.watched.model, at.route.offset, at.route.size, at.site.direction)
        return [Piece(None, 0, 8 * at.route.size, 0)]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self.asking = True
        try:
            yield
        finally:
            self.asking = False


def _spot(row: Differing) -> Spot:
    if row.register is None:
        return Spot.undeclared(row.offset)
    return Spot.of(row.register, (field.name for field in row.fields))


def _is_value(answer: object, full: int) -> TypeGuard[int]:
    return isinstance(answer, int) and 0 <= answer <= full


def _names(parts: Sequence[Piece], bits: int) -> str | None:
    """The registers that hold any of `bits` of an access, joined by "+"; None if none is declared."""
    names = [piece.register.name for piece in parts if piece.register and bits >> piece.start & (1 << piece.bits) - 1]
    return "+".join(names) or None


def _increment(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
