"""The instruction behind an access, as text.

A recording holds an instruction's bytes but not the mode that the CPU was in, and on x86 the same bytes mean different
things in 64-, 32- and 16-bit code. The access tells: the right mode is the one that decodes all of the bytes as one
instruction with an operand of the access's size. Where several modes do, the one that reads like QEMU's disassembly
is taken, and without that the likeliest one for the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from .printable import printable

# Capstone is imported when the first instruction is decoded: it takes longer than the rest of a start.

_X86: Final = "CS_ARCH_X86"
_X86_MODES: Final = {64: ("CS_MODE_64",), 32: ("CS_MODE_32",), 16: ("CS_MODE_16",)}

_OTHERS: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "aarch64": (("CS_ARCH_ARM64", ("CS_MODE_ARM",)),),
    "arm": (("CS_ARCH_ARM", ("CS_MODE_ARM",)), ("CS_ARCH_ARM", ("CS_MODE_THUMB",))),
    "riscv64": (("CS_ARCH_RISCV", ("CS_MODE_RISCV64", "CS_MODE_RISCVC")),),
    "riscv32": (("CS_ARCH_RISCV", ("CS_MODE_RISCV32", "CS_MODE_RISCVC")),),
}
"""Architecture and modes, by QEMU's name of the target, the likeliest first; capstone's names."""

_REAL_MODE_END: Final = 1 << 20
_LEGACY_MODE_END: Final = 1 << 32

_REMEMBERED: Final = 1 << 14
"""Texts that are kept: an instruction that fills a screen has a site for every address, and takes 0.1 ms to decode."""

_WORD: Final = re.compile(r"[%$]?\w+")


class _Reading(NamedTuple):
    """One way to read the bytes."""

    text: str
    operand_sizes: frozenset[int]
    """Bytes; of the memory operands, or of the registers if there is none in memory (IN and OUT)."""
    like_qemu: str
    """The same in the syntax that QEMU's disassembly uses."""


@lru_cache(maxsize=_REMEMBERED)
def disassemble(insn: bytes, pc: int, target: str, size: int, text: str = "") -> str:
    """The instruction `insn` at `pc` in Intel syntax (x86) or its maker's; printable, without line breaks.

    Args:
        insn: the instruction's bytes.
        pc: its virtual address.
        target: QEMU's name of the guest's architecture: "x86_64".
        size: the access's, in bytes.
        text: QEMU's disassembly, if there is any. It decides between readings, and stands in where none is possible.
    """
    readings = list(_readings(insn, pc, target))
    if readings:
        # max() takes the first of several that are equally good: the likeliest.
        return max(readings, key=lambda reading: _rank(reading, size, text)).text
    return printable(" ".join(text.split())) or insn.hex(" ")


def _rank(reading: _Reading, size: int, text: str) -> tuple[bool, bool, int]:
    words = _words(text)
    agreeing = len(set(words) & set(_words(reading.like_qemu)))
    return size in reading.operand_sizes, bool(text) and words == _words(reading.like_qemu), agreeing


def _words(text: str) -> list[str]:
    """What counts when two disassemblies are compared: versions differ in spaces, brackets and zero offsets."""
    return [word for word in _WORD.findall(text) if word != "0"]


def _readings(insn: bytes, pc: int, target: str) -> Iterator[_Reading]:
    """All readings of the bytes as one instruction, the likeliest first."""
    if target in {"x86_64", "i386"}:
        for bits in _x86_order(pc, target):
            yield from _decode(insn, pc, _X86, _X86_MODES[bits])
    for arch, modes in _OTHERS.get(target, ()):
        yield from _decode(insn, pc, arch, modes)


def _x86_order(pc: int, target: str) -> Sequence[int]:
    if pc >= _LEGACY_MODE_END:
        return (64,)
    if target == "i386":
        return (32, 16)
    # Firmware's code for real mode, and for protected mode before it moves itself, is here; 64-bit code hardly ever.
    return (32, 16, 64) if pc < _REAL_MODE_END else (64, 32, 16)


def _decode(insn: bytes, pc: int, arch: str, modes: tuple[str, ...]) -> Iterator[_Reading]:
    decoded = _one(_decoder(arch, modes), insn, pc)
    if decoded is None:
        return
    sizes: frozenset[int] = frozenset()
    like_qemu = decoded
    if arch == _X86:
        from capstone import x86

        like_qemu = _one(_decoder(arch, modes, "CS_OPT_SYNTAX_ATT"), insn, pc) or decoded
        sizes = frozenset(
            [operand.size for operand in decoded.operands if operand.type == x86.X86_OP_MEM]
            or [o.size for o in decoded.operands if o.type == x86.X86_OP_REG and o.reg != x86.X86_REG_DX]
        )
    yield _Reading(_text(decoded), sizes, _text(like_qemu))


def _one(decoder: Any, insn: bytes, pc: int) -> Any | None:
    """The one instruction that all bytes make up, or None if they do not."""
    decoded = next(decoder.disasm(insn, pc, 1), None)
    return decoded if decoded is not None and decoded.size == len(insn) else None


def _text(decoded: Any) -> str:
    return f"{decoded.mnemonic} {decoded.op_str}".strip()


@cache
def _decoder(arch: str, modes: tuple[str, ...], syntax: str = "") -> Any:
    import capstone

    decoder = capstone.Cs(getattr(capstone, arch), sum(getattr(capstone, mode) for mode in modes))
    decoder.detail = True
    if syntax:
        decoder.syntax = getattr(capstone, syntax)
    return decoder
