"""The cells of an MC146818 on a PC: their numbers, names and fields.

Source: Motorola MC146818A data sheet (1988); the sources named are its section headings. The century cell 0x32, its
PS/2 alias 0x37 and the titles of the RAM cells are the PC's.
"""

from __future__ import annotations

from typing import Final

from ..registers import Field, Nature, Register, RegisterMap, bit

CELLS: Final = 0x80
BANKS: Final = tuple(f"index {index:#04x}" for index in range(CELLS))
"""One bank per index: what offset 1 shows."""

DV_VALUES: Final = {0: "4.194304 MHz", 1: "1.048576 MHz", 2: "32.768 kHz", 6: "divider reset", 7: "divider reset"}
RS_VALUES: Final = {0: "none", 1: "256 Hz", 2: "128 Hz"} | {rate: f"{0x10000 >> rate} Hz" for rate in range(3, 16)}

CMOS_TITLES: Final = {
    0x0E: "Diagnostic status", 0x0F: "Shutdown status", 0x10: "Floppy drive types", 0x12: "Hard disk types",
    0x14: "Equipment", 0x15: "Base memory in KiB, low", 0x16: "Base memory in KiB, high",
    0x17: "Extended memory in KiB, low", 0x18: "Extended memory in KiB, high",
    0x30: "Extended memory in KiB, low (copy)", 0x31: "Extended memory in KiB, high (copy)",
    0x34: "Memory above 16 MiB in 64 KiB, low", 0x35: "Memory above 16 MiB in 64 KiB, high",
    0x38: "Boot order, third; floppy signature check", 0x3D: "Boot order, first and second",
    0x5B: "Memory above 4 GiB in 64 KiB, low", 0x5C: "Memory above 4 GiB in 64 KiB, middle",
    0x5D: "Memory above 4 GiB in 64 KiB, high", 0x5F: "Number of processors - 1",
}  # fmt: skip

SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM = range(6)
DAY_OF_WEEK, DATE_OF_MONTH, MONTH, YEAR, REGISTER_A, REGISTER_B, REGISTER_C, REGISTER_D = range(6, 14)
SHUTDOWN_STATUS: Final = 0x0F
CENTURY, CENTURY_PS2 = 0x32, 0x37

TIME_CELLS: Final = (SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DATE_OF_MONTH, MONTH, YEAR, CENTURY)
ALARM_CELLS: Final = (SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM)
DATE_CELLS: Final = frozenset((DATE_OF_MONTH, MONTH, YEAR, CENTURY))
RAM_CELLS: Final = tuple(index for index in range(0x0E, CELLS) if index not in (CENTURY, CENTURY_PS2))


def _cell(index: int, name: str, title: str, source: str, *fields: Field, part: str = "") -> Register:
    nature: Nature | None = "time" if index in TIME_CELLS else "configuration" if index in RAM_CELLS else None
    return Register(name, title, 1, "rw", fields, BANKS[index], source=source, nature=nature, part=part)


_TIME, _REGISTERS = "Time, Calendar, and Alarm Locations", "Registers"
_HOURS: Final = (bit("PM", 7), Field("Hour", 6, 0))

REGISTERS: Final = RegisterMap(
    Register("Index", "Cell that offset 1 shows", 0, "w", (bit("NMI disable", 7), Field("Index", 6, 0)), source="PC"),
    Register("Index read-back", "Port 0x70 as read", 0, "r", reset=0xFF, source="QEMU"),
    _cell(SECONDS, "Seconds", "Seconds, 0-59", _TIME),
    _cell(SECONDS_ALARM, "Seconds Alarm", "Second of the alarm; 0xC0-0xFF: every", _TIME),
    _cell(MINUTES, "Minutes", "Minutes, 0-59", _TIME),
    _cell(MINUTES_ALARM, "Minutes Alarm", "Minute of the alarm; 0xC0-0xFF: every", _TIME),
    _cell(HOURS, "Hours", "Hours, 0-23 or 1-12 with PM", _TIME, *_HOURS),
    _cell(HOURS_ALARM, "Hours Alarm", "Hour of the alarm; 0xC0-0xFF: every", _TIME, *_HOURS),
    _cell(DAY_OF_WEEK, "Day of the Week", "Day of the week, 1-7, Sunday is 1", _TIME),
    _cell(DATE_OF_MONTH, "Date of the Month", "Day of the month, 1-31", _TIME),
    _cell(MONTH, "Month", "Month, 1-12", _TIME),
    _cell(YEAR, "Year", "Year of the century, 0-99", _TIME),
    _cell(
        REGISTER_A, "Register A", "Update in progress, divider, rate", _REGISTERS,
        bit("UIP", 7, nature="time"), Field("DV", 6, 4, DV_VALUES), Field("RS", 3, 0, RS_VALUES),
    ),
    _cell(
        REGISTER_B, "Register B", "Set, interrupt enables, formats", _REGISTERS,
        bit("SET", 7), bit("PIE", 6), bit("AIE", 5), bit("UIE", 4), bit("SQWE", 3),
        bit("DM", 2, {0: "BCD", 1: "binary"}), bit("24/12", 1, {0: "12 hours", 1: "24 hours"}), bit("DSE", 0),
    ),
    Register(
        "Register C", "Interrupt flags, cleared by reading", 1, "r",
        (bit("IRQF", 7), bit("PF", 6), bit("AF", 5), bit("UF", 4)), BANKS[REGISTER_C], 0x00, source=_REGISTERS,
        nature="interrupt",
    ),
    Register("Register D", "Valid RAM and time", 1, "r", (bit("VRT", 7),), BANKS[REGISTER_D], 0x80, source=_REGISTERS),
    _cell(CENTURY, "Century", "Century, 0-99", "PC"),
    *(
        _cell(i, f"CMOS {i:#04x}", CMOS_TITLES.get(i, "CMOS RAM"), "Static CMOS RAM", part=f"cell {i:#04x}")
        for i in RAM_CELLS
    ),
    banks=BANKS,
)  # fmt: skip
