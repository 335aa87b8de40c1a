# RISC-V of 64 bits in machine mode: loads and stores of each size, AMOs, LR and SC.
#
# MTIMECMP is 8 bytes, the UART's SCR and MCR are one.
.include "rows.inc"
.set MTIMECMP, 0x02004000
.set UART, 0x10000000
.set FINISHER, 0x00100000

.macro timer_read size, value, offset=0
    mmio_read MTIMECMP + \offset, \size, \value, riscv.aclint.mtimer
.endm
.macro timer_write size, value, offset=0
    mmio_write MTIMECMP + \offset, \size, \value, riscv.aclint.mtimer
.endm
.macro uart_read offset, size, value
    mmio_read UART + \offset, \size, \value, serial
.endm
.macro uart_write offset, size, value
    mmio_write UART + \offset, \size, \value, serial
.endm

.globl start
start:
    li s0, MTIMECMP
    li s1, UART
    li t0, 0x7f22334455667788
    uart_write 7, 1, 0x88
    sb t0, 7(s1)
    uart_read 7, 1, 0x88
    lb t1, 7(s1)
    uart_read 7, 1, 0x88
    lbu t1, 7(s1)
    li t2, 3
    uart_write 4, 2, 3
    sh t2, 4(s1)
    uart_read 4, 2, 3
    lh t1, 4(s1)
    timer_write 8, 0x7f22334455667788
    sd t0, (s0)
    timer_read 8, 0x7f22334455667788
    ld t1, (s0)
    timer_read 4, 0x55667788
    lw t1, (s0)
    timer_read 4, 0x7f223344, 4
    lwu t1, 4(s0)
    timer_write 4, 0x55667788, 4
    sw t0, 4(s0)
    li t3, 1 << 13              # mstatus.FS
    csrs mstatus, t3
    timer_read 8, 0x5566778855667788
    fld fa0, (s0)
    timer_write 4, 0x55667788
    fsw fa0, (s0)

    timer_read 8, 0x5566778855667788
    timer_write 8, 0x556677885566778b
    amoadd.d t1, t2, (s0)
    timer_read 8, 0x556677885566778b
    timer_write 8, 3
    amoswap.d t1, t2, (s0)
    timer_read 4, 3
    timer_write 4, 0x5566778b
    amoor.w t1, t0, (s0)
    timer_read 8, 0x5566778b
    lr.d t1, (s0)
    timer_read 8, 0x5566778b           # the store compares first
    timer_write 8, 0x7f22334455667788
    sc.d t3, t0, (s0)
    bnez t3, end
    sc.d t3, t0, (s0)           # nothing reserved: no access
    beqz t3, end
end:
    li t0, 0x5555
    li t1, FINISHER
    mmio_write FINISHER, 4, 0x5555, riscv.sifive.test
    sw t0, (t1)
    j .
