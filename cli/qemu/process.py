"""One recording: QEMU is started with the recorder, watched, and asked what its machine looked like."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from qemu.qmp import ExecuteError, QMPClient, QMPError

from vmdev.replay.errors import QemuFailedError, RecordError
from vmdev.replay.guest import Region

from .region_map import parse_flat_view, parse_region_names

START_TIMEOUT_S: Final = 60
"""How long QEMU may take to build its machine."""

MAP_TIMEOUT_S: Final = 9
"""How long a snapshot of the memory map may take. The recorder waits a little longer."""

QUIT_TIMEOUT_S: Final = 60
"""How long QEMU, and the recorder in it, may take to end once told to."""


@dataclass(slots=True)
class Machine:
    """What QEMU said of its machine."""

    flat_view: str
    """``info mtree -f``."""
    pci: list[dict[str, Any]]
    """``query-pci``; empty where there is no PCI."""
    machine_type: str
    """``pc-i440fx-10.0``."""
    drives: list[str]
    """Drives that answer the guest at the host's pace: those with a medium, and ATA drives even without one."""
    region_names: Collection[str] = ()
    """Of regions that have an owner, whether they are mapped or not; known before the guest starts."""


@dataclass(frozen=True, slots=True)
class MapSnapshot:
    """What was mapped where when that had changed."""

    seq: int
    """Number of accesses recorded before it."""
    sites: int
    """Number of sites recorded before it."""
    regions: list[Region]


@dataclass(slots=True)
class Outcome:
    """How a recording ended."""

    reason: str = "guest"
    """"guest", "exits", "duration", "interrupt" or "qemu-died"; see traces/README.md."""
    final: Machine | None = None
    """The machine at the end; None if QEMU was gone before it could be asked."""
    status: int = 0
    """QEMU's exit status."""
    errors: list[str] = field(default_factory=list)
    """What the recorder in QEMU reported."""
    maps: list[MapSnapshot] = field(default_factory=list)
    """Snapshots between the start and the end; each differs from the one before it."""
    last_part: int = 0
    """Number of the last file that was begun; 0: the first."""


def _name(drive: Mapping[str, Any]) -> str:
    return str(drive["device"] or drive.get("qdev") or "unnamed")


def _is_async(drive: Mapping[str, Any]) -> bool:
    """Flash is read as memory; an empty floppy drive has nothing to wait for; an ATA drive's reset is a bottom half."""
    name = _name(drive)
    return "flash" not in f"{name} {drive.get('qdev')}" and ("inserted" in drive or name.startswith("ide"))


class QemuProcess:
    """QEMU under observation. `run` is all there is to call."""

    def __init__(
        self,
        program: str,
        arguments: list[str],
        *,
        quiet_input: bool,
        end_on_error: bool = True,
        pass_fds: Sequence[int] = (),
        replay_end: str | None = None,
    ) -> None:
        """Args: `replay_end`: QEMU replays a log, and for this reason the log ends."""
        self._program = program
        self._arguments = arguments
        self._quiet_input = quiet_input
        self._end_on_error = end_on_error
        self._pass_fds = pass_fds
        self._replay_end = replay_end
        self._qmp = QMPClient("vmdev")
        self._outcome = Outcome()
        self._ended = asyncio.Event()
        self._asking = asyncio.Lock()
        self._regions: list[Region] = []
        self._places: Callable[[Sequence[Region]], str] = lambda regions: ""
        self._stderr: list[str] = []
        self._started = False

    async def run(
        self,
        plugin: Callable[[int], str],
        on_machine: Callable[[Machine], str],
        *,
        places: Callable[[Sequence[Region]], str],
        paused: bool,
        duration_s: float | None,
    ) -> Outcome:
        """Run QEMU until the guest ends, a limit is reached or Ctrl-C.

        Args:
            plugin: given the file descriptor of the recorder's control socket, the argument of ``-plugin``.
            on_machine: told of the machine before the guest starts; returns the hazards for the recorder.
            places: given the regions, where the devices are that are to be recorded; asked whenever they have moved.
            paused: leave it to the user to start the guest.
            duration_s: stop after so many seconds of host time; None: no limit.

        Raises:
            QemuFailedError: QEMU ended with an error before the guest started.
        """
        control, control_qemu = socket.socketpair()
        monitor, monitor_qemu = socket.socketpair()
        with contextlib.closing(control):
            try:
                process = await self._start(plugin, control_qemu, monitor_qemu)
            finally:
                control_qemu.close()
                monitor_qemu.close()
            listeners = [
                asyncio.create_task(self._forward_stderr(process)),
                asyncio.create_task(self._watch_control(control)),
            ]
            watchers = [*listeners, asyncio.create_task(self._watch_exit(process))]
            try:
                await self._connect(process, monitor)
                machine = await self._ask_machine()
                machine.region_names = parse_region_names(await self._ask_monitor("info qom-tree"))
                self._regions = parse_flat_view(machine.flat_view)
                self._places = places
                hazards = on_machine(machine)
                where = places(self._regions)
                go = f"go {hazards} {where}\n" if where else f"go {hazards}\n"
                await asyncio.get_running_loop().sock_sendall(control, go.encode())
                watchers.append(asyncio.create_task(self._watch_events()))
                self._watch_interrupts()
                self._started = True
                self._flush_stderr()
                if not paused:
                    with contextlib.suppress(QMPError):
                        await self._qmp.execute("cont")
                if duration_s is not None:
                    watchers.append(asyncio.create_task(self._watch_duration(duration_s)))
                await self._ended.wait()
                await self._finish(process)
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
                await asyncio.wait(listeners, timeout=QUIT_TIMEOUT_S)  # for QEMU's last words
                for watcher in watchers:
                    watcher.cancel()
                with contextlib.suppress(QMPError, EOFError, OSError):
                    await self._qmp.disconnect()
        self._outcome.status = process.returncode or 0
        return self._outcome

    async def _start(
        self, plugin: Callable[[int], str], control: socket.socket, monitor: socket.socket
    ) -> asyncio.subprocess.Process:
        arguments = [
            *self._arguments,
            "-S",
            "-no-shutdown",
            "-chardev", f"socket,id=vmdev-monitor,fd={monitor.fileno()}",
            "-qmp", "chardev:vmdev-monitor",
            "-plugin", plugin(control.fileno()),
        ]  # fmt: skip
        return await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if self._quiet_input else None,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(control.fileno(), monitor.fileno(), *self._pass_fds),
        )

    async def _connect(self, process: asyncio.subprocess.Process, monitor: socket.socket) -> None:
        try:
            await asyncio.wait_for(self._qmp.connect(monitor), START_TIMEOUT_S)
        except (QMPError, EOFError, OSError, TimeoutError) as error:
            monitor.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 5)
            raise self._failure(process.returncode) from error

    def _failure(self, status: int | None) -> QemuFailedError:
        said = " / ".join(line.strip() for line in self._stderr if line.strip()) or "it said nothing"
        ended = f"ended with status {status}" if status is not None else "did not answer"
        return QemuFailedError(f"QEMU {ended} before the guest started: {said}")

    async def _ask_monitor(self, command: str) -> str:
        return str(await self._qmp.execute("human-monitor-command", {"command-line": command}))

    async def _ask_flat_view(self) -> str:
        return await self._ask_monitor("info mtree -f")

    async def _ask_machine(self) -> Machine:
        flat_view = await self._ask_flat_view()
        try:
            pci: Any = await self._qmp.execute("query-pci")
        except ExecuteError:  # the machine has no PCI
            pci = []
        machine_type: Any = await self._qmp.execute("qom-get", {"path": "/machine", "property": "type"})
        drives: Any = await self._qmp.execute("query-block")
        return Machine(
            flat_view, pci, str(machine_type).removesuffix("-machine"), [_name(d) for d in drives if _is_async(d)]
        )

    def _end(self, reason: str) -> None:
        if not self._ended.is_set():
            self._outcome.reason = reason
            self._ended.set()

    async def _watch_events(self) -> None:
        async for event in self._qmp.events:
            if event["event"] == "SHUTDOWN":
                data: Any = event["data"]
                self._end(self._replay_end or ("interrupt" if data.get("reason") == "host-signal" else "guest"))

    async def _watch_exit(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        self._end("guest" if status == 0 else "qemu-died")

    async def _watch_control(self, control: socket.socket) -> None:
        control.setblocking(False)
        loop = asyncio.get_running_loop()
        pending = b""
        while data := await loop.sock_recv(control, 4096):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                what, _, detail = line.decode(errors="replace").partition(" ")
                if what == "map":
                    await self._take_map(control, *map(int, detail.split()))
                elif what == "limit":
                    self._end(detail)
                elif what == "part":
                    self._outcome.last_part = int(detail)
                elif what == "error":
                    self._outcome.errors.append(detail)
                    if self._end_on_error:
                        self._end("error")

    async def _take_map(self, control: socket.socket, request: int, seq: int, sites: int) -> None:
        """Take a snapshot for a vCPU that waits for it.

        Snapshots are kept in memory: the recorder has the trace locked, and cannot commit while its vCPU waits.
        """
        flat_view = ""
        async with self._asking:
            # Once it has ended, QEMU is told to stop and waits for this vCPU; under record/replay it always does.
            if not self._ended.is_set() and self._replay_end is None:
                with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
                    async with asyncio.timeout(MAP_TIMEOUT_S):
                        flat_view = await self._ask_flat_view()
        regions = parse_flat_view(flat_view)
        try:
            answer = f"done {request} {self._places(regions)}" if flat_view else f"none {request}"
        except RecordError as error:
            self._outcome.errors.append(str(error))
            self._end("error")
            answer = f"none {request}"
        with contextlib.suppress(OSError):  # QEMU has gone
            await asyncio.get_running_loop().sock_sendall(control, f"{answer}\n".encode())
        if regions and regions != self._regions:
            self._outcome.maps.append(MapSnapshot(seq, sites, regions))
            self._regions = regions

    def _watch_interrupts(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._end, "interrupt")

    async def _watch_duration(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)
        self._end("duration")

    async def _forward_stderr(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self._stderr.append(line.decode(errors="replace"))
            if self._started:
                self._flush_stderr()

    def _flush_stderr(self) -> None:
        sys.stderr.write("".join(self._stderr))
        sys.stderr.flush()
        self._stderr.clear()

    async def _finish(self, process: asyncio.subprocess.Process) -> None:
        """Ask for the machine once more, and let QEMU and the recorder end in order."""
        if process.returncode is None:
            with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
                async with asyncio.timeout(QUIT_TIMEOUT_S):
                    async with self._asking:
                        await self._qmp.execute("stop")
                    self._outcome.final = await self._ask_machine()
                    await self._qmp.execute("quit")
        try:
            await asyncio.wait_for(process.wait(), QUIT_TIMEOUT_S)
        except TimeoutError:
            raise RecordError(
                f"QEMU did not end within {QUIT_TIMEOUT_S} s and was killed; what was committed is in the trace"
            ) from None
