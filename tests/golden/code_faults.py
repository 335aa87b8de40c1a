"""Faults in the code of models, of the kind that people make: a missed side effect, a wrong unit, a forgotten flag.

Each is a function in place of a model's, which it is given first. `test_minimizing` wants every one of them to show in
its trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmdev.replay.devices import (
    acpi_pm1,
    acpi_pm_timer,
    ahci_port,
    ata_channel,
    bochs_dispi,
    fw_cfg,
    hpet,
    i8042,
    i8254,
    i8259,
    i8259_chip,
    i82078,
    ioapic,
    local_apic,
    mc146818,
    pci_config,
    pci_host,
    port61,
    port92,
    uart16550,
    vga,
    virtio_device,
    virtio_mmio,
)

Function = Callable[..., Any]
Patch = tuple[type, str, Function]

BY_HAND: list[tuple[str, str, str, tuple[str, ...], Patch]] = []
"""Trace, device, fault, the registers in which it can show first, and what is patched."""

TIME_CELLS = "Seconds, Minutes, Hours, Date of the Month, Month, Year, Century, Day of the Week"


def fault(trace: str, device: str, what: str, registers: str, owner: type, member: str) -> Callable[[Function], None]:
    original = getattr(owner, member)

    def add(broken: Function) -> None:
        def patched(*args: Any, **kwargs: Any) -> Any:
            return broken(original, *args, **kwargs)

        BY_HAND.append((trace, device, what, tuple(registers.split(", ")), (owner, member, patched)))

    return add


# Timers and clocks


@fault("linux-pc", "pit", "mode is ignored", "Counter 2", i8254._Counter, "program")
def _(program: Function, self: Any, command: int) -> None:
    mode = self.mode
    program(self, command)
    self.mode = mode


@fault("linux-pc", "pit", "loads one too few", "Counter 2", i8254._Counter, "write")
def _(write: Function, self: Any, value: int, now_ns: int) -> Any:
    loaded = write(self, value, now_ns)
    self.count -= loaded
    return loaded


@fault("linux-pc", "pit", "half speed", "Counter 2", i8254._Counter, "counting_element")
def _(counting_element: Function, self: Any, now_ns: int) -> Any:
    return counting_element(self, self.loaded_ns + (now_ns - self.loaded_ns) // 2)


@fault("linux-pc", "pit", "the low byte comes twice", "Counter 2", i8254._Counter, "read")
def _(read: Function, self: Any) -> Any:
    value = read(self)
    self.msb_read_next = False
    return value


@fault("linux-microvm", "pit", "time in whole microseconds", "Counter 0", i8254._Counter, "counting_element")
def _(counting_element: Function, self: Any, now_ns: int) -> Any:
    return counting_element(self, now_ns // 1000 * 1000)


@fault("linux-pc", "rtc", "time stands still", TIME_CELLS, mc146818.Mc146818, "_time_ns")
def _(time_ns: Function, self: Any) -> int:
    return 0


@fault("linux-pc", "rtc", "an update sets no flag", "Register C", mc146818.Mc146818, "_end_update")
def _(end_update: Function, self: Any) -> None:
    flags = self._cells[mc146818.REGISTER_C]
    end_update(self)
    self._cells[mc146818.REGISTER_C] = flags


@fault("linux-microvm", "rtc", "months from 0", TIME_CELLS, mc146818.Mc146818, "_show_time")
def _(show_time: Function, self: Any) -> None:
    show_time(self)
    self._cells[mc146818.MONTH] -= 1


@fault("linux-pc", "rtc", "12 hours after power-on", "Register B", mc146818.Mc146818, "reset")
def _(reset: Function, self: Any) -> None:
    reset(self)
    self._cells[mc146818.REGISTER_B] &= ~mc146818.B_24_12


@fault("linux-pc-apic", "hpet", "counts from clock 0", "MAIN_CNT", hpet.Hpet, "_write_config")
def _(write_config: Function, self: Any, mask: int, value: int) -> None:
    write_config(self, mask, value)
    self._offset_ns = 0


@fault("linux-pc-apic", "hpet", "VAL_SET stays set", "TIM0_CONF", hpet.Hpet, "_write_comparator")
def _(write_comparator: Function, self: Any, timer: Any, mask: int, value: int) -> None:
    flag = timer.conf & hpet.VAL_SET_CNF
    write_comparator(self, timer, mask, value)
    timer.conf |= flag


@fault("seabios-pc", "pmtimer", "3.58 MHz", "PM_TMR", acpi_pm_timer.AcpiPmTimer, "_read_all")
def _(read_all: Function, self: Any) -> int:
    return int(self._clock.now_ns * 3_580_000 // 10**9 & acpi_pm_timer.TMR_VAL)


@fault("linux-pc", "pmtimer", "32 bits", "PM_TMR", acpi_pm_timer.AcpiPmTimer, "_read_all")
def _(read_all: Function, self: Any) -> int:
    return int(self._clock.now_ns * acpi_pm_timer.FREQUENCY_HZ // 10**9 & 0xFFFF_FFFF)


# Interrupts


@fault("linux-pc", "pic", "a mask of seven bits", "PIC1_IMR, PIC2_IMR", i8259.I8259Pair, "_write_data")
def _(write_data: Function, self: Any, chip: Any, value: int) -> None:
    write_data(self, chip, value if chip.awaiting else value & 0x7F)


@fault("linux-pc", "pic", "a masked request is lost", "PIC1_IRR, PIC2_IRR", i8259_chip.Chip, "drive")
def _(drive: Function, self: Any, level: int, high: bool) -> None:
    if not self.imr >> level & 1:
        drive(self, level, high)


@fault("linux-pc", "ioapic", "a pin too many", "IOAPICVER", ioapic.IoApic, "_read_window")
def _(read_window: Function, self: Any) -> Any:
    value = read_window(self)
    return value + 0x1_0000 if self._index == ioapic.INDEX_VER else value


@fault("linux-pc", "ioapic", "halves of an entry swapped", "IOREDTBL0", ioapic.IoApic, "_write_window")
def _(write_window: Function, self: Any, value: int) -> None:
    index = self._index
    self._index ^= index >= ioapic.INDEX_TABLE
    write_window(self, value)
    self._index = index


@fault("linux-pc", "lapic", "the timer at half speed", "Current_Count", local_apic.LocalApic, "_write_dcr")
def _(write_dcr: Function, self: Any, value: int) -> None:
    write_dcr(self, value)
    self._shift += 1


@fault("linux-pc", "lapic", "not masked after reset", "LVT_PMC, LVT_Thermal", local_apic.LocalApic, "init")
def _(init: Function, self: Any) -> None:
    init(self)
    self._lvt = [0] * len(self._lvt)


# Ports, serial line, keyboard


@fault("linux-pc", "port61", "no refresh toggle", "NMI_SC", port61.Port61, "read")
def _(read: Function, self: Any, offset: int, size: int) -> Any:
    return read(self, offset, size) & ~port61.REF_TOGGLE


@fault("linux-pc", "port61", "the output of counter 0", "NMI_SC", i8254.I8254, "out")
def _(out: Function, self: Any, counter: int) -> Any:
    return out(self, 0)


@fault("seabios-pc", "port92", "A20 stuck at 0", "Port A", port92.Port92, "write")
def _(write: Function, self: Any, offset: int, size: int, value: int) -> None:
    write(self, offset, size, value & ~0x02)


@fault("linux-pc", "com1", "no FIFOs", "IIR", uart16550.Uart16550, "_write_fcr")
def _(write_fcr: Function, self: Any, value: int) -> None:
    write_fcr(self, value & ~1)


@fault("linux-pc", "com1", "DLAB is ignored", "IER", uart16550.Uart16550, "_write_lcr")
def _(write_lcr: Function, self: Any, value: int) -> None:
    write_lcr(self, value & 0x7F)


@fault("linux-pc", "acpi-pm1", "ones clear enable bits", "PM1_EN", acpi_pm1.AcpiPm1, "write")
def _(write: Function, self: Any, offset: int, size: int, value: int) -> None:
    write(self, offset, size, self._enable & ~value if offset == acpi_pm1.EN else value)


@fault("linux-pc", "acpi-pm1", "the SMI command does not set SCI_EN", "PM1_CNT", acpi_pm1.AcpiPm1, "switch_sci")
def _(switch_sci: Function, self: Any, on: bool) -> None:
    pass


@fault("seabios-pc", "i8042", "the self test sets no flag", "STATUS", i8042.I8042, "_write_command")
def _(write_command: Function, self: Any, value: int) -> None:
    write_command(self, value)
    self._status &= ~i8042.STATUS_SYSTEM


@fault("linux-pc", "i8042", "a byte of the mouse has no flag", "STATUS", i8042.I8042, "_fill_buffer")
def _(fill_buffer: Function, self: Any) -> None:
    fill_buffer(self)
    self._status &= ~i8042.STATUS_AUX_OBF


# PCI, storage, display


@fault("seabios-pc-devices", "pci", "all functions are function 0", "00:01.1 CC", pci_host.PciHost, "function")
def _(function: Function, self: Any, bus: int, devfn: int) -> Any:
    return function(self, bus, devfn & ~7)


@fault("seabios-pc", "pci", "all bits of a BAR can be written", "00:00.0 BAR0", pci_config.PciConfig, "write")
def _(write: Function, self: Any, offset: int, size: int, value: int) -> None:
    if pci_config.BAR_0 <= offset < pci_config.BAR_0 + 24:
        self.poke(offset, size, value)
    else:
        write(self, offset, size, value)


@fault("seabios-pc-devices", "ide0", "device 0 misses Device", "Status", ata_channel.AtaChannel, "_write_device")
def _(write_device: Function, self: Any, value: int) -> None:
    device = self._units[0].device
    write_device(self, value)
    self._units[0].device = device


@fault("seabios-pc-devices", "ide1", "words in the other byte order", "Data", ata_channel.AtaChannel, "_read_word")
def _(read_word: Function, self: Any) -> Any:
    value = read_word(self)
    return value if value < 0 else value >> 8 | (value & 0xFF) << 8


@fault("seabios-q35-devices", "ahci@00:1f.2", "ones do not clear PxIS", "P1IS", ahci_port.AhciPort, "write_is")
def _(write_is: Function, self: Any, value: int) -> None:
    pass


@fault("seabios-pc-devices", "fdc", "seek end is forgotten", "FIFO", i82078.I82078, "_seek_ends")
def _(seek_ends: Function, self: Any) -> None:
    seek_ends(self)
    self._st0 &= ~i82078.ST0_SEEK


@fault("seabios-pc", "vga", "Misc output: clock select stuck", "Misc output read", vga.Vga, "_write_misc")
def _(write_misc: Function, self: Any, value: int) -> None:
    write_misc(self, value & ~0x0C)


@fault("seabios-pc", "vga", "reading IS1 leaves the flip-flop", "AR address", vga.Vga, "_read_is1")
def _(read_is1: Function, self: Any, ios: int) -> Any:
    flip_flop = self._flip_flop
    value = read_is1(self, ios)
    self._flip_flop = flip_flop
    return value


@fault("seabios-pc", "vga", "memory in 32 KiB", "VIDEO_MEMORY_64K by port", bochs_dispi.BochsDispi, "read")
def _(read: Function, self: Any, index: int) -> Any:
    return read(self, index) << (index == bochs_dispi.VIDEO_MEMORY_64K)


# QEMU's own, and virtio


@fault("seabios-pc", "fwcfg", "selecting does not rewind", "Data", fw_cfg.FwCfg, "_select")
def _(select: Function, self: Any, key: int) -> None:
    offset = self._offset
    select(self, key)
    self._offset = offset


@fault(
    "linux-microvm", "virtio-mmio@feb02e00", "the feature selector is ignored", "DeviceFeatures",
    virtio_mmio.VirtioMmio, "_write_device_features_sel",
)  # fmt: skip
def _(write: Function, self: Any, device: Any, value: int) -> None:
    pass


@fault(
    "linux-microvm", "virtio-mmio@feb02e00", "capacity in bytes", "capacity",
    virtio_device.VirtioDevice, "read_config",
)  # fmt: skip
def _(read_config: Function, self: Any, offset: int, size: int) -> Any:
    value = read_config(self, offset, size)
    return value << 9 & 0xFFFF_FFFF if offset == 0 else value
