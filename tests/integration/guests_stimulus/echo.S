# A firmware of 64 KiB that polls COM1, and sends back what it receives until that is a '.'; then it says so at port
# 0x2f0 and resets. DELAY: how many times it reads port 0x80 before it takes each byte.
.code16
.org 0xff00
start:
    cli
    mov $0x3fa, %dx             # FCR: FIFOs on, if FIFO is 1
    mov $FIFO, %al
    out %al, %dx
poll:
    mov $0x3fd, %dx             # LSR
    in %dx, %al
    test $1, %al
    jz poll
    mov $DELAY, %ecx
1:  jecxz 2f
    in $0x80, %al
    dec %ecx
    jmp 1b
2:  mov $0x3f8, %dx
    in %dx, %al
    out %al, %dx
    cmp $'.', %al
    jne poll
    mov $0x2f0, %dx
    mov $'e', %al
    out %al, %dx
    mov $'n', %al
    out %al, %dx
    mov $'d', %al
    out %al, %dx
    mov $'\n', %al
    out %al, %dx
    mov $0xfe, %al              # the keyboard controller's reset line
    out %al, $0x64
    hlt
.org 0xfff0
    ljmp $0xf000, $start
.org 0xffff
    .byte 0
