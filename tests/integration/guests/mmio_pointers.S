# PUSH, POP, CALL and JMP whose memory operand is in a device.
.include "x86.inc"

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    mov $VGA, %esi
    vga_write 0, 4, target
    movl $target, (%esi)
    vga_read 0, 4, target
    pushl (%esi)                # to RAM
    vga_write 4, 4, target
    popl 4(%esi)
    vga_read 4, 4, target
    call *4(%esi)
    vga_write 0, 4, behind_jump
    movl $behind_jump, (%esi)
    vga_read 0, 4, behind_jump
    jmp *(%esi)
target:
    ret
behind_jump:
    end_guest
    end_image
