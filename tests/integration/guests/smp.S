# Two CPUs: the first starts the second (INIT, SIPI), and both make accesses as fast as they can.
.include "x86.inc"
.set TRAMPOLINE, 0x3000
.set DONE, 0x5000
.set COUNT, 200

.code16
.globl start
start:
    enter_protected_mode
    keep_bytes_in_vga
    movl $0, DONE
    cld
    mov $trampoline, %esi
    mov $TRAMPOLINE, %edi
    mov $trampoline_end - trampoline, %ecx
    rep movsb
    mov $0xfee00300, %edi
    mmio_write 0xfee00300, 4, 0xc4500, apic-msi     # INIT to all but self
    movl $0xc4500, (%edi)
    mmio_write 0xfee00300, 4, 0xc4603, apic-msi     # SIPI with the trampoline's page
    movl $0xc4603, (%edi)
    .set n, 0
    .rept COUNT
    port_write 0x81, 1, n, dma-page, out_0
    vga_write 0, 4, 0x11110000 + n, store_0
    vga_read 0, 4, 0x11110000 + n, load_0
    .set n, n + 1
    .endr
    xor %ecx, %ecx
    mov $VGA, %esi
    mov $0x11110000, %ebx
again_0:
    mov %ecx, %eax
out_0:
    out %al, $0x81
store_0:
    mov %ebx, (%esi)
load_0:
    mov (%esi), %eax
    cmp %ebx, %eax
    jne fail
    inc %ebx
    inc %ecx
    cmp $COUNT, %ecx
    jne again_0
wait:
    pause
    cmpl $1, DONE
    jne wait
    end_guest

.code16
trampoline:
    mov $0xf000, %ax
    mov %ax, %ds
    lgdtl gdtr - image
    mov $1, %ax
    lmsw %ax
    ljmpl $8, $second
trampoline_end:
.code32
second:
    mov $0x10, %ax
    mov %ax, %ds
    mov $VGA + 0x1000, %esi
    mov $0x22220000, %ebx
    xor %ecx, %ecx
    .set n, 0
    .rept COUNT
    port_write 0x82, 1, n, dma-page, out_1, cpu=1
    port_read 0x82, 1, n, dma-page, in_1, cpu=1
    mmio_write VGA + 0x1000, 4, 0x22220000 + n, vga-lowmem, store_1, cpu=1
    mmio_read VGA + 0x1000, 4, 0x22220000 + n, vga-lowmem, change_1, cpu=1
    mmio_write VGA + 0x1000, 4, 0x22220001 + n, vga-lowmem, change_1, cpu=1
    .set n, n + 1
    .endr
again_1:
    mov %ecx, %eax
out_1:
    out %al, $0x82
    not %eax
in_1:
    in $0x82, %al
    cmp %al, %cl
    jne fail
store_1:
    mov %ebx, (%esi)
change_1:
    lock incl (%esi)
    inc %ebx
    inc %ecx
    cmp $COUNT, %ecx
    jne again_1
    movl $1, DONE
    cli
    hlt
    end_image
