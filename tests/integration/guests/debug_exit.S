# A firmware of 64 KiB that ends QEMU through its debug exit device, with status 33.
.include "rows.inc"
.text
.org 0xfff0
.code16
.set STILL_AT_THE_TOP, 0xfffffff2   # the first far jump would bring F0000h
.globl start
start:
    mov $0x10, %al
    port_write 0xf4, 1, 0x10, isa-debug-exit, STILL_AT_THE_TOP
    out %al, $0xf4
    hlt
.org 0xffff
    .byte 0
