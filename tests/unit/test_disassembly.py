from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdev.replay.disassembly import disassemble

FIRMWARE = 0xF0000
LOW = 0x7000000
KERNEL = 0xFFFFFFFF81000000


@pytest.mark.parametrize(
    ("insn", "size", "expected"),
    [
        ("e4 71", 1, "in al, 0x71"),
        ("e5 71", 2, "in ax, 0x71"),
        ("e5 71", 4, "in eax, 0x71"),
        ("e6 70", 1, "out 0x70, al"),
        ("e7 70", 2, "out 0x70, ax"),
        ("ec", 1, "in al, dx"),
        ("ed", 2, "in ax, dx"),
        ("ed", 4, "in eax, dx"),
        ("66 ed", 2, "in ax, dx"),
        ("66 ed", 4, "in eax, dx"),
        ("ee", 1, "out dx, al"),
        ("ef", 2, "out dx, ax"),
        ("66 ef", 4, "out dx, eax"),
    ],
)
@pytest.mark.parametrize("pc", [FIRMWARE, LOW])
@pytest.mark.parametrize("target", ["x86_64", "i386"])
def test_size_of_the_access_decides_the_mode_of_in_and_out(
    insn: str, size: int, expected: str, pc: int, target: str
) -> None:
    assert disassemble(bytes.fromhex(insn), pc, target, size) == expected


@pytest.mark.parametrize(
    ("insn", "size", "text", "expected"),
    [
        # QEMU prints "insl" for both.
        ("66 f3 6d", 2, "rep insl (%dx), %es:(%edi)", "rep insw word ptr es:[edi], dx"),
        ("66 f3 6d", 4, "rep insl (%dx), %es:(%di)", "rep insd dword ptr es:[di], dx"),
        ("f3 6d", 2, "rep insw (%dx), %es:(%di)", "rep insw word ptr es:[di], dx"),
        ("f3 6e", 1, "rep outsb (%rsi), (%dx)", "rep outsb dx, byte ptr [rsi]"),
    ],
)
def test_size_of_the_access_decides_the_mode_of_ins_and_outs(insn: str, size: int, text: str, expected: str) -> None:
    assert disassemble(bytes.fromhex(insn), LOW, "x86_64", size, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("movl (%rdi), %eax", "mov eax, dword ptr [rdi]"),
        ("movl 0(%edi), %eax", "mov eax, dword ptr [edi]"),
        ("movl    (%edi),%eax", "mov eax, dword ptr [edi]"),
    ],
)
def test_qemus_text_decides_where_the_size_does_not(text: str, expected: str) -> None:
    assert disassemble(b"\x8b\x07", LOW, "x86_64", 4, text) == expected


@pytest.mark.parametrize(
    ("pc", "target", "expected"),
    [
        (KERNEL, "x86_64", "mov eax, dword ptr [rdi]"),
        (LOW, "x86_64", "mov eax, dword ptr [rdi]"),
        (FIRMWARE, "x86_64", "mov eax, dword ptr [edi]"),
        (LOW, "i386", "mov eax, dword ptr [edi]"),
    ],
)
def test_address_decides_where_nothing_else_does(pc: int, target: str, expected: str) -> None:
    assert disassemble(b"\x8b\x07", pc, target, 4) == expected


@pytest.mark.parametrize(
    ("insn", "pc", "size", "expected"),
    [
        ("8b 07", FIRMWARE, 2, "mov ax, word ptr [bx]"),
        ("a3 b0 00 e0 fe", FIRMWARE, 4, "mov dword ptr [0xfee000b0], eax"),
        ("f3 48 ab", LOW, 8, "rep stosq qword ptr [rdi], rax"),
        ("0f b6 07", KERNEL, 1, "movzx eax, byte ptr [rdi]"),
    ],
)
def test_all_bytes_must_be_one_instruction_with_memory_of_that_size(
    insn: str, pc: int, size: int, expected: str
) -> None:
    assert disassemble(bytes.fromhex(insn), pc, "x86_64", size) == expected


def test_half_of_an_access_of_16_bytes() -> None:
    assert disassemble(bytes.fromhex("f3 0f 6f 07"), KERNEL, "x86_64", 8) == "movdqu xmm0, xmmword ptr [rdi]"


def test_relative_operands_count_from_the_pc() -> None:
    assert disassemble(bytes.fromhex("e8 00 10 00 00"), KERNEL, "x86_64", 8) == "call 0xffffffff81001005"


@pytest.mark.parametrize(
    ("insn", "target", "size", "text", "expected"),
    [
        ("00 00 40 b9", "aarch64", 4, "ldr w0, [x0]", "ldr w0, [x0]"),
        ("00 00 90 e5", "arm", 4, "ldr r0, [r0]", "ldr r0, [r0]"),
        ("03 68", "arm", 4, "", "ldr r3, [r0]"),
        ("d0 f8 00 30", "arm", 4, "ldr.w r3, [r0]", "ldr.w r3, [r0]"),
        ("83 c7 07 00", "riscv64", 1, "", "lbu a5, 0(a5)"),
        ("1c 43", "riscv64", 4, "", "c.lw a5, 0(a4)"),
    ],
)
def test_other_architectures(insn: str, target: str, size: int, text: str, expected: str) -> None:
    assert disassemble(bytes.fromhex(insn), LOW, target, size, text) == expected


def test_qemus_text_stands_in_for_an_unknown_architecture() -> None:
    assert disassemble(b"\x58\x10\x20\x00", 0, "s390x", 4, "l   %r1,\t0(%r2)") == "l %r1, 0(%r2)"


def test_bytes_stand_in_where_there_is_no_text() -> None:
    assert disassemble(b"\xff\xff", LOW, "x86_64", 1) == "ff ff"
    assert disassemble(b"", LOW, "x86_64", 1) == ""


def test_control_characters_of_qemus_text_are_escaped() -> None:
    assert disassemble(b"\xff\xff", LOW, "x86_64", 1, "bad\x1b[31m") == r"bad\x1b[31m"


@settings(deadline=None)
@given(
    st.binary(max_size=16),
    st.integers(0, (1 << 64) - 1),
    st.sampled_from(["x86_64", "i386", "aarch64", "arm", "riscv64", "riscv32", "s390x", ""]),
    st.sampled_from([1, 2, 4, 8]),
    st.text(max_size=20),
)
def test_anything_gives_one_printable_line(insn: bytes, pc: int, target: str, size: int, text: str) -> None:
    assert disassemble(insn, pc, target, size, text).isprintable()
