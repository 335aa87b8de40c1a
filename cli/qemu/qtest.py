"""QEMU's devices without a guest: a QEMU whose vCPUs stand still, spoken to by its qtest protocol.

Source: QEMU's ``system/qtest.c`` (the protocol's description there) and docs/devel/testing/qtest.

The accelerator "qtest" is made for this. Where a build lacks it, as Debian's, the server of the protocol is there all
the same, but takes no commands that set the clock; then TCG is made to stand still by a module of ours
(qemu_plugin/qtest/standstill.c). In either, the clock is set to the nanosecond, and every timer fires at its own time
on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import select
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from qemu.qmp import QMPClient, QMPError

from vmdev.replay.errors import QemuFailedError

from .binary import Qemu, find_standstill, has_qtest_accelerator, require_plugins

PATIENCE_S: Final = 60
"""How long QEMU may take to build its machine, or to answer."""

_CHUNK: Final = 1 << 16

_PR_SET_PDEATHSIG: Final = 1

_SHORTEST: Final = b"OK\n"
"""The shortest reply there is."""


_LIBC: Final = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Have Linux end this process when the one that started it has died, however that came about."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class QtestQemu:
    """One such QEMU. A context manager; it runs from entering it on.

    Args:
        qemu: the program.
        arguments: what its machine is made of.
        icount_shift: of the recording; where TCG stands still, the devices see the same -icount.
        serial: the character device that a serial port of the machine is connected to, if it is to be fed.
    """

    def __init__(self, qemu: Qemu, arguments: Sequence[str], icount_shift: int = 0, serial: str = "") -> None:
        self.qemu = qemu
        self.has_accelerator = has_qtest_accelerator(qemu)
        self._arguments = [*arguments]
        self._serial = serial
        self._feeding: socket.socket | None = None
        if self.has_accelerator:
            self._arguments += ["-accel", "qtest"]
        else:
            require_plugins(qemu, "playing to a QEMU without the accelerator qtest")
            module = str(find_standstill(qemu)).replace(",", ",,")
            self._arguments += ["-accel", "tcg,thread=single", "-icount", f"shift={icount_shift},sleep=off"]
            self._arguments += ["-plugin", module]
        self._unsent = memoryview(b"")
        self._received = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (`__exit__` closes it)
        self._runner = asyncio.Runner()
        self._qmp = QMPClient("vmdev")
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket

    @property
    def name(self) -> str:
        """What it is, and how its time is stepped."""
        how = "accelerator qtest" if self.has_accelerator else "TCG standing still"
        return f"QEMU {self.qemu.version_text}, {how}"

    @property
    def is_first_cpu(self) -> bool:
        """Whether the protocol's accesses are those of the first CPU: our module makes them so."""
        return not self.has_accelerator

    def __enter__(self) -> QtestQemu:
        self._line, line = socket.socketpair()
        monitor, their_monitor = socket.socketpair()
        self._feeding, fed = socket.socketpair()
        feeding = ["-chardev", f"socket,id={self._serial},fd={fed.fileno()}"] if self._serial else []
        try:
            with line, their_monitor, fed:
                self._process = subprocess.Popen(
                    [
                        self.qemu.path,
                        *feeding,
                        *self._arguments,
                        "-chardev", f"socket,id=vmdev-qtest,fd={line.fileno()}",
                        "-qtest", "chardev:vmdev-qtest",
                        "-qtest-log", "none",
                        "-chardev", f"socket,id=vmdev-monitor,fd={their_monitor.fileno()}",
                        "-qmp", "chardev:vmdev-monitor",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._stderr,
                    pass_fds=(line.fileno(), their_monitor.fileno(), fed.fileno()),
                    preexec_fn=_end_with_parent,
                )  # fmt: skip
            try:
                self._runner.run(asyncio.wait_for(self._qmp.connect(monitor), PATIENCE_S))
            except (QMPError, EOFError, OSError, TimeoutError) as error:
                monitor.close()
                raise self._failure("did not start") from error
            self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE_S, 0))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(QMPError, EOFError, OSError):
            self._runner.run(self._qmp.disconnect())
        self._runner.close()
        for one in (self._line, self._feeding):
            if one is not None:
                one.close()
        self._stderr.close()

    # The protocol

    def send(self, commands: bytes) -> None:
        """Send commands, each a line; as many as QEMU takes now, the others with `replies`."""
        self._unsent = memoryview(bytes(self._unsent) + commands)
        self._send()

    def replies(self, count: int) -> list[bytes]:
        """The next replies, one for each command, without their line ends.

        Raises:
            QemuFailedError: QEMU has died, or does not answer.
        """
        while self._unsent:
            self._send_and_receive()
        lines: list[bytes] = []
        while True:
            *complete, self._received = self._received.split(b"\n", count - len(lines))
            lines += complete
            missing = count - len(lines)
            if not missing:
                self._drain()
                return lines
            # QEMU writes each reply by itself. To be woken by few of them, wait for what is missing at the least.
            self._receive(max(1, missing * len(_SHORTEST) - len(self._received)), socket.MSG_WAITALL)

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._line.send(self._unsent, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        except OSError:  # QEMU has died, as `_receive` will notice
            self._unsent = memoryview(b"")

    def _send_and_receive(self) -> None:
        """Send what QEMU takes now. It takes nothing while its replies are not taken."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN | select.POLLOUT)
        (ready,) = poll.poll(1000 * PATIENCE_S) or ((0, 0),)
        if not ready[1]:
            raise self._failure(f"did not take commands for {PATIENCE_S} s")
        if ready[1] & ~select.POLLOUT:
            self._receive(_CHUNK, 0)
        self._send()

    def _receive(self, size: int, flags: int) -> None:
        try:
            data = self._line.recv(size, flags)
        except BlockingIOError:
            raise self._failure(f"did not answer for {PATIENCE_S} s") from None
        except OSError:
            data = b""
        if not data:
            raise self._failure("died")
        self._received += data

    def reset(self) -> None:
        """Make sure that the machine has been reset since the last call: by an access, or else from outside.

        Raises:
            QemuFailedError: QEMU does not do it.
        """
        if not self._was_reset():
            self._ask("system_reset")
            for _ in range(100):
                if self._was_reset():
                    return
                self._runner.run(asyncio.sleep(0.01))
            raise self._failure("does not reset its machine")

    def feed(self, character: int) -> bool:
        """Let the guest's serial port receive a character. False: none is connected."""
        if not self._serial or self._feeding is None:
            return False
        self._feeding.sendall(bytes([character]))
        for _ in range(2):  # in between, QEMU's main loop turns, and looks at what has come
            self.send(b"endianness\n")
            self.replies(1)
        return True

    def _drain(self) -> None:
        """Throw away what the guest has sent to the serial port that is fed, or it could send no more at some time."""
        if self._serial and self._feeding is not None:
            with contextlib.suppress(OSError):
                while self._feeding.recv(_CHUNK, socket.MSG_DONTWAIT):
                    pass

    def _was_reset(self) -> bool:
        self._ask("query-status")  # a round trip, so that its main loop has turned and its events are here
        return any(event["event"] == "RESET" for event in self._qmp.events.clear())

    def _ask(self, command: str) -> None:
        try:
            self._runner.run(asyncio.wait_for(self._qmp.execute(command), PATIENCE_S))
        except (QMPError, EOFError, OSError, TimeoutError) as error:
            raise self._failure(f"does not answer to {command}") from error

    def _failure(self, what: str) -> QemuFailedError:
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(1)
        self._stderr.seek(0)
        said = " / ".join(line.strip() for line in self._stderr.read(4096).decode(errors="replace").splitlines())
        ended = "" if status is None else f" (status {status})"
        return QemuFailedError(f"QEMU {what}{ended}: {said or 'it said nothing'}")
