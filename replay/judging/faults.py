"""What is told of a model that failed: the traceback from the model's first line on, and what makes two faults one."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

Place = tuple[str, str, int]
"""What makes two faults the same: the exception's type, and the file and line that raised it."""

_CALLERS: Final = frozenset(
    str(Path(__file__).parents[1] / name)
    for name in ("replayer.py", "routes.py", "judging/judge.py", "judging/context.py")
)
"""Files whose frames say nothing about a model's fault."""


def place_of(error: Exception) -> Place:
    """Where `error` was raised."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    if frames is None:
        return type(error).__name__, "", 0
    return type(error).__name__, frames.tb_frame.f_code.co_filename, frames.tb_lineno


def tell(error: Exception) -> str:
    """The exception with its traceback, as text."""
    return "".join(traceback.format_exception(type(error), error, _callers_removed(error))).rstrip()


def _callers_removed(error: Exception) -> TracebackType | None:
    """The traceback from the first frame on that is not the replayer's."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code.co_filename in _CALLERS:
        frames = frames.tb_next
    return frames
