"""What ``vmdev replay --against`` replays a trace into: QEMU's own devices, alone or beside the models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, cast

import click

from vmdev.replay.errors import OracleError, UnknownMachineError
from vmdev.replay.guest import Guest
from vmdev.replay.machines import Board
from vmdev.replay.oracle.oracle import SERIAL_INPUT, Oracle
from vmdev.replay.oracle.stand_ins import StandIns
from vmdev.replay.oracle.witnesses import Witnesses
from vmdev.replay.replayer import Replayer
from vmdev.replay.trace.reader import TraceReader
from vmdev.replay.verdict import Against, Explained, Verdict

from .judging import Judging
from .qemu.binary import identify
from .qemu.device_side import DEFAULTS, DeviceSide, device_side, users_own
from .qemu.qtest import QtestQemu

Mode = Literal["models", "qemu", "both"]
MODES: Final[tuple[Mode, ...]] = ("models", "qemu", "both")


class CommandBeforeQemu(click.Command):
    """A command whose line may go on with ``-- QEMU ARGUMENTS``, which it finds in `qemu_arguments`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set aside what is QEMU's."""
        if "--" in args and any(word.startswith("--against") for word in args[: args.index("--")]):
            at = args.index("--")
            ctx.meta[__name__] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


def qemu_arguments(ctx: click.Context) -> list[str] | None:
    """What stood after ``--``; None if there was no such thing."""
    return cast("list[str] | None", ctx.meta.get(__name__))


@dataclass(frozen=True, slots=True)
class Opponent:
    """What to play against.

    Args:
        mode: what answers.
        program: the QEMU to run; None: the one of the recording's target.
        arguments: for QEMU; None: those of the recording.
    """

    mode: Mode = "models"
    program: str | None = None
    arguments: Sequence[str] | None = None

    @contextmanager
    def match(self, reader: TraceReader, judging: Judging) -> Iterator[Match]:
        """A replay of a trace. While it goes on, QEMU runs.

        Raises:
            VmdevError: what is asked for cannot be replayed into.
        """
        if self.mode == "models":
            yield Match(judging.replayer(reader))
            return
        guest = reader.guest
        inputs = [event.detail for event in reader.events() if event.kind == SERIAL_INPUT]
        program, side = self._command(guest, inputs[0].rpartition(" ")[0] if inputs else "")
        board = self._board(guest, judging)
        shift = reader.meta.get("icount_shift")
        icount_shift = shift if isinstance(shift, int) else 0
        with QtestQemu(identify(program), side.arguments, icount_shift, side.serial) as qemu:
            oracle = Oracle(reader, qemu)
            if self.mode == "qemu":
                stand_ins = StandIns(oracle, board)
                rules, hear, witnesses = judging.given_rules(), None, None
            else:
                witnesses = Witnesses(oracle)
                stand_ins, rules, hear = None, judging.rules(reader.path), witnesses.hear
            replayer = judging.replay(oracle, board, judging.selection, reader.path.name, rules, stand_ins, hear)
            if stand_ins is not None:
                stand_ins.position = replayer.seq
            notes = side.notes
            recorder = str(reader.meta.get("qemu", ""))
            if recorder not in ("", qemu.qemu.version_text):
                notes = [f"the recording is of QEMU {recorder}", *notes]
            yield Match(replayer, qemu.name, tuple(notes), oracle, stand_ins, witnesses)

    def _command(self, guest: Guest, fed: str) -> tuple[str, DeviceSide]:
        """QEMU's program and arguments. `fed` is the character device that serial input came from."""
        if self.program is None and not re.fullmatch(r"\w+", guest.target):
            raise OracleError(f"the trace's target is {guest.target!r}; name a QEMU with --qemu")
        program = self.program or f"qemu-system-{guest.target}"
        if self.arguments is not None:
            words = list(self.arguments)
            if self.program is None and words and not words[0].startswith("-"):
                program = words.pop(0)
            return program, DeviceSide([*users_own(words), *DEFAULTS])
        side = device_side(guest, fed)
        side.arguments += DEFAULTS
        return program, side

    def _board(self, guest: Guest, judging: Judging) -> Board:
        """The models. Where there are none, QEMU's answers are judged all the same, by region and address."""
        try:
            return judging.board_for(guest)
        except UnknownMachineError:
            if self.mode == "both" or judging.machine is not None:
                raise
            return Board(guest.machine)


@dataclass(frozen=True, slots=True)
class Match:
    """A replay, and who else answers in it."""

    replayer: Replayer
    name: str = ""
    notes: tuple[str, ...] = ()
    oracle: Oracle | None = None
    stand_ins: StandIns | None = None
    witnesses: Witnesses | None = None

    def complete(self, verdict: Verdict) -> None:
        """Add to the replay's verdict what is known of who else answered."""
        if self.oracle is None:
            return
        notes = [f"{note[0].upper()}{note[1:]}." for note in self.notes]
        if self.oracle.acknowledged:
            notes.append(f"Interrupts acknowledged in the CPU's place, before an EOI: {self.oracle.acknowledged:,}.")
        if not self.oracle.is_fed:
            notes.append("Serial input is not played: QEMU has no port for it.")
        if self.oracle.untimely:
            notes.append(f"Times at which QEMU's clock could not be set: {self.oracle.untimely:,}.")
        unreachable = sum(not reachable for reachable in self.oracle.is_reachable)
        if unreachable:
            notes.append(f"Places that only a running CPU can access, and that were not played: {unreachable:,}.")
        counts = self.stand_ins.reasons.counts if self.stand_ins else {}
        verdict.against = Against(
            self.name,
            tuple(notes),
            tuple(Explained(device, *reason, reads) for (device, reason), reads in counts.items()),
            tuple(self.witnesses.rows) if self.witnesses else None,
            self.witnesses.alike if self.witnesses else 0,
            self.witnesses.unheard if self.witnesses else 0,
        )
