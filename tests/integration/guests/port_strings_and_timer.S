# REP INS that a timer interrupts: the handler's row comes between two elements, wherever the clock puts it.
#
# Port 310h: see port_strings.S. The card's RAM is filled with 0, 1, 2, ... first.
.include "x86.inc"
.set DATA, 0x310
.set SHOTS, 0x3000
.set COUNT, 4096

.macro put port, value, region
    mov $\value, %al
    mov $\port, %edx
    port_write \port, 1, \value, \region
    out %al, %dx
.endm
.macro from_the_start
    put 0x308, 0x00, ne2000
    put 0x309, 0x40, ne2000
    put 0x30a, 0xff, ne2000
    put 0x30b, 0xff, ne2000
    put 0x30e, 1, ne2000
    mov $DATA, %edx
.endm

.code16
.globl start
start:
    enter_protected_mode
    gate 0x20, timer
    movl $0, SHOTS
    cld
    mov $0x20000, %edi
    xor %eax, %eax
fill:
    stosw
    inc %eax
    cmp $COUNT, %eax
    jne fill
    from_the_start
    mov $0x20000, %esi
    mov $COUNT, %ecx
    .set element, 0
    .rept COUNT
    string_write DATA, 2, element, ne2000
    .set element, element + 1
    .endr
    rep outsw
    mmio_write 0xfee00350, 4, 0x700, apic-msi   # the local APIC: LINT0 is the 8259's
    movl $0x700, 0xfee00350
    put 0x20, 0x11, pic
    put 0x21, 0x20, pic
    put 0x21, 0x04, pic
    put 0x21, 0x01, pic
    put 0x21, 0xfe, pic
    from_the_start
    put 0x43, 0x34, pit         # a rate, of 50 us or so
    put 0x40, 60, pit
    put 0x40, 0, pit
    mov $DATA, %edx
    mov $0x30000, %edi
    mov $COUNT, %ecx
    sti
    .set element, 0
    .rept COUNT
    string_read DATA, 2, element, ne2000
    .set element, element + 1
    .endr
    rep insw
    cli
    mov $0x20000, %esi
    mov $0x30000, %edi
    mov $COUNT, %ecx
    repe cmpsw
    jne fail
    cmpl $2, SHOTS
    jb fail
    end_guest

timer:
    push %eax
    mov $0x20, %al
.globl acknowledge
acknowledge:
    out %al, $0x20              # a row that only the test can place
    incl SHOTS
    pop %eax
    iret
    end_image
