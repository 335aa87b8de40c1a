"""Which QEMU, and is it fit to record with, or to be played to?"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from vmdev.replay.errors import PluginNotBuiltError, QemuNotFoundError, QemuUnsuitableError

OLDEST: Final = (9, 2)
"""QEMU 9.2 is the first whose plugins can read the value of a memory access."""

FIRST_WITH_API_7: Final = (11, 0)


@dataclass(frozen=True, slots=True)
class Qemu:
    """A QEMU system emulator."""

    path: str
    version: tuple[int, int, int]
    version_text: str
    """As QEMU prints it, with the distribution's package version."""

    @property
    def target(self) -> str:
        """The guest architecture, from the program's name: "x86_64"."""
        return Path(self.path).name.removeprefix("qemu-system-")


def find_qemu(program: str) -> Qemu:
    """Find `program` (a name or a path) and check that it can record.

    Raises:
        QemuNotFoundError: there is no such program, or it does not run.
        QemuUnsuitableError: it is too old, not a QEMU, or built without plugins.
    """
    qemu = identify(program)
    require_plugins(qemu)
    return qemu


def identify(program: str) -> Qemu:
    """Find `program`, and ask it which it is.

    Raises:
        QemuNotFoundError: there is no such program, or it does not run.
        QemuUnsuitableError: it is not a QEMU.
    """
    path = shutil.which(program)
    if path is None:
        raise QemuNotFoundError(
            f"{program}: no such program; install QEMU 9.2 or newer (Debian: qemu-system-x86) or name it with --qemu"
        )
    text = _output(path, "--version")
    match = re.search(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)", text)
    if match is None:
        raise QemuUnsuitableError(f"{path}: not a QEMU system emulator: --version says {text.strip()[:60]!r}")
    version = (int(match[1]), int(match[2]), int(match[3]))
    return Qemu(path, version, text.splitlines()[0].removeprefix("QEMU emulator version "))


def require_plugins(qemu: Qemu, what: str = "recording") -> None:
    """Check that `qemu` can load our modules, which `what` needs.

    Raises:
        QemuUnsuitableError: it is too old, or built without plugins.
    """
    if qemu.version < OLDEST:
        raise QemuUnsuitableError(
            f"{qemu.path}: QEMU {qemu.version_text} is too old; {what} needs 9.2 or newer "
            "(Debian 12 has one in bookworm-backports)"
        )
    if "\n-plugin " not in _output(qemu.path, "-help"):
        raise QemuUnsuitableError(
            f"{qemu.path}: QEMU {qemu.version_text} was built without TCG plugins; use a build with --enable-plugins"
        )


def find_plugin(qemu: Qemu) -> Path:
    """The recorder module for the plugin interface of `qemu`.

    Raises:
        PluginNotBuiltError: this installation of vmdev has no such module.
    """
    return _module("recorder", qemu)


def find_standstill(qemu: Qemu) -> Path:
    """The module that makes `qemu` stand still, which has no accelerator "qtest".

    Raises:
        PluginNotBuiltError: this installation of vmdev has no such module.
    """
    return _module("qtest", qemu)


def has_qtest_accelerator(qemu: Qemu) -> bool:
    """Whether `qemu` was built with it, or its module is installed. The list of accelerators does not tell modules."""
    words = [qemu.path, "-accel", "qtest", "-M", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"]
    try:
        done = subprocess.run(words, input=b"quit\n", capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise QemuNotFoundError(f"{qemu.path}: cannot be run: {error}") from error
    return done.returncode == 0


def _module(kind: str, qemu: Qemu) -> Path:
    name = f"vmdev-{kind}-api{7 if qemu.version >= FIRST_WITH_API_7 else 4}.so"
    try:
        path = Path(str(distribution("vmdev").locate_file(f"vmdev/qemu_plugin/{name}")))
    except PackageNotFoundError:
        raise PluginNotBuiltError("vmdev is not installed; run script/bootstrap, or pip install .") from None
    if not path.is_file():
        raise PluginNotBuiltError(f"{path}: the {kind} module is missing; install vmdev again (script/bootstrap)")
    return path


def _output(path: str, option: str) -> str:
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise QemuNotFoundError(f"{path}: cannot be run: {error}") from error
    return done.stdout
