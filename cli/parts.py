"""The files of a rotated recording: trace.db, trace.1.db, trace.2.db, and so on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vmdev.replay.errors import OutputExistsError, RecordError

from .qemu.process import MapSnapshot

_JOURNALS = ("", "-journal", "-wal", "-shm")

_NEVER = 1 << 62
"""More sites than a file has."""


def part_path(output: Path, number: int) -> Path:
    """The file of part `number`, from 0. part_path.c knows the same rule."""
    stem, suffix = _split(output)
    return output.with_name(f"{stem}.{number}{suffix}") if number else output


def make_room(output: Path, force: bool) -> None:
    """See that no part but the first is there.

    Raises:
        OutputExistsError: one is, and may not be overwritten, or is no file.
        RecordError: it cannot be removed.
    """
    stem, suffix = _split(output)
    is_part = re.compile(rf"{re.escape(stem)}\.[1-9][0-9]*{re.escape(suffix)}")
    try:
        found = sorted(path for path in output.parent.iterdir() if is_part.fullmatch(path.name))
    except OSError:  # making the first part will say what is wrong
        return
    for path in found:
        if not force:
            raise OutputExistsError(
                f"{path}: exists, and --rotate may need the name; choose another one with -o, or overwrite all of "
                "them with --force"
            )
        if not path.is_file():
            raise OutputExistsError(f"{path}: exists and is not a regular file; choose another name with -o")
        try:
            for journal in _JOURNALS:
                path.with_name(path.name + journal).unlink(missing_ok=True)
        except OSError as error:
            raise RecordError(f"{path}: cannot be removed: {error.strerror}; choose another name with -o") from error


def sites_before(maps: Sequence[MapSnapshot], part: int, rotate: int | None) -> list[int]:
    """How many sites the part had when each snapshot was taken."""
    counts = []
    for taken in maps:
        # The recorder begins a file with the exit that does not fit the one before.
        its_part = max(0, taken.seq - 1) // rotate if rotate else 0
        counts.append(taken.sites if its_part == part else 0 if its_part < part else _NEVER)
    return counts


def _split(output: Path) -> tuple[str, str]:
    dot = output.name.rfind(".")
    return (output.name[:dot], output.name[dot:]) if dot > 0 else (output.name, "")
