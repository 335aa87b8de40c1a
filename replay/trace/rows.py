"""The rows of a trace as plain data. Exits are tuples, ``(seq, t_ns, site, value)``: there are millions of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

ExitRow = tuple[int, int, int, int]
"""(seq, t_ns, site, value). `value` as SQLite stores it, signed: mask it with `U64_MASK`."""

Access = tuple[int, int, int]
"""(t_ns, site, value): an exit of which the number is known from its place. `value` is unsigned."""

PackedSite = tuple[int, int, int, int | None]
"""(address, kind, vcpu, region): of a site what tells where its accesses go. `address` is unsigned, `kind` is made of
the bits below, and `region` is the number of the region's name."""

KIND_SIZE: Final = 15
"""Of a kind: the bits of the size, in bytes."""

KIND_MMIO: Final = 16
KIND_WRITE: Final = 32
KIND_STRING: Final = 64


class Site(NamedTuple):
    """Where an access comes from: one combination of instruction, address and size."""

    id: int
    vcpu: int
    pc: int
    """Virtual (linear) address of the instruction."""
    space: Literal["pio", "mmio"]
    direction: Literal["r", "w"]
    """The guest's view: "r" is IN or a load, "w" is OUT or a store."""
    address: int
    """Port, or guest physical address."""
    size: int
    """Bytes: 1, 2, 4 or 8."""
    string: bool
    """An element of INS or OUTS, with or without REP."""
    insn: bytes
    """The instruction."""
    text: str
    """QEMU's disassembly of it; may be empty."""
    region: str
    """The region's name; empty if nothing was mapped there."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something else that happened: after `seq` exits, so before the exit of that number."""

    seq: int
    t_ns: int
    vcpu: int | None
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """An interrupt that a vCPU took: after `seq` exits, so before the exit of that number."""

    seq: int
    t_ns: int
    vcpu: int
    from_pc: int
    """Virtual address of the instruction that would have been next."""
    to_pc: int
    """Virtual address of the handler."""
