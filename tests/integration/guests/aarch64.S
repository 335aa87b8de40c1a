# AArch64 at EL1 with its MMU off (all device memory): loads and stores of each size, pairs, exclusives, atomics,
# unaligned accesses, and big-endian data.
#
# The GIC's priority bytes can be read back, too.
.include "pl011.inc"
.set PRIORITY, 0x08000420

.macro priority_read offset, size, value, at=
    mmio_read PRIORITY + \offset, \size, \value, gic_dist, \at
.endm
.macro priority_write offset, size, value, at=
    mmio_write PRIORITY + \offset, \size, \value, gic_dist, \at
.endm
.macro set_x register, value
    movz \register, #(\value) & 0xffff
    movk \register, #((\value) >> 16) & 0xffff, lsl #16
    movk \register, #((\value) >> 32) & 0xffff, lsl #32
    movk \register, #((\value) >> 48) & 0xffff, lsl #48
.endm

.globl start
start:
    adr x0, vectors
    msr vbar_el1, x0
    mov x0, #3 << 20            // CPACR_EL1: floating point
    msr cpacr_el1, x0
    isb
    ldr x20, =UART
    ldr x21, =PRIORITY

    set_x x1, 0x1122334455667788
    priority_write 0, 1, 0x88
    strb w1, [x21]
    priority_write 2, 2, 0x7788
    strh w1, [x21, #2]
    priority_write 4, 4, 0x55667788
    str w1, [x21, #4]
    priority_read 0, 4, 0x77880088
    ldr w2, [x21]
    priority_read 4, 1, 0x88
    ldrsb x2, [x21, #4]         // extensions are the guest's own affair
    priority_read 6, 2, 0x5566
    ldrh w2, [x21, #6]
    set_x x2, 0x0000001b00000123 // FBRD has 6 bits, IBRD 16
    uart_write 0x20, 8, 0x0000001b00000123
    str x2, [x20, #0x20]
    uart_read 0x20, 8, 0x0000001b00000123
    ldr x3, [x20, #0x20]

    mov w2, #0x2a               // pairs: of words one access of 8, of doublewords 16
    mov w3, #0x60
    uart_write 0x28, 8, 0x000000600000002a
    stp w2, w3, [x20, #0x28]
    uart_read 0x28, 8, 0x000000600000002a
    ldp w4, w5, [x20, #0x28]
    uart_read 0x20, 8, 0x0000001b00000123
    uart_read 0x28, 8, 0x000000600000002a
    ldp x4, x5, [x20, #0x20]
    uart_write 0x20, 8, 0x0000001b00000123
    uart_write 0x28, 8, 0x000000600000002a
    stp x4, x5, [x20, #0x20]
    uart_read 0x20, 8, 0x0000001b00000123
    uart_read 0x28, 8, 0x000000600000002a
    ldr q0, [x20, #0x20]
    uart_write 0x20, 8, 0x0000001b00000123
    uart_write 0x28, 8, 0x000000600000002a
    str q0, [x20, #0x20]
    uart_read 0x24, 4, 0x1b
    ldr s1, [x20, #0x24]
    add x6, x20, #0x20
    uart_read 0x24, 4, 0x1b
    ldr w7, [x6, #4]!           // with the base written back

    uart_read 0x24, 4, 0x1b
    ldxr w7, [x6]
    add w7, w7, #1
    uart_read 0x24, 4, 0x1b     // the store compares first
    uart_write 0x24, 4, 0x1c
    stxr w8, w7, [x6]
    cbnz w8, fail
    clrex
    stxr w8, w7, [x6]           // not exclusive any more: no access
    cbz w8, fail
    uart_read 0x24, 4, 0x1c
    ldar w7, [x6]
    uart_write 0x24, 4, 0x1c
    stlr w7, [x6]

    mov w7, #2
    uart_read 0x24, 4, 0x1c
    uart_write 0x24, 4, 0x1e
    ldadd w7, w8, [x6]
    uart_read 0x24, 4, 0x1e
    uart_write 0x24, 4, 0x1c
    ldclral w7, w8, [x6]
    uart_read 0x24, 4, 0x1c
    uart_write 0x24, 4, 0x2
    swp w7, w8, [x6]
    cmp w8, #0x1c
    b.ne fail
    mov w9, #0x77
    uart_read 0x24, 4, 2
    uart_write 0x24, 4, 0x77
    cas w7, w9, [x6]            // equal
    uart_read 0x24, 4, 0x77
    uart_write 0x24, 4, 0x77    // not equal: QEMU writes back what was there
    cas w7, w8, [x6]
    cmp w7, #0x77
    b.ne fail
    mov w7, #0x01
    add x10, x21, #8
    priority_read 8, 1, 0
    priority_write 8, 1, 1
    ldsetb w7, w8, [x10]

    ldr w7, [x20, #0x26]        // unaligned in device memory: a fault, no row
    str x7, [x20, #0x24]
    ldr x0, =faults
    ldr w0, [x0]
    cmp w0, #2
    b.ne fail

    mrs x0, sctlr_el1           // big-endian data: the row has the device's value
    orr x0, x0, #1 << 25
    msr sctlr_el1, x0
    isb
    uart_read 0x24, 4, 0x77
    ldr w7, [x20, #0x24]
    mov w7, #0x55000000
    uart_write 0x24, 4, 0x55
    str w7, [x20, #0x24]
    priority_read 2, 2, 0x7788
    ldrh w7, [x21, #2]
    priority_read 0, 1, 0x88
    ldrb w7, [x21]
    uart_read 0x20, 8, 0x5500000123
    ldr x7, [x20, #0x20]
    mrs x0, sctlr_el1
    bic x0, x0, #1 << 25
    msr sctlr_el1, x0
    isb
    uart_read 0x24, 4, 0x55
    ldr w7, [x20, #0x24]
end:
    mov w0, #0x84000000         // PSCI: SYSTEM_OFF
    add w0, w0, #8
    hvc #0
fail:                           // ends before the rows do
    b end
.ltorg
.balign 0x800
vectors:
    .skip 0x200
    ldr x12, =faults            // a synchronous exception of this level: past the instruction
    ldr w13, [x12]
    add w13, w13, #1
    str w13, [x12]
    mrs x12, elr_el1
    add x12, x12, #4
    msr elr_el1, x12
    eret
.balign 8
faults:
    .word 0
