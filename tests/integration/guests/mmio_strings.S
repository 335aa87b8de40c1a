# MOVS, STOS, LODS, SCAS and CMPS with video memory as either operand or both, in both directions.
.include "x86.inc"

.macro reads size, offset, values:vararg
    .set at, \offset
    .irp value, \values
    vga_read at, \size, \value
    .set at, at + \size
    .endr
.endm
.macro writes size, offset, values:vararg
    .set at, \offset
    .irp value, \values
    vga_write at, \size, \value
    .set at, at + \size
    .endr
.endm

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    cld
    mov $pattern, %esi
    mov $VGA, %edi
    mov $3, %ecx
    writes 4, 0, 0x13121110, 0x17161514, 0x1b1a1918
    rep movsl
    mov $VGA, %esi
    mov $0x2000, %edi
    mov $3, %ecx
    reads 2, 0, 0x1110, 0x1312, 0x1514
    rep movsw
    mov $0x2003, %esi           # downwards
    mov $VGA + 0x13, %edi
    mov $4, %ecx
    std
    vga_write 0x13, 1, 0x13
    vga_write 0x12, 1, 0x12
    vga_write 0x11, 1, 0x11
    vga_write 0x10, 1, 0x10
    rep movsb
    cld
    mov $VGA, %esi              # from the device to the device
    mov $VGA + 0x20, %edi
    mov $2, %ecx
    vga_read 0, 4, 0x13121110
    vga_write 0x20, 4, 0x13121110
    vga_read 4, 4, 0x17161514
    vga_write 0x24, 4, 0x17161514
    rep movsl
    vga_read 8, 1, 0x18
    vga_write 0x28, 1, 0x18
    movsb
    mov $0xaa55, %ax
    mov $VGA + 0xffc, %edi      # over the end of a page
    mov $3, %ecx
    writes 2, 0xffc, 0xaa55, 0xaa55, 0xaa55
    rep stosw
    mov $VGA, %esi
    mov $2, %ecx
    reads 4, 0, 0x13121110, 0x17161514
    rep lodsl
    cmp $0x17161514, %eax
    jne fail
    mov $0x13, %al              # ends at the fourth
    mov $VGA, %edi
    mov $8, %ecx
    reads 1, 0, 0x10, 0x11, 0x12, 0x13
    repne scasb
    cmp $4, %ecx
    jne fail
    mov $VGA, %esi              # ends at the third
    mov $other, %edi
    mov $4, %ecx
    reads 2, 0, 0x1110, 0x1312, 0x1514
    repe cmpsw
    cmp $1, %ecx
    jne fail
    mov $VGA, %esi
    mov $VGA + 0x20, %edi
    vga_read 0x20, 4, 0x13121110    # CMPS reads its second operand first
    vga_read 0, 4, 0x13121110
    cmpsl
    xor %ecx, %ecx              # no element, no row
    rep movsl
    rep stosb

    enter_long_mode
    mov $VGA, %rsi
    mov $VGA + 0x30, %rdi
    mov $2, %rcx
    vga_read 0, 8, 0x1716151413121110
    vga_write 0x30, 8, 0x1716151413121110
    vga_read 8, 8, 0x000000001b1a1918
    vga_write 0x38, 8, 0x000000001b1a1918
    rep movsq
    mov $-1, %rax
    mov $1, %rcx
    vga_write 0x40, 8, -1
    rep stosq
    end_guest
pattern:
    .byte 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b
other:
    .byte 0x10, 0x11, 0x12, 0x13, 0xff, 0xff
    end_image
