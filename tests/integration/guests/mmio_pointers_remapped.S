# One JMP through memory that finds RAM at an address, then, the page table changed, the device there.
# No other device access comes between.
.include "x86.inc"
.set PAGE_DIRECTORY, 0x10000
.set PAGE_TABLE, 0x11000
.set WINDOW, 0x40000
.set RAM, 0x50000

.macro map page
    movl $\page + 3, PAGE_TABLE + WINDOW / 0x1000 * 4
.endm
.macro by_address
    invlpg WINDOW
.endm
.macro by_root
    mov %cr3, %eax
    mov %eax, %cr3
.endm
.macro twice
    call jump
    call jump
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
    movl $target, RAM
    vga_write 0, 4, target
    movl $target, VGA

    .irp how, by_address, by_root
    map RAM
    \how
    twice
    map VGA
    \how
    vga_read 0, 4, target, jump
    vga_read 0, 4, target, jump
    twice
    .endr
    end_guest
jump:
    jmp *WINDOW
target:
    ret
    end_image
