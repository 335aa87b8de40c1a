# A firmware of 64 KiB that makes one access, and runs in a circle for ever.
.include "rows.inc"
.text
.org 0xfff0
.code16
.set STILL_AT_THE_TOP, 0xfffffff2   # the first far jump would bring F0000h
.globl start
start:
    mov $0x10, %al
    port_write 0x80, 1, 0x10, ioport80, STILL_AT_THE_TOP
    out %al, $0x80
circle:
    jmp circle
.org 0xffff
    .byte 0
