# ARM of 32 bits with its MMU off: multiple registers, doublewords, exclusives, SWP's heirs, and SETEND's big-endian data.
.include "pl011.inc"
.syntax unified
.arm

.globl start
start:
    ldr r10, =UART
    add r11, r10, #0x20
    mov r0, #0x23
    mov r1, #0x1b00
    mov r2, #0x2a
    mov r3, #0x60
    uart_write 0x20, 4, 0x23
    uart_write 0x24, 4, 0x1b00
    uart_write 0x28, 4, 0x2a
    uart_write 0x2c, 4, 0x60
    stm r11, {r0-r3}
    uart_read 0x20, 4, 0x23
    uart_read 0x24, 4, 0x1b00
    uart_read 0x28, 4, 0x2a
    uart_read 0x2c, 4, 0x60
    ldm r11!, {r4-r7}
    cmp r5, #0x1b00
    bne end
    uart_read 0x28, 4, 0x2a     @ downwards, lowest address first all the same
    uart_read 0x2c, 4, 0x60
    ldmdb r11!, {r8, r9}
    sub r11, r11, #8
    uart_write 0x20, 8, 0x00001b0000000023
    strd r0, r1, [r11]
    uart_read 0x28, 8, 0x000000600000002a
    ldrd r8, r9, [r11, #8]
    uart_write 0x24, 1, 0x60
    strb r3, [r11, #4]
    uart_read 0x24, 1, 0x60
    ldrb r8, [r11, #4]
    uart_read 0x24, 2, 0x60
    ldrsh r8, [r11, #4]
    add r12, r11, #4
    uart_read 0x24, 4, 0x60
    ldrex r8, [r12]
    uart_read 0x24, 4, 0x60     @ the store compares first
    uart_write 0x24, 4, 0x2a
    strex r9, r2, [r12]
    cmp r9, #0
    ldrne r8, [r12]             @ not executed: no row
    uart_read 0x24, 4, 0x2a
    ldreq r8, [r12]
    cmp r9, #1                  @ with these conditions, words that are branches of AArch64
    uart_read 0x24, 4, 0x2a
    ldrne r8, [r12]
    uart_write 0x24, 4, 0x2a
    strls r2, [r12]
    setend be                   @ the row has the device's value
    uart_read 0x24, 4, 0x2a
    ldr r8, [r12]
    mov r8, #0x55000000
    uart_write 0x24, 4, 0x55
    str r8, [r12]
    uart_read 0x24, 2, 0x55
    ldrh r8, [r12]
    uart_read 0x20, 4, 0x23
    uart_read 0x24, 4, 0x55
    ldm r11, {r4, r5}
    setend le
    uart_read 0x24, 4, 0x55
    ldr r8, [r12]
end:
    ldr r0, =0x84000008         @ PSCI: SYSTEM_OFF
    .arch_extension virt
    hvc #0
    b .
.ltorg
