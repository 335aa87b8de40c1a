"""QEMU's qtest protocol: exits as commands.

Source: the description of the protocol in QEMU's ``system/qtest.c``.

A command is a line of words, and so is its reply: ``OK``, or ``OK 0x..`` with a value, or ``FAIL ..``. Words that a
command has no use for are ignored, so that there can be notes at the end of a line. A line of its own for a note is
answered with ``FAIL Unknown command``, and does no harm either; an empty line ends QEMU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ..routes import MMIO, SIZE, WRITE

if TYPE_CHECKING:
    from ..trace.rows import PackedSite

LETTERS: Final = {1: "b", 2: "w", 4: "l", 8: "q"}
"""Sizes in bytes, as the ends of commands."""

FAILURE: Final = b"FAIL"

LOCAL_APICS: Final = "apic-msi"
"""The region of the local APICs. Each answers its own CPU only."""

CPU_REGISTERS: Final = frozenset(("vmport", "kvmvapic"))
"""Regions that show registers of the CPU that accesses them. QEMU dies if there is none."""

SMI_PORT: Final = 0xB2
SMI_MACHINES: Final = frozenset(("q35",))
"""Where a write to that port interrupts the CPU that makes it. QEMU dies if there is none."""


def needs_cpu(site: PackedSite, region: str, machine: str, *, is_first: bool = False) -> bool:
    """Whether the accesses of a site, to a region of a machine, can only be made by the CPU that made them.

    With `is_first`, accesses are made in the name of the first CPU, though it does not run; else in that of none.
    """
    address, kind, vcpu, _ = site
    if region in CPU_REGISTERS:
        return True
    if region == LOCAL_APICS:
        return vcpu != 0 or not is_first
    writes_smi_port = address == SMI_PORT and kind & (MMIO | WRITE) == WRITE
    return writes_smi_port and machine in SMI_MACHINES and not is_first


def access(site: PackedSite) -> str:
    """The command of a site's accesses: a read's is complete, a write's lacks the value."""
    address, kind, _, _ = site
    read, write = ("read", "write") if kind & MMIO else ("in", "out")
    verb = write if kind & WRITE else read
    return f"{verb}{LETTERS[kind & SIZE]} {address:#x}"


def clock_set(t_ns: int) -> str:
    """The command that moves the virtual clock to `t_ns`, firing timers on the way."""
    return f"clock_set {t_ns}"


def value(reply: bytes, size: int) -> int | None:
    """The value in the reply to a read of `size` bytes; None if there is none."""
    words = reply.split()
    if len(words) < 2 or words[0] != b"OK":
        return None
    try:
        return int(words[1], 16) & (1 << 8 * size) - 1
    except ValueError:
        return None


def commands(sites: Sequence[PackedSite]) -> list[str]:
    """As `access`, of all sites."""
    return [access(site) for site in sites]
