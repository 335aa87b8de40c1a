"""The watchdog: ends a model's access that does not come back.

A thread of its own looks now and then at how far the replay has got. If it stands at one access for too long, an
exception is raised into the replay's thread, which ends any loop written in Python. Signals are not used: they belong
to the program, and reach the main thread only. Where the exception has no effect (in a call that sleeps, or a loop that
catches everything) nothing in the process can help: the watchdog then calls `give_up`. Only a C function that never
returns and never lets other threads run goes unnoticed.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from .errors import ModelHungError

PATIENCE_S: Final = 10.0
"""Seconds of processor time that an access may take."""

ASLEEP_FACTOR: Final = 6
"""A thread that sleeps takes no processor time: it may take so many times as long."""

ATTEMPTS: Final = 3
"""How often the exception is raised before it is taken to have no effect."""


class Watchdog:
    """A context manager that watches the thread that enters it.

    Args:
        position: where the replay is, in any form; None while no model runs. It is called from another thread.
        patience_s: see `PATIENCE_S`.
        give_up: called, from another thread, when a model cannot be ended.
    """

    def __init__(
        self,
        position: Callable[[], object | None],
        patience_s: float = PATIENCE_S,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        self._position = position
        self._patience_s = patience_s
        self._give_up = give_up
        self._done = threading.Event()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="vmdev watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._watched = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        clock = time.pthread_getcpuclockid(self._watched)
        stands_at: object | None = None
        since_s = cpu_since_s = 0.0
        attempts = 0
        while not self._done.wait(self._patience_s / 8):
            now_s, cpu_now_s = time.monotonic(), time.clock_gettime(clock)
            position = self._position()
            if position is None or position != stands_at:
                stands_at, since_s, cpu_since_s, attempts = position, now_s, cpu_now_s, 0
                continue
            if cpu_now_s - cpu_since_s < self._patience_s and now_s - since_s < ASLEEP_FACTOR * self._patience_s:
                continue
            if attempts == ATTEMPTS:
                if self._give_up is not None:
                    self._give_up()
                return
            attempts += 1
            since_s, cpu_since_s = now_s, cpu_now_s
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._watched), ctypes.py_object(ModelHungError))
