# Port accesses that an interrupt follows, comes between or wakes: the accumulator is the interrupted code's.
#
# The PIT's channel 0 interrupts once a shot; vectors 20h-27h. Port 310h: see port_strings.S.
.include "x86.inc"
.set DATA, 0x310
.set SHOTS, 0x3000

.macro put port, value, region
    mov $\value, %al
    port_write \port, 1, \value, \region
    out %al, $\port
.endm
# One interrupt after so many ticks of 838 ns.
.macro shoot ticks
    put 0x43, 0x30, pit
    put 0x40, (\ticks) & 0xff, pit
    put 0x40, (\ticks) >> 8, pit
.endm
.macro handled
    port_write 0x20, 1, 0x20, pic, acknowledge
.endm
.macro expect_shots count
    cmpl $\count, SHOTS
    jne fail
.endm

.code16
.globl start
start:
    enter_protected_mode
    gate 0x20, timer
    movl $0, SHOTS
    mmio_write 0xfee00350, 4, 0x700, apic-msi   # the local APIC: LINT0 is the 8259's
    movl $0x700, 0xfee00350
    put 0x20, 0x11, pic
    put 0x21, 0x20, pic
    put 0x21, 0x04, pic
    put 0x21, 0x01, pic
    put 0x21, 0xfe, pic
    put 0x81, 0x5a, dma-page

    shoot 20                    # wakes a halt, right after an IN
    sti
    port_read 0x81, 1, 0x5a, dma-page
    in $0x81, %al
    hlt
    handled
    cmp $0x5a, %al
    jne fail
    expect_shots 1

    cli                         # pends, and comes right after the IN in the shadow of STI
    shoot 2
    mov $1000, %ecx
wait:
    loop wait
    mov $0, %al
    sti
    port_read 0x81, 1, 0x5a, dma-page
    in $0x81, %al
    handled
    cmp $0x5a, %al
    jne fail
    expect_shots 2

    cli
    shoot 2
    mov $1000, %ecx
wait_again:
    loop wait_again
    mov $0xa5, %al
    sti
    port_write 0x82, 1, 0xa5, dma-page
    out %al, $0x82
    handled
    port_read 0x82, 1, 0xa5, dma-page   # and before an IN
    in $0x82, %al
    expect_shots 3
    end_guest

timer:
    push %eax
    mov $0x20, %al
acknowledge:
    out %al, $0x20
    incl SHOTS
    mov $-1, %eax
    pop %eax
    iret
    end_image
