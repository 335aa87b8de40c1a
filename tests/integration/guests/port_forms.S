# IN and OUT: each form, size and prefix, in real mode, protected mode and long mode.
#
# Ports: the DMA controller's page registers are bytes that can be read back (a wider access is one to several of them);
# CONFIG_ADDRESS is 32 bits; at CONFIG_DATA then stands the host bridge's identity, 1237_8086h.
.include "x86.inc"

.macro page_write size, value
    port_write 0x81, \size, \value, dma-page
.endm
.macro page_read size, value
    port_read 0x81, \size, \value, dma-page
.endm
.macro id_read port, size, value, at=
    port_read \port, \size, \value, pci-conf-data, \at
.endm

# What is the same in all modes; the assembler adds prefix 66h where the mode needs it.
.macro forms
    mov $0xa5a5a55a, %eax
    page_write 1, 0x5a
    out %al, $0x81
    page_write 2, 0xa55a
    out %ax, $0x81
    mov $0x11223344, %eax
    page_read 1, 0x5a
    in $0x81, %al               # the rest of EAX stays, and must not show
    page_read 2, 0xa55a
    in $0x81, %ax
    mov $0x80000000, %eax
    mov $0xcf8, %dx
    port_write 0xcf8, 4, 0x80000000, pci-conf-idx
    out %eax, %dx
    port_read 0xcf8, 4, 0x80000000, pci-conf-idx
    in %dx, %eax
    mov $0xffff0cfc, %edx       # DX alone is the port
    id_read 0xcfc, 1, 0x86
    in %dx, %al
    id_read 0xcfc, 2, 0x8086
    in %dx, %ax
    id_read 0xcfc, 4, 0x12378086
    in %dx, %eax
    mov $0xcff, %dx
    id_read 0xcff, 1, 0x12
    in %dx, %al

    mov $0xcfd, %dx             # back to back: each value is AL at its own end
    id_read 0xcfd, 1, 0x80
    in %dx, %al
    id_read 0xcfd, 1, 0x80
    in %dx, %al
    page_read 1, 0x5a
    in $0x81, %al
    page_write 1, 0x5a
    out %al, $0x81
    id_read 0xcfd, 1, 0x80
    in %dx, %al
    xor %eax, %eax              # the value is gone at once

    mov $3, %ecx                # a block of its own, which follows itself
loop\@:
    .rept 3
    id_read 0xcfd, 1, 0x80, loop\@
    .endr
    in %dx, %al
    loop loop\@
    id_read 0xcfd, 1, 0x80      # followed by a jump
    in %dx, %al
    jmp last\@
    .balign 0x1000, 0xf4
    .skip 0xfff, 0xf4
last\@:
    id_read 0xcfd, 1, 0x80      # the last byte of a page
    in %dx, %al
    xor %eax, %eax
.endm

.code16
.globl start
start:
    mov $0xcff, %dx
    forms
    mov $0xcfc, %dx             # prefixes that say nothing, in any order
    id_read 0xcfc, 1, 0x86
    .byte 0x67, 0xec
    id_read 0xcfc, 2, 0x8086
    .byte 0x2e, 0xed
    id_read 0xcfc, 4, 0x12378086
    .byte 0x67, 0x66, 0xed
    id_read 0xcfc, 4, 0x12378086
    .byte 0x66, 0xf3, 0xed
    mov $0x5a, %al
    page_write 1, 0x5a
    .byte 0xf2, 0xe6, 0x81
    enter_protected_mode
    forms
    mov $0xcfc, %dx
    id_read 0xcfc, 1, 0x86
    .byte 0x66, 0xec
    id_read 0xcfc, 2, 0x8086
    .byte 0x66, 0x67, 0xed
    id_read 0xcfc, 4, 0x12378086
    .byte 0x64, 0x67, 0xed
    enter_long_mode
    forms
    mov $0xcfc, %dx
    id_read 0xcfc, 1, 0x86
    .byte 0x40, 0xec
    id_read 0xcfc, 4, 0x12378086
    .byte 0x48, 0xed            # REX.W makes no 64-bit access
    id_read 0xcfc, 2, 0x8086
    .byte 0x66, 0x44, 0xed
    mov $0x5a5a, %eax
    page_write 1, 0x5a
    .byte 0x4f, 0xe6, 0x81
    end_guest
    end_image
