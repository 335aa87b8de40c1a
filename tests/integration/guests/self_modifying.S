# Code that changes: the same address executes other bytes, and the rows are those of the bytes that ran.
.include "x86.inc"
.set CODE, 0x2000

# Copies a piece of code to CODE and runs it there.
.macro run piece
    mov $\piece, %esi
    mov $CODE, %edi
    mov $\piece\()_end - \piece, %ecx
    rep movsb
    call *%ebp
.endm

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    cld
    mov $CODE, %ebp
    mov $0x5a, %al
    port_write 0x81, 1, 0x5a, dma-page, CODE
    run piece_out
    port_read 0x81, 1, 0x5a, dma-page, CODE
    run piece_in
    port_read 0x82, 1, 0, dma-page, CODE
    run piece_other_in
    mov $0x1234, %eax
    vga_write 0, 4, 0x1234, CODE
    run piece_store
    vga_read 0, 4, 0x1234, CODE
    run piece_load
    vga_read 2, 2, 0, CODE
    run piece_short_load
    run piece_nothing
    mov $0x34, %al
    port_write 0x81, 1, 0x34, dma-page, CODE
    run piece_out

    mov $piece_patch, %esi      # within one block: the store changes the instruction that follows it
    mov $CODE, %edi
    mov $piece_patch_end - piece_patch, %ecx
    rep movsb
    mov $0x34, %al
    mov $0xe6, %bl              # IN becomes OUT
    port_write 0x82, 1, 0x34, dma-page, PATCHED
    call *%ebp
    mov $0xe4, %bl              # and IN again
    port_read 0x82, 1, 0x34, dma-page, PATCHED
    call *%ebp
    end_guest

.set PATCHED, CODE + patched - piece_patch
piece_patch:
    mov %bl, PATCHED
patched:
    in $0x82, %al
    ret
piece_patch_end:
piece_out:
    out %al, $0x81
    ret
piece_out_end:
piece_in:
    in $0x81, %al
    ret
piece_in_end:
piece_other_in:
    in $0x82, %al
    ret
piece_other_in_end:
piece_store:
    mov %eax, VGA
    ret
piece_store_end:
piece_load:
    mov VGA, %eax
    ret
piece_load_end:
piece_short_load:
    mov VGA + 2, %ax
    ret
piece_short_load_end:
piece_nothing:
    mov 0x3000, %eax
    ret
piece_nothing_end:
    end_image
