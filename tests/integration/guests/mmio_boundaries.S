# Accesses that begin in one region and end in another: the row is what the device has of it.
.include "x86.inc"

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    mov $VGA, %esi
    mov $0x44332211, %eax
    vga_write 0, 2, 0x4433      # RAM, then the device
    mov %eax, -2(%esi)
    vga_read 0, 2, 0x4433
    mov (%esi), %cx
    vga_read 0, 2, 0x4433
    mov -2(%esi), %eax
    cmp $0x44332211, %eax
    jne fail
    vga_write 0x1fffe, 2, 0x2211    # the device, then where option ROMs are
    mov %eax, 0x1fffe(%esi)
    end_guest
    end_image
