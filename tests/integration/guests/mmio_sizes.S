# Loads and stores of each size, aligned and not, with video memory as the device.
.include "x86.inc"

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    mov $VGA, %esi
    mov $0x87654321, %eax
    vga_write 0, 1, 0x21
    mov %al, (%esi)
    vga_write 2, 2, 0x4321
    mov %ax, 2(%esi)
    vga_write 4, 4, 0x87654321
    mov %eax, 4(%esi)
    vga_read 0, 1, 0x21
    mov (%esi), %al
    vga_read 2, 2, 0x4321
    mov 2(%esi), %ax
    vga_read 4, 4, 0x87654321
    mov 4(%esi), %eax
    vga_write 8, 4, 0x55aa1234
    movl $0x55aa1234, 8(%esi)
    vga_read 4, 1, 0x21         # extensions are the guest's own affair
    movzbl 4(%esi), %eax
    vga_read 6, 2, 0x8765
    movswl 6(%esi), %eax
    cmp $0xffff8765, %eax
    jne fail
    vga_read 4, 4, 0x87654321
    mov VGA + 4, %eax           # an absolute address: A1
    vga_read 4, 4, 0x87654321   # MOVBE: the row has what the device gave, not what the register has
    movbe 4(%esi), %ecx
    cmp $0x21436587, %ecx
    jne fail
    vga_write 12, 4, 0x21436587
    movbe %eax, 12(%esi)
    vga_read 12, 4, 0x21436587
    mov 12(%esi), %edx
    vga_read 4, 4, 0x87654321   # a load and nothing else: flags, no register
    testl $1, 4(%esi)
    vga_read 5, 4, 0x34876543
    add 5(%esi), %ecx
    vga_write 0xffe, 4, 0x87654321  # over the end of a page: one row
    mov %eax, 0xffe(%esi)
    vga_read 0xffd, 4, 0x65432100
    mov 0xffd(%esi), %eax

    fninit
    fld1
    vga_write 0x10, 4, 0x3f800000
    fsts 0x10(%esi)
    vga_write 0x18, 8, 0x3ff0000000000000
    fstl 0x18(%esi)
    vga_write 0x20, 8, 0x8000000000000000   # 80 bits: QEMU makes two accesses
    vga_write 0x28, 2, 0x3fff
    fstpt 0x20(%esi)
    vga_read 0x20, 8, 0x8000000000000000
    vga_read 0x28, 2, 0x3fff
    fldt 0x20(%esi)
    vga_read 0x10, 4, 0x3f800000
    fadds 0x10(%esi)
    vga_write 0x30, 2, 2
    fistps 0x30(%esi)
    vga_write 0x34, 2, 0x37f
    fnstcw 0x34(%esi)

    enter_long_mode
    mov $VGA, %rsi
    movabs $0x1122334455667788, %rax
    vga_write 0x40, 8, 0x1122334455667788
    mov %rax, 0x40(%rsi)
    vga_read 0x40, 8, 0x1122334455667788
    mov 0x40(%rsi), %rbx
    vga_read 0x44, 4, 0x11223344
    movslq 0x44(%rsi), %rcx
    vga_write 0x48, 8, 0xffffffff80000000
    movq $-0x80000000, 0x48(%rsi)
    vga_read 0x40, 8, 0x1122334455667788
    movbe 0x40(%rsi), %rcx
    vga_write 0x50, 8, 0x1122334455667788
    movnti %rax, 0x50(%rsi)
    vga_read 0xffc, 8, 0x0000876543210000
    mov 0xffc(%rsi), %rdx
    vga_read 0x50, 8, 0x1122334455667788
    movabs VGA + 0x50, %rax

    vga_read 0x40, 8, 0x1122334455667788    # 16 bytes: two rows
    vga_read 0x48, 8, 0xffffffff80000000
    movdqa 0x40(%rsi), %xmm1
    vga_write 0x60, 8, 0x1122334455667788
    vga_write 0x68, 8, 0xffffffff80000000
    movaps %xmm1, 0x60(%rsi)
    vga_write 0x71, 8, 0x1122334455667788
    vga_write 0x79, 8, 0xffffffff80000000
    movdqu %xmm1, 0x71(%rsi)
    vga_read 0x71, 8, 0x1122334455667788
    vga_read 0x79, 8, 0xffffffff80000000
    movups 0x71(%rsi), %xmm2
    vga_read 0x60, 8, 0x1122334455667788
    vga_read 0x68, 8, 0xffffffff80000000
    pxor 0x60(%rsi), %xmm2
    ptest %xmm2, %xmm2
    jne fail
    vga_write 0x1ff8, 8, 0x1122334455667788 # over the end of a page
    vga_write 0x2000, 8, 0xffffffff80000000
    movdqu %xmm1, 0x1ff8(%rsi)
    vga_write 0x90, 4, 0x55667788
    movd %xmm1, 0x90(%rsi)
    vga_write 0x98, 8, 0xffffffff80000000
    movhps %xmm1, 0x98(%rsi)
    mov $0x00ff000000000080, %rax           # MASKMOVDQU: bytes 0 and 6
    movq %rax, %xmm2
    mov $VGA, %rdi
    vga_write 0, 1, 0x88
    vga_write 6, 1, 0x22
    maskmovdqu %xmm2, %xmm1
    end_guest
    end_image
