# REP INS and REP OUTS that a page fault interrupts half-way: each element once.
#
# The pages from 40000h on are not present until the fault handler maps them. Port 310h: see port_strings.S.
.include "x86.inc"
.set DATA, 0x310
.set PAGE_DIRECTORY, 0x10000
.set PAGE_TABLE, 0x11000
.set FAULTS, 0x3000

.macro ne2000 port, value
    mov $\port, %edx
    mov $\value, %al
    port_write \port, 1, \value, ne2000
    out %al, %dx
.endm
.macro from_the_start
    ne2000 0x308, 0x00
    ne2000 0x309, 0x40
    ne2000 0x30a, 0xff
    ne2000 0x30b, 0xff
    ne2000 0x30e, 1
    mov $DATA, %edx
.endm
.macro expect_faults count
    cmpl $\count, FAULTS
    jne fail
.endm

.code16
.globl start
start:
    enter_protected_mode
    gate 14, page_fault
    movl $0, FAULTS
    cld
    mov $PAGE_DIRECTORY, %edi
    mov $0x400, %ecx
    xor %eax, %eax
    rep stosl
    movl $PAGE_TABLE + 3, PAGE_DIRECTORY
    mov $3, %eax
    mov $PAGE_TABLE, %edi
map:
    mov %eax, (%edi)
    cmp $0x40000, %eax
    jb present
    cmp $0x80000, %eax
    jae present
    movl $0, (%edi)
present:
    add $4, %edi
    add $0x1000, %eax
    cmp $0x400003, %eax
    jne map
    mov $PAGE_DIRECTORY, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0

    from_the_start
    mov $pattern, %esi
    mov $8, %ecx
    .irp value, 0x1110, 0x1312, 0x1514, 0x1716, 0x1918, 0x1b1a, 0x1d1c, 0x1f1e
    string_write DATA, 2, \value, ne2000
    .endr
    rep outsw

    from_the_start              # the second word is the first of the page 40000h
    mov $0x3fffe, %edi
    mov $4, %ecx
    .irp value, 0x1110, 0x1312, 0x1514, 0x1716
    string_read DATA, 2, \value, ne2000
    .endr
    rep insw
    expect_faults 1

    mov $0x40ffe, %edi          # half of the doubleword is in the page 41000h
    mov $2, %ecx
    .irp value, 0x1b1a1918, 0x1f1e1d1c
    string_read DATA, 4, \value, ne2000
    .endr
    rep insl
    expect_faults 2
    cmpl $0x17161514, 0x40002
    jne fail
    cmpl $0x1f1e1d1c, 0x41002
    jne fail

    from_the_start
    mov $0x42000, %edi          # the first element; then one without REP
    mov $2, %ecx
    .irp value, 0x1110, 0x1312
    string_read DATA, 2, \value, ne2000
    .endr
    rep insw
    mov $0x43000, %edi
    string_read DATA, 2, 0x1514, ne2000
    insw
    expect_faults 4

    std
    mov $0x44000, %edi          # downwards into the page 43000h, which is there, then out of 42000h
    mov $1, %ecx
    string_read DATA, 2, 0x1716, ne2000
    rep insw
    expect_faults 5
    cld

    from_the_start
    movl $0xddccbbaa, 0x44ffc
    mov $0x44ffc, %esi          # OUTS: the load faults
    mov $4, %ecx
    .irp value, 0xbbaa, 0xddcc, 0, 0
    string_write DATA, 2, \value, ne2000
    .endr
    rep outsw
    expect_faults 6
    mov $0x46000, %esi
    string_write DATA, 4, 0, ne2000
    outsl
    expect_faults 7
    end_guest

page_fault:
    push %eax
    incl FAULTS
    mov %cr2, %eax
    and $0xfffff000, %eax
    or $3, %eax
    push %ebx
    mov %eax, %ebx
    shr $12, %ebx
    mov %eax, PAGE_TABLE(, %ebx, 4)
    pop %ebx
    pop %eax
    add $4, %esp                # the error code
    iret
pattern:
    .byte 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f
    end_image
