# A firmware of 64 KiB that makes port accesses in ring 3 under an I/O permission bitmap: ports 80h-87h are refused.
# The #GP handler goes on after the refused instruction.
.include "rows.inc"
.text
image:
.code16
.globl start
start:
    cli
    lgdtl %cs:gdtr - image
    lidtl %cs:idtr - image
    mov $1, %ax
    lmsw %ax
    ljmpl $8, $protected
.code32
protected:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov %ax, %es
    mov $0x8000, %esp
    mov $0x9000, %edi           # the TSS, with its bitmap at 68h
    xor %eax, %eax
    mov $0x400, %ecx
    rep stosl
    movl $0x8000, 0x9004        # ESP0
    movl $0x10, 0x9008          # SS0
    movw $0x68, 0x9066
    movb $0xff, 0x9068 + 0x80 / 8
    mov $0x28, %ax
    ltr %ax
    push $0x23
    push $0x7000
    push $2
    push $0x1b
    push $user
    iretl
user:
    mov $0x5a, %al
    in $0x80, %al               # refused
    out %al, $0x80              # refused
    port_write 0x70, 1, 0x5a, rtc-index     # allowed
    out %al, $0x70
    port_read 0x92, 1, 0, port92
    in $0x92, %al
    nop
    mov $0xfe, %al
    port_write 0x64, 1, 0xfe, i8042-cmd     # reset
    out %al, $0x64
    jmp .
refused:
    addl $2, 4(%esp)            # past the instruction
    add $4, %esp                # the error code
    iretl
.balign 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
    .word 0x2068, 0x9000
    .byte 0, 0x89, 0, 0
gdtr:
    .word . - gdt - 1
    .long gdt
.balign 8
idt:
    .fill 13, 8, 0
    .word refused - image, 8
    .byte 0, 0x8e
    .word 0xf
idtr:
    .word . - idt - 1
    .long idt
.org 0xfff0
.code16
    ljmpw $0xf000, $start - image
.org 0xffff
    .byte 0
