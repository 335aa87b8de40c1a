# Ends QEMU through its debug exit device, with status 33.
.include "reset_vector.inc"
.globl start
start:
    mov $0x10, %al
    port_write 0xf4, 1, 0x10, isa-debug-exit, STILL_AT_THE_TOP
    out %al, $0xf4
    hlt
    end_of_rom
