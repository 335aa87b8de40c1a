# Instructions that read and write their memory operand: one row each way, LOCK or not, written or not.
.include "x86.inc"

.macro vga_change offset, size, before, after
    vga_read \offset, \size, \before
    vga_write \offset, \size, \after
.endm

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    mov $VGA, %esi
    vga_change 0, 1, 0, 1
    incb (%esi)
    vga_change 0, 1, 1, 0xff
    negb (%esi)
    vga_change 0, 2, 0x00ff, 0x12f3
    xorw $0x120c, (%esi)
    vga_change 0, 4, 0x000012f3, 0x800012f3
    orl $0x80000000, (%esi)
    vga_change 0, 4, 0x800012f3, 0x800012f4
    lock incl (%esi)
    vga_change 0, 4, 0x800012f4, 0x800000f4
    lock andl $0xffff00ff, (%esi)
    mov $0x11111111, %eax
    vga_change 0, 4, 0x800000f4, 0x91111205
    lock xadd %eax, (%esi)
    cmp $0x800000f4, %eax
    jne fail
    vga_change 0, 4, 0x91111205, 0x111112f9
    xadd %eax, (%esi)
    mov $0xcafe, %ax
    vga_change 0, 2, 0x12f9, 0xcafe
    xchg %ax, (%esi)            # locks by itself
    vga_change 0, 4, 0x1111cafe, 0x1111caff
    lock btsl $0, (%esi)
    mov $37, %ecx
    vga_change 4, 4, 0, 0x20
    btsl %ecx, (%esi)           # bit 37 is in the next doubleword
    vga_change 4, 4, 0x20, 0x10
    shrl $1, 4(%esi)
    mov $0x10, %eax
    mov $0x12345678, %ecx
    vga_change 4, 4, 0x10, 0x12345678
    lock cmpxchg %ecx, 4(%esi)
    vga_change 4, 4, 0x12345678, 0x12345678 # not equal: written back all the same
    lock cmpxchg %ecx, 4(%esi)
    cmp $0x12345678, %eax
    jne fail
    mov $0x55, %edx
    vga_change 4, 4, 0x12345678, 0x55
    cmpxchg %edx, 4(%esi)
    mov $0x1111caff, %eax
    mov $0x55, %edx
    mov $1, %ebx
    mov $2, %ecx
    vga_change 0, 8, 0x000000551111caff, 0x0000000200000001
    lock cmpxchg8b (%esi)
    jne fail
    vga_write 8, 1, 1
    setzb 8(%esi)               # a write alone
    vga_read 0, 4, 1
    cmpl $1, (%esi)             # a read alone
    jne fail

    enter_long_mode
    mov $VGA, %rsi
    vga_change 0, 8, 0x0000000200000001, 0x0000000200000002
    lock incq (%rsi)
    mov $-1, %rax
    vga_change 0, 8, 0x0000000200000002, 0xffffffffffffffff
    xchg %rax, (%rsi)
    vga_change 0, 8, 0xffffffffffffffff, 0xfffffffffffffffe
    lock decq (%rsi)
    mov $-2, %rax
    mov $1, %rdx
    mov $3, %rbx
    mov $4, %rcx
    vga_read 0, 8, 0xfffffffffffffffe       # 16 bytes: both halves are read, then both are written
    vga_read 8, 8, 1
    vga_write 0, 8, 3
    vga_write 8, 8, 4
    lock cmpxchg16b (%rsi)
    jne fail
    end_guest
    end_image
