"""Device time: the recorded guest's virtual clock, and timers on it.

Models never ask the host for the time. The replayer moves one `Clock` to the time of each exit; timers that fall due
on the way fire first, in order of their deadlines, each seeing its own deadline as the present.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from .errors import TimerLoopError

NANOSECONDS_PER_SECOND: Final = 1_000_000_000

NEVER: Final = 1 << 63
"""A time, in ns, that no trace reaches."""

MAX_FIRINGS_AT_ONCE: Final = 100_000
"""More firings than this at one point of time mean that a timer never ends."""


MOST_STALE: Final = 1000
"""Entries of the heap, at least, before it is looked through for what is not needed any more."""


class Timer:
    """A one-shot timer. Made by `Clock.timer`; periodic timers re-arm themselves from their callback."""

    __slots__ = ("_clock", "_order", "_queued_ns", "callback", "deadline_ns")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.callback = callback
        self.deadline_ns = NEVER
        """When it fires, in ns of the clock; `NEVER` while it is not armed."""
        self._queued_ns = NEVER
        """The earliest time for which it is in the clock's heap. If that is too early, it is put there anew then."""
        self._order = 0
        """Of timers with one deadline, the one that was armed first fires first."""

    def arm(self, deadline_ns: int) -> None:
        """Fire at `deadline_ns` (ns) instead of whenever it was to fire before."""
        if deadline_ns == self.deadline_ns:
            return
        self.deadline_ns = deadline_ns
        if deadline_ns >= NEVER:
            return
        clock = self._clock
        clock._order = self._order = order = clock._order + 1
        if deadline_ns >= self._queued_ns:
            return
        self._queued_ns = deadline_ns
        heap = clock._heap
        heappush(heap, (deadline_ns, order, self))
        due_ns = deadline_ns + clock._step_ns
        if due_ns < clock.deadline_ns:
            clock.deadline_ns = due_ns
        if len(heap) > clock._most:
            clock._sweep()

    def is_over(self, deadline_ns: int) -> bool:
        """As `arm`; but if to fire would be the next thing that happens, cancel and return True.

        That may be done at once then: it would come before the next access and all other timers, at the present time.
        """
        clock = self._clock
        due_ns = deadline_ns + clock._step_ns
        if due_ns > clock.now_ns or due_ns >= clock.deadline_ns:
            self.arm(deadline_ns)
            return False
        self.deadline_ns = NEVER
        return True

    def cancel(self) -> None:
        """Do not fire."""
        self.deadline_ns = NEVER


class Clock:
    """The virtual clock of one machine, in nanoseconds since the guest was started.

    Args:
        now_ns: the present.
        step_ns: how long an instruction takes, if the guest's time is counted in instructions (icount). What falls due
            during an instruction happens after it, so it is too late for the access that the instruction makes.
    """

    __slots__ = ("_access_ns", "_heap", "_most", "_order", "_step_ns", "deadline_ns", "firing", "now_ns")

    def __init__(self, now_ns: int = 0, step_ns: int = 0) -> None:
        self._step_ns = step_ns
        self.now_ns = now_ns
        """The present, in ns. Only the replayer and `advance` move it."""
        self.deadline_ns = NEVER
        """An access before this time, in ns, comes before every timer. It may be early, never late."""
        self.firing: Timer | None = None
        """The timer that fires now or fired last: whose fault it is if `advance` raises."""
        self._heap: list[tuple[int, int, Timer]] = []
        """Time, order of arming, timer. A timer may have been armed for another time since, or cancelled."""
        self._order = 0
        self._most = MOST_STALE
        self._access_ns = now_ns

    @property
    def counts_instructions(self) -> bool:
        """Whether time is counted in instructions, so that it stands still while the processors do."""
        return self._step_ns > 0

    @property
    def lateness_ns(self) -> int:
        """While a timer fires: how long after its deadline, in ns.

        Time that is counted in instructions goes on in steps, from one access to the next; but while the processor is
        halted it jumps to the deadline, and goes on from there. Where it stands at the next access tells which.
        """
        return (self._access_ns - self.now_ns) % self._step_ns if self._step_ns else 0

    def timer(self, callback: Callable[[], None]) -> Timer:
        """A new timer, not armed, that calls `callback` when it fires."""
        return Timer(self, callback)

    def advance(self, to_ns: int, access_ns: int | None = None) -> None:
        """Move to the access at `to_ns` (ns), firing on the way every timer that is due before it.

        Due is a deadline up to and including `to_ns` less the time of an instruction. If it is no access, `access_ns`
        is when the next one is made.

        Raises:
            TimerLoopError: more than `MAX_FIRINGS_AT_ONCE` firings at one time.
        """
        heap = self._heap
        self._access_ns = to_ns if access_ns is None else access_ns
        until_ns = to_ns - self._step_ns
        firings = 0
        while heap and heap[0][0] <= until_ns:
            deadline_ns, order, timer = heappop(heap)
            if deadline_ns == timer._queued_ns:
                timer._queued_ns = NEVER
            if order != timer._order or timer.deadline_ns != deadline_ns:  # re-armed or cancelled since
                if timer.deadline_ns < timer._queued_ns:
                    timer._queued_ns = timer.deadline_ns
                    heappush(heap, (timer.deadline_ns, timer._order, timer))
                continue
            timer.deadline_ns = NEVER
            self.firing = timer
            if deadline_ns > self.now_ns:
                self.now_ns = deadline_ns
                firings = 0
            firings += 1
            if firings > MAX_FIRINGS_AT_ONCE:
                name = getattr(timer.callback, "__qualname__", repr(timer.callback))
                raise TimerLoopError(f"timer {name} fired {firings} times at {self.now_ns} ns and does not end")
            timer.callback()
        self.now_ns = to_ns
        self.deadline_ns = heap[0][0] + self._step_ns if heap else NEVER

    def _sweep(self) -> None:
        """Remove what will not fire, so that a timer that is armed again and again takes no more and more memory."""
        heap = self._heap
        timers = {entry[2] for entry in heap if entry[2].deadline_ns < NEVER}
        for timer in {entry[2] for entry in heap} - timers:
            timer._queued_ns = NEVER
        for timer in timers:
            timer._queued_ns = timer.deadline_ns
        heap[:] = [(timer.deadline_ns, timer._order, timer) for timer in timers]
        heapify(heap)
        self._most = max(MOST_STALE, 2 * len(heap))


def ticks(elapsed_ns: int, frequency_hz: int) -> int:
    """Whole periods of a counter of `frequency_hz` that fit into `elapsed_ns`."""
    return elapsed_ns * frequency_hz // NANOSECONDS_PER_SECOND


def first_ns_of_tick(tick: int, frequency_hz: int) -> int:
    """The first whole nanosecond at which a counter of `frequency_hz` started at 0 shows `tick`."""
    return -(-tick * NANOSECONDS_PER_SECOND // frequency_hz)
