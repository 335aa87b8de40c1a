"""Faults in the code of models, of the kind that people make: a missed side effect, a wrong unit, a forgotten flag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmdev.replay.devices import i8254, i8259_chip, mc146818, port61, uart16550

TIME_CELLS = ("Seconds", "Minutes", "Hours", "Date of the Month", "Month", "Year", "Century", "Day of the Week")

Patch = tuple[type, str, Callable[..., Any]]


def _program_without_mode(self: Any, command: int) -> None:
    self.access = command >> 4 & 0b11
    self.msb_read_next = self.msb_write_next = False


def _load_one_too_few(self: Any, value: int, now_ns: int) -> bool:
    loaded = _WRITE_COUNT(self, value, now_ns)
    self.count -= loaded
    return loaded


def _count_at_half_speed(self: Any, now_ns: int) -> int:
    return _COUNTING_ELEMENT(self, self.loaded_ns + (now_ns - self.loaded_ns) // 2)


def _keep_flags(self: Any) -> int:
    return int(self._cells[mc146818.REGISTER_C])


def _take_index_of_six_bits(self: Any, offset: int, size: int, value: int) -> None:
    _WRITE_RTC(self, offset, size, value if offset else value & 0x3F)


def _no_thr_empty(self: Any, value: int) -> None:
    _WRITE_THR(self, value)
    self._thre_pending = False
    self._update_irq()


def _no_fifo(self: Any, value: int) -> None:
    _WRITE_FCR(self, value & ~1)


def _no_divisor_latch(self: Any, value: int) -> None:
    _WRITE_LCR(self, value & 0x7F)


def _keep_mask(self: Any) -> None:
    mask = getattr(self, "imr", 0)
    _CLEAR_SETTINGS(self)
    self.imr = mask


def _read_without_toggle(self: Any, offset: int, size: int) -> int:
    return _READ_61(self, offset, size) & ~port61.REF_TOGGLE


_WRITE_COUNT = i8254._Counter.write
_COUNTING_ELEMENT = i8254._Counter.counting_element
_WRITE_RTC = mc146818.Mc146818.write
_WRITE_THR = uart16550.Uart16550._write_thr_dll
_WRITE_FCR = uart16550.Uart16550._write_fcr
_WRITE_LCR = uart16550.Uart16550._write_lcr
_CLEAR_SETTINGS = i8259_chip.Chip.clear_settings
_READ_61 = port61.Port61.read

RTC, UART, COUNTER, CHIP = mc146818.Mc146818, uart16550.Uart16550, i8254._Counter, i8259_chip.Chip

BY_HAND: list[tuple[str, str, str, tuple[str, ...], Patch]] = [
    ("linux-pc", "pit", "mode is ignored", ("Counter 2",), (COUNTER, "program", _program_without_mode)),
    ("linux-pc", "pit", "loads one too few", ("Counter 2",), (COUNTER, "write", _load_one_too_few)),
    ("linux-pc", "pit", "half speed", ("Counter 2",), (COUNTER, "counting_element", _count_at_half_speed)),
    ("linux-pc", "rtc", "flags are not cleared", ("Register C",), (RTC, "_read_register_c", _keep_flags)),
    ("linux-pc", "rtc", "time stands still", TIME_CELLS, (RTC, "_time_ns", lambda self: 0)),
    ("seabios-pc", "rtc", "index of six bits", ("CMOS 0x5f", "CMOS 0x5b"), (RTC, "write", _take_index_of_six_bits)),
    ("linux-pc", "com1", "no THR empty", ("IIR",), (UART, "_write_thr_dll", _no_thr_empty)),
    ("linux-pc", "com1", "no FIFOs", ("IIR",), (UART, "_write_fcr", _no_fifo)),
    ("linux-pc", "com1", "DLAB is ignored", ("LCR", "DLL", "DLM"), (UART, "_write_lcr", _no_divisor_latch)),
    ("seabios-pc", "com1", "DLAB is ignored", ("LCR", "DLL", "DLM"), (UART, "_write_lcr", _no_divisor_latch)),
    (
        "linux-pc",
        "pic",
        "ICW1 keeps the mask",
        ("PIC1_IMR", "PIC2_IMR"),
        (i8259_chip.Chip, "clear_settings", _keep_mask),
    ),
    ("linux-pc", "port61", "no refresh toggle", ("NMI_SC",), (port61.Port61, "read", _read_without_toggle)),
]
"""Trace, device, fault, the registers in which it can show first, and what is patched."""
