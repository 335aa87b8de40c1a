"""The recorder's instruction decoder (qemu_plugin/io_insn.c), judged by capstone."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import capstone
import pytest
from capstone import x86
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCES = Path(__file__).parents[2] / "qemu_plugin"
BITS = (16, 32, 64)
MODES = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}

KINDS = {
    x86.X86_INS_IN: "in",
    x86.X86_INS_OUT: "out",
    x86.X86_INS_INSB: "ins",
    x86.X86_INS_INSW: "ins",
    x86.X86_INS_INSD: "ins",
    x86.X86_INS_OUTSB: "outs",
    x86.X86_INS_OUTSW: "outs",
    x86.X86_INS_OUTSD: "outs",
}
IO_NAMES = {"in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd"}
REMAPPERS = {
    "invlpg",
    "invpcid",
    "invept",
    "invvpid",
    "lmsw",
    "wrmsr",
    "rsm",
    "iret",
    "iretd",
    "iretq",
    "ljmp",
    "lcall",
}
STRING_BYTE = {x86.X86_INS_INSB, x86.X86_INS_OUTSB}

LOCK = 0xF0
LEGACY_PREFIXES = (0x66, 0x67, LOCK, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65)
SOME_REX = (0x40, 0x41, 0x48, 0x4F)


class Io(NamedTuple):
    kind: str
    byte: bool
    port: int | None  # None: DX


class IoInsn(ctypes.Structure):
    """struct io_insn."""

    _fields_ = (
        ("kind", ctypes.c_uint8),
        ("byte", ctypes.c_uint8),
        ("imm_port", ctypes.c_uint8),
        ("port", ctypes.c_uint8),
        ("rex_w", ctypes.c_uint8),
    )


class Decoder:
    """io_insn.h."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._decode = library.io_insn_decode
        self._decode.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(IoInsn)]
        self._decode.restype = ctypes.c_bool
        self._memory = library.insn_memory
        self._memory.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._memory.restype = ctypes.c_uint
        self._remaps = library.insn_remaps
        self._remaps.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._remaps.restype = ctypes.c_bool
        self._is_a64_branch = library.insn_is_a64_branch
        self._is_a64_branch.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._is_a64_branch.restype = ctypes.c_bool
        self._operand_size = library.io_insn_operand_size
        self._operand_size.argtypes = [ctypes.POINTER(IoInsn), ctypes.c_char_p]
        self._operand_size.restype = ctypes.c_uint
        self._out = IoInsn()
        self._out_pointer = ctypes.byref(self._out)

    def decode(self, insn: bytes) -> Io | None:
        if not self._decode(insn, len(insn), self._out_pointer):
            return None
        out = self._out
        kind = ("none", "in", "out", "ins", "outs")[out.kind]
        return Io(kind, bool(out.byte), out.port if out.imm_port else None)

    def memory(self, insn: bytes) -> str:
        return ("any", "push", "branch")[self._memory(insn, len(insn))]

    def remaps(self, insn: bytes) -> bool:
        return bool(self._remaps(insn, len(insn)))

    def is_a64_branch(self, insn: bytes) -> bool:
        return bool(self._is_a64_branch(insn, len(insn)))

    def operand_size(self, insn: bytes, text: str) -> int:
        out = IoInsn()
        assert self._decode(insn, len(insn), ctypes.byref(out))
        return int(self._operand_size(ctypes.byref(out), text.encode()))


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """The source of this tree, not whatever was built and installed some time ago."""
    library = tmp_path_factory.mktemp("io_insn") / "io_insn.so"
    compiler = os.environ.get("CC", "cc").split()
    flags = ["-std=c11", "-O1", "-fPIC", "-shared"]
    subprocess.run([*compiler, *flags, str(SOURCES / "io_insn.c"), "-o", str(library)], check=True)
    return Decoder(ctypes.CDLL(str(library)))


def _engine(bits: int, *, att: bool = False) -> Any:
    engine = capstone.Cs(capstone.CS_ARCH_X86, MODES[bits])
    engine.detail = True
    if att:
        engine.syntax = capstone.CS_OPT_SYNTAX_ATT
    return engine


JUDGES = {bits: _engine(bits) for bits in BITS}
ATT = {bits: _engine(bits, att=True) for bits in BITS}


def _length_and_name(bits: int, code: bytes) -> tuple[int, str] | None:
    """How long capstone's first instruction is, and its mnemonic without REP or LOCK. Quick."""
    for _, size, mnemonic, _ in JUDGES[bits].disasm_lite(code, 0, 1):
        return size, mnemonic.rpartition(" ")[2]
    return None


def _disassemble(bits: int, insn: bytes) -> Any:
    return next(JUDGES[bits].disasm(insn, 0, 1))


def _judged(bits: int, insn: bytes) -> Io | None:
    """What capstone says of a whole instruction."""
    judged = _disassemble(bits, insn)
    kind = KINDS.get(judged.id)
    if kind is None:
        return None
    ports = [operand.imm & 0xFF for operand in judged.operands if operand.type == x86.X86_OP_IMM]
    if kind in ("in", "out"):
        byte = any(operand.type == x86.X86_OP_REG and operand.reg == x86.X86_REG_AL for operand in judged.operands)
        return Io(kind, byte, ports[0] if ports else None)
    return Io(kind, judged.id in STRING_BYTE, None)


def _has_memory_operand(bits: int, insn: bytes) -> bool:
    return any(operand.type == x86.X86_OP_MEM for operand in _disassemble(bits, insn).operands)


def _check(decoder: Decoder, bits: int, code: bytes) -> Io | None:
    """The decoder and capstone agree on the instruction that `code` begins with, if there is one."""
    found = _length_and_name(bits, code)
    if found is None:
        return None
    insn = code[: found[0]]
    ours = decoder.decode(insn)
    if ours is not None or found[1] in IO_NAMES:
        assert ours == _judged(bits, insn), f"{bits}-bit {insn.hex(' ')}"
    memory = decoder.memory(insn)
    if memory in ("push", "branch"):
        assert not _has_memory_operand(bits, insn), f"{bits}-bit {insn.hex(' ')}"
    if found[1] in REMAPPERS:
        assert decoder.remaps(insn), f"{bits}-bit {insn.hex(' ')}"
    return ours


def _prefixes(rex: tuple[int, ...] = SOME_REX) -> Iterator[bytes]:
    """None, each, and each pair of prefixes in both orders."""
    several = (*LEGACY_PREFIXES, *rex)
    yield b""
    yield from (bytes([first]) for first in several)
    yield from (bytes(pair) for pair in itertools.product(several, repeat=2))


@pytest.mark.parametrize("bits", BITS)
def test_every_opcode_with_every_pair_of_prefixes(decoder: Decoder, bits: int) -> None:
    seen: Counter[str] = Counter()
    for prefixes, opcode in itertools.product(_prefixes(), range(256)):
        io = _check(decoder, bits, prefixes + bytes([opcode]) + b"\x71\x44\x33\x22\x11\xed\xed\xed\xed")
        if io is not None:
            seen[io.kind] += 1
    # 10 prefixes (LOCK is refused) make 111 strings: with each, 4 encodings of IN and of OUT, 2 of INS and of OUTS.
    assert seen["in"] == seen["out"] >= 4 * 111
    assert seen["ins"] == seen["outs"] >= 2 * 111


@pytest.mark.parametrize("bits", BITS)
def test_every_opcode_with_every_modrm(decoder: Decoder, bits: int) -> None:
    for opcode, modrm in itertools.product(range(256), range(256)):
        _check(decoder, bits, bytes([opcode, modrm]) + b"\xec\xed\x6d\x6f\xe4\xe5\xe6\xe7\xff\xff")


@pytest.mark.parametrize("bits", BITS)
def test_opcodes_of_the_other_maps_are_no_io(decoder: Decoder, bits: int) -> None:
    """0F xx, and the spaces of VEX, EVEX and XOP, hold the bytes of IN and OUT as opcodes of other instructions."""
    escapes = (
        b"\x0f",
        b"\x66\x0f",
        b"\xf3\x0f",
        b"\x0f\x38",
        b"\x0f\x3a",
        b"\xc5\xf8",  # VEX
        b"\xc4\xe2\x79",
        b"\x62\xf1\x7c\x48",  # EVEX
        b"\x8f\xe8\x78",  # XOP
    )
    for escape, opcode in itertools.product(escapes, range(256)):
        io = _check(decoder, bits, escape + bytes([opcode]) + b"\xc1\xed\xed\xed\xed\xed\xed\xed\xed\xed")
        assert io is None


prefix_strings = st.lists(st.sampled_from((*LEGACY_PREFIXES, *SOME_REX)), max_size=6).map(bytes)
opcodes = st.sampled_from([0x6C, 0x6D, 0x6E, 0x6F, *range(0xE4, 0xE8), *range(0xEC, 0xF0), 0xFF, 0x8F, 0x0F])


@settings(max_examples=1000, deadline=None)
@given(bits=st.sampled_from(BITS), code=st.binary(min_size=1, max_size=15))
def test_any_bytes(decoder: Decoder, bits: int, code: bytes) -> None:
    _check(decoder, bits, code)


@settings(max_examples=1000, deadline=None)
@given(bits=st.sampled_from(BITS), prefixes=prefix_strings, opcode=opcodes, rest=st.binary(min_size=1, max_size=8))
def test_any_prefixes_before_what_may_be_io(
    decoder: Decoder, bits: int, prefixes: bytes, opcode: int, rest: bytes
) -> None:
    _check(decoder, bits, prefixes + bytes([opcode]) + rest)


@given(bits=st.sampled_from(BITS), opcode=st.integers(0xE4, 0xE7), port=st.integers(0, 0xFF))
def test_an_immediate_port_is_unsigned(decoder: Decoder, bits: int, opcode: int, port: int) -> None:
    insn = bytes([opcode, port])
    decoded = decoder.decode(insn)
    assert decoded == _judged(bits, insn)
    assert decoded is not None
    assert decoded.port == port


@pytest.mark.parametrize("text", ["", "e4", "e4 71 90", "66 e5", "ec 90", "90 ec", "f3 6d 90", "f3", "66 66", "48"])
def test_what_is_not_exactly_one_io_instruction_is_none(decoder: Decoder, text: str) -> None:
    assert decoder.decode(bytes.fromhex(text)) is None


# --- operand size ---


@pytest.mark.parametrize("bits", BITS)
def test_operand_size_is_read_from_the_text_that_qemu_prints(decoder: Decoder, bits: int) -> None:
    """SDM volume 1, 3.6.1: 16 bits in 16-bit code, 32 elsewhere; the prefix 66 swaps them."""
    checked = 0
    for prefixes, opcode in itertools.product(_prefixes(rex=()), (0xE5, 0xE7, 0xED, 0xEF)):
        found = _length_and_name(bits, prefixes + bytes([opcode, 0x71]))
        if found is None:
            continue
        insn = (prefixes + bytes([opcode, 0x71]))[: found[0]]
        att = next(ATT[bits].disasm(insn, 0, 1))
        size = 2 if (bits == 16) != (0x66 in prefixes) else 4
        assert decoder.operand_size(insn, f"{att.mnemonic} {att.op_str}") == size, insn.hex(" ")
        checked += 1
    assert checked >= 4 * 111


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("48 ed", 4),
        ("66 48 ed", 4),
        ("66 4f ef", 4),
        ("66 48 e5 71", 4),
        ("66 47 ed", 2),
        ("48 66 ed", 2),
        ("66 ed", 2),
    ],
)
def test_rex_w_right_before_the_opcode_is_stronger_than_the_prefix_66(decoder: Decoder, text: str, size: int) -> None:
    """SDM volume 2, 2.2.1; IN and OUT have no 64-bit form. Capstone, and with it QEMU's text, lets 66 win."""
    insn = bytes.fromhex(text)
    assert decoder.operand_size(insn, "inw %dx, %ax" if 0x66 in insn else "inl %dx, %eax") == size


def test_operand_size_of_a_byte_form_needs_no_text(decoder: Decoder) -> None:
    assert decoder.operand_size(b"\xec", "") == 1


@pytest.mark.parametrize("text", ["", "inb %dx, %al", "outb %al, $0x70", "rep insl %dx, %es:(%edi)", ".byte 0xed"])
def test_operand_size_of_text_without_accumulator_is_unknown(decoder: Decoder, text: str) -> None:
    assert decoder.operand_size(b"\xed", text) == 0


# --- how instructions reach memory ---


@pytest.mark.parametrize(
    "text",
    [
        *(f"{opcode:02x}" for opcode in range(0x50, 0x60)),  # push and pop of registers
        "68 44 33 22 11",  # push imm
        "6a 01",
        "9c",  # pushf
        "9d",  # popf
        "c8 10 00 00",  # enter
        "c9",  # leave
        "ff f0",  # push %eax
        "41 57",  # push %r15
    ],
)
def test_pushes_and_pops(decoder: Decoder, text: str) -> None:
    assert decoder.memory(bytes.fromhex(text)) == "push"


@pytest.mark.parametrize(
    "text",
    [
        "c2 08 00",  # ret
        "c3",
        "ca 08 00",  # retf
        "cb",
        "cf",  # iret
        "e8 44 33 22 11",  # call
        "e9 44 33 22 11",  # jmp
        "eb fe",
        "ff d0",  # call *%eax
        "ff e0",  # jmp *%eax
        "66 c3",
        "f3 c3",
        "f2 e8 44 33 22 11",  # bnd call
        "3e ff e0",  # notrack jmp *%rax
        "41 ff d3",  # call *%r11
        "48 cf",  # iretq
        "75 fe",  # jnz
        "0f 85 44 33 22 11",  # jnz, far
        "f2 0f 84 44 33 22 11",  # bnd jz
    ],
)
def test_branches(decoder: Decoder, text: str) -> None:
    assert decoder.memory(bytes.fromhex(text)) == "branch"


@pytest.mark.parametrize(
    "text",
    [
        "8f 00",  # pop (%rax)
        "ff 10",  # call *(%rax)
        "ff 18",  # lcall *(%rax)
        "ff 20",  # jmp *(%rax)
        "ff 28",  # ljmp *(%rax)
        "ff 30",  # push (%rax)
        "ff 00",  # incl (%rax)
        "a4",  # movsb
        "f3 a6",  # repe cmpsb
        "a0 44 33 22 11",  # mov moffs, %al
        "d7",  # xlat
        "6c",  # insb
        "0f 70 00 00",  # pshufw (%rax): behind the escape, 70 is not JO
        "0f",
        "0f c8",  # bswap: behind the escape, C8 is not ENTER
        "0f 58 00",  # addps (%rax), %xmm0: nor is 58 POP
        "c5 f8 58 00",  # vaddps (%rax), %xmm0, %xmm0
        "",
        "ff",
    ],
)
def test_what_may_reach_a_device(decoder: Decoder, text: str) -> None:
    assert decoder.memory(bytes.fromhex(text)) == "any"


@pytest.mark.parametrize(
    "text",
    [
        "0f 22 d8",  # mov %eax, %cr3
        "66 0f 22 d8",
        "44 0f 22 c0",  # mov %rax, %cr8
        "0f 01 38",  # invlpg (%eax)
        "0f 01 f0",  # lmsw %ax
        "0f 01 30",  # lmsw (%eax)
        "0f 01 c2",  # vmlaunch
        "0f 01 d8",  # vmrun
        "0f 01 df",  # invlpga
        "66 0f 38 82 00",  # invpcid
        "66 0f 38 80 00",  # invept
        "0f 30",  # wrmsr
        "0f aa",  # rsm
        "ea 00 00 00 00 08 00",  # ljmp
        "9a 00 00 00 00 08 00",  # lcall
        "ff 28",  # ljmp *(%eax)
        "ff 1f",  # lcall *(%edi)
        "cf",  # iret
        "48 cf",
        "cd 80",  # int
    ],
)
def test_what_changes_mappings(decoder: Decoder, text: str) -> None:
    assert decoder.remaps(bytes.fromhex(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0f",
        "0f 01",
        "0f 01 f8",
        "0f 01 ca",
        "0f 01 10",
        "0f 38",
        "ff",
        "0f 20 d8",
        "0f 32",
        "90",
        "f3 a5",
        "ff 10",
        "0f 38 00 00",
    ],
)
def test_what_leaves_mappings_alone(decoder: Decoder, text: str) -> None:
    assert not decoder.remaps(bytes.fromhex(text))


A64 = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
A64_BRANCH = re.compile(r"b|b\..*|bc\..*|bl|[ct]bn?z|drps|(br|blr)(a[ab]z?)?|e?ret(a[ab])?")


@pytest.mark.parametrize(
    "word",
    [
        0x14000001,  # b
        0x97FFFFFF,  # bl
        0x54000040,  # b.eq
        0xB4000040,  # cbz x0
        0x35000040,  # cbnz w0
        0x36000040,  # tbz
        0xB7F80040,  # tbnz
        0xD61F0000,  # br
        0xD63F0000,  # blr
        0xD65F03C0,  # ret
        0xD69F03E0,  # eret
        0xD65F0BFF,  # retaa
    ],
)
def test_branches_of_a64(decoder: Decoder, word: int) -> None:
    assert decoder.is_a64_branch(word.to_bytes(4, "little"))
    assert not decoder.is_a64_branch(word.to_bytes(4, "little")[:2])


@given(top=st.integers(0, 255), rest=st.integers(0, (1 << 24) - 1))
@settings(max_examples=5_000)
def test_what_is_taken_for_a_branch_of_a64_is_one(decoder: Decoder, top: int, rest: int) -> None:
    insn = (top << 24 | rest).to_bytes(4, "little")
    if decoder.is_a64_branch(insn):
        for _, _, mnemonic, _ in A64.disasm_lite(insn, 0, 1):  # there may be no such instruction
            assert A64_BRANCH.fullmatch(mnemonic), f"{insn.hex()} {mnemonic}"
