# INS and OUTS: each size, with and without REP, both directions, and with video memory as the memory operand.
#
# Port 310h is the remote DMA port of an NE2000 (-device ne2k_isa,iobase=0x300): its RAM keeps what is written, so each
# element has a value of its own. A byte, a word or a doubleword moves its address on by as much.
.include "x86.inc"
.set DATA, 0x310

.macro ne2000 port, value
    mov $\port, %dx
    mov $\value, %al
    port_write \port, 1, \value, ne2000
    out %al, %dx
.endm
# Remote DMA from address 4000h of the card, and DX at its port; wide = 1 for words.
.macro from_the_start wide
    ne2000 0x308, 0x00
    ne2000 0x309, 0x40
    ne2000 0x30a, 0xff
    ne2000 0x30b, 0xff
    ne2000 0x30e, \wide
    mov $DATA, %dx
.endm
.macro reads size, values:vararg
    .irp value, \values
    string_read DATA, \size, \value, ne2000
    .endr
.endm
.macro writes size, values:vararg
    .irp value, \values
    string_write DATA, \size, \value, ne2000
    .endr
.endm

.code16
.globl start
start:
    cld
    mov $0xf000, %ax            # OUTS is from DS; INS is to ES
    mov %ax, %ds
    xor %ax, %ax
    mov %ax, %es
    mov $0x2000, %di
    from_the_start 0
    mov $pattern - image, %si
    writes 1, 0x10
    outsb
    mov $3, %cx
    writes 1, 0x11, 0x12, 0x13
    rep outsb
    from_the_start 1
    mov $2, %cx
    reads 2, 0x1110, 0x1312
    rep insw
    from_the_start 1
    reads 4, 0x13121110
    insl
    mov $2, %ecx
    mov $pattern, %esi
    and $0xffff, %esi
    from_the_start 1
    writes 4, 0x13121110, 0x17161514
    addr32 rep outsl

    enter_protected_mode
    mov $0x2000, %edi
    from_the_start 0
    mov $5, %ecx
    reads 1, 0x10, 0x11, 0x12, 0x13, 0x14
    rep insb
    from_the_start 1
    reads 2, 0x1110
    insw
    mov $1, %ecx
    reads 2, 0x1312
    .byte 0xf2, 0x66, 0x6d      # REPNE acts as REP
    from_the_start 1
    mov $2, %ecx
    reads 4, 0x13121110, 0x17161514
    rep insl
    xor %ecx, %ecx              # no element, no row
    rep insl
    rep outsw
    cmpl $0x13121110, 0x2009    # the guest got what the trace has
    jne fail

    from_the_start 1
    std                         # downwards
    mov $pattern + 6, %esi
    mov $3, %ecx
    writes 2, 0x1716, 0x1514, 0x1312
    rep outsw
    from_the_start 1
    mov $0x2100, %edi
    mov $3, %ecx
    reads 2, 0x1716, 0x1514, 0x1312
    rep insw
    cld
    cmpl $0x17161514, 0x20fe
    jne fail

    keep_bytes_in_vga
    from_the_start 1
    mov $VGA, %edi              # QEMU's INS first stores 0, to see whether it may, and the device sees it too
    mov $2, %ecx
    vga_write 0, 2, 0
    reads 2, 0x1716
    vga_write 0, 2, 0x1716
    vga_write 2, 2, 0
    reads 2, 0x1514
    vga_write 2, 2, 0x1514
    rep insw
    from_the_start 1
    mov $VGA, %esi
    vga_read 0, 4, 0x15141716
    writes 4, 0x15141716
    outsl

    enter_long_mode
    from_the_start 1
    mov $0x2000, %rdi
    mov $1, %rcx
    reads 4, 0x15141716
    .byte 0xf3, 0x48, 0x6d      # REX.W makes no 64-bit element
    reads 2, 0x1312
    insw
    from_the_start 1
    mov $pattern, %esi
    mov $2, %ecx
    writes 4, 0x13121110, 0x17161514
    addr32 rep outsl
    mov $pattern, %rsi
    writes 1, 0x10
    .byte 0x40, 0x6e
    cmpl $0x15141716, 0x2000
    jne fail
    end_guest
pattern:
    .byte 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
    end_image
