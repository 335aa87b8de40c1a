"""A line of each kind of record, by format: what fuzzing begins with."""

from __future__ import annotations

from typing import Final

SAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "qemu": (
        "memory_region_ops_read cpu 0 mr 0x55db2d764f90 addr 0x71 value 0x26 size 1 name 'rtc'",
        "4711@1763500000.000005:memory_region_ops_write cpu 1 mr 0x55 addr 0xfee000b0 value 0x8f size 4 name 'apic'",
        "2025-11-18T21:06:40.000005Z memory_region_ops_read cpu -1 mr 0x5 addr 0x70 value 0xffffffffffffffff size 8",
        "Invalid read at addr 0x2, size 1, region '(null)', reason: rejected",
    ),
    "mmiotrace": (
        "VERSION 20070824",
        "LSPCI 01:00.0 VGA compatible controller: A card",
        "PCIDEV 0100 10de0393 10 f4000000 e000000c 0 f5000004 0 d001 0 1000000 10000000 0 1000000 0 80 20000 nouveau",
        "MAP 12.500000 1 0xf5000000 0xffffc90000100000 0x1000000 0xffffffffa0001234 0",
        "R 4 12.500010 1 0xf5000140 0xdeadbeef 0xffffffffa0001250 0",
        "W 2 12.500020 1 0xf5000144 0x1234 0x0 0",
        "MARK 12.500030 now in X",
        "MARK 0.000000 Lost 17 events.",
        "UNKNOWN 12.500040 1 0xf5000148 0f,ae,38 0xffffffffa0001260 0",
        "UNMAP 12.500050 1 0x0 0",
    ),
    "ftrace": (
        " qemu-system-x86-4711    [002] d..1.  1234.567890: kvm_pio: pio_read at 0x71 size 1 count 1 val 0x26 ",
        " qemu-system-x86-4711    [002] d..1.  1234.567890: kvm_pio: pio_write at 0x1f0 size 2 count 9 val 0x1 (...)",
        "       CPU 1/KVM-4712  [003]  1234.567899: kvm_mmio: mmio write len 4 gpa 0xfee000b0 val 0x7",
        "       CPU 1/KVM-4712  [003]  1234.567900: kvm_mmio: mmio unsatisfied-read len 4 gpa 0xfee00020 val 0x0",
        "       CPU 1/KVM-4712  [003]  1234.567901: kvm_mmio: mmio read len 4 gpa 0xfee00020 val 0x0",
        " <...>-4711 [002] d..1.  1234.5: kvm_exit: vcpu 3 reason IO_INSTRUCTION rip 0xfec18 info1 0x710009 info2 0x0",
        "CPU:3 [LOST 123 EVENTS]",
        "CPU:7 [204600 EVENTS DROPPED]",
    ),
    "renode": (
        "16:23:57.2345 [INFO] uart0: [cpu: 0x8000ABCD] ReadUInt32 from 0x4 (Status), returned 0x80.",
        "16:23:57.2350 [INFO] uart0: [cpu: 0x8000ABD4] WriteByte to 0x0 (Data), value 0x41. (3)",
        "[INFO] spi: ReadQuadWord from 0x8, returned 0x80",
    ),
}
