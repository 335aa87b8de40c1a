# A device as the stack: instructions that access nothing but the stack.
.include "x86.inc"

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    mov $VGA + 0x100, %esp
    mov $0x12345678, %eax
    vga_write 0xfc, 4, 0x12345678
    push %eax
    vga_read 0xfc, 4, 0x12345678
    pop %ecx
    vga_write 0xfc, 4, -5 & 0xffffffff
    push $-5
    vga_write 0xf8, 4, behind_call
    call function
    vga_read 0xf8, 4, behind_call, function
behind_call:
    vga_read 0xfc, 4, -5 & 0xffffffff
    mov (%esp), %eax
    vga_read 0xfc, 4, -5 & 0xffffffff
    vga_write 0x40, 4, -5 & 0xffffffff
    popl VGA + 0x40
    xor %eax, %eax              # ZF, PF
    vga_write 0xfc, 4, 0x46
    pushf
    vga_read 0xfc, 4, 0x46
    popf
    mov $0x11, %ebp
    vga_write 0xfc, 4, 0x11
    enter $8, $0
    vga_read 0xfc, 4, 0x11
    leave
    mov $0xa1, %eax
    mov $0xc1, %ecx
    mov $0xd1, %edx
    mov $0xb1, %ebx
    mov $0x51, %esi
    mov $0xd2, %edi
    vga_write 0xe0, 4, 0xd2     # QEMU stores from the lowest address up
    vga_write 0xe4, 4, 0x51
    vga_write 0xe8, 4, 0x11
    vga_write 0xec, 4, VGA + 0x100
    vga_write 0xf0, 4, 0xb1
    vga_write 0xf4, 4, 0xd1
    vga_write 0xf8, 4, 0xc1
    vga_write 0xfc, 4, 0xa1
    pusha
    vga_read 0xe0, 4, 0xd2      # POPA does not load ESP
    vga_read 0xe4, 4, 0x51
    vga_read 0xe8, 4, 0x11
    vga_read 0xf0, 4, 0xb1
    vga_read 0xf4, 4, 0xd1
    vga_read 0xf8, 4, 0xc1
    vga_read 0xfc, 4, 0xa1
    popa
    gate 0x30, handler
    xor %eax, %eax              # EFLAGS: ZF, PF
    # No row: the frame is pushed between two instructions, where QEMU calls no plugin.
    int $0x30
    vga_read 0xf4, 4, behind_far, handler
    vga_read 0xf8, 4, 8, handler
    vga_read 0xfc, 4, 0x46, handler
behind_far:
    mov $0x8000, %esp
    end_guest
function:
    ret
handler:
    iret
    end_image
