# One REP MOVS and one REP STOS that find RAM at an address, then, the page table changed, the device there.
# No other device access comes between.
.include "x86.inc"
.set PAGE_DIRECTORY, 0x10000
.set PAGE_TABLE, 0x11000
.set WINDOW, 0x40000
.set RAM, 0x50000

.macro map page
    movl $\page + 3, PAGE_TABLE + WINDOW / 0x1000 * 4
    invlpg WINDOW
.endm
.macro call_with routine, edi, esi
    mov $\edi, %edi
    mov $\esi, %esi
    mov $4, %ecx
    call \routine
.endm
.macro four direction, at
    .irp n, 0, 1, 2, 3
    vga_\direction \n, 1, 0x10 + \n, \at
    .endr
.endm

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    cld
    mov $PAGE_DIRECTORY, %edi
    mov $0x400, %ecx
    xor %eax, %eax
    rep stosl
    movl $PAGE_TABLE + 3, PAGE_DIRECTORY
    mov $3, %eax
    mov $PAGE_TABLE, %edi
fill:
    stosl
    add $0x1000, %eax
    cmp $0x400003, %eax
    jne fill
    mov $PAGE_DIRECTORY, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0

    map RAM
    call_with move, WINDOW, pattern
    map VGA
    four write, move
    call_with move, WINDOW, pattern
    map RAM
    call_with move, 0x2000, WINDOW
    map VGA
    four read, move
    call_with move, 0x2000, WINDOW
    cmpl $0x13121110, 0x2000
    jne fail
    mov $0x5a, %al
    map RAM
    call_with store, WINDOW, 0
    map VGA
    .irp n, 0, 1, 2, 3
    vga_write \n, 1, 0x5a, store
    .endr
    call_with store, WINDOW, 0
    end_guest
move:
    rep movsb
    ret
store:
    rep stosb
    ret
pattern:
    .byte 0x10, 0x11, 0x12, 0x13
    end_image
