# A firmware of 64 KiB that ends QEMU through its debug exit device, with status 33.
.code16
.org 0xfff0
    mov $0x10, %al
    out %al, $0xf4
    hlt
.org 0xffff
    .byte 0
