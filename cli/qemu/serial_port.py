"""The guest's first serial port: what QEMU calls the character device behind it, so that it can be fed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vmdev.replay.errors import RecordError

from .command import parse_options

FIRST: Final = "serial0"
"""What QEMU calls the character device that the first -serial makes."""


def prepare(arguments: Sequence[str]) -> tuple[list[str], str]:
    """Connect the first serial port to a character device that can be fed.

    A monitor that shares the device goes: what is typed at it would be mixed with the input, and one of the input's
    bytes, Ctrl-A, would be the monitor's.

    Args:
        arguments: QEMU's arguments as the user gave them.

    Returns:
        The arguments to use, and QEMU's name of the character device.

    Raises:
        RecordError: there is no such port, or it cannot be fed.
    """
    words = list(arguments)
    options = parse_options(words)
    names = {option.name for option in options}
    at = next((at for at, word in enumerate(words) if word in ("-serial", "--serial")), None)
    if at is None or at + 1 == len(words):
        if "nodefaults" in names:
            raise RecordError(
                "--serial-input: -nodefaults leaves the guest without a serial port; add one: -serial stdio"
            )
        return [*words, "-serial", "stdio", *_no_monitor(names, "nographic" in names)], FIRST
    backend = words[at + 1]
    if backend == "none":
        raise RecordError("--serial-input: -serial none leaves the guest without a serial port; use -serial stdio")
    if backend.startswith("mon:"):
        words[at + 1] = backend.removeprefix("mon:")
        return [*words, *_no_monitor(names, True)], FIRST
    if not backend.startswith("chardev:"):
        return words, FIRST
    chardev = backend.removeprefix("chardev:")
    for option in options:
        if option.name == "chardev" and option.value("id") == chardev and option.value("mux") in ("on", "yes", "true"):
            raise RecordError(
                f"--serial-input: -serial {backend} is shared by several users (mux=on) and cannot be fed; give the "
                "serial port a character device of its own"
            )
    return words, chardev


def _no_monitor(names: set[str], would_be: bool) -> list[str]:
    """The arguments that keep QEMU from putting its monitor on standard input, where it would otherwise."""
    return ["-monitor", "none"] if would_be and not names & {"monitor", "mon", "nodefaults"} else []
