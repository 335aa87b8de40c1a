"""The registers of an ATA channel: what they are called.

Source: ATA/ATAPI-6 (T13/1410D), section 7 "Interface register definitions" and 6.2 on HOB.
"""

from __future__ import annotations

from typing import Final

from ..registers import Field, Register, RegisterMap, bit

HOB_0, HOB_1 = "HOB=0", "HOB=1"

_ERROR: Final = (
    bit("ILI", 0), bit("EOM", 1), bit("ABRT", 2), bit("MCR", 3), Field("Sense key", 7, 4)
)  # fmt: skip
_DEVICE: Final = (Field("Head / LBA 27:24", 3, 0), bit("DEV", 4), bit("obs 5", 5), bit("LBA", 6), bit("obs 7", 7))
_STATUS: Final = (
    bit("ERR", 0), bit("IDX", 1), bit("CORR", 2), bit("DRQ", 3), bit("DSC", 4), bit("DF", 5), bit("DRDY", 6),
    bit("BSY", 7),
)  # fmt: skip
_CONTROL: Final = (bit("nIEN", 1), bit("SRST", 2), bit("HOB", 7))

REGISTERS: Final = RegisterMap(
    Register("Data", "Data; the host adapter takes double words apart", 0, "rw", width=32, source="7.6"),
    Register("Error", "Error", 1, "r", _ERROR, HOB_0, 0x00, source="7.9; reset: QEMU"),
    Register("Features previous", "Features before the last write", 1, "r", (), HOB_1, 0x00, source="6.2"),
    Register("Features", "Features", 1, "w", source="7.10"),
    Register("Sector Count", "Sector count, or interrupt reason", 2, "r", (), HOB_0, 0x01, source="7.14"),
    Register("Sector Count previous", "Sector count before the last write", 2, "r", (), HOB_1, 0x00, source="6.2"),
    Register("Sector Count", "Sector count", 2, "w", source="7.14"),
    Register("LBA Low", "LBA low", 3, "r", (), HOB_0, 0x01, source="7.11"),
    Register("LBA Low previous", "LBA low before the last write", 3, "r", (), HOB_1, 0x00, source="6.2"),
    Register("LBA Low", "LBA low", 3, "w", source="7.11"),
    Register("LBA Mid", "LBA mid, or byte count low", 4, "r", (), HOB_0, 0x00, source="7.12"),
    Register("LBA Mid previous", "LBA mid before the last write", 4, "r", (), HOB_1, 0x00, source="6.2"),
    Register("LBA Mid", "LBA mid, or byte count low", 4, "w", source="7.12"),
    Register("LBA High", "LBA high, or byte count high", 5, "r", (), HOB_0, 0x00, source="7.13"),
    Register("LBA High previous", "LBA high before the last write", 5, "r", (), HOB_1, 0x00, source="6.2"),
    Register("LBA High", "LBA high, or byte count high", 5, "w", source="7.13"),
    Register("Device", "Device", 6, "rw", _DEVICE, None, 0xA0, source="7.7"),
    Register("Status", "Status; a read ends the interrupt", 7, "r", _STATUS, None, 0x50, source="7.15; reset: QEMU"),
    Register("Command", "Command", 7, "w", source="7.4"),
    Register("Alternate Status", "Alternate status", 8, "r", _STATUS, None, 0x50, source="7.3; reset: QEMU"),
    Register("Device Control", "Device control", 8, "w", _CONTROL, source="7.8"),
    banks=(HOB_0, HOB_1),
)  # fmt: skip

DATA, ERROR, SECTOR_COUNT, LBA_LOW, LBA_MID, LBA_HIGH, DEVICE, STATUS, CONTROL = range(9)
