"""``vmdev compare``: what differs between two recordings."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from vmdev.replay.comparing import Comparison, Places, Recording, Streams, conditions, gather, json, text
from vmdev.replay.comparing import compare as compare_recordings
from vmdev.replay.comparing.proposals import as_toml, proposals
from vmdev.replay.errors import OutputExistsError, UnknownMachineError
from vmdev.replay.machines import Board
from vmdev.replay.printable import printable
from vmdev.replay.provenance import provenance
from vmdev.replay.report.wording import number
from vmdev.replay.selection import Selection
from vmdev.replay.trace.reader import TraceReader

from .judging import DeviceType, Judging, UserModel, board_options, notes

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

Any_ = TypeVar("Any_")
Pair = tuple[Any_, Any_]

DIFFERS: Final = 1
"""Exit status as diff(1)'s."""

_FORMATS: Final = {"text": text.render, "json": json.render}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@board_options
@click.option(
    "--device", "devices", type=DeviceType(), metavar="NAME", multiple=True,
    help="Compare only this device, or region where no model is; repeatable. NAME=package.module:Class@pio:0x3f8 names "
    "its registers by a model of yours, without the part from @ on where ours is.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Loops that ran more often in one are differences, too.")
@click.option(
    "--write-contracts", "contracts", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write proposed contracts for what differs, for you to accept.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="text", show_default=True)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Rows of each list (text: 20 unless given).")
@click.pass_context
def compare(
    context: click.Context,
    /,
    first: Path,
    second: Path,
    machine: str | None,
    board: Path | None,
    devices: tuple[str | UserModel, ...],
    strict: bool,
    contracts: Path | None,
    force: bool,
    form: str,
    limit: int | None,
) -> None:
    """Compare two recordings, and show what differs by device, register and bit.

    They may be two runs of a guest, of two QEMUs, of TCG and KVM, or a recording and an imported log. Accesses are
    paired by device, direction, register and size, and writes by their value; then what was read is compared. Times
    and instructions are not. That a loop ran more often in one of them, as a poll does, is no difference.

    The exit status is 0 if nothing differs, 1 if something does, and 2 in case of trouble.

    Example:

    \b
        vmdev compare monday.db tuesday.db
        vmdev compare tcg.db kvm.db --device rtc --format json
        vmdev compare one.db other.db --write-contracts volatile.toml
    """
    if contracts is not None and contracts.exists() and not force:
        raise OutputExistsError(f"{contracts}: exists; choose another name, or overwrite it with --force")
    wanted = [device for device in devices if isinstance(device, str)]
    judging = Judging(machine, board, tuple(device for device in devices if isinstance(device, UserModel)))
    with ExitStack() as stack:
        readers = (stack.enter_context(TraceReader(first)), stack.enter_context(TraceReader(second)))
        for reader in readers:
            for note in notes(reader):
                click.echo(printable(note), err=True)
        found = _compared(readers, judging, wanted)
    found.strict = strict
    click.echo(_FORMATS[form](found, limit), nl=False)
    if contracts is not None:
        _write(contracts, found)
    if found.differs:
        context.exit(DIFFERS)


def _compared(readers: Pair[TraceReader], judging: Judging, wanted: Collection[str]) -> Comparison:
    boards, notes = _boards(readers, judging)
    first, second = readers
    names = (first.path.name, second.path.name)
    if names[0] == names[1]:
        names = (str(first.path), str(second.path))
    places = Places()
    with Streams() as streams_a, Streams() as streams_b, _bar("Reading", sum(r.exit_count for r in readers)) as bar:
        recordings: list[Recording] = []
        for reader, board, streams, other, name in zip(
            readers, boards, (streams_a, streams_b), readers[::-1], names, strict=True
        ):
            replayer = None
            if board is not None:
                replayer = judging.bench(reader.path).replayer(reader, board, Selection())
            origin = provenance(other.meta)
            recordings.append(
                gather(
                    reader,
                    replayer,
                    board.devices if board is not None else (),
                    places,
                    streams,
                    wanted=wanted,
                    other_format=origin.form if origin else "",
                    name=name,
                    progress=bar.update,
                )
            )
        _check_names(wanted, [*streams_a.counts, *streams_b.counts], boards)
        with _bar("Comparing", sum(streams_a.counts.values()) + sum(streams_b.counts.values())) as bar:
            found = compare_recordings(recordings[0], recordings[1], places, bar.update)
    found.selected = tuple(wanted)
    found.facts = conditions.facts(first.meta, second.meta)
    found.notes = notes
    return found


def _bar(label: str, length: int) -> ProgressBar[int]:
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def _boards(readers: Pair[TraceReader], judging: Judging) -> tuple[Pair[Board | None], list[str]]:
    """The boards that name what the recordings' accesses reach; none for either if one has none."""
    notes = []
    guests = [reader.guest for reader in readers]
    if guests[0].machine != guests[1].machine or guests[0].target != guests[1].target:
        notes.append("the machines differ; what is compared is what has the same name in both")
    try:
        return (judging.board_for(guests[0]), judging.board_for(guests[1])), notes
    except UnknownMachineError as error:
        if judging.machine is not None or judging.devices:
            raise
        notes.append(f"devices are named by QEMU's regions, and registers by offsets: {error}")
        return (None, None), notes


def _check_names(wanted: Collection[str], seen: Collection[str], boards: Pair[Board | None]) -> None:
    known = dict.fromkeys([*seen, *(device for board in boards if board is not None for device in board.devices)])
    unknown = [repr(name) for name in wanted if name not in known]
    if unknown:
        raise UnknownMachineError(
            f"neither recording has a device {' or '.join(unknown)}; they have {', '.join(known)}"
        )


def _write(path: Path, comparison: Comparison) -> None:
    """Write the contracts that are proposed."""
    found = proposals(comparison)
    if not found:
        click.echo("Nothing that a contract could cover differs: none was written.", err=True)
        return
    path.write_text(as_toml(comparison), encoding="utf-8")
    click.echo(printable(f"{path}: {number(len(found), 'contract')}, for you to accept"), err=True)
