| A big-endian target: the number that the register holds is the number that the device has.
.include "rows.inc"
.set ALARM, 0xff006008          | the real-time clock's: low, then high
.set CONTROL, 0xff009000

.macro alarm_read offset, size, value
    mmio_read ALARM + \offset, \size, \value, goldfish_rtc
.endm
.macro alarm_write offset, size, value
    mmio_write ALARM + \offset, \size, \value, goldfish_rtc
.endm

.globl start
start:
    lea ALARM, %a0
    move.l #0x11223344, %d0
    alarm_write 4, 4, 0x11223344
    move.l %d0, 4(%a0)
    alarm_write 0, 4, 0x55667788
    move.l #0x55667788, (%a0)
    alarm_read 4, 4, 0x11223344
    move.l 4(%a0), %d1
    alarm_read 0, 4, 0x55667788
    alarm_read 4, 4, 0x11223344
    movem.l (%a0), %d2-%d3
    alarm_read 0, 4, 0x55667788
    alarm_write 4, 4, 0x55667788
    move.l (%a0), 4(%a0)
    lea CONTROL, %a1
    mmio_write CONTROL + 4, 4, 2, virt-ctrl     | halt
    move.l #2, 4(%a1)
    bra .
