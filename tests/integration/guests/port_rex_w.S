# Operand-size prefix and REX.W on one IN or OUT: REX.W is the stronger one, and the access has 32 bits.
.include "x86.inc"

.code16
.globl start
start:
    enter_protected_mode
    enter_long_mode
    mov $0xcf8, %dx
    mov $0x80000000, %eax
    port_write 0xcf8, 4, 0x80000000, pci-conf-idx
    .byte 0x66, 0x48, 0xef      # out %eax, %dx
    mov $0xcfc, %dx
    mov $-1, %rax
    port_read 0xcfc, 4, 0x12378086, pci-conf-data
    .byte 0x66, 0x48, 0xed      # in %dx, %eax
    cmp $0x12378086, %eax
    jne fail
    end_guest
    end_image
