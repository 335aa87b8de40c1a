"""Which lines of a model's source a replay runs: those of functions, in the files of its classes."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from ..device import Device


class Lines:
    """What lines a model has, and which of them were run.

    Args:
        model: its class. Files of classes that it is derived from count, too, up to `Device`. None: nothing yet.
    """

    def __init__(self, model: type[Device] | None = None) -> None:
        self.all: dict[str, set[int]] = {}
        """By file: lines of functions."""
        self.run: dict[str, set[int]] = {}
        """As `all`: those that were run."""
        for each in model.__mro__ if model else ():
            if each in Device.__mro__:
                continue
            file = inspect.getsourcefile(each)
            if file is not None and file not in self.all:
                self.all[file] = {*_lines(compile(Path(file).read_bytes(), file, "exec"), is_function=False)}
                self.run[file] = set()

    def add(self, other: Lines) -> None:
        """Add what was run elsewhere, of whatever model."""
        for file, lines in other.all.items():
            self.all.setdefault(file, set()).update(lines)
            self.run.setdefault(file, set()).update(other.run[file])

    @property
    def missed(self) -> Mapping[str, list[int]]:
        """By file: lines that were not run, in order."""
        return {file: sorted(lines - self.run[file]) for file, lines in self.all.items()}

    def watch(self, work: Callable[[], object]) -> None:
        """Note the lines that are run while something is done in this thread."""
        run = self.run

        def on_line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                run[frame.f_code.co_filename].add(frame.f_lineno)
            return on_line

        def on_call(frame: FrameType, event: str, argument: Any) -> Any:
            return on_line if frame.f_code.co_filename in run else None

        before = sys.gettrace()
        sys.settrace(on_call)
        try:
            work()
        finally:
            sys.settrace(before)


def _lines(code: CodeType, is_function: bool) -> Iterator[int]:
    """The lines of all functions in a piece of code."""
    if is_function:
        yield from (line for _, line in dis.findlinestarts(code) if line and line != code.co_firstlineno)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant, is_function or bool(constant.co_flags & inspect.CO_OPTIMIZED))
