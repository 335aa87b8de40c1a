# Makes one access, and runs in a circle for ever.
.include "reset_vector.inc"
.globl start
start:
    mov $0x10, %al
    port_write 0x80, 1, 0x10, ioport80, STILL_AT_THE_TOP
    out %al, $0x80
circle:
    jmp circle
    end_of_rom
