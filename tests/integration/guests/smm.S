# System management mode, entered by an OUT to port B2h: accesses in the handler, and those around it.
.include "x86.inc"
.set HANDLER, 0x38000           # SMBASE after reset, plus 8000h


.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    mov $0xcf8, %edx            # the power management function, 5Bh: SMI enable
    mov $0x80000b58, %eax
    port_write 0xcf8, 4, 0x80000b58, pci-conf-idx
    out %eax, %dx
    mov $0xcff, %edx
    mov $2, %al
    port_write 0xcff, 1, 2, pci-conf-data
    out %al, %dx
    cld
    mov $handler, %esi
    mov $HANDLER, %edi
    mov $handler_end - handler, %ecx
    rep movsb

    mov $0x11223344, %eax
    mov $0x77, %al
    port_write 0xb2, 1, 0x77, apm-io
    out %al, $0xb2
    port_write 0x81, 1, 0x99, dma-page, in_smm_1
    port_read 0x81, 1, 0x99, dma-page, in_smm_2
    vga_write 0x10, 4, 0xdeadbeef, in_smm_3
    vga_read 0x12, 2, 0xdead, in_smm_4
    port_read 0x81, 2, 0x0099, dma-page, in_smm_5
    cmp $0x11223377, %eax       # RSM brought the accumulator back
    jne fail
    port_read 0x81, 1, 0x99, dma-page
    in $0x81, %al
    vga_read 0x10, 4, 0xdeadbeef
    mov VGA + 0x10, %eax
    end_guest

.macro there label
    .set \label, . - handler + HANDLER
.endm
.code16
handler:
    mov $0x99, %al
    there in_smm_1
    out %al, $0x81
    xor %ax, %ax
    there in_smm_2
    in $0x81, %al
    mov $0xa000, %ax
    mov %ax, %ds
    mov $0xdeadbeef, %eax
    there in_smm_3
    mov %eax, 0x10
    there in_smm_4
    mov 0x12, %bx
    mov $0x81, %dx
    there in_smm_5
    in %dx, %ax                 # the value is there until RSM
    rsm
handler_end:
    end_image
